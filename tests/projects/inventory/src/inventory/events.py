"""A small bus: parts of the library tell each other what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable


@dataclass(frozen=True)
class Event:
    """Something that happened, such as `stock.received`."""

    name: str
    details: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Bus:
    """Passes events to those who asked for them."""

    def __init__(self) -> None:
        """Start with no listeners."""
        self._listeners: list[tuple[str, Listener]] = []
        self.failures: list[tuple[Event, Exception]] = []

    def subscribe(self, pattern: str, listener: Listener) -> Callable[[], None]:
        """Listen to `stock.received`, `stock.*` or `*`; call the result to stop."""
        entry = (pattern, listener)
        self._listeners.append(entry)

        def stop() -> None:
            if entry in self._listeners:
                self._listeners.remove(entry)

        return stop

    def publish(self, name: str, **details: Any) -> int:  # noqa: ANN401
        """Tell all who listen; a listener that fails does not stop the others."""
        event = Event(name, details)
        reached = 0
        for pattern, listener in list(self._listeners):
            if not _matches(pattern, name):
                continue
            try:
                listener(event)
            except Exception as error:  # a listener is somebody else's code
                self.failures.append((event, error))
            else:
                reached += 1
        return reached


def _matches(pattern: str, name: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name
