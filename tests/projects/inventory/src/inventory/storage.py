"""Keeping catalogue and ledger in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import TracebackType

from inventory.errors import FormatError, StoreBusy
from inventory.items import Catalogue, Item
from inventory.money import Money
from inventory.stock import Kind, Ledger, Movement
from inventory.units import Unit

MIGRATIONS = [
    """
    CREATE TABLE item (
        sku TEXT PRIMARY KEY, name TEXT NOT NULL,
        amount TEXT NOT NULL, currency TEXT NOT NULL
    );
    CREATE TABLE movement (
        id INTEGER PRIMARY KEY, sku TEXT NOT NULL, kind TEXT NOT NULL,
        change INTEGER NOT NULL, day TEXT NOT NULL, reference TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE item ADD COLUMN unit TEXT NOT NULL DEFAULT 'each';
    ALTER TABLE item ADD COLUMN tags TEXT NOT NULL DEFAULT '';
    ALTER TABLE item ADD COLUMN ean TEXT;
    """,
]


class Store:
    """An open database file."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        """Open the file, and bring it up to date."""
        self._connection = sqlite3.connect(str(path), timeout=timeout)
        self._migrate()

    def __enter__(self) -> Store:
        """Use the store in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    @property
    def version(self) -> int:
        """How many migrations the file has seen."""
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def save_catalogue(self, catalogue: Catalogue) -> None:
        """Write all items, replacing those that are there."""
        rows = [
            (
                item.sku,
                item.name,
                str(item.price.amount),
                item.price.currency,
                item.unit.name.lower(),
                " ".join(sorted(item.tags)),
                item.ean,
            )
            for item in catalogue
        ]
        self._write("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def load_catalogue(self) -> Catalogue:
        """Read all items."""
        rows = self._connection.execute(
            "SELECT sku, name, amount, currency, unit, tags, ean FROM item"
        )
        return Catalogue(
            Item(
                sku,
                name,
                Money.of(amount, currency),
                Unit[unit.upper()],
                frozenset(tags.split()),
                ean,
            )
            for sku, name, amount, currency, unit, tags, ean in rows.fetchall()
        )

    def append(self, *movements: Movement) -> None:
        """Add movements to the end of the ledger."""
        rows = [
            (m.sku, m.kind.value, m.change, m.on.isoformat(), m.reference)
            for m in movements
        ]
        self._write(
            "INSERT INTO movement (sku, kind, change, day, reference)"
            " VALUES (?, ?, ?, ?, ?)",
            rows,
        )

    def load_ledger(self) -> Ledger:
        """Read the ledger, in the order it was written."""
        ledger = Ledger()
        rows = self._connection.execute(
            "SELECT sku, kind, change, day, reference FROM movement ORDER BY id"
        )
        for sku, kind, change, day, reference in rows.fetchall():
            on = date.fromisoformat(day)
            ledger.record(Movement(sku, Kind(kind), change, on, reference))
        return ledger

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreBusy("the database is in use by somebody else") from error
            raise

    def _migrate(self) -> None:
        if self.version > len(MIGRATIONS):
            self.close()
            raise FormatError("the database was written by a newer version")
        for number in range(self.version, len(MIGRATIONS)):
            self._connection.executescript(MIGRATIONS[number])
            self._connection.execute(f"PRAGMA user_version = {number + 1}")
