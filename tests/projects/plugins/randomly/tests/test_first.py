import pytest

from lots import draw, shuffled


@pytest.mark.parametrize("number", range(9))
def test_the_seed_decides(number):
    assert draw(2) == 0


class TestShuffled:
    def test_nothing_is_lost(self):
        assert sorted(shuffled("abc")) == ["a", "b", "c"]

    def test_short(self):
        assert shuffled("a") == ["a"]
