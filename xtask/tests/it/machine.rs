//! What a run does with the machine, and what it keeps of what tests took of it.

use crate::shop::{coverage, shop};
use crate::support::Project;

/// A test that notes by what the kernel would choose it, and how nice it is.
const NOTED: &str = "\
import os
import pathlib


def test_it():
    score = pathlib.Path('/proc/self/oom_score_adj').read_text().strip()
    pathlib.Path('noted').write_text(f'{score} {os.nice(0)}')
";

fn noting() -> Project {
    let project = shop("", "");
    project.write("tests/test_noted.py", NOTED);
    project
}

/// The same of the process that this test runs in.
fn ours(project: &Project) -> String {
    project.python_says("import os; print(os.nice(0))", &[]).trim().to_owned()
}

#[cfg(target_os = "linux")]
engines! {
    /// What tests run in is the first that the kernel ends when memory runs out. A test sees no
    /// other difference: its priority is what it always is.
    fn tests_are_the_first_to_go_when_memory_runs_out(engine) {
        let project = noting();
        project.run(&coverage(engine, &["--report", "none"])).exits(0);
        assert_eq!(project.read("noted"), format!("1000 {}", ours(&project)));
    }
}

const TAKING: &str = "\
import subprocess
import sys
import time

BUSY = 'import time\\nwhile time.process_time() < 0.2: pass'


def test_busy():
    exec(BUSY.replace('0.2', str(time.process_time() + 0.2)))


def test_child():
    subprocess.run([sys.executable, '-c', BUSY], check=True)


def test_waits():
    time.sleep(0.2)
";

#[test]
fn the_cpu_of_each_test_is_kept_with_that_of_its_children() {
    for engine in ["fork", "spawn"] {
        let project = shop("", "");
        project.write("tests/test_taking.py", TAKING);
        project.run(&coverage(engine, &["--report", "none"])).exits(0);
        let (cpu, took) = (project.json(".xtask/cpu.json"), project.json(".xtask/durations.json"));
        let of = |file: &serde_json::Value, name: &str| {
            file[format!("tests/test_taking.py::{name}")].as_f64().expect(name)
        };
        assert!(of(&cpu, "test_busy") >= 0.2, "{cpu}");
        assert!(of(&cpu, "test_child") >= 0.2, "{cpu}");
        assert!(of(&cpu, "test_waits") < of(&took, "test_waits") / 2.0, "{cpu}");
        assert_eq!(cpu.as_object().map(serde_json::Map::len), Some(7));
        // A run of one test leaves what is known of the others.
        project.write("tests/test_taking.py", "def test_busy(): pass\n");
        let args = ["--report", "none", "--", "tests/test_taking.py"];
        project.run(&coverage(engine, &args)).exits(0);
        let cpu = project.json(".xtask/cpu.json");
        assert!(of(&cpu, "test_busy") < 0.2 && of(&cpu, "test_child") >= 0.2, "{cpu}");
    }
}

/// What was typed is said as it was typed; else the machine decides.
#[test]
fn the_banner_says_whether_the_number_of_workers_follows_the_machine() {
    let project = shop("", "");
    let plan = |args: &[&str]| project.run(&[&["coverage", "plan"], args].concat()).exits(0);
    let output = plan(&[]).never_says("Concurrent splits");
    let workers = output.stderr.lines().find_map(|line| line.strip_prefix("  • Workers: "));
    let workers = workers.expect("a line");
    let numbers = workers.strip_suffix(", as the machine allows").expect("a reason");
    let (start, most) = numbers.split_once(" to ").expect("two numbers");
    let (start, most): (usize, usize) =
        (start.parse().expect("a number"), most.parse().expect("a number"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(start >= 1 && start < most && most <= (12 * cores).min(256), "{workers}");
    plan(&["--workers-per-split", "2"])
        .tells("  • Workers per split: 2\n")
        .never_says("as the machine allows");
    plan(&["--engine", "stock"]).tells("  • Total concurrent workers: ");
}

/// What the machine did is on the page of the run, and what workers need is kept.
#[cfg(target_os = "linux")]
#[test]
fn the_machine_is_watched_while_tests_run() {
    let project = shop("", "");
    // For several readings; what is kept makes no difference to what is drawn.
    project.write("tests/test_long.py", "import time\n\n\ndef test_it():\n    time.sleep(2)\n");
    let args = ["--report", "none", "-v"];
    project.run(&coverage("fork", &args)).exits(0).tells("1 worker").tells(" cores busy, ");
    let page = project.read(".xtask/runs/last/run.html");
    for name in ["Processors", "Memory", "Processes that run tests"] {
        assert!(page.contains(&format!("aria-label=\"{name} over time: ")), "{name}: {page}");
    }
    assert!(page.contains(" limited this run: "));
    assert!(project.json(".xtask/run.json")["memory_growth"].is_u64());
}
