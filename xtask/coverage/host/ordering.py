"""Ordering: whose hooks order, select or mark tests, and what has come of it, as digests."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from xtask_host.plugins import file_of, is_local, name_of

# The last one sees one test after the other, but may count them.
_HOOKS = ("pytest_collection_modifyitems", "pytest_collection_finish", "pytest_itemcollected")


def owners(config: pytest.Config) -> list[str]:
    """The project's own files with hooks that may order, select or mark tests."""
    found = {}
    for hook in _HOOKS:
        for impl in getattr(config.hook, hook).get_hookimpls():
            if is_local(impl.plugin, config):
                found[name_of(impl.plugin, impl.plugin_name, config)] = None
    return list(found)


def digests(config: pytest.Config, files: Iterable[str]) -> dict[str, str]:
    """What a result depends on: hooks and options, and test files."""
    return {"code": _code(config), "inputs": _inputs(config, files)}


def _code(config: pytest.Config) -> str:
    """A digest of conftests, plugins, and pytest's settings."""
    manager = config.pluginmanager
    files = {file_of(it) for it in manager.get_plugins() if it is not None and is_local(it, config)}
    packages = {f"{dist.project_name} {dist.version}" for _, dist in manager.list_plugin_distinfo()}
    digest = hashlib.sha256(repr(sys.version_info).encode() + pytest.__version__.encode())
    for package in sorted(packages):
        digest.update(package.encode() + b"\0")
    for file in sorted({*files, str(config.inipath or "")} - {""}):
        digest.update(os.path.relpath(file, config.rootpath).encode() + _content(file))
    return digest.hexdigest()


def _inputs(config: pytest.Config, files: Iterable[str]) -> str:
    """A digest of what was asked for, and of the test files in the order of collection."""
    words = repr(list(map(str, config.invocation_params.args)))
    digest = hashlib.sha256(words.encode(errors="backslashreplace"))
    for id in files:
        digest.update(id.encode(errors="backslashreplace"))
        digest.update(_content(os.path.join(config.rootpath, id)))
    return digest.hexdigest()


def result(before: Iterable[Any], after: Iterable[Any]) -> str:
    """A digest of the tests that are left, in their order, with the names of their markers, and
    of those that are not."""
    after = list(after)
    digest = hashlib.sha256()
    inherited: dict[Any, tuple[str, ...]] = {None: ()}

    def names(node: Any) -> tuple[str, ...]:
        if node not in inherited:
            inherited[node] = (*names(node.parent), *(mark.name for mark in node.own_markers))
        return inherited[node]

    for item in after:
        marks = sorted((*names(item.parent), *(mark.name for mark in item.own_markers)))
        digest.update(" ".join((item.nodeid, *marks, "\n")).encode(errors="backslashreplace"))
    left = set(map(id, after))
    for gone in sorted(item.nodeid for item in before if id(item) not in left):
        digest.update(f"- {gone}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()


def _content(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return hashlib.sha256(opened.read()).digest()
    except OSError:
        return b"-"
