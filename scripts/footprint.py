"""Measures a command with all that it starts: wall clock, processor time, peak memory.

Memory is the sum of the proportional set sizes (PSS) of all its processes, in which a page
that n of them share counts 1/n in each, so that forks are not charged for what they share.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Seconds between two samples of the memory. A sample that takes long is followed by a longer
# pause: measuring may cost a fiftieth of one core.
PAUSE = 0.1
COST = 50

# Seconds that processes get which the command leaves behind.
GRACE = 5.0

PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Footprint:
    """What a command took."""

    exit_code: int | None
    """`None` where it ran into its time limit."""
    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all its processes."""
    peak: int
    """Bytes."""
    left: int
    """How many processes were still there when it had ended and had to be killed."""


def measure(
    command: list[str], cwd: Path, env: dict[str, str], output: IO[bytes], limit: float
) -> Footprint:
    """Run a command for at most `limit` seconds."""
    adopt_orphans()
    before, started = cpu_of_children(), time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    peak = watch(process.pid, started + limit)
    wall = time.monotonic() - started
    late = peak is None
    if late:
        kill_all()
    exit_code = process.wait()
    left = reap()
    cpu = cpu_of_children() - before
    return Footprint(None if late else exit_code, wall, cpu, peak or 0, left)


def watch(pid: int, deadline: float) -> int | None:
    """The most memory seen until the process ends, in bytes; `None` at the deadline."""
    peak, pause = 0, 0.0
    ended = os.pidfd_open(pid)
    try:
        while not select.select([ended], [], [], pause)[0]:
            began = time.monotonic()
            if began > deadline:
                return None
            peak = max(peak, sum(map(pss, descendants())))
            pause = max(PAUSE, COST * (time.monotonic() - began))
    finally:
        os.close(ended)
    return peak


def adopt_orphans() -> None:
    """Become the parent of processes whose parent ends: their time is counted, too."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "failed to adopt orphans")


def cpu_of_children() -> float:
    """Seconds that all processes took which have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def reap() -> int:
    """Wait for what the command left, then kill it; how many had to be killed."""
    deadline = time.monotonic() + GRACE
    left = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return left
        if pid == 0 and time.monotonic() > deadline:
            left += kill_all()
        if pid == 0:
            time.sleep(0.01)


def kill_all() -> int:
    """Kill everything below this process."""
    pids = list(descendants())
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def descendants() -> Iterator[int]:
    """The processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                # After the name, which may hold blanks and brackets: state, parent.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    children.setdefault(int(parent), []).append(int(entry))
    waiting = children.get(os.getpid(), [])
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        yield pid


def pss(pid: int) -> int:
    """Bytes; 0 for a process that has just ended."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0
