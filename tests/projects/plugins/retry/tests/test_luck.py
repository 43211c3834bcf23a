import pytest

from dice import Dice

DICE = Dice(1, 2)


def test_third_time_lucky():
    assert DICE.roll() == 6


@pytest.mark.flaky(retries=1)
def test_never():
    assert Dice(1, 1).roll() == 6


def test_at_once():
    assert Dice().roll() == 6


@pytest.mark.xfail(reason="the dice are loaded")
def test_expected():
    assert Dice(1).roll() == 6
