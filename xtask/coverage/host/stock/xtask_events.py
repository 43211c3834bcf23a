"""Tells what happens in one split of the stock engine, as JSON Lines on a pipe of its own.

A pytest plugin, loaded with ``-p xtask_events``. In the process that was started (the only one,
or xdist's controller) it writes the events; in xdist's workers it says only what the controller
cannot see, by xdist's own channel. It is installed as bytecode compiled under the name
``<xtask events>``, so coverage never measures it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import gc
import io
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from xtask_host import worker_names
from xtask_host.event_pipe import encode
from xtask_host.last_failed import LastFailed, told
from xtask_host.listeners import Listeners
from xtask_host.pytest_reports import long_text, message_of, property_of, skip_reason, warning_text
from xtask_host.temporary import share
from xtask_host.text import as_text, cut, seconds_of
from xtask_host.together import document_of, marks

Event = dict[str, Any]
Send = Callable[..., None]

# Tests patch these; ours must be the real ones.
_write, _getpid, _exit, _setitimer = os.write, os.getpid, os._exit, signal.setitimer
_list, _stat, _kill, _monotonic = os.listdir, os.stat, os.kill, time.monotonic

#: Sent by the runner when a process must leave now: what it has measured is saved first.
LEAVE = getattr(signal, "SIGPWR", None)
#: Characters kept of one captured section, and of one traceback.
SECTION_LIMIT, TEXT_LIMIT = 64 * 1024, 256 * 1024
#: Plugins of pytest, and what of them raises the errors that they have kept (pytest 8.4).
LATE = (
    ("unraisableexception", "collect_unraisable"),
    ("threadexception", "collect_thread_exception"),
)
#: Seconds between the polite end of a test that runs too long and the end of its process.
GRACE = 5.0

#: Where the stacks of a stuck test go: the log, as long as nothing captures it.
_log = os.fdopen(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 400), "w")

_settings: Event = json.loads(os.environ.pop("XTASK_STOCK", "{}"))


if _settings.get("worker") is not None:
    # Several splits run at once, none of them under pytest-xdist: the project may name things
    # after its worker. Plugins that see the variables wait for a controller, which there is none.
    worker_names.answers.update(_settings["worker"])
    worker_names.listen()


class Pipe:
    """The way to the runner; silent in a copy of the process that a test forked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 400)
        os.close(descriptor)
        self._pid = _getpid()

    def send(self, event: str, **fields: Any) -> None:
        if _getpid() != self._pid:
            return
        data = encode({"event": event, **fields})
        while data:
            data = data[_write(self._descriptor, data) :]


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Iterator[None]:
    # `--no-cov` alone leaves half of pytest-cov at work, which fails the tests that use its
    # `no_cover`.
    known = early_config.known_args_namespace
    if getattr(known, "cov_source", None):
        known.cov_source = []
    yield


@pytest.hookimpl(tryfirst=True)  # pytest's own reads what is said of temporary files in it
def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A background job of a shell starts so, and could then not be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = hasattr(config, "workerinput")
    if not worker and not _settings:
        return
    if not worker and _settings["folder"] is not None:
        share(config, _settings["basetemp_file"], _settings["folder"])
    register = config.pluginmanager.register
    settings = config.workerinput["xtask"] if worker else _settings
    register(Cut(config.pluginmanager, settings), "xtask-cut")
    if settings["timeout"] is not None:
        register(Timeout(settings["timeout"]), "xtask-timeout")
    if settings["context"] is not None:
        register(Contexts(), "xtask-contexts")
    if worker:
        register(Worker(config), "xtask-worker")
        return
    # Started by hand, from a printed command, there is nobody to tell.
    send = Pipe(_settings["events"]).send if "events" in _settings else _keep
    copies = Copies()
    register(copies, "xtask-copies")
    register(Reporter(config, send, copies), "xtask-reporter")
    if current_coverage() is not None:
        register(Saved(send, os.path.dirname(settings["cut_file"])), "xtask-saved")
    if distributes(config):
        register(Controller(send), "xtask-controller")
    leave_on_signal()


def _keep(event: str, **fields: Any) -> None:
    """Tells nobody."""


def distributes(config: pytest.Config) -> bool:
    """True in the controller of xdist, whose own plugin may not be registered yet."""
    return bool(getattr(config.option, "tx", None)) and config.option.dist != "no"


def leave_on_signal() -> None:
    """Makes LEAVE save the coverage so far and end the process at once."""
    if LEAVE is None:
        return
    pid = _getpid()

    def leave(*_: Any) -> None:
        if _getpid() == pid:
            save_coverage()
        _exit(1)

    signal.signal(LEAVE, leave)


def save_coverage() -> None:
    coverage = current_coverage()
    if coverage is not None:
        with only_warnings():
            coverage.stop()
            begin_data(coverage)
            coverage.save()


@contextlib.contextmanager
def only_warnings() -> Iterator[None]:
    """Keep the filters of the tests, which may make errors of warnings, from those of coverage."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def begin_data(coverage: Any) -> Any:
    """Have a data file be there even if nothing of the source has been executed: without one
    nobody could tell that from one that is lost."""
    data = coverage.get_data()
    if not data.measured_files():
        (data.add_arcs if coverage.config.branch else data.add_lines)({})
    return data


def current_coverage() -> Any:
    """The running measurement, or None where the run is not measured."""
    module = sys.modules.get("coverage")
    return module.Coverage.current() if module is not None else None


class Reporter:
    """Turns pytest's reports into events, in the process that was started."""

    def __init__(self, config: pytest.Config, send: Send, copies: Copies) -> None:
        self.config = config
        self.send = send
        self._copies = copies
        self._tests: dict[tuple[str, int], Event] = {}
        # What plugins report under outcomes of their own, until it is known what that was.
        self._attempts: dict[tuple[str, int], Event] = {}
        self._collect_errors: set[str] = set()
        self._last = ""
        self._words = io.StringIO()  # of plugins, at the end

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and report.nodeid not in self._collect_errors:
            self._collect_errors.add(report.nodeid)
            self.send("collect-error", id=report.nodeid, text=cut(long_text(report), TEXT_LIMIT))
        elif report.skipped:
            self.send("collect-skip", id=report.nodeid, reason=skip_reason(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._last = nodeid
        self.send("start", id=nodeid)

    @pytest.hookimpl(tryfirst=True)  # the terminal's makes one more failure of failed subtests
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        key = report.nodeid, self._copies.of(report)
        if report.when not in ("setup", "call", "teardown"):
            self._died(report, key)
            return
        if report.outcome == "rerun":
            self._tests.pop(key, None)
            self.send("rerun", id=key[0], copy=key[1], **_blow(report, report.when))
            return
        if report.outcome not in ("passed", "failed", "skipped"):
            self._attempts[key] = _blow(report, report.when)
            return
        attempt = self._attempts.get(key)
        if attempt is not None and attempt["phase"] == report.when:
            # As pytest-retry does it: the same phase again.
            self.send("rerun", id=key[0], copy=key[1], **self._attempts.pop(key))
        test = self._tests.setdefault(key, {"outcome": "passed"})
        if not _of_subtest(report):
            test[report.when] = seconds_of(getattr(report, "duration", 0.0))
        if report.failed and not _sums_up_subtests(report, test):
            timed_out = getattr(report, "xtask_timed_out", False)
            self._failed(report, key, "timeout" if timed_out else report.when)
        _judge(test, report)
        if report.when == "teardown":
            test["properties"] = [property_of(one, SECTION_LIMIT) for one in report.user_properties]
            self._finish(report, key, test["outcome"])

    def _died(self, report: pytest.TestReport, key: tuple[str, int]) -> None:
        """The report of xdist, or pytest-forked, of a crash; that may have been expected."""
        if report.failed:
            self._failed(report, key, "crash")
            self._finish(report, key, "crashed")
            return
        test = self._tests.setdefault(key, {"outcome": "passed"})
        _judge(test, report)
        self._finish(report, key, test["outcome"])

    def _failed(self, report: pytest.TestReport, key: tuple[str, int], phase: str) -> None:
        self.send("failed", id=key[0], copy=key[1], **_blow(report, phase))

    def _finish(self, report: pytest.TestReport, key: tuple[str, int], outcome: str) -> None:
        test = self._tests.pop(key, {})
        self._attempts.pop(key, None)
        self._copies.end(report)
        known = ("setup", "call", "teardown", "reason", "properties")
        fields = {key: test[key] for key in known if key in test}
        self.send("finish", id=key[0], copy=key[1], outcome=outcome, **fields)

    def pytest_warning_recorded(self, warning_message: Any, when: str) -> None:
        if not _is_coverage_s(warning_message):
            text, where = warning_text(warning_message)
            text = cut(text, SECTION_LIMIT)
            self.send("warning", text=text, place=where, once=when != "runtest")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not distributes(self.config):
            self.send("collected")

    @pytest.hookimpl(tryfirst=True)  # the controller of xdist has this loop, and no collection
    def pytest_runtestloop(self) -> None:
        """Before the first test: what will not hear all of them."""
        if _settings.get("splits", 1) > 1:
            for name in Listeners(self.config).names():
                self.send("hears-a-part", name=name)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Iterator[None]:
        # What is left to do is to save the data: a run that stops now must not cut that off. A
        # handler of ours, as what this process still starts would inherit that it is ignored.
        for number in filter(None, (signal.SIGINT, LEAVE)):
            signal.signal(number, lambda *_: None)
        yield
        tell_late_errors(self.send, self._last, late_errors(self.config))
        coverage = current_coverage()
        if coverage is not None:
            with only_warnings():
                self.send("data", file=begin_data(coverage).data_filename())
        text = (self._words.getvalue() + self._short_summary()).strip()
        if text:
            self.send("closing-words", text=cut(text, SECTION_LIMIT))
        most = _max_warnings(self.config)
        status = int(session.exitstatus)
        self.send("bye", exit=status, was=int(exitstatus), max_warnings=most)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Iterator[None]:
        """Innermost: around what plugins say, not around pytest's own list of failures."""
        writer = terminalreporter._tw
        original, writer._file = writer._file, self._words
        try:
            yield
        finally:
            writer._file = original
            original.write(self._words.getvalue())

    def _short_summary(self) -> str:
        """What `-r` asks for besides failures and errors."""
        reporter: Any = self.config.pluginmanager.getplugin("terminalreporter")
        chars = set(getattr(reporter, "reportchars", "")) - set("fEw")
        if not chars:
            return ""
        writer, words = reporter._tw, io.StringIO()
        kept = writer._file, reporter.reportchars
        writer._file, reporter.reportchars = words, "".join(sorted(chars))
        try:
            reporter.short_test_summary()
        finally:
            writer._file, reporter.reportchars = kept
        return words.getvalue()


def _max_warnings(config: pytest.Config) -> int | None:
    """Of pytest 9.1 and newer: more warnings than that in the whole run are an error."""
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    most = getattr(reporter, "_get_max_warnings", lambda: None)
    return most()


def _is_coverage_s(warning: Any) -> bool:
    """Whether a warning is about the measuring, which tests have no part in."""
    return getattr(warning.category, "__module__", "").startswith("coverage.")


class Copies:
    """Tells tests of one id apart: each worker of xdist runs one at a time."""

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._begun: dict[str, int] = {}
        self._running: dict[tuple[str, int], int] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._expect(ids)

    def _expect(self, ids: Iterable[str]) -> None:
        self._shared = {id for id, count in Counter(ids).items() if count > 1}

    def of(self, report: pytest.TestReport) -> int:
        if report.nodeid not in self._shared:
            return 0
        key = _runner(report)
        if key not in self._running:
            self._running[key] = self._begun.get(report.nodeid, 0)
            self._begun[report.nodeid] = self._running[key] + 1
        return self._running[key]

    def end(self, report: pytest.TestReport) -> None:
        self._running.pop(_runner(report), None)


def _runner(report: pytest.TestReport) -> tuple[str, int]:
    return report.nodeid, id(getattr(report, "node", None))


def _blow(report: pytest.TestReport, phase: str) -> Event:
    """What there is to say of a phase that failed."""
    return {
        "phase": phase,
        "text": cut(_text(report), TEXT_LIMIT),
        "message": cut(message_of(report), SECTION_LIMIT),
        "sections": [property_of(section, SECTION_LIMIT) for section in report.sections],
    }


def _of_subtest(report: pytest.TestReport) -> bool:
    """Of a part of a test that pytest, or pytest-subtests, reports by itself."""
    return hasattr(report, "context")


def _sums_up_subtests(report: pytest.TestReport, test: Event) -> bool:
    """Of a test whose failures are told already: in xdist's workers, pytest 9 gives it a line of
    text, how many there were."""
    text = report.longrepr if isinstance(report.longrepr, str) else ""
    return test["outcome"] == "failed" and text.startswith("contains ") and "failed subtest" in text


def _text(report: pytest.TestReport) -> str:
    """The traceback; that of a subtest with its name and values above it."""
    text = long_text(report)
    return f"{as_text(report.head_line)}\n{text}" if _of_subtest(report) else text


def _judge(test: Event, report: pytest.TestReport) -> None:
    """Sets the outcome of a test from one more of its reports; a failure stays one."""
    if report.failed:
        if test["outcome"] != "failed":
            test["outcome"] = "failed" if report.when == "call" else "error"
    elif report.skipped and not _of_subtest(report):
        test["outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        xfail = getattr(report, "wasxfail", None)
        test["reason"] = skip_reason(report) if xfail is None else as_text(xfail)
    elif report.when == "call" and hasattr(report, "wasxfail"):
        test["outcome"] = "xpassed"


def late_errors(config: pytest.Config) -> list[str]:
    """What pytest looks for once more at its very end, when nobody listens any more: errors that
    nobody could raise, which it raises then if a filter makes errors of its warnings."""
    gc.collect()
    errors = []
    for plugin, name in LATE:
        module = config.pluginmanager.get_plugin(plugin)
        try:
            getattr(module, name, lambda _: None)(config)
        except Exception as error:
            text = "".join(traceback.format_exception(type(error), error, None))
            errors.append(cut(text, TEXT_LIMIT))
    return errors


def tell_late_errors(send: Send, last: str, errors: list[str]) -> None:
    for text in errors:
        send("failed", id=last.split("::")[0], phase="late", text=text, message="", sections=[])


class Controller:
    """What only xdist's controller sees: its workers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._told_count = False
        self._uncollectable = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._uncollectable |= report.failed

    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        """Names the workers uniquely over all splits that run at once: plugins make databases
        and ports of the names. A worker that takes the place of a dead one gets a spare name."""
        for number, spec in enumerate(specs, _settings["first_worker"]):
            spec.id = f"gw{number}"
        for spec, variables in zip(specs, _settings["workers"]):
            spec.env.update(variables)
        group = config.pluginmanager.get_plugin("dsession").nodemanager.group
        used = type(specs[0])("popen")
        while used.id is None or int(used.id[2:]) < _settings["spare_worker"] - 1:
            used.id = None
            group.allocate_id(used)

    def pytest_configure_node(self, node: Any) -> None:
        """Starts coverage in a worker before anything of the project or of pytest is imported
        there; pytest-cov would start it only after the conftests."""
        node.workerinput["xtask"] = _settings
        coverage = current_coverage()
        request = None
        if coverage is not None:
            config = coverage.config
            request = {
                "config_file": config.config_file or False,
                "branch": config.branch,
                "source": config.source,
            }
        channel = node.gateway.remote_exec(START_WORKER)
        channel.send(json.dumps([request, _settings["first_worker"]]))
        pid, file = channel.receive()
        channel.waitclose()
        self._send("worker", id=node.gateway.id, pid=pid, file=file)

    @pytest.hookimpl(hookwrapper=True, optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Iterator[None]:
        outcome = yield
        outcome.force_result(with_whole_documents(outcome.get_result(), config, log))

    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if self._uncollectable and not node.config.option.continue_on_collection_errors:
            # xdist would run the tests of all other files, which pytest does not.
            dsession = node.config.pluginmanager.get_plugin("dsession")
            dsession.shouldstop = "errors during collection"
        if not self._told_count:
            self._told_count = True
            self._send("collected")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        output = getattr(node, "workeroutput", {})
        tell_late_errors(self._send, output.get("xtask_last", ""), output.get("xtask_late", []))
        if error:
            self._send("worker-lost", id=node.gateway.id, text=str(error))


def with_whole_documents(scheduler: Any, config: pytest.Config, log: Any) -> Any:
    """A scheduler of xdist's own, but for documents, which it keeps whole: the examples in one
    build on each other. `loadfile` and `loadscope` do that anyway."""
    from xdist.scheduler import LoadGroupScheduling, LoadScheduling

    documents = Documents(_settings["cut_file"])

    class Load(LoadScheduling):
        def _send_tests(self, node: Any, num: int) -> None:
            count = documents.without_a_cut(self.collection, self.pending, num)
            super()._send_tests(node, count)

    class LoadGroup(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return documents.of(nodeid) or super()._split_scope(nodeid)

    ours = {LoadScheduling: Load, LoadGroupScheduling: LoadGroup}.get(type(scheduler))
    return scheduler if ours is None else ours(config, log)


class Documents:
    """The documents in which tests are examples; workers note them with the cut, which is there
    when all have collected."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._known: dict[str, str] | None = None

    def of(self, nodeid: str) -> str | None:
        if self._known is None:
            with open(self._file, encoding="utf-8") as stream:
                cut = json.load(stream)
            documents = cut["marks"].get("documents", {})
            self._known = {cut["before"][int(at)]: name for at, name in documents.items()}
        return self._known.get(told(nodeid)) if self._known else None

    def without_a_cut(self, ids: list[str], pending: list[int], count: int) -> int:
        """So many of these, or as many more as it takes to come to the end of a document."""
        while 0 < count < len(pending):
            document = self.of(ids[pending[count - 1]])
            if document is None or document != self.of(ids[pending[count]]):
                break
            count += 1
        return count


START_WORKER = """
import json, os, sys
request, first = json.loads(channel.receive())
os.environ.pop("XTASK_STOCK", None)
if sys.platform == "linux":
    # A worker that hangs would not notice that the controller was killed: the kernel does.
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
file = None
if request is not None:
    import coverage
    measurement = coverage.Coverage(
        data_suffix=True,
        config_file=request["config_file"],
        branch=request["branch"],
        source=request["source"],
    )
    measurement.start()
    file = measurement.get_data().data_filename()
channel.send((os.getpid(), file))
"""


class Worker:
    """In a worker of xdist: saves the coverage at the end of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._last = config, ""
        name = config.workerinput["workerid"]
        os.environ["XTASK_SLOT"] = name.removeprefix("gw")
        leave_on_signal()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """Innermost: xdist's own wrapper tells the controller that the worker is done, and the
        controller may then end it; the data must be on disk before."""
        yield
        output = self._config.workeroutput
        output["xtask_last"], output["xtask_late"] = self._last, late_errors(self._config)
        save_coverage()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._last = nodeid


class Cut:
    """Notes the tests right before and right after pytest-split takes its group, in a file: a
    worker of xdist has no other way to tell before its session ends."""

    def __init__(self, manager: pytest.PytestPluginManager, settings: Event) -> None:
        self._manager, self._file = manager, settings["cut_file"]
        self._last_failed: LastFailed | None = None
        if settings["last_failed"] is not None:
            self._last_failed = LastFailed(settings["last_failed"])
            manager.register(self._last_failed, "xtask-last-failed")
        self._order_file: str | None = settings["order_file"]
        self._not_found: Event = {}
        self._items: list[pytest.Item] = []
        self._marks: dict[str, dict[int, str]] = {}
        self._before: list[str] = []
        self._after: list[str] = []

    def pytest_sessionstart(self) -> None:
        # pytest-split's hook is `trylast`, and of several such hooks the one registered last
        # runs last: so ours go right before and right behind it.
        split = self._manager.get_plugin("pytestsplitplugin")
        if split is not None:
            self._manager.unregister(split)
        self._manager.register(_Note(self._note_before), "xtask-before-cut")
        if split is not None:
            self._manager.register(split, "pytestsplitplugin")
        self._manager.register(_Note(self._note_after), "xtask-after-cut")

    def _note_before(self, items: list[pytest.Item]) -> None:
        if self._last_failed is not None:
            kept, others, self._not_found = self._last_failed.choose(items, document_of)
            if others:
                items[:] = kept
                others[0].config.hook.pytest_deselected(items=others)
        if self._order_file is not None:
            items[:] = in_order_of_the_first(items, self._order_file)
        self._items = list(items)
        self._marks = marks(items)
        self._before = [item.nodeid for item in items]

    def _note_after(self, items: list[pytest.Item]) -> None:
        if len(items) < len(self._items) and self._marks["documents"]:
            items[:] = self._with_whole_documents({id(item) for item in items})
        self._items = []
        self._after = [item.nodeid for item in items]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if len(session.items) < len(self._after):
            self._leave_out({item.nodeid for item in session.items})
        if os.path.exists(self._file):
            return  # another worker was first, and xdist itself compares what they collected
        temporary = f"{self._file}.{_getpid()}"
        with open(temporary, "w", encoding="utf-8") as stream:
            cut = {"before": self._before, "after": self._after, "not_found": self._not_found}
            stream.write(encode({**cut, "marks": self._marks}).decode())
        os.replace(temporary, self._file)

    def _with_whole_documents(self, group: set[int]) -> list[pytest.Item]:
        """The tests of this group, and a document in that of its first example: the others
        build on it."""
        firsts: dict[str, int] = {}
        documents = self._marks["documents"]

        def is_here(at: int) -> bool:
            place = firsts.setdefault(documents[at], at) if at in documents else at
            return id(self._items[place]) in group

        return [item for at, item in enumerate(self._items) if is_here(at)]

    def _leave_out(self, chosen: set[str]) -> None:
        """What hooks behind ours have taken out of this group was not to run."""
        taken = set(self._after) - chosen
        if taken:
            self._before = [id for id in self._before if id not in taken]
            self._marks = {}  # they go by place
            self._after = [id for id in self._after if id not in taken]


def in_order_of_the_first(items: list[pytest.Item], file: str) -> list[pytest.Item]:
    """The tests in the order that the first process of the run has them in, where only parameters
    have another one. Sets come in another order where a module was read from its bytecode than
    where it was compiled, even with one hash seed. The order of functions is left alone."""
    ids = [told(item.nodeid) for item in items]
    with open(f"{file}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(file):
            with open(file, "w", encoding="utf-8") as stream:
                json.dump(ids, stream)
            return items
    with open(file, encoding="utf-8") as stream:
        first = json.load(stream)
    if first == ids or [_function(id) for id in first] != [_function(id) for id in ids]:
        return items
    by_id: dict[str, list[pytest.Item]] = {}
    for id, item in zip(reversed(ids), reversed(items)):
        by_id.setdefault(id, []).append(item)
    ordered = [by_id[id].pop() for id in first if by_id.get(id)]
    return ordered if len(ordered) == len(items) else items


def _function(id: str) -> str:
    return id.split("[", 1)[0]


class _Note:
    def __init__(self, note: Callable[[list[pytest.Item]], None]) -> None:
        self._note = note

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._note(items)


class Saved:
    """Tells which data files processes of tests have begun: one that was there once must be
    there in the end. In the process that was started, whose workers have the same folder."""

    # But for the hash that coverage adds when it saves.
    _NAME = re.compile(r"(data\..+\.pid\d+\.X\w+x)(\.H\w+h)?")

    def __init__(self, send: Send, folder: str) -> None:
        self._send, self._folder = send, folder
        self._changed = 0
        self._told: set[str] = set()

    def pytest_runtest_logfinish(self) -> None:
        try:
            changed = _stat(self._folder).st_mtime_ns
        except OSError:
            return  # what is missing in it is missed at the end
        if changed != self._changed:
            self._changed = changed
            self._tell()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._tell()

    def _tell(self) -> None:
        try:
            names = filter(None, map(self._NAME.fullmatch, _list(self._folder)))
        except OSError:
            return
        new = {name[1] for name in names} - self._told
        self._told |= new
        if new:
            self._send("saved", files=[os.path.join(self._folder, name) for name in sorted(new)])


class Contexts:
    """The dynamic contexts of ``pytest --cov-context=test``, whose plugin is switched off."""

    def _switch(self, item: pytest.Item, phase: str) -> None:
        coverage = current_coverage()
        if coverage is not None:
            coverage.switch_context(f"{item.nodeid}|{phase}")

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._switch(item, "setup")

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._switch(item, "teardown")

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._switch(item, "run")


class TimedOut(BaseException):
    """Raised in a test at its time limit; no ``except Exception`` of the test stops it."""


class Timeout:
    """Ends a test that runs longer than ``--timeout`` seconds, and names it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._pid = _getpid()
        #: When this process ends, unless the test that runs ends before; None while none runs.
        self._end: float | None = None
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTSTP, self._suspend)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._left = self.seconds
        # The second net, for code that never comes back to Python: a thread in C that prints
        # the stacks to the log and ends the process.
        self._end_after(self.seconds + GRACE)
        yield
        faulthandler.cancel_dump_traceback_later()
        self._end = None

    def _end_after(self, seconds: float) -> None:
        self._end = _monotonic() + seconds
        faulthandler.dump_traceback_later(seconds, exit=True, file=_log)

    def _suspend(self, *_: Any) -> None:
        """Stop, on Ctrl-Z, and the time limits with us: the clocks behind them would go on."""
        if _getpid() != self._pid:  # forked by a test, without the thread that watches it
            _kill(_getpid(), signal.SIGSTOP)
            return
        now, end, timer = _monotonic(), self._end, _setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        _kill(_getpid(), signal.SIGSTOP)
        if timer[0] > 0:
            _setitimer(signal.ITIMER_REAL, *timer)
        if end is not None:
            self._end_after(max(end - now, 0.001))

    # Only within a phase does an exception land in the test's report.
    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._limited(item)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._limited(item)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        yield from self._limited(item)

    def _limited(self, item: pytest.Item) -> Iterator[None]:
        def ring(*_: Any) -> None:
            item.xtask_timed_out = True  # type: ignore[attr-defined]
            raise TimedOut(f"the test ran longer than {self.seconds:g} s{_other_stacks()}")

        previous = signal.signal(signal.SIGALRM, ring)
        _setitimer(signal.ITIMER_REAL, max(self._left, 0.001))
        try:
            yield
        finally:
            self._left = _setitimer(signal.ITIMER_REAL, 0)[0]
            signal.signal(signal.SIGALRM, previous)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        outcome = yield
        if getattr(item, "xtask_timed_out", False):
            report = outcome.get_result()
            if report.failed:
                report.xtask_timed_out = True
                item.xtask_timed_out = False  # type: ignore[attr-defined]


def _other_stacks() -> str:
    """The stacks of all other threads: the traceback shows only the main one."""
    me, names = threading.get_ident(), {t.ident: t.name for t in threading.enumerate()}
    stacks = [
        f"\nthread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != me
    ]
    return "".join(stacks)
