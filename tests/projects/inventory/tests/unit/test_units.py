"""Units: conversions, and how people write them."""

from decimal import Decimal

import pytest

from inventory.errors import FormatError, UnitMismatch
from inventory.units import Unit, convert, humanise, parse_quantity


@pytest.mark.parametrize(
    ("quantity", "unit", "to", "expected"),
    [
        ("2", Unit.DOZEN, Unit.EACH, "24"),
        ("250", Unit.GRAM, Unit.KILOGRAM, "0.25"),
        ("1.5", Unit.LITRE, Unit.MILLILITRE, "1500"),
        ("3", Unit.EACH, Unit.EACH, "3"),
    ],
)
def test_converts(quantity, unit, to, expected):
    assert convert(Decimal(quantity), unit, to) == Decimal(expected)


@pytest.mark.parametrize("to", [Unit.LITRE, Unit.EACH])
def test_a_mass_stays_a_mass(to):
    with pytest.raises(UnitMismatch, match="gram is no"):
        convert(Decimal(1), Unit.GRAM, to)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", (Decimal(3), Unit.EACH)),
        ("3x", (Decimal(3), Unit.EACH)),
        ("1 doz", (Decimal(1), Unit.DOZEN)),
        ("2.5 KG", (Decimal("2.5"), Unit.KILOGRAM)),
        (" 330ml ", (Decimal(330), Unit.MILLILITRE)),
    ],
)
def test_reads_quantities(text, expected):
    assert parse_quantity(text) == expected


def test_refuses_what_is_no_quantity():
    with pytest.raises(FormatError, match="not a quantity"):
        parse_quantity("some")


def test_lists_the_units_it_knows():
    with pytest.raises(FormatError, match="unknown unit `oz` .known: x, doz, g, kg"):
        parse_quantity("3 oz")


@pytest.mark.parametrize(
    ("quantity", "unit", "text"),
    [
        ("3", Unit.EACH, "3"),
        ("1500", Unit.GRAM, "1.5 kg"),
        ("0.2", Unit.KILOGRAM, "200 g"),
        ("1000", Unit.GRAM, "1 kg"),
    ],
)
def test_chooses_the_short_unit(quantity, unit, text):
    assert humanise(Decimal(quantity), unit) == text
