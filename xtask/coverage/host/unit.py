"""A unit as the process that runs it sees it: its tests, its surroundings, its end."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from typing import Any, Callable

import pytest

from xtask_host import garbage, temporary, usage, workers
from xtask_host.endings import Endings
from xtask_host.event_pipe import exit_now, getpid
from xtask_host.pytest_reports import Reporter

# Exit codes of a unit that did not run to its end by itself.
BROKEN = 70
# Plugins of pytest (8.4), what of them raises the errors that they have kept, and where these are.
_LATE = (
    ("unraisableexception", "collect_unraisable", "unraisable_exceptions"),
    ("threadexception", "collect_thread_exception", "thread_exceptions"),
)


def run_tests(
    session: pytest.Session,
    tests: list[int],
    reporter: Reporter,
    recorder: Any,
    following: Callable[[], int | None],
) -> tuple[list[int], bool]:
    """Run the tests as pytest's own loop does.

    `following` names the test that comes after these in this process; it is asked before the
    last one, whose teardown depends on it. Returns the tests that it did not come to, and
    whether the session may go on in this process.
    """
    me = getpid()
    last = len(tests) - 1
    for at, test in enumerate(tests):
        item = session.items[test]
        after = tests[at + 1] if at < last else following()
        nextitem = session.items[after] if after is not None else None
        reporter.begin(test)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        except BaseException as error:
            leave_if_a_copy(me)
            _say_why(error, reporter)
            tear_down(session, reporter)
            recorder.note()
            return tests[at:], False
        leave_if_a_copy(me)
        # In this order: a test is not called finished before its coverage is safe.
        recorder.note()
        reporter.end()
        stop = session.shouldfail or session.shouldstop
        if stop:
            reporter.send({"event": "stop", "why": "session", "text": str(stop)})
            tear_down(session, reporter)
            return tests[at + 1 :], False
    return [], True


def leave_if_a_copy(original: int) -> None:
    """A test forked and both returned: only one may go on."""
    if getpid() != original:
        exit_now(0)


def _say_why(error: BaseException, reporter: Reporter) -> None:
    """The protocol lets through what ends a session: `pytest.exit`, Ctrl-C, a broken hook."""
    if isinstance(error, pytest.exit.Exception):
        event = {"why": "exit", "text": str(error.msg), "code": error.returncode}
    elif isinstance(error, KeyboardInterrupt):
        event = {"why": "interrupt", "text": "KeyboardInterrupt"}
    else:
        event = {"why": "internal-error", "text": traceback.format_exc()}
    reporter.send({"event": "stop", **event})


def tear_down(session: pytest.Session, reporter: Reporter) -> None:
    """Tear down all that is still set up."""
    try:
        session._setupstate.teardown_exact(None)
    except BaseException:
        text = traceback.format_exc()
        reporter.send({"event": "stop", "why": "teardown", "text": text})


class Surroundings:
    """Makes a fork of the host into a process that a test may call its own."""

    def __init__(self, config: pytest.Config, settings: dict[str, Any], endings: Endings) -> None:
        self._config = config
        self._endings = endings
        self._settings = settings
        self._temporary = getattr(config, "_tmp_path_factory", None)
        if self._temporary is not None:
            self._base = temporary.base_for_forks(self._temporary, settings["basetemp_file"])

    def arrange(self, unit: int | str, slot: int, workerinput: dict[str, Any] | None) -> None:
        self.settle()
        usage.raise_oom_score()
        self._own_temporary_folder(unit, slot)
        workers.become(self._config, self._settings, slot, workerinput)

    def settle(self) -> None:
        settle(self._config, self._endings)

    def _own_temporary_folder(self, unit: int | str, slot: int) -> None:
        """As a worker of pytest-xdist has it; those that follow in its slot have others, for
        names in it are taken."""
        if self._temporary is None:
            return
        folder = self._base / f"popen-gw{slot}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            folder = self._base / f"popen-gw{slot}-{unit}"
            folder.mkdir(mode=0o700, exist_ok=True)
        # As if given, so that the end of this process removes nothing of the run's.
        self._temporary._basetemp = self._temporary._given_basetemp = folder
        if hasattr(self._temporary, "_exit_stack"):
            self._temporary._exit_stack = contextlib.ExitStack()


def settle(config: pytest.Config, endings: Endings) -> None:
    """What any fork needs, of a unit or a collector."""
    endings.disown()
    _own_capture_files(config)
    silence_terminal(config)


def _own_capture_files(config: pytest.Config) -> None:
    """The files of pytest's capture are shared, offsets included, by all that were forked.

    The objects stay: tests may have got hold of `sys.stdout` while they were collected.
    """
    capture = config.pluginmanager.getplugin("capturemanager")
    streams = getattr(capture, "_global_capturing", None)
    if capture is None or streams is None:
        return
    capture.suspend_global_capture()
    for stream in (streams.out, streams.err):
        # A file in memory is not shared, and has no descriptor.
        with contextlib.suppress(AttributeError, OSError):
            fd = stream.tmpfile.fileno()
            with tempfile.TemporaryFile(buffering=0) as own:
                os.dup2(own.fileno(), fd, inheritable=False)
    # What is left in memory was the host's to print, once.
    capture.read_global_capture()


def send_output_to(path: str | None, config: pytest.Config) -> None:
    """Have what this process prints go to a file of its own, while pytest captures nothing."""
    if path is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    capture = config.pluginmanager.getplugin("capturemanager")
    streams = getattr(capture, "_global_capturing", None)
    kept = [getattr(getattr(streams, name, None), "targetfd_save", None) for name in ("out", "err")]
    with open(path, "ab", buffering=0) as log:
        # pytest has copies of 1 and 2, which it puts back whenever it stops to capture.
        for fd in (1, 2, *kept):
            if fd is not None:
                os.dup2(log.fileno(), fd, inheritable=fd in (1, 2))


def silence_terminal(config: pytest.Config) -> None:
    """Plugins look the reporter up, so it stays; what it prints goes nowhere."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    writer = getattr(terminal, "_tw", None)
    if writer is not None and getattr(writer._file, "name", None) != os.devnull:
        writer._file = open(os.devnull, "w")
    if terminal is not None:
        # Nor need it work out what to print: that is a tenth of the time of a short test.
        terminal._show_progress_info = False
        terminal.showfspath = False


def finish(session: pytest.Session, test: int, reporter: Reporter, recorder: Any) -> None:
    """A unit's last measured moments: what only garbage held is finalised while we look."""
    garbage.collect()
    for text in late_errors(session.config):
        reporter.send({"event": "late-error", "unit": reporter.unit, "test": test, "text": text})
    recorder.end()


def late_errors(config: pytest.Config) -> list[str]:
    """What pytest looks for once more at its very end: errors that nobody could raise.

    It raises them then, if a filter makes errors of its warnings.
    """
    errors = []
    for plugin, name, _ in _LATE:
        module = config.pluginmanager.getplugin(plugin)
        try:
            getattr(module, name, lambda _: None)(config)
        except Exception as error:
            # Without the frames that lead from here to it.
            errors.append("".join(traceback.format_exception(type(error), error, None)))
    return errors


def forget_late_errors(config: pytest.Config) -> None:
    """What the collection has left is raised in the next test, once: that of the first fork."""
    for plugin, _, key in _LATE:
        module = config.pluginmanager.getplugin(plugin)
        kept = config.stash.get(getattr(module, key, None), None)  # type: ignore[arg-type]
        if kept:
            kept.clear()


def leave(code: int, endings: Endings) -> None:
    """Do what the end of a process would do for tests, but nothing of the host's.

    Threads and processes that the tests left are waited for as at the end of any
    Python process; the results are out already, so Rust may lose patience here.
    """
    me = getpid()
    endings.end()
    leave_if_a_copy(me)
    exit_now(code)


class NoRecorder:
    """Without coverage there is nothing to record."""

    def note(self) -> None:
        pass

    def begin(self, folder: str) -> None:
        pass

    def end(self) -> None:
        pass

    def release(self) -> None:
        pass
