"""The database file."""

import sqlite3
from datetime import date

import pytest

from inventory.errors import FormatError, StoreBusy
from inventory.stock import Kind, Movement
from inventory.storage import MIGRATIONS, Store

pytestmark = pytest.mark.database


def test_a_new_file_is_up_to_date(tmp_path):
    with Store(tmp_path / "new.db") as store:
        assert store.version == len(MIGRATIONS)
        assert len(store.load_catalogue()) == 0


def test_keeps_the_catalogue(template, catalogue):
    with Store(template) as store:
        assert list(store.load_catalogue()) == list(catalogue)


def test_keeps_the_ledger(template, ledger):
    with Store(template) as store:
        assert store.load_ledger().history() == ledger.history()


def test_replaces_items(database, catalogue, tea):
    catalogue.update(tea.tagged("new"))
    with Store(database) as store:
        store.save_catalogue(catalogue)
        assert store.load_catalogue().get(tea.sku).tags == {"food", "new"}


def test_appends_in_order(database):
    day = date(2024, 2, 1)
    with Store(database) as store:
        store.append(Movement("TEA-100", Kind.ISSUE, -10, day))
        store.append(Movement("TEA-100", Kind.RECEIPT, 1, day))
    with Store(database) as store:
        assert [m.change for m in store.load_ledger().history("TEA-100")] == [
            10,
            -10,
            1,
        ]


def test_old_files_are_migrated(tmp_path):
    path = tmp_path / "old.db"
    connection = sqlite3.connect(str(path))
    connection.executescript(MIGRATIONS[0])
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO item VALUES ('TEA-100', 'Tea', '4.50', 'EUR')")
    connection.commit()
    connection.close()
    with Store(path) as store:
        assert store.load_catalogue().get("TEA-100").tags == frozenset()


def test_newer_files_are_refused(tmp_path):
    path = tmp_path / "newer.db"
    connection = sqlite3.connect(str(path))
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(FormatError, match="newer version"):
        Store(path)


@pytest.mark.slow
def test_does_not_wait_for_ever(database, catalogue):
    other = sqlite3.connect(str(database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with Store(database, timeout=0.3) as store, pytest.raises(StoreBusy):
            store.save_catalogue(catalogue)
    finally:
        other.execute("ROLLBACK")
        other.close()
