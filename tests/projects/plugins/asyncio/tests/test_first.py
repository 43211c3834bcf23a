import asyncio

import pytest
import pytest_asyncio

from chat import first


async def never():
    await asyncio.Event().wait()


async def now():
    return 1


async def test_first():
    assert await first(never(), now()) == 1


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def loop():
    return asyncio.get_running_loop()


@pytest.mark.asyncio(loop_scope="class")
class TestOneLoop:
    @pytest.mark.parametrize("number", range(3))
    async def test_same(self, loop, number):
        assert asyncio.get_running_loop() is loop


def test_a_loop_of_its_own():
    assert asyncio.run(now()) == 1


def test_in_a_process():
    async def run():
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    assert asyncio.run(run()) == 0
