"""Worker names: notes whether the project asks for the name of its worker while it is imported.

What is imported once, before a fork, would have one name for all workers: databases, ports and
files that are named after it would be shared by processes that run side by side.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

NAMES = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")

# The class of `os.environ`, whose methods call each other: one door to all that ask.
_Environ: Any = type(os.environ)
# They stand between: `os.getenv`, `os.environ.get`. By name, as they are frozen in some Pythons.
_BETWEEN = ("os", "collections.abc", "_collections_abc")

#: Where the project has asked, each place once.
asked: list[str] = []
#: Variables that each worker has of its own, and where the project has read one.
own: set[str] = set()
read: list[str] = []
#: What it is told although the variable is not there, for others take it for a promise.
answers: dict[str, str] = {}


class Listening(_Environ):
    """`os.environ` as long as the project is imported."""

    def __getitem__(self, key: Any) -> Any:
        if key not in NAMES:
            if key in own:
                _note_read(key, sys._getframe(1))
            return super().__getitem__(key)
        place = _place(sys._getframe(1))
        if place is not None and place not in asked:
            asked.append(place)
        try:
            return super().__getitem__(key)
        except KeyError:
            if place is None or key not in answers:
                raise
            return answers[key]


def listen() -> None:
    if type(os.environ) is _Environ:
        os.environ.__class__ = Listening


def listen_for(names: Iterable[str]) -> None:
    own.update(names)
    listen()


def stop_listening() -> None:
    if type(os.environ) is Listening:
        os.environ.__class__ = _Environ


def _note_read(name: str, frame: Any) -> None:
    """Whoever reads it, a library for settings perhaps, does so for the project."""
    while frame is not None:
        place = _place(frame)
        if place is not None:
            if (what := f"`{name}` (`{place}`)") not in read:
                read.append(what)
            return
        frame = frame.f_back


def _place(frame: Any) -> str | None:
    """The line that asks, if it is the project's own."""
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    folder = os.path.join(os.getcwd(), "")
    installed = {"site-packages", "dist-packages"} & set(file.split(os.sep))
    if installed or not file.startswith(folder) or file.startswith(os.path.join(sys.prefix, "")):
        return None
    return f"{file[len(folder) :]}:{frame.f_lineno}"
