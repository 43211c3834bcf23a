"""A small shop that most tests share."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.items import Catalogue, Item
from inventory.money import Money
from inventory.stock import Ledger
from inventory.units import Unit


@pytest.fixture(scope="session")
def items() -> tuple[Item, ...]:
    """Four items; they never change, so one set serves the whole session."""
    return (
        Item("TEA-100", "Green tea", Money.of("4.50"), tags=frozenset({"food"})),
        Item(
            "TEA-200",
            "Black tea",
            Money.of("3.99"),
            Unit.GRAM,
            frozenset({"food", "bestseller"}),
        ),
        Item("CUP-1001", "Cup, blue", Money.of("12"), ean="4006381333931"),
        Item(
            "BOOK-77001", "All about tea", Money.of("24.90"), tags=frozenset({"book"})
        ),
    )


@pytest.fixture
def tea(items) -> Item:
    return items[0]


@pytest.fixture
def cup(items) -> Item:
    return items[2]


@pytest.fixture
def catalogue(items) -> Catalogue:
    return Catalogue(items)


@pytest.fixture(scope="session")
def monday() -> date:
    """Day one of every story."""
    return date(2024, 1, 8)


@pytest.fixture
def ledger(monday) -> Ledger:
    """Ten teas and four cups."""
    ledger = Ledger()
    ledger.receive("TEA-100", 10, monday, "first delivery")
    ledger.receive("CUP-1001", 4, monday, "first delivery")
    return ledger
