import pytest

from tea import brew


@pytest.mark.parametrize("lumps", range(1, 12))
def test_sweet(lumps):
    assert brew(lumps) == "sweet"


def test_wrong():
    print("stirring")
    assert brew(1) == "plain"


@pytest.mark.xfail
def test_expected():
    brew(-1)
