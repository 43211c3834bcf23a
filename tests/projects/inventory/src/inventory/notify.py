"""Telling people, without waiting for them: an asynchronous notifier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Callable, Protocol

from inventory.errors import DeliveryFailed


@dataclass(frozen=True)
class Message:
    """A subject, a text, and whether it is urgent."""

    subject: str
    text: str = ""
    urgent: bool = False


class Channel(Protocol):
    """A way to reach somebody."""

    name: str

    async def deliver(self, message: Message) -> None:
        """Deliver one message, or raise."""
        raise NotImplementedError


@dataclass
class Outbox:
    """A channel that keeps what it gets; good for previews and tests."""

    name: str = "outbox"
    messages: list[Message] = field(default_factory=list)

    async def deliver(self, message: Message) -> None:
        """Keep the message."""
        self.messages.append(message)


@dataclass(frozen=True)
class Policy:
    """How often to try, how long to wait, how long an attempt may take."""

    attempts: int = 3
    pause: float = 0.5
    timeout: float = 10.0

    def pauses(self) -> list[float]:
        """List the pauses between attempts; each is twice as long."""
        return [self.pause * 2**n for n in range(self.attempts - 1)]


class Notifier:
    """Delivers messages through channels, patiently."""

    def __init__(
        self, channels: Sequence[Channel], policy: Policy | None = None
    ) -> None:
        """Remember the channels."""
        self.channels = list(channels)
        self.policy = policy or Policy()
        self.closed = False

    async def __aenter__(self) -> Notifier:
        """Open the notifier."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it, whatever happened."""
        self.closed = True

    async def send(self, channel: Channel, message: Message) -> int:
        """Deliver one message, and return the number of attempts it took."""
        reason = "no attempt made"
        pauses = [*self.policy.pauses(), None]
        for attempt, pause in enumerate(pauses, start=1):
            try:
                await asyncio.wait_for(channel.deliver(message), self.policy.timeout)
                return attempt
            except asyncio.TimeoutError:
                reason = "timed out"
            except OSError as error:
                reason = str(error)
            if pause is not None:
                await asyncio.sleep(pause)
        raise DeliveryFailed(f"channel `{channel.name}`: {reason}")

    async def broadcast(self, message: Message) -> dict[str, bool]:
        """Send to all channels at once; say which of them were reached."""
        if self.closed:
            raise DeliveryFailed("the notifier is closed")
        results = await asyncio.gather(
            *(self.send(channel, message) for channel in self.channels),
            return_exceptions=True,
        )
        reached = {}
        for channel, result in zip(self.channels, results):
            if isinstance(result, BaseException) and not isinstance(
                result, DeliveryFailed
            ):
                raise result
            reached[channel.name] = isinstance(result, int)
        return reached


async def digest(
    messages: AsyncIterator[Message], size: int
) -> AsyncIterator[list[Message]]:
    """Gather messages into bundles; an urgent one does not wait."""
    bundle: list[Message] = []
    async for message in messages:
        if message.urgent:
            yield [message]
            continue
        bundle.append(message)
        if len(bundle) == size:
            yield bundle
            bundle = []
    if bundle:
        yield bundle


async def work(queue: asyncio.Queue[Message | None], notifier: Notifier) -> int:
    """Broadcast what the queue brings until it brings None; count it."""
    sent = 0
    while True:
        message = await queue.get()
        if message is None:
            return sent
        await notifier.broadcast(message)
        sent += 1


async def wait_until(
    condition: Callable[[], bool], timeout: float, interval: float = 0.05
) -> bool:
    """Look again and again until a condition holds, or time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not condition():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(interval)
    return True
