"""Plays the part of Rust for a host with collectors, and shows the whole as one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from driver import PATIENCE, Driver


class Sharded(Driver):
    """A host and its collectors; tests have numbers over all, in the order of their files."""

    def __init__(self, project: Path, work: Path, collectors: int = 2, **settings: Any) -> None:
        self.count = collectors
        self.tests: list[tuple[int, int]] = []  # the collector, and the number there
        self._ids: list[str] = []
        self._units: dict[int, tuple[int, int | None]] = {}  # collector and split
        self._imports_shared = False
        self.started = 0
        super().__init__(project, work, collectors=collectors, **settings)

    def _make_pipes(self, slots: int) -> list[int]:
        fds = super()._make_pipes(slots)
        self._orders = []
        for number in range(self.count):
            read, write = os.pipe()
            self._orders.append(write)
            fds += [read, self._listen_to(of=number)]
        return fds

    def next(self) -> dict[str, Any] | None:
        event = super().next()
        if event is not None and event.get("unit") in self._units:
            self._number(event)
        if event is not None and event["event"] in ("imported", "bye", "collector-ended"):
            self._share_imports()
        return event

    def _share_imports(self) -> None:
        """When all collectors have told, tell each what the others have imported."""
        told = {event["of"]: event["modules"] for event in self.all("imported")}
        ended = {
            event.get("of") for event in self.events if event["event"] in ("bye", "collector-ended")
        }
        if self._imports_shared or not told or not set(range(self.started)) <= {*told, *ended}:
            return
        self._imports_shared = True
        every = {module: None for modules in told.values() for module in modules}
        for number, own in told.items():
            if number not in ended:
                self.order(number, "import", modules=[one for one in every if one not in own])

    def _number(self, event: dict[str, Any]) -> None:
        """From a collector's own numbers of tests to those over all."""
        collector, _ = self._units[event["unit"]]
        if "test" in event:
            event["test"] = self.tests.index((collector, event["test"]))
        if "left" in event:
            event["left"] = [self.tests.index((collector, one)) for one in event["left"]]

    def order(self, number: int, cmd: str, **fields: Any) -> None:
        os.write(self._orders[number], json.dumps({"cmd": cmd, **fields}).encode() + b"\n")

    def share(
        self, files: list[list[int]] | None = None, parted: tuple[int, ...] | None = None
    ) -> None:
        """Hand the files out, one after the other if nothing else is asked for.

        All started collectors share those that are parted: `()` is for each of them.
        """
        known = self.until("files")["files"]
        shares = files or [list(range(at, len(known), self.count)) for at in range(self.count)]
        self.started = min(self.count, len(known))
        parted = range(len(known)) if parted == () else parted or ()
        for number, share in enumerate(shares):
            if number < len(known):
                parts = {str(file): [number, self.started] for file in parted}
                whole = [file for file in share if file not in parted]
                self.order(number, "collect", files=whole, parts=parts)

    def collect(
        self, files: list[list[int]] | None = None, parted: tuple[int, ...] | None = None
    ) -> None:
        """Collect all, and join it as Rust does."""
        self.share(files, parted)
        for number in range(self.started):
            self._until_collected(number)
        found = []
        for event in self.all("ids"):
            at = 0
            for file, name, length in event["files"]:
                for offset in range(at, at + length):
                    place = event["of"], event["first"] + offset
                    found.append(((file, name), place, event["ids"][offset]))
                at += length
        found.sort()
        self.tests = [place for _, place, _ in found]
        self._ids = [id for _, _, id in found]

    def _until_collected(self, number: int) -> None:
        while not any(
            event.get("of") == number and event["event"] in ("ready", "bye", "collector-ended")
            for event in self.events
        ):
            assert self.next() is not None, self.output()

    def collectors(self) -> list[int]:
        """The pids, in the order of their numbers."""
        started = self.all("collector-started")
        return [one["pid"] for one in sorted(started, key=lambda one: one["of"])]

    @property
    def ids(self) -> list[str]:
        return self._ids

    def holder(self, test: int) -> int:
        return self.tests[test][0]

    def run(self, unit: int, tests: list[int], slot: int = 0, split: int | None = 1) -> None:
        collectors = {self.tests[test][0] for test in tests}
        assert len(collectors) == 1, "a unit is of one collector"
        (number,) = collectors
        self._units[unit] = number, split
        numbers = [self.tests[test][1] for test in tests]
        self.order(number, "run", unit=unit, slot=slot, split=split, tests=numbers)

    def to_unit(self, cmd: str, unit: int) -> None:
        self.order(self._units[unit][0], cmd, unit=unit)

    def adopt(self, unit: int) -> None:
        folder = str(self.work / "units" / str(unit))
        self.send("adopt", unit=unit, split=self._units[unit][1], folder=folder)

    def finish(self, **fields: Any) -> dict[str, Any]:
        for number in range(self.started):
            if not self._ended(number):
                self.order(number, "finish")
                while not self._ended(number):
                    self.next()
        for unit in self._units:
            self.adopt(unit)
        self.send("finish", **{"collected": len(self.tests), **fields})
        bye = self.until("bye", of=None)
        assert self.process.wait(timeout=PATIENCE) == 0, self.output()
        return bye

    def _ended(self, number: int) -> bool:
        names = ("bye", "collector-ended")
        return any(one.get("of") == number and one["event"] in names for one in self.events)

    def hang_up(self) -> None:
        super().hang_up()
        for fd in self._orders:
            os.close(fd)
