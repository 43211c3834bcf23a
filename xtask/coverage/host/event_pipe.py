"""Event pipes: where our bytes leave a process, whatever a test has done to its descriptors."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
from typing import Any

# Tests replace `os.write`, `os.getpid` and friends: our own references are taken
# before any of them runs.
write = os.write
getpid = os.getpid
exit_now = os._exit
_open, _close, _fstat, _poll = os.open, os.close, os.fstat, select.poll
_set_blocking, _fcntl = os.set_blocking, fcntl.fcntl
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def encode(event: dict[str, Any]) -> bytes:
    """One line of JSON, ASCII only, without lone surrogates (strict readers refuse them)."""
    text = _encode(event)
    if "\\ud" in text:
        text = _encode(_without_surrogates(event))
    return text.encode("ascii") + b"\n"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(one) for key, one in value.items()}
    return value


def move_high(fd: int) -> int:
    """Move a descriptor out of the way of tests, and out of reach of their subprocesses.

    Tests count on low numbers: they close 3 to 9, or expect the next free one.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    top = 1024 if limit == resource.RLIM_INFINITY else min(limit, 1024)
    for floor in (top - 128, top // 2, 10):
        try:
            high = _fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(floor, 10))
        except OSError:
            continue
        _close(fd)
        return high
    _fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return fd


def identity_of(fd: int) -> tuple[int, int] | None:
    """What a descriptor leads to, whoever has closed or replaced it; None where it is closed."""
    try:
        status = _fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class EventPipe:
    """A descriptor that only its owner writes to, and that comes back when a test closed it."""

    def __init__(self, fd: int, reopen: str | None = None, flags: int = 0) -> None:
        self.fd = move_high(fd)
        self.owner = getpid()
        self._flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags
        # A pipe has no name of its own; the copy that this process holds has one.
        self._reopen = reopen or f"/proc/{self.owner}/fd/{self.fd}"
        self._identity = identity_of(self.fd)

    @classmethod
    def to_file(cls, path: str) -> EventPipe:
        flags = os.O_APPEND | os.O_CREAT
        fd = _open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        return cls(fd, reopen=path, flags=os.O_APPEND)

    def hand_over(self) -> None:
        """From here on this process owns the pipe (called after a fork)."""
        self.owner = getpid()

    def send(self, event: dict[str, Any]) -> None:
        self.write(encode(event))

    def write(self, data: bytes) -> None:
        # A process that a test forked has a copy of us and must not speak.
        if getpid() != self.owner:
            return
        if identity_of(self.fd) != self._identity:
            self._open_again()
        while data:
            try:
                data = data[write(self.fd, data) :]
            except BlockingIOError:
                _wait_until_writable(self.fd)

    def close(self) -> None:
        if identity_of(self.fd) == self._identity:
            _close(self.fd)

    def _open_again(self) -> None:
        # Non-blocking while opening: a pipe whose reader is gone must fail, not hang.
        fd = _open(self._reopen, self._flags)
        _set_blocking(fd, True)
        self.fd = move_high(fd)
        if identity_of(self.fd) != self._identity:
            raise OSError(f"`{self._reopen}` is no longer the file it was")


def _wait_until_writable(fd: int) -> None:
    waiting = _poll()
    waiting.register(fd, select.POLLOUT)
    waiting.poll()
