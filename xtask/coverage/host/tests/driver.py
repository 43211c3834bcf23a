"""Plays the part of Rust: starts the host, sends commands, collects events."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable

HOST = Path(__file__).resolve().parent.parent / "host.py"
PATIENCE = float(os.environ.get("DRIVER_PATIENCE", "60"))  # seconds, if all goes wrong


class Driver:
    """A running host. Every wait ends with an event or with the end of the host."""

    def __init__(self, project: Path, work: Path, slots: int = 1, **settings: Any) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self.events: list[dict[str, Any]] = []
        self._queue: deque[dict[str, Any] | None] = deque()
        self._arrived = threading.Condition()
        self._readers: list[threading.Thread] = []
        coverage = settings.pop("coverage", {})
        env = settings.pop("env", {})
        if coverage is not None:
            coverage = {"data_dir": str(work / "data"), "branch": True, **coverage}
        config = {
            "protocol": 1,
            "slots": slots,
            "work_dir": str(work),
            "coverage": coverage,
            **settings,
        }
        (work / "config.json").write_text(json.dumps(config))
        self._start(project, slots, env)

    def _start(self, project: Path, slots: int, env: dict[str, str]) -> None:
        fds = self._make_pipes(slots)
        names = ",".join(map(str, fds))
        config = self.work / "config.json"
        measures = json.loads(config.read_text())["coverage"] is not None
        command = [sys.executable, str(HOST), "--fds", names, "--config", str(config)]
        self.log = open(self.work / "log", "w+b")
        self.process = subprocess.Popen(
            command,
            cwd=project,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env={**clean_environment(), **env, **(be_measured() if not measures else {})},
            start_new_session=True,
        )
        for fd in fds:
            os.close(fd)
        if json.loads(config.read_text()).get("engine") == "spawn":
            self.send("node")

    def _make_pipes(self, slots: int) -> list[int]:
        """The host's ends, in the order in which it is given them."""
        command_read, self._commands = os.pipe()
        events = self._listen_to(main=True)
        return [command_read, events, *(self._listen_to() for _ in range(slots))]

    def _listen_to(self, of: int | None = None, main: bool = False) -> int:
        """A pipe whose events arrive here, and its end for writing."""
        read, write = os.pipe()
        reader = threading.Thread(target=self._read, args=(read, of, main), daemon=True)
        reader.start()
        self._readers.append(reader)
        return write

    def _read(self, fd: int, of: int | None, main: bool) -> None:
        with os.fdopen(fd, "rb") as pipe:
            for line in pipe:
                if line.strip():
                    event = _parse(line)
                    self._put(event if of is None else {**event, "of": of})
        if of is not None:
            self._put({"event": "collector-ended", "of": of})
        if main:
            self._put(None)

    def _put(self, event: dict[str, Any] | None) -> None:
        with self._arrived:
            self._queue.append(event)
            self._arrived.notify_all()

    def next(self) -> dict[str, Any] | None:
        with self._arrived:
            if not self._arrived.wait_for(lambda: bool(self._queue), timeout=PATIENCE):
                raise AssertionError(f"no event; had {self.events[-5:]}")
            event = self._queue.popleft()
        if event is not None:
            self.events.append(event)
        return event

    def until(self, name: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event, remembering all that come before it."""
        while True:
            event = self.next()
            if event is None:
                raise AssertionError(f"the host ended before `{name}`:\n{self.output()}")
            known = {name: event.get(name) for name in fields}
            if event["event"] == name and fields == known:
                return event

    def seen(self, name: str, **fields: Any) -> None:
        """Wait for an event, unless it has come already."""
        if not any({**one, **fields} == one for one in self.all(name)):
            self.until(name, **fields)

    def collect(self) -> None:
        self.until("ready")

    def send(self, cmd: str, **fields: Any) -> None:
        os.write(self._commands, json.dumps({"cmd": cmd, **fields}).encode() + b"\n")

    def hang_up(self) -> None:
        os.close(self._commands)

    def close(self) -> None:
        """End the host with all that it has started; nothing of it is left for later tests."""
        self.process.kill()
        groups = [self.process.pid, *(event["pid"] for event in self.all("unit-started"))]
        for group in groups:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE)

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    @property
    def ids(self) -> list[str]:
        return [id for event in self.all("ids") for id in event["ids"]]

    def all(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def holder(self, test: int) -> int:
        """The number of the process that has collected a test."""
        return 0

    def run(self, unit: int, tests: list[int], slot: int = 0, split: int | None = 1) -> None:
        self.send("run", unit=unit, slot=slot, split=split, tests=tests)

    def finish(self, **fields: Any) -> dict[str, Any]:
        self.send("finish", **fields)
        bye = self.until("bye")
        assert self.process.wait(timeout=PATIENCE) == 0, self.output()
        return bye

    def outcomes(self) -> dict[str, str]:
        ids = self.ids
        return {ids[one["test"]]: one["outcome"] for one in self.all("finish")}

    def data_files(self) -> list[str]:
        return [event["file"] for event in self.all("data")]


def run_all(
    driver: Driver,
    slots: int,
    splits: int = 2,
    group: Callable[[str], str] = lambda id: id.split("::")[0],
    **how: Any,
) -> None:
    """Collect, and run every file as a unit of its own over the slots, as Rust would."""
    driver.collect(**how)
    groups: dict[Any, list[int]] = {}
    for at, id in enumerate(driver.ids):
        groups.setdefault((driver.holder(at), group(id)), []).append(at)
    waiting = deque(enumerate(groups.values()))
    free = list(range(slots))
    running = 0
    while waiting or running:
        while waiting and free:
            unit, tests = waiting.popleft()
            driver.run(unit, tests, slot=free.pop(), split=unit % splits)
            running += 1
        free.append(driver.until("unit-exited")["slot"])
        running -= 1


def until_dead(pid: int) -> None:
    """A dead orphan may wait for its reaper; its state tells. Fails if it lives."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] in "ZX":
                    return
        except OSError:
            return
    raise AssertionError(f"process {pid} is still alive")


def group_dead(group: int) -> None:
    """Wait until a process group is empty."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
    raise AssertionError(f"process group {group} is still alive")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {"event": "malformed", "line": line}


def be_measured() -> dict[str, str]:
    """Have coverage look at a host that measures nothing itself, by `patch = subprocess`."""
    ours = os.environ.get("COVERAGE_PROCESS_CONFIG")
    if ours is None:
        return {}
    return {"COVERAGE_PROCESS_CONFIG": ours, "XTASK_HOST_IS_MEASURED": "1"}


def clean_environment() -> dict[str, str]:
    """Without what a surrounding pytest, coverage or shell has set."""
    ours = ("PYTEST_", "COVERAGE_", "COV_", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}
