import asyncio

import pytest

from chat import ask

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_shouts(port):
    assert await ask(port, "hello") == "HELLO"


@pytest.mark.parametrize("text", ["a", "b", "c"])
async def test_it_shouts_to_many(port, text):
    answers = await asyncio.gather(*(ask(port, text) for _ in range(5)))
    assert answers == [text.upper()] * 5
