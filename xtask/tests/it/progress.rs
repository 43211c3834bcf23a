//! What is said of a run while it goes on, and from one run to the next, line by line.

use nix::sys::signal::Signal::SIGUSR1;

use crate::shop::{coverage, shop};
use crate::support::{Project, STOCK, env, normal};

const WAITS: &str = "\
import os, time

def test_waits():
    while not os.path.exists('go'):
        time.sleep(0.01)
";

/// The shop, with two tests that fail while there is no file of their name.
fn mendable() -> Project {
    let project = shop("", "");
    for name in ["one", "two"] {
        let test =
            format!("import os\n\n\ndef test_{name}():\n    assert os.path.exists('{name}')\n");
        project.write(&format!("tests/test_{name}.py"), &test);
    }
    project
}

engines! {
    /// A slow test is named while it runs, once; SIGUSR1 is answered, and the run goes on.
    fn what_takes_long_is_told_while_it_runs(engine) {
        let project = shop("", "");
        std::fs::remove_file(project.root.join("tests/test_label.py")).expect("a file");
        project.write("tests/test_waits.py", WAITS);
        let args = coverage(engine, &["--slow", "0.2", "--report", "none"]);
        let mut run = project.xtask(&args).start();
        run.until("slow: tests/test_waits.py::test_waits still runs after 0.2s\n");
        run.signal(SIGUSR1);
        let now = run.until("now: ");
        assert_eq!(normal(&now), "now: 2 of 3 tests done after [T], 1 running\n");
        let line = run.until("    tests/test_waits.py::test_waits for ");
        let (start, rest) = line.split_once(", pid ").expect("a process");
        assert_eq!(normal(start), "    tests/test_waits.py::test_waits for [T], split 2");
        let (pid, memory) = rest.split_once(", ").expect("its memory");
        assert!(std::fs::exists(format!("/proc/{pid}")).expect("/proc"), "{line}");
        let mib: u64 = memory.trim_end().trim_end_matches(" MiB").parse().expect("MiB");
        assert!((5..5000).contains(&mib), "{line}");
        project.write("go", "");
        let output = run.output().exits(0).says("✓ passed: 3 tests passed\n");
        assert_eq!(output.stderr.matches("slow: ").count(), 1, "{output}");
    }

    /// Until nothing is left.
    fn last_failed_runs_what_failed(engine) {
        let project = mendable();
        let whole = coverage(engine, &["--report", "none"]);
        let again = coverage(engine, &["--report", "none", "--last-failed"]);
        project.run(&whole).exits(1).says("Tests: 4 passed, 2 failed\n");
        project.write("one", "");
        project.run(&again).exits(1).tells("  • Again: 2 tests that failed\n")
            .says("(partial)\n").says("Tests: 1 passed, 1 failed\n");
        project.write("two", "");
        project.run(&again).exits(0).tells("  • Again: 1 test that failed\n")
            .says("Tests: 1 passed\n");
        let nothing = project.run(&[&again[..], &["--summary-json", "s.json"]].concat()).exits(0);
        assert_eq!(nothing.stdout, "✓ nothing to run again: no test is known to have failed\n");
        let summary = project.json("s.json");
        assert_eq!((&summary["outcome"], &summary["tests"]["collected"]), (&"passed".into(), &0.into()));
    }

    /// What an abort kept from running is outstanding, too.
    fn last_failed_runs_what_did_not_run(engine) {
        let project = mendable();
        let whole = coverage(engine, &["--report", "none", "--max-failures", "1"]);
        let output = project.run(&whole).exits(1).says("✗ aborted: ");
        let again = output.line("What failed or did not run: ");
        assert_eq!(again, "cargo xtask coverage --last-failed");
        ["one", "two"].iter().for_each(|name| project.write(name, ""));
        let counts = output.line("Tests: ").to_owned();
        let not_run = counts.split(", ").find_map(|count| count.strip_suffix(" not run"));
        let not_run: u64 = not_run.expect("tests that did not run").parse().expect("a number");
        let again = coverage(engine, &["--report", "none", "--last-failed"]);
        project.run(&again).exits(0).says(&format!("Tests: {} passed\n", not_run + 1));
    }

    /// A test that passes when it is repeated has a word at the end, and does no harm.
    fn flaky_tests_are_named(engine) {
        let test = "import os\n\n\ndef test_flaky():\n    there = os.path.exists('there')\n    \
                    open('there', 'w').close()\n    assert there\n";
        let env = env(&[STOCK, &["pytest-rerunfailures"]].concat());
        let project = shop("addopts = '--reruns 1'", "").with(env);
        project.write("tests/test_flaky.py", test);
        let output = project.run(&coverage(engine, &["--report", "none"])).exits(0);
        output.says("Flaky, passed when repeated: tests/test_flaky.py::test_flaky\n");
    }
}

/// `test` and `coverage` run the same tests: what failed in one can be run by the other.
#[test]
fn last_failed_is_known_without_coverage_too() {
    let project = mendable();
    project.run(&coverage("fork", &["--report", "none"])).exits(1);
    let output = project.run(&["test", "--last-failed"]).exits(1);
    output.says("✗ tests failed: 2 of 2 tests failed\n");
}

/// A file that cannot be collected is run again as a whole, and all else that was outstanding.
#[test]
fn last_failed_runs_a_file_that_could_not_be_collected() {
    let project = mendable();
    project.run(&["test"]).exits(1);
    project.write("tests/test_third.py", "import nothing\n");
    project.run(&["test"]).exits(1);
    project.write("tests/test_third.py", "def test_a(): pass\n\n\ndef test_b(): pass\n");
    let output = project.run(&["test", "--last-failed"]).exits(1);
    assert_eq!(output.line("Tests: "), "2 passed, 2 failed");
}

/// Only where something has changed, and only from one complete run to the next.
#[test]
fn changes_since_the_last_complete_run_are_told() {
    let project = shop("", "");
    let run =
        |more: &[&str]| project.run(&coverage("fork", &[&["--report", "none"], more].concat()));
    assert_eq!(run(&[]).exits(0).line("Coverage: "), "90%");
    assert_eq!(run(&[]).exits(0).line("Coverage: "), "90%");
    run(&["--", "tests/test_price.py"]).exits(0).says("% (partial)\n").never_says("Less covered");
    std::fs::remove_file(project.root.join("tests/test_label.py")).expect("a file");
    let output = run(&[]).exits(0);
    assert_eq!(output.line("Coverage: "), "50% (-40.00)");
    output.says(
        "Less covered than in the last complete run:\n    \
         src/shop/__init__.py  90.00% → 50.00%\n",
    );
    assert_eq!(run(&[]).exits(0).line("Coverage: "), "50%");
}

/// The slowest tests are worth lines where they are slow, or with `-v`.
#[test]
fn the_slowest_tests_are_listed() {
    let project = shop("", "");
    project.write("tests/test_waits.py", WAITS);
    let list = "Slowest tests:\n";
    let mut run = project.xtask(&["test", "--slow", "0.6"]).start();
    run.until("slow: ");
    project.write("go", "");
    let output = run.output().exits(0);
    let (_, slowest) = output.stdout.split_once(list).expect("a list");
    let mut lines = slowest.lines();
    let first = lines.next().map(normal);
    assert_eq!(first.as_deref(), Some("      [T]  tests/test_waits.py::test_waits"), "{output}");
    assert!(lines.next().is_some_and(|line| line.starts_with("Run page: ")), "{output}");
    project.run(&["test", "-q"]).exits(0).never_says(list);
    let all = project.run(&["test", "-v"]).exits(0);
    let (_, slowest) = all.stdout.split_once(list).expect("a list");
    assert_eq!(slowest.lines().filter(|line| line.contains("::")).count(), 5, "{all}");
}
