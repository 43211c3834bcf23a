"""Warehouses, the roads between them, and transfers."""

from __future__ import annotations

import heapq
from collections import defaultdict
from datetime import date

from inventory.errors import CapacityExceeded, InsufficientStock, NoRoute
from inventory.stock import Kind, Ledger, Movement


class Warehouse:
    """A place with a ledger and, perhaps, a limit."""

    def __init__(self, name: str, capacity: int | None = None) -> None:
        """Build an empty warehouse."""
        self.name = name
        self.capacity = capacity
        self.ledger = Ledger()

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Warehouse {self.name}>"

    @property
    def load(self) -> int:
        """How many pieces lie here."""
        return sum(self.ledger.balances().values())

    @property
    def free(self) -> int | None:
        """How many more pieces fit, or None if there is no limit."""
        if self.capacity is None:
            return None
        return self.capacity - self.load

    def receive(self, sku: str, quantity: int, on: date, reference: str = "") -> None:
        """Take goods in, as long as they fit."""
        self.check_room(quantity)
        self.ledger.receive(sku, quantity, on, reference)

    def check_room(self, quantity: int) -> None:
        """Refuse more than fits."""
        if self.free is not None and quantity > self.free:
            raise CapacityExceeded(
                f"warehouse `{self.name}` has room for {self.free}, not for {quantity}"
            )


class Network:
    """Several warehouses and the roads between them."""

    def __init__(self) -> None:
        """Start with an empty map."""
        self.warehouses: dict[str, Warehouse] = {}
        self._roads: dict[str, dict[str, int]] = defaultdict(dict)

    def add(self, warehouse: Warehouse) -> Warehouse:
        """Put a warehouse on the map."""
        self.warehouses[warehouse.name] = warehouse
        return warehouse

    def connect(self, one: str, other: str, kilometres: int) -> None:
        """Build a road, usable both ways."""
        for name in (one, other):
            if name not in self.warehouses:
                raise NoRoute(f"no warehouse `{name}`")
        self._roads[one][other] = kilometres
        self._roads[other][one] = kilometres

    def route(self, start: str, goal: str) -> tuple[int, list[str]]:
        """Find the shortest way, as its length and its stops."""
        frontier: list[tuple[int, list[str]]] = [(0, [start])]
        seen: set[str] = set()
        while frontier:
            distance, path = heapq.heappop(frontier)
            place = path[-1]
            if place == goal:
                return distance, path
            if place in seen:
                continue
            seen.add(place)
            for neighbour, kilometres in sorted(self._roads[place].items()):
                if neighbour not in seen:
                    heapq.heappush(
                        frontier, (distance + kilometres, [*path, neighbour])
                    )
        raise NoRoute(f"no way from `{start}` to `{goal}`")

    def nearest(self, start: str) -> list[str]:
        """List the warehouses that can be reached, nearest first."""
        distances = []
        for name in self.warehouses:
            try:
                distance, _ = self.route(start, name)
            except NoRoute:
                continue
            distances.append((distance, name))
        return [name for _, name in sorted(distances)]

    def transfer(self, sku: str, quantity: int, start: str, goal: str, on: date) -> int:
        """Move goods from one warehouse to another; return the kilometres."""
        distance, _ = self.route(start, goal)
        origin, target = self.warehouses[start], self.warehouses[goal]
        available = origin.ledger.available(sku)
        if quantity > available:
            raise InsufficientStock(sku, quantity, available)
        target.check_room(quantity)
        reference = f"{start} to {goal}"
        origin.ledger.record(Movement(sku, Kind.TRANSFER, -quantity, on, reference))
        target.ledger.record(Movement(sku, Kind.TRANSFER, quantity, on, reference))
        return distance

    def total(self, sku: str) -> int:
        """Count an item over all warehouses."""
        return sum(place.ledger.on_hand(sku) for place in self.warehouses.values())

    def holding(self, sku: str) -> list[Warehouse]:
        """List the warehouses that have an item, the fullest first."""
        places = [w for w in self.warehouses.values() if w.ledger.available(sku) > 0]
        return sorted(places, key=lambda w: (-w.ledger.available(sku), w.name))

    def rebalance(self, sku: str, on: date) -> list[tuple[str, str, int]]:
        """Even out an item between the fullest and the emptiest warehouse."""
        moves: list[tuple[str, str, int]] = []
        if len(self.warehouses) < 2:
            return moves
        while True:
            stock = sorted(
                (place.ledger.available(sku), name)
                for name, place in self.warehouses.items()
            )
            (least, poor), (most, rich) = stock[0], stock[-1]
            quantity = (most - least) // 2
            if quantity < 1:
                return moves
            self.transfer(sku, quantity, rich, poor, on)
            moves.append((rich, poor, quantity))
