"""What the host tells of tests: outcomes, texts, output, seconds."""

from __future__ import annotations

import pytest

from data import contents


def test_each_outcome_is_named(run):
    driver = run(
        """
        import pytest

        @pytest.fixture
        def broken():
            raise ValueError

        @pytest.fixture
        def breaks_later():
            yield
            raise ValueError

        def test_passes(): pass
        def test_fails(): assert 0
        def test_cannot_start(broken): pass
        def test_cannot_end(breaks_later): pass
        def test_fails_twice(breaks_later): assert 0
        @pytest.mark.skip(reason="not today")
        def test_skipped(): pass
        def test_skips_itself(): pytest.skip("busy")
        @pytest.mark.xfail(reason="known")
        def test_known_fault(): assert 0
        @pytest.mark.xfail(reason="known")
        def test_fault_gone(): pass
        @pytest.mark.xfail(strict=True)
        def test_strict(): pass
        """
    )
    assert [one["outcome"] for one in driver.all("finish")] == [
        *["passed", "failed", "error", "error", "failed"],
        *["skipped", "skipped", "xfailed", "xpassed", "failed"],
    ]
    assert [one.get("reason") for one in driver.all("finish")[5:9]] == [
        *["not today", "busy", "known", "known"]
    ]
    assert [(one["test"], one["phase"]) for one in driver.all("failed")] == [
        *[(1, "call"), (2, "setup"), (3, "teardown"), (4, "call")],
        *[(4, "teardown"), (9, "call")],
    ]


def test_a_failure_is_told_before_the_test_finishes(run):
    driver = run("def test_it(): assert [1] == [2]")
    names = [event["event"] for event in driver.events]
    assert names.index("failed") < names.index("finish")
    assert "assert [1] == [2]" in driver.all("failed")[0]["text"]


def test_captured_output_belongs_to_the_right_test(project, start):
    text = """
        import sys, os, pytest

        @pytest.mark.parametrize("n", range(20))
        def test_prints({name}, n):
            print("out-{name}", n)
            os.write(2, b"err-{name} %d" % n)
            assert 0
        """
    conftest = """
        import pytest

        @pytest.fixture
        def a(): pass

        @pytest.fixture
        def b(): pass
        """
    files = {f"test_{name}.py": text.format(name=name) for name in "ab"}
    driver = start(project({**files, "conftest.py": conftest}), slots=2)
    driver.until("ready")
    driver.run(1, list(range(20)), slot=0)
    driver.run(2, list(range(20, 40)), slot=1)
    for _ in range(2):
        driver.until("unit-exited")
    driver.finish()
    assert len(driver.all("failed")) == 40
    for event in driver.all("failed"):
        name, n = "ab"[event["test"] // 20], event["test"] % 20
        assert dict(event["sections"]) == {
            "Captured stdout call": f"out-{name} {n}\n",
            "Captured stderr call": f"err-{name} {n}",
        }


def test_long_output_keeps_head_and_tail(run):
    driver = run(
        """
        def test_it():
            print("HEAD" + "x" * 20_000_000 + "TAIL")
            assert 0
        """,
        output_limit=1000,
    )
    [[_, text]] = driver.all("failed")[0]["sections"]
    assert text.startswith("HEAD") and text.endswith("TAIL\n")
    assert len(text) < 1100


def test_lone_surrogates_are_escaped(run):
    driver = run("def test_it(): assert '\\udcff' == 'é'")
    text = driver.all("failed")[0]["text"]
    assert "\\udcff" in text and "é" in text
    text.encode("utf-8")  # strict


def test_properties_and_warnings_are_told(run):
    driver = run(
        """
        import warnings

        def test_it(record_property):
            record_property("speed", 3)
            for _ in range(3):
                warnings.warn("careful")
        """
    )
    assert driver.all("finish")[0]["properties"] == [["speed", "3"]]
    assert [one["text"] for one in driver.all("warning")] == ["UserWarning: careful"]


def test_reruns_are_told_and_only_the_last_counts(run):
    pytest.importorskip("pytest_rerunfailures")
    driver = run(
        """
        tries = []

        def test_flaky():
            tries.append(1)
            assert len(tries) == 3

        def test_broken():
            assert 0
        """,
        args=["--reruns=2"],
    )
    assert [one["test"] for one in driver.all("rerun")] == [0, 0, 1, 1]
    assert [one["outcome"] for one in driver.all("finish")] == ["passed", "failed"]
    assert [one["test"] for one in driver.all("failed")] == [1]
    assert driver.all("ready")[0]["fork"]  # no server thread was started


def test_attempts_may_have_an_outcome_of_a_plugin_s_own(run):
    conftest = """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if report.failed and item.name == "test_again":
                report.outcome = "retried"
                item.ihook.pytest_runtest_logreport(report=report)
                report.outcome = "passed"
                report.longrepr = None
            elif call.when == "call" and item.name == "test_other":
                report.outcome = "noted"
            return report
    """
    text = """
        def test_again(): assert 0, "the first time"
        def test_other(): pass
        def test_bad(): assert 0
    """
    driver = run(text, files={"conftest.py": conftest})
    told = [(one["test"], one["phase"]) for one in driver.all("rerun")]
    assert told == [(0, "call")]
    assert "the first time" in driver.all("rerun")[0]["text"]
    assert [one["outcome"] for one in driver.all("finish")] == ["passed", "passed", "failed"]


def test_seconds_are_told_per_phase(run):
    driver = run(
        """
        import time, pytest

        @pytest.fixture(scope="session")
        def slow():
            time.sleep(0.05)
            yield
            time.sleep(0.03)

        def test_it(slow):
            time.sleep(0.02)
        """
    )
    finish = driver.all("finish")[0]
    assert finish["setup"] >= 0.05 and finish["call"] >= 0.02
    assert finish["teardown"] >= 0.03
    assert driver.all("unit-ended")[0]["fixtures"]["session"] >= 0.05


def test_collection_errors_end_the_run(project, start):
    files = {
        "test_bad.py": "import nothing_like_it",
        "test_good.py": "def test(): pass",
    }
    driver = start(project(files))
    assert driver.until("bye")["exit"] == 2
    [error] = driver.all("collect-error")
    assert error["id"] == "test_bad.py" and "nothing_like_it" in error["text"]
    assert not driver.all("ready")


def test_collection_errors_are_survived_on_request(project, start):
    files = {
        "test_bad.py": "import nothing_like_it",
        "test_good.py": "def test(): pass",
    }
    driver = start(project(files), args=["--continue-on-collection-errors"])
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert driver.outcomes() == {"test_good.py::test": "passed"}


def test_a_skipped_module_is_told(project, start):
    text = "import pytest; pytest.importorskip('nothing_like_it')"
    driver = start(project({"test_it.py": text, "test_b.py": "def test(): pass"}))
    driver.until("ready")
    [skip] = driver.all("collect-skip")
    assert skip["id"] == "test_it.py" and "nothing_like_it" in skip["reason"]


def test_groups_and_deselected_tests_are_told(project, start):
    text = """
        import pytest

        @pytest.mark.xdist_group("db")
        def test_a(): pass
        def test_b(): pass
        @pytest.mark.xdist_group(name="db")
        def test_c(): pass
        """
    ini = "[pytest]\nmarkers = xdist_group"
    driver = start(project({"test_it.py": text, "pytest.ini": ini}), args=["-k", "not b"])
    driver.until("ready")
    assert driver.all("ids")[0]["groups"] == {"0": "db", "1": "db"}
    assert driver.all("collected")[0] == {
        "event": "collected",
        "tests": 2,
        "deselected": 1,
    }


def test_a_broken_conftest_ends_in_a_usage_error(project, start):
    driver = start(project({"conftest.py": "import nothing_like_it"}))
    assert driver.until("bye")["exit"] == 4
    assert "nothing_like_it" in driver.output()


def test_settings_that_coverage_refuses_are_an_error(project, start):
    driver = start(project({}), coverage={"config_file": "missing.toml"})
    bye = driver.until("bye")
    assert bye["exit"] == 4 and "missing.toml" in bye["why"]


def test_options_of_other_engines_have_no_effect(project, start):
    """A junit file, a failure budget, pytest-cov and pytest-xdist in addopts."""
    options = "-x --maxfail=1 --junitxml=junit.xml"
    try:
        import pytest_cov  # noqa: F401
        import xdist  # noqa: F401
    except ImportError:
        pass
    else:
        options += " --cov=. --cov-report=term -n2 --dist=loadfile"
    text = "def test_a(): assert 0\ndef test_b(): assert 0\n"
    files = {"pytest.ini": f"[pytest]\naddopts = {options}", "test_it.py": text}
    root = project(files)
    driver = start(root)
    driver.until("ready")
    driver.run(1, [0, 1])
    driver.until("unit-exited")
    assert driver.finish(failed=2)["exit"] == 1
    assert list(driver.outcomes().values()) == ["failed", "failed"]
    assert not (root / "junit.xml").exists()
    files = contents(driver.data_files())["files"]
    assert {1, 2} <= files[str(root / "test_it.py")][""][0]


def test_tests_can_be_run_without_coverage(run):
    driver = run("def test_it(): pass", coverage=None)
    assert driver.all("finish")[0]["outcome"] == "passed"
    assert not driver.all("data")
    assert driver.all("hello")[0]["core"] is None


def test_units_look_like_workers_of_xdist(run):
    text = """
        import os

        def test_it(request):
            assert os.environ["PYTEST_XDIST_WORKER"] == "gw0"
            assert request.config.workerinput["workerid"] == "gw0"
        """
    assert run(text).all("finish")[0]["outcome"] == "passed"


def test_units_look_like_no_workers_on_request(run):
    text = """
        import os

        def test_it(request):
            assert "PYTEST_XDIST_WORKER" not in os.environ
            assert not hasattr(request.config, "workerinput")
        """
    driver = run(text, identity=None)
    assert driver.all("finish")[0]["outcome"] == "passed"
