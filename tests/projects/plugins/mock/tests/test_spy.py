import pytest

import clock


@pytest.fixture(scope="session")
def one(session_mocker):
    return session_mocker.patch("clock.process", return_value="one")


@pytest.fixture(scope="module", autouse=True)
def quick(module_mocker):
    return module_mocker.patch("clock.took", return_value=0)


def test_session(one):
    assert clock.process() == "one"


def test_module():
    assert clock.took(None) == 0


def test_spy(mocker):
    spy = mocker.spy(clock, "end")
    mocker.patch("os._exit")
    mocker.patch("os.fork", return_value=0)
    clock.end(2)
    assert spy.spy_return == 0
