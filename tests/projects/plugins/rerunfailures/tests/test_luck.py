import pytest

from dice import Dice

dice = Dice(1, 2)
more = Dice(1, 1, 1, 1)


def test_third_time_lucky():
    assert dice.roll() == 6


def test_never_lucky():
    assert Dice(1).roll() == 6


@pytest.mark.flaky(reruns=4)
def test_fifth_time_lucky():
    assert more.roll() == 6


@pytest.mark.flaky(reruns=0)
def test_only_once():
    assert Dice().roll() == 6
