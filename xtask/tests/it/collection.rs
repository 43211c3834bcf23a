//! Collecting in parts: the same tests and the same coverage, whatever a part meets.

use std::collections::BTreeSet;

use crate::identity::{facts, sequential};
use crate::shop::shop;
use crate::support::{Output, Project};

const PARTS: [&str; 8] =
    ["coverage", "--collect", "sharded", "--splits", "2", "--workers-per-split", "2", "-v"];

fn run(project: &Project, more: &[&str]) -> Output {
    project.run(&[&PARTS[..], more].concat())
}

/// One more test in `tests/test_bad.py`, between two good ones.
fn bad(project: &Project, body: &str) {
    let tests = format!(
        "import os, time\n\ndef test_before():\n    pass\n\n\
         def test_bad():\n    {body}\n\ndef test_zafter():\n    pass\n"
    );
    project.write("tests/test_bad.py", &tests);
}

#[test]
fn parts_are_the_whole() {
    let project = shop("", "[tool.coverage.run]\nbranch = true\nsource = ['src', 'tests']");
    project.write(
        "tests/unit/conftest.py",
        "import pytest\n\n\n@pytest.fixture(autouse=True)\n\
        def each():\n    yield 1\n",
    );
    project.write("tests/unit/test_more.py", "def test_more(each):\n    assert each == 1\n");
    let (sequential, _) = sequential(&project, &[], &["-n0"]);
    let output = run(&project, &[]).exits(0);
    output.clone().tells("Engine: fork, a process for each worker\n");
    assert_eq!(facts(&project, ".coverage"), sequential, "{output}");
    output.tells("note: collected in 2 parts\n").says("Tests: 5 passed\n");
}

/// A suite of which one file outlasts all others, by tests that are not selected.
fn with_a_long_file(more: &str) -> Project {
    let many = "addopts = ['-n0', '-m', 'not many']\nmarkers = ['many']";
    let project = shop(many, "[tool.coverage.run]\nbranch = true\nsource = ['src', 'tests']");
    project.write(
        "tests/conftest.py",
        "\
import os


def pytest_generate_tests(metafunc):
    print(metafunc.function.__name__, os.getpid(), file=open('made', 'a'))
",
    );
    let many = |name: &str| {
        format!(
            "@pytest.mark.many\n@pytest.mark.parametrize('n', range(6000))\n\
             def test_{name}(n):\n    assert price(n)\n\n\n"
        )
    };
    let head = "import os\nimport pytest\nfrom shop import price\n\n\n";
    let one = "def test_one():\n    assert price(1) == 10\n";
    let tests = [head, &many("many"), &many("more"), one, more].concat();
    project.write("tests/test_many.py", &tests);
    project
}

/// Collectors share it by the names in it, once it is known what it takes.
#[test]
fn a_file_that_outlasts_all_others_is_parted() {
    let project = with_a_long_file("");
    let (sequential, _) = sequential(&project, &[], &[]);
    let makers = || {
        project.write("made", "");
        let output = run(&project, &[]).exits(0);
        assert_eq!(facts(&project, ".coverage"), sequential, "{output}");
        output.says("Tests: 5 passed\n");
        let made = project.read("made");
        let made = made.lines().filter_map(|line| line.split_once(' '));
        let made = made.filter(|(test, _)| ["test_many", "test_more"].contains(test));
        made.map(|(_, process)| process.to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(makers().len(), 1, "the first run knows of no long file");
    assert_eq!(makers().len(), 2);
}

#[test]
fn parts_of_a_file_that_do_not_fit_together_are_noticed() {
    let project = with_a_long_file("\n\nglobals()[f'test_{os.getpid()}'] = lambda: None\n");
    run(&project, &[]).exits(0).says("Tests: 6 passed\n");
    let output = run(&project, &[]).exits(0);
    output
        .tells("collected again, in one process: `tests/test_many.py` has other names")
        .says("Tests: 6 passed\n");
    // It is known from now on.
    run(&project, &[]).exits(0).never_says("collected again").says("Tests: 6 passed\n");
}

#[test]
fn there_are_no_more_parts_than_files() {
    let project = shop("", "");
    run(&project, &["--max-concurrent-splits", "2"]).exits(0).says("Tests: 4 passed\n");
    project.write("tests/test_label.py", "");
    project.write("tests/test_price.py", "");
    run(&project, &[]).exits(5).says("no tests");
}

/// Some tests count on what other files have imported, without a word of it.
#[test]
fn a_part_has_imported_what_the_others_have() {
    let project = shop("", "");
    project.write("src/shop/extra.py", "LIMIT = 20\n");
    project.write("src/shop/more.py", "LEAST = 1\n");
    project.write(
        "tests/test_label.py",
        "import shop\nimport shop.extra\n\n\ndef test_it():\n    assert shop.more.LEAST == 1\n",
    );
    project.write(
        "tests/test_price.py",
        "import shop\nimport shop.more\n\n\ndef test_it():\n    assert shop.extra.LIMIT == 20\n",
    );
    let (sequential, _) = sequential(&project, &["--source=src/shop"], &[]);
    let output = run(&project, &[]).exits(0);
    assert_eq!(facts(&project, ".coverage"), sequential, "{output}");
    output.says("Tests: 2 passed\n");
}

#[test]
fn what_needs_the_whole_gets_it() {
    let project = shop("", "");
    let output = run(&project, &["--", "--ff"]).exits(0);
    output.tells("note: collected in one process: ").says("Tests: 4 passed\n");
}

#[test]
fn files_that_cannot_be_collected_are_each_shown_once() {
    let project = shop("", "");
    project.write("tests/test_broken.py", "def test_it(: pass\n");
    project.write("tests/test_missing.py", "import no_such_module\n");
    let output = run(&project, &[]).exits(1);
    assert_eq!(output.line("Tests: "), "2 errors, 4 not run", "{output}");
    assert_eq!(output.stdout.matches("could not be collected").count(), 2, "{output}");
    let output = run(&project, &["--", "--continue-on-collection-errors"]).exits(1);
    assert_eq!(output.line("Tests: "), "4 passed, 2 errors", "{output}");
}

#[test]
fn a_test_that_dies_or_hangs_is_named_and_the_others_run() {
    let project = shop("", "");
    bad(&project, "os._exit(3)");
    let output = run(&project, &[]).exits(1);
    assert_eq!(output.line("Tests: "), "6 passed, 1 crashed");
    output.says("Coverage: 90%");
    bad(&project, "time.sleep(1000)");
    let output = run(&project, &["--timeout", "0.5"]).exits(1);
    assert_eq!(output.line("Tests: "), "6 passed, 1 timed out");
    output.says("test_bad.py\", line 7 in test_bad\n").says("Coverage: 90%");
}

#[test]
fn a_file_that_ends_its_collector_is_an_error() {
    let project = shop("", "");
    project.write("tests/test_dies.py", "import os\nos._exit(0)\n");
    let output = run(&project, &[]);
    assert!(output.code == 3, "{output}");
    output.says("✗ a collector ended early with exit code 0; see ").never_says("passed:");
}

#[test]
fn the_budget_ends_all_parts() {
    let project = shop("", "");
    bad(&project, "assert 0");
    project.write("tests/test_worse.py", &project.read("tests/test_bad.py"));
    let output = run(&project, &["--max-failures", "1"]).exits(1);
    assert!(output.line("Tests: ").contains("1 failed"), "{output}");
    output.says("✗ aborted");
}

#[test]
fn threads_that_a_part_has_started_forbid_forks() {
    let project = shop("", "");
    let thread = "import threading\n\
        threading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()\n\n\
        def test_poller():\n    pass\n";
    project.write("tests/test_thread.py", thread);
    let output = run(&project, &[]).exits(0);
    output.tells("2 threads are alive after collection (poller)").says("Tests: 5 passed\n");
}

#[test]
fn other_engines_collect_in_no_parts() {
    let project = shop("", "");
    let output = run(&project, &["--engine", "stock"]).exits(4);
    output.tells("error: `--collect sharded` needs forks, which the stock engine does without\n");
}
