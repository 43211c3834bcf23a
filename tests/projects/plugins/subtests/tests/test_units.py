import pytest

from units import METRES, metres


def test_all_good(subtests):
    for unit in METRES:
        with subtests.test(msg="one of it", unit=unit):
            assert metres(1, unit) == METRES[unit]


def test_two_are_wrong(subtests):
    for unit in METRES:
        with subtests.test(msg="more than a little", unit=unit):
            print(f"measuring a {unit}")
            assert metres(1, unit) > 1


def test_wrong_behind_them(subtests):
    with subtests.test(msg="a league"):
        metres(3, "league")
    assert metres(1, "foot") == 1


def test_skips(subtests):
    for unit in [*METRES, "league"]:
        with subtests.test(unit=unit):
            if unit == "league":
                pytest.skip("too long")
            assert metres(0, unit) == 0
