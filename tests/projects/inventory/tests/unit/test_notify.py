"""The notifier, without waiting."""

import asyncio

import pytest

from inventory.errors import DeliveryFailed
from inventory.notify import Message, Notifier, Outbox, Policy, digest, work

HASTY = Policy(attempts=3, pause=0, timeout=5)


class Flaky(Outbox):
    """Fails a number of times before it works."""

    def __init__(self, failures):
        """Remember how often to fail."""
        super().__init__("flaky")
        self.failures = failures

    async def deliver(self, message):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("line is down")
        await super().deliver(message)


@pytest.fixture
def message():
    return Message("Low stock", "Two teas left")


@pytest.fixture
async def outbox():
    return Outbox()


async def stream(*messages):
    for message in messages:
        await asyncio.sleep(0)
        yield message


@pytest.mark.parametrize(("failures", "attempts"), [(0, 1), (1, 2), (2, 3)])
async def test_tries_again(message, failures, attempts):
    channel = Flaky(failures)
    assert await Notifier([channel], HASTY).send(channel, message) == attempts
    assert channel.messages == [message]


async def test_gives_up(message):
    channel = Flaky(3)
    with pytest.raises(DeliveryFailed, match="channel `flaky`: line is down"):
        await Notifier([channel], HASTY).send(channel, message)


async def test_reaches_all_it_can(message, outbox):
    notifier = Notifier([outbox, Flaky(9)], HASTY)
    assert await notifier.broadcast(message) == {"outbox": True, "flaky": False}


async def test_a_closed_notifier_sends_nothing(message, outbox):
    async with Notifier([outbox], HASTY) as notifier:
        await notifier.broadcast(message)
    with pytest.raises(DeliveryFailed, match="closed"):
        await notifier.broadcast(message)
    assert len(outbox.messages) == 1


@pytest.mark.parametrize(
    ("size", "bundles"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (9, [5])]
)
async def test_digest(size, bundles):
    messages = stream(*(Message(str(n)) for n in range(5)))
    assert [len(bundle) async for bundle in digest(messages, size)] == bundles


async def test_urgent_messages_overtake():
    messages = stream(Message("a"), Message("fire", urgent=True), Message("b"))
    subjects = [[m.subject for m in bundle] async for bundle in digest(messages, 2)]
    assert subjects == [["fire"], ["a", "b"]]


async def test_works_until_told_to_stop(message, outbox):
    queue = asyncio.Queue()
    for entry in (message, message, None, message):
        queue.put_nowait(entry)
    assert await work(queue, Notifier([outbox], HASTY)) == 2
    assert queue.qsize() == 1


def test_pauses_double():
    assert Policy(attempts=4, pause=0.5).pauses() == [0.5, 1.0, 2.0]
