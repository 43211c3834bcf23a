//! Runs a command to its end, or to the end of its time.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;

use super::variables::Variables;
use crate::engine::child::{self, Child, Command, Orphaned};
use crate::engine::{Job, clock, orphans};
use crate::env;
use crate::model::format::seconds;

/// How long a command that is to stop may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// The variable that names the file for what is exported.
pub(super) const FILE: &str = "XTASK_ENV";

/// Where commands run, and those that do.
#[derive(Debug)]
pub(super) struct Shell {
    folder: Utf8PathBuf,
    /// Where the project's programs are.
    programs: Option<Utf8PathBuf>,
    limit: Duration,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    /// No more are started.
    stopped: bool,
    last: u64,
    all: BTreeMap<u64, Sender<Event>>,
    /// What commands have left running.
    left: Vec<i32>,
}

#[derive(Debug)]
enum Event {
    Exited(ExitStatus),
    Stop,
}

/// A command with its surroundings.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// For `sh`.
    pub(super) text: &'a str,
    /// Set in addition.
    pub(super) variables: &'a Variables,
    /// Where its output goes.
    pub(super) log: &'a Utf8Path,
}

impl Shell {
    pub(super) fn new(job: &Job) -> Shell {
        Shell {
            folder: job.project.clone(),
            programs: job.python.parent().map(Utf8Path::to_owned),
            limit: job.commands.limit,
            running: Mutex::default(),
        }
    }

    /// Runs a command; the error says how it failed, as the end of a sentence.
    ///
    /// From a thread of its own: the kernel ends the command with it.
    pub(super) fn run(&self, line: &Line<'_>) -> Result<(), String> {
        let (tell, hear) = channel();
        let number = self.enter(tell.clone())?;
        let ended = self.run_to_its_end(line, tell, &hear);
        self.lock().all.remove(&number);
        ended
    }

    fn run_to_its_end(
        &self,
        line: &Line<'_>,
        tell: Sender<Event>,
        hear: &Receiver<Event>,
    ) -> Result<(), String> {
        let child = Child::start(&self.command(line), line.log, Vec::new(), Orphaned::Killed);
        let child = child.map_err(|error| format!("could not be started: {error:#}"))?;
        let exited = move |status| {
            let _ = tell.send(Event::Exited(status));
        };
        child.on_exit(exited).map_err(|error| format!("{error:#}"))?;
        let ended = self.wait(&child, hear);
        match &ended {
            // What it has started in the background is what it was run for.
            Ok(()) => self.spare(&child, line),
            Err(_) => child.kill_group(),
        }
        ended
    }

    pub(super) fn command(&self, line: &Line<'_>) -> Command {
        let path = env::var("PATH").unwrap_or_default();
        let programs = self.programs.iter().map(Utf8PathBuf::to_string);
        let path = programs.chain(Some(path)).collect::<Vec<_>>().join(":");
        let variables = line.variables.clone().into_iter();
        let path = (!line.variables.contains_key("PATH")).then(|| ("PATH".to_owned(), path));
        Command {
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), line.text.to_owned()],
            env: path.into_iter().chain(variables).collect(),
            dir: self.folder.clone(),
        }
    }

    fn wait(&self, child: &Child, hear: &Receiver<Event>) -> Result<(), String> {
        let mut due = Some(clock::now() + self.limit);
        let mut why = None;
        loop {
            let left = due.map_or(Duration::MAX, |due| due.saturating_duration_since(clock::now()));
            match hear.recv_timeout(left) {
                Ok(Event::Exited(status)) => {
                    let bad = (!status.success())
                        .then(|| format!("ended with {}", child::describe(status)));
                    return why.or(bad).map_or(Ok(()), Err);
                }
                Ok(Event::Stop) if why.is_some() => {}
                Err(_) if why.is_some() => {
                    child.kill_group();
                    due = None;
                }
                stopped => {
                    why = Some(match stopped {
                        Ok(_) => "was stopped".to_owned(),
                        Err(_) => format!(
                            "took longer than {}, the limit of `setup-timeout`",
                            seconds(self.limit.as_secs_f64())
                        ),
                    });
                    child.signal_group(Signal::SIGTERM);
                    due = Some(clock::now() + GRACE);
                }
            }
        }
    }

    fn spare(&self, child: &Child, line: &Line<'_>) {
        let mark = line.variables.get(FILE).map(|file| format!("{FILE}={file}"));
        let left = orphans::spare(child.id(), mark.as_deref().unwrap_or_default());
        self.lock().left.extend(left);
    }

    /// Ends what commands have left running.
    pub(super) fn end_what_is_left(&self) {
        orphans::spare_no_more(&std::mem::take(&mut self.lock().left));
        child::end_descendants();
    }

    /// Ends all commands, and has none begin.
    pub(super) fn stop(&self) {
        let mut running = self.lock();
        running.stopped = true;
        for tell in running.all.values() {
            let _ = tell.send(Event::Stop);
        }
    }

    /// Commands may begin again.
    pub(super) fn go_on(&self) {
        self.lock().stopped = false;
    }

    fn enter(&self, tell: Sender<Event>) -> Result<u64, String> {
        let mut running = self.lock();
        if running.stopped {
            return Err("was not started, as the run was stopped".to_owned());
        }
        running.last += 1;
        let number = running.last;
        running.all.insert(number, tell);
        Ok(number)
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
