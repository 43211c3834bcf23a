import pytest

from meeting import meet

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_all_meet(count):
    assert await meet(count) == list(range(count))


async def test_nobody_meets():
    assert await meet(0) == [1]
