"""Items, stock, prices and orders of a small warehouse."""

from inventory._version import __version__
from inventory.errors import InventoryError
from inventory.items import Catalogue, Item
from inventory.money import Money
from inventory.orders import Order
from inventory.stock import Ledger

__all__ = [
    "Catalogue",
    "InventoryError",
    "Item",
    "Ledger",
    "Money",
    "Order",
    "__version__",
]
