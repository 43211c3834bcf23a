//! When a run ends before its tests do: the failure budget, and the time limit of a test.

use crate::shop::{ONE_AT_A_TIME, coverage, shop};
use crate::support::Project;

/// Eighteen tests in three files, every other one fails.
fn half_failing() -> Project {
    let tests: String = (0..6)
        .map(|n| format!("def test_{n}():\n    label('a')\n    assert {n} % 2\n\n\n"))
        .collect();
    let tests = format!("from shop import label\n\n\n{tests}");
    let project = shop("", "");
    ["label", "price", "third"].iter().for_each(|name| {
        project.write(&format!("tests/test_{name}.py"), &tests);
    });
    project
}

fn counted(project: &Project, args: &[&str], code: i32) -> serde_json::Value {
    let summary = project.root.join("../summary.json");
    let output = project.run(&[args, &["--summary-json", summary.as_str()]].concat()).exits(code);
    let summary = project.json("../summary.json");
    assert_eq!(summary["exit_code"], code, "{output}");
    summary
}

engines! {
    /// The budget is that of the run, not of each split, and it is exact.
    fn ends_after_n_failures_over_all_splits(engine) {
        let project = half_failing();
        let args = ["coverage", "--engine", engine, "--splits", "3", "--max-failures", "5",
            "--max-concurrent-splits", "2", "--workers-per-split", "1"];
        let summary = counted(&project, &args, 1);
        let tests = &summary["tests"];
        assert_eq!(tests["failed"], 5, "{summary:#}");
        assert_eq!(summary["failed_tests"].as_array().map(Vec::len), Some(5));
        assert_eq!(summary["outcome"], "aborted");
        assert_eq!(summary["partial"], true);
        let number = |key: &str| tests[key].as_u64().expect("a number");
        assert_eq!(number("passed") + number("failed") + number("not_run"), 18, "{summary:#}");
        assert!(number("not_run") > 0, "{summary:#}");
        // What is there is kept, apart from the results of whole runs.
        assert!(summary["coverage"]["percent"].as_f64() > Some(0.0), "{summary:#}");
        assert!(project.has(".xtask/partial/coverage.data"));
        assert!(!project.has(".coverage") && !project.has("htmlcov"));
    }

    fn zero_means_never(engine) {
        let project = half_failing();
        let args = coverage(engine, &["--max-failures", "0"]);
        let summary = counted(&project, &args, 1);
        assert_eq!(summary["tests"]["failed"], 9);
        assert_eq!(summary["tests"]["passed"], 9);
        assert_eq!(summary["outcome"], "tests-failed");
        assert_eq!(summary["partial"], false);
        assert!(project.has(".coverage"));
    }

    /// A test that refuses to be interrupted notes when it was last alive; the test that uses
    /// up the budget notes when it did.
    fn everything_is_gone_two_seconds_later(engine) {
        let project = shop("", "");
        project.write("tests/test_label.py", "\
import os, time


def test_stubborn():
    while True:
        try:
            with open('alive.new', 'w') as file:
                file.write(str(time.time()))
            os.replace('alive.new', 'alive')
            time.sleep(0.02)
        except KeyboardInterrupt:
            pass
");
        project.write("tests/test_price.py", "\
import os, time


def test_fails():
    while not os.path.exists('alive'):
        time.sleep(0.02)
    with open('failed', 'w') as file:
        file.write(str(time.time()))
    assert 0
");
        let args = ["coverage", "--engine", engine, "--splits", "2", "--max-failures", "1",
            "--max-concurrent-splits", "2", "--workers-per-split", "1"];
        let output = project.run(&args).exits(1).says("Tests: 1 failed, 1 not run\n");
        let moment = |name: &str| project.read(name).parse::<f64>().expect("a moment");
        let late = moment("alive") - moment("failed");
        // One second more for machines that are busy with other tests.
        assert!(late < 3.0, "{late} seconds\n{output}");
    }

    fn a_hanging_test_is_named_and_the_run_goes_on(engine) {
        let project = shop("", "");
        project.write("tests/test_hang.py",
            "import time\n\n\ndef test_hang():\n    time.sleep(600)\n\n\ndef test_after():\n    pass\n");
        let summary = counted(&project, &coverage(engine, &["--timeout", "1"]), 1);
        assert_eq!(summary["tests"]["timed_out"], 1, "{summary:#}");
        assert_eq!(summary["tests"]["passed"], 5, "{summary:#}");
        assert_eq!(summary["tests"]["not_run"], 0, "{summary:#}");
        assert_eq!(summary["failed_tests"], serde_json::json!(["tests/test_hang.py::test_hang"]));
        assert_eq!(summary["outcome"], "tests-failed");
        // What the others measured is whole.
        assert_eq!(summary["coverage"]["percent"], 90.0);
    }
}

/// The clock of one test starts with it: many quick ones do not add up.
#[test]
fn the_limit_is_that_of_each_test() {
    let project = shop("", "");
    let test = "import time\nimport pytest\n\n\n@pytest.mark.parametrize('n', range(6))\n\
                def test_quick(n):\n    time.sleep(0.3)\n";
    project.write("tests/test_quick.py", test);
    let args = [&["coverage", "--timeout", "1.5"], &ONE_AT_A_TIME[..]].concat();
    project.run(&args).exits(0).says("Tests: 10 passed\n");
}
