"""Items and the catalogue that knows them all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from inventory import barcode
from inventory.errors import DuplicateItem, FormatError, InvalidSku, UnknownItem
from inventory.money import Money
from inventory.units import Unit

SKU = re.compile(r"[A-Z]{2,4}-\d{3,6}")


def normalise_sku(text: str) -> str:
    """Bring a stock keeping unit into the form `AB-1234`, or refuse it."""
    sku = text.strip().upper().replace("_", "-").replace(" ", "-")
    if not SKU.fullmatch(sku):
        raise InvalidSku(f"`{text}` is not a stock keeping unit (like `AB-1234`)")
    return sku


@dataclass(frozen=True)
class Item:
    """Something that can be stored and sold."""

    sku: str
    name: str
    price: Money
    unit: Unit = Unit.EACH
    tags: frozenset[str] = field(default_factory=frozenset)
    ean: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no shelf could carry."""
        if normalise_sku(self.sku) != self.sku:
            raise InvalidSku(f"`{self.sku}` is not in its normal form")
        if not self.name.strip():
            raise FormatError(f"item `{self.sku}` has no name")
        if self.ean is not None and not barcode.is_valid(self.ean):
            raise FormatError(f"item `{self.sku}` has a wrong barcode")

    def tagged(self, *tags: str) -> Item:
        """Return the same item with more tags."""
        return replace(self, tags=self.tags | frozenset(tags))

    def repriced(self, price: Money) -> Item:
        """Return the same item at another price."""
        if price.amount < 0:
            raise ValueError("a price is never negative")
        return replace(self, price=price)


class Catalogue:
    """All items by their stock keeping unit."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        """Fill the catalogue; a repeated item is an error."""
        self._items: dict[str, Item] = {}
        for item in items:
            self.add(item)

    def __len__(self) -> int:
        """Count the items."""
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        """Walk the items in the order of their stock keeping units."""
        return iter(sorted(self._items.values(), key=lambda item: item.sku))

    def __contains__(self, sku: object) -> bool:
        """Tell whether an item of that name exists."""
        return sku in self._items

    def __repr__(self) -> str:
        """Say how large the catalogue is."""
        return f"<Catalogue of {len(self)} items>"

    def add(self, item: Item) -> None:
        """Add an item that is not there yet."""
        if item.sku in self._items:
            raise DuplicateItem(f"item `{item.sku}` exists")
        self._items[item.sku] = item

    def get(self, sku: str) -> Item:
        """Return an item by any spelling of its stock keeping unit."""
        sku = normalise_sku(sku)
        try:
            return self._items[sku]
        except KeyError:
            raise UnknownItem(sku) from None

    def update(self, item: Item) -> Item:
        """Replace an item, and return what it was before."""
        before = self.get(item.sku)
        self._items[item.sku] = item
        return before

    def remove(self, sku: str) -> Item:
        """Take an item out."""
        item = self.get(sku)
        del self._items[item.sku]
        return item

    def search(self, text: str = "", *, tag: str | None = None) -> list[Item]:
        """Find items by a part of their name or number, and by a tag."""
        needle = text.casefold()
        found = []
        for item in self:
            if tag is not None and tag not in item.tags:
                continue
            if needle in item.name.casefold() or needle in item.sku.casefold():
                found.append(item)
        return found

    def by_barcode(self, ean: str) -> Item | None:
        """Find the item that carries a barcode."""
        for item in self:
            if item.ean == ean:
                return item
        return None
