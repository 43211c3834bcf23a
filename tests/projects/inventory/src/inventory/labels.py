"""Shelf labels for the thermal printer.

Nobody has written tests for these yet.
"""

from __future__ import annotations

from inventory.items import Item

WIDTH = 32


def shelf_label(item: Item, *, bold: bool = False) -> str:
    """Lay out one label: name, price, and the barcode if there is one."""
    name = item.name.upper() if bold else item.name
    if len(name) > WIDTH:
        name = name[: WIDTH - 1] + "…"
    lines = [name.center(WIDTH), str(item.price).rjust(WIDTH)]
    if item.ean:
        lines.append(item.ean.center(WIDTH))
    return "\n".join(lines)


def sheet(items: list[Item], columns: int = 2) -> str:
    """Lay out a sheet of labels, row by row."""
    rows = []
    for start in range(0, len(items), columns):
        labels = [shelf_label(item).splitlines() for item in items[start:][:columns]]
        height = max(len(label) for label in labels)
        for label in labels:
            label.extend([" " * WIDTH] * (height - len(label)))
        rows.append("\n".join(" | ".join(parts) for parts in zip(*labels)))
    return ("\n" + "-" * WIDTH + "\n").join(rows)
