"""Rows: units that follow each other in one process."""

from __future__ import annotations

import os
import signal

import pytest

from data import contents, sequential
from driver import Driver

FILES = {
    "conftest.py": """
        import os
        import pytest

        @pytest.fixture(scope="session")
        def dear():
            with open("set-up", "a") as file:
                file.write("+")
            yield
            with open("torn-down", "a") as file:
                file.write("-")
        """,
    "shared.py": """
        def both(which):
            if which == "a":
                return 1
            if which == "b":
                return 2
            return 3
        """,
    "test_a.py": """
        import shared

        def test_a(dear):
            assert shared.both("a") == 1

        def test_again(dear):
            assert shared.both("a") == 1
        """,
    "test_b.py": """
        import shared

        def test_b(dear):
            assert shared.both("b") == 2
        """,
    "test_c.py": """
        import shared

        def test_c(dear):
            assert shared.both("c") == 3
        """,
}


def go_on(driver: Driver, unit: int, tests: list[int], after: int, **more: object) -> None:
    """Answer a unit that asks."""
    driver.until("next", unit=after)
    driver.send("run", unit=unit, slot=0, split=1, tests=tests, after=after, asks=True, **more)


def go(driver: Driver, after: int) -> None:
    driver.until("through", unit=after)
    driver.send("go", after=after)


def leave(driver: Driver, after: int) -> None:
    driver.until("next", unit=after)
    driver.send("leave", after=after)


@pytest.fixture
def asking(project, start):
    """A host that has begun with both tests of the first file."""

    def begin(files: dict[str, str] = FILES, **settings: object) -> Driver:
        driver = start(project(files), **settings)
        driver.collect()
        driver.send("run", unit=1, slot=0, split=1, tests=[0, 1], asks=True)
        return driver

    return begin


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_units_of_a_row_share_a_process_and_its_fixtures(asking, engine, tmp_path):
    driver = asking(engine=engine)
    go_on(driver, 2, [2], after=1)
    go(driver, 1)
    go_on(driver, 3, [3], after=2)
    go(driver, 2)
    leave(driver, 3)
    driver.until("unit-exited")
    driver.finish()
    assert len({one["pid"] for one in driver.all("unit-started")}) == 1
    assert [one["goes_on"] for one in driver.all("unit-ended")] == [True, True, False]
    assert len(driver.all("unit-exited")) == 1
    root = tmp_path / "project"
    assert (root / "set-up").read_text() == "+"
    assert (root / "torn-down").read_text() == "-"
    assert [one["fixtures"]["session"] > 0 for one in driver.all("unit-ended")] == [
        *[True, False, False]
    ]
    for name in ("set-up", "torn-down"):
        (root / name).unlink()
    expected = sequential(root, tmp_path / "sequential", "--branch")
    assert contents(driver.data_files()) == expected
    units = [unit for event in driver.all("data") for unit in event.get("units") or ()]
    assert sorted(unit[:2] for unit in units) == [[1, "whole"], [2, "whole"], [3, "whole"]]


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_a_unit_that_another_process_has_taken_does_not_follow(asking, engine, tmp_path):
    driver = asking(engine=engine)
    go_on(driver, 2, [2], after=1)
    driver.until("through", unit=1)
    root = tmp_path / "project"
    assert not (root / "torn-down").exists()
    driver.send("leave", after=1)
    driver.until("unit-exited")
    assert (root / "torn-down").read_text() == "-"
    driver.run(3, [2, 3])
    driver.until("unit-exited")
    driver.finish()
    assert [one["unit"] for one in driver.all("unit-started")] == [1, 3]
    assert (root / "set-up").read_text() == "++"
    for name in ("set-up", "torn-down"):
        (root / name).unlink()
    expected = sequential(root, tmp_path / "sequential", "--branch")
    assert contents(driver.data_files()) == expected


def test_contexts_are_those_of_each_test(asking):
    driver = asking(coverage={"context": "test"})
    go_on(driver, 2, [2], after=1)
    go(driver, 1)
    leave(driver, 2)
    driver.until("unit-exited")
    driver.finish()
    (shared,) = [
        contexts
        for file, contexts in contents(driver.data_files())["files"].items()
        if file.endswith("shared.py")
    ]
    lines = {context: sorted(found[0]) for context, found in shared.items()}
    assert lines["test_a.py::test_again|run"] == [3, 4]
    assert lines["test_b.py::test_b|run"] == [3, 5, 6]


def test_a_unit_that_was_to_follow_a_dead_one_has_not_run(asking):
    deadly = {**FILES, "test_a.py": "import os\ndef test_a(): pass\ndef test_z(): os._exit(3)\n"}
    driver = asking(deadly)
    go_on(driver, 2, [2], after=1)
    assert driver.until("unit-exited")["code"] == 3
    assert [one["unit"] for one in driver.all("unit-started")] == [1]
    driver.run(3, [2])
    driver.until("unit-exited")
    driver.finish()
    assert driver.outcomes() == {"test_a.py::test_a": "passed", "test_b.py::test_b": "passed"}


def test_the_dead_have_no_followers(asking):
    driver = asking()
    driver.until("next", unit=1)
    (started,) = driver.all("unit-started")
    os.kill(started["pid"], signal.SIGKILL)
    driver.until("unit-exited")
    driver.send("run", unit=2, slot=0, split=1, tests=[2], after=1)
    driver.finish()
    assert [one["unit"] for one in driver.all("unit-started")] == [1]


def test_a_process_whose_descriptors_a_test_has_closed_is_the_last_of_its_row(asking):
    # Not those of pytest, without which it breaks down.
    closing = "import os\ndef test_a(): os.closerange(100, 2000)\ndef test_z(): pass\n"
    driver = asking({**FILES, "test_a.py": closing})
    go_on(driver, 2, [2], after=1)
    driver.until("unit-exited")
    driver.finish()
    assert [one["goes_on"] for one in driver.all("unit-ended")] == [False]
    assert set(driver.outcomes().values()) == {"passed"}


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_nothing_follows_where_the_session_was_stopped(asking, engine):
    stopping = {
        **FILES,
        "test_a.py": "def test_a(): pass\ndef test_z(request): request.session.shouldstop = 'x'\n",
    }
    driver = asking(stopping, engine=engine)
    go_on(driver, 2, [2], after=1)
    driver.until("unit-exited")
    driver.finish()
    assert [one["why"] for one in driver.all("stop")] == ["session"]
    assert [one["goes_on"] for one in driver.all("unit-ended")] == [False]
    assert [one["unit"] for one in driver.all("unit-started")] == [1]


def test_stacks_are_those_of_the_unit_that_runs(asking, tmp_path):
    waiting = """
        def test_b():
            import signal
            open("here", "w")
            while True:
                signal.pause()
        """
    driver = asking({**FILES, "test_b.py": waiting})
    os.mkfifo(tmp_path / "project" / "here")
    driver.until("next", unit=1)
    driver.send("run", unit=2, slot=0, split=1, tests=[2], after=1)
    go(driver, 1)
    open(tmp_path / "project" / "here").close()  # waits for the test to open it
    driver.send("stacks", unit=2)
    told = driver.until("stacks")
    assert told["unit"] == 2 and "in test_b" in told["text"]
    driver.send("kill", unit=2)
    assert driver.until("unit-exited")["signal"] == signal.SIGKILL
    driver.finish()


def test_data_of_a_split_waits_for_the_row(asking):
    driver = asking()
    driver.until("next", unit=1)
    driver.send("run", unit=2, slot=0, split=2, tests=[2], after=1, asks=True)
    go(driver, 1)
    driver.until("next", unit=2)
    driver.send("close", splits=[1])
    driver.send("leave", after=2)
    driver.until("unit-exited")
    assert driver.all("data") == []
    driver.finish()
    assert sorted(one["split"] or 0 for one in driver.all("data")) == [0, 1, 2]
