"""Where new goods come from, and when they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from inventory.money import Money

SATURDAY = 5


@dataclass
class Supplier:
    """Somebody who sells in packs, from a minimum on, after some working days."""

    name: str
    lead_days: int
    pack: int = 1
    minimum: int = 1
    prices: dict[str, Money] = field(default_factory=dict)

    def quantity_for(self, wanted: int) -> int:
        """Round a quantity up to what the supplier delivers."""
        quantity = max(wanted, self.minimum)
        packs = -(-quantity // self.pack)
        return packs * self.pack

    def cost_of(self, sku: str, wanted: int) -> Money | None:
        """Compute the cost of the rounded quantity, or None if not on offer."""
        price = self.prices.get(sku)
        if price is None:
            return None
        return price * self.quantity_for(wanted)

    def arrival(self, ordered: date, holidays: Iterable[date] = ()) -> date:
        """Compute the day of delivery; weekends and holidays do not count."""
        closed = set(holidays)
        day, left = ordered, self.lead_days
        while left:
            day += timedelta(days=1)
            if day.weekday() >= SATURDAY or day in closed:
                continue
            left -= 1
        return day


@dataclass(frozen=True)
class Offer:
    """What one supplier would deliver, when, and for how much."""

    supplier: Supplier
    quantity: int
    cost: Money
    arrives: date


def offers(
    suppliers: Iterable[Supplier], sku: str, wanted: int, ordered: date
) -> list[Offer]:
    """Collect all offers for an item, the cheapest first."""
    found = []
    for supplier in suppliers:
        cost = supplier.cost_of(sku, wanted)
        if cost is None:
            continue
        found.append(
            Offer(
                supplier, supplier.quantity_for(wanted), cost, supplier.arrival(ordered)
            )
        )
    return sorted(found, key=lambda offer: (offer.cost.amount, offer.arrives))


def choose(
    suppliers: Iterable[Supplier],
    sku: str,
    wanted: int,
    ordered: date,
    needed: date | None = None,
) -> Offer | None:
    """Take the cheapest offer in time; if none is in time, the fastest."""
    found = offers(suppliers, sku, wanted, ordered)
    if not found:
        return None
    if needed is None:
        return found[0]
    in_time = [offer for offer in found if offer.arrives <= needed]
    if in_time:
        return in_time[0]
    return min(found, key=lambda offer: offer.arrives)
