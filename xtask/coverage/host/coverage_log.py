"""The log of what a unit executed, appended to test by test, so that a crash loses nothing.

A unit never writes SQLite and never walks the source tree. After each test it
appends what is new since the last one to its log, before it says that the test
has finished; so whatever kills the process later, the coverage of each finished
test is on disk. Measured: about 0.1 ms a test, where a file of coverage's own
per unit costs 10 to 40 ms and loses everything in a crash.
"""

from __future__ import annotations

import copy
import marshal
import os
import struct
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from coverage import CoverageData

from xtask_host.event_pipe import EventPipe, getpid

# A frame is: length of the payload, the CRC of all payloads so far, the payload (marshal).
# Frames are
#   ("arcs" | "lines", context, {file: packed numbers})
#   ("tracers", {file: name of the plugin})
#   ("imported", {source package: its file}, [source packages never met])
#   ("saved", [names of files that subprocesses have begun])
#   ("test",), behind what a test has executed
#   ("end",)
_HEADER = struct.Struct("<II")
# Of what a log begins with. Not 0: zeros, which a file that was emptied has where the writer
# goes on behind them, would be a frame.
SEED = 1
_END = marshal.dumps(("end",))
_TEST = marshal.dumps(("test",))
#: Follows the last frame that was read where something else follows than its successor.
DAMAGED = ("damaged",)
_HALF = 1 << 32
Frame = tuple  # of the shapes above


def chained(payloads: Iterable[bytes], crc: int) -> tuple[bytes, int]:
    """Payloads as frames that go on from a CRC, and the CRC to go on from.

    What comes later in a log proves what came before: a log that was emptied while it was
    written, or lost a piece, is not whole whatever is appended to it.
    """
    frames = []
    for payload in payloads:
        crc = zlib.crc32(payload, crc)
        frames += [_HEADER.pack(len(payload), crc), payload]
    return b"".join(frames), crc


def read_log(path: str) -> Iterator[Frame]:
    """The whole frames of a log; the last one is `("end",)` only if nothing was cut short."""
    with open(path, "rb") as log:
        content = log.read()
    at, running = 0, SEED
    while at + _HEADER.size <= len(content):
        length, crc = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        payload = content[at : at + length]
        if len(payload) < length:
            return
        running = zlib.crc32(payload, running)
        if running != crc:
            yield DAMAGED
            return
        yield marshal.loads(payload)
        at += length


def state_of_log(path: str) -> str:
    """`whole`, `partial` (its unit was cut short) or `none`, by a look at its end."""
    try:
        with open(path, "rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - len(_END)))
            return "whole" if log.read() == _END else "partial"
    except FileNotFoundError:
        return "none"


def pack_arcs(arcs: Collection[tuple[int, int]]) -> bytes:
    return array("q", [start * _HALF + end for start, end in arcs]).tobytes()


def unpack_arcs(packed: bytes) -> list[tuple[int, int]]:
    arcs = []
    for number in array("q", packed):
        end = (number + _HALF // 2) % _HALF - _HALF // 2
        arcs.append(((number - end) // _HALF, end))
    return arcs


def pack_lines(lines: Collection[int]) -> bytes:
    return array("q", lines).tobytes()


def unpack_lines(packed: bytes) -> list[int]:
    return array("q", packed).tolist()


def lines_in(path: str, name: str) -> set[int]:
    """The lines of files of a name that a log has as executed, in whatever context and folder:
    with `relative_files` paths are not those of the code."""
    lines: set[int] = set()
    for kind, *fields in read_log(path):
        if kind not in ("arcs", "lines"):
            continue
        for file, packed in fields[1].items():
            if os.path.basename(file) == name:
                numbers = unpack_lines(packed) if kind == "lines" else chain(*unpack_arcs(packed))
                lines.update(numbers)
    return lines


class CoverageLog(CoverageData):
    """Stands where the collector expects a data file, and keeps frames for the log instead.

    A process that a test forked inherits it. There it is an ordinary data file with
    a suffix of its own, so that `patch = _exit` and the like save as they always do.
    """

    def __init__(self, basename: str, log: EventPipe, **options: Any) -> None:
        super().__init__(basename=basename, suffix=True, **options)
        self.home = getpid()
        self.flushed = False  # by the collector: it has forgotten what it had
        self.in_delta = False
        self._log = log
        self._payloads: list[bytes] = []
        self._crc = SEED
        self._context: str | None = None
        self._told_tracers: dict[str, str] = {}

    def set_context(self, context: str | None) -> str | None:
        self._context = context
        return super().set_context(context)

    def add_arcs(self, arc_data: Mapping[str, Collection[tuple[int, int]]]) -> None:
        if getpid() != self.home:
            return super().add_arcs(arc_data)
        packed = {file: pack_arcs(arcs) for file, arcs in arc_data.items() if arcs}
        return self._add("arcs", packed)

    def add_lines(self, line_data: Mapping[str, Collection[int]]) -> None:
        if getpid() != self.home:
            return super().add_lines(line_data)
        packed = {file: pack_lines(lines) for file, lines in line_data.items() if lines}
        return self._add("lines", packed)

    def _add(self, kind: str, packed: dict[str, bytes]) -> None:
        self.flushed = self.flushed or not self.in_delta
        if packed:
            self._keep(kind, self._context or "", packed)

    def add_file_tracers(self, file_tracers: Mapping[str, str]) -> None:
        if getpid() != self.home:
            return super().add_file_tracers(file_tracers)
        new = {k: v for k, v in file_tracers.items() if self._told_tracers.get(k) != v}
        if new:
            self._told_tracers.update(new)
            self._keep("tracers", new)
        return None

    def touch_files(self, filenames: Collection[str], plugin_name: str | None = None) -> None:
        # Unexecuted files are the host's business, once.
        if getpid() != self.home:
            super().touch_files(filenames, plugin_name)

    def __bool__(self) -> bool:
        return True if getpid() == self.home else super().__bool__()

    def write(self) -> None:
        """What `Coverage.save` calls: at the end, or from a signal handler of coverage's."""
        if getpid() != self.home:
            return super().write()
        if self._payloads:
            payloads, self._payloads = self._payloads, []
            frames, self._crc = chained(payloads, self._crc)
            self._log.write(frames)
        return None

    def _keep(self, *frame: Any) -> None:
        self._payloads.append(marshal.dumps(frame))

    def tell_packages(self, imported: dict[str, str], unmatched: list[str]) -> None:
        self._keep("imported", imported, unmatched)

    def tell_saved(self, names: list[str]) -> None:
        self._keep("saved", names)

    def tell_test(self) -> None:
        self._payloads.append(_TEST)

    def end(self) -> None:
        self._keep("end")
        self.write()


class _Active:
    """A tracer that has always seen something, so that flushing is never skipped."""

    def activity(self) -> bool:
        return True

    def reset_activity(self) -> None:
        pass


class Recorder:
    """Puts into the log what the collector has seen since the last look.

    The collector's own sets stay as they are: emptying them, as a flush does, would
    make the tracer note every arc again in the next test. A copy of the collector
    that holds only the news is flushed in its place, so that unpacking, path mapping
    and tracer plugins remain coverage's business, in every version of it.
    """

    def __init__(self, collector: Any) -> None:
        self._collector = collector
        self._shadow = copy.copy(collector)
        self._shadow.tracers = [_Active()]
        self._sizes: list[int] = []
        self._seen: dict[str, set[Any]] = {}

    def into(self, log: CoverageLog) -> None:
        """From here on the news go into this log."""
        self._coverage_log = log

    def collect(self) -> None:
        """Have the log hold the news."""
        if self._coverage_log.flushed:
            self._coverage_log.flushed = False
            self._seen.clear()
            self._sizes = []
        for tracer in self._collector.tracers:
            # The native core puts what it has into the collector's sets when it is asked.
            tracer.activity()
        sizes = _settled(lambda: list(map(len, self._collector.data.values())))
        if sizes != self._sizes:
            self._sizes = sizes
            self._flush(self._news())

    def _news(self) -> dict[str, set[Any]]:
        news = {}
        for file, executed in _settled(lambda: list(self._collector.data.items())):
            seen = self._seen.setdefault(file, set())
            if len(executed) != len(seen):
                news[file] = executed - seen
                seen |= news[file]
        return news

    def _flush(self, news: dict[str, set[Any]]) -> None:
        self._shadow.data = news
        self._shadow.covdata = self._coverage_log
        self._coverage_log.in_delta = True
        try:
            # The class's own: the collector's may forget what tracers have, see `native.py`.
            type(self._shadow).flush_data(self._shadow)
        finally:
            self._coverage_log.in_delta = False


def _settled(look: Any) -> Any:
    """Look at a dictionary that threads of a test may be changing."""
    while True:
        try:
            return look()
        except RuntimeError:
            continue
