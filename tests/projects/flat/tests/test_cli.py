"""The command line."""

import os
import subprocess
import sys
from pathlib import Path

from recipes.cli import main


def test_shows_a_recipe(files, capsys):
    assert main([files[0], "--servings", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "Pancakes (serves 2)",
        "  100 g flour",
    ]


def test_shops(files, capsys):
    assert main([*files, "--shop"]) == 0
    assert "vegetables\n  3 leeks\n" in capsys.readouterr().out


def test_a_file_must_exist(tmp_path, capsys):
    assert main([str(tmp_path / "gone.md")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_runs_as_a_module(files):
    done = subprocess.run(
        [sys.executable, "-m", "recipes", files[0]],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.decode("utf-8").startswith("Pancakes (serves 4)")
