"""Money: arithmetic without surprises."""

from decimal import Decimal

import pytest

from inventory.errors import CurrencyMismatch, FormatError
from inventory.money import Money, total


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "amount", "currency"),
        [
            ("12.50", "12.50", "EUR"),
            ("12,50", "12.50", "EUR"),
            (" 7 ", "7.00", "EUR"),
            ("12.50 USD", "12.50", "USD"),
            ("gbp 3", "3.00", "GBP"),
            ("$0.99", "0.99", "USD"),
            ("€ 1", "1.00", "EUR"),
        ],
    )
    def test_understands(self, text, amount, currency):
        assert Money.parse(text) == Money(Decimal(amount), currency)

    @pytest.mark.parametrize("text", ["", "free", "1.2.3", "12 EUR EUR"])
    def test_refuses(self, text):
        with pytest.raises(FormatError, match="is not an amount"):
            Money.parse(text)

    @pytest.mark.xfail(strict=True, reason="thousands separators are not understood")
    def test_understands_thousands(self):
        assert Money.parse("1,250.00") == Money.of("1250")


@pytest.fixture(scope="class")
def five():
    return Money.of(5)


class TestArithmetic:
    def test_adds(self, five):
        assert five + Money.of("0.10") == Money.of("5.10")

    def test_subtracts(self, five):
        assert five - Money.of(7) == Money.of(-2)

    def test_multiplies_and_rounds_half_up(self, five):
        assert five * Decimal("0.333") == Money.of("1.67")

    def test_negates(self, five):
        assert -five == Money.of(-5)

    def test_compares(self, five):
        assert Money.of(4) < five

    def test_zero_is_false(self, five):
        assert five
        assert not Money.of(0)

    @pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__"])
    def test_currencies_do_not_mix(self, five, operation):
        with pytest.raises(CurrencyMismatch, match="EUR meets USD"):
            getattr(five, operation)(Money.of(5, "USD"))


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0.00 EUR"), ("1234.5", "1,234.50 EUR"), ("-3", "-3.00 EUR")],
)
def test_prints_as_the_tills_do(amount, text):
    assert str(Money.of(amount)) == text


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_a_split_loses_nothing(parts):
    shares = Money.of("10.00").split(parts)
    assert len(shares) == parts
    assert total(shares) == Money.of("10.00")


def test_the_first_shares_are_the_larger():
    assert Money.of("0.05").split(3) == [Money.of(x) for x in ("0.02", "0.02", "0.01")]


def test_nothing_adds_up_to_zero():
    assert total([], "USD") == Money.of(0, "USD")
