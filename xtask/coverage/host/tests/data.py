"""Reads coverage data, and makes what it is compared with: the data of a sequential run."""

from __future__ import annotations

import glob
import subprocess
import sys
from pathlib import Path
from typing import Any

from coverage import CoverageData

from driver import clean_environment, group_dead


def contents(files: list[str]) -> dict[str, Any]:
    """Everything in some data files, merged: per file and context its lines and arcs."""
    merged: dict[str, Any] = {"tracers": {}, "files": {}}
    for name in files:
        data = CoverageData(basename=name)
        data.read()
        for file in data.measured_files():
            contexts = merged["files"].setdefault(file, {})
            if data.file_tracer(file):
                merged["tracers"][file] = data.file_tracer(file)
            for context in data.measured_contexts():
                data.set_query_context(context)
                lines, arcs = contexts.setdefault(context, (set(), set()))
                lines.update(data.lines(file) or ())
                arcs.update(data.arcs(file) or ())
            data.set_query_contexts(None)
    for contexts in merged["files"].values():
        for context in [one for one, (lines, _) in contexts.items() if not lines]:
            del contexts[context]
    return merged


def sequential(
    project: Path, work: Path, *args: str, pytest: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The data of `coverage run -m pytest`, with what its subprocesses saved."""
    work.mkdir(parents=True, exist_ok=True)
    python = [sys.executable, "-m", "coverage", "run"]
    where = [f"--data-file={work / '.coverage'}", *args]
    command = [*python, *where, "-m", "pytest", "-q", "-p", "no:cacheprovider", *pytest]
    environment = {**clean_environment(), "COVERAGE_FILE": str(work / ".coverage")}
    with open(work / "log", "wb") as log:
        options = {"cwd": project, "env": environment, "stdout": log, "stderr": log}
        running = subprocess.Popen(command, start_new_session=True, **options)
        running.wait()
    # The resource tracker of `multiprocessing` outlives pytest, and is measured as well.
    group_dead(running.pid)
    files = glob.glob(str(work / ".coverage*"))
    assert files, (work / "log").read_text()
    return contents(files)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Every file, tracer, line and arc that only one side has."""
    found = []
    for file in sorted({*one["files"], *other["files"]}):
        left, right = one["files"].get(file), other["files"].get(file)
        if left is None or right is None:
            found.append(f"{file}: only {'right' if left is None else 'left'}")
            continue
        for context in sorted({*left, *right}):
            mine = left.get(context, (set(), set()))
            yours = right.get(context, (set(), set()))
            if mine != yours:
                found.append(
                    f"{file} [{context}]: lines {sorted(mine[0] ^ yours[0])}, "
                    f"left arcs {sorted(mine[1] - yours[1])}, "
                    f"right arcs {sorted(yours[1] - mine[1])}"
                )
    if one["tracers"] != other["tracers"]:
        found.append(f"tracers: {one['tracers']} and {other['tracers']}")
    return found
