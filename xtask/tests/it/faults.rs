//! Everything that can be wrong with a suite, a project or a machine: a clear error, the
//! documented exit code, nothing lost, nothing left running.

use crate::support::{Output, Project};

const PYPROJECT: &str = "\
[project]
name = 'shop'
version = '1'
[tool.pytest.ini_options]
pythonpath = ['src']
testpaths = ['tests']
";
const SOURCE: &str = "def price(n):\n    if n > 2:\n        return n * 9\n    return n * 10\n";
const TESTS: &str = "\
import pytest
from shop import price

@pytest.mark.parametrize('n', range(4))
def test_price(n):
    assert price(n) >= 0
";

/// Both engines, with what makes their runs small: one split of one worker.
const ENGINES: [[&str; 6]; 2] = [
    ["--engine", "stock", "--splits", "1", "--workers-per-split", "1"],
    ["--engine", "fork", "--splits", "1", "--workers-per-split", "1"],
];

/// A project with four good tests and these files.
fn shop(files: &[(&str, &str)]) -> Project {
    shop_at("shop", files)
}

fn shop_at(folder: &str, files: &[(&str, &str)]) -> Project {
    let project = Project::at(folder, &[("pyproject.toml", PYPROJECT)]);
    project.write_all(&[("src/shop/__init__.py", SOURCE), ("tests/test_price.py", TESTS)]);
    project.write_all(files);
    project
}

/// `coverage --report term` and these arguments.
fn run(project: &Project, args: &[&str]) -> Output {
    project.run(&[&["coverage", "--report", "term"], args].concat())
}

/// One test of `tests/test_bad.py` ends its process, in one engine after the other. The second
/// field of a row is how.
const DEATHS: [(&str, &str); 5] = [
    ("os._exit(0)", "ended early with exit code 0"),
    ("os._exit(3)", "ended early with exit code 3"),
    ("os._exit(4)", "ended early with exit code 4"),
    ("ctypes.string_at(0)", "was ended by signal SIGSEGV"),
    ("os.kill(os.getpid(), 9)", "was ended by signal SIGKILL"),
];

fn bad_tests(body: &str) -> String {
    format!(
        "import ctypes, os, signal, subprocess, sys, time\n\ndef test_before():\n    pass\n\n\
         def test_bad():\n    {body}\n\ndef test_zafter():\n    pass\n"
    )
}

#[test]
fn stock_names_the_test_that_ends_its_process_and_what_is_lost() {
    let project = shop(&[]);
    for (body, how) in DEATHS {
        project.write("tests/test_bad.py", &bad_tests(body));
        let ran = run(&project, &ENGINES[0]).exits(3);
        ran.clone()
            .says(&format!("tests/test_bad.py::test_bad crashed in split 1\nits process {how}"))
            .says(&format!("✗ split 1 {how}; its coverage is lost\n"))
            .says("-- tests/test_bad.py::test_bad\n")
            .says(&format!("✗ incomplete: coverage data is incomplete: split 1 {how}"))
            .never_says("Traceback");
        // Only the tests that ended before are known.
        assert!(ran.line("Tests: ").contains("1 crashed"), "{ran}");
    }
    assert!(!project.has(".coverage"), "an incomplete result is no result");
}

#[test]
fn fork_loses_nothing_but_the_test_that_ends_its_process() {
    let project = shop(&[]);
    for (body, how) in DEATHS {
        project.write("tests/test_bad.py", &bad_tests(body));
        let ran = run(&project, &ENGINES[1]).exits(1);
        assert_eq!(ran.line("Tests: "), "6 passed, 1 crashed");
        ran.says(&format!("tests/test_bad.py::test_bad crashed in split 1\nits process {how}"))
            .says("Coverage: 100%\n");
    }
}

#[test]
fn a_dead_worker_of_xdist_is_replaced_and_its_coverage_is_missed() {
    let project = shop(&[("tests/test_bad.py", &bad_tests("os._exit(0)"))]);
    let stock = ["--engine", "stock", "--splits", "2", "--workers-per-split", "2"];
    let ran = run(&project, &stock).exits(3);
    assert_eq!(ran.line("Tests: "), "6 passed, 1 crashed");
    ran.says("test_bad.py::test_bad crashed")
        .says("lost worker gw")
        .says("and the coverage it had measured (Not properly terminated)\n")
        .never_says("INTERNALERROR");
}

#[test]
fn files_that_cannot_be_collected_are_each_shown_once_and_nothing_runs() {
    let ran_marker = "open('ran', 'w')\n";
    let project = shop(&[
        ("tests/test_broken.py", "def test_it(: pass\n"),
        ("tests/test_missing.py", "import no_such_module\n"),
        ("tests/test_marks.py", &format!("def test_marks():\n    {ran_marker}")),
    ]);
    for engine in ["stock", "fork"] {
        for workers in ["1", "2"] {
            let args = ["--engine", engine, "--splits", "2", "--workers-per-split", workers];
            let ran = run(&project, &args).exits(1);
            assert_eq!(ran.line("Tests: "), "2 errors, 5 not run", "{engine} {workers}: {ran}");
            for file in ["tests/test_broken.py", "tests/test_missing.py"] {
                let headings = format!("---- {file} could not be collected");
                assert_eq!(ran.stdout.matches(&headings).count(), 1, "{engine} {workers}: {ran}");
            }
            ran.says("E   SyntaxError: invalid syntax\n")
                .says("E   ModuleNotFoundError: No module named 'no_such_module'\n")
                .never_says("✓");
            assert!(!project.has("ran") && !project.has(".coverage"), "{engine} {workers}");
        }
    }
}
