"""Serving: forks a unit when told to, and says how each one ended."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

import pytest

from xtask_host import stacks, unit
from xtask_host.collectors import Collectors, how_it_ended
from xtask_host.commands import Commands
from xtask_host.outlet import Outlet, encode, exit_now, getpid
from xtask_host.reports import Reporter
from xtask_host.writers import Writers

# Seconds
_LEFTOVERS_GRACE = 0.5
_COLLECTORS_GRACE = 10.0
_COLLECTORS_GRACE_WITHOUT_RUST = 2.0


class Unit:
    """A unit that the host was told to run."""

    def __init__(self, command: dict[str, Any], folder: str) -> None:
        self.id: int = command["unit"]
        self.slot: int = command["slot"]
        self.split: int | None = command.get("split")
        self.tests: list[int] = command["tests"]
        self.folder = folder
        self.pid = 0
        self.dump: stacks.Dump | None = None

    @property
    def stacks_file(self) -> str:
        return os.path.join(self.folder, "stacks")


class Server:
    """Takes commands from the end of collection to `finish`."""

    def __init__(
        self,
        settings: dict[str, Any],
        commands: Commands,
        events: Outlet,
        slots: list[Outlet],
        measurement: Any,
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._events = events
        self._slots = slots
        self._measurement = measurement
        self._units = os.path.join(settings["work_dir"], "units")
        self._running: dict[int, Unit] = {}  # by pid
        self._leftovers: dict[int, int | None] = {}  # groups that outlived their unit: split
        self._folders: dict[int | None, list[tuple[int, str]]] = {}  # by split
        self._writers = Writers(measurement, settings["slots"])
        self._finished = False
        self._errors = 0  # of collection, that collectors have met
        self._surroundings: unit.Surroundings | None = None
        self._collectors = Collectors(events)
        self._is_collector = False

    def surround(self, session: pytest.Session) -> unit.Surroundings:
        """What forks share, made once: the folder for temporary files, the name of the run."""
        if self._surroundings is None:
            self._surroundings = unit.Surroundings(session.config, self._settings)
        return self._surroundings

    def serve(self, session: pytest.Session, reporter: Reporter) -> None:
        self._session = session
        self._reporter = reporter
        self.surround(session)
        self._can_fork = self._settings["engine"] == "fork" and self._check_threads()
        if not self._can_fork:
            unit.look_like_a_worker(session.config, self._settings, self._settings["slot"])
        if self._is_collector and self._measurement is not None:
            self._measurement.keep_collected()
        if self._settings.get("freeze", True):
            gc.collect()
            gc.freeze()
        self._events.send({"event": "ready", "fork": self._can_fork})
        self._obey_until_finished()

    def merge(self, session: pytest.Session) -> int:
        """Take over and write what collectors' units leave; returns the errors of collection."""
        self._session = session
        self._can_fork = True
        self._obey_until_finished()
        return self._errors

    def _obey_until_finished(self) -> None:
        self._commands.listen()
        try:
            while self._running or not self._finished:
                self._turn()
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
            gc.unfreeze()

    def _turn(self) -> None:
        for command in self._commands.wait(self._patience()):
            self._obey(command)
        if self._commands.closed:
            self._die_with_rust()
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

    def _check_threads(self) -> bool:
        """A lock that another thread holds at the fork stays locked for ever in the unit."""
        if single_threaded():
            return True
        count = threads_alive()
        main = threading.main_thread()
        names = [thread.name for thread in threading.enumerate() if thread is not main]
        native = count - 1 - len(names)
        if not names and self._settings.get("allow_native_threads"):
            return True
        event = {"event": "cannot-fork", "threads": count, "native": native}
        self._events.send({**event, "names": names})
        return False

    def _obey(self, command: dict[str, Any]) -> None:
        name = command.get("cmd")
        if name == "run":
            self._run(command)
        elif name == "kill":
            self._kill(self._by_id(command["unit"]))
        elif name == "stacks":
            self._ask_stacks(command["unit"])
        elif name == "adopt":
            self._adopt(command)
        elif name == "close":
            if command["split"] not in self._leftovers.values():
                self._close(command["split"])  # else `finish` does: files may still come
        elif name == "abort":
            self._kill(list(self._running.values()))
        elif name == "finish":
            self._session.testsfailed = command.get("failed", 0)
            if "collected" in command:
                self._session.testscollected = command["collected"]
            self._errors = command.get("errors", 0)
            self._finished = True
        else:
            text = f"unknown command `{name}`"
            self._events.send({"event": "error", "text": text})

    def _by_id(self, wanted: int) -> list[Unit]:
        return [one for one in self._running.values() if one.id == wanted]

    # Running

    def _run(self, command: dict[str, Any]) -> None:
        folder = os.path.join(self._units, str(command["unit"]))
        os.makedirs(folder, exist_ok=True)
        one = Unit(command, folder)
        self._folders.setdefault(one.split, []).append((one.id, folder))
        if self._can_fork:
            self._fork(one)
        else:
            self._run_here(one)

    def _pipe(self, one: Unit) -> Outlet:
        """The pipe of its slot. A host of the spawn engine has but one, of any number."""
        return self._slots[one.slot - self._settings["slot"]]

    def _fork(self, one: Unit) -> None:
        # What is buffered here would be printed again by whatever a test forks.
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = self._fork_unnoticed()
        except OSError as error:
            self._tell_exit(one, error=str(error))
            return
        if pid == 0:
            self._be(one)
        one.pid = pid
        self._running[pid] = one
        _own_group(pid)

    def _fork_unnoticed(self) -> int:
        if self._measurement is None:
            return os.fork()
        self._measurement.before_fork()
        with self._measurement.unnoticed_fork():
            return os.fork()

    def _be(self, one: Unit) -> None:
        """The unit's process, from the fork to its last instruction."""
        me = getpid()
        code = unit.BROKEN
        outlet = self._pipe(one)
        try:
            self._settle(one, outlet)
            self._run_tests(one, outlet)
            code = 0
        except BaseException:
            unit.leave_if_a_copy(me)
            _complain(outlet, one)
        finally:
            unit.leave_if_a_copy(me)
            unit.leave(code)

    def _settle(self, one: Unit, outlet: Outlet) -> None:
        """Let go of what is the host's."""
        _own_group(getpid())
        self._commands.deafen()
        os.close(self._commands.fd)
        self._events.close()
        outlet.hand_over()
        stacks.register(one.stacks_file)
        self._surroundings.arrange(one.id, one.slot)

    def _run_tests(self, one: Unit, outlet: Outlet) -> None:
        recorder: Any = unit.NoRecorder()
        if self._measurement is not None:
            recorder = self._measurement.record_unit(one.folder)
        self._reporter.begin_unit(outlet, one.id)
        left = unit.run_tests(self._session, one.tests, self._reporter, recorder)
        unit.finish(recorder)
        self._reporter.end_unit(left)
        if not self._can_fork:
            recorder.release()

    def _run_here(self, one: Unit) -> None:
        """Without forks: in this process, which is the one to be killed if it hangs."""
        # Event loops of tests want the wake-up descriptor for themselves.
        self._commands.deafen()
        try:
            stacks.register(one.stacks_file)
            with self._commands.end_with_rust():
                self._run_tests(one, self._pipe(one))
        finally:
            self._commands.listen()
        self._tell_exit(one, code=0)

    def _adopt(self, command: dict[str, Any]) -> None:
        """Take over what a unit of another host has left: its log and its saved files."""
        known = self._folders.setdefault(command.get("split"), [])
        known.append((command["unit"], command["folder"]))

    # Collectors

    def fork_scout(self) -> int:
        """Fork a process that looks around and is never heard of again; 0 in that process."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = self._fork_unnoticed()
        if pid == 0 and self._surroundings is not None:
            self._surroundings.settle()
        return pid

    def fork_collector(self, number: int) -> bool:
        """Returns true in the new collector, false in the host."""
        sys.stdout.flush()
        sys.stderr.flush()
        return self._collectors.fork(number, self._fork_unnoticed)

    def become_collector(self, number: int, commands: Commands, events: Outlet) -> None:
        """Let go of what is the host's; units are forked and served as there."""
        os.close(self._commands.fd)
        self._events.close()
        self._commands, self._events = commands, events
        for outlet in (events, *self._slots):
            outlet.hand_over()
        self._is_collector = True
        if self._surroundings is not None:
            self._surroundings.settle()
        if self._measurement is not None:
            self._measurement.become_collector(number)

    # Ending

    def _reap(self) -> None:
        for pid in list(self._running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == 0:
                continue
            one = self._running.pop(pid)
            self._tell_stacks_of(one)
            if _group_alive(pid):
                self._leftovers[pid] = one.split
            self._tell_exit(one, **how_it_ended(status))
        self._collectors.reap()

    def _tell_exit(self, one: Unit, **how: Any) -> None:
        event = {"event": "unit-exited", "unit": one.id, "slot": one.slot}
        event.update(code=how.get("code"), signal=how.get("signal"))
        if self._measurement is not None:
            event["data"] = self._measurement.state_of_unit(one.folder)
        if "error" in how:
            event["error"] = how["error"]
        if one.pid in self._leftovers:
            event["leftovers"] = True
        # On the pipe of the slot, after everything that the unit has said; the
        # unit may have been killed in mid-line.
        self._pipe(one).write(b"\n" + encode(event))

    def _kill(self, units: list[Unit]) -> None:
        for one in units:
            # Not only the group: a test may have moved its process out of it.
            _signal_group(one.pid, signal.SIGKILL)
            os.kill(one.pid, signal.SIGKILL)

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
        for one in self._by_id(wanted):
            one.dump = stacks.Dump(one.pid, one.stacks_file)

    def _patience(self) -> float | None:
        """A clock only while stacks are being written."""
        dumping = any(one.dump for one in self._running.values())
        return stacks.STEP if dumping else None

    def _tell_stacks(self) -> None:
        for one in self._running.values():
            if one.dump is not None and one.dump.settled():
                self._tell_stacks_of(one)

    def _tell_stacks_of(self, one: Unit) -> None:
        if one.dump is not None:
            text = one.dump.text(self._settings["output_limit"])
            event = {"event": "stacks", "unit": one.id, "file": one.dump.path}
            self._events.send({**event, "text": text})
            one.dump = None


def threads_alive() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def single_threaded() -> bool:
    """Whether nothing but the main thread is left, or soon will be."""
    for _ in range(10):
        if threads_alive() == 1:
            return True
        time.sleep(0.02)  # threads of the collection may be about to end
    return False


def _alive_within(seconds: float, groups: dict[int, Any]) -> list[int]:
    """Wait for groups to end; forget those that have, return the others."""
    until = time.monotonic() + seconds
    while True:
        for group in [one for one in groups if not _members(one)]:
            del groups[group]
        if not groups or time.monotonic() > until:
            return list(groups)
        time.sleep(0.02)


def _own_group(pid: int) -> None:
    """Called on both sides of the fork: whoever comes first."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
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


def _complain(outlet: Outlet, one: Unit) -> None:
    """The unit itself broke, not a test in it."""
    try:
        text = traceback.format_exc()
        outlet.send({"event": "unit-broken", "unit": one.id, "text": text})
    except BaseException:
        pass
