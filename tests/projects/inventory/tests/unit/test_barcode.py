"""Barcodes: check digits, prefixes, repairs."""

import pytest

from inventory import barcode
from inventory.errors import FormatError

VALID = ["4006381333931", "9780201379624", "5012345678900", "2000000000008"]


@pytest.mark.parametrize("code", VALID)
def test_accepts(code):
    assert barcode.is_valid(code)
    assert barcode.complete(code[:12]) == code


@pytest.mark.parametrize("code", ["4006381333932", "400638133393", "40063813339x1", ""])
def test_rejects(code):
    assert not barcode.is_valid(code)


@pytest.mark.parametrize("digits", ["12345678901", "12345678901a"])
def test_completes_only_twelve_digits(digits):
    with pytest.raises(FormatError, match="not twelve digits"):
        barcode.complete(digits)


@pytest.mark.parametrize(
    ("code", "name"),
    list(zip(VALID, ["Germany", "book", "United Kingdom", "internal"])),
)
def test_names_the_origin(code, name):
    assert barcode.origin(code) == name


@pytest.mark.parametrize("place", [0, 6, 12])
def test_repairs_one_digit(place):
    code = VALID[0]
    assert barcode.repair(f"{code[:place]}?{code[place + 1 :]}") == code


def test_does_not_repair_two_digits():
    with pytest.raises(FormatError, match="exactly one"):
        barcode.repair("40063813339??")
