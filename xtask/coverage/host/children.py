"""Children: how each process that the host has forked ended, whoever took note of it first."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

# Whatever is imported while collecting may replace these (gevent does, and conftests).
_wait4, _kill = os.wait4, os.kill
_pidfd_open = getattr(os, "pidfd_open", None)


def reap(pid: int) -> dict[str, Any] | None:
    """How a child ended, and the CPU it took; None while it lives.

    Somebody else may have waited for it: a handler of SIGCHLD, a fork handler, an event loop
    that waits for any child. Then it is known that it ended, and not how.
    """
    try:
        done, status, usage = _wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return {}
    if done == 0:
        return None
    return {"cpu": usage.ru_utime + usage.ru_stime, **how_it_ended(status)}


def wait(pid: int) -> None:
    """Wait for the end of a child, which somebody else may have taken note of."""
    with contextlib.suppress(ChildProcessError):
        _wait4(pid, 0)


def how_it_ended(status: int) -> dict[str, int]:
    """By a code or by a signal, from what `waitpid` says."""
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"code": os.WEXITSTATUS(status)}


def kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        _kill(pid, signal.SIGKILL)


def descriptor_of(pid: int) -> int | None:
    """A descriptor that is readable from the end of the child on; None where there is none."""
    if _pidfd_open is None:
        return None
    try:
        return _pidfd_open(pid)
    except OSError:
        return None
