//! Whoever reads what a run says, a pager or a terminal, may stop reading at any time: that delays
//! neither time limits nor Ctrl-C, and nothing is lost for one that reads on.

use std::io::{PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{BINARY, Project, wait_for};

/// Prints more than a pipe holds, hangs, and says that there is still a test after that.
const TESTS: &str = "\
import os, time

def test_talks():
    for n in range(20000):
        print('line', n)

def test_waits():
    while not os.path.exists('go'):
        time.sleep(0.01)

def test_last():
    open('last', 'w').close()
    while os.path.exists('stay'):
        time.sleep(0.01)
";

/// A run whose stdout and stderr are one pipe, which nobody reads.
struct Unread {
    project: Project,
    run: Child,
    reader: PipeReader,
}

impl Unread {
    fn start(args: &[&str]) -> Unread {
        let project = Project::new(&[("tests/test_a.py", TESTS)]);
        project.write("pyproject.toml", "[project]\nname = 'talks'\nversion = '1'\n");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let run = Command::new(BINARY)
            .args(["test", "--splits", "1", "--workers-per-split", "1"])
            .args(args)
            .current_dir(&project.root)
            .env("VIRTUAL_ENV", project.env().root.as_str())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a copy"))
            .stderr(writer)
            .spawn()
            .expect("a run");
        Unread { project, run, reader }
    }

    fn ends(&mut self) -> ExitStatus {
        self.run.wait().expect("an end")
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

#[test]
fn a_reader_that_stops_delays_neither_limits_nor_ctrl_c() {
    let mut unread = Unread::start(&["--timeout", "0.5", "--", "-s"]);
    unread.project.write("stay", "");
    wait_for(|| unread.project.has("last"));
    let pid = Pid::from_raw(unread.run.id().cast_signed());
    kill(pid, Signal::SIGINT).expect("a process");
    let status = unread.ends();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
}

#[test]
fn a_reader_that_reads_on_misses_nothing() {
    let mut unread = Unread::start(&["--", "-s"]);
    unread.project.write("go", "");
    wait_for(|| unread.project.has("last"));
    let mut said = String::new();
    unread.reader.read_to_string(&mut said).expect("text");
    assert!(unread.ends().success(), "{said}");
    let lines =
        said.lines().filter_map(|line| line.strip_prefix("[gw0] line ")?.parse::<u32>().ok());
    assert!(lines.eq(0..20000), "{said}");
    assert!(said.ends_with("✓ passed: 3 tests passed\n"), "{said}");
}
