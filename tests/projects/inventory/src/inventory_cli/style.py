"""How the command line writes things."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, noun: str) -> str:
    """Write `1 item`, `2 items`, `3 boxes`."""
    if count == 1:
        return f"1 {noun}"
    ending = "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{count} {noun}{ending}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line up rows of text, without blanks at the end."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    ]


def shorten(text: str, width: int) -> str:
    """Cut a text that is too long for its column."""
    if len(text) <= width:
        return text
    if width < 2:
        return text[:width]
    return text[: width - 1] + "…"
