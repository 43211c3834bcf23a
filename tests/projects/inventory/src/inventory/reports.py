"""Tables that people read: valuation, classes, what runs low."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from inventory.items import Catalogue
from inventory.money import Money, total
from inventory.stock import Ledger


@dataclass(frozen=True)
class Table:
    """A title, headings and rows of text."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def render(self, style: str = "text") -> str:
        """Write the table as text, markdown or csv."""
        if style == "text":
            return self._text()
        if style == "markdown":
            return self._markdown()
        if style == "csv":
            return self._csv()
        raise ValueError(f"unknown style `{style}` (known: text, markdown, csv)")

    def _text(self) -> str:
        widths = [
            max(len(cell) for cell in column)
            for column in zip(self.headings, *self.rows)
        ]
        lines = [self.title, ""]
        for row in (self.headings, *self.rows):
            cells = [_align(cell, width) for cell, width in zip(row, widths)]
            lines.append("  ".join(cells).rstrip())
        if not self.rows:
            lines.append("(nothing)")
        return "\n".join(lines)

    def _markdown(self) -> str:
        lines = [f"## {self.title}", "", _markdown_row(self.headings)]
        lines.append(_markdown_row(["---"] * len(self.headings)))
        lines.extend(_markdown_row(row) for row in self.rows)
        return "\n".join(lines)

    def _csv(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.headings)
        writer.writerows(self.rows)
        return buffer.getvalue()


def valuation(catalogue: Catalogue, ledger: Ledger) -> Table:
    """List what lies on the shelves and what it is worth."""
    rows: list[tuple[str, ...]] = []
    values: list[Money] = []
    for sku, quantity in ledger.balances().items():
        if sku not in catalogue:
            rows.append((sku, "(not in the catalogue)", str(quantity), "-"))
            continue
        item = catalogue.get(sku)
        value = item.price * quantity
        values.append(value)
        rows.append((sku, item.name, str(quantity), str(value)))
    if values:
        rows.append(("", "total", "", str(total(values))))
    return Table("Stock valuation", ("sku", "name", "on hand", "value"), tuple(rows))


def low_stock(
    catalogue: Catalogue, ledger: Ledger, minimum: Mapping[str, int], default: int = 0
) -> Table:
    """List the items of which less is left than there should be."""
    rows = []
    for item in catalogue:
        wanted = minimum.get(item.sku, default)
        available = ledger.available(item.sku)
        if available < wanted:
            urgency = "now" if available <= 0 else "soon"
            rows.append((item.sku, item.name, str(available), str(wanted), urgency))
    headings = ("sku", "name", "available", "minimum", "order")
    return Table("Low stock", headings, tuple(rows))


def abc_classes(
    sales: Mapping[str, Money], a_share: str = "0.8", b_share: str = "0.95"
) -> dict[str, str]:
    """Sort items into A, B and C by their share of the sales."""
    everything = total(sales.values())
    if not everything:
        return dict.fromkeys(sorted(sales), "C")
    classes: dict[str, str] = {}
    running = Decimal(0)
    for sku, amount in sorted(
        sales.items(), key=lambda sale: (-sale[1].amount, sale[0])
    ):
        share = running / everything.amount
        if share < Decimal(a_share):
            classes[sku] = "A"
        elif share < Decimal(b_share):
            classes[sku] = "B"
        else:
            classes[sku] = "C"
        running += amount.amount
    return classes


def movements(ledger: Ledger, sku: str | None = None) -> Table:
    """List the movements of one item, or of all."""
    rows = tuple(
        (
            movement.on.isoformat(),
            movement.sku,
            movement.kind.value,
            f"{movement.change:+d}",
            movement.reference,
        )
        for movement in ledger.history(sku)
    )
    return Table("Movements", ("day", "sku", "kind", "change", "reference"), rows)


def _align(cell: str, width: int) -> str:
    numeric = cell.lstrip("+-").replace(",", "").replace(".", "").isdigit()
    return cell.rjust(width) if numeric else cell.ljust(width)


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
