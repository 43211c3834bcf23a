"""Amounts of money that never touch binary floating point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Union

from inventory.errors import CurrencyMismatch, FormatError

Number = Union[int, str, Decimal]

CENT = Decimal("0.01")
SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP"}


@dataclass(frozen=True)
class Money:
    """An amount of one currency, rounded to the cent."""

    amount: Decimal
    currency: str = "EUR"

    @classmethod
    def of(cls, amount: Number, currency: str = "EUR") -> Money:
        """Make an amount from anything exact."""
        return cls(Decimal(amount).quantize(CENT, ROUND_HALF_UP), currency)

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read `12.50`, `12.50 EUR`, `EUR 12.50` or `€12.50`."""
        number, currency = text.strip(), "EUR"
        if number[:1] in SYMBOLS:
            number, currency = number[1:], SYMBOLS[number[0]]
        elif number[:3].isalpha():
            number, currency = number[3:], number[:3].upper()
        elif number[-3:].isalpha():
            number, currency = number[:-3], number[-3:].upper()
        try:
            return cls.of(number.strip().replace(",", "."), currency)
        except InvalidOperation:
            raise FormatError(f"`{text}` is not an amount") from None

    def __add__(self, other: Money) -> Money:
        """Add an amount of the same currency."""
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        """Subtract an amount of the same currency."""
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Number) -> Money:
        """Multiply, and round to the cent."""
        return Money.of(self.amount * Decimal(factor), self.currency)

    def __neg__(self) -> Money:
        """Turn a debit into a credit."""
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        """Compare amounts of the same currency."""
        self._same_currency(other)
        return self.amount < other.amount

    def __bool__(self) -> bool:
        """Tell whether there is any money at all."""
        return self.amount != 0

    def __str__(self) -> str:
        """Write the amount as the tills print it."""
        return f"{self.amount:,.2f} {self.currency}"

    def split(self, parts: int) -> list[Money]:
        """Divide into equal parts without losing a cent; the first get more."""
        if parts < 1:
            raise ValueError("an amount splits into at least one part")
        cents = int(self.amount / CENT)
        share, rest = divmod(cents, parts)
        return [
            Money.of(CENT * (share + (1 if n < rest else 0)), self.currency)
            for n in range(parts)
        ]

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} meets {other.currency}")


def total(amounts: Iterable[Money], currency: str = "EUR") -> Money:
    """Add up any number of amounts; none at all make zero."""
    result = Money.of(0, currency)
    for amount in amounts:
        result = result + amount
    return result
