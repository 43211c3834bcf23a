import pytest

from tea import brew


def test_plain():
    assert brew(0) == "plain"


@pytest.mark.skip(reason="no tea")
def test_skipped():
    pass


@pytest.fixture
def broken():
    return brew(-1)


def test_error(broken):
    assert broken == "plain"
