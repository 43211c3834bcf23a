"""The data is that of `coverage run -m pytest`: files, lines, arcs, contexts, tracers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import coverage
import pytest

from data import contents, differences, sequential
from driver import HOST, run_all

needs_patches = pytest.mark.skipif(
    coverage.version_info < (7, 10), reason="`patch` came with coverage 7.10"
)

PROJECT = {
    ".coveragerc": "[run]\nbranch = true\nsource = .\n",
    "plug.py": """
        def pytest_addoption(parser):
            parser.addoption("--colour", default="red")
        """,
    "conftest.py": """
        import pytest
        from pkg import tools

        def pytest_configure(config):
            tools.configured(config.getoption("--colour"))

        def pytest_sessionfinish(session):
            tools.ended()

        def pytest_unconfigure(config):
            if config:
                tools.unconfigured()

        @pytest.fixture(scope="session")
        def shared():
            yield tools.Shared()
            tools.shared_down()
        """,
    "pytest.ini": "[pytest]\naddopts = -p plug --colour=blue\n",
    "pkg/__init__.py": "",
    "pkg/tools.py": """
        log = []

        def configured(colour):
            if colour == "blue":
                log.append(colour)
            else:
                log.clear()

        def ended():
            log.append("ended")

        def unconfigured():
            log.append("unconfigured")

        def shared_down():
            log.append("down")

        class Shared:
            def __init__(self):
                self.used = 0

            def use(self, n):
                for at in range(n):
                    if at % 2:
                        self.used += 1
                    else:
                        self.used -= 1
                return self.used
        """,
    "pkg/never.py": "def never():\n    return 1\n",
    "pkg/lazy.py": "value = 1\nif value:\n    value = 2\n",
    "tests/conftest.py": """
        import pytest

        @pytest.fixture(autouse=True)
        def around():
            x = 1
            yield
            x = 2
        """,
    "tests/test_a.py": """
        import pytest

        @pytest.mark.parametrize("n", [0, 1, 5])
        def test_use(shared, n):
            shared.use(n)

        def test_fails():
            assert 0

        @pytest.mark.skip
        def test_skipped():
            assert 1
        """,
    "tests/sub/conftest.py": """
        import pytest

        @pytest.fixture
        def deep(shared):
            yield shared
            shared.use(1)
        """,
    "tests/sub/test_b.py": """
        import threading

        def test_lazy(deep):
            from pkg import lazy
            assert lazy.value == 2

        class TestThreads:
            def test_thread(self, deep):
                def work():
                    deep.use(3)
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
        """,
}


HOW = {
    "fork": {},
    "sharded": {"collectors": 2},
    "spawn": {"engine": "spawn"},
}


def compare(project, start, tmp_path, files, slots=2, engine="fork", args=(), **settings):
    """Run both ways from the same configuration; the differences."""
    root = project(files)
    settings.setdefault("branch", None)
    expected = sequential(root, tmp_path / "sequential", pytest=args)
    how = HOW[engine]
    driver = start(root, slots=slots, args=list(args), coverage=settings, **how)
    run_all(driver, slots if engine != "spawn" else 1)
    driver.finish()
    assert bool(driver.all("files")) == ("collectors" in how)
    assert not [one for one in driver.all("unit-exited") if one["code"]]
    assert not [name for one in driver.all("data") for name in one["damaged"]]
    actual = contents(driver.data_files())
    return expected, actual, differences(expected, actual)


@pytest.mark.parametrize("engine", HOW)
@pytest.mark.parametrize("branch", ["true", "false"])
def test_a_project_with_conftests_at_several_levels(project, start, tmp_path, engine, branch):
    rc = f"[run]\nbranch = {branch}\nsource = .\n"
    files = {**PROJECT, ".coveragerc": rc}
    expected, _, differing = compare(project, start, tmp_path, files, engine=engine)
    assert not differing
    names = {Path(name).name for name in expected["files"]}
    assert {"plug.py", "never.py", "lazy.py", "test_b.py", "tools.py"} <= names


def test_source_packages_that_only_tests_import(project, start, tmp_path):
    """The unexecuted files of a package are found through the module, which the host never had."""
    rc = "[run]\nsource_pkgs = pkg\nbranch = true\n"
    files = {name: text for name, text in PROJECT.items() if "pkg" not in text}
    files[".coveragerc"] = rc
    files["tests/test_a.py"] = "def test_it():\n    from pkg import lazy\n"
    files["tests/test_c.py"] = "def test_it():\n    pass\n"
    files["tests/sub/test_b.py"] = "def test_it():\n    pass\n"
    expected, _, differing = compare(project, start, tmp_path, files)
    assert not differing
    assert any(name.endswith("never.py") for name in expected["files"])


def test_without_a_source(project, start, tmp_path):
    """Everything outside of the library is measured then; nothing of ours may be."""
    files = {**PROJECT, ".coveragerc": "[run]\nbranch = true\n"}
    _, _, differing = compare(project, start, tmp_path, files)
    assert not differing


def test_our_files_inside_the_source_are_not_measured(project, start, tmp_path, monkeypatch):
    rc = "[run]\nsource = .\n[report]\ninclude_namespace_packages = true\n"
    root = project({**PROJECT, ".coveragerc": rc})
    expected = sequential(root, tmp_path / "sequential")
    inside = root / "target" / "host"
    shutil.copytree(HOST.parent, inside, ignore=shutil.ignore_patterns("tests"))
    monkeypatch.setattr("driver.HOST", inside / "host.py")
    driver = start(root, slots=1, coverage={"branch": None})
    run_all(driver, 1)
    driver.finish()
    assert not differences(expected, contents(driver.data_files()))


def test_nothing_of_ours_is_on_the_path(project, start):
    text = f"""
        import os, sys
        def test_it():
            assert sys.path[0] == os.getcwd()
            assert {str(HOST.parent)!r} not in sys.path
            assert sys.modules["__main__"].__spec__.name == "pytest.__main__"
            assert sys.argv[0].endswith("pytest/__main__.py")
            assert os.environ["COVERAGE_RUN"] == "true"
        """
    driver = start(
        project(
            {
                "test_it.py": text,
                "pytest.ini": "[pytest]\naddopts = --import-mode=importlib",
            }
        )
    )
    driver.until("ready")
    driver.run(1, [0])
    driver.until("unit-exited")
    driver.finish()
    assert list(driver.outcomes().values()) == ["passed"], driver.all("failed")


def test_dynamic_contexts(project, start, tmp_path):
    rc = "[run]\nbranch = true\nsource = .\ndynamic_context = test_function\n"
    files = {**PROJECT, ".coveragerc": rc}
    expected, _, differing = compare(project, start, tmp_path, files)
    assert not differing
    contexts = {context for file in expected["files"].values() for context in file}
    assert "test_b.test_lazy" in contexts and "" in contexts


def test_a_static_context(project, start, tmp_path):
    rc = "[run]\nbranch = true\nsource = .\ncontext = nightly\n"
    _, actual, differing = compare(project, start, tmp_path, {**PROJECT, ".coveragerc": rc})
    assert not differing
    contexts = {context for file in actual["files"].values() for context in file}
    assert contexts == {"nightly"}


@pytest.mark.parametrize("engine", HOW)
def test_contexts_of_tests_are_those_of_pytest_cov(project, start, tmp_path, engine):
    """Only what runs in tests: pytest-cov starts too late for the rest."""
    pytest.importorskip("pytest_cov")
    root = project({**PROJECT, "pytest.ini": "[pytest]\naddopts = -p plug --colour=blue"})
    expected = pytest_cov_data(root, tmp_path)
    driver = start(root, slots=1, coverage={"branch": None, "context": "test"}, **HOW[engine])
    run_all(driver, 1)
    driver.finish()
    actual = contents(driver.data_files())
    for data in (expected, actual):
        for contexts in data["files"].values():
            contexts.pop("", None)
    # The session's fixture lives as long as its unit, not as long as the session.
    for name in ("conftest.py", "pkg/tools.py"):
        assert str(root / name) in expected["files"]
        for data in (expected, actual):
            del data["files"][str(root / name)]
    assert not differences(expected, actual)
    contexts = {one for file in actual["files"].values() for one in file}
    assert "tests/sub/test_b.py::test_lazy|run" in contexts
    assert "tests/test_a.py::test_use[0]|setup" in contexts


def pytest_cov_data(root: Path, tmp_path: Path):
    import subprocess

    from driver import clean_environment

    data = tmp_path / "pytest-cov" / ".coverage"
    data.parent.mkdir()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--cov"]
    command += ["--cov-context=test", "--cov-report=", "-p", "no:randomly"]
    environment = {**clean_environment(), "COVERAGE_FILE": str(data)}
    subprocess.run(command, cwd=root, env=environment, capture_output=True)
    return contents([str(data)])


TRACER = """
    import coverage, os, types

    class Plugin(coverage.CoveragePlugin):
        def file_tracer(self, filename):
            if filename.endswith("template.py"):
                return Tracer(filename)

        def file_reporter(self, filename):
            return "python"

    class Tracer(coverage.FileTracer):
        def __init__(self, filename):
            self.name = filename[:-3] + ".html"

        def source_filename(self):
            return self.name

        def line_number_range(self, frame):
            return frame.f_lineno, frame.f_lineno + 1

    def coverage_init(reg, options):
        reg.add_file_tracer(Plugin())
    """


def test_a_file_tracer_plugin(project, start, tmp_path):
    files = {
        ".coveragerc": "[run]\nplugins = tracer\nsource = .\n",
        "tracer.py": TRACER,
        "template.html": "1\n2\n3\n4\n5\n",
        "template.py": "def render(x):\n    if x:\n        return 1\n    return 2\n",
        "test_a.py": "def test_it():\n    import template\n    template.render(1)\n",
        "test_b.py": "def test_it():\n    import template\n    template.render(0)\n",
    }
    expected, _, differing = compare(project, start, tmp_path, files)
    assert not differing
    assert list(expected["tracers"].values()) == ["tracer.Plugin"]


CHILDREN = {
    "job.py": """
        import sys

        def work(n):
            if n:
                return one()
            return two()

        def one():
            return 1

        def two():
            return 2

        if __name__ == "__main__":
            work(int(sys.argv[1]))
        """,
    "test_subprocess.py": """
        import os, subprocess, sys

        def test_here():
            subprocess.run([sys.executable, "job.py", "1"], check=True)

        def test_elsewhere(tmp_path):
            job = os.path.abspath("job.py")
            subprocess.run([sys.executable, job, "0"], cwd=tmp_path, check=True)
        """,
    "test_fork.py": """
        import multiprocessing, job

        def test_it():
            child = multiprocessing.get_context("fork").Process(target=job.work, args=(1,))
            child.start()
            child.join()
            assert child.exitcode == 0
        """,
    "test_spawn.py": """
        import multiprocessing, job

        def test_it():
            child = multiprocessing.get_context("spawn").Process(target=job.work, args=(0,))
            child.start()
            child.join()
            assert child.exitcode == 0

        def test_pool():
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(job.work, [0, 1]) == [2, 1]
                pool.close()
                pool.join()
        """,
    "test_raw.py": """
        import os, job

        def test_it():
            pid = os.fork()
            if not pid:
                job.work(1)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        """,
}

SETTINGS = [
    "patch = subprocess",
    "patch = subprocess, _exit",
    "patch = subprocess, _exit, fork",
    "patch = fork, _exit\nparallel = true",
    "concurrency = multiprocessing",
    "concurrency = multiprocessing, thread\nsigterm = true\nparallel = true",
]


@pytest.mark.parametrize("engine", HOW)
@pytest.mark.parametrize("setting", SETTINGS)
def test_processes_of_tests(project, start, tmp_path, setting, engine):
    if "patch" in setting and coverage.version_info < (7, 10):
        pytest.skip("`patch` came with coverage 7.10")
    rc = f"[run]\nbranch = true\nsource = .\n{setting}\n"
    files = {**CHILDREN, ".coveragerc": rc}
    _, _, differing = compare(project, start, tmp_path, files, engine=engine)
    assert not differing


@needs_patches
def test_data_of_subprocesses_is_in_the_right_split(project, start):
    rc = "[run]\nsource = .\npatch = subprocess\n"
    root = project({**CHILDREN, ".coveragerc": rc})
    driver = start(root, coverage={"branch": None})
    driver.until("ready")
    tests = [at for at, id in enumerate(driver.ids) if "subprocess" in id]
    for unit, (split, test) in enumerate(zip((7, 8), tests)):
        driver.run(unit, [test], split=split)
        driver.until("unit-exited")
    driver.finish()
    seen = {}
    for event in driver.all("data")[:2]:
        files = contents([event["file"]])["files"]
        seen[event["split"]] = files[str(root / "job.py")][""][0]
    assert 10 in seen[7] and 13 not in seen[7]
    assert 13 in seen[8] and 10 not in seen[8]
    units = [one["units"] for one in driver.all("data")[:2]]
    assert [[one[:2] for one in each] for each in units] == [[[0, "whole"]], [[1, "whole"]]]


def test_a_coverage_of_a_tests_own(project, start, tmp_path):
    """The collector is paused by it and resumed, not dropped as one from before a fork."""
    files = {
        ".coveragerc": "[run]\nbranch = true\nsource = .\n",
        "test_a.py": """
            import coverage

            def test_it(tmp_path):
                other = coverage.Coverage(data_file=str(tmp_path / "x"))
                other.start()
                other.stop()
                after()

            def after():
                return 1
            """,
    }
    expected, actual, _ = compare(project, start, tmp_path, files)
    [sequential_], [parallel] = expected["files"].values(), actual["files"].values()
    # Less than equality: with some plugins around, the sequential run on 3.11 loses lines.
    assert sequential_[""][1] <= parallel[""][1]
    assert 11 in parallel[""][0]
