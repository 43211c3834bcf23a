"""Catalogues as JSON: version 2, and the bare list that version 1 was."""

from __future__ import annotations

import json
from typing import Any

from inventory.errors import FormatError
from inventory.items import Catalogue, Item
from inventory.money import Money
from inventory.units import Unit

VERSION = 2


def loads(text: str) -> Catalogue:
    """Read a catalogue of either version."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(error.msg, error.lineno) from error
    if isinstance(content, list):
        return Catalogue(_item_v1(entry) for entry in content)
    version = content.get("version")
    if version != VERSION:
        raise FormatError(f"version {version} is not supported")
    return Catalogue(_item(entry) for entry in content["items"])


def dumps(catalogue: Catalogue) -> str:
    """Write a catalogue in the newest version."""
    items = [_entry(item) for item in catalogue]
    return json.dumps({"version": VERSION, "items": items}, indent=2) + "\n"


def _entry(item: Item) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "sku": item.sku,
        "name": item.name,
        "price": {"amount": str(item.price.amount), "currency": item.price.currency},
    }
    if item.unit is not Unit.EACH:
        entry["unit"] = item.unit.name.lower()
    if item.tags:
        entry["tags"] = sorted(item.tags)
    if item.ean:
        entry["ean"] = item.ean
    return entry


def _item(entry: dict[str, Any]) -> Item:
    try:
        price = entry["price"]
        return Item(
            sku=entry["sku"],
            name=entry["name"],
            price=Money.of(price["amount"], price["currency"]),
            unit=Unit[entry.get("unit", "each").upper()],
            tags=frozenset(entry.get("tags", ())),
            ean=entry.get("ean"),
        )
    except KeyError as error:
        raise FormatError(f"an item lacks {error}") from error


def _item_v1(entry: dict[str, Any]) -> Item:
    return Item(entry["sku"], entry["name"], Money.parse(str(entry["price"])))
