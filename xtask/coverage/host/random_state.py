"""RandomState: the state of `random`, which a fork seeds anew, and a sequential run does not."""

from __future__ import annotations

import random
from typing import Any

_get, _set = random.getstate, random.setstate

_WORD = 32
_WORDS = 624  # in a block of the Mersenne Twister
_MOST_BLOCKS = 1024


class RandomState:
    """What `random` draws from, in this process.

    Where the project has seeded it while collecting, a fork draws what a sequential run would
    draw. Where nobody did, each fork draws its own: equal names and ports would clash.
    """

    def __init__(self) -> None:
        self._first = _get()
        self._seeded = False

    def before_fork(self) -> Any:
        """The state for the fork; None where it is nobody's choice."""
        state = _get()
        self._seeded = self._seeded or not comes_from(self._first, state)
        return state if self._seeded else None

    def after_fork(self, state: Any) -> None:
        if state is None:
            self._first = _get()
        else:
            _set(state)


def comes_from(first: Any, state: Any) -> bool:
    """Whether some draws, none or many, lead from one state to the other."""
    if first[:1] != state[:1]:
        return False
    wanted, index = _block(state)
    block, first_index = _block(first)
    if block == wanted:
        return index >= first_index
    twister = _at(first, _WORDS)
    return any(twister.getrandbits(_WORD * _WORDS) == wanted for _ in range(_MOST_BLOCKS))


def _block(state: Any) -> tuple[int, int]:
    """All draws of the block that a state is in, as one number, and how many are taken."""
    return _at(state, 0).getrandbits(_WORD * _WORDS), state[1][_WORDS]


def _at(state: Any, index: int) -> random.Random:
    twister = random.Random()
    twister.setstate((state[0], (*state[1][:_WORDS], index), None))
    return twister
