"""What a test has taken of the machine, as the host tells it."""

from __future__ import annotations

import os
import sys

import pytest

MIB = 1 << 20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_cpu_is_that_of_the_test_its_threads_and_its_children(run, engine):
    driver = run(
        """
        import subprocess, sys, threading, time

        BUSY = "import time\\nwhile time.process_time() < 0.1: pass"

        def burn():
            until = time.thread_time() + 0.1
            while time.thread_time() < until: pass

        def test_nothing(): pass
        def test_busy(): burn()
        def test_thread():
            thread = threading.Thread(target=burn)
            thread.start()
            thread.join()
        def test_child(): subprocess.run([sys.executable, "-c", BUSY], check=True)
        def test_sleeps(): time.sleep(0.2)
        """,
        engine=engine,
    )
    cpu = [one["cpu"] for one in driver.all("finish")]
    assert all(used >= 0.1 for used in cpu[1:4]), cpu
    assert cpu[0] < 0.1 and cpu[4] < 0.1


@linux
@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_memory_grows_by_what_tests_keep(run, engine):
    driver = run(
        """
        import time
        kept = []

        # Longer than the time between two looks.
        def test_nothing(): time.sleep(0.02)
        def test_keeps():
            kept.append(bytearray(b"x" * (40 << 20)))
            time.sleep(0.02)
        def test_gives_back():
            kept.clear()
            time.sleep(0.02)
        """,
        engine=engine,
    )
    before = driver.all("unit-started")[0]["memory"]
    nothing, kept, given_back = (one["memory"] for one in driver.all("finish"))
    assert before > MIB
    assert kept - nothing > 30 * MIB
    assert kept - given_back > 30 * MIB


def test_memory_is_not_looked_at_after_each_of_many_short_tests(run):
    text = """
        import pytest

        @pytest.mark.parametrize("n", range(300))
        def test_it(n): pass
        """
    finished = run(text, coverage=None).all("finish")
    looks = [one for one in finished if "memory" in one]
    assert len(finished) == 300
    assert len(looks) < 150


def test_a_test_that_replaces_what_is_asked_for_does_no_harm(run):
    driver = run(
        """
        import os, resource, time

        def test_it(monkeypatch):
            for name in ("open", "read", "close"):
                monkeypatch.setattr(os, name, None)
            monkeypatch.setattr(resource, "getrusage", None)
            monkeypatch.setattr(time, "perf_counter", None)
        """
    )
    assert [one["outcome"] for one in driver.all("finish")] == ["passed"]
    assert driver.all("finish")[0]["cpu"] >= 0


@linux
def test_only_what_runs_tests_is_the_first_to_go_when_memory_runs_out(run):
    driver = run(
        """
        from pathlib import Path

        AT_IMPORT = Path("/proc/self/oom_score_adj").read_text().strip()

        def test_it():
            now = Path("/proc/self/oom_score_adj").read_text().strip()
            Path("seen").write_text(f"{AT_IMPORT} {now}")
        """
    )
    ours = open("/proc/self/oom_score_adj").read().strip()
    seen = os.path.join(driver.work.parent, "project", "seen")
    with open(seen) as file:
        assert file.read() == f"{ours} 1000"
