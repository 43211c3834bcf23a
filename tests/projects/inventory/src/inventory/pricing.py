"""From list price to the price on the invoice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from inventory.items import Item
from inventory.money import Money

TAX_RATES = {
    "standard": Decimal("0.19"),
    "reduced": Decimal("0.07"),
    "zero": Decimal(0),
}


class Rule(Protocol):
    """Something that may make a line cheaper."""

    name: str

    def discount(self, item: Item, quantity: int) -> Money:
        """Say how much to take off the line."""
        raise NotImplementedError


@dataclass(frozen=True)
class PercentOff:
    """A percentage off everything, or off the items with one tag."""

    percent: int
    tag: str | None = None
    name: str = "percent off"

    def __post_init__(self) -> None:
        """Refuse to pay the customer."""
        if not 0 <= self.percent <= 100:
            raise ValueError("a discount lies between 0 and 100 percent")

    def discount(self, item: Item, quantity: int) -> Money:
        """Take the percentage off."""
        if self.tag is not None and self.tag not in item.tags:
            return Money.of(0, item.price.currency)
        return item.price * quantity * (Decimal(self.percent) / 100)


@dataclass(frozen=True)
class Bulk:
    """The more one buys, the less each piece costs."""

    tiers: tuple[tuple[int, int], ...]
    name: str = "bulk"

    def discount(self, item: Item, quantity: int) -> Money:
        """Apply the highest tier that the quantity reaches."""
        percent = 0
        for minimum, tier_percent in sorted(self.tiers):
            if quantity < minimum:
                break
            percent = tier_percent
        return item.price * quantity * (Decimal(percent) / 100)


@dataclass(frozen=True)
class OneFree:
    """Every so many pieces, one costs nothing."""

    every: int
    sku: str
    name: str = "one free"

    def discount(self, item: Item, quantity: int) -> Money:
        """Take off the free pieces."""
        if item.sku != self.sku:
            return Money.of(0, item.price.currency)
        return item.price * (quantity // self.every)


@dataclass(frozen=True)
class Seasonal:
    """Another rule, valid between two days."""

    rule: Rule
    first: date
    last: date
    today: date
    name: str = "seasonal"

    def discount(self, item: Item, quantity: int) -> Money:
        """Ask the other rule, if it is the season."""
        if self.first <= self.today <= self.last:
            return self.rule.discount(item, quantity)
        return Money.of(0, item.price.currency)


@dataclass(frozen=True)
class Quote:
    """What a line costs, and why."""

    item: Item
    quantity: int
    gross: Money
    discount: Money
    tax: Money
    reason: str | None = None

    @property
    def net(self) -> Money:
        """The price before tax."""
        return self.gross - self.discount

    @property
    def total(self) -> Money:
        """The price to pay."""
        return self.net + self.tax


def tax_class(item: Item) -> str:
    """Choose the tax rate from an item's tags."""
    if "export" in item.tags:
        return "zero"
    if item.tags & {"food", "book"}:
        return "reduced"
    return "standard"


def quote(item: Item, quantity: int, rules: Sequence[Rule] = ()) -> Quote:
    """Price a line with the single best rule; discounts do not add up."""
    if quantity < 1:
        raise ValueError("a quote is for at least one piece")
    gross = item.price * quantity
    best, reason = Money.of(0, item.price.currency), None
    for rule in rules:
        discount = rule.discount(item, quantity)
        if best < discount:
            best, reason = discount, rule.name
    if gross < best:
        best = gross
    tax = (gross - best) * TAX_RATES[tax_class(item)]
    return Quote(item, quantity, gross, best, tax, reason)


def round_to(price: Money, ending: Decimal) -> Money:
    """Raise a price to the next one with the given ending, such as 0.99."""
    whole = price.amount // 1
    candidate = whole + ending
    if candidate < price.amount:
        candidate += 1
    return Money.of(candidate, price.currency)


def margin(price: Money, cost: Money) -> Decimal:
    """Compute the share of the price that is not cost."""
    if not price:
        return Decimal(0)
    return ((price - cost).amount / price.amount).quantize(Decimal("0.0001"))
