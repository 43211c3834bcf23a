import pytest

from dice import Dice

ROLLED = []


@pytest.fixture
def dice():
    yield Dice(len(ROLLED) + 5)
    ROLLED.append(1)


def test_a_new_one_each_time(dice):
    assert dice.roll() == 6
