//! What is printed, and where: whole outputs, with times and paths replaced.

use crate::shop::{ONE_AT_A_TIME, coverage, shop};
use crate::support::{Output, Project, Run};

const TABLE: &str = "\
Name                   Stmts   Miss  Cover
------------------------------------------
src/shop/__init__.py      10      1    90%
------------------------------------------
TOTAL                     10      1    90%
";

const BANNER: &str = "\
Coverage of shop in 2 splits
  • Source: src/shop (the project's folders)
  • Concurrent splits: 1
  • Workers per split: 1
  • Total concurrent workers: 1
  • Failures before abort: 10
";

/// The lines of the splits may come in any order.
fn sorted_splits(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("[Split")).unwrap_or(lines.len());
    lines[first..].sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Versions and engines differ, and are tested where they matter.
fn without_versions(text: &str) -> String {
    let varies = ["  • Core: ", "  • Python: ", "  • Engine: "];
    let kept = |line: &&str| !varies.iter().any(|start| line.starts_with(start));
    text.lines().filter(kept).map(|line| format!("{line}\n")).collect()
}

engines! {
    /// Progress on stderr, one line for each split; report and verdict on stdout.
    fn a_run_that_passes(engine) {
        let project = shop("", "");
        let output = project.run(&coverage(engine, &[])).exits(0);
        let progress = sorted_splits(&without_versions(&project.normal(&output.stderr)));
        let splits = "[Split 1/2] ✓ 2 tests in [T]\n[Split 2/2] ✓ 2 tests in [T]\n";
        assert_eq!(progress, format!("{BANNER}{splits}"));
        let collection = if engine != "stock" { "collection [T], " } else { "" };
        let wanted = format!("{TABLE}
Coverage: 90%
HTML report: [PROJECT]/htmlcov/index.html
Run page: [PROJECT]/.xtask/runs/1/run.html
Time: [T] (environment [T], {collection}tests [T], combine [T], reports [T])
Tests: 4 passed
✓ passed: 4 tests passed
");
        assert_eq!(project.normal(&output.stdout), wanted);
    }

    /// Each failing test once, with its traceback, what it printed, and the line to paste.
    fn a_run_that_fails(engine) {
        let project = failing();
        let output = project.run(&coverage(engine, &["--report", "none"])).exits(1);
        let stdout = project.normal(&output.stdout);
        let failures = stdout.split("Coverage: ").next().unwrap_or_default();
        let wanted = "\
---- tests/test_a.py::test_loud[a b] failed in split 1
word = 'a b'

    @pytest.mark.parametrize('word', ['a b', \"it's\"])
    def test_loud(word):
        print('told', word)
>       assert word == \"it's\"
E       assert 'a b' == \"it's\"
E         
E         - it's
E         + a b

tests/test_a.py:7: AssertionError
-- Captured stdout call
told a b
rerun: cargo xtask coverage -- 'tests/test_a.py::test_loud[a b]'

---- tests/test_b.py::test_broken error in setup in split 2
@pytest.fixture
    def broken():
>       raise RuntimeError('no database')
E       RuntimeError: no database

tests/test_b.py:6: RuntimeError
rerun: cargo xtask coverage -- tests/test_b.py::test_broken

rerun these 2:
    cargo xtask coverage -- 'tests/test_a.py::test_loud[a b]' tests/test_b.py::test_broken

";
        assert_eq!(failures, wanted, "{output}");
        output.says("Tests: 2 passed, 1 failed, 1 error\n")
            .says("✗ tests failed: 2 of 4 tests failed\n");
    }

    /// Pasted into a shell, the line reruns the failing tests and no other.
    fn the_line_for_reruns_works(engine) {
        let project = failing();
        let output = project.run(&coverage(engine, &["--report", "none"])).exits(1);
        let line = output.stdout.lines().skip_while(|line| !line.starts_with("rerun these 2:")).nth(1);
        let again = paste(&project, line.expect("a line").trim());
        again.exits(1).says("Tests: 1 failed, 1 error\n");
    }

    /// With `-s` what tests print is shown, whichever way they do; the stock engine logs it.
    fn output_of_tests_is_shown_or_logged(engine) {
        let project = shop("addopts = '-s'", "");
        project.write("tests/test_loud.py", "\
import os


def test_loud():
    print('from print')
    os.write(1, b'from below\\n')
    os.write(2, b'from beneath\\n')
");
        let output = project.run(&coverage(engine, &[])).exits(0);
        let printed = ["from print", "from below", "from beneath"];
        let logs = project.names(".xtask/runs/last/logs");
        let log = |name: &String| project.read(&format!(".xtask/runs/last/logs/{name}"));
        let logs: String = logs.iter().map(log).collect();
        for text in printed {
            assert_eq!(output.stdout.contains(text), engine != "stock", "{output}");
            assert!(engine != "stock" || logs.contains(text), "{logs}");
        }
    }
}

/// Two failing tests, one of them in its fixture, and two that pass.
fn failing() -> Project {
    let project = shop("", "");
    for name in ["tests/test_label.py", "tests/test_price.py"] {
        std::fs::remove_file(project.root.join(name)).expect("a file");
    }
    project.write(
        "tests/test_a.py",
        "\
import pytest


@pytest.mark.parametrize('word', ['a b', \"it's\"])
def test_loud(word):
    print('told', word)
    assert word == \"it's\"
",
    );
    project.write(
        "tests/test_b.py",
        "\
import pytest


@pytest.fixture
def broken():
    raise RuntimeError('no database')


def test_broken(broken):
    pass


def test_fine():
    pass
",
    );
    project
}

/// Runs a line that was printed in a shell, where `cargo xtask` is this binary, in the folder
/// where it was printed.
fn paste(project: &Project, line: &str) -> Output {
    let run = Run::of("sh".into()).args(&["-c", line]);
    run.cwd(&project.root).active(project.env()).with_cargo(project).output()
}

/// Every printed command runs as it is, spaces in the folder's name included, and together they
/// leave the data of the whole suite.
#[test]
fn printed_commands_run_in_a_shell() {
    let project = Project::at("my shop", &[]);
    project.write("pyproject.toml", &crate::shop::pyproject("", ""));
    project.write_all(&[
        ("src/shop/__init__.py", crate::shop::SOURCE),
        ("tests/test_label.py", crate::shop::LABEL_TESTS),
        ("tests/test_price.py", crate::shop::PRICE_TESTS),
    ]);
    let output = project.run(&coverage("stock", &["--dry-run"])).exits(0);
    assert_eq!(output.stderr, "");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    for line in lines {
        let run = Run::of("sh".into()).args(&["-c", line]).output().exits(0);
        assert!(run.stdout.contains("2 passed"), "{run}");
    }
    let combine =
        "exec python -m coverage combine -q --keep .xtask/dry-run/parts/split-0[12]/data.*";
    let combine = Run::of("sh".into()).args(&["-c", combine]).cwd(&project.root);
    combine.active(project.env()).output().exits(0);
    project.env().module(&project.root, &["coverage", "report"]).exits(0).says("90%");
}

#[test]
fn nothing_runs_in_a_dry_run() {
    let project = shop("", "");
    project.run(&coverage("fork", &["--dry-run"])).exits(0);
    assert!(!project.has(".coverage") && !project.has("htmlcov") && !project.has(".xtask/runs"));
    assert_eq!(project.names(".xtask/dry-run/logs"), [] as [&str; 0]);
}

#[test]
fn a_plan_is_shown() {
    let project = shop("", "");
    project.write(
        ".test_durations",
        r#"{
    "tests/test_label.py::test_first": 1.0,
    "tests/test_label.py::test_second": 2.0,
    "tests/test_price.py::test_price[a few]": 3.0,
    "tests/test_price.py::test_price[many]": 0.5
}"#,
    );
    let args = [&["coverage", "plan"], &ONE_AT_A_TIME[..]].concat();
    let output = project.run(&args).exits(0);
    let wanted = "\
[Split 1/2] 3 tests, 6.0s; longest tests/test_price.py::test_price[a few] (3.0s)
[Split 2/2] 1 test, 0.5s; longest tests/test_price.py::test_price[many] (0.5s)
4 tests in 2 splits: 6.5s one after the other, about 6.5s with 1 worker
";
    assert_eq!(output.stdout, wanted, "{output}");
    assert_eq!(without_versions(&output.stderr), BANNER);
}

/// The file is as pytest-split writes it, but for the seconds.
#[test]
fn durations_are_stored_as_pytest_split_stores_them() {
    let project = shop("", "");
    let pytest = ["pytest", "-q", "--store-durations"];
    project.env().module(&project.root, &pytest).exits(0);
    let theirs = project.read(".test_durations");
    std::fs::remove_file(project.root.join(".test_durations")).expect("a file");
    project.run(&coverage("fork", &[])).exits(0);
    assert!(!project.has(".test_durations"));
    project.run(&coverage("fork", &["--store-durations"])).exits(0);
    let shape = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
    };
    let ours = project.read(".test_durations");
    assert_eq!(shape(&ours), shape(&theirs), "{ours}\n{theirs}");
    let seconds = project.json(".test_durations");
    let seconds = seconds.as_object().expect("a table");
    assert!(seconds.values().all(|it| it.as_f64().is_some_and(|it| it > 0.0 && it < 60.0)));
}

#[test]
fn quiet_leaves_the_report_and_the_verdict() {
    let project = shop("", "");
    let output = project.run(&coverage("fork", &["-q"])).exits(0);
    assert_eq!(output.stderr, "");
    output.says(TABLE).says("✓ passed: 4 tests passed\n");
}

#[test]
fn colours_are_for_terminals() {
    let project = shop("", "");
    let colour = "\x1b[32m";
    project.run(&coverage("fork", &[])).exits(0).never_says(colour);
    let always = ["--report", "none", "--color", "always"];
    project.run(&coverage("fork", &always)).exits(0).says(colour).tells(colour);
    let on_terminal = |options: &[&str], no_color: &str| {
        let code =
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let binary = env!("CARGO_BIN_EXE_xtask");
        let args = [&["-c", code, binary], &coverage("fork", &["--report", "none"])[..], options];
        let run = Run::of(&project.env().python()).args(&args.concat()).cwd(&project.root);
        run.active(project.env()).var("TERM", "xterm").var("NO_COLOR", no_color).output().exits(0)
    };
    on_terminal(&[], "").says(colour);
    on_terminal(&[], "1").never_says(colour);
    on_terminal(&["--color", "never"], "").never_says(colour);
    on_terminal(&["--color", "always"], "1").says(colour);
}
