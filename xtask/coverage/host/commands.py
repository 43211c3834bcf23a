"""Commands: lines that arrive on a pipe, and children that end, in one wait without a clock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
from collections.abc import Iterator
from typing import Any, Callable

from xtask_host.outlet import Outlet, move_high


class Commands:
    """Reads commands; wakes up as well when a child has ended.

    SIGCHLD and the wake-up descriptor belong to us only between `listen` and
    `deafen`: a fork gives them back before any test runs.
    """

    def __init__(self, fd: int) -> None:
        self.fd = move_high(fd)
        self._unread = b""
        self.closed = False
        self._early: list[dict[str, Any]] = []

    def first(self) -> dict[str, Any] | None:
        """Wait for the first command, without an ear for children; None at the end of file."""
        while not self._early and not self.closed:
            self._early += self._read()
        return self._early.pop(0) if self._early else None

    def listen(self) -> None:
        self._awake, write_end = map(move_high, os.pipe())
        os.set_blocking(self._awake, False)
        os.set_blocking(write_end, False)
        self._write_end = write_end
        self._old_handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._old_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._poll.register(self._awake, select.POLLIN)

    def deafen(self) -> None:
        signal.set_wakeup_fd(self._old_fd)
        signal.signal(signal.SIGCHLD, self._old_handler or signal.SIG_DFL)
        os.close(self._awake)
        os.close(self._write_end)

    @contextlib.contextmanager
    def end_with_rust(self) -> Iterator[None]:
        """While nobody listens: the end of Rust closes the pipe, which is SIGIO for our group."""
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        fcntl.fcntl(self.fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(self.fd, fcntl.F_SETFL, flags | os.O_ASYNC)
        try:
            yield
        finally:
            fcntl.fcntl(self.fd, fcntl.F_SETFL, flags)

    def ask(self, question: Callable[[], None]) -> dict[str, Any] | None:
        """Put a question and wait for the answer, while a unit runs here; None if Rust is gone."""
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, flags & ~os.O_ASYNC)
        try:
            question()
            return self.first()
        finally:
            fcntl.fcntl(self.fd, fcntl.F_SETFL, flags)

    def wait(self, seconds: float | None = None) -> list[dict[str, Any]]:
        """The commands that have come in; none when a child ended, or the time is over."""
        if self._early:
            early, self._early = self._early, []
            return early
        ready = self._poll.poll(None if seconds is None else seconds * 1000)
        for fd, _ in ready:
            if fd == self._awake:
                os.read(self._awake, 4096)
        if any(fd == self.fd for fd, _ in ready):
            return self._read()
        return []

    def _read(self) -> list[dict[str, Any]]:
        chunk = os.read(self.fd, 1 << 16)
        self.closed = not chunk
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


class Channel:
    """The pipes of one collector."""

    def __init__(self, commands: int, events: int) -> None:
        self.commands = Commands(commands)
        self.events = Outlet(events)

    def close(self) -> None:
        os.close(self.commands.fd)
        self.events.close()
