"""Parts: turns the logs of a split's units, and their subprocesses' files, into one data file."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import sqlite3
from array import array
from collections.abc import Iterator
from typing import Any, Callable

from coverage import CoverageData
from coverage.exceptions import CoverageException

from xtask_host.coverage_log import DAMAGED, read_log, unpack_arcs, unpack_lines

LOG = "log"
# Private names are taken at import: tests may replace them.
_list, _stat = os.listdir, os.stat
# How coverage names the file of a process, but for the hash that it adds when it saves.
_SAVED = r"(\.coverage\..+\.pid\d+\.X\w+x)(\.H\w+h)?"


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
        self.damaged: list[tuple[int, str]] = []  # with the unit
        self._add({})

    def add_unit(self, unit: int, folder: str) -> tuple[int, str, int]:
        """Take what a unit has left. Returns how much was found (`whole`, `partial`, `damaged`
        or `none`), and of how many tests."""
        contexts: dict[str, dict[str, bytes]] = {}
        log = os.path.join(folder, LOG)
        state = "partial" if os.path.exists(log) else "none"
        tests, announced = 0, set()
        for frame in read_log(log) if state == "partial" else ():
            self._take(frame, contexts)
            state = {("end",): "whole", DAMAGED: "damaged"}.get(frame[:1], "partial")
            tests += frame[0] == "test"
            announced.update(frame[1] if frame[0] == "saved" else ())
        with _one_transaction(self._data):
            for context, files in contexts.items():
                self._data.set_context(context)
                self._add(files)
        self._add_saved_files(unit, folder, announced)
        return unit, state, tests

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

    def _add_saved_files(self, unit: int, folder: str, announced: set[str]) -> None:
        """Merge what subprocesses of tests have saved."""
        for path in saved_files(folder):
            announced.discard(process_file(os.path.basename(path)))
            wrong = merge_sound_file(self._data, path)
            if wrong is not None:
                self.damaged.append((unit, wrong))
        for name in sorted(announced):
            self.damaged.append((unit, f"`{os.path.join(folder, name)}` is missing"))

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


def process_file(name: str) -> str | None:
    """What the name of a process's data file begins with from its first moment on."""
    # Most folders hold none, and need not have the pattern compiled.
    match = re.fullmatch(_SAVED, name) if name.startswith(".coverage.") else None
    return match and match[1]


class Watch:
    """Notes which data files subprocesses of tests have begun in a folder.

    One that was there once must be there in the end.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._changed: int | None = None
        self._known: set[str] = set()

    def new(self) -> list[str]:
        """Those that have come since the last look. A folder that has not changed is not read."""
        try:
            changed = _stat(self._folder).st_mtime_ns
        except OSError:
            return []  # a test has removed it; that the log is gone is seen when it is read
        if changed == self._changed:
            return []
        self._changed = changed
        return self.all_new()

    def all_new(self) -> list[str]:
        """The same, however short ago the last change is: a clock of files ticks slowly."""
        try:
            found = {name for name in map(process_file, _list(self._folder)) if name}
        except OSError:
            return []
        new = sorted(found - self._known)
        self._known.update(new)
        return new


def merge_sound_file(data: CoverageData, path: str) -> str | None:
    """Merge a file; returns what is wrong with it, if anything is."""
    try:
        if os.path.getsize(path) == 0:
            return f"`{path}` is empty"
        merge_file(data, path)
    except (CoverageException, sqlite3.Error, OSError) as error:
        return f"`{path}`: {error}"
    return None


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
