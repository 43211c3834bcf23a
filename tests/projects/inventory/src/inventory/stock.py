"""The ledger: what came, what went, what is promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from enum import Enum

from inventory.errors import InsufficientStock


class Kind(Enum):
    """Why stock moved."""

    RECEIPT = "receipt"
    ISSUE = "issue"
    COUNT = "count"
    TRANSFER = "transfer"


@dataclass(frozen=True)
class Movement:
    """One line of the ledger; the change is negative when goods leave."""

    sku: str
    kind: Kind
    change: int
    on: date
    reference: str = ""


class Ledger:
    """A book of movements that never forgets and never goes below zero."""

    def __init__(self) -> None:
        """Open an empty book."""
        self._movements: list[Movement] = []
        self._on_hand: Counter[str] = Counter()
        self._reserved: dict[str, Counter[str]] = defaultdict(Counter)

    def __len__(self) -> int:
        """Count the movements."""
        return len(self._movements)

    def receive(self, sku: str, quantity: int, on: date, reference: str = "") -> None:
        """Book goods that arrived."""
        _check_positive(quantity)
        self.record(Movement(sku, Kind.RECEIPT, quantity, on, reference))

    def issue(self, sku: str, quantity: int, on: date, reference: str = "") -> None:
        """Book goods that left; what is reserved for others stays."""
        _check_positive(quantity)
        own = self._reserved[sku][reference] if reference else 0
        available = self.available(sku) + own
        if quantity > available:
            raise InsufficientStock(sku, quantity, available)
        if own:
            self._release(sku, reference, min(own, quantity))
        self.record(Movement(sku, Kind.ISSUE, -quantity, on, reference))

    def count(self, sku: str, counted: int, on: date) -> int:
        """Book the result of a stock count, and return the difference."""
        if counted < 0:
            raise ValueError("nobody counts less than nothing")
        difference = counted - self.on_hand(sku)
        if difference:
            self.record(Movement(sku, Kind.COUNT, difference, on, "stock count"))
        return difference

    def record(self, movement: Movement) -> None:
        """Write one movement, of whatever kind."""
        after = self._on_hand[movement.sku] + movement.change
        if after < 0:
            raise InsufficientStock(
                movement.sku, -movement.change, self._on_hand[movement.sku]
            )
        self._movements.append(movement)
        self._on_hand[movement.sku] = after

    def reserve(self, sku: str, quantity: int, reference: str) -> None:
        """Promise stock to somebody."""
        _check_positive(quantity)
        if quantity > self.available(sku):
            raise InsufficientStock(sku, quantity, self.available(sku))
        self._reserved[sku][reference] += quantity

    def release(self, reference: str) -> int:
        """Take back all promises made under a reference; return how much."""
        released = 0
        for sku, promises in self._reserved.items():
            quantity = promises.get(reference, 0)
            if quantity:
                self._release(sku, reference, quantity)
                released += quantity
        return released

    def on_hand(self, sku: str) -> int:
        """Count what lies on the shelves."""
        return self._on_hand[sku]

    def reserved(self, sku: str) -> int:
        """Count what is promised."""
        return sum(self._reserved[sku].values())

    def available(self, sku: str) -> int:
        """Count what can still be promised."""
        return self.on_hand(sku) - self.reserved(sku)

    def balances(self, *, include_empty: bool = False) -> dict[str, int]:
        """List what is on hand, by item."""
        return {
            sku: quantity
            for sku, quantity in sorted(self._on_hand.items())
            if quantity or include_empty
        }

    def history(
        self, sku: str | None = None, since: date | None = None
    ) -> list[Movement]:
        """List movements in the order they were booked."""
        return [
            movement
            for movement in self._movements
            if (sku is None or movement.sku == sku)
            and (since is None or movement.on >= since)
        ]

    def on_hand_at(self, sku: str, day: date) -> int:
        """Count what lay on the shelves at the end of a day."""
        return sum(m.change for m in self._movements if m.sku == sku and m.on <= day)

    def turnover(self, sku: str, first: date, last: date) -> float:
        """Tell how often the stock of an item went out in a period."""
        if last < first:
            first, last = last, first
        sold = 0
        for movement in self.history(sku, since=first):
            if movement.on > last:
                continue
            if movement.kind is Kind.ISSUE:
                sold -= movement.change
        average = (self.on_hand_at(sku, first) + self.on_hand_at(sku, last)) / 2
        if not average:
            return 0.0
        return sold / average

    def _release(self, sku: str, reference: str, quantity: int) -> None:
        self._reserved[sku][reference] -= quantity
        if not self._reserved[sku][reference]:
            del self._reserved[sku][reference]


def _check_positive(quantity: int) -> None:
    if quantity <= 0:
        raise ValueError("a quantity is at least one")
