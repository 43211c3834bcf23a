"""Serving: forks a unit when told to, and says how each one ended."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from xtask_host import (
    children,
    garbage,
    hazards,
    replays,
    stacks,
    unit,
    worker_names,
    worker_variables,
    workers,
)
from xtask_host.collectors import Collectors, status_of
from xtask_host.commands import Channel, Commands
from xtask_host.controller import Controller
from xtask_host.endings import Endings
from xtask_host.event_pipe import EventPipe, encode, exit_now, getpid
from xtask_host.listeners import Listeners
from xtask_host.pytest_reports import Boundaries, Reporter
from xtask_host.random_state import RandomState
from xtask_host.rows import Following, Orders, Row, Unit
from xtask_host.text import as_text, pack
from xtask_host.writers import Writers

# Whatever is imported while collecting may replace these (gevent does, and conftests).
_fork, _killpg, _setpgid = os.fork, os.killpg, os.setpgid
_close, _dup2 = os.close, os.dup2
_sleep, _monotonic = time.sleep, time.monotonic

# Seconds
_LEFTOVERS_GRACE = 0.5
_COLLECTORS_GRACE = 10.0
_COLLECTORS_GRACE_WITHOUT_RUST = 2.0
_CLOCK = 1.0  # between two looks at children whose end might not wake us up


_INTERRUPTED = (
    "SIGINT was sent to the process that forks those of the tests, which goes on: "
    "to stop a run, send it to `cargo xtask`"
)

# Puts a question to Rust, and waits for the answer: the unit that follows, or a yes or no.
_Ask = Callable[[Callable[[], None]], Any]


class Server:
    """Takes commands from the end of collection to `finish`."""

    def __init__(
        self,
        settings: dict[str, Any],
        commands: Commands,
        events: EventPipe,
        slots: list[EventPipe],
        measurement: Any,
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._events = events
        self._slots = slots
        self._measurement = measurement
        self._units = os.path.join(settings["work_dir"], "units")
        self._running: dict[int, Row] = {}  # by pid
        self._leftovers: dict[int, list[Unit]] = {}  # groups that outlived their units
        self._folders: dict[int | None, list[tuple[int, str]]] = {}  # by split
        self._writers = Writers(measurement, settings["nodes"])
        self._finished = False
        self._errors = 0  # of collection, that collectors have met
        self._surroundings: unit.Surroundings | None = None
        self.endings = Endings(settings["work_dir"])
        self._collectors = Collectors(events)
        self._is_collector = False
        # Of collectors that have not been forked.
        self.channels: list[Channel] = []
        # Hears of tests, if this process is the one that does.
        self.controller: Controller | None = None
        # Of all slots, if this is a worker that forks others: each then has a session's end.
        self.workerinputs: list[dict[str, Any]] | None = None
        self._slots_used: set[int] = set()
        # For what tests print, of each slot; none where nobody wants to see it.
        self.outputs: list[int] = []
        self._stopped = False  # by a plugin that hears of tests
        # Run from the outermost loop: tests that recurse as deep as they may want a flat stack.
        self._to_run: Callable[[], object] | None = None

    def note_start(self) -> None:
        """What is there now is ours or the user's shell's: what comes later is the project's."""
        garbage.unfreeze_when_asked()
        self._start = hazards.Snapshot()
        self._random_state = RandomState()

    def hazards(self) -> hazards.Findings:
        """What rules out forks at this moment."""
        return hazards.look(self._start)

    def surround(self, session: pytest.Session) -> unit.Surroundings:
        """What forks share, made once: the folder for temporary files, the name of the run."""
        if self._surroundings is None:
            self._surroundings = unit.Surroundings(session.config, self._settings, self.endings)
        return self._surroundings

    def serve(self, session: pytest.Session, reporter: Reporter) -> None:
        self._session = session
        self._reporter = reporter
        reporter.config = session.config
        with self._telling_why():
            self._get_ready(session)
            ready = {"event": "ready", "fork": self._can_fork, "replays": reporter.replayed}
            self._obey_until_finished(ready)

    def _get_ready(self, session: pytest.Session) -> None:
        self._listeners = Listeners(session.config)
        self.surround(session)
        self._can_fork = self._look_for_hazards()
        worker_names.stop_listening()
        if self.controller is not None:
            self._reporter.replayed = self._listeners.level()
            if not self._can_fork:
                # It remains the controller of workers that collect themselves.
                self._events.send(self.controller.nodes_event(self._reporter.replayed))
        elif self._settings["engine"] != "fork":
            self._silence_listeners()
        if self._reporter.replayed == replays.ALL:
            session.config.pluginmanager.register(Boundaries(self._reporter))
        if self._is_collector and self._measurement is not None:
            self._measurement.keep_collected()
        garbage.collect()
        self._freeze()
        self.endings.flush()

    def _silence_listeners(self) -> None:
        """In a worker: what only one process is to hear, the controller does."""
        if self._reporter.replayed == replays.ALL:
            for impl in self._listeners.heard_once():
                impl.function = _hears_nothing
                impl.argnames = ()

    def first_command(self) -> dict[str, Any] | None:
        return self._commands.first()

    def merge(self, session: pytest.Session) -> int:
        """Take over and write what collectors' units leave; returns the errors of collection."""
        self._session = session
        self._can_fork = True
        with self._telling_why():
            self._obey_until_finished()
        return self._errors

    @contextlib.contextmanager
    def _telling_why(self) -> Iterator[None]:
        """pytest takes an exception for the end of the session, and `bye` does not say which."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self._events.send({"event": "error", "text": traceback.format_exc()})
            raise

    def _obey_until_finished(self, ready: dict[str, Any] | None = None) -> None:
        self._commands.listen()
        try:
            if ready is not None:
                self._events.send(ready)
            while self._running or not self._finished:
                self._turn()
            # Units have told of theirs. Those of the collection are told where a test ran.
            unit.forget_late_errors(self._session.config)
            self._end_idle_workers()
            self._end_leftovers()
            self._collectors.end(_COLLECTORS_GRACE)
            for split in sorted(self._folders, key=str):
                self._close(split)
            self._write()
            while self._writers.busy:
                self._turn()
        finally:
            self._kill(list(self._running.values()))
            self._writers.kill()
            self._commands.deafen()
            # Hooks of the session's end may look for referrers (hypothesis does).
            garbage.unfreeze()

    def _turn(self) -> None:
        for command in self._commands.wait(self._patience()):
            self._obey(command)
            if self._to_run is not None:
                run, self._to_run = self._to_run, None
                run()
        if self._commands.closed:
            self._die_with_rust()
        if self._commands.was_interrupted():
            self._events.send({"event": "warning", "text": _INTERRUPTED})
        self._reap()
        self._write()
        self._tell_stacks()

    def _close(self, split: int | None) -> None:
        folders = self._folders.pop(split, None)
        # Units of a collector are the host's to merge.
        if folders and self._measurement is not None and not self._is_collector:
            self._writers.add(split, folders)

    def _write(self) -> None:
        for event in self._writers.turn(self._can_fork):
            self._events.send(event)

    def _look_for_hazards(self) -> bool:
        """Whether units are run in forks. Told by every engine: the next run may choose anew."""
        found = self.hazards()
        event = {"event": "looked", "hazards": found.hazards, "harmless": found.harmless}
        self._events.send(event)
        if self._settings["engine"] != "fork":
            return False
        if found.hazards and not self._settings["force_forks"]:
            self._events.send({"event": "cannot-fork", "hazards": found.hazards})
            return False
        return True

    def _obey(self, command: dict[str, Any]) -> None:
        name = command.get("cmd")
        if name == "run":
            self._run(command)
        elif name in ("go", "leave", "variables"):
            for row in self._rows_of(command["after"]):
                row.tell(command)
        elif name == "kill":
            self._kill(self._rows_of(command["unit"]))
        elif name == "stacks":
            self._ask_stacks(command["unit"])
        elif name == "adopt":
            self._adopt(command)
        elif name == "close":
            # Of open ones files may still come; `finish` closes them.
            opened = self._open_splits()
            for split in command["splits"]:
                if split not in opened:
                    self._close(split)
        elif name == "abort":
            self._kill(list(self._running.values()))
        elif name in ("replay", "crashed", "down"):
            self._replay(name, command)
        elif name == "finish":
            self._session.testsfailed = max(self._session.testsfailed, command.get("failed", 0))
            if "collected" in command:
                self._count_collected(command["collected"])
            self._errors = command.get("errors", 0)
            self._finished = True
        else:
            text = f"unknown command `{name}`"
            self._events.send({"event": "error", "text": text})

    def _count_collected(self, count: int) -> None:
        """Of tests that other processes have collected, for hooks of the session's end."""
        self._session.testscollected = count
        reporter = self._session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter._numcollected = count

    def _replay(self, name: str, command: dict[str, Any]) -> None:
        """Have plugins hear of tests; what they make of it may be the end of the session."""
        assert self.controller is not None
        slot = command["slot"]
        try:
            if name == "replay":
                self.controller.replay(slot, command["calls"])
            elif name == "crashed":
                self.controller.crashed(slot, command["id"], command["text"])
            else:
                self.controller.down(slot, command.get("output"), command.get("error"))
            stopped = self.controller.stopped()
        except pytest.exit.Exception as error:
            stopped = "exit", str(error.msg)
        except BaseException as error:
            traceback.print_exc()
            stopped = "internal-error", f"{type(error).__name__}: {as_text(error)}"
        if stopped is not None and not self._stopped:
            self._stopped = True
            event = {"event": "session-stop", "why": stopped[0], "text": stopped[1]}
            self._events.send(event)

    def _rows_of(self, wanted: int) -> list[Row]:
        return [row for row in self._running.values() if row.unit(wanted)]

    def _open_splits(self) -> set[int | None]:
        """Those of which processes live that may still save what they have measured."""
        rows = [row.units for row in self._running.values()]
        return {one.split for units in (*rows, *self._leftovers.values()) for one in units}

    # Running

    def _run(self, command: dict[str, Any]) -> None:
        after = command.get("after")
        if after is None:
            one = self._take(command)
            self._slots_used.add(one.slot)
            if self._can_fork:
                self._fork(one)
            else:
                self._to_run = functools.partial(self._run_here, one)
            return
        # If the process has gone meanwhile, Rust learns it, and gives the unit to another one.
        for row in self._rows_of(after):
            row.add(self._take(command), command)

    def _take(self, command: dict[str, Any]) -> Unit:
        one = self._unit(command)
        os.makedirs(one.folder, exist_ok=True)
        if not command.get("trial"):
            self._folders.setdefault(one.split, []).append((one.id, one.folder))
        return one

    def _unit(self, command: dict[str, Any]) -> Unit:
        return Unit(command, os.path.join(self._units, str(command["unit"])))

    def _pipe(self, one: Unit) -> EventPipe:
        """The pipe of its slot. A host of the spawn engine has but one, of any number."""
        return self._slots[one.slot - self._settings["slot"]]

    def _fork(self, one: Unit) -> None:
        # What is buffered here would be printed again by whatever a test forks.
        sys.stdout.flush()
        sys.stderr.flush()
        row = Row(one)
        try:
            pid = self._fork_unnoticed()
        except OSError as error:
            row.began()
            row.close()
            self._tell_exit(one, error=str(error))
            return
        if pid == 0:
            self._to_run = functools.partial(self._be, row)
            return
        unit.forget_late_errors(self._session.config)
        row.pid = pid
        row.began()
        row.watched = children.descriptor_of(pid)
        if row.watched is not None:
            self._commands.watch(row.watched)
        self._running[pid] = row
        _own_group(pid)

    def _fork_unnoticed(self) -> int:
        state = self._random_state.before_fork()
        if self._measurement is None:
            pid = _fork()
        else:
            self._measurement.before_fork()
            with self._measurement.unnoticed_fork():
                pid = _fork()
        if pid == 0:
            self._random_state.after_fork(state)
        return pid

    def _be(self, row: Row) -> None:
        """The process of a row, from the fork to its last instruction."""
        me = getpid()
        code = unit.BROKEN
        one = row.last
        outlet = self._pipe(one)
        try:
            self._settle(one, outlet)
            orders = row.become()
            if not self._has_variables(one, outlet, orders):
                return

            def ask(question: Callable[[], None]) -> Unit | None:
                question()
                return self._answer(orders.next())

            self._run_row(one, outlet, ask)
            code = 0
        except BaseException:
            unit.leave_if_a_copy(me)
            _complain(outlet, one)
        finally:
            unit.leave_if_a_copy(me)
            unit.leave(code, self.endings)

    def _has_variables(self, one: Unit, outlet: EventPipe, orders: Orders) -> bool:
        """Set what this worker has of its own; false where the host is gone."""
        if self._settings["worker_variables"] is None:
            return True

        def ask() -> dict[str, Any] | None:
            outlet.send({"event": "variables", "unit": one.id})
            return orders.next()

        return worker_variables.wait(ask)

    def _settle(self, one: Unit, outlet: EventPipe) -> None:
        """Let go of what is the host's."""
        _own_group(getpid())
        self._commands.deafen()
        _close(self._commands.fd)
        self._events.close()
        for other in self._running.values():
            other.close()
            if other.watched is not None:
                _close(other.watched)
        outlet.hand_over()
        self._surroundings.arrange(one.id, one.slot, self._workerinput(one.slot))
        self._show_output(one.slot)
        self._silence_listeners()

    def _show_output(self, slot: int) -> None:
        """From here on what is printed is for the user, line by line."""
        if self.outputs:
            unit.silence_terminal(self._session.config)
            sys.stdout.flush()
            sys.stderr.flush()
            for fd in (1, 2):
                _dup2(self.outputs[slot - self._settings["slot"]], fd)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(AttributeError, ValueError):
                    stream.reconfigure(line_buffering=True)

    def _workerinput(self, slot: int) -> dict[str, Any] | None:
        if self.workerinputs:
            return self.workerinputs[slot]
        return self.controller.input_of(slot) if self.controller is not None else None

    def _run_row(self, one: Unit, outlet: EventPipe, ask: _Ask) -> Unit:
        """Run a unit, and whatever follows it in this process; returns the last one."""
        recorder: Any = unit.NoRecorder()
        if self._measurement is not None:
            recorder = self._measurement.record_unit(one.folder)
        following = self._run_unit(one, outlet, recorder, ask)
        while following is not None:
            self._freeze()  # what has survived is not looked at again by later tests
            one = following
            recorder.begin(one.folder)
            following = self._run_unit(one, outlet, recorder, ask)
        if not self._can_fork:
            recorder.release()
        return one

    def _freeze(self) -> None:
        self.endings.remember()
        if self._settings.get("freeze", True):
            garbage.freeze()

    def _run_unit(self, one: Unit, outlet: EventPipe, recorder: Any, ask: _Ask) -> Unit | None:
        """Run a unit; returns the one to go on with."""
        stacks.register(one.stacks_file)
        reporter = self._reporter
        reporter.begin_unit(outlet, one.id)

        def what_follows() -> Unit | None:
            return ask(lambda: reporter.send({"event": "next", "unit": one.id}))

        following = Following(what_follows if one.asks else None)
        left, may_go_on = unit.run_tests(
            self._session, one.tests, reporter, recorder, following.test
        )
        upcoming = following.unit if may_go_on else None
        if upcoming is not None and not ask(
            lambda: reporter.send({"event": "through", "unit": one.id})
        ):
            # Another process has it by now. What it would have shared is not needed any more.
            unit.tear_down(self._session, reporter)
            upcoming = None
        if upcoming is None and self.workerinputs is not None:
            self._end_worker(reporter)
        unit.finish(self._session, one.tests[-1], reporter, recorder)
        reporter.end_unit(left, upcoming is not None)
        return upcoming

    def _end_worker(self, reporter: Reporter) -> None:
        """The session's end in a fork, which is one of the workers that plugins know."""
        try:
            output, status = workers.end_session(self._session)
        except BaseException:
            text = traceback.format_exc()
            reporter.send({"event": "stop", "why": "session-end", "text": text})
            return
        event = {"event": "worker-down", "unit": reporter.unit, "output": pack(output)}
        reporter.send({**event, "status": status} if status else event)

    def _end_idle_workers(self) -> None:
        """Plugins wait for as many workers as they were told there are: some had no test."""
        idle = set(range(self._settings["nodes"])) - self._slots_used
        if self.workerinputs is None or not self._can_fork:
            return
        for slot in sorted(idle):
            pid = self._fork_unnoticed()
            if pid == 0:
                self._be_idle(slot)
            children.wait(pid)

    def _be_idle(self, slot: int) -> None:
        try:
            self._events.hand_over()
            workerinput = self._workerinput(slot)
            self._surroundings.arrange(f"idle{slot}", slot, workerinput)
            output, _ = workers.end_session(self._session)
            event = {"event": "worker-down", "slot": slot, "output": pack(output)}
            self._events.send(event)
        finally:
            unit.leave(0, self.endings)

    def _run_here(self, one: Unit) -> None:
        """Without forks: in this process, which is the one to be killed if it hangs."""

        def ask(question: Callable[[], None]) -> Unit | None:
            return self._answer(self._commands.ask(question))

        self._show_output(one.slot)
        # Event loops of tests want the wake-up descriptor for themselves.
        self._commands.deafen()
        try:
            with self._commands.end_with_rust():
                one = self._run_row(one, self._pipe(one), ask)
                if self.outputs:
                    sys.stdout.flush()
        finally:
            self._commands.listen()
        self._tell_exit(one, code=0)

    def _answer(self, command: dict[str, Any] | None) -> Any:
        """The unit to follow, or whether to go on with it."""
        if command is None or command["cmd"] == "leave":
            return None
        if command["cmd"] == "go":
            return True
        return self._unit(command) if self._can_fork else self._take(command)

    def _adopt(self, command: dict[str, Any]) -> None:
        """Take over what a unit of another host has left: its log and its saved files."""
        known = self._folders.setdefault(command.get("split"), [])
        known.append((command["unit"], command["folder"]))

    # Collectors

    def fork_scout(self) -> int:
        """Fork a process that looks around and is never heard of again; 0 in that process."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.endings.remember()
        self.endings.flush()
        pid = self._fork_unnoticed()
        if pid == 0 and self._surroundings is not None:
            self._surroundings.settle()
        return pid

    def fork_collector(self, number: int) -> bool:
        """Returns true in the new collector, false in the host."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self._surroundings is None:
            # Before anything is configured; otherwise a scout has been forked before.
            self.endings.remember()
            self.endings.flush()
        return self._collectors.fork(number, self._fork_unnoticed)

    def forget_collector(self, number: int) -> None:
        self._collectors.forget(number)

    def drop_channels(self) -> None:
        """There will be no collectors."""
        while self.channels:
            self.channels.pop().close()

    def become_collector(self, number: int, commands: Commands, events: EventPipe) -> None:
        """Let go of what is the host's; units are forked and served as there."""
        _close(self._commands.fd)
        self._events.close()
        self._commands, self._events = commands, events
        for outlet in (events, *self._slots):
            outlet.hand_over()
        self._is_collector = True
        if self._surroundings is not None:
            self._surroundings.settle()
        self.controller = None
        if self._measurement is not None:
            self._measurement.become_collector(number)

    def leave_because(self, error: BaseException, process: int) -> None:
        """Say what has ended the session of a collector."""
        status, expected = status_of(error)
        if not expected:
            traceback.print_exc()
        if not isinstance(error, pytest.Session.Interrupted):
            text = str(error) if expected else traceback.format_exc()
            self._events.send({"event": "error", "text": text})
        self.leave_collector(status, process)

    def leave_collector(self, status: int, process: int) -> None:
        """The end of a collector; nothing happens in a copy of it that a test has made."""
        unit.leave_if_a_copy(process)
        try:
            if self._measurement is not None:
                self._measurement.end_collector()
        finally:
            self._events.send({"event": "bye", "exit": status})
            unit.leave(0, self.endings)

    # Ending

    def _reap(self) -> None:
        for pid in list(self._running):
            how = children.reap(pid)
            if how is None:
                continue
            row = self._running.pop(pid)
            row.close()
            if row.watched is not None:
                self._commands.unwatch(row.watched)
            self._tell_stacks_of(row)
            if _group_alive(pid):
                self._leftovers[pid] = row.units
            self._tell_exit(row.last, leftovers=pid in self._leftovers, **how)
        self._collectors.reap()

    def _tell_exit(self, one: Unit, **how: Any) -> None:
        event = {"event": "unit-exited", "unit": one.id, "slot": one.slot}
        event.update(code=how.get("code"), signal=how.get("signal"))
        if self._measurement is not None:
            event["data"] = self._measurement.state_of_unit(one.folder)
        event.update({name: how[name] for name in ("cpu", "error") if name in how})
        if how.get("leftovers"):
            event["leftovers"] = True
        # On the pipe of the slot, after everything that the unit has said; the
        # unit may have been killed in mid-line.
        self._pipe(one).write(b"\n" + encode(event))

    def _kill(self, rows: list[Row]) -> None:
        for row in rows:
            # Not only the group: a test may have moved its process out of it.
            _signal_group(row.pid, signal.SIGKILL)
            children.kill(row.pid)

    def _die_with_rust(self) -> None:
        self._kill(list(self._running.values()))
        self._writers.kill()
        for group in self._leftovers:
            _signal_group(group, signal.SIGKILL)
        # They lose their commands as well, and know their units.
        self._collectors.end(_COLLECTORS_GRACE_WITHOUT_RUST)
        exit_now(1)

    def _end_leftovers(self) -> None:
        """End what tests have left running; it lived as long as in a sequential run.

        It may be about to end, and to save what it has measured: a little patience first.
        """
        if not _alive_within(_LEFTOVERS_GRACE, self._leftovers):
            return
        for group in self._leftovers:
            _signal_group(group, signal.SIGTERM)
        for group in _alive_within(_LEFTOVERS_GRACE, self._leftovers):
            _signal_group(group, signal.SIGKILL)
        text = f"tests left processes running in {len(self._leftovers)} units; ended them"
        self._events.send({"event": "warning", "text": text})

    # Stacks

    def _ask_stacks(self, wanted: int) -> None:
        for row in self._rows_of(wanted):
            one = row.unit(wanted)
            row.dump = stacks.Dump(wanted, row.pid, one.stacks_file)

    def _patience(self) -> float | None:
        """A clock only while stacks are being written, or while somebody might end unheard.

        SIGCHLD wakes us up, unless a library has taken the signal for itself (libev does).
        """
        rows = self._running.values()
        if any(row.dump for row in rows):
            return stacks.STEP
        unwatched = any(row.watched is None for row in rows)
        return _CLOCK if unwatched or self._writers.busy or self._collectors.busy else None

    def _tell_stacks(self) -> None:
        for row in self._running.values():
            if row.dump is not None and row.dump.settled():
                self._tell_stacks_of(row)

    def _tell_stacks_of(self, row: Row) -> None:
        if row.dump is not None:
            text = row.dump.text(self._settings["output_limit"])
            event = {"event": "stacks", "unit": row.dump.unit, "file": row.dump.path}
            self._events.send({**event, "text": text})
            row.dump = None


def _alive_within(seconds: float, groups: dict[int, Any]) -> list[int]:
    """Wait for groups to end; forget those that have, return the others."""
    until = _monotonic() + seconds
    while True:
        for group in [one for one in groups if not _members(one)]:
            del groups[group]
        if not groups or _monotonic() > until:
            return list(groups)
        _sleep(0.02)


def _own_group(pid: int) -> None:
    """Called on both sides of the fork: whoever comes first."""
    with contextlib.suppress(OSError):
        _setpgid(pid, pid)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        _killpg(group, number)


def _group_alive(group: int) -> bool:
    try:
        _killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _members(group: int) -> list[int]:
    """The living processes of a group, of our session: the number may be another's by now."""
    session = os.getsid(0)
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, _, its_group, its_session = file.read().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if (int(its_group), int(its_session)) == (group, session) and state != "Z":
            found.append(int(name))
    return found


def _hears_nothing() -> None:
    """In place of a hook."""


def _complain(outlet: EventPipe, one: Unit) -> None:
    """The unit itself broke, not a test in it."""
    try:
        text = traceback.format_exc()
        outlet.send({"event": "unit-broken", "unit": one.id, "text": text})
    except BaseException:
        pass
