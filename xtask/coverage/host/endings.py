"""Endings: what Python does at the end of a process, in one that ends without its interpreter.

A fork is left by `os._exit`: to take down all that was collected would take long, and what
the host has made is the host's to end, once. What a fork's own tests have made is ended here.
"""

from __future__ import annotations

import _io
import atexit
import contextlib
import fcntl
import logging
import os
import sys
import threading
import traceback
import weakref
from collections.abc import Collection
from fcntl import F_GETFL
from itertools import compress
from types import FunctionType
from typing import Any

from xtask_host import garbage

# Not those of `io`: whoever asks whether a type is one of these has it remembered for ever.
_IOBase: Any = _io._IOBase
_listdir, _readlink, _fcntl = os.listdir, os.readlink, fcntl.fcntl
_WRITING = os.O_WRONLY | os.O_RDWR
_NO_FILES = ("/dev/", "/proc/", "/memfd:")
_finalize: Any = weakref.finalize
_attribute = type.__getattribute__
_logging: Any = logging


class Endings:
    """What of a process has to be ended with it, and what it has but from its parent."""

    def __init__(self, work_dir: str) -> None:
        # Written to by ourselves: the host's output, which pytest keeps copies of, and all below.
        self._not_theirs = tuple(filter(None, (_target(1), _target(2), work_dir)))
        # By id, weak references: there may be more than a process needs to keep alive.
        self._ours: dict[int, Any] = {}
        self._inherited: dict[int, Any] = {}
        self._inherited_handlers: list[Any] = []

    def remember(self) -> None:
        """Note what has to be ended. To be called before objects are frozen, out of sight."""
        for one in self._to_be_ended(garbage.get_objects()):
            if not self._is_inherited(one):
                self._ours[id(one)] = _reference(one)

    def flush(self) -> None:
        """Write what is held back, so that no fork does it once more."""
        for one in self._remembered():
            if _is_file(one):
                _flush(one)
        for reference in list(_logging._handlerList):
            handler = reference()
            if getattr(handler, "buffer", None):
                _flush(handler)

    def disown(self) -> None:
        """In a fork: what there is now is ended by the process that this one comes from."""
        self._inherited.update(self._ours)
        self._ours = {}
        self._inherited_handlers = list(_logging._handlerList)
        atexit._clear()
        for one in list(_finalize._registry):
            one.atexit = False
        if _finalize._registered_with_atexit:
            atexit.register(_finalize._exitfunc)

    def end(self) -> None:
        """All that Python does when the main program is through, in its order."""
        with contextlib.suppress(BaseException):
            threading._shutdown()
        _end_multiprocessing()
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        with contextlib.suppress(BaseException):
            self._end_logging()
        with contextlib.suppress(BaseException):
            found = self._to_be_ended(self._remembered(), garbage.get_objects())
            known = {id(one): one for one in found}
            _end_objects([one for one in known.values() if not self._is_inherited(one)])
        for reference in self._inherited.values():
            if _is_file(reference()):
                _flush(reference())
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)

    def _end_logging(self) -> None:
        """`logging.shutdown`, but handlers of the parent are not closed for good."""
        inherited = self._inherited_handlers
        for reference in inherited:
            _flush(reference())
        _logging.shutdown([one for one in _logging._handlerList if one not in inherited])

    def _to_be_ended(self, *some: Collection[Any]) -> list[Any]:
        files = writes_to_a_file(self._not_theirs)
        return [one for objects in some for one in to_be_ended(objects, files)]

    def _remembered(self) -> list[Any]:
        alive = (reference() for reference in self._ours.values())
        return [one for one in alive if one is not None]

    def _is_inherited(self, one: Any) -> bool:
        reference = self._inherited.get(id(one))
        if reference is None:
            return False
        known = reference()
        return known is one or known is None


def _reference(one: Any) -> Any:
    try:
        return weakref.ref(one)
    except TypeError:  # it has slots
        return lambda: None


def to_be_ended(objects: Collection[Any], files: bool) -> list[Any]:
    """Files that are written to, and objects with a finaliser of their own, among any others.

    There are millions of them: a second look is taken only where there is something to find,
    and neither runs a line of Python for each.
    """
    kinds = set(map(type, objects))
    kinds = {
        kind for kind in kinds if _has_finaliser(kind) or (files and issubclass(kind, _IOBase))
    }
    return list(compress(objects, map(kinds.__contains__, map(type, objects)))) if kinds else []


def _has_finaliser(kind: type) -> bool:
    """One in Python: those in C free memory, but for those of files."""
    try:
        # Nothing of a metaclass is asked, which may answer anything.
        return isinstance(_attribute(kind, "__del__"), FunctionType)
    except AttributeError:
        return False


def writes_to_a_file(but: tuple[str, ...]) -> bool:
    """Whether a file with a name, of the project's, is open for writing."""
    try:
        descriptors = [int(name) for name in _listdir("/proc/self/fd")]
    except OSError:
        return True  # one cannot know
    return any(_is_written(fd, but) for fd in descriptors if fd > 2)


def _is_written(fd: int, but: tuple[str, ...]) -> bool:
    target = _target(fd)
    if not target.startswith("/") or target.startswith((*_NO_FILES, *but)):
        return False
    try:
        return not target.endswith(" (deleted)") and bool(_fcntl(fd, F_GETFL) & _WRITING)
    except OSError:
        return False


def _target(fd: int) -> str:
    """What a descriptor leads to."""
    try:
        return _readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _is_file(one: Any) -> bool:
    return isinstance(one, _IOBase)


def _flush(one: Any) -> None:
    with contextlib.suppress(BaseException):
        one.flush()


def _end_objects(objects: list[Any]) -> None:
    files = [one for one in objects if _is_file(one)]
    for one in objects:
        if not _is_file(one):
            _finalise(one)
    # From the outside in: what a text file holds back goes into the buffer below it.
    for one in sorted(files, key=_depth):
        with contextlib.suppress(BaseException):
            if not one.closed and not _is_standard(one):
                one.close()


def _depth(file: Any) -> int:
    levels = (_io._TextIOBase, _io._BufferedIOBase)
    return next((at for at, kind in enumerate(levels) if isinstance(file, kind)), len(levels))


def _is_standard(file: Any) -> bool:
    try:
        return file.fileno() <= 2
    except (OSError, ValueError, AttributeError):
        return False


def _finalise(one: Any) -> None:
    try:
        type(one).__del__(one)
    except BaseException:
        with contextlib.suppress(BaseException):
            print(f"Exception ignored in: {type(one).__name__}.__del__", file=sys.stderr)
            traceback.print_exc()


def _end_multiprocessing() -> None:
    """Wait for the processes of `multiprocessing`, and for its own servants.

    Those are measured too (`patch = subprocess`) and save when they see us gone,
    which would be while somebody already reads what was saved.
    """
    util = sys.modules.get("multiprocessing.util")
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    forkserver = sys.modules.get("multiprocessing.forkserver")
    with contextlib.suppress(BaseException):
        if util is not None:
            util._exit_function()
    with contextlib.suppress(BaseException):
        if forkserver is not None:
            forkserver._forkserver._stop()
    with contextlib.suppress(BaseException):
        if tracker is not None:
            tracker._resource_tracker._stop()
