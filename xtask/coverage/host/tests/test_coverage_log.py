"""The log of a unit: what is whole in it is read, what is not is noticed."""

from __future__ import annotations

import marshal
import random
import sys

import pytest

from driver import HOST

sys.path.insert(0, str(HOST.parent))
from loader import Loader  # noqa: E402

sys.path.remove(str(HOST.parent))
log = Loader(str(HOST.parent)).load("event_pipe", "coverage_log")


@pytest.mark.parametrize("seed", range(20))
def test_arcs_survive_packing(seed):
    rand = random.Random(seed)
    arcs = {(rand.randint(-(2**27), 2**27), rand.randint(-5, 2**27)) for _ in range(200)}
    arcs |= {(-1, 1), (1, -1), (0, 0), (-1, -1)}
    assert set(log.unpack_arcs(log.pack_arcs(arcs))) == arcs


def write(path, data):
    path.write_bytes(data)
    return str(path)


FRAMES = [("arcs", "", {"a.py": b"12345678"}), ("test",), ("tracers", {"b.html": "x"}), ("end",)]


def pieces():
    """The frames as they are written, each on its own."""
    crc, written = log.SEED, []
    for frame in FRAMES:
        data, crc = log.chained([marshal.dumps(frame)], crc)
        written.append(data)
    return written


def read(tmp_path, data):
    return list(log.read_log(write(tmp_path / "log", data)))


def test_a_log_reads_back(tmp_path):
    assert read(tmp_path, b"".join(pieces())) == FRAMES
    assert log.state_of_log(str(tmp_path / "log")) == "whole"


def test_a_log_cut_anywhere_gives_its_whole_frames(tmp_path):
    written = pieces()
    ends = [sum(map(len, written[:number])) for number in range(1, len(written) + 1)]
    for length in range(ends[-1]):
        whole = sum(end <= length for end in ends)
        assert read(tmp_path, b"".join(written)[:length]) == FRAMES[:whole]
        assert log.state_of_log(str(tmp_path / "log")) == "partial"


@pytest.mark.parametrize("at", range(len(FRAMES) - 1))
def test_a_log_that_has_lost_a_piece_is_damaged_from_there(tmp_path, at):
    written = pieces()
    del written[at]
    assert read(tmp_path, b"".join(written)) == [*FRAMES[:at], log.DAMAGED]


@pytest.mark.parametrize("seen", range(1, len(FRAMES)))
def test_a_log_that_was_emptied_while_it_was_written_is_damaged(tmp_path, seen):
    written = pieces()
    rest = b"".join(written[seen:])
    assert read(tmp_path, rest) == [log.DAMAGED]
    # As it is where the writer does not append but goes on behind what it has written.
    assert read(tmp_path, bytes(sum(map(len, written[:seen]))) + rest) == [log.DAMAGED]


def test_a_damaged_frame_is_not_read(tmp_path):
    data = bytearray(b"".join(pieces()))
    data[12] ^= 1
    assert read(tmp_path, bytes(data)) == [log.DAMAGED]


def test_no_log_is_none(tmp_path):
    assert log.state_of_log(str(tmp_path / "log")) == "none"
