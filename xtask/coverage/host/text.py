"""Text: what plugins and tests put into reports, as text, whatever kind of object it is."""

from __future__ import annotations

import marshal
from base64 import b64decode, b64encode
from typing import Any

_DEEPEST = 200  # containers within each other
_PLAIN = (str, bytes, int, float, complex, bool, type(None))


def as_text(value: Any) -> str:
    """The `str` of an object, or what can be said of one that has none.

    pytest takes any object for the reason of a mark, a name of a property or a `longrepr`; what
    such an object raises when it is asked for its text must not be the end of a test.
    """
    if type(value) is str:
        return value
    try:
        return "".join(str(value))
    except BaseException as error:
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def cut(value: Any, limit: int) -> str:
    """Keep head and tail: a line must stay small whatever a test prints."""
    text = as_text(value)
    if len(text) <= limit:
        return text
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out} characters left out …]\n{text[-half:]}"


def seconds_of(value: Any) -> float:
    """Seconds as a report has them; 0 for what is no number, or one that JSON has no word for."""
    try:
        seconds = float(value)
    except BaseException:
        return 0.0
    return round(seconds, 6) if 0.0 <= seconds < 1e12 else 0.0


def pack(value: Any) -> str:
    """Pack what one process hands over to another of the same Python.

    Not JSON: a tuple has to stay one, and bytes are allowed. What cannot be packed goes as text,
    where pytest-xdist refuses it.
    """
    try:
        packed = marshal.dumps(value)
    except ValueError:
        packed = marshal.dumps(_plain(value, frozenset()))
    return b64encode(packed).decode("ascii")


def unpack(packed: str) -> Any:
    """What `pack` has packed."""
    return marshal.loads(b64decode(packed))


def _plain(value: Any, above: frozenset[int]) -> Any:
    """The same of plain types only: subclasses lose their class, all else becomes text."""
    if type(value) in _PLAIN:
        return value
    if id(value) in above or len(above) > _DEEPEST:
        return "…"
    inner = above | {id(value)}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(_plain(one, inner) for one in value)
    if isinstance(value, dict):
        return {_plain(key, inner): _plain(one, inner) for key, one in value.items()}
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)
    return as_text(value)
