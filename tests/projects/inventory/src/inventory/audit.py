"""A log of who did what, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Callable

from inventory.events import Bus, Event


class AuditLog:
    """Appends to a file, and starts a new one when it grows too large."""

    def __init__(
        self, path: Path, clock: Callable[[], datetime], max_bytes: int | None = None
    ) -> None:
        """Remember where to write; nothing is opened yet."""
        self.path = path
        self.clock = clock
        self.max_bytes = max_bytes

    def attach(self, bus: Bus) -> Callable[[], None]:
        """Write down every event of a bus."""
        return bus.subscribe("*", self._on_event)

    def write(self, action: str, **details: Any) -> None:  # noqa: ANN401
        """Append one entry."""
        self._rotate()
        entry = {"at": self.clock().isoformat(), "action": action, **details}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """Walk the entries; a damaged line is passed over."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

    def _on_event(self, event: Event) -> None:
        self.write(event.name, **event.details)

    def _rotate(self) -> None:
        if self.max_bytes is None or not self.path.exists():
            return
        if self.path.stat().st_size >= self.max_bytes:
            self.path.replace(self.path.with_suffix(".old"))
