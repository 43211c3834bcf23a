"""One function a task; each gives the lines to print."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from inventory import barcode as barcodes
from inventory import exchange, reports
from inventory.config import Settings
from inventory.storage import Store
from inventory_cli.style import columns, plural

Lines = Iterator[str]


def import_catalogue(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Read a file into the database."""
    catalogue = exchange.load(typed.file)
    with _open(typed, settings) as store:
        store.save_catalogue(catalogue)
    yield f"{plural(len(catalogue), 'item')} imported"


def export_catalogue(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Write the database's catalogue to a file."""
    with _open(typed, settings) as store:
        catalogue = store.load_catalogue()
    exchange.dump(catalogue, typed.file)
    yield f"{plural(len(catalogue), 'item')} exported"


def list_items(typed: argparse.Namespace, settings: Settings) -> Lines:
    """List items in columns."""
    with _open(typed, settings) as store:
        found = store.load_catalogue().search(typed.text, tag=typed.tag)
    if not found:
        yield "no items"
        return
    yield from columns([(item.sku, item.name, str(item.price)) for item in found])


def receive(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Book goods that arrived."""
    with _open(typed, settings) as store:
        item = store.load_catalogue().get(typed.sku)
        ledger = store.load_ledger()
        ledger.receive(item.sku, typed.quantity, typed.on, typed.reference)
        store.append(ledger.history()[-1])
    yield f"{ledger.on_hand(item.sku)} x {item.name} on hand"


def issue(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Book goods that left, and warn when few remain."""
    with _open(typed, settings) as store:
        item = store.load_catalogue().get(typed.sku)
        ledger = store.load_ledger()
        ledger.issue(item.sku, typed.quantity, typed.on, typed.reference)
        store.append(ledger.history()[-1])
    left = ledger.on_hand(item.sku)
    yield f"{left} x {item.name} on hand"
    if left < settings.low_stock:
        yield f"order soon: fewer than {settings.low_stock} left"


def report(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Print one of the reports."""
    with _open(typed, settings) as store:
        catalogue, ledger = store.load_catalogue(), store.load_ledger()
    if typed.kind == "valuation":
        table = reports.valuation(catalogue, ledger)
    elif typed.kind == "low-stock":
        table = reports.low_stock(catalogue, ledger, {}, settings.low_stock)
    else:
        table = reports.movements(ledger)
    yield table.render(typed.style)


def barcode(typed: argparse.Namespace, settings: Settings) -> Lines:
    """Say what a barcode is, or make it whole."""
    code = typed.code
    if "?" in code:
        code = barcodes.repair(code)
        yield f"repaired: {code}"
    elif len(code) == 12:
        code = barcodes.complete(code)
        yield f"completed: {code}"
    if barcodes.is_valid(code):
        yield f"valid ({barcodes.origin(code)})"
    else:
        yield "not valid"


def _open(typed: argparse.Namespace, settings: Settings) -> Store:
    return Store(typed.database or Path(settings.database))
