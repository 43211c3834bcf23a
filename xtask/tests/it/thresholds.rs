//! Thresholds that coverage itself does not know.

use crate::shop::{SOURCE, coverage, shop};
use crate::support::Project;

/// Twelve files of which ever more is not covered, and one that is.
fn thirteen() -> Project {
    let project = shop("", "");
    for n in 1..=12 {
        let never: String = (0..n).map(|n| format!("    a{n} = 1\n")).collect();
        project.write(&format!("src/shop/part{n:02}.py"), &format!("def never():\n{never}"));
    }
    project
}

#[test]
fn each_file_can_be_judged() {
    let project = thirteen();
    let options = ["--report", "none", "--fail-under-file"];
    let output = project.run(&coverage("fork", &[&options[..], &["90"]].concat())).exits(2);
    let sentence = "12 files are covered less than 90%";
    output
        .says(&format!("✗ below the threshold: {sentence}\n"))
        .says(&format!("\n{sentence}\n    src/shop/part01.py 0%\n"))
        .says("\n    and 2 more\n");
    let report = ["coverage", "report", "--report", "none"];
    project
        .xtask(&report)
        .var("XTASK_FAIL_UNDER_FILE", "91")
        .output()
        .exits(2)
        .says("13 files are");
    project.xtask(&report).var("XTASK_FAIL_UNDER_FILE", "0").output().exits(0);
}

#[test]
fn uncovered_lines_can_be_limited() {
    let project = shop("", "");
    let args = |most| coverage("fork", &["--report", "none", "--fail-uncovered-lines", most]);
    project.run(&args("1")).exits(0);
    let output = project.run(&args("0")).exits(2);
    output.says("1 line is not covered, more than 0\n    src/shop/__init__.py 1\n");
    // Typed, it judges a part of the suite; configured, it does not.
    let part = [&args("0")[..], &["--", "tests/test_label.py"]].concat();
    project.run(&part).exits(2);
    let config =
        project.read("pyproject.toml") + "\n[tool.xtask.coverage]\nfail-uncovered-lines = 0\n";
    project.write("pyproject.toml", &config);
    project.run(&coverage("fork", &["--report", "none"])).exits(2);
    project.run(&coverage("fork", &["--report", "none", "--", "tests/test_label.py"])).exits(0);
}

#[test]
fn coverage_may_not_fall() {
    let project = shop("", "");
    let args = |more: &[&'static str]| coverage("fork", &[&["--report", "none"], more].concat());
    let missing = project.run(&args(&["--no-decrease"])).exits(4);
    missing.tells("write it with `--update-baseline` and commit it");
    assert!(!project.has(".coverage"));
    project.run(&args(&["--update-baseline"])).exits(0).says("Baseline: ");
    let baseline = "{\n  \"schema\": 1,\n  \"percent\": 90.0,\n  \"files\": {\n    \"src/shop/__init__.py\": 90.0\n  }\n}\n";
    assert_eq!(project.read(".coverage-baseline.json"), baseline);
    project.run(&args(&["--no-decrease"])).exits(0);

    project.write("src/shop/__init__.py", &format!("{SOURCE}\n\ndef never():\n    return 1\n"));
    project.write("src/shop/new.py", "A = 1\n");
    let output = project.run(&args(&["--no-decrease"])).exits(2);
    output.says("coverage fell from 90% to 77%\n    src/shop/new.py new, with 0%\n    src/shop/__init__.py from 90% to 83%\n");
    project.run(&args(&["--no-decrease=13"])).exits(0);
    project
        .run(&["coverage", "report", "--no-decrease=12.9"])
        .exits(2)
        .says("by more than 12.9 points");

    let part = project.run(&args(&["--no-decrease", "--", "tests/test_label.py"])).exits(0);
    part.says("A part of the tests is not compared with the baseline\n");
    let unsound = project.run(&args(&["--update-baseline", "--", "tests/test_label.py"])).exits(0);
    unsound.says("Baseline not written: ");
    assert_eq!(project.read(".coverage-baseline.json"), baseline);
    project.run(&["coverage", "report", "--update-baseline", "--no-decrease"]).exits(0);
    assert!(project.read(".coverage-baseline.json").contains("src/shop/new.py"));
}

#[test]
fn a_broken_baseline_is_an_error() {
    let project = shop("", "");
    project.write(".coverage-baseline.json", "{}");
    let output = project.run(&coverage("fork", &["--no-decrease"])).exits(4);
    output.tells("is broken; write it with `--update-baseline`");
}

/// Failing tests are worse news, and no baseline comes of them.
#[test]
fn failures_come_before_all_thresholds() {
    let project = shop("", "");
    project.write("tests/test_label.py", "def test_fails():\n    assert 0\n");
    let options = [
        "--report",
        "none",
        "--fail-uncovered-lines",
        "0",
        "--fail-under",
        "99",
        "--update-baseline",
    ];
    let output = project.run(&coverage("fork", &options)).exits(1).says("Baseline not written: ");
    output.says(
        "coverage total of 50 is less than fail-under=99\n5 lines are not covered, more than 0\n",
    );
    assert!(!project.has(".coverage-baseline.json"));
}
