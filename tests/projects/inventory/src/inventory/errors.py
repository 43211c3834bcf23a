"""Everything that can go wrong, under one root."""

from __future__ import annotations


class InventoryError(Exception):
    """The root of all errors this library raises on purpose."""


class InvalidSku(InventoryError):
    """A stock keeping unit that does not follow the house pattern."""


class UnknownItem(InventoryError):
    """An item that is not in the catalogue."""

    def __init__(self, sku: str) -> None:
        """Remember which item was asked for."""
        super().__init__(f"no item `{sku}` in the catalogue")
        self.sku = sku


class DuplicateItem(InventoryError):
    """An item that is in the catalogue already."""


class CurrencyMismatch(InventoryError):
    """Two amounts of different currencies in one calculation."""


class UnitMismatch(InventoryError):
    """Two units that do not measure the same thing."""


class InsufficientStock(InventoryError):
    """More was wanted than there is."""

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        """Remember how much was missing."""
        super().__init__(f"{wanted} of `{sku}` wanted, {available} available")
        self.sku = sku
        self.missing = wanted - available


class CapacityExceeded(InventoryError):
    """A warehouse that cannot hold what it should receive."""


class NoRoute(InventoryError):
    """Two warehouses that no road connects."""


class InvalidTransition(InventoryError):
    """An order that cannot go from one status to the other."""


class FormatError(InventoryError):
    """A file that cannot be read, with the line where it broke."""

    def __init__(self, message: str, line: int | None = None) -> None:
        """Put the line number in front, if there is one."""
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class StoreBusy(InventoryError):
    """A database that somebody else has locked."""


class DeliveryFailed(InventoryError):
    """A notification that no attempt could deliver."""
