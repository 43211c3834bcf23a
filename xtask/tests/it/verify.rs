//! `cargo xtask coverage verify`: what is the same, what is the suite's noise, what is our fault.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::Project;

const CONFIGURATION: (&str, &str) = (
    "pyproject.toml",
    "[tool.pytest.ini_options]\npythonpath = ['src']\n\
     [tool.coverage.run]\nbranch = true\nsource = ['shop']\n",
);
const SHOP: &str = "def price(name):\n    if name == 'tea':\n        return 3\n    return 5\n";
const TEST_TEA: &str = "from shop import price\n\ndef test_tea():\n    assert price('tea') == 3\n";
const TEST_JAM: &str = "from shop import price\n\ndef test_jam():\n    assert price('jam') == 5\n";

fn project(shop: &str, first: &str, second: &str) -> Project {
    Project::new(&[
        CONFIGURATION,
        ("src/shop.py", shop),
        ("tests/test_a.py", first),
        ("tests/test_b.py", second),
    ])
}

#[test]
fn equal_coverage_is_one_sentence() {
    let output = project(SHOP, TEST_TEA, TEST_JAM).run(&["coverage", "verify"]).exits(0);
    assert_eq!(output.line("✓ "), "identical: 1 file, 4 lines, 7 arcs");
    assert!(output.line("Speed-up: ").parse::<f64>().is_ok(), "{output}");
    let runs = output.stdout.lines().filter(|line| line.starts_with("sequential "));
    assert_eq!(runs.filter(|line| line.ends_with("2 passed")).count(), 2, "{output}");
    output.says("fork").never_says("Noise").never_says("Fault");
}

#[test]
fn with_the_stock_engine_too() {
    let project = project(SHOP, TEST_TEA, TEST_JAM);
    let output = project.run(&["coverage", "verify", "--engine", "stock", "--splits", "2"]);
    output.exits(0).says("✓ identical: 1 file, 4 lines, 7 arcs");
}

/// Each run takes the branch that the one before did not take.
#[test]
fn what_changes_by_itself_is_noise() {
    let noisy = "import pathlib\n\n\
        def turn():\n    \
            file = pathlib.Path('turns')\n    \
            turns = file.read_text() if file.exists() else ''\n    \
            file.write_text(turns + '.')\n    \
            if len(turns) % 2:\n        \
                return 'odd'\n    \
            return 'even'\n";
    let test = "from shop import turn\n\ndef test_turn():\n    turn()\n";
    let project = project(noisy, test, "def test_nothing():\n    pass\n");
    let output = project.run(&["coverage", "verify"]).exits(0);
    let output = output.says("  src/shop.py:8-9\n").says("  src/shop.py: arcs 7→8, 7→9, ");
    output.never_says("Fault").says("✓ identical but for the noise of the suite: 1 file, ");
}

/// Only a second caller in the same process finds the cache filled.
#[test]
fn what_only_the_parallel_run_lacks_is_a_fault() {
    let shop = "CACHE = {}\n\n\
        def price(name):\n    \
            if name in CACHE:\n        \
                return CACHE[name]\n    \
            CACHE[name] = 3\n    \
            return 3\n";
    let output = project(shop, TEST_TEA, TEST_TEA).run(&["coverage", "verify"]).exits(3);
    let output = output.says("only the parallel run lacks this\n  src/shop.py:5\n");
    output.says("  src/shop.py: arcs 4→5, 5→-3\n").says("✗ not identical").never_says("Noise");
}

#[test]
fn a_test_that_fails_in_parallel_only_is_named() {
    let test =
        "import os\n\ndef test_alone():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n";
    let output = project(SHOP, TEST_TEA, test).run(&["coverage", "verify"]).exits(3);
    output.says("  tests/test_b.py::test_alone: passed sequentially, failed in parallel\n");
}

#[test]
fn failing_tests_are_compared_like_others() {
    let test = "from shop import price\n\ndef test_jam():\n    assert price('jam') == 3\n";
    let project = project(SHOP, TEST_TEA, test);
    let output = project.run(&["coverage", "verify", "--", "-x"]).exits(0);
    output.says("1 test failed sequentially").says("✓ identical: 1 file, 4 lines, 7 arcs");
}

#[test]
fn what_cannot_be_collected_cannot_be_compared() {
    let project = project(SHOP, TEST_TEA, "import nowhere\n");
    let output = project.run(&["coverage", "verify"]).exits(4);
    output.tells("the suite cannot be collected").tells("nowhere");
}

#[test]
fn a_sequential_run_that_dies_is_nothing_to_compare_with() {
    let test = "import os\n\ndef test_leaves():\n    os._exit(3)\n";
    let output = project(SHOP, TEST_TEA, test).run(&["coverage", "verify"]).exits(3);
    output.tells("the sequential run is nothing to compare with").tells("exit code 3");
}

#[test]
fn results_of_other_runs_stay() {
    let project = project(SHOP, TEST_TEA, TEST_JAM);
    project.run(&["coverage"]).exits(0);
    let files = [".xtask/run.json", ".xtask/durations.json"];
    let before = files.map(|file| project.read(file));
    let data = std::fs::read(project.root.join(".coverage")).expect("data");
    let parts =
        || project.root.join(".xtask/runs/last/parts/data").metadata().expect("parts").modified();
    let made = parts().expect("a time");
    project.run(&["coverage", "verify"]).exits(0);
    assert_eq!(files.map(|file| project.read(file)), before);
    assert_eq!(std::fs::read(project.root.join(".coverage")).expect("data"), data);
    assert_eq!(parts().expect("a time"), made);
}

#[test]
fn ctrl_c_ends_a_sequential_run() {
    let test = "import os, pathlib, time\n\ndef test_long():\n    \
        pathlib.Path('pid').write_text(f'{os.getpid()}\\n')\n    time.sleep(600)\n";
    let project = project(SHOP, TEST_TEA, test);
    let running = project.xtask(&["coverage", "verify"]).start();
    while !(project.has("pid") && project.read("pid").ends_with('\n')) {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal(Signal::SIGINT);
    running.output().exits(130).never_says("identical");
    let pid = project.read("pid");
    let process = camino::Utf8Path::new("/proc").join(pid.trim());
    assert!(!process.exists(), "{process} still runs");
}
