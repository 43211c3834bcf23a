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

from xtask_host.event_pipe import EventPipe, move_high

# Whatever is imported while collecting may replace these (gevent does, and conftests).
_pipe, _read, _close, _set_blocking = os.pipe, os.read, os.close, os.set_blocking
_fcntl, _poll = fcntl.fcntl, select.poll
_signal, _set_wakeup_fd = signal.signal, signal.set_wakeup_fd


class Commands:
    """Reads commands; wakes up as well when a child has ended.

    SIGCHLD, SIGINT and the wake-up descriptor belong to us only between `listen` and
    `deafen`: a fork gives them back before any test runs.
    """

    def __init__(self, fd: int) -> None:
        self.fd = move_high(fd)
        self._unread = b""
        self.closed = False
        self._early: list[dict[str, Any]] = []
        self._interrupted = False

    def first(self) -> dict[str, Any] | None:
        """Wait for the first command, without an ear for children; None at the end of file."""
        while not self._early and not self.closed:
            self._early += self._take()
        return self._early.pop(0) if self._early else None

    def await_one(self, name: str) -> dict[str, Any] | None:
        """Wait for a command of this name; those that come before it stay."""
        while True:
            for at, command in enumerate(self._early):
                if command["cmd"] == name:
                    return self._early.pop(at)
            if self.closed:
                return None
            self._early += self._take()

    def listen(self) -> None:
        self._awake, write_end = map(move_high, _pipe())
        _set_blocking(self._awake, False)
        _set_blocking(write_end, False)
        self._write_end = write_end
        self._old_handler = _signal(signal.SIGCHLD, lambda *_: None)
        self._old_interrupt = _signal(signal.SIGINT, self._interrupt)
        self._old_fd = _set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._waiting = _poll()
        self._waiting.register(self.fd, select.POLLIN)
        self._waiting.register(self._awake, select.POLLIN)

    def deafen(self) -> None:
        _set_wakeup_fd(self._old_fd)
        _signal(signal.SIGCHLD, self._old_handler or signal.SIG_DFL)
        _signal(signal.SIGINT, self._old_interrupt or signal.SIG_DFL)
        _close(self._awake)
        _close(self._write_end)

    def _interrupt(self, *_: Any) -> None:
        """No Ctrl-C comes here: the host has a process group of its own.

        What does come is meant for the parent of a test, in a sequential run the shell, which
        lives on. Ended by it, the host would take all tests with it.
        """
        self._interrupted = True

    def was_interrupted(self) -> bool:
        """Whether SIGINT has come since the last call."""
        was, self._interrupted = self._interrupted, False
        return was

    def watch(self, fd: int) -> None:
        """Wake up as well when this descriptor becomes readable."""
        self._waiting.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        self._waiting.unregister(fd)
        _close(fd)

    @contextlib.contextmanager
    def end_with_rust(self) -> Iterator[None]:
        """While nobody listens: the end of Rust closes the pipe, which is SIGIO for our group."""
        flags = _fcntl(self.fd, fcntl.F_GETFL)
        _fcntl(self.fd, fcntl.F_SETOWN, -os.getpgrp())
        _fcntl(self.fd, fcntl.F_SETFL, flags | os.O_ASYNC)
        try:
            yield
        finally:
            _fcntl(self.fd, fcntl.F_SETFL, flags)

    def ask(self, question: Callable[[], None]) -> dict[str, Any] | None:
        """Put a question and wait for the answer, while a unit runs here; None if Rust is gone."""
        flags = _fcntl(self.fd, fcntl.F_GETFL)
        _fcntl(self.fd, fcntl.F_SETFL, flags & ~os.O_ASYNC)
        try:
            question()
            return self.first()
        finally:
            _fcntl(self.fd, fcntl.F_SETFL, flags)

    def wait(self, seconds: float | None = None) -> list[dict[str, Any]]:
        """The commands that have come in; none when a child ended, or the time is over."""
        if self._early:
            early, self._early = self._early, []
            return early
        ready = self._waiting.poll(None if seconds is None else seconds * 1000)
        for fd, _ in ready:
            if fd == self._awake:
                _read(self._awake, 4096)
        if any(fd == self.fd for fd, _ in ready):
            return self._take()
        return []

    def _take(self) -> list[dict[str, Any]]:
        chunk = _read(self.fd, 1 << 16)
        self.closed = not chunk
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


class Channel:
    """The pipes of one collector."""

    def __init__(self, commands: int, events: int) -> None:
        self.commands = Commands(commands)
        self.events = EventPipe(events)

    def close(self) -> None:
        os.close(self.commands.fd)
        self.events.close()
