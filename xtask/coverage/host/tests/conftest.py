"""Fixtures: sample projects written on the spot, and hosts that never outlive their test."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from driver import Driver
from sharded import Sharded

# What is compared runs as in the foreground, even where a shell has these tests in the background.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project: a text for each path."""

    def write(files: dict[str, str]) -> Path:
        root = tmp_path / "project"
        for name, text in {"pytest.ini": "[pytest]\n", **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return root

    return write


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Start a host for a project."""
    started: list[Driver] = []

    def begin(root: Path, **settings: Any) -> Driver:
        kind = Sharded if settings.get("collectors") else Driver
        args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
        settings["args"] = [*args, *settings.get("args", [])]
        driver = kind(root, tmp_path / f"work-{len(started)}", **settings)
        started.append(driver)
        return driver

    yield begin
    for driver in started:
        driver.close()


@pytest.fixture
def run(project: Any, start: Any) -> Callable[..., Driver]:
    """Write a project with one test file, run all of it as one unit, and finish."""

    def one_unit(text: str, **settings: Any) -> Driver:
        files = settings.pop("files", {})
        driver = start(project({"test_it.py": text, **files}), **settings)
        driver.until("ready")
        driver.run(1, list(range(len(driver.ids))))
        driver.until("unit-exited")
        driver.finish()
        return driver

    return one_unit
