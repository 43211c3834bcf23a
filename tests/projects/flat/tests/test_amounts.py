"""Amounts, read and written."""

from fractions import Fraction

import pytest

from recipes import amounts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", Fraction(2)),
        ("0.5", Fraction(1, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("½", Fraction(1, 2)),
        ("2¾", Fraction(11, 4)),
        ("2-3", Fraction(5, 2)),
    ],
)
def test_reads(text, expected):
    assert amounts.parse(text) == expected


@pytest.mark.parametrize("text", ["", "some", "1/0"])
def test_refuses(text):
    with pytest.raises(ValueError, match=r"no amount|Invalid literal|divides by zero"):
        amounts.parse(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Fraction(3), "3"),
        (Fraction(1, 2), "½"),
        (Fraction(7, 4), "1¾"),
        (Fraction(11, 10), "1.1"),
    ],
)
def test_writes(amount, text):
    assert amounts.show(amount) == text
