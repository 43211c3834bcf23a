"""Reports: turns pytest's reports of a unit into the lines that leave it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest

from xtask_host.outlet import Outlet, encode

_clock = time.perf_counter

_MOST_WARNINGS = 100
_WIDE_SCOPES = ("session", "package", "module")


class Reporter:
    """A pytest plugin, silent until a unit begins.

    Registered in the host before any fork; `failed` leaves the moment it happens,
    the line that says a test has finished leaves together with the next `start`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.outlet: Outlet | None = None
        self._held = b""
        self.fixtures: dict[str, float] = {}
        self._warned: set[Any] = set()
        self._forget()

    def _forget(self) -> None:
        self._seconds = {"setup": 0.0, "call": 0.0, "teardown": 0.0}
        self._outcome: str | None = None
        self._reason: str | None = None
        self._properties: list[Any] = []

    def begin_unit(self, outlet: Outlet, unit: int) -> None:
        self.outlet = outlet
        self.unit = unit
        self.fixtures = dict.fromkeys(_WIDE_SCOPES, 0.0)
        self._warned.clear()
        # Whoever wrote to this pipe before may have been killed in mid-line.
        event = {"event": "unit-started", "unit": unit, "pid": outlet.owner}
        outlet.write(b"\n" + encode(event))

    def end_unit(self, left: list[int], goes_on: bool) -> None:
        seconds = {scope: round(spent, 6) for scope, spent in self.fixtures.items()}
        self.send(
            {
                "event": "unit-ended",
                "unit": self.unit,
                "left": left,
                "fixtures": seconds,
                "goes_on": goes_on,
            }
        )
        self.outlet = None

    def begin(self, test: int) -> None:
        self._forget()
        self.test = test
        start = b'{"event":"start","unit":%d,"test":%d}\n' % (self.unit, test)
        self._write(self._held + start)
        self._held = b""

    def end(self) -> None:
        """Make the line that says how the test ended, and hold it for the next `start`."""
        event = {"event": "finish", "unit": self.unit, "test": self.test}
        event["outcome"] = self._outcome or "passed"
        for phase, seconds in self._seconds.items():
            event[phase] = round(seconds, 6)
        if self._reason:
            event["reason"] = cut(self._reason, self.limit)
        if self._properties:
            event["properties"] = self._properties
        self._held = encode(event)

    def send(self, event: dict[str, Any]) -> None:
        self._write(self._held + encode(event))
        self._held = b""

    def _write(self, data: bytes) -> None:
        if self.outlet is not None:
            self.outlet.write(data)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.outlet is None:
            return
        if report.outcome == "rerun":  # of pytest-rerunfailures
            self._send_failure("rerun", report)
            self._forget()
            return
        if not _of_subtest(report):
            self._seconds[report.when] += report.duration
        self._judge(report)
        if report.failed:
            self._send_failure("failed", report)
        if report.when == "teardown":
            self._properties = [
                [str(name), cut(str(value), self.limit)] for name, value in report.user_properties
            ]

    def _judge(self, report: Any) -> None:
        """The worst phase decides; a failed call is worse than an error around it."""
        xfail = hasattr(report, "wasxfail")
        if report.failed:
            outcome = "failed" if report.when == "call" else "error"
            if self._outcome != "failed":
                self._outcome = outcome
        elif self._outcome in ("failed", "error") or _of_subtest(report):
            return  # a subtest that is skipped leaves its test as it is
        elif report.skipped:
            self._outcome = "xfailed" if xfail else "skipped"
            self._reason = report.wasxfail if xfail else _skip_reason(report)
        elif report.when == "call" and xfail:
            self._outcome = "xpassed"
            self._reason = report.wasxfail

    def _send_failure(self, event: str, report: Any) -> None:
        self.send(
            {
                "event": event,
                "unit": self.unit,
                "test": self.test,
                "phase": report.when,
                "text": cut(_text(report), 4 * self.limit),
                "message": cut(_message(report), self.limit),
                "sections": [[name, cut(text, self.limit)] for name, text in report.sections],
            }
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        if self.outlet is None or fixturedef.scope not in self.fixtures:
            return (yield)
        began = _clock()
        try:
            return (yield)
        finally:
            self.fixtures[fixturedef.scope] += _clock() - began

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str, location: Any) -> None:
        if self.outlet is None or len(self._warned) >= _MOST_WARNINGS:
            return
        warning = warning_message
        text = f"{warning.category.__name__}: {warning.message}"
        where = (text, warning.filename, warning.lineno)
        if where not in self._warned:
            self._warned.add(where)
            self.send(
                {
                    "event": "warning",
                    "unit": self.unit,
                    "id": nodeid,
                    "text": cut(text, self.limit),
                    "where": f"{warning.filename}:{warning.lineno}",
                }
            )


def _of_subtest(report: Any) -> bool:
    """Of a part of a test that pytest, or pytest-subtests, reports by itself."""
    return hasattr(report, "context")


def _text(report: Any) -> str:
    """The traceback; that of a subtest with its name and values above it."""
    return (
        f"{report.head_line}\n{report.longreprtext}" if _of_subtest(report) else report.longreprtext
    )


def _message(report: Any) -> str:
    """The exception alone, where there is one; not that of a fixture that was not found."""
    return str(getattr(getattr(report.longrepr, "reprcrash", None), "message", ""))


def _skip_reason(report: Any) -> str:
    if isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2])
        return reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
    return report.longreprtext


def cut(text: str, limit: int) -> str:
    """Keep head and tail: a line must stay small whatever a test prints."""
    if len(text) <= limit:
        return text
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out} characters left out …]\n{text[-half:]}"
