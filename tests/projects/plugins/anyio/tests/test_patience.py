import pytest
import sniffio

from meeting import patiently

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def library(anyio_backend):
    yield sniffio.current_async_library()


async def test_it_ends():
    assert await patiently(0.01)


async def test_the_library(library, anyio_backend_name):
    assert library == anyio_backend_name
