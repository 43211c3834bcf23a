"""The session: pytest's own hooks, once, in the host, around a loop that takes commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable
from itertools import groupby
from typing import Any, Callable

import pytest

from xtask_host import ordering
from xtask_host.controller import stand_in_for_xdist
from xtask_host.event_pipe import EventPipe
from xtask_host.last_failed import LastFailed
from xtask_host.listeners import Listeners
from xtask_host.pytest_reports import Reporter, long_text, skip_reason, warning_text
from xtask_host.roles import Role
from xtask_host.text import cut
from xtask_host.together import document_of, marks

_clock = time.perf_counter

_IDS_PER_LINE = 1000

# Options that other engines or plugins would act on. Set after parsing, so that it
# does not matter whether their plugins are installed, blocked, or spelled in addopts.
_OVERRIDES = {
    "maxfail": 0,  # the budget is counted outside, over all units
    "numprocesses": None,  # pytest-xdist
    "maxprocesses": None,
    "dist": "no",
    "tx": [],
    "distload": False,
    "looponfail": False,
    "usepdb": False,
    "trace": False,
    "xmlpath": None,  # written outside; this session sees no outcomes
}

# Options that have plugins write a file for each test, also in workers.
_OVERRIDES_OF_TRIALS = {"allure_report_dir": None}


class HostSession:
    """The plugin given to `pytest.main`."""

    def __init__(
        self, events: EventPipe, settings: dict[str, Any], serve: Callable[..., None]
    ) -> None:
        self.events = events
        self.loop: Callable[[pytest.Session], None] = self.serve_all
        self.role: Role | None = None
        self.quiet = False  # about what could not be collected
        self.last_failed: LastFailed | None = None
        # In a collector: what files took, and where tests stand.
        self._took: dict[int, list[Any]] = {}
        self._place_of: Callable[[pytest.Item], tuple[int, int]] | None = None
        self._is_own: Callable[[pytest.Item], bool] | None = None
        # What hooks of the project have made of the order of tests, as digests.
        self.order: dict[str, Any] | None = None
        # After how many seconds of collecting it is worth while to look at that.
        self._order_after: float | None = (settings["order"] or {}).get("after")
        self._began = 0.0
        self._before: list[pytest.Item] = []
        self._files: list[str] = []
        self._serve = serve
        self._is_worker_s = settings["identity"] == "xdist"
        self._overrides = {**_OVERRIDES, **(_OVERRIDES_OF_TRIALS if settings["trial"] else {})}
        self._limit = settings["output_limit"]
        self._deselected = 0
        self._warned: set[tuple[str, str]] = set()
        self.reporter = Reporter(self._limit)

    def become_collector(
        self,
        events: EventPipe,
        place_of: Callable[[pytest.Item], tuple[int, int]],
        is_own: Callable[[pytest.Item], bool] | None = None,
    ) -> None:
        """Tell on its own pipe what a collector has, and where each test is.

        `is_own` tells its tests from those of other collectors.
        """
        self.events = events
        self._place_of, self._is_own = place_of, is_own

    def took(self, file: int, seconds: float, apart: float | None, names: int | None) -> None:
        """Collecting a node of a file took so long, and its parts could have shared so much.

        In a part of a file, `names` stands for all the names that the file has here so far.
        """
        before, shared, _ = self._took.get(file, (0.0, 0.0, None))
        both = None if apart is None or shared is None else round(apart + shared, 3)
        self._took[file] = [round(before + seconds, 3), both, names]

    # Wrappers run before the `tryfirst` implementations of other plugins.
    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> Generator[None, Any, Any]:
        # pytest-cov would start a second `Coverage`, which pauses ours.
        known = early_config.known_args_namespace
        if getattr(known, "cov_source", None):
            known.cov_source = []
        if self._is_worker_s:
            stand_in_for_xdist(early_config.pluginmanager)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        for name, value in self._overrides.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        _have_reruns_told()
        _without_benchmarks(config.option)
        self.role.before_configure(config)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        self.role.configure(config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Generator[None, Any, Any]:
        self.role.starting(session)
        result = yield
        self.role.started(session)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        self._began = _clock()
        result = yield
        why = Listeners(session.config).loop()
        if why is not None:
            self.role.give_up(why)
        return result

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if self._order_after is not None and isinstance(collector, pytest.File):
            id = collector.nodeid
            if self._files[-1:] != [id]:
                self._files.append(id)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> Generator[None, Any, Any]:
        # Of several collectors each looks itself.
        looks = self._order_after is not None and self._is_own is None
        self._before = list(items) if looks else []
        return (yield)

    def pytest_deselected(self, items: list[Any]) -> None:
        own = self._is_own
        self._deselected += len(items) if own is None else sum(map(own, items))

    def pytest_collectreport(self, report: Any) -> None:
        if self.quiet:
            return
        if report.failed:
            text = cut(long_text(report), 4 * self._limit)
            event = {"event": "collect-error", "id": report.nodeid, "text": text}
            self.events.send(event)
        elif report.skipped:
            event = {"event": "collect-skip", "id": report.nodeid, "reason": skip_reason(report)}
            self.events.send(event)

    def pytest_warning_recorded(self, warning_message: Any, when: str) -> None:
        """Of configuration and collection; those of tests go the way of their reports."""
        key = warning_text(warning_message)
        if when in ("config", "collect") and not self.quiet and key not in self._warned:
            self._warned.add(key)
            text, where = cut(key[0], self._limit), key[1]
            event = {"event": "python-warning", "text": text, "where": where, "times": 1}
            self.events.send(event)

    @pytest.hookimpl(tryfirst=True)  # instead of pytest's own loop
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.loop(session)
        self.role.tests_are_over(session)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, Any, Any]:
        self.role.finishing(session, int(exitstatus))
        result = yield
        self.role.finished(session)
        return result

    def serve_all(self, session: pytest.Session) -> None:
        """Tell what has been collected, and run of it what is asked for."""
        if self.last_failed is not None:
            self._choose(session, self.last_failed)
        if self._before:
            self._look_at_order(session)
        self.tell_collection(session.items)
        option = session.config.option
        if session.testsfailed and not option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} errors during collection")
        if not option.collectonly:
            session.config.pluginmanager.register(self.reporter)
            self._serve(session, self.reporter)

    def _choose(self, session: pytest.Session, last_failed: LastFailed) -> None:
        """Leave only the tests that are to run again: here, whatever hooks make of their ids."""
        kept, others, not_found = last_failed.choose(session.items, document_of)
        if not_found["ids"]:
            self.events.send({"event": "not-found", **not_found})
        if others:
            session.items[:] = kept
            session.testscollected = len(kept)
            session.config.hook.pytest_deselected(items=others)

    def _look_at_order(self, session: pytest.Session) -> None:
        """For the next run, which may collect in parts."""
        owners, before = ordering.owners(session.config), self._before
        self._before = []
        if owners and _clock() - self._began >= self._order_after:
            digests = ordering.digests(session.config, self._files)
            result = ordering.result(before, session.items)
            tests = len(session.items)
            self.order = {**digests, "owners": owners, "result": result, "tests": tests}

    def tell_collection(self, items: list[pytest.Item]) -> None:
        known = marks(items)
        for first in range(0, len(items), _IDS_PER_LINE):
            some = items[first : first + _IDS_PER_LINE]
            event: dict[str, Any] = {"event": "ids", "first": first}
            event["ids"] = [item.nodeid for item in some]
            for kind, names in known.items():
                places = range(first, first + len(some))
                here = {str(at): names[at] for at in places if at in names}
                if here:
                    event[kind] = here
            if self._place_of is not None:
                event["files"] = _lengths(map(self._place_of, some))
            self.events.send(event)
        collected = {"event": "collected", "tests": len(items), "deselected": self._deselected}
        if self.order is not None:
            collected["order"] = self.order
        if self._place_of is not None:
            collected["seconds"] = [[file, *took] for file, took in self._took.items()]
        self.events.send(collected)


def _lengths(places: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Runs of equal places: each with the length of its run."""
    return [[*place, sum(1 for _ in run)] for place, run in groupby(places)]


def _without_benchmarks(option: Any) -> None:
    """Have pytest-benchmark call what it would measure once, as under pytest-xdist.

    Side by side nothing is measured well, and the table is printed where no test runs.
    """
    if hasattr(option, "benchmark_disable") and not option.benchmark_only:
        option.benchmark_disable = True


def _have_reruns_told() -> None:
    """Have pytest-rerunfailures report each attempt, without a server for workers of others.

    Wherever pytest-xdist is installed it starts a thread for them, with which nothing can be
    forked; and in a worker it keeps attempts to itself where it is not installed.
    """
    plugin = sys.modules.get("pytest_rerunfailures")
    if plugin is not None:
        plugin.HAS_PYTEST_HANDLECRASHITEM = False
        plugin.works_with_current_xdist = lambda: True


class Contexts:
    """A context for each phase of each test, as `pytest --cov-context=test` names them."""

    def __init__(self, cov: Any) -> None:
        self._cov = cov

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._cov.switch_context(f"{item.nodeid}|setup")

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._cov.switch_context(f"{item.nodeid}|run")

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._cov.switch_context(f"{item.nodeid}|teardown")
