"""Together: which tests belong into one process.

Those of an `xdist_group`; and those of a document, whose examples build on each other. What is
no function of a Python module and was found with others in the same file (examples of Sybil,
cells of a notebook) may share names with these. pytest's own doctests do not: a text file is one
test, and each docstring has names of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from xtask_host.text import as_text


def marks(items: Iterable[Any]) -> dict[str, dict[int, str]]:
    """The group and the document of each test that has one, by its place."""
    groups, documents = {}, {}
    for at, item in enumerate(items):
        if (group := group_of(item)) is not None:
            groups[at] = group
        if (document := document_of(item)) is not None:
            documents[at] = document
    sizes = Counter(documents.values())
    several = {at: name for at, name in documents.items() if sizes[name] > 1}
    return {"groups": groups, "documents": several}


def group_of(item: Any) -> str | None:
    """The group of pytest-xdist's `xdist_group`, named as its `loadgroup` names it."""
    if "xdist_group" not in item.keywords:
        return None
    names = {
        as_text(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
    }
    return "_".join(sorted(names)) or None


def document_of(item: Any) -> str | None:
    """The document that a test is an example of; None for what stands for itself."""
    if isinstance(item, pytest.Function) or type(item).__module__ == "_pytest.doctest":
        return None
    parent = item.parent
    if isinstance(parent, (pytest.Module, pytest.Class)):
        return None
    file = parent if isinstance(parent, pytest.File) else item.getparent(pytest.File)
    return None if file is None else str(file.nodeid)
