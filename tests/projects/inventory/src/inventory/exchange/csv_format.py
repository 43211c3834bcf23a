"""Catalogues as comma separated values, with semicolons understood too."""

from __future__ import annotations

import csv
import io

from inventory.errors import FormatError, InventoryError
from inventory.items import Catalogue, Item, normalise_sku
from inventory.money import Money
from inventory.units import Unit

COLUMNS = ("sku", "name", "price", "unit", "tags", "ean")


def loads(text: str) -> Catalogue:
    """Read a catalogue; empty lines and lines with `#` do not count."""
    delimiter = ";" if text.partition("\n")[0].count(";") else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    missing = {"sku", "name", "price"} - set(reader.fieldnames or ())
    if missing:
        raise FormatError(f"columns missing: {', '.join(sorted(missing))}", line=1)
    catalogue = Catalogue()
    for row in reader:
        if (row["sku"] or "").startswith("#"):
            continue
        try:
            catalogue.add(_item(row))
        except FormatError:
            raise
        except InventoryError as error:
            raise FormatError(str(error), reader.line_num) from error
    return catalogue


def dumps(catalogue: Catalogue) -> str:
    """Write a catalogue, sorted, with all columns."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in catalogue:
        writer.writerow(
            (
                item.sku,
                item.name,
                f"{item.price.amount} {item.price.currency}",
                item.unit.name.lower(),
                " ".join(sorted(item.tags)),
                item.ean or "",
            )
        )
    return buffer.getvalue()


def _item(row: dict[str, str]) -> Item:
    unit = row.get("unit") or "each"
    try:
        chosen = Unit[unit.upper()]
    except KeyError:
        raise FormatError(f"unknown unit `{unit}`") from None
    return Item(
        sku=normalise_sku(row["sku"]),
        name=row["name"],
        price=Money.parse(row["price"]),
        unit=chosen,
        tags=frozenset((row.get("tags") or "").split()),
        ean=row.get("ean") or None,
    )
