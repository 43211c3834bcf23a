"""What random programs call: code that is not measured, between code that is.

Everything is bounded by one counter: functions and methods of a program begin with `step()`,
which raises once that is spent.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import AsyncIterable, Callable, Coroutine, Generator, Iterable
from typing import Any

STEPS, LINES, FORKS = 300, 400, 3


class Enough(BaseException):
    """The program has done as much as it may."""


class State:
    """What is counted, and what the runner of programs does for them."""

    steps = 0
    lines: list[str] = []
    forks = 0
    reloads = 0
    start: Callable[[], None]
    stop: Callable[[], None]
    fork: Callable[[], bool]
    reload: Callable[[], None]
    context: Callable[[str], None]
    trace: Any = None


def reset() -> None:
    State.steps, State.lines, State.forks, State.reloads = STEPS, [], FORKS, 1


def step(value: int = 1) -> int:
    State.steps -= 1
    if State.steps < 0:
        raise Enough
    return value


def log(*values: Any) -> None:
    """Keep what tells a run from another: no addresses."""
    if len(State.lines) >= LINES:
        raise Enough
    for value in values:
        known = isinstance(value, (int, str, type(None)))
        State.lines.append(repr(value)[:40] if known else type(value).__name__)


def start() -> None:
    State.start()


def stop() -> None:
    State.stop()


def context(number: int) -> None:
    """Whatever is executed from here on belongs to this context."""
    State.context(f"context {number}" if number else "")


def traced_by(trace: Any, function: Callable[..., Any], *args: Any) -> Any:
    """As a test does that must not be traced, or be traced by another."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function(*args)
    finally:
        sys.settrace(before)


def blind(frame: Any, event: str, arg: Any) -> None:
    """A trace function that looks at no frame further."""


def following(frame: Any, event: str, arg: Any) -> Any:
    return following


def fork() -> bool:
    if State.forks == 0:
        return False
    State.forks -= 1
    return State.fork()


def again() -> bool:
    State.reloads -= 1
    return State.reloads >= 0


def reload() -> None:
    State.reload()


def call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def guard(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args) or 0
    except Exception:
        return 0


def each(function: Callable[[Any], Any], values: Iterable[Any]) -> Generator[Any, Any, None]:
    for value in values:
        yield function(value)


def zip_sum(one: Iterable[int], other: Iterable[int]) -> Iterable[int]:
    return [first + second for first, second in zip(one, other)]


def close(made: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> int:
    made.close()
    return 0


class Swallow:
    """A context manager that hides an error."""

    def __init__(self, kind: type[BaseException] = Exception) -> None:
        self.kind = kind

    def __enter__(self) -> int:
        return 1

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> bool:
        return kind is not None and issubclass(kind, self.kind)


class Pause:
    """Awaited, it hands over to whoever runs the coroutine."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __await__(self) -> Generator[None, Any, int]:
        for _ in range(self.times):
            yield
        return self.times


pause = Pause


async def fail(kind: type[BaseException]) -> None:
    raise kind


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        while True:
            coroutine.send(None)
            step()
    except StopIteration as stopped:
        return stopped.value or 0


class Both:
    """Coroutines in turns; an error of one closes the others."""

    def __init__(self, *coroutines: Coroutine[Any, Any, Any]) -> None:
        self.left = list(coroutines)

    def __await__(self) -> Generator[None, Any, int]:
        try:
            while self.left:
                for coroutine in self.left[:]:
                    try:
                        coroutine.send(None)
                    except StopIteration:
                        self.left.remove(coroutine)
                yield
        finally:
            for coroutine in self.left:
                coroutine.close()
        return 1


async def both(*coroutines: Coroutine[Any, Any, Any]) -> int:
    return await Both(*coroutines)


async def collect(values: AsyncIterable[Any]) -> list[Any]:
    return [value or 0 async for value in values]


def thread(function: Callable[..., Any], *args: Any) -> None:
    started = threading.Thread(target=guard, args=(function, *args))
    started.start()
    started.join()


def threads(function: Callable[..., Any], other: Callable[..., Any], count: int) -> None:
    """One after the other: who counts first must not depend on the scheduler."""

    def body(number: int) -> None:
        list(other(function(number) or 0))

    for number in range(count):
        thread(body, number)


def raw_thread(function: Callable[..., Any], *args: Any) -> None:
    """A thread that `threading` knows nothing of."""
    ended = _thread.allocate_lock()
    ended.acquire()

    def body() -> None:
        try:
            guard(function, *args)
        except BaseException:
            pass
        finally:
            ended.release()

    _thread.start_new_thread(body, ())
    ended.acquire()
