"""Units of measure and the way from one to the other."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum

from inventory.errors import FormatError, UnitMismatch


class Unit(Enum):
    """What a quantity counts: its dimension, and how many base units it is."""

    EACH = ("count", Decimal(1))
    DOZEN = ("count", Decimal(12))
    GRAM = ("mass", Decimal(1))
    KILOGRAM = ("mass", Decimal(1000))
    MILLILITRE = ("volume", Decimal(1))
    LITRE = ("volume", Decimal(1000))

    @property
    def dimension(self) -> str:
        """The quantity measured: count, mass or volume."""
        return self.value[0]

    @property
    def factor(self) -> Decimal:
        """How many base units of the dimension make one of this."""
        return self.value[1]


ABBREVIATIONS = {
    "": Unit.EACH,
    "x": Unit.EACH,
    "doz": Unit.DOZEN,
    "g": Unit.GRAM,
    "kg": Unit.KILOGRAM,
    "ml": Unit.MILLILITRE,
    "l": Unit.LITRE,
}
QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def convert(quantity: Decimal, unit: Unit, to: Unit) -> Decimal:
    """Express a quantity in another unit of the same dimension."""
    if unit is to:
        return quantity
    if unit.dimension != to.dimension:
        raise UnitMismatch(f"{unit.name.lower()} is no {to.dimension}")
    return quantity * unit.factor / to.factor


def parse_quantity(text: str) -> tuple[Decimal, Unit]:
    """Read `3`, `3x`, `2.5 kg` or `1 doz`."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise FormatError(f"`{text}` is not a quantity")
    number, abbreviation = match.groups()
    unit = ABBREVIATIONS.get(abbreviation.lower())
    if unit is None:
        known = ", ".join(name for name in ABBREVIATIONS if name)
        raise FormatError(f"unknown unit `{abbreviation}` (known: {known})")
    return Decimal(number), unit


def humanise(quantity: Decimal, unit: Unit) -> str:
    """Write a quantity in the unit that keeps it short."""
    if unit.dimension == "count":
        return f"{quantity:f}"
    large = Unit.KILOGRAM if unit.dimension == "mass" else Unit.LITRE
    small = Unit.GRAM if unit.dimension == "mass" else Unit.MILLILITRE
    base = quantity * unit.factor
    chosen = large if base >= large.factor else small
    short = {found: name for name, found in ABBREVIATIONS.items()}[chosen]
    return f"{(base / chosen.factor).normalize():f} {short}"
