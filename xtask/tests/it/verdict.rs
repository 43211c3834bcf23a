//! Thresholds and reports: what is judged, and when.

use crate::shop::{PRICE_TESTS, coverage, shop};
use crate::support::Project;

/// 43 of 48 statements: 89.58 %.
fn nearly_ninety(report: &str) -> Project {
    let project = shop("", &format!("[tool.coverage.report]\n{report}"));
    let module: String = (0..42).map(|n| format!("A{n} = {n}\n")).collect();
    let never =
        "\n\ndef never():\n    a = 1\n    b = 2\n    c = 3\n    d = 4\n    return a + b + c + d\n";
    project.write("src/shop/__init__.py", &(module + never));
    project.write("tests/test_price.py", "import shop\n\n\ndef test_it():\n    assert shop.A1\n");
    project.write("tests/test_label.py", "def test_nothing():\n    pass\n");
    project
}

/// coverage rounds the total to the precision of its report before it compares.
#[test]
fn the_threshold_of_the_configuration_is_met_by_rounding() {
    let project = nearly_ninety("fail_under = 90");
    project.run(&coverage("fork", &[])).exits(0).says("Coverage: 90%\n");
    let own = project.env().module(&project.root, &["coverage", "report"]);
    assert_eq!(own.code, 0, "{own}");
}

#[test]
fn the_threshold_of_the_configuration_is_missed_with_more_digits() {
    let project = nearly_ninety("fail_under = 90\nprecision = 2");
    let output = project.run(&coverage("fork", &[])).exits(2).says("Coverage: 89.58%\n");
    output.says("✗ below the threshold: coverage total of 89.58 is less than fail-under=90.00");
    let own = project.env().module(&project.root, &["coverage", "report"]);
    assert_eq!(own.code, 2, "{own}");
}

#[test]
fn the_threshold_typed_wins() {
    let project = nearly_ninety("fail_under = 99");
    project.run(&coverage("fork", &["--fail-under", "50"])).exits(0);
    project.run(&["coverage", "report"]).exits(2).says("less than fail-under=99");
    project.run(&["coverage", "report", "--fail-under", "0"]).exits(0);
}

#[test]
fn parts_are_judged_only_by_what_is_typed() {
    let project = nearly_ninety("fail_under = 99");
    let part = ["--", "tests/test_price.py"];
    project.run(&coverage("fork", &part)).exits(0).says("(partial)");
    let typed = [&["--fail-under", "99"], &part[..]].concat();
    project.run(&coverage("fork", &typed)).exits(2).says("(partial)");
}

/// A failing test is worse news than a threshold.
#[test]
fn failures_come_before_thresholds() {
    let project = nearly_ninety("fail_under = 99");
    project.write("tests/test_label.py", "def test_fails():\n    assert 0\n");
    project.run(&coverage("fork", &[])).exits(1).says("✗ tests failed: 1 of 2 tests failed\n");
}

#[test]
fn no_tests_is_5() {
    let project = shop("", "");
    project.write("tests/test_label.py", "");
    project.write("tests/test_price.py", "");
    project.run(&coverage("fork", &[])).exits(5).says("✗ no tests: no tests were found");
}

#[test]
fn every_report_is_written_where_coverage_would() {
    let project = shop("", "[tool.coverage.xml]\noutput = 'out/cover.xml'");
    let summary = project.root.join("summary.json");
    let all = "term,html,xml,json,lcov,markdown";
    let args = coverage("fork", &["--report", all, "--summary-json", summary.as_str()]);
    project.run(&args).exits(0);
    assert!(project.read("out/cover.xml").contains("<coverage "));
    assert!(project.read("coverage.lcov").contains("SF:src/shop/__init__.py"));
    assert_eq!(project.json("coverage.json")["totals"]["num_statements"], 10);
    assert!(project.read("htmlcov/index.html").contains("90%"));
    let reports = &project.json("summary.json")["reports"];
    let markdown = reports["markdown"].as_str().expect("a path");
    assert!(std::fs::read_to_string(markdown).expect("a report").contains("**90%**"));
    assert_eq!(reports.as_object().map(serde_json::Map::len), Some(5), "{reports}");
}

#[test]
fn none_writes_no_report() {
    let project = shop("", "");
    project.run(&coverage("fork", &["--report", "none"])).exits(0).never_says("TOTAL");
    assert!(project.has(".coverage") && !project.has("htmlcov"));
}

/// `report` reads the data that is there. Nothing runs: the tests would fail by now.
#[test]
fn reports_again_without_running() {
    let project = shop("", "");
    project.run(&["coverage", "report"]).exits(4).tells("` first\n");
    project.run(&coverage("fork", &["--report", "none"])).exits(0);
    project.write("tests/test_price.py", &PRICE_TESTS.replace("180)", "181)"));
    let output = project.run(&["coverage", "report", "--report", "term,xml"]).exits(0);
    let table = project.env().module(&project.root, &["coverage", "report"]).exits(0).stdout;
    let wanted = format!("{table}\nCoverage: 90%\nXML report: [PROJECT]/coverage.xml\n");
    assert_eq!(project.normal(&output.stdout), wanted);
    assert_eq!(output.stderr, "");
}
