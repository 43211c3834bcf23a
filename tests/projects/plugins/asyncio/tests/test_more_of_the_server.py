import pytest

from chat import ask

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_is_nothing(port):
    assert await ask(port, "") == ""


async def test_it_does_not_whisper(port):
    assert await ask(port, "hello") == "hello"
