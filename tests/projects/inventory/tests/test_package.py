"""What the package promises to those who import it."""

import importlib
import sys
from pathlib import Path

import pytest

import inventory

PROJECT = Path(__file__).parents[1]


def test_exports_exist():
    assert [name for name in inventory.__all__ if not hasattr(inventory, name)] == []


def test_exports_are_sorted():
    assert inventory.__all__ == sorted(inventory.__all__)


def test_version_has_three_parts():
    assert [part.isdigit() for part in inventory.__version__.split(".")] == [True] * 3


@pytest.mark.parametrize(
    "name",
    ["UnknownItem", "DuplicateItem", "InsufficientStock", "FormatError", "StoreBusy"],
)
def test_errors_have_one_root(name):
    errors = importlib.import_module("inventory.errors")
    assert issubclass(getattr(errors, name), inventory.InventoryError)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with 3.11")
def test_version_agrees_with_the_project_file():
    tomllib = importlib.import_module("tomllib")
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["version"] == inventory.__version__


@pytest.mark.skip(reason="the plugin interface is not decided yet")
def test_plugins_are_found():
    raise NotImplementedError
