"""Rows: units that follow each other in one process, which asks for the next before it ends one.

What comes next has to be known before the last test of a unit is torn down: fixtures that the
next test shares stay. So a process asks that late, and no earlier; until then its slot's next
unit may still go to another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Any, Callable

from xtask_host.event_pipe import identity_of, move_high

_write, _read, _close = os.write, os.read, os.close
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)
_PIPE_SIZE = 1 << 20


class Unit:
    """A unit that the host was told to run."""

    def __init__(self, command: dict[str, Any], folder: str) -> None:
        self.id: int = command["unit"]
        self.slot: int = command["slot"]
        self.split: int | None = command.get("split")
        self.tests: list[int] = command["tests"]
        self.asks: bool = command.get("asks", False)
        self.folder = folder

    @property
    def stacks_file(self) -> str:
        return os.path.join(self.folder, "stacks")


class Row:
    """A forked process as the host sees it: what it was given, and how it is told more."""

    def __init__(self, first: Unit) -> None:
        self.units = [first]
        self.pid = 0
        self.watched: int | None = None  # is readable once the process has ended
        self.dump: Any = None
        self.orders, self._tell = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._tell, _SET_PIPE_SIZE, _PIPE_SIZE)

    @property
    def last(self) -> Unit:
        return self.units[-1]

    def unit(self, wanted: int) -> Unit | None:
        return next((one for one in self.units if one.id == wanted), None)

    def add(self, one: Unit, command: dict[str, Any]) -> None:
        """Have the process go on with a unit."""
        self.units.append(one)
        self.tell(command)

    def tell(self, command: dict[str, Any]) -> None:
        """Pass a command on; that the process has gone is told by its end."""
        with contextlib.suppress(OSError):
            data = json.dumps(command).encode() + b"\n"
            while data:
                data = data[_write(self._tell, data) :]

    def began(self) -> None:
        """The process has its end of the pipe."""
        os.close(self.orders)

    def close(self) -> None:
        os.close(self._tell)

    def become(self) -> Orders:
        """In the new process."""
        self.close()
        return Orders(self.orders)


class Orders:
    """What the host tells a process that it has forked."""

    def __init__(self, fd: int) -> None:
        self._fd = move_high(fd)
        self._identity = identity_of(self._fd)
        self._unread = b""

    def next(self) -> dict[str, Any] | None:
        """Wait for a command; None where none will come."""
        while b"\n" not in self._unread:
            chunk = self._chunk()
            if not chunk:
                return None
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def _chunk(self) -> bytes:
        # A test may have closed all descriptors: then this process is the last of its row.
        if identity_of(self._fd) != self._identity:
            return b""
        try:
            return _read(self._fd, 1 << 16)
        except OSError:
            return b""


class Following:
    """What comes after a unit, asked for once."""

    def __init__(self, ask: Callable[[], Unit | None] | None) -> None:
        self._ask = ask
        self.unit: Unit | None = None

    def test(self) -> int | None:
        """Its first test, if there is one."""
        if self._ask is not None:
            self.unit = self._ask()
            self._ask = None
        return self.unit.tests[0] if self.unit is not None else None
