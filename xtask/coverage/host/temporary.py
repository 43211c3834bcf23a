"""Temporary: one folder for the temporary files of a run with several processes.

As with pytest-xdist, each process has a folder of its own below that of the run, which is pytest's
(`/tmp/pytest-of-…`, or `--basetemp`) and made once, by whoever comes first: pytest empties what
`--basetemp` names. The stock engine's plugin loads this file too, with any pytest.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _pytest.pathlib
import pytest


def share(config: pytest.Config, file: str | None, name: str) -> None:
    """Give this process a folder of this name; `file` says where that of the run is."""
    if file is None or not hasattr(config.option, "basetemp"):
        return  # nothing is shared, or pytest's plugin is switched off
    with open(f"{file}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(file):
            _make(config, file)
        config.option.basetemp = _unused(os.path.join(_read(file), name))


def base_for_forks(factory: Any, file: str | None) -> Path:
    """The folder of the run for a process that forks others: pytest's own, which is said, unless
    it is known already."""
    if file is None:
        return factory.getbasetemp()
    if not os.path.exists(file):
        _write(file, {"base": str(factory.getbasetemp()), "remove": "never"})
    return Path(_read(file))


def _make(config: pytest.Config, file: str) -> None:
    factory: Any = pytest.TempPathFactory.from_config(config, _ispytest=True)
    is_ours = config.option.basetemp is None
    remove = _retention(factory) if is_ours else "never"
    # Else the folder would be gone when this process is, whatever others do there.
    factory._retention_policy = "all"
    factory._retention_count = max(getattr(factory, "_retention_count", 3), 1)
    with _lock_for_all():
        _write(file, {"base": str(factory.getbasetemp()), "remove": remove})


@contextlib.contextmanager
def _lock_for_all() -> Iterator[None]:
    """pytest locks its folder, or any other session of pytest might remove it, and unlocks it at
    the end of the process. Ours has to stay locked: Rust removes the lock."""
    unlock = _pytest.pathlib.register_cleanup_lock_removal
    _pytest.pathlib.register_cleanup_lock_removal = lambda *_, **__: None
    try:
        yield
    finally:
        _pytest.pathlib.register_cleanup_lock_removal = unlock


def _retention(factory: Any) -> str:
    """When pytest would remove the folder of a session: `always`, `passed` or `never`."""
    policy = getattr(factory, "_retention_policy", "all")
    if policy == "none" or getattr(factory, "_retention_count", 3) == 0:
        return "always"
    return "passed" if policy == "failed" else "never"


def _unused(path: str) -> str:
    """A process that takes the place of another one does not take its files."""
    number, free = 1, path
    while os.path.exists(free):
        number += 1
        free = f"{path}-{number}"
    os.mkdir(free, 0o700)
    return free


def _read(file: str) -> str:
    with open(file, encoding="utf-8") as stream:
        return json.load(stream)["base"]


def _write(file: str, content: dict[str, str]) -> None:
    with open(f"{file}.{os.getpid()}", "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    os.replace(stream.name, file)
