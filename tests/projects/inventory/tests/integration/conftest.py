"""Databases, and the command line in this process or in one of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import inventory_cli
from inventory.items import Catalogue
from inventory.stock import Kind, Movement
from inventory.storage import Store
from inventory_cli.app import main

SOURCE = Path(inventory_cli.__file__).parents[1]


@pytest.fixture(scope="package")
def template(tmp_path_factory, items) -> Path:
    """A filled database, made once; nobody writes to it."""
    path = tmp_path_factory.mktemp("template") / "shop.db"
    day = date(2024, 1, 8)
    with Store(path) as store:
        store.save_catalogue(Catalogue(items))
        store.append(
            Movement("TEA-100", Kind.RECEIPT, 10, day, "first delivery"),
            Movement("CUP-1001", Kind.RECEIPT, 4, day, "first delivery"),
        )
    return path


@pytest.fixture
def database(template, tmp_path) -> Path:
    """A copy of the filled database, to write to."""
    return Path(shutil.copy(template, tmp_path / "shop.db"))


@pytest.fixture
def run(database, capsys):
    """Run the command line here; return exit code, output and errors."""

    def run(*arguments):
        code = main(["--database", str(database), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def spawn(tmp_path):
    """Run the command line in a process of its own."""

    def spawn(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "inventory_cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return spawn
