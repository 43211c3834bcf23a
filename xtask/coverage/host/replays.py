"""Replays: what plugins of the controller hear of tests that run in other processes.

A worker notes the calls of pytest's logging hooks, the controller makes them again, in order of
arrival; between them reports travel as pytest itself serialises them, as with pytest-xdist.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest

from xtask_host.text import as_text

# How much is noted. Of a suite that passes, pytest's own list of skipped tests (`-rs`) needs
# next to nothing, and three reports of each test would cost more than a short test takes.
NOTHING, NOT_PASSED, ALL = 0, 1, 2

# (kind, test, …): ("start" | "finish", test, node id, location), ("report", test, data),
# ("warning", test, data, when, node id, location)
Call = tuple[Any, ...]

_WARNING_FIELDS = ("filename", "lineno", "line")


def is_wanted(report: Any, level: int) -> bool:
    if level == NOT_PASSED:
        return report.outcome != "passed" or hasattr(report, "wasxfail")
    return level == ALL


def of_report(report: Any, config: pytest.Config, test: int) -> dict[str, Any]:
    """A report as plain data, with what pytest-xdist adds to it."""
    try:
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
    except Exception:
        data = None
    if data is None:
        # Of a class that no plugin can serialise, or with what pytest chokes on.
        data = _least(report)
    worker = getattr(config, "workerinput", {})
    data["item_index"] = test
    data["worker_id"] = worker.get("workerid", "gw0")
    data["testrun_uid"] = worker.get("testrunuid", "")
    return data


def _least(report: Any) -> dict[str, Any]:
    longrepr = report.longrepr
    return {
        "$report_type": "TestReport",
        "nodeid": report.nodeid,
        "location": report.location,
        "keywords": {},
        "outcome": report.outcome,
        "longrepr": None if longrepr is None else as_text(longrepr),
        "when": report.when,
    }


def of_warning(warning: Any) -> dict[str, Any]:
    """A warning as plain data: its class by name, as the controller may not have it."""
    category = warning.category
    data = {name: getattr(warning, name, None) for name in _WARNING_FIELDS}
    data["text"] = as_text(warning.message)
    data["category"] = (category.__module__, category.__qualname__) if category else None
    return data


def _to_warning(data: dict[str, Any]) -> warnings.WarningMessage:
    category = _category(data["category"])
    try:
        message = category(data["text"])
    except Exception:  # it wants other arguments
        category, message = Warning, Warning(data["text"])
    fields = {name: data[name] for name in _WARNING_FIELDS}
    return warnings.WarningMessage(message=message, category=category, **fields)


def _category(name: Any) -> Any:
    if name is None:
        return Warning
    try:
        found: Any = importlib.import_module(name[0])
        for part in name[1].split("."):
            found = getattr(found, part)
    except Exception:
        return Warning
    return found if isinstance(found, type) and issubclass(found, Warning) else Warning


def replay(calls: list[Call], session: pytest.Session, node: Any) -> None:
    """Make the calls in the controller.

    Where it has collected itself, a conftest hears of the tests below it, as in a sequential run.
    """
    config, items = session.config, session.items
    for kind, test, *arguments in calls:
        hook = items[test].ihook if test < len(items) else config.hook
        if kind == "start":
            hook.pytest_runtest_logstart(nodeid=arguments[0], location=arguments[1])
        elif kind == "finish":
            hook.pytest_runtest_logfinish(nodeid=arguments[0], location=arguments[1])
        elif kind == "report":
            data = arguments[0]
            report = hook.pytest_report_from_serializable(config=config, data=data)
            report.node = node
            hook.pytest_runtest_logreport(report=report)
        else:
            data, when, nodeid, location = arguments
            arguments = {"warning_message": _to_warning(data), "when": when, "nodeid": nodeid}
            hook.pytest_warning_recorded.call_historic(kwargs={**arguments, "location": location})


def crash_report(nodeid: str, text: str, node: Any) -> pytest.TestReport:
    """What pytest-xdist's controller reports of a test whose worker died."""
    path = nodeid.split("::")[0]
    report = pytest.TestReport(
        nodeid=nodeid,
        location=(path, None, path),
        keywords={},
        outcome="failed",
        longrepr=text,
        when="???",  # type: ignore[arg-type]
    )
    report.node = node
    return report
