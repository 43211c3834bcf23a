//! Several projects at once: processes, the failure budget and signals are those of all of them.

use std::time::Instant;

use nix::sys::signal::Signal::{SIGCONT, SIGINT, SIGKILL, SIGTERM, SIGTSTP};
use serde_json::Value;

use crate::signals::Marked;
use crate::support::{BINARY, Output, Project, Run, wait_for};

/// A Cargo workspace with these Python projects: the text of the one test file of each.
fn workspace(projects: &[(&str, &str)]) -> Project {
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['packages/*']\n";
    let project = Project::at("workspace", &[("Cargo.toml", cargo)]);
    for (name, tests) in projects {
        let text = format!("[project]\nname = '{name}'\nversion = '1'\n");
        project.write(&format!("packages/{name}/pyproject.toml"), &text);
        project.write(&format!("packages/{name}/tests/test_main.py"), tests);
    }
    project
}

/// Tests can tell each other what they do, by files in the folder of the workspace.
const TOLD: &str = "\
import os, time
TOP = os.path.abspath('../..')

def tell(name):
    open(os.path.join(TOP, name), 'w').close()

def wait(name):
    deadline = time.monotonic() + 60
    while not os.path.exists(os.path.join(TOP, name)):
        assert time.monotonic() < deadline, f'nobody told {name}'
        time.sleep(0.01)

";

/// A test that never ends.
const HANGS: &str = "\
def test_hangs():
    import subprocess
    subprocess.Popen(['sleep', '1000'])
    subprocess.Popen(['sleep', '1000'], start_new_session=True)
    tell(os.path.basename(os.getcwd()) + '-hangs')
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass
";

fn told(text: &str) -> String {
    [TOLD, text].concat()
}

/// On the smallest machine, too, all begin at once.
fn all(more: &[&'static str]) -> Vec<&'static str> {
    let args = ["test", "--all", "--splits", "1", "--max-concurrent-splits", "1"];
    [&args[..], &["--workers-per-split", "3"], more].concat()
}

fn run(project: &Project, more: &[&'static str]) -> Output {
    project.run(&all(more))
}

fn marked(run: Run) -> Marked {
    Marked::start(run)
}

/// Of what two tests wait for is in each other's project: one after the other they would not pass.
#[test]
fn projects_run_at_once_and_each_is_printed_whole() {
    let first = told("def test_a():\n    tell('a')\n    wait('b')\n    wait('b-ended')\n");
    // It is through long before the one that comes before it.
    let second = told("def test_b():\n    tell('b')\n    wait('a')\n    tell('b-ended')\n");
    let project = workspace(&[("a", &first), ("b", &second)]);
    let output = run(&project, &["--summary-json", "s.json"]).exits(0);
    let at = |text: &str| output.stderr.find(text).unwrap_or_else(|| panic!("{text}: {output}"));
    let lines = ["Tests of a in 1 split", "[Split 1/1] ✓ 1 test", "Tests of b in 1 split"];
    let places = lines.map(at);
    assert!(places.is_sorted(), "{output}");
    let verdicts = ["packages/a: ✓ passed: 1 test", "packages/b: ✓ passed: 1 test"];
    let places = verdicts.map(|line| output.stdout.find(line).expect(line));
    assert!(places.is_sorted(), "{output}");
    let names: Vec<Value> = project.json("s.json")["projects"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["project"].clone())
        .collect();
    assert_eq!(names, ["packages/a", "packages/b"]);
    output.says("✓ passed: 2 tests passed in 2 projects\n");
}

/// By its name alone it is known that it belongs to a server, and to which.
#[test]
fn a_run_within_a_test_is_a_run_by_itself() {
    let runs = told(&format!(
        "def test_a():\n    import subprocess\n    \
         ran = subprocess.run(['{BINARY}', 'test', '--splits', '1'], cwd='../../inner', \
         capture_output=True, text=True)\n    \
         assert (ran.returncode, 'Tests: 1 passed' in ran.stdout) == (0, True), ran\n"
    ));
    let project = workspace(&[("a", &runs), ("b", "def test_b():\n    pass\n")]);
    project.write("inner/pyproject.toml", "[project]\nname = 'inner'\nversion = '1'\n");
    project.write("inner/tests/test_main.py", "def test_inner():\n    pass\n");
    run(&project, &[]).exits(0).says("✓ passed: 2 tests passed in 2 projects\n");
}

/// The option, and the key of the workspace: one after the other.
#[test]
fn projects_that_cannot_run_at_once_wait() {
    let alone = told(
        "import pytest\n\n@pytest.mark.parametrize('n', range(3))\ndef test_alone(n):\n    \
         os.mkdir(os.path.join(TOP, 'taken'))\n    time.sleep(0.1)\n    \
         os.rmdir(os.path.join(TOP, 'taken'))\n",
    );
    let project = workspace(&[("a", &alone), ("b", &alone)]);
    let one = ["test", "--all", "--splits", "1", "--max-concurrent-splits", "1"];
    let one = [&one[..], &["--workers-per-split", "1"]].concat();
    project.run(&[&one[..], &["--max-concurrent-projects", "1"]].concat()).exits(0);
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['packages/*']\n";
    project.write("Cargo.toml", &format!("{cargo}max-concurrent-projects = 1\n"));
    project.run(&one).exits(0);
    project.write("Cargo.toml", &format!("{cargo}max-concurrent-projects = 0\n"));
    let output = project.run(&one).exits(4);
    output.tells("`max-concurrent-projects` in `[workspace.metadata.xtask]` of ");
}

/// Three places for the tests of three projects: one that finds none is one process too many.
#[test]
fn a_number_of_workers_is_that_of_all_projects() {
    let tests = told(
        "import fcntl, pytest\n\n@pytest.mark.parametrize('n', range(12))\ndef test_place(n):\n    \
         for place in range(3):\n        \
         file = open(os.path.join(TOP, f'place-{place}'), 'w')\n        \
         try:\n            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        \
         except BlockingIOError:\n            continue\n        \
         time.sleep(0.05)\n        return\n    \
         assert 0, 'no place is left'\n",
    );
    for engine in ["fork", "stock"] {
        // Both are there at the same moment.
        let meets = |own: &str, other: &str| {
            format!("{tests}\n\ndef test_meets():\n    tell('{own}')\n    wait('{other}')\n")
        };
        let (a, b) = (meets("a", "b"), meets("b", "a"));
        let project = workspace(&[("a", &a), ("b", &b), ("c", &tests)]);
        let args = ["test", "--all", "--splits", "4", "--max-concurrent-splits", "3"];
        let more = ["--workers-per-split", "1", "--engine", engine];
        let output = project.run(&[&args[..], &more].concat()).exits(0);
        output.says("✓ passed: 38 tests passed in 3 projects\n");
    }
}

#[test]
fn the_failure_budget_is_exact_over_projects_that_run_at_once() {
    let fails = "\n\nimport pytest\n\n@pytest.mark.parametrize('n', range(30))\n\
                 def test_fails(n):\n    assert 0\n";
    let meets = |own: &str, other: &str| told(&format!("tell('{own}')\nwait('{other}')\n{fails}"));
    for engine in ["fork", "stock"] {
        let project = workspace(&[("a", &meets("a", "b")), ("b", &meets("b", "a"))]);
        let more = ["--max-failures", "4", "--summary-json", "s.json", "--engine", engine];
        let two = ["--max-concurrent-splits", "2", "--workers-per-split", "1", "--splits", "1"];
        let args = [&["test", "--all", "--junit", "j.xml"][..], &two, &more].concat();
        let output = project.run(&args).exits(1);
        let tests = &project.json("s.json")["tests"];
        assert_eq!((&tests["failed"], &tests["not_run"]), (&4.into(), &56.into()), "{output}");
        assert_eq!(project.read("j.xml").matches("<failure").count(), 4, "{output}");
        assert_eq!(project.json("s.json")["failed_tests"].as_array().map(Vec::len), Some(4));
        // Both were stopped, whichever had how many of them.
        assert_eq!(output.stdout.matches(": ✗ aborted: stopped").count(), 2, "{output}");
    }
}

#[test]
fn a_signal_ends_all_projects_and_leaves_nothing() {
    let hangs = told(HANGS);
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
        let project = workspace(&[("a", &hangs), ("b", &hangs)]);
        let run = marked(project.xtask(&all(&["--summary-json", "s.json"])));
        wait_for(|| project.has("a-hangs") && project.has("b-hangs"));
        let since = Instant::now();
        run.running.signal(signal);
        let output = run.ends(since).exits(code);
        for name in ["a", "b"] {
            let line = format!("packages/{name}: ✗ interrupted: interrupted; 1 test did not run\n");
            assert!(output.stdout.contains(&line), "{output}");
        }
        assert_eq!(project.json("s.json")["exit_code"], code);
    }
}

/// Whatever kills it, the kernel say: the only worker there is was its, and is the other's then.
#[test]
fn the_process_of_a_project_that_is_killed_is_an_error_and_the_others_go_on() {
    let (hangs, passes) = (told(HANGS), told("wait('a-hangs')\n\ndef test_b():\n    pass\n"));
    let project = workspace(&[("a", &hangs), ("b", &passes)]);
    let more = ["--summary-json", "s.json", "--workers-per-split", "1"];
    let run = marked(project.xtask(&all(&more)));
    wait_for(|| project.has("a-hangs"));
    let number = project.read("target/xtask/coverage/a/lock");
    let pid = number.trim().parse().expect("a number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), SIGKILL).expect("a process");
    let output = run.ends(Instant::now()).exits(3);
    let output = output.says("packages/b: ✓ passed: 1 test passed\n");
    output.says("✗ packages/a: its process ended early: signal SIGKILL\n");
    assert_eq!(project.json("s.json")["projects"][0]["exit_code"], 3);
    assert_eq!(project.json("s.json")["projects"][1]["exit_code"], 0);
}

/// Nobody is there to end them: they end themselves.
#[test]
fn nothing_outlives_the_process_that_has_started_all() {
    let hangs = told(HANGS);
    let project = workspace(&[("a", &hangs), ("b", &hangs)]);
    let run = marked(project.xtask(&all(&[])));
    wait_for(|| project.has("a-hangs") && project.has("b-hangs"));
    let since = Instant::now();
    run.running.signal(SIGKILL);
    run.ends(since);
}

#[test]
fn ctrl_z_stops_all_projects_until_they_go_on() {
    let waits = |own: &str| told(&format!("def test_x():\n    tell('{own}')\n    wait('go')\n"));
    let project = workspace(&[("a", &waits("a")), ("b", &waits("b"))]);
    let run = marked(project.xtask(&all(&[])));
    wait_for(|| project.has("a") && project.has("b"));
    for _ in 0..3 {
        run.running.signal(SIGTSTP);
        wait_for(|| run.is_stopped());
        run.running.signal(SIGCONT);
        wait_for(|| !run.is_stopped());
    }
    project.write("go", "");
    run.ends(Instant::now()).exits(0).says("✓ passed: 2 tests passed in 2 projects\n");
}
