//! A failure in a fork is confirmed before it counts: nothing is red only because tests run in
//! forks, and nothing is green because it was tried twice.

use crate::support::{Output, Project};

const TWO_AT_ONCE: [&str; 4] = ["--splits", "2", "--workers-per-split", "2"];

/// What is made while a module is imported is the same in all forks.
const PID: &str = "\
import os

from app import only_when_it_passes

PID = os.getpid()

def test_fine():
    pass

def test_it():
    assert PID == os.getpid()
    only_when_it_passes()
";

const APP: &str = "\
def only_when_it_passes():
    return 1
";

fn project(files: &[(&str, &str)]) -> Project {
    let project = Project::new(&[
        ("pyproject.toml", "[project]\nname = 'p'\nversion = '1'\n[tool.pytest.ini_options]\n"),
        ("test_z.py", "def test_z():\n    pass\n"),
    ]);
    project.write_all(files);
    project
}

fn test(project: &Project, more: &[&str]) -> Output {
    project.run(&[&["test"][..], &TWO_AT_ONCE, more].concat())
}

#[test]
fn what_fails_in_forks_only_counts_by_a_fresh_process_with_its_coverage() {
    let project = project(&[("app.py", APP), ("test_a.py", PID)]);
    let options = ["--source", "app", "--fail-under", "100", "--report", "term"];
    let run =
        |more: &[&str]| project.run(&[&["coverage"][..], &TWO_AT_ONCE, &options, more].concat());
    let needs = "Need a fresh process, as they fail in forks only: test_a.py::test_it\n";
    run(&[]).exits(0).says(needs).says("Tests: 3 passed\n").says("Coverage: 100%");
    // From then on nothing has to be found out again.
    run(&[]).exits(0).tells("the spawn engine runs the tests").tells("fails in forks only");
    run(&["--engine", "fork"]).exits(0).says(needs).says("Tests: 3 passed\n");
}

#[test]
fn a_process_that_only_dies_in_forks_has_run_the_test_elsewhere() {
    let text = "\
import os

PID = os.getpid()

def test_dies():
    if os.getpid() != PID:
        os.abort()

def test_after():
    pass
";
    let project = project(&[("test_a.py", text)]);
    let output = test(&project, &[]).exits(0);
    output.says("they fail in forks only: test_a.py::test_dies\n").says("Tests: 3 passed\n");
}

#[test]
fn what_fails_everywhere_is_a_failure_and_counts_once() {
    let text =
        "import pytest\n\n@pytest.mark.parametrize('n', range(9))\ndef test_it(n):\n    assert 0\n";
    let project = project(&[("test_a.py", text)]);
    let output = test(&project, &[]).exits(1).says("Tests: 1 passed, 9 failed\n");
    output.never_says("fresh process").never_says("hint:");
    let output = test(&project, &["--max-failures", "3"]).exits(1);
    output.says("3 failed").tells("Stopping: the failure budget is used up");
}

/// It fails where it runs for the first time, whichever process that is.
#[test]
fn a_flaky_test_is_not_green_for_being_repeated() {
    let text = "\
import pathlib

def test_it(request):
    seen = pathlib.Path(request.config.rootpath, 'seen')
    first = not seen.exists()
    seen.touch()
    assert not first
";
    let project = project(&[("test_a.py", text)]);
    let output = test(&project, &[]).exits(1).says("Tests: 1 passed, 1 failed\n");
    output.says("Failed, but passed when repeated: test_a.py::test_it\n");
    std::fs::remove_file(project.root.join("seen")).expect("the file of the test");
    test(&project, &["--retries", "1"]).exits(0).says("Flaky, passed when repeated");
}

/// What an earlier test of the same file leaves behind fails in every process.
#[test]
fn tests_run_after_those_before_them_when_they_are_confirmed() {
    let text = "\
STATE = []

def test_first():
    STATE.append(1)

def test_second():
    assert not STATE
";
    let project = project(&[("test_a.py", text)]);
    let output = test(&project, &["--splits", "1"]).exits(1).says("Tests: 2 passed, 1 failed\n");
    output.never_says("fresh process").never_says("passed when repeated");
}

/// Plugins hear of what counts.
#[test]
fn hooks_hear_of_what_counts_only() {
    let conftest = "\
heard = []

def pytest_runtest_logreport(report):
    if report.when == 'call':
        heard.append(f'{report.nodeid} {report.outcome}')

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line('heard: ' + ', '.join(sorted(heard)))
";
    let project = project(&[("app.py", APP), ("test_a.py", PID), ("conftest.py", conftest)]);
    test(&project, &[]).exits(0).says(
        "heard: test_a.py::test_fine passed, test_a.py::test_it passed, test_z.py::test_z passed",
    );
}
