"""Collectors: parts of a suite, collected side by side, are the whole."""

from __future__ import annotations

import os
import signal

import pytest

from data import contents, differences, sequential
from driver import PATIENCE, run_all, until_dead

TWO = "def test_one(): pass\ndef test_two(): pass\n"
FIVE = {f"test_{name}.py": TWO for name in "abcde"}

RICH = {
    ".coveragerc": "[run]\nbranch = true\nsource = .\n",
    "pytest.ini": "[pytest]\nmarkers =\n    slow\n    wide\n",
    "conftest.py": """
        import pytest

        @pytest.fixture(scope="session")
        def shared(tmp_path_factory):
            return tmp_path_factory.mktemp("shared")

        def pytest_collection_modifyitems(config, items):
            for item in items:
                if "wide" in item.nodeid:
                    item.add_marker("wide")
        """,
    "lib/__init__.py": "",
    "lib/sums.py": '''
        def plus(a, b):
            """
            >>> plus(1, 2)
            3
            """
            if a:
                return a + b
            return b
        ''',
    "lib/unused.py": "x = 1\n",
    "tests/__init__.py": "",
    "tests/conftest.py": """
        import pytest

        @pytest.fixture(scope="package")
        def package():
            yield []

        @pytest.fixture(autouse=True)
        def around(request):
            request.node.around = True
            yield
        """,
    "tests/helper.py": "from lib import sums\nif sums:\n    value = 1\nelse:\n    value = 2\n",
    "tests/test_a.py": """
        import pytest
        from tests import helper

        @pytest.mark.parametrize("n", [0, 1, 2])
        def test_each(shared, package, n):
            assert helper.sums.plus(n, 1) == n + 1

        @pytest.mark.slow
        def test_slow(request):
            assert request.node.around

        class TestThem:
            @pytest.fixture(scope="class", params=["x", "y"])
            def letter(self, request):
                return request.param

            def test_letter(self, letter): assert letter in "xy"
            def test_again(self, letter): assert letter != "y"
        """,
    "tests/test_cases.py": """
        import unittest
        from tests import helper

        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.ready = True

            def test_ready(self):
                self.assertTrue(self.ready)

            @unittest.skip("not now")
            def test_skipped(self): pass

            def test_fails(self):
                self.assertEqual(1, 2)
        """,
    "tests/test_none.py": "value = 1\n",
    "tests/test_skipped.py": "import pytest\npytest.skip('all of it', allow_module_level=True)\n",
    "tests/sub/__init__.py": "",
    "tests/sub/conftest.py": """
        import pytest

        @pytest.fixture(autouse=True)
        def deep(request, around):
            request.node.deep = True

        @pytest.fixture
        def fails():
            raise ValueError
        """,
    "tests/sub/test_deep.py": """
        def test_deep(request, package): assert request.node.deep
        def test_error(fails): pass
        """,
    "tests/sub/test_wide.py": "def test_wide(request): assert request.node.deep\n",
    "tests/test_last.py": "def test_last(request): assert not hasattr(request.node, 'deep')\n",
}

ARGS = {
    "all": [],
    "keyword": ["-k", "letter or deep or wide"],
    "mark": ["-m", "slow or wide"],
    "deselected": ["--deselect=tests/test_a.py::test_each", "--deselect", "tests/sub"],
    "one test": ["tests/sub/test_deep.py::test_deep", "tests/test_a.py::TestThem"],
    "a folder and a file": ["tests/sub", "tests/test_last.py"],
    "overlapping": ["tests/test_last.py", "tests", "tests/sub"],
    "packages": ["--pyargs", "tests.sub", "tests.test_a"],
    "doctests": ["--doctest-modules"],
    "importlib": ["--import-mode=importlib"],
    "ignored": ["--ignore=tests/sub", "--ignore-glob=*/test_l*"],
}


@pytest.mark.parametrize("args", ARGS.values(), ids=list(ARGS))
def test_parts_join_to_the_whole(project, start, tmp_path, args):
    root = project(RICH)
    whole = start(root, args=args)
    run_all(whole, 1)
    parts = start(root, args=args, collectors=3, slots=2)
    run_all(parts, 2)
    assert parts.all("files"), parts.all("cannot-shard")
    assert parts.ids == whole.ids
    assert parts.outcomes() == whole.outcomes()
    for name in ("collect-skip", "collect-error"):
        assert sorted(one["id"] for one in parts.all(name)) == [
            *sorted(one["id"] for one in whole.all(name))
        ]
    deselected = [sum(one["deselected"] for one in it.all("collected")) for it in (whole, parts)]
    assert deselected[0] == deselected[1]
    assert parts.finish()["exit"] == whole.finish()["exit"]
    mine, theirs = contents(parts.data_files()), contents(whole.data_files())
    assert not differences(theirs, mine)
    assert not differences(sequential(root, tmp_path / "alone", pytest=tuple(args)), mine)


# Of several names, kinds and scopes, in one file and more
PARTED = {
    **{name: text for name, text in RICH.items() if name != "tests/test_a.py"},
    "tests/test_a.py": '''
        """
        >>> 1 + 1
        2
        """
        import pytest
        from tests import helper

        @pytest.fixture(scope="module")
        def module():
            yield helper.sums.plus(0, 2)

        def test_first(module): assert module == 2

        @pytest.mark.parametrize("n", range(3))
        @pytest.mark.parametrize("m", [0, 1])
        def test_each(shared, package, n, m):
            assert helper.sums.plus(n, m) == n + m

        class Base:
            def test_inherited(self): pass

        class TestThem(Base):
            @pytest.mark.parametrize("letter", "xy")
            def test_letter(self, letter): assert letter != "y"
            def test_own(self, module): assert module

        test_again = test_first

        class TestMore:
            class TestInner:
                def test_inner(self, request): assert request.node.around

        @pytest.mark.slow
        def test_slow(request):
            """
            >>> test_slow.__name__
            'test_slow'
            """
        ''',
}


@pytest.mark.parametrize("kind", ["all", "mark", "one test", "overlapping", "doctests"])
def test_parts_of_files_join_to_the_whole(project, start, tmp_path, kind):
    root, args = project(PARTED), ARGS[kind]
    whole = start(root, args=args)
    run_all(whole, 1)
    parts = start(root, args=args, collectors=3, slots=2)
    run_all(parts, 2, parted=())
    assert parts.ids == whole.ids
    assert parts.outcomes() == whole.outcomes()
    holders = {parts.holder(at) for at, id in enumerate(parts.ids) if "tests/test_a.py" in id}
    assert args or len(holders) == 3
    skipped = [{one["id"] for one in it.all("collect-skip")} for it in (whole, parts)]
    assert skipped[0] == skipped[1]
    assert parts.finish()["exit"] == whole.finish()["exit"]
    mine, theirs = contents(parts.data_files()), contents(whole.data_files())
    assert not differences(theirs, mine)
    assert not differences(sequential(root, tmp_path / "alone", pytest=tuple(args)), mine)


def test_a_file_with_wide_parameters_is_not_to_be_parted(project, start):
    root = project({**FIVE, "test_c.py": RICH["tests/test_a.py"].replace("from tests", "# ")})
    driver = start(root, collectors=2)
    driver.collect()
    took = [one for event in driver.all("collected") for one in event["seconds"]]
    assert {file for file, _, apart, _ in took if apart is None} == {2}
    assert all(0 <= apart <= seconds for _, seconds, apart, _ in took if apart is not None)
    driver = start(root, collectors=2)
    driver.collect(parted=(2,))
    told = driver.all("reordered")
    assert told and all(one["parts"] and "test_c.py" in one["why"] for one in told)


def test_each_part_of_a_file_makes_tests_of_its_names_only(project, start):
    text = """
        import os
        def pytest_generate_tests(metafunc):
            open(f"{os.getpid()}.{metafunc.function.__name__}", "w").close()
        """
    root = project({**FIVE, "conftest.py": text})
    driver = start(root, collectors=2)
    driver.collect([[], []], parted=())
    first, second = driver.collectors()
    assert {path.name for path in root.glob("*.test_*")} == {
        f"{first}.test_one",
        f"{second}.test_two",
    }


@pytest.mark.parametrize("same", [True, False])
def test_parts_tell_whether_they_have_seen_the_same_names(project, start, same):
    name = "test_it" if same else "'test_{}'.format(os.getpid())"
    text = f"import os\nglobals()[{name!r}] = lambda: None\n"
    text = text if same else f"import os\nglobals()[{name}] = lambda: None\n"
    driver = start(project({**FIVE, "test_c.py": text}), collectors=2)
    driver.collect(parted=(2,))
    took = [one for event in driver.all("collected") for one in event["seconds"]]
    seen = [names for file, _, _, names in took if file == 2]
    assert len(seen) == 2 and (len(set(seen)) == 1) == same
    assert all(names is None for file, _, _, names in took if file != 2)


def test_an_error_in_one_part_of_a_file_is_told(project, start):
    bad = """
        import pytest
        def test_good(): pass
        @pytest.mark.parametrize("missing", [1])
        def test_bad(): pass
        """
    driver = start(project({**FIVE, "test_c.py": bad}), collectors=2)
    driver.collect(parted=(2,))
    assert {one["id"] for one in driver.all("collect-error")} == {"test_c.py"}
    assert driver.finish(errors=1)["exit"] == 2


def test_files_are_told_in_order_with_their_sizes(project, start):
    driver = start(project(FIVE), collectors=2)
    assert driver.until("files")["files"] == [[name, len(TWO)] for name in FIVE]


def test_each_part_imports_its_files_only(project, start):
    text = "import os\nopen(f'{os.getpid()}.' + __name__, 'w').close()\ndef test(): pass\n"
    root = project({f"test_{name}.py": text for name in "abc"})
    driver = start(root, collectors=2)
    driver.collect([[0, 2], [1]])
    first, second = driver.collectors()
    found = sorted(path.name for path in root.glob("*.test_*"))
    assert found == sorted([f"{first}.test_a", f"{first}.test_c", f"{second}.test_b"])
    assert [[at for at, *_ in one["seconds"]] for one in driver.all("collected")] in (
        [[0, 2], [1]],
        [[1], [0, 2]],
    )


def test_a_collector_without_files_bothers_no_hook(project, start):
    conftest = "def pytest_collection_modifyitems(items): assert items\n"
    driver = start(project({**FIVE, "conftest.py": conftest}), collectors=2)
    driver.collect([[0, 1, 2, 3, 4], []])
    assert sorted(one["tests"] for one in driver.all("collected")) == [0, 10]
    assert driver.finish()["exit"] == 0


def test_more_collectors_than_files(project, start):
    driver = start(project({"test_a.py": TWO}), collectors=3)
    run_all(driver, 1)
    assert len(driver.all("collector-started")) == 1
    assert driver.finish()["exit"] == 0


# What stands against it


def whole_because(driver) -> str:
    driver.until("ready")
    assert not driver.all("files")
    return driver.all("cannot-shard")[0]["why"]


@pytest.mark.parametrize("option", ["--lf", "--ff", "--nf", "--sw"])
def test_options_that_look_at_all_tests(project, start, option):
    # The fixture `start` blocks the cache.
    driver = start(
        project(FIVE), collectors=2, args=["-p", "cacheprovider", "-p", "stepwise", option]
    )
    assert "looks at all tests" in whole_because(driver)
    run_all_again(driver)


def run_all_again(driver):
    """As ever: the events `files` and `ready` have come already."""
    assert len(driver.all("ids")[0]["ids"]) == 10
    driver.send("run", unit=1, slot=0, split=1, tests=[0, 9])
    driver.until("unit-exited", code=0)
    driver.send("finish")
    assert driver.until("bye", of=None)["exit"] == 0


REASONS = {
    "conftest.py: pytest_collection": "def pytest_collection(): pass\n",
    "share what they learn": """
        def pytest_collection_modifyitems(items): pass
        def pytest_runtest_logreport(): pass
        def pytest_sessionfinish(): pass
        """,
    "thread": """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        """,
    "not tried with pytest 99.9": "import pytest\npytest.__version__ = '99.9'\n",
}


@pytest.mark.parametrize("why", REASONS)
def test_conftests_that_need_the_whole(project, start, why):
    driver = start(project({**FIVE, "conftest.py": REASONS[why]}), collectors=2)
    told = whole_because(driver)
    assert why.rpartition(": ")[0] in told if ": " in why else why in told
    assert [one["tests"] for one in driver.all("collected")] == [10]


def test_a_plugin_that_may_order(project, start, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sorts.py").write_text("def pytest_collection_modifyitems(items): pass\n")
    env = {"PYTHONPATH": str(elsewhere)}
    driver = start(project(FIVE), collectors=2, args=["-p", "sorts"], env=env)
    assert whole_because(driver) == "plugin `sorts` may order or select tests"
    run_all_again(driver)


def test_a_conftest_below_that_needs_the_whole(project, start):
    """It is met on the way down, and nothing is collected twice."""
    files = {**FIVE, "sub/conftest.py": REASONS["share what they learn"], "sub/test_x.py": TWO}
    driver = start(project(files), collectors=2)
    assert "sub/conftest.py" in whole_because(driver)
    ids = driver.all("ids")[0]["ids"]
    assert len(ids) == len(set(ids)) == 12


@pytest.mark.parametrize("collectors", [0, 2])
def test_a_broken_conftest_below_is_told_once(project, start, collectors):
    files = {**FIVE, "sub/conftest.py": "import nothing_like_it\n", "sub/test_x.py": TWO}
    driver = start(project(files), collectors=collectors)
    if collectors:
        driver.collect()
        driver.finish(errors=1)
    else:
        driver.until("bye")
    assert [one["id"] for one in driver.all("collect-error")] == ["sub"]
    assert driver.all("bye")[-1]["exit"] == 2


LOOSE = {
    "a/conftest.py": "value = 'a'\n",
    "a/test_a.py": "from conftest import value\ndef test(): assert value == 'a'\n",
    "b/conftest.py": "value = 'b'\n",
    "b/test_b.py": "from conftest import value\ndef test(): assert value == 'b'\n",
    "c/conftest.py": "value = 'c'\n",
    "c/test_c.py": "def test(): pass\n",
}


@pytest.mark.parametrize("collectors", [0, 2])
@pytest.mark.parametrize("conftest", ["", REASONS["share what they learn"]])
def test_conftests_are_imported_when_their_folder_comes(project, start, collectors, conftest):
    """Not before: a module may import the one that pytest has met last."""
    files = {**LOOSE, "c/conftest.py": conftest}
    driver = start(project(files), collectors=collectors)
    if conftest:
        assert not collectors or whole_because(driver)
        driver.seen("collected", tests=3)
    else:
        run_all(driver, 1)
        assert set(driver.outcomes().values()) == {"passed"}
    assert not driver.all("collect-error")


def test_a_file_given_twice(project, start):
    args = ["--keep-duplicates", "test_a.py", "test_b.py", "test_a.py"]
    driver = start(project(FIVE), collectors=2, args=args)
    assert "more than once" in whole_because(driver)
    assert [one["tests"] for one in driver.all("collected")] == [6]


def test_without_forks_there_are_no_parts(project, start):
    driver = start(project(FIVE), collectors=2, engine="spawn")
    assert "forks" in whole_because(driver)


def test_without_files_there_are_no_parts(project, start):
    driver = start(project({"readme": ""}), collectors=2)
    assert "nothing" in whole_because(driver)
    driver.send("finish")
    assert driver.until("bye", of=None)["exit"] == 5


REORDERED = {
    "adds tests": """
        import copy
        def pytest_collection_modifyitems(items): items.append(copy.copy(items[-1]))
        """,
    "session scope": """
        import pytest

        @pytest.fixture(scope="session", autouse=True, params=[1, 2])
        def number(request): return request.param
        """,
    "package scope": """
        import pytest

        @pytest.fixture(scope="package", autouse=True, params=[1, 2])
        def number(request): return request.param
        """,
}


@pytest.mark.parametrize("why", REORDERED)
def test_what_reaches_across_files_is_noticed(project, start, why):
    driver = start(project({**FIVE, "conftest.py": REORDERED[why]}), collectors=2)
    driver.collect()
    told = driver.all("reordered")
    assert [one["of"] for one in sorted(told, key=lambda one: one["of"])] == [0, 1]
    assert all(why in one["why"] for one in told)
    assert not driver.all("ids")


# How it ends


@pytest.mark.parametrize("failed", [0, 1])
def test_the_session_ends_once_in_the_host(project, start, failed):
    conftest = """
        import os, pathlib
        def say(word):
            with open("log", "a") as out: out.write(f"{word} {os.getpid()}\\n")
        def pytest_sessionstart(): say("start")
        def pytest_sessionfinish(session, exitstatus):
            say(f"finish {exitstatus:d} of {session.testscollected}")
        def pytest_unconfigure(): say("unconfigure")
        """
    root = project({**FIVE, "conftest.py": conftest})
    driver = start(root, collectors=2)
    run_all(driver, 1)
    assert driver.finish(failed=failed)["exit"] == failed
    pid = driver.all("hello")[0]["pid"]
    words = ["start", f"finish {failed} of 10", "unconfigure"]
    assert (root / "log").read_text() == "".join(f"{word} {pid}\n" for word in words)
    assert [one["split"] for one in driver.all("data")] == [0, 1, None]


def test_nothing_selected_is_no_tests(project, start):
    driver = start(project(FIVE), collectors=2, args=["-k", "nothing"])
    driver.collect()
    assert driver.finish()["exit"] == 5


def test_collection_errors_are_told_by_each_collector(project, start):
    bad = "import nothing_like_it\n"
    driver = start(project({**FIVE, "test_b.py": bad, "test_c.py": bad}), collectors=2)
    driver.collect()
    errors = driver.all("collect-error")
    assert sorted((one["id"], one["of"]) for one in errors) == [("test_b.py", 1), ("test_c.py", 0)]
    assert all("nothing_like_it" in one["text"] for one in errors)
    assert not driver.all("ready")
    assert [one["exit"] for one in driver.all("bye")] == [2, 2]
    assert driver.finish(errors=2)["exit"] == 2


def test_collection_errors_are_survived_on_request(project, start):
    files = {**FIVE, "test_b.py": "import nothing_like_it\n"}
    args = ["--continue-on-collection-errors"]
    driver = start(project(files), collectors=2, args=args)
    run_all(driver, 1)
    assert len(driver.outcomes()) == 8
    assert driver.finish(failed=1, errors=1)["exit"] == 1


def test_collecting_only(project, start):
    driver = start(project(FIVE), collectors=2, args=["--collect-only"])
    driver.collect()
    assert len(driver.ids) == 10 and not driver.all("ready")
    assert driver.finish()["exit"] == 0


@pytest.mark.parametrize(
    "error, status",
    [
        ("pytest.exit('at once', returncode=7)", 7),
        ("pytest.UsageError('at once')", 4),
        ("KeyboardInterrupt('at once')", 2),
    ],
)
def test_hooks_that_end_the_session_while_collecting(project, start, error, status):
    conftest = f"import pytest\ndef pytest_collection_modifyitems(items): raise {error}\n"
    driver = start(project({**FIVE, "conftest.py": conftest}), collectors=2)
    driver.collect()
    assert [one["exit"] for one in driver.all("bye")] == [status, status]
    assert all("at once" in one["text"] for one in driver.all("error"))


# Trouble


def test_a_collector_that_dies_while_importing(project, start):
    files = {**FIVE, "test_b.py": "import os\nos._exit(3)\n"}
    root = project(files)
    driver = start(root, collectors=2)
    driver.collect()
    driver.seen("collector-exited", collector=1, code=3)
    assert [id.split("::")[0] for id in driver.ids[::2]] == ["test_a.py", "test_c.py", "test_e.py"]
    driver.run(1, [0, 1])
    driver.until("unit-exited")
    assert driver.finish()["exit"] == 0
    assert {1, 2} <= contents(driver.data_files())["files"][str(root / "test_a.py")][""][0]


def test_imports_are_kept_whatever_happens_to_the_collector(project, start):
    root = project({**FIVE, "lib.py": "x = 1\n", "test_b.py": f"import lib\n{TWO}"})
    driver = start(root, collectors=2)
    driver.collect()
    driver.run(1, [2, 3])
    driver.until("unit-exited")
    for number, pid in enumerate(driver.collectors()):
        os.kill(pid, signal.SIGKILL)
        driver.seen("collector-exited", collector=number, signal=9)
        driver.seen("collector-ended", of=number)
    driver.finish()
    files = contents(driver.data_files())["files"]
    assert files[str(root / "lib.py")][""][0] == {1}
    assert files[str(root / "test_b.py")][""][0] == {1, 2, 3}


HANGS = "import time\ndef test_hangs(): time.sleep(600)\n"


@pytest.fixture
def hanging(project, start):
    driver = start(project({"test_a.py": TWO, "test_b.py": HANGS}), collectors=2)
    driver.collect()
    driver.run(1, [2])
    driver.until("start", test=2)
    return driver


def test_the_end_of_commands_ends_everything(hanging):
    pids = [*hanging.collectors(), hanging.all("unit-started")[0]["pid"]]
    hanging.hang_up()
    assert hanging.process.wait(timeout=PATIENCE) == 1
    for pid in pids:
        until_dead(pid)


def test_the_end_of_commands_ends_imports(project, start):
    hangs = "import time\nopen('here', 'w').close()\ntime.sleep(600)\n"
    root = project({"test_a.py": TWO, "test_b.py": hangs})
    driver = start(root, collectors=2)
    driver.share()
    for number in range(2):
        driver.seen("collector-started", of=number)
    while not (root / "here").exists():
        assert driver.process.poll() is None
    driver.hang_up()
    assert driver.process.wait(timeout=PATIENCE) == 1
    for pid in driver.collectors():
        until_dead(pid)


def test_collectors_die_with_the_group_of_the_host(project, start):
    driver = start(project(FIVE), collectors=2)
    driver.collect()
    for pid in driver.collectors():
        assert os.getpgid(pid) == os.getpgid(driver.process.pid)


def test_units_of_collectors_are_killed_and_asked(hanging):
    text = ""
    while "test_hangs" not in text:
        hanging.to_unit("stacks", 1)
        text = hanging.until("stacks")["text"]
    hanging.to_unit("kill", 1)
    assert hanging.until("unit-exited")["signal"] == 9
    hanging.finish()


def test_processes_that_tests_leave_are_told_and_ended(project, start):
    text = """
        import subprocess, sys
        def test_leaves():
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            open("pid", "w").write(str(child.pid))
        """
    root = project({"test_a.py": TWO, "test_b.py": text})
    driver = start(root, collectors=2)
    driver.collect()
    driver.run(1, [2])
    assert driver.until("unit-exited")["leftovers"]
    driver.finish()
    assert driver.all("warning")
    until_dead(int((root / "pid").read_text()))


# What tests see


def test_units_of_all_collectors_are_workers_of_one_run(project, start):
    text = """
        import os

        def test_it(tmp_path, request):
            print(os.environ["PYTEST_XDIST_TESTRUNUID"], os.environ["PYTEST_XDIST_WORKER"])
            print(tmp_path)
            assert 0
        """
    root = project({"test_a.py": text, "test_b.py": text})
    driver = start(root, collectors=2, slots=2)
    driver.collect()
    driver.run(1, [0], slot=0)
    driver.run(2, [1], slot=1)
    for _ in range(2):
        driver.until("unit-exited")
    driver.finish()
    said = [dict(one["sections"])["Captured stdout call"].split() for one in driver.all("failed")]
    runs, workers, folders = map(set, zip(*said))
    assert len(runs) == 1 and workers == {"gw0", "gw1"} and len(folders) == 2
    assert len({folder.rsplit("/popen-gw", 1)[0] for folder in folders}) == 1


def test_plugins_that_are_known_to_be_harmless(project, start):
    """Whatever of them is installed here."""
    driver = start(project(FIVE), collectors=2)
    run_all(driver, 1)
    assert set(driver.outcomes().values()) == {"passed"}


def test_units_of_collectors_warn_of_nothing(project, start):
    # What a fork drops unclosed is told by the garbage collector, in the midst of a test.
    ini = "[pytest]\nfilterwarnings =\n    error::ResourceWarning\n"
    ini += "    error::pytest.PytestUnraisableExceptionWarning\n"
    driver = start(project({**FIVE, "pytest.ini": ini}), collectors=2, slots=2)
    run_all(driver, 2)
    assert set(driver.outcomes().values()) == {"passed"}, driver.all("failed")


def test_warnings_about_sources_are_those_of_a_whole_run(project, start, tmp_path):
    """A package that only one collector imports is no source that was never imported."""
    rc = "[run]\nsource_pkgs = lib, never\n"
    files = {"lib/__init__.py": "", "lib/more.py": "x = 1\n", ".coveragerc": rc}
    root = project({**FIVE, **files, "test_b.py": f"import lib\n{TWO}"})
    driver = start(root, collectors=2, coverage={"branch": None})
    run_all(driver, 1)
    driver.finish()
    assert "never was never imported" in driver.output()
    assert "lib was never imported" not in driver.output()
    actual = contents(driver.data_files())
    assert not differences(sequential(root, tmp_path / "alone"), actual)
    assert str(root / "lib" / "more.py") in actual["files"]
