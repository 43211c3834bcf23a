//! How runs end, and what they leave where: the last line, the summary and the exit code agree
//! whatever cannot be written, and each run has a folder of its own that others leave alone.

use std::os::unix::fs::symlink;

use crate::shop::coverage;
use crate::support::{Output, Project};

const APP: &str = "def f(n):\n    if n:\n        return 1\n    return 2\n";
const PASSES: &str = "import app\n\ndef test_f():\n    assert app.f(1) == 1\n";
const FAILS: &str = "import app\n\ndef test_f():\n    assert app.f(1) == 3\n";
const NO_REPORT: [&str; 2] = ["--report", "none"];

fn project(test: &str) -> Project {
    Project::new(&[
        ("pytest.ini", "[pytest]\npythonpath = .\n"),
        ("app.py", APP),
        ("tests/test_app.py", test),
    ])
}

fn run(project: &Project, more: &[&str]) -> Output {
    project.run(&coverage("fork", &[&NO_REPORT[..], more].concat()))
}

/// The last line that was said, after all that went to stderr as well.
fn last(output: &Output) -> &str {
    output.stdout.lines().last().unwrap_or_default()
}

#[test]
fn a_file_that_cannot_be_written_is_in_the_verdict_and_the_summary() {
    let project = project(PASSES);
    let table: [(&[&str], &str); 3] = [
        (&["--junit", "pytest.ini/a.xml"], "failed to write the JUnit file to `"),
        (&["--update-baseline"], "failed to write the baseline to `"),
        (&["--store-durations"], "the durations of this run are not stored: failed to read `"),
    ];
    std::fs::create_dir(project.root.join(".coverage-baseline.json")).expect("a folder");
    let durations = project.root.join(".test_durations");
    symlink("pytest.ini/durations", &durations).expect("a link to nowhere");
    for (options, why) in table {
        let output = run(&project, &[options, &["--summary-json", "s.json"]].concat()).exits(3);
        assert!(last(&output).starts_with(&format!("✗ error: {why}")), "{output}");
        let output = output.says("Tests: 1 passed\n").never_says("✓ passed");
        let summary = project.json("s.json");
        assert_eq!(summary["exit_code"], 3, "{output}");
        assert_eq!((&summary["outcome"], &summary["partial"]), (&"error".into(), &false.into()));
        assert!(project.read(".xtask/runs/last/run.html").contains("failed to "), "{output}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_in_the_verdict() {
    let project = project(FAILS);
    let output = run(&project, &["--summary-json", "pytest.ini/s.json"]).exits(3);
    let wanted = "✗ error: failed to write the summary to `[PROJECT]/pytest.ini/s.json`: ";
    assert!(project.normal(last(&output)).starts_with(wanted), "{output}");
    output.says("Tests: 1 failed\n").says("assert 1 == 3");
    // Nothing failed, and nothing is to be run again: no good news before it is written.
    project.write("tests/test_app.py", PASSES);
    run(&project, &["--last-failed"]).exits(0);
    let output = run(&project, &["--last-failed", "--summary-json", "pytest.ini/s.json"]).exits(3);
    output.never_says("✓").tells("error: failed to write the summary to `");
}

/// The failures, the JUnit file and the summary do not depend on what makes the reports.
#[test]
fn reports_that_cannot_be_made_take_nothing_away() {
    let breaks = format!("{FAILS}\ndef test_g():\n    open('.coveragerc', 'w').write('[run')\n");
    let project = project(&breaks);
    project.write(".coveragerc", "[run]\nbranch = true\n");
    let output = run(&project, &["--junit", "j.xml", "--summary-json", "s.json"]);
    let summary = project.json("s.json");
    assert_eq!(summary["exit_code"], output.code, "{output}");
    assert_eq!(summary["tests"]["failed"], 1, "{output}");
    assert!(project.read("j.xml").contains("failures=\"1\""), "{output}");
    assert!(last(&output).starts_with("✗ "), "{output}");
    output.says("assert 1 == 3").says("Tests: 1 passed, 1 failed\n");
}

#[test]
fn a_suite_that_cannot_be_collected_is_partial_wherever_that_is_told() {
    let project = project("import nowhere\n");
    let output = run(&project, &["--summary-json", "s.json"]).exits(1);
    assert_eq!(project.json("s.json")["partial"], true, "{output}");
    assert!(
        project.read(".xtask/runs/last/run.html").contains("<span class=\"tag\">partial</span>")
    );
    assert!(!project.has(".coverage"), "{output}");
}

/// A device is written to and not replaced, and a link leads where it led.
#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let project = project(PASSES);
    project.write("real.xml", "");
    symlink("real.xml", project.root.join("link.xml")).expect("a link");
    run(&project, &["--junit", "link.xml", "--summary-json", "/dev/stdout"])
        .exits(0)
        .says("\"exit_code\": 0");
    assert!(project.root.join("link.xml").is_symlink());
    assert!(project.read("real.xml").contains("<testcase"));
}

/// What a message has named is there until the fourth run after it.
#[test]
fn each_run_has_a_folder_and_the_last_three_stay() {
    let project = project(FAILS);
    let page = |output: Output| output.line("Run page: ").to_owned();
    let pages: Vec<String> = (0..4).map(|_| page(run(&project, &[]).exits(1))).collect();
    assert_eq!(project.names(".xtask/runs"), ["2", "3", "4", "last"]);
    let there = |page: &String| std::fs::exists(page).expect("a folder");
    assert_eq!(pages.iter().map(there).collect::<Vec<_>>(), [false, true, true, true]);
    let link = std::fs::read_link(project.root.join(".xtask/runs/last")).expect("a link");
    assert_eq!(link.to_str(), Some("4"));
    assert_eq!(project.names(".xtask/runs/last"), ["logs", "parts", "rerun.json", "run.html"]);
}

#[test]
fn what_is_no_run_leaves_the_last_one_as_it_is() {
    let project = project(FAILS);
    let failed = run(&project, &[]).exits(1);
    let (_, named) = failed.stderr.split_once("see `").expect("a log is named");
    let (log, _) = named.split_once('`').expect("its end");
    let left = || {
        let folders = [".xtask/runs/last/parts", ".xtask/runs/last/logs", ".xtask/runs"];
        (folders.map(|folder| project.names(folder)), std::fs::read(log).expect("the log"))
    };
    let before = left();
    let others: [&[&str]; 4] = [
        &["coverage", "plan", "--splits", "1"],
        &["coverage", "--dry-run"],
        &["coverage", "report", "--report", "term"],
        &["coverage", "plan", "--simulate"],
    ];
    for words in others {
        project.run(words).exits(0);
        assert!(left() == before, "{words:?}");
    }
    let strays = project.names(".xtask").into_iter().filter(|name| name.starts_with("temporary"));
    assert_eq!(strays.count(), 0);
}

/// Nobody else can look into it, and what a killed command left goes away.
#[test]
fn a_temporary_folder_is_ours_alone() {
    let project = project(PASSES);
    let looks = "import glob, os, stat\n\nfolders = glob.glob('.xtask/temporary-*')\n\
                 modes = [oct(stat.S_IMODE(os.stat(it).st_mode)) for it in folders]\n\
                 open('modes', 'w').write(' '.join(modes))\n";
    project.write("conftest.py", looks);
    project.write(".xtask/temporary-old/parts/x", "");
    project.run(&["coverage", "plan"]).exits(0);
    assert_eq!(project.read("modes"), "0o700");
    assert!(!project.has(".xtask/temporary-old"));
}

#[test]
fn checkouts_that_share_a_target_folder_share_no_state() {
    let both = Project::new(&[]);
    let pytest = "[pytest]\npythonpath = .\n";
    for (checkout, test) in [("a", FAILS), ("b", PASSES)] {
        let files = [
            ("Cargo.toml", "[workspace]\n"),
            ("py/pytest.ini", pytest),
            ("py/app.py", APP),
            ("py/tests/test_app.py", test),
        ];
        files.iter().for_each(|(path, text)| both.write(&format!("{checkout}/{path}"), text));
    }
    let run = |checkout: &str, words: &[&str]| {
        let words = [&["test"], words].concat();
        let run = both.xtask(&words).cwd(&both.root.join(checkout).join("py"));
        run.var("CARGO_TARGET_DIR", "../../target").output()
    };
    run("a", &[]).exits(1);
    run("b", &["--last-failed"]).exits(0).says("✓ nothing to run again");
    run("a", &["--last-failed"]).exits(1).says("Tests: 1 failed\n");
    assert_eq!(both.names("target/xtask/coverage").len(), 2);
}

/// It decides how the suite is cut, so nothing but a whole one may take its place.
#[test]
fn stored_durations_that_cannot_be_read_stay() {
    let spoils = format!("{PASSES}\ndef test_g():\n    open('.test_durations', 'w').write('{{')\n");
    let project = project(&spoils);
    project.write(".test_durations", "{\"tests/test_app.py::test_f\": 1.0}");
    let output = run(&project, &["--store-durations"]).exits(3);
    let wanted = "✗ error: the durations of this run are not stored: failed to read `";
    assert!(last(&output).starts_with(wanted), "{output}");
    assert_eq!(project.read(".test_durations"), "{");
}
