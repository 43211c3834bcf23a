"""Amounts as cooks write them: `1 1/2`, `½`, `2-3`."""

from __future__ import annotations

from fractions import Fraction

VULGAR = {
    "½": Fraction(1, 2),
    "⅓": Fraction(1, 3),
    "⅔": Fraction(2, 3),
    "¼": Fraction(1, 4),
    "¾": Fraction(3, 4),
}


def parse(text: str) -> Fraction:
    """Read an amount; of a range, the middle."""
    first, dash, last = text.partition("-")
    if dash:
        return (parse(first) + parse(last)) / 2
    parts = text.split()
    if not parts:
        raise ValueError("no amount")
    return sum((_part(part) for part in parts), Fraction(0))


def show(amount: Fraction) -> str:
    """Write an amount with a fraction that a cook can measure."""
    whole, rest = divmod(amount, 1)
    for sign, fraction in VULGAR.items():
        if rest == fraction:
            return f"{whole}{sign}" if whole else sign
    if rest == 0:
        return str(whole)
    return f"{float(amount):.2f}".rstrip("0").rstrip(".")


def _part(text: str) -> Fraction:
    if text in VULGAR:
        return VULGAR[text]
    if text[-1] in VULGAR:
        return int(text[:-1]) + VULGAR[text[-1]]
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(f"`{text}` divides by zero") from None
