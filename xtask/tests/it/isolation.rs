//! `--isolate`: which tests share a process.

use std::collections::BTreeSet;

use crate::identity::{facts, sequential};
use crate::shop::shop;
use crate::support::{Output, Project};

/// A suite of four files, whose tests note the process they run in and what was set up.
fn noted() -> Project {
    let project = shop("", "");
    project.write(
        "tests/conftest.py",
        "\
import os
import pathlib
import pytest


def note(file, text):
    with pathlib.Path(file).open('a') as file:
        file.write(f'{text}\\n')


@pytest.fixture(scope='session')
def dear():
    # Dear beside a fork, and far from the second after which a unit goes to others.
    sum(range(4_000_000))
    note('set-up', os.getpid())
    yield
    note('torn-down', os.getpid())


@pytest.fixture(autouse=True)
def noted(dear):
    note('ran', os.getpid())
",
    );
    for file in ["more", "most"] {
        project.write(&format!("tests/test_{file}.py"), "def test_it():\n    pass\n");
    }
    project
}

fn run(project: &Project, engine: &str, more: &[&str]) -> Output {
    for file in ["set-up", "torn-down", "ran"] {
        let _ = std::fs::remove_file(project.root.join(file));
    }
    let two = ["--max-concurrent-splits", "1", "--workers-per-split", "2"];
    let engine = ["coverage", "--engine", engine, "--splits", "3"];
    project.run(&[&engine[..], &two, more].concat()).exits(0)
}

/// The processes named in a file, each as often as it is there.
fn processes(project: &Project, file: &str) -> Vec<String> {
    project.read(file).lines().map(str::to_owned).collect()
}

#[test]
fn with_worker_session_fixtures_are_set_up_once_for_each_worker() {
    for engine in ["fork", "spawn"] {
        let project = noted();
        let output = run(&project, engine, &["--isolate", "worker"]);
        output.says("Tests: 6 passed\n");
        let ran: BTreeSet<String> = processes(&project, "ran").into_iter().collect();
        assert!(ran.len() <= 2, "{ran:?}");
        for file in ["set-up", "torn-down"] {
            let mut seen = processes(&project, file);
            seen.sort();
            assert_eq!(seen, ran.iter().cloned().collect::<Vec<_>>(), "{engine}, {file}");
        }
    }
}

#[test]
fn with_file_no_two_files_share_a_process() {
    let project = noted();
    let args = ["--isolate", "file"];
    run(&project, "fork", &args).tells("Engine: fork, a process for each test file\n");
    // Now that durations are known, small files would be joined.
    run(&project, "fork", &args);
    assert_eq!(processes(&project, "set-up").len(), 4, "{}", project.read("ran"));
}

#[test]
fn expensive_session_fixtures_keep_a_process_going() {
    let project = noted();
    // In parts, which a busy machine may make worth while, each collector has its own processes.
    let whole = ["--collect", "full"];
    run(&project, "fork", &whole);
    let output = run(&project, "fork", &whole)
        .tells("Engine: fork, a process for each worker (a new one costs ")
        .tells("most of it session fixtures)\n");
    assert!(processes(&project, "set-up").len() <= 2, "{output}\n{}", project.read("ran"));
}

engines! {
    fn coverage_is_the_same_whoever_shares_a_process(engine) {
        for how in ["auto", "file", "worker"] {
            if how == "file" && engine != "fork" {
                let args = crate::shop::coverage(engine, &["--isolate", how]);
                let told = format!("`--isolate file` needs forks, which the {engine} engine");
                shop("", "").run(&args).exits(4).tells(&told);
                continue;
            }
            let project = shop("", "");
            let (expected, _) = sequential(&project, &["--source=src/shop"], &[]);
            let args = crate::shop::coverage(engine, &["--isolate", how]);
            for _ in 0..2 {
                let output = project.run(&args).exits(0);
                assert_eq!(facts(&project, ".coverage"), expected, "{how}\n{output}");
            }
        }
    }
}

/// A crash in the middle of a row costs one test, and the rest runs elsewhere.
#[test]
fn a_crash_in_a_row_loses_no_other_test() {
    for engine in ["fork", "spawn"] {
        let project = noted();
        project.write("tests/test_more.py", "import os\n\n\ndef test_it():\n    os._exit(7)\n");
        let one = ["--max-concurrent-splits", "1", "--workers-per-split", "1"];
        let args = ["coverage", "--engine", engine, "--isolate", "worker", "--splits", "3"];
        let output = project.run(&[&args[..], &one].concat()).exits(1);
        output.says("Tests: 5 passed, 1 crashed\n").says("Coverage: 90%\n");
    }
}

#[test]
fn a_retry_gets_a_process_of_its_own() {
    let project = noted();
    project.write(
        "tests/test_more.py",
        "import os\nimport pathlib\n\n\ndef test_it():\n    tries = pathlib.Path('tries')\n    \
         with tries.open('a') as file:\n        file.write(f'{os.getpid()}\\n')\n    \
         assert len(set(tries.read_text().split())) > 1\n",
    );
    run(&project, "fork", &["--isolate", "worker", "--retries", "1"])
        .says("Tests: 6 passed, 1 rerun\n");
}
