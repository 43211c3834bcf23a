"""What forks would break or share is found, and what they survive is let pass."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is looked for in /proc")

NATIVE = """
    import ctypes
    libc = ctypes.CDLL(None)
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)
    """
HAZARDS = {
    "a thread": (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "2 threads are alive after collection (Thread-1",
    ),
    "a native thread": (NATIVE, "1 native thread is alive"),
    "a loop": (
        "import asyncio; LOOP = asyncio.new_event_loop()",
        "an event loop is open (`LOOP` in `conftest.py`)",
    ),
    "a server": (
        "import socket; S = socket.create_server(('127.0.0.1', 0))",
        "a socket is open (listens on 127.0.0.1:",
    ),
    "a pair": ("import socket; PAIR = socket.socketpair()", "a socket is open (one of a pair), 2"),
    "a pipe": ("import os; PIPE = os.pipe()", "a pipe is open, 2 times"),
    "a poll": ("import select; POLL = select.epoll()", "an `eventpoll` descriptor is open"),
    "a queue": ("import multiprocessing; Q = multiprocessing.Queue()", "a pipe is open, 2 times"),
    "a child": (
        "import subprocess; CHILD = subprocess.Popen(['sleep', '600'])",
        "a child process runs (`sleep 600`, `CHILD` in `conftest.py`)",
    ),
    "shared memory": (
        "from multiprocessing import shared_memory as s; M = s.SharedMemory(create=True, size=9)",
        "memory is shared (`/dev/shm/",
    ),
    "a shared value": (
        "import multiprocessing; V = multiprocessing.Value('i')",
        "memory is shared (`",
    ),
}
HARMLESS = {
    "files": "LOG = open('log', 'w'); HERE = open(__file__)",
    "a log": "import logging; HANDLER = logging.FileHandler('log')",
    "datagrams": "import socket; S = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "databases": "import sqlite3; D = sqlite3.connect('d'), sqlite3.connect(':memory:')",
    "a lock": "import multiprocessing; LOCK = multiprocessing.RLock()",
    "a closed loop": "import asyncio; asyncio.new_event_loop().close()",
    "a child that has ended": "import subprocess; subprocess.run(['true'])",
    "a thread that has ended": "import threading; threading.Thread(target=print).start()",
    "a copy of what was there": "import os; COPY = os.dup(2)",
}


@pytest.mark.parametrize("what", HAZARDS)
def test_a_hazard_is_named_and_rules_out_forks(project, start, what):
    code, text = HAZARDS[what]
    driver = start(project({"conftest.py": code, "test_it.py": "def test(): pass"}))
    assert not driver.until("ready")["fork"]
    [event] = driver.all("cannot-fork")
    assert [one for one in event["hazards"] if one.startswith(text)], event
    assert driver.all("looked")[0]["hazards"] == event["hazards"]
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed"]


def test_what_forks_survive_is_let_pass(project, start):
    files = {f"harmless_{at}.py": code for at, code in enumerate(HARMLESS.values())}
    files["conftest.py"] = "\n".join(f"import {name[:-3]}" for name in files)
    driver = start(project({**files, "test_it.py": "def test(): pass"}))
    assert driver.until("ready")["fork"], driver.all("looked")


def test_hazards_are_told_where_forks_are_forced_and_without_forks(project, start):
    root = project({"test_it.py": "import os\nPIPE = os.pipe()\ndef test(): pass"})
    for settings in ({"force_forks": True}, {"engine": "spawn"}):
        driver = start(root, **settings)
        assert driver.until("ready")["fork"] == (settings != {"engine": "spawn"})
        assert driver.all("looked")[0]["hazards"] == ["a pipe is open, 2 times"]
        assert not driver.all("cannot-fork")


JUDGED = """
    import sys
    judge = sys.modules["xtask_host.hazards"].judge_native
    BLAS = "/v/site-packages/numpy.libs/libscipy_openblas64_-1.so"
    OTHER = "/v/site-packages/polars/polars.abi3.so"

    def test_threads_of_openblas_survive():
        hazard, harmless = judge(["python"] * 3, "python", {BLAS}, 3)
        assert hazard is None and harmless == ["3 threads of libscipy_openblas64_-1.so"]

    def test_no_more_than_it_starts():
        hazard, _ = judge(["python"] * 4, "python", {BLAS, OTHER}, 3)
        assert hazard == "4 native threads are alive of polars"

    def test_unknown_ones_do_not():
        assert judge(["python"], "python", set(), 3) == ("1 native thread is alive", [])

    def test_names_tell_the_library():
        hazard, harmless = judge(["jemalloc_bg_thd", "polars-0"], "python", {BLAS, OTHER}, 3)
        assert hazard == "1 native thread is alive of polars (polars-0)"
        assert harmless == ["jemalloc_bg_thd"]
    """
DRAWN = """
    import random
    import sys
    comes_from = sys.modules["xtask_host.random_state"].comes_from

    def drawn(draws):
        twister = random.Random(7)
        for _ in range(draws):
            twister.getrandbits(32)
        return twister.getstate()

    def test_some_draws_lead_from_one_state_to_the_other():
        for draws in (0, 1, 623, 624, 625, 50_000):
            assert comes_from(drawn(0), drawn(draws)) and comes_from(drawn(5), drawn(5 + draws))

    def test_none_lead_to_that_of_another_seed():
        assert not comes_from(drawn(0), random.Random(8).getstate())
        assert not comes_from(drawn(1), drawn(0))
    """


@pytest.mark.parametrize("text", [JUDGED, DRAWN], ids=["threads", "random_state"])
def test_what_decides(run, text):
    """These modules are there where a host is."""
    driver = run(text)
    assert set(driver.outcomes().values()) == {"passed"}, driver.all("failed")
