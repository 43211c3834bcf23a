"""What a worker has of its own: variables that commands have exported for it alone.

What is imported once, before a fork, has those of the first worker: where the project reads them
by then, all workers would share what is meant to be apart.
"""

from __future__ import annotations

import os
from typing import Any, Callable

_environ: Any = os.environ

#: What the variables were before, where they are set: none where they were not there.
_before: dict[str, str | None] = {}


def set_all(variables: dict[str, str]) -> None:
    """In the place of those of another worker."""
    for name, value in _before.items():
        if value is None:
            _environ.pop(name, None)
        else:
            _environ[name] = value
    _before.clear()
    _before.update((name, _environ.get(name)) for name in variables)
    _environ.update(variables)


def wait(ask: Callable[[], dict[str, Any] | None]) -> bool:
    """Wait for those of this process; false where none will come, as Rust is gone."""
    command = ask()
    if command is None:
        return False
    set_all(command["variables"])
    return True
