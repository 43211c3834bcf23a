"""Kitchen measures, and the larger or smaller ones they turn into."""

from __future__ import annotations

from fractions import Fraction

ALIASES = {
    "gram": "g",
    "grams": "g",
    "litre": "l",
    "litres": "l",
    "tablespoon": "tbsp",
    "teaspoon": "tsp",
    "cups": "cup",
}
BASE = {
    "g": ("g", 1),
    "kg": ("g", 1000),
    "ml": ("ml", 1),
    "l": ("ml", 1000),
    "tsp": ("ml", 5),
    "tbsp": ("ml", 15),
    "cup": ("ml", 240),
}


def canonical(unit: str) -> str:
    """Bring a unit into its short form."""
    unit = unit.lower().rstrip(".")
    return ALIASES.get(unit, unit)


def is_unit(word: str) -> bool:
    """Tell whether a word is a unit at all."""
    return canonical(word) in BASE


def to_base(amount: Fraction, unit: str) -> tuple[Fraction, str]:
    """Express an amount in grams or millilitres, if it is one."""
    if unit not in BASE:
        return amount, unit
    base, factor = BASE[unit]
    return amount * factor, base


def comfortable(amount: Fraction, base: str) -> tuple[Fraction, str]:
    """Turn many grams into kilograms, and many millilitres into litres."""
    if amount < 1000:
        return amount, base
    if base == "g":
        return amount / 1000, "kg"
    if base == "ml":
        return amount / 1000, "l"
    return amount, base
