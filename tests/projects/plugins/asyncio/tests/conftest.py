import asyncio

import pytest_asyncio

import chat


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def port():
    server = await asyncio.start_server(chat.shout, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
