"""Workers: what plugins know a process by that runs tests, as they know pytest-xdist's."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

# Who started the host, the same for all hosts of a run.
RUST = os.getppid()

MAX_WARNINGS_ERROR = 6  # of pytest 9.1 and newer
# The options of pytest-xdist as a worker of its has them, whether it is installed or not.
_IN_A_WORKER: dict[str, Any] = {
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "tx": [],
    "distload": False,
}


def new_input(settings: dict[str, Any], slot: int) -> dict[str, Any]:
    """What pytest-xdist itself puts into `config.workerinput`."""
    return {
        "workerid": f"gw{slot}",
        "workercount": settings["nodes"],
        "testrunuid": f"{RUST:x}",
        "mainargv": sys.argv,
    }


def announce(settings: dict[str, Any], slot: int, count: int | None = None) -> None:
    """The names in the environment, for code that is imported later.

    Where nobody said how many workers there are, it is as many as there may ever be.
    """
    if settings["identity"] == "xdist":
        os.environ["PYTEST_XDIST_WORKER"] = f"gw{slot}"
        os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(count or settings["slots"])
        os.environ["PYTEST_XDIST_TESTRUNUID"] = f"{RUST:x}"


def become(
    config: pytest.Config, settings: dict[str, Any], slot: int, workerinput: dict[str, Any] | None
) -> None:
    """Look like a worker from here on; plugins name databases, ports and folders after it."""
    if settings["identity"] != "xdist":
        return
    known = workerinput or {**new_input(settings, slot), "workercount": settings["slots"]}
    announce(settings, slot, known["workercount"])
    for name, value in _IN_A_WORKER.items():
        setattr(config.option, name, value)
    config.workerinput = known  # type: ignore[attr-defined]
    # What plugins have put there when they were configured goes with each fork.
    output = getattr(config, "workeroutput", {})
    config.workeroutput = dict(output)  # type: ignore[attr-defined]


def look_sequential(option: Any) -> None:
    """Take back what made a controller of this session to plugins."""
    for name, value in _IN_A_WORKER.items():
        setattr(option, name, value)


def note_status(session: pytest.Session, output: dict[str, Any], status: int) -> None:
    """What pytest-xdist itself puts into `config.workeroutput`."""
    output["exitstatus"] = status
    output["shouldfail"] = session.shouldfail
    output["shouldstop"] = session.shouldstop


def own_status(session: pytest.Session, natural: int) -> int | None:
    """A status by which plugins find fault with a worker whose tests did not fail.

    Not pytest's own for too many warnings: only the controller knows all of them.
    """
    found = int(session.exitstatus)
    return found if natural == 0 and found not in (0, MAX_WARNINGS_ERROR) else None


def end_session(session: pytest.Session) -> tuple[dict[str, Any], int | None]:
    """The end of the session in a fork that was a worker: what its plugins leave for the
    controller, and a status of their own."""
    status = 1 if session.testsfailed else 0
    output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
    note_status(session, output, status)
    session.exitstatus = status
    session.config.hook.pytest_sessionfinish(session=session, exitstatus=status)
    return output, own_status(session, status)
