"""EAN-13 barcodes: check digits and the meaning of prefixes."""

from __future__ import annotations

from inventory.errors import FormatError

PREFIXES = [
    (200, 299, "internal"),
    (300, 379, "France"),
    (400, 440, "Germany"),
    (450, 459, "Japan"),
    (490, 499, "Japan"),
    (500, 509, "United Kingdom"),
    (977, 977, "periodical"),
    (978, 979, "book"),
]


def check_digit(first_twelve: str) -> int:
    """Compute the thirteenth digit of a barcode."""
    if len(first_twelve) != 12 or not first_twelve.isdigit():
        raise FormatError(f"`{first_twelve}` is not twelve digits")
    weighted = sum(
        int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(first_twelve)
    )
    return -weighted % 10


def complete(first_twelve: str) -> str:
    """Append the check digit."""
    return f"{first_twelve}{check_digit(first_twelve)}"


def is_valid(code: str) -> bool:
    """Tell whether a barcode has thirteen digits and the last one is right."""
    if len(code) != 13 or not code.isdigit():
        return False
    return check_digit(code[:12]) == int(code[12])


def origin(code: str) -> str:
    """Name the country or purpose that a barcode's prefix stands for."""
    prefix = int(code[:3])
    for first, last, name in PREFIXES:
        if first <= prefix <= last:
            return name
    return "unknown"


def repair(code: str) -> str:
    """Find the one unreadable digit, marked `?`, from all the others."""
    if code.count("?") != 1 or len(code) != 13:
        raise FormatError("exactly one digit of thirteen may be unreadable")
    for digit in "0123456789":
        candidate = code.replace("?", digit)
        if is_valid(candidate):
            return candidate
    raise FormatError(f"`{code}` has other faults")
