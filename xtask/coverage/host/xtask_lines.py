"""What coverage knows of the lines of each file, for reports on several projects at once.

Each project is analysed by its own coverage, under its own configuration; what is merged are
these analyses. Data files of different versions, or of modules of one name, never meet.
"""

from __future__ import annotations

import os
from typing import Any

from coverage import lcovreport
from coverage.report_core import get_analysis_to_report

Json = dict[str, Any]

#: Whether this coverage has functions in its own reports.
_HAS_FUNCTIONS = hasattr(lcovreport, "lcov_functions")


def of_all(cov: Any) -> list[Json]:
    """Return the lines of every file that is reported on."""
    branches = cov.get_data().has_arcs()
    return [
        {
            "path": reporter.relative_filename(),
            "file": os.path.realpath(reporter.filename),
            "statements": sorted(analysis.statements),
            "missing": sorted(analysis.missing),
            "excluded": sorted(analysis.excluded),
            "branches": _branches(analysis) if branches else [],
            "functions": _functions(reporter, analysis) if _HAS_FUNCTIONS else [],
        }
        for reporter, analysis in get_analysis_to_report(cov, None)
    ]


def _branches(analysis: Any) -> list[tuple[int, list[tuple[int, bool]]]]:
    """Return the lines that can go more than one way, and where to: a line, or below 0 the exit.

    The counts are coverage's. It does not name each way that was taken (an arc that is not among
    the possible ones stands for one that is): those are 0.
    """
    missing, executed = analysis.missing_branch_arcs(), analysis.executed_branch_arcs()
    branches = []
    for line, (ways, taken) in sorted(analysis.branch_stats().items()):
        not_taken = sorted(missing.get(line, []))[: ways - taken]
        known = sorted(set(executed.get(line, [])) - set(not_taken))[:taken]
        known += [0] * (taken - len(known))
        not_taken += [0] * (ways - taken - len(not_taken))
        branches.append((line, [(to, True) for to in known] + [(to, False) for to in not_taken]))
    return branches


def _functions(reporter: Any, analysis: Any) -> list[tuple[str, int, int, list[int]]]:
    """Return name, first line, last line and statements of each function that has any."""
    functions = []
    for region in reporter.code_regions():
        statements = sorted(analysis.statements & set(region.lines))
        if region.kind == "function" and statements:
            first = min(region.start, *region.lines)
            last = max(region.start, *region.lines)
            functions.append((region.name, first, last, statements))
    return sorted(functions)
