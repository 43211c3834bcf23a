"""Parts: turns the logs of a split's units, and their subprocesses' files, into one data file."""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
from array import array
from collections.abc import Iterator
from typing import Any, Callable

from coverage import CoverageData
from coverage.exceptions import CoverageException

from xtask_host.harvest import read_log, unpack_arcs, unpack_lines

LOG = "log"


class Part:
    """One data file in the making.

    What has no context of a test is merged in memory, eight bytes a line or arc,
    and written once: SQLite would look each row up again for each unit. What has
    one belongs to a single unit as a rule and is written at once.
    """

    def __init__(self, target: str, branch: bool, static_context: str | None) -> None:
        self.target = target
        self._temporary = f"{target}.{os.getpid()}.tmp"
        self._data = CoverageData(basename=self._temporary)
        self._branch = branch
        self._static = static_context or ""
        self._store: dict[str, bytes] = {}
        self._tracers: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.unmatched: set[str] | None = None
        self.damaged: list[str] = []
        self._add({})

    def add_unit(self, folder: str) -> str:
        """Take what a unit has left. Returns how much was found: `whole`, `partial` or `none`."""
        contexts: dict[str, dict[str, bytes]] = {}
        log = os.path.join(folder, LOG)
        state = "partial" if os.path.exists(log) else "none"
        for frame in read_log(log) if state == "partial" else ():
            self._take(frame, contexts)
            state = "whole" if frame == ("end",) else "partial"
        with _one_transaction(self._data):
            for context, files in contexts.items():
                self._data.set_context(context)
                self._add(files)
        self.add_saved_files(folder)
        return state

    def _take(self, frame: Any, contexts: dict[str, dict[str, bytes]]) -> None:
        if frame[0] in ("arcs", "lines"):
            plain = frame[1] == self._static
            store = self._store if plain else contexts.setdefault(frame[1], {})
            for file, packed in frame[2].items():
                store[file] = _union(store.get(file), packed)
        elif frame[0] == "tracers":
            self._tracers.update(frame[1])
        elif frame[0] == "imported":
            self.imported.update(frame[1])
            here, before = set(frame[2]), self.unmatched
            self.unmatched = here if before is None else before & here

    def _add(self, files: dict[str, bytes]) -> None:
        if self._branch:
            self._data.add_arcs({k: unpack_arcs(v) for k, v in files.items()})
        else:
            self._data.add_lines({k: unpack_lines(v) for k, v in files.items()})

    def add_saved_files(self, folder: str) -> None:
        """Merge what subprocesses of tests have saved."""
        for path in saved_files(folder):
            try:
                merge_file(self._data, path)
            except (CoverageException, sqlite3.Error) as error:
                self.damaged.append(f"{path}: {error}")

    def finish(self) -> None:
        """Write what is still in memory; the file gets its name when it is whole."""
        with _one_transaction(self._data):
            self._data.set_context(self._static)
            self._add(self._store)
            self._data.add_file_tracers(self._tracers)
        self._data.write()
        close(self._data)
        os.replace(self._temporary, self.target)


def _union(known: bytes | None, new: bytes) -> bytes:
    if known is None or known == new:
        return new
    return array("q", set(array("q", known)).union(array("q", new))).tobytes()


def saved_files(folder: str) -> list[str]:
    """The data files that subprocesses left in a folder, in a fixed order."""
    found = glob.glob(os.path.join(glob.escape(folder), ".coverage*"))
    return sorted(path for path in found if not path.endswith("-journal"))


def merge_file(data: CoverageData, path: str) -> None:
    """Merge one SQLite file, after a look at all of it: damage deep inside surfaces too late."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        (verdict,) = database.execute("PRAGMA quick_check").fetchone()
    if verdict != "ok":
        raise CoverageException(verdict)
    other = CoverageData(basename=path)
    other.read()
    data.update(other)
    close(other)


def close(data: CoverageData) -> None:
    """`close` is not part of the public interface of coverage 7.6."""
    closing: Callable[..., None] = getattr(data, "close", lambda force: None)
    with contextlib.suppress(TypeError):
        closing(force=True)


@contextlib.contextmanager
def _one_transaction(data: CoverageData) -> Iterator[None]:
    """One connection for many additions; each would open and close its own."""
    connect = getattr(data, "_connect", contextlib.nullcontext)
    with connect():
        yield
