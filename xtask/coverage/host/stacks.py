"""Stacks: where a unit is stuck, written by the unit itself, even from inside a C call."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from xtask_host.event_pipe import move_high

# One that nobody sends: no kernel of today raises SIGSTKFLT (16, on Linux; Python names it
# since 3.11), and SIGINFO comes from a key that a process without a terminal never sees.
SIGNAL = 16 if sys.platform == "linux" else getattr(signal, "SIGINFO", signal.SIGUSR2)

STEP = 0.02  # seconds between two looks at a dump that is being written
_STEPS = 100
_QUIET = 12  # looks without a change: on a busy machine the writer has to wait for its turn

_registered: list[int] = []


def register(path: str) -> None:
    """In the process of a unit: from now on the signal writes all stacks into the file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    fd = move_high(fd)
    faulthandler.register(SIGNAL, file=fd, all_threads=True)
    # Where units follow each other in one process, the last one's file is done with.
    while _registered:
        os.close(_registered.pop())
    _registered.append(fd)


class Dump:
    """In the host: a dump that was asked for. Nothing tells when it is complete but its size."""

    def __init__(self, unit: int, pid: int, path: str) -> None:
        self.unit = unit
        self.path = path
        self._size = -1
        self._left = _STEPS
        self._quiet = 0
        os.kill(pid, SIGNAL)

    def settled(self) -> bool:
        size, before = os.path.getsize(self.path), self._size
        self._size = size
        self._left -= 1
        self._quiet = self._quiet + 1 if 0 < size == before else 0
        return self._quiet == _QUIET or self._left == 0

    def text(self, limit: int) -> str:
        with open(self.path, errors="replace") as file:
            return file.read(limit)
