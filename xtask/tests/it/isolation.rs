//! `--isolate`: which tests share a process.

use std::collections::BTreeSet;

use crate::identity::{facts, sequential};
use crate::shop::shop;
use crate::support::{Output, Project};

/// A suite of four files, whose tests note the process they run in and what was set up.
fn noted() -> Project {
    noted_at(1)
}

/// The same with a fixture that takes so many additions to set up.
fn noted_at(cost: u32) -> Project {
    let project = shop("", "");
    let conftest = "\
import os
import pathlib
import pytest


def note(file, text):
    with pathlib.Path(file).open('a') as file:
        file.write(f'{text}\\n')


@pytest.fixture(scope='session')
def dear():
    sum(range(COST))
    note('set-up', os.getpid())
    yield
    note('torn-down', os.getpid())


@pytest.fixture(autouse=True)
def noted(dear):
    note('ran', os.getpid())
";
    project.write("tests/conftest.py", &conftest.replace("COST", &cost.to_string()));
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
fn with_worker_session_fixtures_serve_several_files() {
    for engine in ["fork", "spawn"] {
        let project = noted();
        let output = run(&project, engine, &["--isolate", "worker"]);
        output.says("Tests: 6 passed\n");
        let ran: BTreeSet<String> = processes(&project, "ran").into_iter().collect();
        assert!(ran.len() < 4, "{ran:?}");
        // Of four files; a host that loses its next one to the other worker begins anew.
        let mut ends = ["set-up", "torn-down"].map(|file| processes(&project, file));
        ends.iter_mut().for_each(|end| end.sort());
        let [set_up, torn_down] = ends;
        assert!(set_up.len() < 4, "{engine}: {set_up:?}");
        assert_eq!(set_up, torn_down, "{engine}");
        assert_eq!(set_up.into_iter().collect::<BTreeSet<_>>(), ran, "{engine}");
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
    let project = noted_at(20_000_000);
    run(&project, "fork", &[]);
    run(&project, "fork", &[])
        .tells("Engine: fork, a process for each worker (a new one costs ")
        .tells("most of it session fixtures)\n");
    assert!(processes(&project, "set-up").len() < 4, "{}", project.read("set-up"));
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
