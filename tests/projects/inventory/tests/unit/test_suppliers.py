"""Suppliers, their packs and their calendars."""

from datetime import date, timedelta

import pytest

from inventory.money import Money
from inventory.suppliers import Supplier, choose, offers


@pytest.fixture(scope="module")
def suppliers():
    """One cheap and slow, one fast and dear, one with another trade."""
    return [
        Supplier("Slow & Co", 10, pack=12, prices={"TEA-100": Money.of("2.00")}),
        Supplier("Swift", 2, prices={"TEA-100": Money.of("3.00")}),
        Supplier("Potter", 5, minimum=6, prices={"CUP-1001": Money.of("5.00")}),
    ]


@pytest.mark.parametrize(
    ("pack", "minimum", "wanted", "quantity"),
    [(1, 1, 7, 7), (12, 1, 7, 12), (12, 1, 12, 12), (12, 20, 7, 24), (1, 20, 7, 20)],
)
def test_rounds_up_to_packs(pack, minimum, wanted, quantity):
    assert Supplier("any", 1, pack, minimum).quantity_for(wanted) == quantity


@pytest.mark.parametrize(("lead", "days"), [(0, 0), (1, 1), (4, 4), (5, 7), (10, 14)])
def test_weekends_do_not_count(monday, lead, days):
    assert Supplier("any", lead).arrival(monday) == monday + timedelta(days=days)


def test_holidays_do_not_count(monday):
    arrival = Supplier("any", 2).arrival(monday, holidays=[date(2024, 1, 9)])
    assert arrival == date(2024, 1, 11)


def test_the_cheapest_comes_first(suppliers, monday):
    found = offers(suppliers, "TEA-100", 10, monday)
    assert [offer.supplier.name for offer in found] == ["Slow & Co", "Swift"]
    assert found[0].cost == Money.of(24)


@pytest.fixture(scope="class")
def pick(suppliers, monday):
    def pick(sku, needed_in=None):
        needed = None if needed_in is None else monday + timedelta(days=needed_in)
        offer = choose(suppliers, sku, 10, monday, needed)
        return offer and offer.supplier.name

    return pick


class TestChoosing:
    @pytest.mark.parametrize(
        ("needed_in", "name"),
        [(None, "Slow & Co"), (30, "Slow & Co"), (3, "Swift"), (1, "Swift")],
    )
    def test_looks_at_price_and_time(self, pick, needed_in, name):
        assert pick("TEA-100", needed_in) == name

    def test_finds_nobody(self, pick):
        assert pick("BOOK-77001") is None
