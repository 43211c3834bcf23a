import pytest

from dice import Dice

dice = Dice(1)
made = []


@pytest.fixture(scope="class")
def table():
    made.append(1)
    yield made
    made.clear()


class TestTable:
    def test_one(self, table):
        assert table == [1]
        assert dice.roll() == 6

    def test_two(self, table):
        assert table


@pytest.fixture
def loaded():
    assert broken.roll() == 6


broken = Dice(1)


def test_its_fixture_is_tried_again(loaded):
    pass
