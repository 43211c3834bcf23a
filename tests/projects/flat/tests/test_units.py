"""Measures."""

from fractions import Fraction

import pytest

from recipes import units


@pytest.mark.parametrize(
    ("word", "unit"), [("Grams", "g"), ("tbsp.", "tbsp"), ("pinch", "pinch")]
)
def test_shortens(word, unit):
    assert units.canonical(word) == unit


@pytest.mark.parametrize(
    ("amount", "unit", "expected"),
    [(2, "kg", (2000, "g")), (3, "tsp", (15, "ml")), (1, "pinch", (1, "pinch"))],
)
def test_finds_the_base(amount, unit, expected):
    assert units.to_base(Fraction(amount), unit) == expected


@pytest.mark.parametrize(
    ("amount", "base", "expected"),
    [
        (999, "g", (999, "g")),
        (1500, "g", (Fraction(3, 2), "kg")),
        (1000, "ml", (1, "l")),
    ],
)
def test_stays_comfortable(amount, base, expected):
    assert units.comfortable(Fraction(amount), base) == expected
