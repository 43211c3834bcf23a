//! The only place that starts long-lived processes: each in a process group of its own, with
//! its output in a file and pipes of its own for events.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::orphans;
use super::processes::{groups, sweep};
use crate::threads;

/// A command, as data: it can be started, and printed so that it can be pasted.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub program: Utf8PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables that are set in addition.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub dir: Utf8PathBuf,
}

impl Command {
    /// Without input, all it prints in one stream; whatever its exit code, that is no error.
    pub(super) fn expression(&self) -> duct::Expression {
        let expression = duct::cmd(self.program.as_std_path(), &self.args);
        let expression = expression.dir(&self.dir).stdin_null().stderr_to_stdout().unchecked();
        let env = |expression: duct::Expression, (name, value): &(String, String)| {
            expression.env(name, value)
        };
        self.env.iter().fold(expression, env)
    }
}

impl fmt::Display for Command {
    /// One line for a POSIX shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cd {} &&", shell_words::quote(self.dir.as_str()))?;
        for (name, value) in &self.env {
            write!(f, " {name}={}", shell_words::quote(value))?;
        }
        write!(f, " {}", shell_words::quote(self.program.as_str()))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", shell_words::quote(arg)))
    }
}

/// A running process and the group it leads.
#[derive(Debug)]
pub(crate) struct Child {
    handle: Arc<duct::Handle>,
    pid: Pid,
}

/// What becomes of a child when we are gone, however that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orphaned {
    /// The kernel kills it.
    Killed,
    /// It sees the end of its command pipe, ends its own children, and leaves.
    Notices,
}

/// The lowest descriptor that a child's pipes get: `FIRST_PIPE`, `FIRST_PIPE + 1`, …
pub(crate) const FIRST_PIPE: i32 = 3;

impl Child {
    /// Starts a process. Its output goes to `log`; `pipes` become its descriptors from
    /// [`FIRST_PIPE`] on. To be called from a thread that lives as long as the child should:
    /// the kernel ends the child with that thread.
    pub(crate) fn start(
        command: &Command,
        log: &Utf8Path,
        pipes: Vec<OwnedFd>,
        orphaned: Orphaned,
    ) -> Result<Child> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to open the log `{log}`"))?;
        let pipes = Arc::new(pipes);
        let expression = command.expression().stdout_file(output).before_spawn(move |command| {
            command.process_group(0);
            if orphaned == Orphaned::Killed {
                die_with_parent(command, std::process::id());
            }
            let mappings = pipes
                .iter()
                .zip(FIRST_PIPE..)
                .map(|(pipe, child_fd)| Ok(FdMapping { parent_fd: pipe.try_clone()?, child_fd }));
            let mappings = mappings.collect::<std::io::Result<Vec<_>>>()?;
            command.fd_mappings(mappings).map_err(std::io::Error::other)?;
            Ok(())
        });
        Child::of(command, &expression)
    }

    /// Starts this program once more, with these streams, under another name. When we are gone it
    /// sees the end of its stdin, and ends with all that it has started: were the kernel to end it,
    /// nobody could.
    pub(super) fn start_again(command: &Command, name: &str, streams: [File; 3]) -> Result<Child> {
        let [input, output, errors] = streams;
        let name = name.to_owned();
        let expression = duct::cmd(command.program.as_std_path(), &command.args)
            .dir(&command.dir)
            .unchecked()
            .stdin_file(input)
            .stdout_file(output)
            .stderr_file(errors)
            .before_spawn(move |command| {
                command.arg0(&name).process_group(0);
                Ok(())
            });
        Child::of(command, &expression)
    }

    fn of(command: &Command, expression: &duct::Expression) -> Result<Child> {
        orphans::keep_from_reaping(|| {
            let handle = expression
                .start()
                .with_context(|| format!("failed to start `{}`", command.program))?;
            let pid = handle.pids().first().copied().unwrap_or_default();
            let pid = i32::try_from(pid).unwrap_or_default();
            Ok((Child { handle: Arc::new(handle), pid: Pid::from_raw(pid) }, pid))
        })
    }

    /// Calls `tell` from a thread of its own when the process has ended. Where there can be no
    /// such thread the process is ended.
    pub(crate) fn on_exit(&self, tell: impl FnOnce(ExitStatus) + Send + 'static) -> Result<()> {
        let handle = Arc::clone(&self.handle);
        let wait = move || {
            let status = handle.wait().map(|output| output.status);
            tell(status.unwrap_or_else(|_| ExitStatus::from_raw(0xff00)));
        };
        threads::spawn("that waits for a process", wait).inspect_err(|_| self.kill_group())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Has the kernel end the process, and what it starts from now on, before anything else when
    /// memory runs out; see `host/usage.py` for what the hosts do. That it cannot be had is no
    /// error: there is nothing like it elsewhere than on Linux.
    #[expect(clippy::disallowed_methods, reason = "what is in `/proc` is no file to replace")]
    pub(crate) fn raise_oom_score(&self) {
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", self.pid), "1000");
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Sends a signal to the whole process group.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.pid, signal);
    }

    /// Sends SIGKILL to the whole process group: also to what the process left behind.
    pub(crate) fn kill_group(&self) {
        kill_group(self.pid.as_raw());
    }
}

/// Starts a command that nothing of a run depends on, and that ends by itself.
pub(super) fn start_beside(expression: &duct::Expression) -> std::io::Result<duct::Handle> {
    let started = orphans::keep_from_reaping(|| {
        let handle = expression.start()?;
        let pid = handle.pids().first().and_then(|pid| i32::try_from(*pid).ok());
        Ok((handle, pid.unwrap_or_default()))
    });
    started.map_err(std::io::Error::other)
}

/// Sends a signal to one process; that it may be gone already is no error.
pub(crate) fn send(pid: Pid, signal: Signal) {
    if pid.as_raw() > 1 {
        let _ = kill(pid, signal);
    }
}

/// Sends SIGKILL to a process group; that it may be gone already is no error.
pub(crate) fn kill_group(leader: i32) {
    if leader > 1 {
        let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
}

/// Has the kernel end the child when the thread that started it ends, however that happens:
/// nothing of ours outlives a SIGKILL. The kernel looks at what ends from then on, so a parent
/// that was gone before shows by the child having another one.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // std has no safe way to run code between fork and exec
fn die_with_parent(command: &mut std::process::Command, parent: u32) {
    // SAFETY: `prctl` and `getppid` are async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            match nix::unistd::getppid().as_raw().cast_unsigned() == parent {
                true => Ok(()),
                false => Err(nix::errno::Errno::ESRCH.into()),
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut std::process::Command, _: u32) {}

/// The reading side of a child's pipe, whose lines go to a channel.
#[derive(Debug)]
pub(crate) struct Lines {
    ours: PipeWriter,
}

/// Ends the stream: a process that was left behind may hold the pipe open for ever, so the
/// end is said by us, once the child is gone and all it wrote is in the pipe.
const END: &str = "\n{\"event\":\"end-of-stream\"}\n";

/// So many lines at a time tell how fast they come.
const COUNTED: u32 = 32;
/// If these come within this time, lines come fast: two for each test of 5 ms.
const FAST: Duration = Duration::from_millis(80);
/// How long lines that come fast are left in the pipe. With a test every 2 ms and all cores
/// busy, waking up for each took 13 % of the time of those that run tests.
const PAUSE: Duration = Duration::from_millis(10);

impl Lines {
    /// A pipe: what `wrap` makes of each line goes to `to`, and `wrap(None)` at the end. The
    /// second value is the descriptor for the child.
    ///
    /// Where lines come fast, they are read a few at a time, as long as the last one is one
    /// after which the child is `busy`, and waits for no answer.
    pub(crate) fn open<T: Send + 'static>(
        to: Sender<T>,
        busy: impl Fn(&[u8]) -> bool + Send + 'static,
        wrap: impl Fn(Option<String>) -> T + Send + 'static,
    ) -> Result<(Lines, OwnedFd)> {
        let (reader, writer) = std::io::pipe().context("failed to make a pipe")?;
        let theirs = writer.as_fd().try_clone_to_owned().context("failed to copy a pipe")?;
        threads::spawn("that reads what a process tells", move || {
            read_lines(reader, &to, busy, wrap);
        })?;
        Ok((Lines { ours: writer }, theirs))
    }

    /// Says that nothing more comes. The last lines are still delivered.
    pub(crate) fn end(&mut self) {
        let _ = self.ours.write_all(END.as_bytes());
    }
}

fn read_lines<T>(
    reader: PipeReader,
    to: &Sender<T>,
    busy: impl Fn(&[u8]) -> bool,
    wrap: impl Fn(Option<String>) -> T,
) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let (mut counted, mut since, mut fast) = (0, Instant::now(), false);
    loop {
        if fast && reader.buffer().is_empty() && busy(&line) {
            thread::sleep(PAUSE);
        }
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        let text = String::from_utf8_lossy(&line);
        if !matches!(read, Ok(1..)) || text.trim() == END.trim() {
            let _ = to.send(wrap(None));
            return;
        }
        if !text.trim().is_empty() && to.send(wrap(Some(text.trim_end().to_owned()))).is_err() {
            return;
        }
        counted += 1;
        if counted == COUNTED {
            fast = since.elapsed() <= FAST;
            (counted, since) = (0, Instant::now());
        }
    }
}

/// Makes this process the parent of every orphan among its descendants, so that
/// [`end_descendants`] finds those that left their process group.
pub(crate) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Kills every process that descends from this one: for the end of a run, when all its children
/// have been waited for, but for those that what comes after it needs.
pub(crate) fn end_descendants() {
    let spared = orphans::for_later().into_iter().chain(orphans::spared());
    end_all_but(&spared.collect());
}

/// Kills every process that descends from this one, but for these and what descends from them.
pub(super) fn end_descendants_but(spared: &BTreeSet<i32>) {
    end_all_but(spared);
}

/// Kills every process that descends from this one.
pub(crate) fn end_all() {
    end_all_but(&BTreeSet::new());
}

fn end_all_but(spared: &BTreeSet<i32>) {
    sweep(spared, |new, family, all| {
        // A group at once: what in it forks and ends is never caught by its number. Those of the
        // family that have ended, of which there are many then, still tell which group it is.
        groups(all, family).into_iter().for_each(kill_group);
        let living = new.iter().filter(|process| !process.ended);
        living.for_each(|process| send(Pid::from_raw(process.pid), Signal::SIGKILL));
    });
}

/// `signal SIGKILL`, or its number where it has no name.
pub(crate) fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => format!("signal {signal}"),
        Err(_) => format!("signal {number}"),
    }
}

/// How a process ended, in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => signal_name(number),
        (None, None) => "no status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A child whose parent was gone before the child could ask to die with it never runs.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_of_another_parent_than_it_should_have_does_not_run() {
        let started = |parent: u32| {
            let mut command = std::process::Command::new("true");
            die_with_parent(&mut command, parent);
            command.status().map(|status| status.success()).ok()
        };
        let me = std::process::id();
        assert_eq!([started(me), started(me + 1)], [Some(true), None]);
    }

    /// Lines that come fast are left in the pipe for a while: none is lost, none overtakes another.
    #[test]
    fn lines_that_come_fast_all_arrive_in_order() {
        let (to, from) = mpsc::channel();
        let (mut lines, theirs) =
            Lines::open(to, |_| true, |line: Option<String>| line).expect("a pipe");
        let mut theirs = PipeWriter::from(theirs);
        let said: Vec<String> = (0..10 * COUNTED).map(|n| format!("line {n}")).collect();
        for line in &said {
            theirs.write_all(format!("{line}\n").as_bytes()).expect("an open pipe");
        }
        theirs.write_all(b"cut").expect("an open pipe");
        lines.end();
        let heard: Vec<String> = from.iter().map_while(|line| line).collect();
        assert_eq!(heard[..said.len()], said);
        assert_eq!(heard[said.len()..], ["cut"]);
    }
}
