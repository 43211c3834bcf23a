import socket

import pytest
from pytest_socket import SocketConnectBlockedError

import till


def test_an_answer(httpserver):
    httpserver.expect_request("/rate").respond_with_data("7 %")
    assert till.ask(httpserver.url_for("/rate")) == "7 %"


def test_one_more(httpserver):
    httpserver.expect_oneshot_request("/rate").respond_with_data("8 %")
    assert till.ask(httpserver.url_for("/rate")) == "8 %"


def test_nobody_else():
    with socket.socket() as stranger, pytest.raises(SocketConnectBlockedError):
        stranger.connect(("192.0.2.1", 80))
