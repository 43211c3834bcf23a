"""Usage: the CPU and the memory that this process has taken, cheap enough to ask at each test."""

from __future__ import annotations

import contextlib
import os
import resource

# Tests replace these.
_open, _read, _write, _close = os.open, os.read, os.write, os.close
_getrusage = resource.getrusage
_SELF, _CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
_PAGE = resource.getpagesize()
_MOST = b"1000"


def cpu() -> float:
    """Seconds of CPU that it has used, with all its threads, and the children that it has waited
    for."""
    own, children = _getrusage(_SELF), _getrusage(_CHILDREN)
    return own[0] + own[1] + children[0] + children[1]


def memory() -> int | None:
    """Bytes of anonymous memory that are resident; None where there is no `/proc`.

    Much of it is shared with the process that this one was forked from: only the growth is its
    own. Opened anew each time: a test may close any descriptor.
    """
    try:
        fd = _open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        _, resident, shared = _read(fd, 256).split(maxsplit=3)[:3]
    except (OSError, ValueError):
        return None
    finally:
        _close(fd)
    return (int(resident) - int(shared)) * _PAGE


def raise_oom_score() -> None:
    """Have the kernel end this process, and what tests start in it, before anything else when
    memory runs out: not what the user works with, and not the process that the tests are
    forked from.

    Not `nice` as well: a test can see that, and a program that sets its priority to 0 again
    needs a privilege for it. Who wants it types `nice cargo xtask …`, as for any program.
    """
    with contextlib.suppress(OSError):
        fd = _open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write(fd, _MOST)
        finally:
            _close(fd)
