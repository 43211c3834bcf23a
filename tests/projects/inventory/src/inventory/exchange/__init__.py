"""Reading and writing catalogues in the formats of other people."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from inventory.errors import FormatError
from inventory.exchange import csv_format, json_format
from inventory.items import Catalogue


class Format(Protocol):
    """A pair of functions, found in a module of their own."""

    def loads(self, text: str) -> Catalogue:
        """Read a catalogue."""
        raise NotImplementedError

    def dumps(self, catalogue: Catalogue) -> str:
        """Write a catalogue."""
        raise NotImplementedError


FORMATS: dict[str, Format] = {".csv": csv_format, ".json": json_format}


def load(path: Path) -> Catalogue:
    """Read a file in the format that its name or its content tells."""
    text = path.read_text(encoding="utf-8")
    return _format_of(path, text).loads(text)


def dump(catalogue: Catalogue, path: Path) -> None:
    """Write a file in the format that its name tells."""
    text = _format_of(path, "").dumps(catalogue)
    path.write_text(text, encoding="utf-8")


def _format_of(path: Path, text: str) -> Format:
    known = FORMATS.get(path.suffix.lower())
    if known is not None:
        return known
    if text.lstrip().startswith(("{", "[")):
        return json_format
    if text.startswith("sku"):
        return csv_format
    raise FormatError(f"unknown format `{path.suffix}` (known: {', '.join(FORMATS)})")
