"""Last failed: chooses from what was collected the tests of a list, those to be run again.

Not left to pytest's own `--lf`, which goes by its cache, reads each id as a path, and passes
over what it does not find again. The stock engine's plugin loads this file too, with any pytest.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

# Tests patch it while they run, and in collecting it they may have.
_realpath = os.path.realpath


class LastFailed:
    """The list, and a plugin that looks on while tests are collected."""

    def __init__(self, file: str) -> None:
        with open(file, encoding="utf-8") as text:
            listed = json.load(text)
        self._ids: set[str] = set(listed["ids"])
        self._is_part: bool = listed["narrowed"]
        self._is_exact: bool = listed.get("exact", False)
        files = listed["files"]
        self._files = None if files is None else {_realpath(path) for path in files}
        modules = listed.get("modules")
        self._modules = None if modules is None else set(modules)
        self._seen: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: Any) -> pytest.CollectReport | None:
        """Leave out files that nothing on the list is in: importing them takes the time."""
        is_file = isinstance(collector, pytest.File) and not isinstance(collector, pytest.Package)
        if not is_file or self._is_wanted(collector):
            return None
        return pytest.CollectReport(collector.nodeid, "passed", longrepr=None, result=[])

    def _is_wanted(self, file: Any) -> bool:
        if self._modules is not None and told(file.nodeid) not in self._modules:
            return False
        return self._files is None or _realpath(_path(file)) in self._files

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._seen.add(told(report.nodeid))

    def pytest_deselected(self, items: Iterable[Any]) -> None:
        if not self._is_exact:
            self._seen.update(told(item.nodeid) for item in items)

    def choose(
        self, items: list[Any], document_of: Callable[[Any], object | None]
    ) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """The tests to run, the others, and what to say of those that were not found again."""
        ids = [told(item.nodeid) for item in items]
        chosen = {at for at, id in enumerate(ids) if id in self._ids}
        missing = self._ids - self._seen - {ids[at] for at in chosen}
        missing -= set(_add_below(missing, ids, chosen))
        instead = set() if self._is_exact else _add_files(missing, ids, chosen)
        if self._is_part and not self._is_exact:
            # Of what is in other files, nothing is known.
            missing = {id for id in missing if _file(id) in instead}
        whole = bool(missing) and not chosen and self._files is None and not self._is_exact
        if whole:
            chosen.update(range(len(items)))
        _add_documents(items, chosen, document_of)
        kept = [item for at, item in enumerate(items) if at in chosen]
        others = [item for at, item in enumerate(items) if at not in chosen]
        not_found = {"ids": sorted(missing), "files": sorted(instead), "whole": whole}
        return kept, others, not_found


def told(nodeid: str) -> str:
    """An id as it is told: without lone surrogates."""
    return nodeid.encode("utf-8", "backslashreplace").decode()


def _path(collector: Any) -> str:
    return str(getattr(collector, "path", None) or collector.fspath)


def _file(id: str) -> str:
    return id.split("::", 1)[0]


def _above(id: str) -> Iterator[str]:
    """The ids of the classes, the file and the folders that a test is in."""
    file, *names = id.split("::")
    for end in range(1, len(names)):
        yield "::".join([file, *names[:end]])
    yield file
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file
        yield f"{file}/__init__.py"


def _add_below(missing: set[str], ids: list[str], chosen: set[int]) -> Iterator[str]:
    """Add the tests of files, classes and folders that could not be collected, and now can."""
    if not missing:
        return
    for at, id in enumerate(ids):
        for above in missing.intersection(_above(id)):
            chosen.add(at)
            yield above


def _add_files(missing: set[str], ids: list[str], chosen: set[int]) -> set[str]:
    """Add all tests of the files that missing ones were in; returns these files."""
    if not missing:
        return set()
    files = defaultdict(list)
    for at, id in enumerate(ids):
        files[_file(id)].append(at)
    instead = {_file(id) for id in missing} & set(files)
    chosen.update(at for file in instead for at in files[file])
    return instead


def _add_documents(
    items: list[Any], chosen: set[int], document_of: Callable[[Any], object | None]
) -> None:
    """Add the examples that others in the same document build on."""
    documents = {document_of(items[at]) for at in chosen} - {None}
    if documents:
        chosen.update(at for at, item in enumerate(items) if document_of(item) in documents)
