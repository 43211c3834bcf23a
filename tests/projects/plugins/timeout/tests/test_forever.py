import pytest

from work import work


def test_before():
    assert work(1) == 1


def test_forever():
    work(-1)


@pytest.mark.timeout(0.2)
def test_its_own_limit():
    work(-1)


def test_after():
    assert work(2) == 2
