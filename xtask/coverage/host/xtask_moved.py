"""Paths of another machine, in data files, become those of this one.

The files are copies of ours. What cannot be read is left as it is: combining names it.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from typing import Any

#: Opens the line of stdout that holds the answer.
MARK = "xtask-report:"

Json = dict[str, Any]


def answer(request: Json) -> list[Json]:
    """Move the paths in each file; return what is wrong with some of them."""
    wrong = []
    for moved in request["files"]:
        try:
            with closing(sqlite3.connect(moved["file"])) as connection:
                what = _move(connection, moved["folders"])
        except sqlite3.Error:
            continue
        if what is not None:
            wrong.append({"file": moved["file"], "what": what})
    return wrong


def _move(connection: sqlite3.Connection, folders: list[tuple[str, str]]) -> str | None:
    kinds = {kind for (kind,) in connection.execute("select type from sqlite_master")}
    if kinds - {"table", "index"}:
        # A trigger would act on what is changed here.
        return "holds what coverage never writes: " + ", ".join(sorted(kinds - {"table", "index"}))
    try:
        with connection:
            for number, path in connection.execute("select id, path from file").fetchall():
                target = elsewhere(path, folders)
                if target != path:
                    change = "update file set path = ? where id = ?"
                    connection.execute(change, (target, number))
    except sqlite3.IntegrityError:
        return "has one file under the paths of two machines"
    return None


def elsewhere(path: str, folders: list[tuple[str, str]]) -> str:
    """Return where a path of the other machine is here; the longest folders come first."""
    for there, here in folders:
        if path == there or path.startswith(there.rstrip("/") + "/"):
            return here + path[len(there.rstrip("/")) :]
    return path


def main(request: Json) -> None:
    """Answer on a line of its own."""
    sys.stdout.write(f"\n{MARK}{json.dumps(answer(request))}\n")
