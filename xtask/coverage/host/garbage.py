"""Garbage: what was collected is kept out of the garbage collector's way until a test asks.

With the suite frozen a `gc.collect()` in a fixture costs next to nothing, and forks share its
memory. But frozen objects are never found to be garbage, and nobody is told of them. So a
test that collects garbage by itself, and whoever asks which objects there are, first has the
collector see them again: such a test pays what it pays in a sequential run.
"""

from __future__ import annotations

import functools
import gc
import sys
from types import FrameType
from typing import Any, Callable

collect, get_objects = gc.collect, gc.get_objects
_freeze, _unfreeze = gc.freeze, gc.unfreeze
_frame: Callable[[int], FrameType] = sys._getframe

_OLDEST = 2
# The frames of pytest and unittest that say in what part of a test we are.
_TEST = "pytest_runtest_call"
_AROUND_A_TEST = {
    *("pytest_runtest_setup", "pytest_runtest_teardown"),
    *("_callSetUp", "_callTearDown", "_callCleanup", "doCleanups", "doClassCleanups"),
}
_frozen = False


def freeze() -> None:
    """From here on what there is now is nothing to the collector."""
    global _frozen
    _freeze()
    _frozen = True


def unfreeze() -> None:
    global _frozen
    if _frozen:
        _unfreeze()
        _frozen = False


def unfreeze_when_asked() -> None:
    """To be called before anything of the project is imported, which may keep these functions."""
    gc.collect = _like(gc.collect, _collect)  # type: ignore[assignment]
    for name in ("get_objects", "get_referrers"):
        original = getattr(gc, name)
        setattr(gc, name, _like(original, functools.partial(_after_unfreezing, original)))


def _like(original: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return functools.update_wrapper(wrapper, original, ("__module__", "__name__", "__doc__"), ())


def _collect(*args: Any, **kwargs: Any) -> int:
    generation = args[0] if args else kwargs.get("generation", _OLDEST)
    if _frozen and generation == _OLDEST and _in_a_test():
        unfreeze()
    return collect(*args, **kwargs)


def _after_unfreezing(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    unfreeze()
    return original(*args, **kwargs)


def _in_a_test() -> bool:
    """In the test itself, not in its fixtures: these run for every test, and look for nothing."""
    frame: FrameType | None = _frame(2)
    while frame is not None:
        name = frame.f_code.co_name
        if name == _TEST:
            return True
        if name in _AROUND_A_TEST:
            return False
        frame = frame.f_back
    return False
