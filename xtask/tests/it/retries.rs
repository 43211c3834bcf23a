//! `--retries`: only the last attempt counts, and a test that needed it is named.

use crate::shop::shop;
use crate::support::{Output, Project};

/// A project with a test that fails until it has been tried so often.
fn flaky(passes_at: usize) -> Project {
    let project = shop("", "");
    project.write(
        "tests/test_flaky.py",
        &format!(
            "\
import pathlib

TRIES = pathlib.Path('tries')


def test_flaky():
    with TRIES.open('a') as file:
        file.write('x')
    assert len(TRIES.read_text()) >= {passes_at}


def test_after():
    pass
"
        ),
    );
    project
}

fn run(project: &Project, engine: &str, more: &[&str]) -> Output {
    project.run(&[&["coverage", "--engine", engine, "--splits", "2"], more].concat())
}

#[test]
fn a_test_that_passes_at_last_is_flaky_and_no_failure() {
    for engine in ["fork", "spawn"] {
        let output = run(&flaky(3), engine, &["--retries", "2", "--max-failures", "1"]).exits(0);
        output
            .tells("↻ tests/test_flaky.py::test_flaky failed, is tried again (1 of 2)\n")
            .tells("(2 of 2)\n")
            .says("Tests: 6 passed, 2 rerun\n")
            .says("tests/test_flaky.py::test_flaky\n");
    }
}

#[test]
fn a_test_that_never_passes_fails_once() {
    let output = run(&flaky(9), "fork", &["--retries", "2"]).exits(1);
    output.says("Tests: 5 passed, 1 failed, 2 rerun\n").says("1 of 6 tests failed\n");
}

#[test]
fn a_test_that_ends_its_process_is_tried_again_too() {
    for engine in ["fork", "spawn"] {
        let project = flaky(2);
        let tests = project.read("tests/test_flaky.py");
        project.write(
            "tests/test_flaky.py",
            &tests.replace(
                "    assert len",
                "    import os\n    \
            len(TRIES.read_text()) >= 2 or os._exit(1)\n    assert len",
            ),
        );
        let output = run(&project, engine, &["--retries", "1"]).exits(0);
        output.says("Tests: 6 passed, 1 rerun\n").says("Coverage: 90%\n");
    }
}

#[test]
fn the_stock_engine_names_its_own_way() {
    let output = run(&flaky(1), "stock", &["--retries", "2"]).exits(4);
    output.tells("does not take `--retries`").tells("`-- --reruns N`");
}

/// Each attempt, and each unit, is kept as it ends.
#[test]
fn what_each_unit_ran_is_kept() {
    let project = flaky(2);
    run(&project, "fork", &["--retries", "1"]).exits(0);
    let kept = project.read(".xtask/runs/last/parts/results.jsonl");
    let units: Vec<serde_json::Value> =
        kept.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let tests = units.iter().flat_map(|unit| unit["tests"].as_array().expect("a list"));
    let flaky: Vec<&str> = tests
        .filter(|test| test["id"] == "tests/test_flaky.py::test_flaky")
        .map(|test| test["outcome"].as_str().expect("a word"))
        .collect();
    assert_eq!(flaky, ["failed", "passed"], "{kept}");
    assert!(units.iter().all(|unit| unit["whole"] == true), "{kept}");
}
