"""What the host obeys: kill, stacks, abort, adopt, finish, and the end of whoever commands."""

from __future__ import annotations

import os

import pytest

from data import contents
from driver import PATIENCE, until_dead

HANGS = """
    import time, code_

    def test_a():
        code_.a()

    def test_hangs():
        time.sleep(600)
    """
CODE = "def a():\n    return 1\n"


@pytest.fixture
def hanging(project, start):
    driver = start(project({"test_it.py": HANGS, "code_.py": CODE}))
    driver.until("ready")
    driver.run(1, [0, 1])
    driver.until("start", test=1)
    return driver


def measured(driver):
    files = contents(driver.data_files())["files"]
    return {os.path.basename(name): data[""][0] for name, data in files.items() if data}


def test_kill_ends_a_unit_and_keeps_what_it_covered(hanging):
    hanging.send("kill", unit=1)
    exited = hanging.until("unit-exited")
    assert (exited["signal"], exited["data"]) == (9, "partial")
    hanging.finish()
    assert 2 in measured(hanging)["code_.py"]


def test_stacks_name_the_stuck_line(hanging):
    text = ""
    while "test_hangs" not in text:  # it has started, but may not be in its body yet
        hanging.send("stacks", unit=1)
        text = hanging.until("stacks")["text"]
        assert "runtest" in text
    hanging.send("kill", unit=1)
    hanging.until("unit-exited")
    hanging.finish()


def test_abort_kills_all_and_keeps_data(hanging):
    hanging.send("abort")
    assert hanging.until("unit-exited")["signal"] == 9
    hanging.finish()
    assert 2 in measured(hanging)["code_.py"]


def test_the_end_of_commands_ends_everything(hanging):
    pid = hanging.all("unit-started")[0]["pid"]
    hanging.hang_up()
    assert hanging.process.wait(timeout=PATIENCE) == 1
    until_dead(pid)


def test_kill_reaches_children_of_a_test(project, start):
    text = """
        import subprocess, sys

        def test_waits():
            print("x")
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open("pid", "w") as out: out.write(str(child.pid))
            open("ready", "w").close()
            child.wait()
        """
    root = project({"test_it.py": text})
    driver = start(root)
    driver.until("ready")
    driver.run(1, [0])
    while not (root / "ready").exists():
        assert driver.process.poll() is None
    pid = int((root / "pid").read_text())
    driver.send("kill", unit=1)
    driver.until("unit-exited")
    until_dead(pid)
    driver.finish()


def test_an_unknown_command_is_an_error(project, start):
    driver = start(project({"test_it.py": "def test(): pass"}))
    driver.until("ready")
    driver.send("dance")
    assert "dance" in driver.until("error")["text"]
    driver.finish()


def test_hooks_of_the_session_run_once_in_the_host(project, start):
    conftest = """
        import os, pathlib
        log = pathlib.Path(__file__).with_name("log")
        def say(word):
            with log.open("a") as out: out.write(f"{word} {os.getpid()}\\n")
        def pytest_configure(): say("configure")
        def pytest_sessionstart(): say("start")
        def pytest_collection_finish(): say("collected")
        def pytest_sessionfinish(exitstatus): say(f"finish {exitstatus:d}")
        def pytest_unconfigure(): say("unconfigure")
        """
    root = project({"conftest.py": conftest, "test_it.py": "def test(): assert 0"})
    driver = start(root)
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish(failed=1)
    pid = driver.all("hello")[0]["pid"]
    words = ["configure", "start", "collected", "finish 1", "unconfigure"]
    assert (root / "log").read_text() == "".join(f"{word} {pid}\n" for word in words)


def test_spawn_runs_units_in_the_host_itself(project, start):
    text = """
        import code_
        def test_a(): code_.a()
        def test_b(): pass
        """
    root = project({"test_it.py": text, "code_.py": CODE})
    driver = start(root, engine="spawn")
    assert not driver.until("ready")["fork"]
    driver.run(1, [0], split=1)
    driver.until("unit-exited", code=0, data="whole")
    driver.run(2, [1], split=2)
    driver.until("unit-exited", code=0, data="whole")
    driver.finish()
    assert {one["pid"] for one in driver.all("unit-started")} == {driver.all("hello")[0]["pid"]}
    assert [one["split"] for one in driver.all("data")] == [1, 2, None]
    first, second, _ = (contents([file])["files"] for file in driver.data_files())
    assert 2 in first[str(root / "code_.py")][""][0]
    assert str(root / "code_.py") not in second


def test_another_host_adopts_what_a_dead_one_left(project, start):
    text = """
        import os, code_
        def test_a(): code_.a()
        def test_b(): os._exit(1)
        def test_c(): pass
        """
    root = project({"test_it.py": text, "code_.py": CODE})
    dead = start(root, engine="spawn")
    dead.until("ready")
    dead.run(1, [0, 1, 2])
    with pytest.raises(AssertionError):
        dead.until("unit-exited")
    assert [one["test"] for one in dead.all("finish")] == [0]
    other = start(root, engine="spawn")
    other.until("ready")
    other.run(2, [2])
    other.until("unit-exited")
    other.send("adopt", unit=1, split=1, folder=str(dead.work / "units" / "1"))
    other.finish()
    assert [one[:2] for one in other.all("data")[0]["units"]] == [[2, "whole"], [1, "partial"]]
    assert 2 in measured(other)["code_.py"]


def test_what_is_left_of_dead_hosts_is_gathered_without_collecting(project, start):
    text = """
        import os, code_
        def test_a(): code_.a()
        def test_b(): os._exit(1)
        """
    root = project({"test_it.py": text, "code_.py": CODE})
    dead = start(root, engine="spawn")
    dead.until("ready")
    dead.run(1, [0, 1])
    with pytest.raises(AssertionError):
        dead.until("unit-exited")
    other = start(root, engine="gather")
    other.until("ready")
    other.send("adopt", unit=1, split=3, folder=str(dead.work / "units" / "1"))
    other.send("adopt", unit=2, split=4, folder=str(dead.work / "units" / "2"))
    other.finish()
    split = {one["split"]: one.get("units") for one in other.all("data")}
    assert split == {3: [[1, "partial", 1]], 4: [[2, "none", 0]], None: None}
    assert 2 in measured(other)["code_.py"] and "test_it.py" in measured(other)
    assert not other.all("ids") and other.all("bye")


def test_a_unit_whose_fork_failed_is_told(project, start):
    conftest = """
        import sys
        def fork(): raise BlockingIOError(11, "no more processes")
        def pytest_collection_finish(): sys.modules["xtask_host.serve"]._fork = fork
        """
    driver = start(project({"conftest.py": conftest, "test_it.py": "def test(): pass"}))
    driver.until("ready")
    driver.run(1, [0])
    exited = driver.until("unit-exited")
    assert exited["code"] is None and "no more processes" in exited["error"]
    driver.finish()


def test_a_closed_split_is_written_beside_the_tests(project, start):
    text = """
        import time
        def test_a(): pass
        def test_hangs(): time.sleep(600)
        """
    driver = start(project({"test_it.py": text}), slots=2)
    driver.until("ready")
    driver.run(1, [1], slot=0, split=1)
    driver.run(2, [0], slot=1, split=2)
    driver.until("unit-exited", unit=2)
    driver.send("close", splits=[2])
    event = driver.until("data")
    assert (event["split"], event["units"][0][:2]) == (2, [2, "whole"])
    assert contents([event["file"]])["files"]
    driver.send("kill", unit=1)
    driver.until("unit-exited")
    driver.finish()
    assert [one["split"] for one in driver.all("data")] == [2, 1, None]


def test_a_split_that_cannot_be_written_is_told(project, start):
    driver = start(project({"test_it.py": "def test(): pass"}))
    driver.until("ready")
    (driver.work / "data" / "split-001.coverage" / "in the way").mkdir(parents=True)
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    [event] = [one for one in driver.all("data") if one["split"] == 1]
    assert event["file"] is None and "split-001" in event["error"]


def test_a_damaged_file_of_a_subprocess_is_told(project, start):
    driver = start(project({"test_it.py": "def test(): pass"}))
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    (driver.work / "units" / "1" / ".coverage.cut.short").write_bytes(b"SQLite format 3\0...")
    driver.finish()
    [event] = [one for one in driver.all("data") if one["split"] == 1]
    assert ".coverage.cut.short" in event["damaged"][0][1]
    assert contents([event["file"]])["files"]


def test_a_hook_that_breaks_the_end_of_the_session_costs_no_data(project, start):
    conftest = "def pytest_sessionfinish(): raise ValueError('at the very end')\n"
    driver = start(project({"conftest.py": conftest, "test_it.py": "def test(): pass"}))
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    assert driver.finish()["exit"] == 1
    assert "at the very end" in driver.all("error")[0]["text"]
    assert [one["split"] for one in driver.all("data")] == [1, None]


def test_objects_are_unfrozen_for_the_end_of_the_session(project, start):
    conftest = """
        import gc
        def pytest_sessionfinish(): assert gc.get_freeze_count() == 0
        """
    files = {"conftest.py": conftest, "test_it.py": "import gc\ndef test():\n"}
    files["test_it.py"] += "    assert gc.get_freeze_count()\n"
    driver = start(project(files))
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    assert driver.finish()["exit"] == 0
    assert list(driver.outcomes().values()) == ["passed"]
