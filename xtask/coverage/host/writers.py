"""Writers: forks that turn the logs of finished splits into data files, aside from the tests.

A log is cheap to write and has to be paid for once: about 3 µs an arc that stands in
a context of its own, which for a large suite with contexts is longer than its tests.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import deque
from typing import Any

from xtask_host import children
from xtask_host.event_pipe import exit_now

# Whatever is imported while collecting may replace it (gevent does).
_fork = os.fork

Folders = list  # of (unit, folder)
Splits = list  # of (split, folders)


class Writers:
    """Writes splits, in as many forks at once as there are slots.

    What waits when a fork is begun is dealt out to all that may be: a fork costs more than
    writing the little that a split of a small suite has left.
    """

    def __init__(self, measurement: Any, limit: int) -> None:
        self._measurement = measurement
        self._limit = limit
        self._waiting: deque[tuple[int, int | None, Folders]] = deque()  # with its size first
        self._running: dict[int, Splits] = {}  # by pid

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    def add(self, split: int | None, folders: Folders) -> None:
        self._waiting.append((self._measurement.size_of(folders), split, folders))

    def turn(self, can_fork: bool) -> list[dict[str, Any]]:
        """Start what can be started; returns an event for each split that is written."""
        done: list[dict[str, Any]] = []
        for pid in list(self._running):
            if children.reap(pid) is not None:
                done += [self._event(*one) for one in self._running.pop(pid)]
        while self._waiting and len(self._running) < self._limit:
            splits = self._share()
            if can_fork:
                self._fork(splits)
            else:
                for one in splits:
                    self._write(*one)
                    done.append(self._event(*one))
        return done

    def _share(self) -> Splits:
        """Take what one more fork is to write, so that all of them write about as much."""
        share = sum(size for size, *_ in self._waiting) / (self._limit - len(self._running))
        splits, taken = [], 0
        while self._waiting and taken < share:
            size, *one = self._waiting.popleft()
            taken += size
            splits.append(one)
        return splits

    def kill(self) -> None:
        for pid in self._running:
            children.kill(pid)

    def _fork(self, splits: Splits) -> None:
        self._measurement.before_fork()
        with self._measurement.unnoticed_fork():
            pid = _fork()
        if pid == 0:
            sys.settrace(None)
            for one in splits:
                self._write(*one)
            exit_now(0)
        self._running[pid] = splits

    def _write(self, split: int | None, folders: Folders) -> None:
        """Write the split, and beside it what the host must know; never raises."""
        try:
            told = self._measurement.write_split(split, folders)
        except BaseException:
            told = {"error": traceback.format_exc()}
        with open(self._note(split), "w", encoding="utf-8") as note:
            json.dump(told, note)

    def _note(self, split: int | None) -> str:
        return self._measurement.file_of_split(split) + ".json"

    def _event(self, split: int | None, folders: Folders) -> dict[str, Any]:
        file = self._measurement.file_of_split(split)
        event = {"event": "data", "split": split, "file": file}
        try:
            with open(self._note(split), encoding="utf-8") as note:
                told = json.load(note)
            os.unlink(self._note(split))
        except (OSError, ValueError) as error:
            told = {"error": f"the writer died: {error}"}
        if "error" in told:
            nothing = [(unit, "none", 0) for unit, _ in folders]
            return {**event, "file": None, "units": nothing, "error": told["error"]}
        self._measurement.learn(told)
        return {**event, "units": told["units"], "damaged": told["damaged"]}
