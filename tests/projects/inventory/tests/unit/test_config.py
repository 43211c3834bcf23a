"""Settings and where they come from."""

import pytest

from inventory import config
from inventory.config import Settings
from inventory.errors import FormatError


@pytest.fixture
def ini(tmp_path):
    """Write an ini file, and return its path."""

    def write(text):
        path = tmp_path / "inventory.ini"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults():
    assert config.load(None, {}) == Settings()


def test_reads_a_file(ini):
    path = ini("[inventory]\ncurrency = USD\nlow_stock = 9\nnotify = yes\n")
    assert config.load(path, {}) == Settings(currency="USD", low_stock=9, notify=True)


def test_the_environment_wins(ini):
    path = ini("[inventory]\nlow_stock = 9\n")
    assert config.load(path, {"INVENTORY_LOW_STOCK": "2"}).low_stock == 2


def test_ignores_other_sections(ini):
    assert config.load(ini("[other]\ncurrency = USD\n"), {}) == Settings()


def test_ignores_other_variables(monkeypatch):
    monkeypatch.setenv("INVENTORY_CURRENCY", "GBP")
    assert config.load(None, {}).currency == "EUR"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[inventory]\nprinter = 1\n", "unknown setting `printer`"),
        ("[inventory]\nlow_stock = few\n", "`low_stock` is not a number"),
        ("[inventory]\nnotify = maybe\n", "neither yes nor no"),
        ("low_stock = 1\n", "cannot be read"),
    ],
)
def test_refuses(ini, text, message):
    with pytest.raises(FormatError, match=message):
        config.load(ini(text), {})


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(FormatError, match="`gone.ini`: not found"):
        config.load(tmp_path / "gone.ini", {})
