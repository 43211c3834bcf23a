import pytest

from door import back


@pytest.mark.order(after="test_unlock")
def test_open():
    back.open()
    assert back.state == "open"


@pytest.mark.order(after="test_locked")
def test_unlock():
    back.unlock()
    assert back.state == "closed"


def test_locked():
    assert back.state == "locked"
