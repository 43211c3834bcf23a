"""Which warehouse sends what."""

from __future__ import annotations

from dataclasses import dataclass, field

from inventory.locations import Network, Warehouse
from inventory.orders import Order


@dataclass(frozen=True)
class Pick:
    """So many pieces of one item from one warehouse."""

    warehouse: str
    sku: str
    quantity: int


@dataclass
class Allocation:
    """The picks that serve an order, and what is missing."""

    picks: list[Pick] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Tell whether the order can be served in full."""
        return not self.missing

    @property
    def parcels(self) -> int:
        """Count the warehouses that send something."""
        return len({pick.warehouse for pick in self.picks})


def allocate(order: Order, network: Network, *, near: str | None = None) -> Allocation:
    """Serve each line from the nearest, or else from the fullest warehouses."""
    allocation = Allocation()
    for line in order.lines:
        wanted = line.quantity
        for place in _candidates(line.item.sku, network, near):
            if not wanted:
                break
            quantity = min(wanted, place.ledger.available(line.item.sku))
            allocation.picks.append(Pick(place.name, line.item.sku, quantity))
            wanted -= quantity
        if wanted:
            allocation.missing[line.item.sku] = wanted
    return allocation


def fewest_parcels(order: Order, network: Network) -> Allocation:
    """Serve the order from one warehouse if any has everything."""
    for place in network.warehouses.values():
        if all(
            place.ledger.available(line.item.sku) >= line.quantity
            for line in order.lines
        ):
            return Allocation(
                [Pick(place.name, line.item.sku, line.quantity) for line in order.lines]
            )
    return allocate(order, network)


def packing_list(allocation: Allocation) -> str:
    """Write what each warehouse has to pack."""
    lines: list[str] = []
    for name in sorted({pick.warehouse for pick in allocation.picks}):
        lines.append(f"{name}:")
        lines.extend(
            f"  {pick.quantity:>4} x {pick.sku}"
            for pick in allocation.picks
            if pick.warehouse == name
        )
    if allocation.missing:
        lines.append("missing:")
        lines.extend(
            f"  {quantity:>4} x {sku}"
            for sku, quantity in sorted(allocation.missing.items())
        )
    return "\n".join(lines)


def _candidates(sku: str, network: Network, near: str | None) -> list[Warehouse]:
    holding = network.holding(sku)
    if near is None:
        return holding
    order = network.nearest(near)
    reachable = [place for place in holding if place.name in order]
    return sorted(reachable, key=lambda place: order.index(place.name))
