"""Reports: what pytest reports about a test, turned into lines of the protocol as it happens."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest

from xtask_host import replays, usage
from xtask_host.event_pipe import EventPipe, encode
from xtask_host.text import as_text, cut, pack, seconds_of

_clock = time.perf_counter

# Different ones; of each it is told how often it came.
_MOST_WARNINGS = 100
_WIDE_SCOPES = ("session", "package", "module")
_PHASES = ("setup", "call", "teardown")
_OUTCOMES = ("passed", "failed", "skipped")
# Seconds between two looks at the memory, each of which takes as long as a test of nothing.
_BETWEEN_LOOKS = 0.01


class Reporter:
    """A pytest plugin, silent until a unit begins.

    Registered in the host before any fork; `failed` leaves the moment it happens,
    the line that says a test has finished leaves together with the next `start`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.outlet: EventPipe | None = None
        # What the controller wants to hear again, see `replays`.
        self.replayed = replays.NOTHING
        self._held = b""
        self.fixtures: dict[str, float] = {}
        self._warned: dict[tuple[str, str], int] = {}
        self._cpu = 0.0
        self._next_look = 0.0
        self._forget()

    def _forget(self) -> None:
        self._seconds = dict.fromkeys(_PHASES, 0.0)
        self._reported = False
        self._outcome: str | None = None
        self._reason: str | None = None
        self._properties: list[Any] = []
        # What a plugin reports under an outcome of its own, until it is known what that was.
        self._attempt: dict[str, Any] | None = None

    def begin_unit(self, outlet: EventPipe, unit: int) -> None:
        self.outlet = outlet
        self.unit = unit
        self.fixtures = dict.fromkeys(_WIDE_SCOPES, 0.0)
        self._warned.clear()
        self._calls: list[replays.Call] = []
        # Whoever wrote to this pipe before may have been killed in mid-line.
        event = {"event": "unit-started", "unit": unit, "pid": outlet.owner}
        event.update(self._memory())
        outlet.write(b"\n" + encode(event))

    def end_unit(self, left: list[int], goes_on: bool) -> None:
        self._send_calls(None)
        for (text, where), times in self._warned.items():
            if times > 1:
                self._send_warning(text, where, times - 1)
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
        self._cpu = usage.cpu()

    def end(self) -> None:
        """Make the lines that say how the test ended, and hold them for the next `start`.

        Of a test that nobody has reported nothing is known: it has not run.
        """
        if not self._reported:
            return
        event = {"event": "finish", "unit": self.unit, "test": self.test}
        event["outcome"] = self._outcome or "passed"
        event.update(self._seconds)
        event["cpu"] = round(usage.cpu() - self._cpu, 6)
        if _clock() >= self._next_look:
            event.update(self._memory())
        if self._reason:
            event["reason"] = cut(self._reason, self.limit)
        if self._properties:
            event["properties"] = self._properties
        self._held = encode(event)
        self._send_calls(self.test)

    def _memory(self) -> dict[str, int]:
        memory = usage.memory()
        self._next_look = _clock() + _BETWEEN_LOOKS
        return {} if memory is None else {"memory": memory}

    def send(self, event: dict[str, Any]) -> None:
        self._write(self._held + encode(event))
        self._held = b""

    def _write(self, data: bytes) -> None:
        if self.outlet is not None:
            self.outlet.write(data)

    # What the controller hears again

    def _send_calls(self, test: int | None) -> None:
        """Behind the test's `finish`: what is tried again is not to be heard."""
        if self._calls:
            event = {"event": "replay", "unit": self.unit, "calls": pack(self._calls)}
            if test is not None:
                event["test"] = test
            self._held += encode(event)
            self._calls = []

    def note_boundary(self, kind: str, nodeid: str, location: Any) -> None:
        if self.outlet is not None:
            self._calls.append((kind, self.test, nodeid, location))

    # What Rust hears

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.outlet is None:
            return
        self._reported = True
        if self.replayed != replays.NOTHING and replays.is_wanted(report, self.replayed):
            data = replays.of_report(report, self.config, self.test)
            self._calls.append(("report", self.test, data))
        if report.outcome == "rerun":  # of pytest-rerunfailures
            self.send(self._failure("rerun", report))
            self._forget()
            return
        if report.outcome not in _OUTCOMES:
            self._attempt = self._failure("rerun", report)
            return
        if self._attempt is not None and report.when == self._attempt["phase"]:
            # As pytest-retry does it: the same phase again.
            self.send(self._attempt)
            self._attempt = None
        if report.when in _PHASES and not _of_subtest(report):
            self._seconds[report.when] += seconds_of(getattr(report, "duration", 0.0))
        self._judge(report)
        if report.failed:
            self.send(self._failure("failed", report))
        if report.when == "teardown":
            self._properties = [property_of(one, self.limit) for one in report.user_properties]

    def _judge(self, report: Any) -> None:
        """The worst phase decides; a failed call is worse than an error around it."""
        xfail = hasattr(report, "wasxfail")
        if report.failed and report.when not in _PHASES:
            # How pytest-xdist and pytest-forked report that the process of a test died.
            self._outcome = "crashed"
        elif report.failed:
            outcome = "failed" if report.when == "call" else "error"
            if self._outcome not in ("failed", "crashed"):
                self._outcome = outcome
        elif self._outcome in ("failed", "error", "crashed") or _of_subtest(report):
            return  # a subtest that is skipped leaves its test as it is
        elif report.skipped:
            self._outcome = "xfailed" if xfail else "skipped"
            self._reason = as_text(report.wasxfail) if xfail else skip_reason(report)
        elif report.when == "call" and xfail:
            self._outcome = "xpassed"
            self._reason = as_text(report.wasxfail)

    def _failure(self, event: str, report: Any) -> dict[str, Any]:
        return {
            "event": event,
            "unit": self.unit,
            "test": self.test,
            "phase": report.when if report.when in _PHASES else "crash",
            "text": cut(_text(report), 4 * self.limit),
            "message": cut(message_of(report), self.limit),
            "sections": [property_of(section, self.limit) for section in report.sections],
        }

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        if self.outlet is None or fixturedef.scope not in self.fixtures:
            return (yield)
        began = _clock()
        try:
            return (yield)
        finally:
            self.fixtures[fixturedef.scope] += _clock() - began

    def pytest_warning_recorded(
        self, warning_message: Any, when: str, nodeid: str, location: Any
    ) -> None:
        if self.outlet is None:
            return
        if self.replayed != replays.NOTHING:
            warning = replays.of_warning(warning_message)
            self._calls.append(("warning", self.test, warning, when, nodeid, location))
        key = warning_text(warning_message)
        if key in self._warned:
            self._warned[key] += 1
        elif len(self._warned) < _MOST_WARNINGS:
            self._warned[key] = 1
            self._send_warning(*key, 1)

    def _send_warning(self, text: str, where: str, times: int) -> None:
        event = {"event": "warning", "unit": self.unit, "text": cut(text, self.limit)}
        self.send({**event, "where": where, "times": times})


class Boundaries:
    """Where tests begin and end, for a controller that wants to hear all.

    A plugin of its own: each hook that is called for nothing is some percent of a short test.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self._reporter.note_boundary("start", nodeid, location)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        self._reporter.note_boundary("finish", nodeid, location)


def property_of(one: Any, limit: int) -> list[str]:
    """A name and a value; what is no pair is a value without a name."""
    try:
        name, value = one
    except BaseException:
        name, value = "", one
    return [as_text(name), cut(value, limit)]


def warning_text(warning: Any) -> tuple[str, str]:
    """A Python warning in words, and where it was issued."""
    name = getattr(warning.category, "__name__", "Warning")
    return f"{name}: {as_text(warning.message)}", f"{warning.filename}:{warning.lineno}"


def _of_subtest(report: Any) -> bool:
    """Of a part of a test that pytest, or pytest-subtests, reports by itself."""
    return hasattr(report, "context")


def long_text(report: Any) -> str:
    """The traceback; a `longrepr` of a plugin's own may break while it is rendered."""
    try:
        return as_text(report.longreprtext)
    except BaseException:
        return as_text(report.longrepr)


def _text(report: Any) -> str:
    """The traceback; that of a subtest with its name and values above it."""
    text = long_text(report)
    return f"{as_text(report.head_line)}\n{text}" if _of_subtest(report) else text


def message_of(report: Any) -> str:
    """The exception alone, where there is one; not that of a fixture that was not found."""
    return as_text(getattr(getattr(report.longrepr, "reprcrash", None), "message", ""))


def skip_reason(report: Any) -> str:
    if isinstance(report.longrepr, tuple) and len(report.longrepr) == 3:
        reason = as_text(report.longrepr[2])
        return reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
    return long_text(report)
