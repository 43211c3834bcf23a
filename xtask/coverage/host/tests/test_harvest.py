"""The log of a unit: what is whole in it is read, what is not is noticed."""

from __future__ import annotations

import random
import sys

import pytest

from driver import HOST

sys.path.insert(0, str(HOST.parent))
from loader import Loader  # noqa: E402

sys.path.remove(str(HOST.parent))
harvest = Loader(str(HOST.parent)).load("outlet", "harvest")


@pytest.mark.parametrize("seed", range(20))
def test_arcs_survive_packing(seed):
    rand = random.Random(seed)
    arcs = {(rand.randint(-(2**27), 2**27), rand.randint(-5, 2**27)) for _ in range(200)}
    arcs |= {(-1, 1), (1, -1), (0, 0), (-1, -1)}
    assert set(harvest.unpack_arcs(harvest.pack_arcs(arcs))) == arcs


def write(path, data):
    path.write_bytes(data)
    return str(path)


FRAMES = [("arcs", "", {"a.py": b"12345678"}), ("tracers", {"b.html": "x"})]


def test_a_log_reads_back(tmp_path):
    data = b"".join(map(harvest._frame, FRAMES)) + harvest.END
    log = write(tmp_path / "log", data)
    assert list(harvest.read_log(log)) == [*FRAMES, ("end",)]
    assert harvest.state_of_log(log) == "whole"


def test_a_log_cut_anywhere_gives_its_whole_frames(tmp_path):
    frames = [harvest._frame(frame) for frame in FRAMES]
    data = b"".join(frames) + harvest.END
    for length in range(len(data)):
        log = write(tmp_path / "log", data[:length])
        whole = (length >= len(frames[0])) + (length >= len(frames[0] + frames[1]))
        assert list(harvest.read_log(log)) == FRAMES[:whole]
        assert harvest.state_of_log(log) == "partial"


def test_a_damaged_frame_is_not_read(tmp_path):
    data = bytearray(b"".join(map(harvest._frame, FRAMES)) + harvest.END)
    data[12] ^= 1
    assert list(harvest.read_log(write(tmp_path / "log", bytes(data)))) == []


def test_no_log_is_none(tmp_path):
    assert harvest.state_of_log(str(tmp_path / "log")) == "none"
