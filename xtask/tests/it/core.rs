//! `--core`: what measures. The native core has the numbers of coverage's own, and stands back
//! where it would not.

use std::fs;

use crate::identity::facts;
use crate::shop::{coverage, shop};
use crate::support::{Env, Project, Run, STOCK, env_of, pythons};

/// Threads, generators and coroutines that are thrown into, classes, loops on one line.
const SOURCE: &str = "\
import asyncio
import sys
import threading


def total(numbers):
    result = 0
    for number in numbers: result += number
    while result > 10:
        result -= 1
        if result == 12: break
    return result


def numbers(count):
    try:
        for number in range(count):
            got = yield number
            if got:
                return got
    except ValueError:
        yield -1
    finally:
        count = None


class Shelf:
    size = 3 if numbers else 4

    def __enter__(self):
        return self

    def __exit__(self, kind, error, where):
        return kind is KeyError


async def fill(shelf):
    for place in range(shelf.size):
        await asyncio.sleep(0)
    return [place async for place in places(shelf)]


async def places(shelf):
    for place in range(shelf.size):
        yield place


def aside(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def traced_by(trace, function):
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(before)


def sorts(kind):
    match kind:
        case [first, *_] if first:
            return first
        case {'kind': inner}:
            return sorts(inner)
    raise LookupError(kind)
";

const TESTS: &str = "\
import asyncio
import sys

import pytest

from shelves import Shelf, aside, fill, numbers, sorts, total, traced_by


def test_total():
    assert total([1, 2, 30]) == 12


def test_numbers():
    it = numbers(3)
    next(it)
    assert it.throw(ValueError()) == -1
    it.close()
    assert list(numbers(2)) == [0, 1]


def test_fill():
    with Shelf() as shelf:
        assert asyncio.run(fill(shelf)) == [0, 1, 2]
        raise KeyError


def test_aside():
    aside(lambda: total([2]))


@pytest.mark.parametrize('kind', [[1], {'kind': [2]}, 3])
def test_sorts(kind):
    if kind == 3:
        with pytest.raises(LookupError):
            sorts(kind)
    else:
        assert sorts(kind)


def test_the_trace_function_is_there():
    assert sys.gettrace() is not None


def test_another_trace_function():
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    list(numbers(1))
    assert sys.gettrace() is not before
    sys.settrace(before)
    assert sys.gettrace() is before
    next(numbers(1))


def test_frames_that_run_are_coverages_under_another_trace_function():
    following = lambda *_: following
    for trace in None, following, lambda *_: None:
        assert traced_by(trace, lambda: total([1])) == 1
";

const SETTINGS: &str = "[tool.pytest.ini_options]\npythonpath = ['src']\n\n\
[tool.coverage.run]\nbranch = true\nsource = ['src']\n";

fn shelves(env: Env) -> Project {
    let files = [
        ("pyproject.toml", SETTINGS),
        ("src/shelves/__init__.py", SOURCE),
        ("tests/test_shelves.py", TESTS),
    ];
    Project::new(&files).with(env)
}

/// Environments with a Python that the native core is for; there may be none here.
fn newer(packages: &[&str]) -> Vec<Env> {
    let here = pythons(&[12, 13]);
    here.iter().map(|(minor, python)| env_of(python, &format!("3.{minor}-"), packages)).collect()
}

/// Lines, arcs and files are those of `coverage run`, which has its C tracer.
#[test]
fn the_numbers_are_coverages() {
    // Older versions of coverage keep arcs in another form.
    let older = ["pytest", "coverage==7.10.7", "pytest-split", "pytest-xdist"];
    let older = newer(&older).into_iter().take(1);
    for env in newer(STOCK).into_iter().chain(older) {
        let project = shelves(env);
        let alone = ["-m", "coverage", "run", "-m", "pytest"];
        Run::of(&project.env().python()).args(&alone).cwd(&project.root).output().exits(0);
        let expected = facts(&project, ".coverage");
        for engine in ["fork", "spawn"] {
            fs::remove_file(project.root.join(".coverage")).expect("a data file");
            let output = project.run(&coverage(engine, &["--summary-json", "summary.json"]));
            output.exits(0).tells("  • Core: native\n");
            assert_eq!(facts(&project, ".coverage"), expected, "{engine} {:?}", project.env());
            assert_eq!(summary(&project), "native");
        }
    }
}

fn summary(project: &Project) -> String {
    let text = fs::read_to_string(project.root.join("summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    summary["core"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_older_python_has_coverages_own() {
    let old = pythons(&[9, 10, 11]).into_iter().next();
    let Some((minor, python)) = old else { return };
    let project = shop("", "").with(env_of(&python, &format!("3.{minor}-"), STOCK));
    let told = "  • Core: coverage's (the native core is for CPython 3.12 and newer)\n";
    let output = project.run(&coverage("fork", &["--summary-json", "summary.json"]));
    output.exits(0).tells(told);
    assert_eq!(summary(&project), "ctrace");
    let refused = "`--core native` (command line) cannot be had: the native core is for CPython 3.12 and newer";
    project.run(&coverage("fork", &["--core", "native"])).exits(4).tells(refused);
}

#[test]
fn coverages_own_measures_where_it_is_asked_to_or_alone_can() {
    let Some(env) = newer(STOCK).into_iter().next() else { return };
    let cases: [(&[&str], &str, &str); 3] = [
        (&["--core", "coverage"], "", "command line"),
        (&[], "[tool.coverage.run]\ntimid = true\n", "`timid` is set"),
        (&[], "[tool.coverage.run]\ncore = 'ctrace'\n", "coverage is told to take the core ctrace"),
    ];
    for (args, tables, why) in cases {
        let project = shop("", tables).with(env.clone());
        let told = format!("  • Core: coverage's ({why})\n");
        let json = ["--summary-json", "summary.json"];
        project.run(&coverage("fork", &[args, &json].concat())).exits(0).tells(&told);
        assert_ne!(summary(&project), "native");
    }
    let project = shop("", "").with(env);
    let told = "  • Core: coverage's (coverage is told to take the core sysmon)\n";
    let run = project.xtask(&coverage("fork", &["--no-branch"])).var("COVERAGE_CORE", "sysmon");
    run.output().exits(0).tells(told);
}

/// A context for each test, and for each function whose name says that it is one.
#[test]
fn contexts_are_coverages() {
    const CONTEXTS: &str = "import sys
from coverage import CoverageData
data = CoverageData(sys.argv[1])
data.read()
for context in sorted(data.measured_contexts()):
    data.set_query_context(context)
    print(context, [sorted(data.arcs(file)) for file in sorted(data.measured_files())])";
    for env in newer(STOCK) {
        let project = shelves(env);
        let functions = [SETTINGS, "dynamic_context = 'test_function'\n"].concat();
        project.write("pyproject.toml", &functions);
        let contexts = |core: &str| {
            project.run(&coverage("fork", &["--core", core, "--splits", "1"])).exits(0);
            project.python_says(CONTEXTS, &[".coverage"])
        };
        let (native, own) = (contexts("native"), contexts("coverage"));
        assert!(native.contains("test_shelves.test_total"), "{native}");
        assert_eq!(native, own);
    }
}

/// What a test does to the tools of `sys.monitoring` reaches none of ours.
#[test]
fn a_test_that_frees_all_tools_frees_none_of_ours() {
    const FREES: &str = "import sys

from shelves import total


def test_frees():
    for tool in range(6):
        sys.monitoring.free_tool_id(tool)


def test_after_that():
    assert total([1]) == 1
";
    for env in newer(STOCK) {
        let project = shelves(env);
        project.write("tests/test_shelves.py", FREES);
        let lines = |core: &str| {
            project.run(&coverage("fork", &["--core", core])).exits(0);
            facts(&project, ".coverage")
        };
        assert_eq!(lines("native"), lines("coverage"));
    }
}

/// Code by the ten thousand, code that is replaced while it runs, interpreters within this one.
#[test]
fn code_that_comes_and_goes_is_measured_as_coverage_does() {
    const COMES: &str = "\
def run(text, name, values):
    exec(compile(text, name, 'exec'), values)


def first():
    for number in range(3):
        yield number
    return 'first'


def second():
    yield 4
    return 'second'
";
    const TESTS: &str = "\
import gc
import importlib
import sys

import comes

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters


def test_made_by_the_ten_thousand():
    with open(comes.__file__) as file:
        text = file.read()
    for number in range(10_000):
        values = {}
        comes.run('def made(): return %d' % number, comes.__file__, values)
        assert values['made']() == number
    gc.collect()
    comes.run(text, comes.__file__, values)
    assert list(values['second']()) == [4]


def test_replaced_while_it_runs():
    running, before = comes.first(), comes.first.__code__
    assert next(running) == 0
    comes.first.__code__ = comes.second.__code__
    assert list(comes.first()) == [4]
    importlib.reload(comes)
    del before
    gc.collect()
    assert list(running) == [1, 2]
    assert list(comes.first()) == [0, 1, 2]


def test_in_another_interpreter():
    text = f'import sys; sys.path[:] = {sys.path}; import comes; list(comes.first())'
    for _ in range(3):
        other = interpreters.create()
        assert interpreters.run_string(other, text) is None
        interpreters.destroy(other)
    assert list(comes.first()) == [0, 1, 2]
";
    for env in newer(STOCK) {
        let project = Project::new(&[
            ("pyproject.toml", SETTINGS),
            ("src/comes.py", COMES),
            ("tests/test_comes.py", TESTS),
        ]);
        let project = project.with(env);
        let measured = |core: &str| {
            project.run(&coverage("fork", &["--core", core])).exits(0);
            facts(&project, ".coverage")
        };
        assert_eq!(measured("native"), measured("coverage"), "{:?}", project.env());
    }
}

/// What debuggers and profilers hold stays theirs, and where they hold all coverage's own measures.
#[test]
fn tools_that_others_hold_stay_theirs() {
    const HOLDS: &str = "\
import sys

for tool in {held}:
    sys.monitoring.use_tool_id(tool, f'tool {tool}')
    sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
    sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, lambda *_: None)
";
    const TESTS: &str = "\
import sys

from shelves import total


def test_held():
    assert total([1]) == 1
    tools = [sys.monitoring.get_tool(tool) for tool in {held}]
    assert tools == [f'tool {tool}' for tool in {held}]
";
    let Some(env) = newer(STOCK).into_iter().next() else { return };
    let in_use = "  • Core: coverage's (all tools of `sys.monitoring` are in use)\n";
    let cases = [("(0, 2, 4)", "  • Core: native\n"), ("range(6)", in_use)];
    for (held, told) in cases {
        let project = shelves(env.clone());
        project.write("tests/test_shelves.py", &TESTS.replace("{held}", held));
        project.write("startup/sitecustomize.py", &HOLDS.replace("{held}", held));
        let startup = project.root.join("startup");
        let run = |core: &str| {
            let run = project.xtask(&coverage("fork", &["--core", core]));
            run.var("PYTHONPATH", startup.as_str()).output().exits(0)
        };
        run("auto").tells(told);
        let measured = facts(&project, ".coverage");
        run("coverage");
        assert_eq!(measured, facts(&project, ".coverage"));
    }
}

/// A share of the tests under both cores; what tells them apart is a difference, how tests end is not.
#[test]
fn the_native_core_can_be_checked_against_coverages_own() {
    const TELLS: &str = "import sys


def core():
    if type(sys.gettrace()).__name__ == 'NativeTracer':
        return 'native'
    return 'coverage'
";
    let Some(env) = newer(STOCK).into_iter().next() else { return };
    let project = shelves(env);
    project.write("tests/test_fails.py", "def test_fails():\n    assert False\n");
    let check = |percent: &str| {
        project.run(&["coverage", "verify", "--check-core", percent, "--splits", "1"])
    };
    check("100").exits(0).says("✓ both cores agree: 1 file, ").tells("Checked: 11 of 11 tests");
    check("0").exits(0).says("✓ both cores agree");
    project.write("src/shelves/__init__.py", TELLS);
    let test = "from shelves import core\n\ndef test_core():\n    assert core()\n";
    project.write("tests/test_shelves.py", test);
    let output = check("100").exits(3);
    let output = output.says("Fault: only coverage's own core has this\n");
    let output = output.says("  src/shelves/__init__.py: arcs 5→7, 7→-4\n");
    output.says("Fault: only the native core has this\n  src/shelves/__init__.py:6\n");
    let refused = "there is no native core that `--check-core` could check: ";
    let own = ["coverage", "verify", "--check-core", "5", "--core", "coverage"];
    project.run(&own).exits(4).tells(refused);
}

/// Events of measured code do not count against the limit of recursion in C: what works near it does
/// so whether it is measured or not.
#[test]
fn near_the_limit_of_recursion_nothing_is_in_the_way() {
    const DEEP: &str = "\
import sys


def once(): yield 1


def levels(found):
    works = 0
    try:
        works = sum(once())
    except RecursionError:
        works = -1
    finally:
        found.append(works)
    max([1], key=lambda _: levels(found))


def deeper(found, calls):
    if calls:
        sorted([1], key=lambda _: deeper(found, calls - 1))
    else:
        levels(found)


def reaches(calls):
    found = []
    try:
        deeper(found, calls)
    except RecursionError:
        return len(found), sum(found)


def test_reaches():
    with open(__file__) as file:
        text = file.read()
    unmeasured = {}
    exec(compile(text, 'unmeasured', 'exec'), unmeasured)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        found = [[each(calls) for calls in range(4)] for each in (reaches, unmeasured['reaches'])]
    finally:
        sys.setrecursionlimit(limit)
    assert found[0] == found[1]
";
    for env in newer(STOCK) {
        let project = shelves(env);
        project.write("tests/test_shelves.py", DEEP);
        let settings = SETTINGS.replace("'src']\n", "'src', 'tests']\n");
        project.write("pyproject.toml", &settings);
        project.run(&coverage("fork", &["--core", "native"])).exits(0);
    }
}

/// What others may have written is not loaded; what is not ours any more is written again.
#[test]
fn a_library_that_others_can_write_is_not_loaded() {
    let Some(env) = newer(STOCK).into_iter().next() else { return };
    let project = shop("", "").with(env);
    project.run(&coverage("fork", &[])).exits(0).tells("  • Core: native\n");
    let folder = project.root.join(".xtask/core");
    fs::write(folder.join("xtask_core.so"), "no library").expect("a file");
    project.run(&coverage("fork", &[])).exits(0).tells("  • Core: native\n");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&folder, open).expect("permissions");
    let told = format!("  • Core: coverage's (others can write to `{folder}`)\n");
    project.run(&coverage("fork", &[])).exits(0).tells(&told);
    assert_eq!(facts(&project, ".coverage").lines().count(), 1);
}
