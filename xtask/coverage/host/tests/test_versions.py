"""Each version of pytest with which the collection may be parted: it rests on pytest's inside.

The slow tier, run with `-m slow`: it installs every one of them from PyPI.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from driver import clean_environment

VERSIONS = ["8.0.*", "8.1.*", "8.2.*", "8.3.*", "8.4.*", "9.0.*", "9.1.*", "9.2.*"]
TESTS = Path(__file__).with_name("test_shards.py")
# Those that meet most of pytest's inside.
CHOSEN = (
    "(join and (all or doctests or one)) or across or names_only or wide or part_of_a or each_part"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 10), reason="pytest 9 needs Python 3.10")
@pytest.mark.parametrize("version", VERSIONS)
def test_parts_are_the_whole_with(version, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check"]
    packages = [f"pytest=={version}", "coverage"]
    subprocess.run([python, "-m", "pip", "install", *quiet, *packages], check=True)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", str(TESTS.parent.parent / "pytest.ini"), str(TESTS), "-k", CHOSEN]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-10_000:]
