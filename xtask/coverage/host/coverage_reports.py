"""Combines the data files of a run and renders coverage's reports, in one process.

Started once per run by the project's own interpreter, so that the project's coverage,
plugins and settings apply. Every number and every line of text is coverage's own; what is
added is strictness (a missing or damaged part is named), atomic files, and speed (each
source file is analysed once for all reports).
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import sqlite3
import sys
import time
import traceback
import urllib.parse
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import coverage
from coverage.exceptions import ConfigError, CoverageWarning, NotPython
from coverage.report_core import get_analysis_to_report
from coverage.results import Numbers, should_fail_under
from coverage.sqldata import SCHEMA_VERSION

import xtask_cobertura
import xtask_files
import xtask_forks
import xtask_lines
from xtask_shared import SharedCoverage, parse_ahead

#: Opens the line of stdout that holds the answer. Plugins may print what they like.
MARK = "xtask-report:"

#: Our temporary files. Never `.coverage.*`: coverage's commands would absorb and delete them.
TEMPORARY = ".xtask-coverage-"

TABLES = {"arc", "context", "coverage_schema", "file", "line_bits", "meta", "tracer"}

Json = dict[str, Any]


def answer(request: Json) -> Json:
    """Do all that `request` asks for. Never raises for anything the user may have caused."""
    told = _Told()
    with told.warnings_caught():
        try:
            _work(request, told)
        except ConfigError as exc:
            told["fatal"] = {"kind": "config", "message": str(exc)}
        except Exception as exc:
            message = f"{type(exc).__name__}: {exc}\n{traceback.format_exc()}"
            told["fatal"] = {"kind": "crash", "message": message}
    return told


def _work(request: Json, told: _Told) -> None:
    with told.timed("combine"):
        data_file = _data_file(request, told)
    if data_file is None:
        return
    with told.timed("report"):
        cov = _configured(SharedCoverage, request, data_file)
        cov.hidden = _hidden(request)
        cov.load()
        told["data_file"] = data_file
        _total(cov, request, told)
        _reports(cov, request, told)


class _Told(dict):  # type: ignore[type-arg]
    """The answer while it grows."""

    def __init__(self) -> None:
        super().__init__(
            versions={
                "python": ".".join(map(str, sys.version_info[:3])),
                "coverage": coverage.__version__,
            },
            data_file=None,
            combined=0,
            problems=[],
            warnings=[],
            totals=None,
            no_totals=None,
            fail_under=0.0,
            below=None,
            files=[],
            precision=0,
            lines=[],
            analyses=[],
            term=None,
            reports={},
            seconds={},
            fatal=None,
        )

    def problem(self, part: Json, what: str) -> None:
        """Name a part that cannot be used.

        Only a required part makes the result incomplete. The others are data of processes
        the tests started: one of those killed while it saved is no fault of the run.
        """
        if part["required"]:
            self["problems"].append({"split": part["split"], "file": part["file"], "what": what})
        else:
            self["warnings"].append(f"`{part['file']}` {what}")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self["seconds"][name] = time.monotonic() - began

    @contextmanager
    def warnings_caught(self) -> Iterator[None]:
        """Collect coverage's warnings, each once: every report repeats those of the last."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        texts = [str(w.message) for w in caught if issubclass(w.category, CoverageWarning)]
        self["warnings"] = list(dict.fromkeys(self["warnings"] + texts))


# Data: check, combine, put in place.


def _data_file(request: Json, told: _Told) -> str | None:
    """Return the data file to report on, combined first if there are parts."""
    target = os.path.realpath(request["data_file"])
    if request["parts"] is None:
        part = {"split": None, "file": target, "required": True}
        return target if _usable([part], told) else None
    usable = _usable(request["parts"], told)
    temporary = _combine(usable, request, target, told)
    if temporary is None:
        return None
    complete = request["complete"] and not told["problems"]
    if not complete and request["incomplete_data_file"]:
        target = os.path.realpath(request["incomplete_data_file"])
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(temporary, target)
    return target


def _usable(parts: list[Json], told: _Told) -> list[Json]:
    """Return the parts that can be combined, and name the others."""
    sound: list[tuple[Json, str | None]] = []
    for part in parts:
        try:
            sound.append((part, measured(part["file"])))
        except Unusable as exc:
            if part["required"] or os.path.exists(part["file"]):
                told.problem(part, str(exc))
    kinds = Counter(kind for _, kind in sound if kind)
    if len(kinds) < 2:
        return [part for part, _ in sound]
    usual = kinds.most_common(1)[0][0]
    for part, kind in sound:
        if kind not in (None, usual):
            told.problem(part, f"measured {kind}, the other parts measured {usual}")
    return [part for part, kind in sound if kind in (None, usual)]


class Unusable(Exception):
    """A data file that cannot be combined; the text says what is wrong with it."""


def measured(path: str) -> str | None:
    """Return what a data file holds: "branches", "lines", or None if it is empty but sound."""
    try:
        if os.path.getsize(path) == 0:
            raise Unusable("is empty")
    except FileNotFoundError:
        raise Unusable("is missing") from None
    except OSError as exc:
        raise Unusable(f"cannot be read: {exc.strerror}") from None
    try:
        # Read-only, so that looking at a file can never change or create one.
        connection = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro", uri=True)
        try:
            return _measured(connection)
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise Unusable(f"is damaged: {exc}") from None


def _measured(connection: sqlite3.Connection) -> str | None:
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise Unusable(f"is damaged: {' '.join(verdict.split())}")
    tables = {name for (name,) in connection.execute("select name from sqlite_master")}
    if TABLES - tables:
        raise Unusable("is not a coverage data file")
    row = connection.execute("select version from coverage_schema").fetchone()
    if row is None:
        raise Unusable("is damaged: its writer was stopped at its start")
    (version,) = row
    if version != SCHEMA_VERSION:
        raise Unusable(f"has data format {version}, this coverage reads {SCHEMA_VERSION}")
    # The rows decide, as they do in coverage's own combine: `meta` lacks the flag in a
    # file whose writer was forked after its parent had saved.
    for table, kind in (("arc", "branches"), ("line_bits", "lines")):
        if connection.execute(f"select exists(select 1 from {table})").fetchone()[0]:
            return kind
    return None


def _combine(parts: list[Json], request: Json, target: str, told: _Told) -> str | None:
    """Combine `parts` into a temporary file beside `target` and return its name.

    A part that coverage itself cannot take is named, and the work starts again without
    it, so that no half of it stays in the result.
    """
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    _remove_leftovers(folder)
    temporary = os.path.join(folder, f"{TEMPORARY}{os.getpid()}")
    while parts:
        _remove(temporary)
        cov = _configured(coverage.Coverage, request, temporary)
        try:
            bad = _first_refused(cov, parts)
            if bad is None:
                xtask_files.add_unexecuted(cov, request.get("guessed", ()))
                cov.save()
                xtask_files.take_out(temporary, _hidden(request))
                told["combined"] = len(parts)
                return temporary
        except BaseException:
            _remove(temporary)
            raise
        told.problem(*bad)
        parts = [part for part in parts if part is not bad[0]]
    _remove(temporary)
    return None


def _first_refused(cov: coverage.Coverage, parts: list[Json]) -> tuple[Json, str] | None:
    """Combine part by part: a refusal names its part, and files of equal content, which
    coverage skips within one call, need no special care."""
    for part in parts:
        try:
            cov.combine([part["file"]], strict=True, keep=True)
        except Exception as exc:
            return part, f"cannot be combined: {exc}"
    return None


def _configured(kind: type[Any], request: Json, data_file: str | None) -> Any:
    cov = kind(
        data_file=data_file,
        config_file=request["config_file"],
        source=request["source"],
    )
    for name, value in request["options"].items():
        cov.set_option(name, value)
    return cov


def _hidden(request: Json) -> xtask_files.Hidden:
    return xtask_files.Hidden(request.get("hidden", ()), request.get("sources", ()), os.getcwd())


# Reports.


def _total(cov: SharedCoverage, request: Json, told: _Told) -> None:
    """Fill in the totals, the totals per file, whether the threshold is missed, and lines."""
    fail_under, precision = request["fail_under"], cov.get_option("report:precision")
    if fail_under is None:
        fail_under = cov.get_option("report:fail_under")
    told["fail_under"], told["precision"] = fail_under, precision
    try:
        total, told["files"] = _numbers_of_python(cov, told)
    except Exception as exc:
        told["no_totals"] = xtask_forks.message(exc)
        return
    told["totals"] = {
        "percent": total.pc_covered,
        "percent_text": total.pc_covered_str,
        "statements": total.n_statements,
        "missing": total.n_missing,
        "excluded": total.n_excluded,
        "branches": total.n_branches,
        "partial_branches": total.n_partial_branches,
        "files": total.n_files,
    }
    if should_fail_under(total.pc_covered, fail_under, precision):
        told["below"] = _below(total, fail_under, precision)
    if request["lines_of"]:
        told["lines"] = _lines(cov, set(request["lines_of"]))
    if request.get("analyses"):
        told["analyses"] = xtask_lines.of_all(cov)


def _numbers_of_python(cov: SharedCoverage, told: _Told) -> tuple[Numbers, list[Json]]:
    """As `_numbers`, without what is no Python: a template without an ending that tests have
    run, say. Coverage's own commands stop there and report on nothing at all."""
    try:
        return _numbers(cov)
    except NotPython as exc:
        told["warnings"].append(f"{exc}; files that are no Python are left out of the reports")
        cov.set_option("report:ignore_errors", True)
        return _numbers(cov)


def _numbers(cov: SharedCoverage) -> tuple[Numbers, list[Json]]:
    """Return coverage's numbers in all and for each file."""
    cov._prepare_data_for_reporting()
    cov.get_data().set_query_contexts(cov.get_option("report:contexts"))
    total, files = Numbers(precision=cov.get_option("report:precision")), []
    for reporter, analysis in get_analysis_to_report(cov, None):
        numbers = analysis.numbers
        total += numbers
        files.append(
            {
                "path": reporter.relative_filename(),
                "percent": numbers.pc_covered,
                "statements": numbers.n_statements,
                "missing": numbers.n_missing,
                "branches": numbers.n_branches,
                "missing_branches": numbers.n_missing_branches,
            }
        )
    return total, files


def _lines(cov: SharedCoverage, wanted: set[str]) -> list[Json]:
    """Return the lines of those of the `wanted` files that are reported on."""
    branches, files = cov.get_data().has_arcs(), []
    for reporter, analysis in get_analysis_to_report(cov, None):
        file = os.path.realpath(reporter.filename)
        if file in wanted:
            stats = analysis.branch_stats() if branches else {}
            files.append(
                {
                    "path": reporter.relative_filename(),
                    "file": file,
                    "statements": sorted(analysis.statements),
                    "missing": sorted(analysis.missing),
                    "branches": [(line, *ways) for line, ways in sorted(stats.items())],
                }
            )
    return files


def _below(total: Numbers, fail_under: float, precision: int) -> str:
    """Say that the threshold is missed, in coverage's words where it has a function for it."""
    try:
        from coverage.results import format_fail_under_msg
    except ImportError:
        return f"total of {total.pc_covered_str} is less than fail-under={fail_under:.{precision}f}"
    return format_fail_under_msg(total.pc_covered, fail_under, precision)


def _reports(cov: SharedCoverage, request: Json, told: _Told) -> None:
    """Make all reports, side by side where that is sooner."""
    reports, processes = request["reports"], request["processes"]
    if request["xml_top"]:
        xtask_cobertura.FromTheTop.top = request["xml_top"]
        coverage.control.XmlReporter = xtask_cobertura.FromTheTop  # type: ignore[attr-defined]
    if not (xtask_forks.worth_it(processes, len(told["files"])) and cov.reopen()):
        for kind, path in reports.items():
            _report(cov, kind, path, told)
        return
    if xtask_forks.can_share_pages():
        xtask_forks.SharedPages.processes = processes
        coverage.control.HtmlReporter = xtask_forks.SharedPages  # type: ignore[attr-defined]
    forks = {}
    # The longest first.
    for kind in sorted(reports, key=lambda kind: kind != "html"):
        try:
            forks[kind] = xtask_forks.Fork(partial(_apart, cov, kind, reports[kind]))
        except OSError:  # no room for another process
            _report(cov, kind, reports[kind], told)
    for kind, fork in forks.items():
        try:
            part = fork.result()
        except xtask_forks.Lost as lost:
            told["reports"][kind] = {"path": reports[kind], "error": str(lost)}
        else:
            told["reports"].update(part["reports"])
            told["warnings"] += part["warnings"]
            told["term"] = told["term"] or part["term"]


def _apart(cov: SharedCoverage, kind: str, path: str | None) -> Json:
    """One report in a process of its own."""
    told = _Told()
    with told.warnings_caught():
        cov.reopen()
        _report(cov, kind, path, told)
    return told


def _report(cov: SharedCoverage, kind: str, path: str | None, told: _Told) -> None:
    try:
        if kind == "term":
            text = io.StringIO()
            cov.report(file=text)
            told["term"] = text.getvalue()
        elif kind == "html":
            path = os.path.abspath(path or cov.get_option("html:directory"))
            cov.html_report(directory=path)
        else:
            path = os.path.abspath(path or _usual_path(cov, kind))
            _write(path, _writer(cov, kind))
    except Exception as exc:
        told["reports"][kind] = {"path": path, "error": xtask_forks.message(exc)}
    else:
        told["reports"][kind] = {"path": path, "error": None}


def _usual_path(cov: SharedCoverage, kind: str) -> str:
    return "coverage.md" if kind == "markdown" else cov.get_option(f"{kind}:output")


def _writer(cov: SharedCoverage, kind: str) -> Callable[[str], object]:
    if kind == "markdown":
        return lambda path: _markdown(cov, path)
    return lambda path: getattr(cov, f"{kind}_report")(outfile=path)


def _markdown(cov: SharedCoverage, path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        cov.report(file=file, output_format="markdown")


def _write(path: str, write: Callable[[str], object]) -> None:
    """Write a whole file or none: first under another name in the same folder."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    folder, name = os.path.split(os.path.realpath(path))
    temporary = os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{name}")
    try:
        write(temporary)
        os.replace(temporary, os.path.join(folder, name))
    finally:
        _remove(temporary)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(path)


def _remove_leftovers(folder: str) -> None:
    """Remove what a run that was killed while it combined has left, a day ago or longer:
    anything younger may belong to a run that is at work."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(TEMPORARY) and time.time() - os.path.getmtime(path) > 86_400:
            _remove(path)


def ahead(known: Json) -> None:
    """Do what can be done before there is a request: parse the files named. The request may
    come at any time, and needs nothing of this."""
    _settle()
    with suppress(Exception):
        cov = _configured(coverage.Coverage, known, None)
        # Plugins may change what is excluded: have them loaded.
        cov.get_exclude_list()
        parse_ahead(cov, known["files"], bool(cov.get_option("run:branch")), _nothing_asked)


def _nothing_asked() -> bool:
    return not select.select([sys.stdin], [], [], 0)[0]


def _settle() -> None:
    # As coverage's own commands do: plugins may live in the project's folder.
    if sys.path[:1] != [""]:
        sys.path.insert(0, "")
    # What is analysed is kept to the end, and walking all of it again and again costs a
    # quarter of the time (measured on 1,000 modules) and finds nothing.
    gc.disable()


def main(request: Json) -> None:
    """Answer on a marked line of stdout."""
    _settle()
    line = json.dumps(_printable(answer(request)))
    sys.stdout.flush()
    sys.stdout.buffer.write(f"\n{MARK}{line}\n".encode("ascii"))
    sys.stdout.buffer.flush()


def _printable(value: Any) -> Any:
    """Replace lone surrogates (names that are not UTF-8): no strict JSON reader takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
