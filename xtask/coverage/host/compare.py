"""Compares what several runs of one suite have measured: files, lines and arcs.

Started once by the project's own interpreter, because only its coverage can read its data.
What the sequential runs do not agree on is noise of the suite. What all of them have and the
parallel run lacks is missing, what only the parallel run has is extra: faults, both of them.
A sequential run measures nothing below folders of the tool's: what the others find there is extra.
"""

from __future__ import annotations

import json
import os
from typing import Any

from coverage import CoverageData

from xtask_files import Hidden

#: Opens the line of stdout that holds the answer.
MARK = "xtask-report:"

#: Which of the weighed places are which.
KINDS = ("noise", "missing", "extra")

Json = dict[str, Any]
Places = set[Any]


class Measured:
    """All that one data file holds."""

    def __init__(self, path: str, hidden: Hidden | None = None) -> None:
        data = CoverageData(path)
        data.read()
        files = data.measured_files()
        self.files: Places = {file for file in files if not (hidden and hidden.hides(file))}
        self.lines = {file: set(data.lines(file) or ()) for file in self.files}
        self.arcs = {file: set(data.arcs(file) or ()) for file in self.files}


def compare(sequential: list[Measured], parallel: Measured, root: str) -> Json:
    runs = [*sequential, parallel]
    files = weigh([run.files for run in sequential], parallel.files)
    answer: Json = {kind: [] for kind in KINDS}
    for file in sorted(set.union(*(run.files for run in runs))):
        lines = weigh([run.lines.get(file, set()) for run in sequential], parallel.lines.get(file))
        arcs = weigh([run.arcs.get(file, set()) for run in sequential], parallel.arcs.get(file))
        for kind in KINDS:
            place = {"whole": file in files[kind], "lines": lines[kind], "arcs": arcs[kind]}
            if any(place.values()):
                answer[kind].append({"file": _shown(file, root), **_sorted(place)})
    return {**answer, **_counts(sequential)}


def weigh(sequential: list[Places], parallel: Places | None) -> dict[str, Places]:
    """Tells noise from fault."""
    parallel = parallel or set()
    always, ever = set.intersection(*sequential), set.union(*sequential)
    return dict(zip(KINDS, (ever - always, always - parallel, parallel - ever)))


def _counts(sequential: list[Measured]) -> Json:
    """How much there was to compare."""
    first = sequential[0]
    return {
        "files": len(first.files),
        "measured_lines": sum(map(len, first.lines.values())),
        "measured_arcs": sum(map(len, first.arcs.values())),
    }


def _sorted(place: Json) -> Json:
    return {**place, "lines": sorted(place["lines"]), "arcs": sorted(place["arcs"])}


def _shown(file: str, root: str) -> str:
    """Relative to the project where it lies in it."""
    inside = os.path.isabs(file) and file.startswith(os.path.join(root, ""))
    shown = os.path.relpath(file, root) if inside else file
    # Lone surrogates (names that are not UTF-8): no strict JSON reader takes them.
    return shown.encode("utf-8", "backslashreplace").decode()


def main(request: Json) -> None:
    """Answer on a marked line of stdout."""
    hidden = Hidden(request["hidden"], request["sources"], os.getcwd())
    sequential = [Measured(path, hidden) for path in request["sequential"]]
    answer = compare(sequential, Measured(request["parallel"]), os.getcwd())
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)
