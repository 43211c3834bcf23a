"""Catalogues in files."""

import json

import pytest

from inventory import exchange
from inventory.errors import FormatError
from inventory.exchange import csv_format, json_format
from inventory.items import Catalogue
from inventory.money import Money
from inventory.units import Unit


@pytest.mark.parametrize("name", ["shop.csv", "shop.json", "SHOP.CSV"])
def test_round_trip(catalogue, tmp_path, name):
    path = tmp_path / name
    exchange.dump(catalogue, path)
    assert list(exchange.load(path)) == list(catalogue)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("sku,name,price\nTEA-100,Tea,4\n", 1),
        ('[{"sku": "TEA-100", "name": "Tea", "price": 4}]', 1),
        ('  {"version": 2, "items": []}', 0),
    ],
)
def test_looks_into_files_without_a_name(tmp_path, text, count):
    path = tmp_path / "catalogue"
    path.write_text(text, encoding="utf-8")
    assert len(exchange.load(path)) == count


def test_names_the_formats_it_knows(catalogue, tmp_path):
    with pytest.raises(FormatError, match="unknown format `.xlsx` .known: .csv, .json"):
        exchange.dump(catalogue, tmp_path / "shop.xlsx")


class TestCsv:
    def test_semicolons(self):
        item = csv_format.loads("sku;name;price\ntea 100;Tea;4,50\n").get("TEA-100")
        assert item.price == Money.of("4.50")

    def test_comments(self):
        text = "sku,name,price\n#TEA-100,Tea,4\nTEA-200,Tea,4\n"
        assert [item.sku for item in csv_format.loads(text)] == ["TEA-200"]

    def test_all_columns(self):
        text = (
            "sku,name,price,unit,tags,ean\n"
            "CUP-1001,Cup,12 USD,dozen,new blue,4006381333931\n"
        )
        item = csv_format.loads(text).get("CUP-1001")
        assert item.unit is Unit.DOZEN
        assert item.tags == {"new", "blue"}
        assert item.price.currency == "USD"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1: columns missing: name, price, sku"),
            ("sku,name\n", "line 1: columns missing: price"),
            ("sku,name,price\nTEA,Tea,4\n", "line 2: `TEA` is not a stock"),
            ("sku,name,price\nTEA-100,A,4\nTEA-100,B,4\n", "line 3: item `TEA-100`"),
            ("sku,name,price\nTEA-100,Tea,cheap\n", "`cheap` is not an amount"),
            ("sku,name,price,unit\nTEA-100,Tea,4,yard\n", "unknown unit `yard`"),
        ],
    )
    def test_says_where_it_broke(self, text, message):
        with pytest.raises(FormatError, match=message):
            csv_format.loads(text)


@pytest.fixture(scope="class")
def written(items):
    """The four items as JSON, read back as plain data."""
    return json.loads(json_format.dumps(Catalogue(items)))


class TestJson:
    def test_has_a_version(self, written):
        assert written["version"] == 2

    def test_leaves_out_defaults(self, written):
        assert [sorted(set(entry) - {"sku", "name"}) for entry in written["items"]] == [
            ["price", "tags"],
            ["ean", "price"],
            ["price", "tags"],
            ["price", "tags", "unit"],
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "line 1"),
            ('{"version": 3}', "version 3 is not supported"),
            ('{"version": 2, "items": [{"sku": "TEA-100"}]}', "an item lacks 'price'"),
        ],
    )
    def test_says_what_broke(self, text, message):
        with pytest.raises(FormatError, match=message):
            json_format.loads(text)

    @pytest.mark.xfail(raises=TypeError, reason="null is read like an object")
    def test_null_is_a_catalogue_without_items(self):
        assert len(json_format.loads('{"version": 2, "items": null}')) == 0
