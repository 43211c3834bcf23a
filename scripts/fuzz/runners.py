"""Processes that run programs, each under one core, and what they answer."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).resolve().parent / "arcs.py"
REFERENCE, NATIVE = "ctrace", "native"

# Nothing measures: runs that tell what programs do by themselves. In the second one nothing looks
# whether they reach the limit of recursion, either: no callback is called.
PLAIN, BARE = "plain", "unmeasured"

# Programs that one process runs.
PER_PROCESS = 2000

# Seconds, and more of them for each program: then one never ends. Generators that delegate to each
# other down to the limit of recursion take long, on a busy machine a minute.
PATIENCE, EACH = 120, 0.5

Results = list[dict[str, Any]]


@dataclass
class Ended:
    """Instead of results: a process that runs programs is gone, or silent."""

    core: str
    kind: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.core} {self.kind}{self.text}"


CRASHES, NEVER_ENDS = "crashes", "never ends"

Answer = Results | Ended


@dataclass
class Place:
    """What is used, and where it is."""

    folder: Path
    python: str
    native: tuple[str, str]
    cores: tuple[str, str]
    features: tuple[str, ...]

    def fresh(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def saved(self, texts: list[str]) -> list[Path]:
        folder = self.fresh("programs")
        files = [folder / f"p{number}.py" for number in range(len(texts))]
        for file, text in zip(files, texts):
            file.write_text(text)
        return files


class Runner:
    """A process that runs programs under one core."""

    def __init__(self, place: Place, core: str) -> None:
        self.core = core
        self.ran = self.asked = 0
        words = [place.python, str(RUNNER), str(place.folder), core, ",".join(place.features)]
        words += place.native if core == NATIVE else ()
        env = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
        self.errors = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=env,
            cwd=place.folder,
        )

    def ask(self, files: list[Path]) -> None:
        self.ran += len(files)
        self.asked = len(files)
        request = json.dumps({"files": [str(file) for file in files]})
        try:
            self.child.stdin.write(request.encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            self.end()

    def answer(self) -> Answer:
        ready, _, _ = select.select([self.child.stdout], [], [], PATIENCE + EACH * self.asked)
        if not ready:
            self.end()
            return Ended(self.core, NEVER_ENDS)
        line = self.child.stdout.readline()
        if line.endswith(b"\n"):
            return json.loads(line)
        self.end()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")[-2000:]
        return Ended(self.core, CRASHES, f" with {self.child.returncode}\n{text}".rstrip())

    def end(self) -> None:
        self.child.kill()
        self.child.wait()


class Pair:
    """The two that are compared. Both are always heard: one's crash must not hide the other's."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.runners: list[Runner] = []

    def ask(self, files: list[Path]) -> None:
        if self.runners and self.runners[0].ran + len(files) > PER_PROCESS:
            self.end()
        if not self.runners:
            self.runners = [Runner(self.place, core) for core in self.place.cores]
        for runner in self.runners:
            runner.ask(files)

    def answers(self) -> list[Answer]:
        answers = [runner.answer() for runner in self.runners]
        if any(isinstance(answer, Ended) for answer in answers):
            self.end()
        return answers

    def end(self) -> None:
        for runner in self.runners:
            runner.end()
        self.runners = []


def alone(place: Place, core: str, files: list[Path]) -> Answer:
    """What a fresh process says."""
    runner = Runner(place, core)
    try:
        runner.ask(files)
        return runner.answer()
    finally:
        runner.end()
