import pytest

from door import front


@pytest.mark.order(3)
def test_open():
    front.open()
    assert front.state == "open"


@pytest.mark.order(2)
def test_unlock():
    front.unlock()
    assert front.state == "closed"


@pytest.mark.order("first")
def test_locked():
    with pytest.raises(RuntimeError):
        front.open()


@pytest.mark.order("last")
def test_still_open():
    assert front.state == "open"
