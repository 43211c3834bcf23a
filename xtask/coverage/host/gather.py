"""Gathering: puts together what units of lost hosts have left; nothing is collected or run."""

from __future__ import annotations

import os
from typing import Any

from xtask_host.commands import Commands
from xtask_host.event_pipe import EventPipe
from xtask_host.writers import Writers


def gather(
    settings: dict[str, Any], commands: Commands, events: EventPipe, measurement: Any
) -> None:
    """Take `adopt`, until `finish`; then write a file for each split."""
    folders: dict[int | None, list[tuple[int, str]]] = {}
    writers = Writers(measurement, settings["nodes"])
    commands.listen()
    events.send({"event": "ready", "fork": True})
    for command in _until_finish(commands):
        folders.setdefault(command["split"], []).append((command["unit"], command["folder"]))
    for split in sorted(folders, key=str):
        writers.add(split, folders[split])
    while writers.busy:
        for event in writers.turn(can_fork=True):
            events.send(event)
        if writers.busy:
            commands.wait()
    commands.deafen()


def _until_finish(commands: Commands) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    while True:
        for command in commands.wait():
            if command["cmd"] == "finish":
                return taken
            taken.append(command)
        if commands.closed:
            os._exit(1)  # Rust is gone, and nobody waits for the data
