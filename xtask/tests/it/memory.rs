//! Memory that runs out: the tests that take it are ended before the kernel ends anything, and
//! none is blamed for what others have taken. In a real control group of version 1, which only
//! root can make.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{BINARY, Output, Project, Run};

/// A group with so many bytes; nothing where none can be made.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, bytes: u64) -> Option<Group> {
        let folder =
            Path::new("/sys/fs/cgroup/memory").join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Group(folder);
        fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        Some(group)
    }

    /// Runs the tool in it.
    fn run(&self, project: &Project, args: &[&str]) -> Output {
        let join = format!("echo $$ > '{}/cgroup.procs'; exec \"$@\"", self.0.display());
        let run = Run::of("sh".into()).args(&["-c", &join, "sh", BINARY]).args(args);
        run.cwd(&project.root).active(project.env()).output()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

const MIB: u64 = 1 << 20;

/// A test that fills so many MiB with something, and then waits a little.
fn fills(mib: u64) -> String {
    format!(
        "import time\n\ndef test_fills():\n    kept = bytearray({mib} * 2**20)\n    \
         for at in range(0, len(kept), 4096):\n        kept[at] = 1\n    time.sleep(1)\n"
    )
}

const WIDE: [&str; 7] = ["test", "--splits", "1", "--workers-per-split", "12", "--isolate", "file"];

/// Twelve at once would need three times what there is: there are fewer.
#[test]
#[ignore = "slow: needs root and fills a gigabyte"]
fn a_suite_that_has_not_enough_for_all_its_workers_completes() {
    let Some(group) = Group::new("few", 800 * MIB) else { return };
    let project = Project::new(&[("pytest.ini", "[pytest]\n")]);
    (0..12).for_each(|n| project.write(&format!("test_{n}.py"), &fills(200)));
    let output = group.run(&project, &WIDE).exits(0).says("Tests: 12 passed\n");
    output.tells("the next worker waits for memory");
}

/// It is named, with what it took; nothing else is the worse for it.
#[test]
#[ignore = "slow: needs root and fills a gigabyte"]
fn a_test_that_eats_more_than_there_is_is_named() {
    let Some(group) = Group::new("eats", 800 * MIB) else { return };
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("test_a.py", &fills(20_000))]);
    project.write("test_b.py", "def test_b():\n    pass\n");
    let output = group.run(&project, &["test", "--splits", "1"]).exits(1);
    output.says("Tests: 1 passed, 1 crashed\n").says("out of memory: its process was ended");
}

/// What a thread of an earlier test takes is not the fault of the test that runs then.
#[test]
#[ignore = "slow: needs root and fills a gigabyte"]
fn a_leak_is_not_blamed_on_a_later_test() {
    let text = "\
import threading
import time

KEPT = []

def leak():
    while True:
        KEPT.append(bytearray(b'x' * 8 * 2**20))
        time.sleep(0.05)

def test_starts_it():
    threading.Thread(target=leak, daemon=True).start()

def test_between():
    time.sleep(1)

def test_is_innocent():
    time.sleep(8)
";
    let Some(group) = Group::new("leak", 800 * MIB) else { return };
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("test_a.py", text)]);
    let output = group.run(&project, &["test", "--splits", "1"]).exits(0);
    output.says("Tests: 3 passed\n").tells("`test_a.py::test_is_innocent` runs again");
}

/// What was typed is a limit wherever there is more.
#[test]
fn a_test_has_the_memory_that_it_was_given() {
    let text = "\
import time

def test_fills():
    kept = bytearray(b'x' * 300 * 2**20)
    time.sleep(60)

def test_after():
    pass
";
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("test_a.py", text)]);
    let output = project.run(&["test", "--splits", "1", "--memory-per-test", "100"]).exits(1);
    output.says("Tests: 1 passed, 1 crashed\n").says("out of memory: its process was ended");
}

/// The stock engine has the same limit, and says where it cannot heed it.
#[test]
fn a_test_of_the_stock_engine_has_the_memory_that_it_was_given() {
    let text = "\
import time

def test_fills():
    kept = bytearray(b'x' * 300 * 2**20)
    time.sleep(60)
";
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("test_a.py", text)]);
    let words = ["test", "--engine", "stock", "--splits", "1", "--workers-per-split", "1"];
    let output = project.run(&[&words[..], &["--memory-per-test", "100"]].concat()).exits(3);
    output
        .says("Tests: 1 crashed\n")
        .says("out of memory: its process was ended when it had grown");
    project.write("test_a.py", "def test_passes():\n    pass\n");
    let words = ["test", "--engine", "stock", "--splits", "1", "--workers-per-split", "2"];
    let output = project.run(&[&words[..], &["--memory-per-test", "100"]].concat()).exits(0);
    output.tells("`--memory-per-test` has no meaning there");
}
