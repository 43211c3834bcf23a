//! `cargo xtask test`: the same engines, nothing measured.

use crate::support::{Project, env};

const SHOP: &str = "def price(name):\n    return 3 if name == 'tea' else 5\n";
const TEST_TEA: &str = "from shop import price\n\ndef test_tea():\n    assert price('tea') == 3\n";
const TEST_JAM: &str = "from shop import price\n\ndef test_jam():\n    assert price('jam') == 5\n";
const TEST_BAD: &str = "from shop import price\n\ndef test_bad():\n    assert price('jam') == 4\n";

fn project(second: &str) -> Project {
    Project::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = ['src']\n"),
        ("src/shop.py", SHOP),
        ("tests/test_a.py", TEST_TEA),
        ("tests/test_b.py", second),
    ])
}

#[test]
fn passing_tests_pass_without_a_word_of_coverage() {
    let project = project(TEST_JAM);
    let output = project.run(&["test", "--summary-json", "summary.json"]).exits(0);
    assert_eq!(output.line("Tests: "), "2 passed");
    output.says("✓ passed: 2 tests passed").tells("Tests of project").never_says("overage:");
    let summary = project.json("summary.json");
    assert_eq!(
        (summary["outcome"].as_str(), summary["tests"]["passed"].as_u64()),
        (Some("passed"), Some(2))
    );
    assert!(summary["coverage"].is_null() && summary["data_file"].is_null(), "{summary}");
    let durations = project.json(".xtask/test/durations.json");
    assert!(durations["tests/test_a.py::test_tea"].is_number(), "{durations}");
    assert!(!project.has(".coverage") && !project.has("htmlcov"));
}

#[test]
fn failing_tests_are_shown_with_what_runs_them_again() {
    let output = project(TEST_BAD).run(&["test"]).exits(1);
    let output = output.says("tests/test_b.py::test_bad").says("cargo xtask test -- ");
    output.says("✗ tests failed: 1 of 2 tests failed").never_says("xtask coverage");
}

#[test]
fn coverage_need_not_be_installed() {
    let output = project(TEST_JAM).with(env(&["pytest"])).run(&["test"]).exits(0);
    output.tells("Engine: fork").says("✓ passed: 2 tests passed");
}

#[test]
fn the_stock_engine_does_without_coverage_too() {
    let packages = ["pytest", "pytest-split", "pytest-xdist"];
    let project = project(TEST_BAD).with(env(&packages));
    let pool = ["--splits", "2", "--workers-per-split", "2"];
    let output = project.run(&[&["test", "--engine", "stock"], &pool[..]].concat()).exits(1);
    output.says("✗ tests failed: 1 of 2 tests failed");
}

#[test]
fn a_dead_worker_of_the_stock_engine_is_one_failed_test() {
    let test = "import os\n\ndef test_leaves():\n    os._exit(3)\n";
    let pool = ["--splits", "1", "--workers-per-split", "2"];
    let output = project(test).run(&[&["test", "--engine", "stock"], &pool[..]].concat()).exits(1);
    let output = output.says("1 passed, 1 crashed").never_says("it had measured");
    assert_eq!(output.line("Crashed: "), "tests/test_b.py::test_leaves");
}

#[test]
fn a_dead_process_of_the_stock_engine_leaves_the_run_incomplete() {
    let test = "import os\n\ndef test_leaves():\n    os._exit(3)\n";
    let pool = ["--splits", "1", "--workers-per-split", "1"];
    let output = project(test).run(&[&["test", "--engine", "stock"], &pool[..]].concat()).exits(3);
    output.says("✗ incomplete: the run is incomplete: split 1 ").never_says("coverage is lost");
}

#[test]
fn what_coverage_has_left_stays() {
    let project = project(TEST_JAM);
    project.run(&["coverage"]).exits(0);
    let files = [".xtask/run.json", ".xtask/durations.json", "htmlcov/index.html"];
    let before = files.map(|file| project.read(file));
    let parts = project.names(".xtask/runs/last/parts/data");
    assert!(!parts.is_empty());
    project.run(&["test"]).exits(0);
    assert_eq!(files.map(|file| project.read(file)), before);
    assert_eq!(project.names(".xtask/runs/last/parts/data"), parts);
}

#[test]
fn the_printed_commands_measure_nothing() {
    let output = project(TEST_JAM).run(&["test", "--dry-run", "--splits", "2"]).exits(0);
    output.says("-m pytest").never_says("-m coverage");
}
