"""Tables, and what stands in them."""

import pytest

from inventory import reports
from inventory.reports import Table


@pytest.fixture(scope="module")
def table():
    return Table("Stock", ("sku", "pieces"), (("TEA-100", "7"), ("A|B", "1,250")))


class TestTable:
    def test_as_text(self, table):
        lines = table.render().splitlines()
        assert lines == [
            "Stock",
            "",
            "sku      pieces",
            "TEA-100       7",
            "A|B       1,250",
        ]

    def test_as_markdown(self, table):
        assert table.render("markdown").splitlines()[2:] == [
            "| sku | pieces |",
            "| --- | --- |",
            "| TEA-100 | 7 |",
            "| A\\|B | 1,250 |",
        ]

    def test_as_csv(self, table):
        assert table.render("csv") == 'sku,pieces\nTEA-100,7\nA|B,"1,250"\n'

    def test_in_no_other_style(self, table):
        with pytest.raises(ValueError, match="unknown style `pdf`"):
            table.render("pdf")

    def test_says_when_it_is_empty(self):
        assert Table("None", ("a",), ()).render().endswith("(nothing)")


class TestValuation:
    def test_adds_up(self, catalogue, ledger):
        rows = reports.valuation(catalogue, ledger).rows
        assert rows[0] == ("CUP-1001", "Cup, blue", "4", "48.00 EUR")
        assert rows[-1] == ("", "total", "", "93.00 EUR")

    def test_shows_what_it_cannot_value(self, catalogue, ledger, monday):
        ledger.receive("XX-999", 2, monday)
        rows = reports.valuation(catalogue, ledger).rows
        assert ("XX-999", "(not in the catalogue)", "2", "-") in rows


@pytest.mark.parametrize(
    ("minimum", "default", "skus"),
    [
        ({}, 0, []),
        ({"TEA-100": 11}, 0, ["TEA-100"]),
        ({"CUP-1001": 4}, 1, ["BOOK-77001", "TEA-200"]),
    ],
)
def test_low_stock(catalogue, ledger, minimum, default, skus):
    rows = reports.low_stock(catalogue, ledger, minimum, default).rows
    assert [row[0] for row in rows] == skus


def test_movements(ledger, monday):
    ledger.issue("TEA-100", 2, monday, "A-1")
    rows = reports.movements(ledger, "TEA-100").rows
    assert rows[-1] == ("2024-01-08", "TEA-100", "issue", "-2", "A-1")
