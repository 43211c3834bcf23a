"""Collectors, as the host that forks them sees them: started, ended, told of."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable

import pytest

from xtask_host import children
from xtask_host.event_pipe import EventPipe

_monotonic, _sleep = time.monotonic, time.sleep

_ERROR, _INTERRUPTED, _USAGE_ERROR = 3, 2, 4  # pytest's exit statuses
_STEP = 0.005  # seconds between two looks at collectors that are about to end


class Collectors:
    """The processes that collect a share of the files each."""

    def __init__(self, events: EventPipe) -> None:
        self._events = events
        self._running: dict[int, int] = {}  # by pid: number

    def fork(self, number: int, fork: Callable[[], int]) -> bool:
        """Returns true in the new collector, false in the host."""
        try:
            pid = fork()
        except OSError as error:
            self._tell(number, error=str(error))
            return False
        if pid:
            self._running[pid] = number
        else:
            self._running.clear()
        return not pid

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def reap(self) -> None:
        for pid in list(self._running):
            how = children.reap(pid)
            if how is not None:
                how.pop("cpu", None)
                self._tell(self._running.pop(pid), **how)

    def forget(self, number: int) -> None:
        """Wait for one that is about to end, and was never told of."""
        for pid in [pid for pid, it in self._running.items() if it == number]:
            del self._running[pid]
            children.wait(pid)

    def end(self, grace: float) -> None:
        """Give them some seconds to end, then end them."""
        until = _monotonic() + grace
        self.reap()
        while self._running:
            if _monotonic() > until:
                for pid in self._running:
                    children.kill(pid)
            _sleep(_STEP)
            self.reap()

    def _tell(self, number: int, **how: Any) -> None:
        event = {"event": "collector-exited", "collector": number, "code": None, "signal": None}
        with contextlib.suppress(OSError):  # nobody may be left to read it
            self._events.send({**event, **how})


def status_of(error: BaseException) -> tuple[int, bool]:
    """pytest's exit status for what has ended a session, and whether it was to be expected."""
    if isinstance(error, pytest.exit.Exception):
        return (_INTERRUPTED if error.returncode is None else error.returncode), True
    if isinstance(error, pytest.UsageError):
        return _USAGE_ERROR, True
    if isinstance(error, (KeyboardInterrupt, pytest.Session.Interrupted)):
        return _INTERRUPTED, True
    if isinstance(error, pytest.Session.Failed):
        return 1, True
    return _ERROR, False
