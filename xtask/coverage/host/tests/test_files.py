"""Which files belong into the result."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HOST = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOST))

from xtask_files import Hidden  # noqa: E402

FOLDERS = ["/p/.venv", "/p/target", "/q"]


@pytest.mark.parametrize(
    ("path", "sources", "hidden"),
    [
        ("src/a.py", ["."], False),
        ("target/x/a.py", ["."], True),
        ("targets/a.py", ["."], False),
        (".venv/lib/python3.12/site-packages/a/b.py", ["."], True),
        (".venv/lib/python3.12/site-packages/a/b.py", ["a"], False),
        (".venv/lib/python3.12/site-packages/ab.py", ["a"], True),
        (".venv/lib/python3.12/site-packages/a.py", [".", "a"], False),
        (".venv/lib/python3.12/site-packages/n/a/b.py", ["n.a"], False),
        ("target/generated/a.py", ["src", "target/generated"], False),
        ("target/other/a.py", ["src", "target/generated"], True),
        ("services/a/.xtask/venv/a.py", ["."], True),
        ("/elsewhere/.xtask/a.py", ["."], False),
        ("/q/a.py", ["/p", "/q/a.py"], False),
    ],
)
def test_what_is_asked_for_by_its_own_name_is_never_hidden(
    path: str, sources: list[str], hidden: bool
) -> None:
    assert Hidden(FOLDERS, sources, "/p").hides(os.path.join("/p", path)) is hidden
