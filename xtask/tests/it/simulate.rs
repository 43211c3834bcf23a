//! `coverage plan --simulate`: what a run would take, by number of workers.

use crate::shop::shop;
use crate::support::{Output, Project};

const TWO: [&str; 6] =
    ["--splits", "1", "--max-concurrent-splits", "1", "--workers-per-split", "2"];

fn simulated(project: &Project, more: &[&str]) -> Output {
    let args = ["coverage", "plan", "--simulate"];
    project.run(&[&args[..], &TWO, more].concat())
}

/// The workers of each row, with seconds in all and for the tests, and the processes.
fn rows(output: &Output) -> Vec<(usize, f64, f64, usize)> {
    let rows = output.stdout.lines().filter(|line| line.starts_with("     "));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let seconds = |cell: &str| cell.trim_end_matches('s').parse().expect("seconds");
        let number = |cell: &str| cell.parse().expect("a number");
        (number(cells[0]), seconds(cells[1]), seconds(cells[3]), number(cells[5]))
    };
    rows.map(row).collect()
}

#[test]
fn a_simulation_shows_what_more_workers_would_gain() {
    let project = shop("", "");
    for file in ["a", "b", "c", "d"] {
        let test = "import time\n\n\ndef test_it():\n    time.sleep(0.4)\n";
        project.write(&format!("tests/test_{file}.py"), test);
    }
    let each_file = ["--engine", "fork", "--isolate", "file"];
    project.run(&[&["coverage"], &TWO[..], &each_file].concat()).exits(0);
    let output = simulated(&project, &each_file).exits(0);
    output.line("Workers  Time     Collection  Tests    The rest  Processes");
    let rows = rows(&output);
    let workers: Vec<usize> = rows.iter().map(|row| row.0).collect();
    assert!(workers.starts_with(&[1, 2, 4]), "{output}");
    let marked: Vec<&str> =
        output.stdout.lines().filter(|it| it.ends_with("as set here")).collect();
    assert!(marked.len() == 1 && marked[0].starts_with("      2 "), "{output}");
    let (_, alone, tests, _) = rows[0];
    assert!(tests >= 1.6 && alone > tests, "{output}");
    // Six files, a process for each.
    let fits = |row: &(usize, f64, f64, usize)| row.1 <= alone && row.3 == 6;
    assert!(rows.iter().all(fits), "{output}");
    assert!(output.stdout.contains("More than "), "{output}");
}

#[test]
fn without_a_run_there_is_nothing_to_simulate() {
    let project = shop("", "");
    simulated(&project, &["--engine", "fork"])
        .exits(4)
        .tells("nothing is known yet of what this suite takes: run `cargo xtask coverage` once");
}

#[test]
fn only_the_fork_engine_is_simulated() {
    let project = shop("", "");
    for engine in ["spawn", "stock"] {
        let why = format!("`--simulate` knows the fork engine only, not the {engine} engine");
        simulated(&project, &["--engine", engine]).exits(4).tells(&why);
    }
}
