"""Real test suites from PyPI, each with an environment of its own, for the scripts beside this.

What is here: which suites there are, how their sdists and environments come about, and how a
command is run in them. What is measured or compared is each script's own matter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What every environment holds; the last three are what the stock engine uses.
PACKAGES = (
    "pytest==9.2.0",
    "coverage==7.17.3",
    "pytest-cov==7.1.0",
    "pytest-split==0.11.0",
    "pytest-xdist==3.8.0",
)

# The oldest Python that all of these support.
OLDEST = (3, 10)

# Variables that would change what one of the sides does.
UNSET = (
    "COVERAGE_CORE",
    "COVERAGE_FILE",
    "COVERAGE_PROCESS_START",
    "COVERAGE_RCFILE",
    "MAX_CONCURRENT_SPLITS",
    "MAX_FAILURES",
    "PYTEST_ADDOPTS",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "WORKERS_PER_SPLIT",
)

# A shell has what it starts in the background ignore SIGINT, which changes what asyncio does. The
# tool puts that right for its tests; so do the sequential runs that it is compared with.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Failure(Exception):
    """Something that keeps a suite from being run."""


@dataclass(frozen=True)
class Suite:
    """A suite, and what its sdist does not say in a way that every pip understands."""

    version: str
    packages: tuple[str, ...] = ()
    """What its tests need besides pytest."""
    source: str = "src"
    args: tuple[str, ...] = ()
    """For pytest, on all sides."""
    requires: tuple[int, int] = OLDEST
    """The oldest Python."""
    project: str | None = None
    """Its name on PyPI, if it is not that of the suite."""
    files: dict[str, str] = field(default_factory=dict)
    """Added to the sdist's; without a version, all there are."""


# As an autouse fixture that finds leaks: a full collection around each test.
COLLECTS_GARBAGE = '''\
import gc

import pytest


@pytest.fixture(autouse=True)
def collect_garbage():
    """Let what a test leaves go before the next one begins."""
    yield
    gc.collect()
'''


def waiting(files: int, tests: int, seconds: float) -> dict[str, str]:
    """A suite whose tests wait, as those of a service do, and hardly compute."""
    text = f"""\
import time

import pytest

from waiting import answer


@pytest.mark.parametrize("question", range({tests}))
def test_waits(question):
    time.sleep({seconds})
    assert answer(question) == question + 1
"""
    return {
        "pyproject.toml": '[project]\nname = "waiting"\nversion = "1"\n',
        "src/waiting/__init__.py": "def answer(question):\n    return question + 1\n",
        **{f"tests/test_{number:03}.py": text for number in range(files)},
    }


SUITES = {
    # Its examples are random else.
    "attrs": Suite(
        "26.1.0",
        ("cloudpickle==3.1.2", "hypothesis==6.170.15", "pympler==1.1"),
        args=("--hypothesis-seed=0",),
    ),
    # Where nothing says which folders hold tests, the tool takes `tests` or `test`, pytest all.
    "babel": Suite("2.18.0", ("freezegun==1.5.5", "pytz==2026.6"), source="babel", args=(".",)),
    "click": Suite("8.5.1"),
    "docutils": Suite("0.23", source="docutils", args=("test",)),
    "jinja2": Suite("3.1.6", ("trio==0.35.0",)),
    "jsonschema": Suite("4.26.0", ("jsonpath-ng==1.16.0",), source="jsonschema"),
    "mako": Suite("1.4.3", source="mako"),
    "marshmallow": Suite("4.4.0", ("simplejson==4.3.0",), requires=(3, 11)),
    "marshmallow-gc": Suite(
        "4.4.0",
        ("simplejson==4.3.0",),
        requires=(3, 11),
        project="marshmallow",
        files={"conftest.py": COLLECTS_GARBAGE},
    ),
    "more-itertools": Suite("11.2.1", source="more_itertools"),
    "networkx": Suite("3.6.1", source="networkx", requires=(3, 11)),
    "packaging": Suite("26.3", ("hypothesis==6.170.15", "pretend==1.0.9", "tomli-w==1.2.0")),
    "pygments": Suite("2.21.0", ("wcag-contrast-ratio==0.9",), source="pygments"),
    "structlog": Suite(
        "26.1.0",
        (
            "freezegun==1.5.5",
            "pretend==1.0.9",
            "pytest-asyncio==1.5.0",
            "simplejson==4.3.0",
            "time-machine==3.6.0",
        ),
    ),
    "tomlkit": Suite("0.15.2", ("pyyaml==6.0.3",), source="tomlkit"),
    "validators": Suite("0.36.0", ("eth-hash[pycryptodome]==0.8.0",)),
    "waiting": Suite("", files=waiting(files=100, tests=20, seconds=0.1)),
    "wtforms": Suite("3.3.2", ("babel==2.18.0", "email-validator==2.4.0")),
}


@dataclass(frozen=True)
class Place:
    """A suite with its folder, its sources and its environment."""

    name: str
    suite: Suite
    folder: Path
    sdist: Path
    python: Path

    @property
    def project(self) -> Path:
        """The copy of the sources that runs."""
        return self.folder / "project"

    def fresh(self) -> Path:
        """Replace the project by what the sdist holds: nothing of the last run is left in it."""
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.copytree(self.sdist, self.project, symlinks=True)
        for name, text in self.suite.files.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text)
        return self.project


def options(parser: argparse.ArgumentParser) -> None:
    """Add what every script takes."""
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    parser.add_argument(
        "--work",
        type=lambda text: Path(text).resolve(),
        default=target / "suites",
        metavar="DIR",
        help="where environments, sources and results are kept; default target/suites",
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="EXE",
        help="the Python that the environments are made from; default: the one that runs this",
    )


def prepare(name: str, work: Path, base: str) -> Place:
    """Fetch the suite and make its environment, where that is not done yet."""
    suite = SUITES[name]
    version = read([base, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]).strip()
    if tuple(map(int, version.split("."))) < suite.requires:
        raise Failure(f"needs Python {'.'.join(map(str, suite.requires))}")
    folder = work / f"{name}-{suite.version}-py{version}"
    folder.mkdir(parents=True, exist_ok=True)
    sdist, venv = folder / "sdist", folder / "venv"
    place = Place(name, suite, folder, sdist, interpreter(venv))
    if not sdist.is_dir():
        unpack(place, base)
    environment(name, venv, base, [*PACKAGES, *suite.packages], place)
    return place


def unpack(place: Place, base: str) -> None:
    """Fetch and unpack the sdist, where the suite has one."""
    if not place.suite.version:
        place.sdist.mkdir()
        return
    wanted = f"{place.suite.project or place.name}=={place.suite.version}"
    say(place.name, f"fetching {wanted}")
    downloads, partial = place.folder / "download", place.folder / "partial"
    pip = [base, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    run([*pip, "--dest", str(downloads), wanted], cwd=place.folder)
    (archive,) = downloads.glob("*.tar.gz")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # `filter` is in the last releases of 3.10 and 3.11 only, and a must from 3.14 on.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(partial, **safe)
    (top,) = partial.iterdir()
    top.rename(place.sdist)
    partial.rmdir()


def interpreter(venv: Path) -> Path:
    return venv / "bin" / "python"


def environment(
    name: str, venv: Path, base: str, packages: list[str], place: Place | None = None
) -> Path:
    """The interpreter of an environment with these packages, and with the project of a suite,
    editable; the environment is made where that is not done yet."""
    python, stamp = interpreter(venv), venv / "done"
    if not stamp.is_file() or stamp.read_text() != "\n".join(packages):
        say(name, "making its environment")
        run([base, "-m", "venv", "--clear", str(venv)], cwd=venv.parent)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        editable = ["--editable", str(place.fresh())] if place else []
        run([*pip, *editable, *packages], cwd=venv.parent)
        stamp.write_text("\n".join(packages))
    return python


def build() -> None:
    """Compile the tool now, so that no compilation is timed."""
    run(["cargo", "build", "--quiet", "--package", "xtask"], cwd=ROOT)


def tool_help() -> str:
    """All that the tool says of its options: what is not in it is not there yet."""
    return read(["cargo", "xtask", "coverage", "--help"])


def say(name: str, what: str) -> None:
    print(f"[{name}] {what}", file=sys.stderr, flush=True)


def env(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, **more}


def read(command: list[str], text: str = "", cwd: Path = ROOT) -> str:
    """What a command prints, given some text."""
    return subprocess.run(
        command,
        check=True,
        cwd=cwd,
        input=text,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=env(),
    ).stdout


def run(
    command: list[str],
    cwd: Path,
    log: Path | None = None,
    allowed: tuple[int, ...] = (0,),
    **more: str,
) -> int:
    """Run a command, its output into a file where one is named."""
    with open(log or os.devnull, "wb") as file:
        output = {"stdout": file, "stderr": subprocess.STDOUT} if log else {}
        ended = subprocess.run(
            command, cwd=cwd, env=env(**more), stdin=subprocess.DEVNULL, **output
        )
    if ended.returncode not in allowed:
        where = f"; see {log}" if log else ""
        raise Failure(f"`{' '.join(command[:6])} …` exited with {ended.returncode}{where}")
    return ended.returncode
