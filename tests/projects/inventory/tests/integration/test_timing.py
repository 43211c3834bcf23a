"""What takes real time: pauses, time-outs, waiting for stock."""

import asyncio

import pytest

from inventory.errors import DeliveryFailed
from inventory.notify import Message, Notifier, Outbox, Policy, wait_until

pytestmark = pytest.mark.slow


class Slow(Outbox):
    """Takes its time over each message."""

    def __init__(self, seconds):
        """Remember how long to take."""
        super().__init__("slow")
        self.seconds = seconds

    async def deliver(self, message):
        await asyncio.sleep(self.seconds)
        await super().deliver(message)


@pytest.mark.parametrize("seconds", [0.2, 0.3])
async def test_waits_for_a_slow_channel(seconds):
    channel = Slow(seconds)
    assert (
        await Notifier([channel], Policy(timeout=30)).send(channel, Message("Hi")) == 1
    )


async def test_does_not_wait_for_ever():
    channel = Slow(60)
    policy = Policy(attempts=2, pause=0.1, timeout=0.15)
    with pytest.raises(DeliveryFailed, match="timed out"):
        await Notifier([channel], policy).send(channel, Message("Hi"))
    assert channel.messages == []


async def test_slow_channels_do_not_hold_up_each_other():
    channels = [Slow(0.4), Slow(0.4), Outbox()]
    await Notifier(channels, Policy(timeout=30)).broadcast(Message("Hi"))
    assert [len(channel.messages) for channel in channels] == [1, 1, 1]


async def test_pauses_between_attempts():
    loop = asyncio.get_running_loop()
    calls = []

    class Broken(Outbox):
        async def deliver(self, message):
            calls.append(loop.time())
            raise OSError("unplugged")

    channel = Broken("broken")
    with pytest.raises(DeliveryFailed, match="unplugged"):
        await Notifier([channel], Policy(attempts=2, pause=0.3)).send(
            channel, Message("Hi")
        )
    assert calls[1] - calls[0] >= 0.29


class TestWaiting:
    async def test_sees_stock_arrive(self, ledger, monday):
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, ledger.receive, "TEA-100", 5, monday)
        assert await wait_until(lambda: ledger.on_hand("TEA-100") == 15, timeout=30)

    async def test_gives_up(self, ledger):
        assert not await wait_until(lambda: ledger.on_hand("TEA-100") > 10, timeout=0.3)

    @pytest.mark.xfail(reason="a slow machine may look only once")
    async def test_looks_at_once(self, ledger):
        looks = []
        assert not await wait_until(lambda: looks.append(1), timeout=0.2, interval=0.05)
        assert len(looks) >= 2
