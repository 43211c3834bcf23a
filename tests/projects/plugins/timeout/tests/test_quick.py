import pytest

from work import work


@pytest.fixture
def slow():
    work(-1)


@pytest.mark.timeout(0.2)
def test_a_fixture_takes_for_ever(slow):
    pass


@pytest.mark.timeout(0)
def test_without_limit():
    assert work(3) == 3
