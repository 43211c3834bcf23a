"""Orders and the life they lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from inventory.errors import InvalidTransition
from inventory.items import Item
from inventory.money import Money, total
from inventory.pricing import Quote, Rule, quote
from inventory.stock import Ledger


class Status(Enum):
    """Where an order stands."""

    DRAFT = "draft"
    PLACED = "placed"
    PICKED = "picked"
    SHIPPED = "shipped"
    RETURNED = "returned"
    CANCELLED = "cancelled"


NEXT = {
    Status.DRAFT: {Status.PLACED, Status.CANCELLED},
    Status.PLACED: {Status.PICKED, Status.CANCELLED},
    Status.PICKED: {Status.SHIPPED, Status.CANCELLED},
    Status.SHIPPED: {Status.RETURNED},
    Status.RETURNED: set(),
    Status.CANCELLED: set(),
}


@dataclass
class Line:
    """So many of one item."""

    item: Item
    quantity: int


class Order:
    """What one customer wants."""

    def __init__(self, number: str, customer: str, rules: Sequence[Rule] = ()) -> None:
        """Start a draft."""
        self.number = number
        self.customer = customer
        self.rules = tuple(rules)
        self.lines: list[Line] = []
        self.status = Status.DRAFT
        self.log: list[tuple[date, Status]] = []

    def __repr__(self) -> str:
        """Show the number and the status."""
        return f"<Order {self.number} ({self.status.value})>"

    def add(self, item: Item, quantity: int = 1) -> Line:
        """Add an item, or more of one that is there already."""
        self._must_be_draft()
        if quantity < 1:
            raise ValueError("an order line has at least one piece")
        for line in self.lines:
            if line.item.sku == item.sku:
                line.quantity += quantity
                return line
        line = Line(item, quantity)
        self.lines.append(line)
        return line

    def remove(self, sku: str, quantity: int | None = None) -> None:
        """Take an item off the order, or some pieces of it."""
        self._must_be_draft()
        for line in self.lines:
            if line.item.sku != sku:
                continue
            if quantity is None or quantity >= line.quantity:
                self.lines.remove(line)
            else:
                line.quantity -= quantity
            return

    def quotes(self) -> list[Quote]:
        """Price every line."""
        return [quote(line.item, line.quantity, self.rules) for line in self.lines]

    def total(self) -> Money:
        """Add up what the customer pays."""
        return total(line.total for line in self.quotes())

    def place(self, ledger: Ledger, on: date) -> None:
        """Promise the goods: all of them, or none."""
        if not self.lines:
            raise InvalidTransition(f"order `{self.number}` is empty")
        self._check(Status.PLACED)
        try:
            for line in self.lines:
                ledger.reserve(line.item.sku, line.quantity, self.number)
        except Exception:
            ledger.release(self.number)
            raise
        self._enter(Status.PLACED, on)

    def pick(self, on: date) -> None:
        """Take the goods off the shelves."""
        self._check(Status.PICKED)
        self._enter(Status.PICKED, on)

    def ship(self, ledger: Ledger, on: date) -> None:
        """Let the goods go."""
        self._check(Status.SHIPPED)
        for line in self.lines:
            ledger.issue(line.item.sku, line.quantity, on, self.number)
        self._enter(Status.SHIPPED, on)

    def cancel(self, ledger: Ledger, on: date) -> int:
        """Give up; return how many pieces are free again."""
        self._check(Status.CANCELLED)
        self._enter(Status.CANCELLED, on)
        return ledger.release(self.number)

    def take_back(self, ledger: Ledger, on: date) -> Money:
        """Receive the goods again, and return what to refund."""
        self._check(Status.RETURNED)
        for line in self.lines:
            ledger.receive(line.item.sku, line.quantity, on, f"return {self.number}")
        self._enter(Status.RETURNED, on)
        return self.total()

    def _must_be_draft(self) -> None:
        if self.status is not Status.DRAFT:
            raise InvalidTransition(f"order `{self.number}` is {self.status.value}")

    def _check(self, status: Status) -> None:
        if status not in NEXT[self.status]:
            raise InvalidTransition(
                f"order `{self.number}` is {self.status.value}, not {status.value}"
            )

    def _enter(self, status: Status, on: date) -> None:
        self.status = status
        self.log.append((on, status))
