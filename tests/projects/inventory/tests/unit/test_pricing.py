"""Rules, taxes and quotes."""

from datetime import date
from decimal import Decimal

import pytest

from inventory.money import Money
from inventory.pricing import (
    Bulk,
    OneFree,
    PercentOff,
    Seasonal,
    margin,
    quote,
    round_to,
    tax_class,
)

ADVENT = (date(2024, 12, 1), date(2024, 12, 24))


class TestRules:
    @pytest.mark.parametrize(("percent", "off"), [(0, "0"), (10, "1.2"), (100, "12")])
    def test_percent(self, cup, percent, off):
        assert PercentOff(percent).discount(cup, 1) == Money.of(off)

    @pytest.mark.parametrize("percent", [-1, 101])
    def test_percent_has_limits(self, percent):
        with pytest.raises(ValueError, match="between 0 and 100"):
            PercentOff(percent)

    def test_percent_for_a_tag(self, tea, cup):
        rule = PercentOff(50, tag="food")
        assert rule.discount(tea, 2) == Money.of("4.50")
        assert not rule.discount(cup, 2)

    @pytest.mark.parametrize(
        ("quantity", "off"), [(1, "0"), (9, "0"), (10, "6"), (99, "59.4"), (100, "240")]
    )
    def test_bulk(self, cup, quantity, off):
        rule = Bulk(((100, 20), (10, 5)))
        assert rule.discount(cup, quantity) == Money.of(off)

    @pytest.mark.parametrize(("quantity", "free"), [(2, 0), (3, 1), (7, 2)])
    def test_one_free(self, cup, quantity, free):
        assert OneFree(3, cup.sku).discount(cup, quantity) == cup.price * free

    def test_one_free_of_another_item(self, tea, cup):
        assert not OneFree(3, cup.sku).discount(tea, 3)

    @pytest.mark.parametrize(
        ("today", "off"),
        [(date(2024, 11, 30), "0"), (ADVENT[0], "6"), (ADVENT[1], "6")],
    )
    def test_seasonal(self, cup, today, off):
        rule = Seasonal(PercentOff(50), *ADVENT, today=today)
        assert rule.discount(cup, 1) == Money.of(off)


class TestQuote:
    def test_without_rules(self, cup):
        result = quote(cup, 2)
        assert (result.gross, result.net) == (Money.of(24), Money.of(24))
        assert result.total == Money.of("28.56")
        assert result.reason is None

    def test_the_best_rule_wins(self, cup):
        result = quote(cup, 10, [PercentOff(3), Bulk(((10, 5),)), PercentOff(4)])
        assert result.reason == "bulk"
        assert result.discount == Money.of(6)

    def test_is_for_something(self, cup):
        with pytest.raises(ValueError, match="at least one piece"):
            quote(cup, 0)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [((), "standard"), (("food",), "reduced"), (("book", "export"), "zero")],
)
def test_tax_classes(cup, tags, expected):
    assert tax_class(cup.tagged(*tags)) == expected


@pytest.mark.parametrize(
    ("price", "expected"), [("3.20", "3.99"), ("3.99", "3.99"), ("4", "4.99")]
)
def test_rounds_up_to_an_ending(price, expected):
    assert round_to(Money.of(price), Decimal("0.99")) == Money.of(expected)


def test_margin():
    assert margin(Money.of(12), Money.of(9)) == Decimal("0.25")


def test_margin_of_a_gift():
    assert margin(Money.of(0), Money.of(9)) == 0
