"""How the command line writes."""

import pytest

from inventory_cli.style import columns, plural


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(0, "item", "0 items"), (1, "item", "1 item"), (2, "box", "2 boxes")],
)
def test_plural(count, noun, text):
    assert plural(count, noun) == text


def test_columns_line_up():
    assert columns([("a", "long", "x"), ("bcd", "e", "")]) == ["a    long  x", "bcd  e"]


def test_no_columns():
    assert columns([]) == []
