//! The known faults of the shell script that this tool replaces. Each test fails on its fault.

use crate::identity::facts;
use crate::shop::{coverage, shop};
use crate::support::{Project, STOCK, env};

engines! {
    /// The script printed success after a failing split: `$?` was that of `sed`.
    fn fault_1_a_failing_split_fails_the_run(engine) {
        let project = shop("", "");
        project.write("tests/test_label.py", "def test_fails():\n    assert 0\n");
        let output = project.run(&coverage(engine, &[])).exits(1);
        output.says("✗ tests failed: 1 of 3 tests failed\n").tells("[Split 1/2] ✗ 1 of ");
    }

    /// `--maxfail` counted in each split for itself.
    fn fault_2_the_budget_is_that_of_the_run(engine) {
        let project = many_failing("addopts = '--maxfail=2'");
        let args = ["coverage", "--engine", engine, "--splits", "4", "--workers-per-split", "1"];
        project.run(&args).exits(1).says("Tests: 2 failed, 10 not run\n");
    }

    /// The script waited for the oldest split, while slots stood idle: here the first split
    /// ends only when the third has begun, with two at once.
    fn fault_3_the_next_split_starts_when_any_ends(engine) {
        let project = shop("", "");
        for name in ["tests/test_label.py", "tests/test_price.py"] {
            std::fs::remove_file(project.root.join(name)).expect("a file");
        }
        project.write("tests/test_a.py", "\
import os, time


def test_waits_for_the_third_split():
    while not os.path.exists('third'):
        time.sleep(0.02)
");
        project.write("tests/test_b.py", "def test_quick():\n    pass\n");
        project.write("tests/test_c.py", "def test_third():\n    open('third', 'w').close()\n");
        let args = ["coverage", "--engine", engine, "--splits", "3",
            "--max-concurrent-splits", "2", "--workers-per-split", "1"];
        project.run(&args).exits(0).says("Tests: 3 passed\n");
    }

    /// "Total time" left out combining and reporting.
    fn fault_4_the_total_is_everything(engine) {
        let project = shop("", "");
        project.run(&coverage(engine, &["--summary-json", "summary.json"])).exits(0);
        let summary = project.json("summary.json");
        let seconds = summary["seconds"].as_object().expect("a table");
        let number = |key: &str| seconds[key].as_f64().expect("a number");
        let parts = ["environment", "collect", "run", "combine", "report"].map(number);
        assert!(parts.iter().sum::<f64>() <= number("total"), "{summary:#}");
        assert!(number("report") > 0.0 && number("combine") > 0.0, "{summary:#}");
    }

    /// Of several packages under `src/` only the first was measured.
    fn fault_5_every_package_is_measured(engine) {
        let project = shop("", "");
        project.write("src/another/__init__.py", "A = 1\n");
        project.write("src/unused/__init__.py", "B = 1\n");
        project.write("src/single.py", "C = 1\n");
        project.write("tests/test_more.py", "import another, single\n\n\ndef test_it():\n    pass\n");
        let output = project.run(&coverage(engine, &[])).exits(0);
        let output = output.tells("Source: src/another, src/shop, single, src/unused (");
        let facts = facts(&project, ".coverage");
        for file in ["another/__init__", "shop/__init__", "single", "unused/__init__"] {
            assert!(facts.contains(&format!("src/{file}.py ")), "{file}\n{facts}{output}");
        }
    }

    /// The project's addopts met the script's own flags.
    fn fault_6_addopts_do_not_get_in_the_way(engine) {
        let more = ["pytest-cov", "pytest-timeout", "pytest-rerunfailures"];
        let addopts = "addopts = '-n4 --dist=loadscope --timeout=60 --reruns=1 \
                       --cov=src/shop --cov-report=xml --cov-fail-under=50'";
        let project = shop(addopts, "").with(env(&[STOCK, &more].concat()));
        let output = project.run(&coverage(engine, &[])).exits(0);
        output.says("Coverage: 90%\n").says("Tests: 4 passed\n");
        assert!(!project.has("coverage.xml"));
    }

    /// Nothing stopped a hanging test.
    fn fault_7_a_hanging_test_is_stopped(engine) {
        let project = shop("", "");
        let hangs = "import time\n\n\ndef test_hang():\n    time.sleep(600)\n";
        project.write("tests/test_hang.py", hangs);
        let output = project.run(&coverage(engine, &["--timeout", "1"])).exits(1);
        output.says("---- tests/test_hang.py::test_hang timed out").says("Tests: 4 passed, 1 timed out\n");
    }

    /// A missing split was not noticed when combining: here a test removes what the first
    /// split left.
    fn fault_7_a_missing_part_is_noticed(engine) {
        let project = shop("", "");
        let parts = match engine {
            "stock" => "split-01/data.*",
            _ => "host*/units/1/log",
        };
        // It may be written beside the tests of the next split.
        project.write("tests/test_price.py", &format!("\
import pathlib


def test_removes():
    parts = []
    while not parts:
        parts = [*pathlib.Path('.xtask/runs/last/parts').glob('{parts}')]
    for part in parts:
        part.unlink()
"));
        let args = ["coverage", "--engine", engine, "--splits", "2",
            "--max-concurrent-splits", "1", "--workers-per-split", "1"];
        let output = project.run(&args);
        output.exits(3).says("✗ incomplete: coverage data is incomplete: split 1");
        assert!(!project.has(".coverage"));
    }
}

/// Twelve tests in four files that fail.
fn many_failing(pytest: &str) -> Project {
    let project = shop(pytest, "");
    for name in ["label", "price", "c", "d"] {
        let tests = "import pytest\n\n\n@pytest.mark.parametrize('n', range(3))\n\
                     def test_fails(n):\n    assert 0\n";
        project.write(&format!("tests/test_{name}.py"), tests);
    }
    project
}

/// Twelve workers by default on a machine with two cores, and a warning that recommended eight.
#[test]
fn fault_8_the_default_fits_the_machine() {
    let project = shop("", "");
    let output = project.run(&["coverage", "plan"]).exits(0).never_says("slow the machine down");
    let workers = output.stderr.lines().find_map(|line| line.strip_prefix("  • Workers: "));
    let total = workers.and_then(|workers| workers.split(' ').next()?.parse().ok());
    let total: usize = total.expect("a number");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(total <= cores.max(24) && (cores >= 12 || total <= cores.max(1) * 3 / 2), "{output}");
}

/// With pytest-randomly each split shuffled the suite before it was cut, and tests got lost.
#[test]
fn fault_9_tests_that_are_lost_are_noticed_and_the_plugin_named() {
    let project = shuffled();
    let args = ["coverage", "--engine", "stock", "--splits", "3", "--workers-per-split", "1"];
    let output = project.run(&args).exits(3);
    output.says("pytest-randomly").says("✗ incomplete: ");
    assert!(!project.has(".coverage"));
}

/// Collected once, the order may be any.
#[test]
fn fault_9_the_fork_engine_loses_none() {
    let project = shuffled();
    let args = ["coverage", "--engine", "fork", "--splits", "3"];
    project.run(&args).exits(0).says("Tests: 44 passed\n");
}

fn shuffled() -> Project {
    let project = shop("", "").with(env(&[STOCK, &["pytest-randomly"]].concat()));
    let tests = "import pytest\n\n\n@pytest.mark.parametrize('n', range(40))\n\
                 def test_many(n):\n    pass\n";
    project.write("tests/test_many.py", tests);
    project
}
