"""Which files belong into the result: none of what the tool or the environment keeps within the
measured source, and each of the source that nobody has named.

Coverage walks the folders of its source, and what lies there it counts: with
`include_namespace_packages` that is an environment too, should it lie there.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import coverage

#: The tool's own folder in a project outside of any workspace, perhaps in one further down.
OURS = ".xtask"
#: Where an environment keeps what is installed.
INSTALLED = ("site-packages", "dist-packages")


class Hidden:
    """The folders that are not of the source, though they may lie in it."""

    def __init__(self, folders: Iterable[str], sources: Iterable[str], root: str) -> None:
        named = [os.path.realpath(os.path.join(root, name)) for name in sources]
        self._packages = [name.replace(".", "/") for name in sources]
        # What is asked for by its own name is meant, wherever it lies.
        self._folders = [
            (folder, [source for source in named if _lies_in(source, folder)])
            for folder in map(os.path.realpath, folders)
        ]
        self._root = os.path.realpath(root)

    def hides(self, path: str) -> bool:
        path = os.path.realpath(os.path.join(self._root, path))
        if self._is_in_one(path):
            return not self._is_of_a_package(path)
        return False

    def _is_in_one(self, path: str) -> bool:
        within = path[len(self._root) :] if _lies_in(path, self._root) else ""
        return OURS in within.split(os.sep) or any(
            _lies_in(path, folder) and not any(_lies_in(path, source) for source in sources)
            for folder, sources in self._folders
        )

    def _is_of_a_package(self, path: str) -> bool:
        """Whether it is installed, and of a package that is measured."""
        parts = path.split(os.sep)
        at = max((at for at, part in enumerate(parts) if part in INSTALLED), default=None)
        if at is None:
            return False
        name = os.path.splitext("/".join(parts[at + 1 :]))[0]
        return any(name == one or name.startswith(f"{one}/") for one in self._packages)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def take_out(data_file: str, hidden: Hidden) -> None:
    """Forget what was measured of hidden files."""
    with closing(sqlite3.connect(data_file)) as database, database:
        files = database.execute("select id, path from file").fetchall()
        ids = [(number,) for number, path in files if hidden.hides(path)]
        for table in ("arc", "line_bits", "tracer"):
            database.executemany(f"delete from {table} where file_id = ?", ids)
        database.executemany("delete from file where id = ?", ids)


def add_unexecuted(cov: coverage.Coverage, files: Iterable[str]) -> None:
    """Have files of the source be there that no test has imported.

    Coverage finds those of packages alone, and of modules none.
    """
    data = cov.get_data()
    known = data.measured_files()
    named = ((file, _as_measured(cov, file)) for file in files)
    new = [name for file, name in named if name not in known and _counts(cov, file)]
    if new:
        if not known:
            # No part has anything, so nothing says which kind of data this is.
            (data.add_arcs if cov.get_option("run:branch") else data.add_lines)({})
        data.touch_files(new)


def _as_measured(cov: Any, file: str) -> str:
    return cov._file_mapper(file)


def _counts(cov: Any, file: str) -> bool:
    """Not what is left out by configuration, nor what is no Python: a template, say."""
    try:
        from coverage.files import GlobMatcher, prep_patterns
    except ImportError:
        return False
    if GlobMatcher(prep_patterns(cov.config.run_omit or []), "omit").match(file):
        return False
    try:
        with open(file, "rb") as source:
            compile(source.read(), file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return False
    return True
