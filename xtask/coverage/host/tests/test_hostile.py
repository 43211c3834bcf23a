"""Tests that crash, fork, close, replace and leave things behind: the run survives."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from data import contents
from driver import run_all, until_dead

DIES = {
    "os._exit(0)": {"code": 0, "signal": None},
    "os._exit(3)": {"code": 3, "signal": None},
    "os.kill(os.getpid(), signal.SIGKILL)": {"code": None, "signal": 9},
    "signal.signal(11, signal.SIG_DFL); os.kill(os.getpid(), 11)": {
        "code": None,
        "signal": 11,
    },
}


@pytest.mark.parametrize("death", DIES)
def test_a_death_is_told_and_finished_tests_keep_their_coverage(project, start, death):
    code = """
        def first():
            return 1

        def second():
            return 2

        def third():
            return 3
        """
    test = f"""
        import os, signal, code_

        def test_first(): code_.first()
        def test_dies():
            code_.second()
            {death}
        def test_third(): code_.third()
        """
    root = project({"code_.py": code, "test_it.py": test})
    driver = start(root)
    driver.until("ready")
    driver.run(1, [0, 1, 2])
    exited = driver.until("unit-exited")
    assert {"code": exited["code"], "signal": exited["signal"]} == DIES[death]
    assert exited["data"] == "partial"
    assert [one["test"] for one in driver.all("start")] == [0, 1]
    assert [one["test"] for one in driver.all("finish")] == [0]
    assert not driver.all("unit-ended")
    driver.run(2, [2])
    assert driver.until("unit-exited")["data"] == "whole"
    driver.finish()
    files = contents(driver.data_files())["files"]
    lines = files[str(root / "code_.py")][""][0]
    assert {3, 9} <= lines and 6 not in lines


def test_the_copy_of_a_test_that_forks_and_returns_ends(run, tmp_path):
    """It neither speaks nor runs the next test."""
    driver = run(
        f"""
        import os, pathlib

        log = pathlib.Path({str(tmp_path / "log")!r})

        def test_forks():
            global copy
            copy = os.fork()
            assert copy, "only in the copy"

        def test_next():
            with log.open("a") as out:
                out.write("next\\n")
            if copy:
                os.waitpid(copy, 0)
        """
    )
    assert [one["outcome"] for one in driver.all("finish")] == ["passed", "passed"]
    assert (tmp_path / "log").read_text() == "next\n"
    assert len(driver.all("unit-started")) == len(driver.all("unit-ended")) == 1
    assert not driver.all("failed") and not driver.all("malformed")


HOSTILE = {
    # Not the low ones: pytest itself does not survive without its capture files.
    "closes ours": "import os; os.closerange(64, 5000)",
    "reuses ours": """
        import os
        fd = os.open("/dev/null", os.O_RDWR)
        for n in range(64, 1024): os.dup2(fd, n)
        """,
    "stdout": "import sys; sys.stdout = sys.stderr = None",
    "clock": """
        import time
        time.time = time.monotonic = time.perf_counter = time.sleep = None
        """,
    "open": "import builtins; builtins.open = None",
    "json": "import json; json.dumps = json.encoder = json.JSONEncoder = None",
    "os": """
        import os
        os.write = os.getpid = os._exit = os.waitpid = None
        """,
    "cwd": "import os, tempfile; os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())",
    "files": """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        """,
    "signals": """
        import signal
        for n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)
        """,
    "thread": """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        """,
    "loop": """
        import asyncio
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.sleep(0))
        """,
    "trace": "import os; os.environ.clear()",
    "modules": "import sys; [sys.modules.pop(n) for n in list(sys.modules) if 'xtask' in n]",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_test_harms_nobody(project, start, what):
    body = "\n    ".join(line.strip() for line in HOSTILE[what].strip().splitlines())
    test = f"import code_\ndef test_hostile():\n    code_.f()\n    {body}\n"
    test += "def test_next():\n    code_.g()\n"
    code = "def f():\n    return 1\ndef g():\n    return 2\n"
    root = project({"test_it.py": test, "code_.py": code, "test_b.py": "def test(): pass"})
    driver = start(root)
    driver.until("ready")
    driver.run(1, [1, 2])
    exited = driver.until("unit-exited")
    assert (exited["code"], exited["data"]) == (0, "whole"), driver.events
    driver.run(2, [0])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed"] * 3
    assert not driver.all("malformed")
    files = contents(driver.data_files())["files"]
    assert {2, 4} <= files[str(root / "code_.py")][""][0]


def test_processes_left_behind_are_ended_at_the_end(project, start):
    test = """
        import subprocess, sys

        def test_leaves():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid)
            assert 0
        """
    driver = start(project({"test_it.py": test}))
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    pid = int(driver.all("failed")[0]["sections"][0][1])
    os.kill(pid, 0)  # as in a sequential run, it lives on
    driver.finish()
    assert any("left processes" in one["text"] for one in driver.all("warning"))
    until_dead(pid)


def test_units_start_from_the_pristine_parent(project, start):
    test = """
        import os, sys

        def test_first():
            assert not hasattr(sys, "touched")
            sys.touched = True
            os.environ["TOUCHED"] = "1"

        def test_second():
            assert not hasattr(sys, "touched") and "TOUCHED" not in os.environ
        """
    driver = start(project({"test_it.py": test}))
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.run(2, [1])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed", "passed"]


def test_exit_handlers_of_tests_run_and_those_of_the_host_do_not(project, start):
    files = {
        "conftest.py": """
            import atexit, os, pathlib
            log = pathlib.Path(__file__).with_name("log")
            host = os.getpid()
            def say(word):
                with log.open("a") as out: out.write(f"{word} {os.getpid() == host}\\n")
            atexit.register(say, "conftest")
            """,
        "test_it.py": """
            import atexit
            from conftest import say
            def test_it(): atexit.register(say, "test")
            """,
    }
    root = project(files)
    driver = start(root)
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert (root / "log").read_text() == "test False\nconftest True\n"


def test_pytest_exit_stops_the_unit_and_is_told(run):
    driver = run(
        """
        import pytest

        def test_a(): pass
        def test_b(): pytest.exit("enough", returncode=7)
        def test_c(): pass
        """
    )
    [stop] = driver.all("stop")
    assert (stop["why"], stop["text"], stop["code"]) == ("exit", "enough", 7)
    assert driver.all("unit-ended")[0]["left"] == [1, 2]


def test_a_broken_hook_is_told(run):
    conftest = "def pytest_runtest_makereport(item):\n    assert item.name != 'test_b', 'oh'\n"
    text = "def test_a(): pass\ndef test_b(): pass\n"
    driver = run(text, files={"conftest.py": conftest})
    [stop] = driver.all("stop")
    assert stop["why"] == "internal-error" and "oh" in stop["text"]


def test_each_unit_has_a_temporary_folder_of_its_own(project, start):
    text = """
        def test_it(tmp_path, record_property):
            assert tmp_path.name == "test_it0" and not list(tmp_path.iterdir())
            record_property("path", tmp_path)
        """
    driver = start(project({"test_a.py": text, "test_b.py": text}), slots=2)
    driver.until("ready")
    driver.run(1, [0], slot=0)
    driver.run(2, [1], slot=1)
    for _ in range(2):
        driver.until("unit-exited")
    driver.finish()
    assert set(driver.outcomes().values()) == {"passed"}
    assert len({one["properties"][0][1] for one in driver.all("finish")}) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_thread_of_the_collection_rules_out_forks(project, start):
    text = """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True, name="mine").start()

        def test_it(): pass
        """
    driver = start(project({"test_it.py": text}))
    assert not driver.until("ready")["fork"]
    [event] = driver.all("cannot-fork")
    assert event["hazards"] == ["2 threads are alive after collection (mine)"]
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed"]
    assert driver.all("unit-started")[0]["pid"] == driver.all("hello")[0]["pid"]


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_signals_are_as_in_a_sequential_run(project, start, engine):
    text = """
        import signal
        def test_it():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
            assert signal.set_wakeup_fd(-1) == -1
        """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        driver = start(project({"test_it.py": text}), engine=engine)
    finally:
        signal.signal(signal.SIGINT, before)
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed"], driver.all("failed")


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys"])
def test_streams_that_tests_have_held_since_collection_are_captured(run, capture):
    text = """
        import sys
        import pytest
        OUT = sys.stdout
        print("said by the collection")
        @pytest.mark.parametrize("stream", [sys.stdout, sys.stderr])
        def test(stream):
            assert stream in (sys.stdout, sys.stderr)
            print("said by the test", file=stream)
            assert 0
        """
    driver = run(text, args=[f"--capture={capture}"])
    heard = [dict(map(tuple, one["sections"])) for one in driver.all("failed")]
    said = "said by the test\n"
    assert heard == [{"Captured stdout call": said}, {"Captured stderr call": said}]


@pytest.mark.parametrize("engine", ["fork", "spawn"])
@pytest.mark.parametrize("collectors", [0, 1])
def test_the_stack_below_a_test_is_flat(project, start, engine, collectors):
    """A sequential run has 38 frames there, and suites count on fewer than 50."""
    if engine == "spawn" and collectors:
        pytest.skip("needs forks")
    root = project(
        {"test_it.py": "import inspect\ndef test_it(): assert len(inspect.stack()) < 50"}
    )
    driver = start(root, engine=engine, collectors=collectors)
    run_all(driver, slots=1)
    driver.finish()
    assert driver.outcomes() == {"test_it.py::test_it": "passed"}, driver.all("failed")
