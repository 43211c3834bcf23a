//! One host of the fork and spawn engines: Python of ours that collects a suite and runs units
//! of it. What is said between us is written down in `host/PROTOCOL.md`.

use std::fs;
use std::io::{PipeWriter, Write};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::{Value, json};

use super::child::{Child, Command, FIRST_PIPE, Lines, Orphaned};
use super::event::{Details, TestOutcome};
use super::{Job, Measure};
use crate::report::failures::Blow;

/// The version of the protocol that we speak.
const PROTOCOL: u32 = 1;

/// The host's files, by the names under which it looks for them.
const FILES: [(&str, &str); 14] = [
    ("host.py", include_str!("../../host/host.py")),
    ("loader.py", include_str!("../../host/loader.py")),
    ("run.py", include_str!("../../host/run.py")),
    ("outlet.py", include_str!("../../host/outlet.py")),
    ("harvest.py", include_str!("../../host/harvest.py")),
    ("parts.py", include_str!("../../host/parts.py")),
    ("measure.py", include_str!("../../host/measure.py")),
    ("commands.py", include_str!("../../host/commands.py")),
    ("reports.py", include_str!("../../host/reports.py")),
    ("session.py", include_str!("../../host/session.py")),
    ("stacks.py", include_str!("../../host/stacks.py")),
    ("unit.py", include_str!("../../host/unit.py")),
    ("writers.py", include_str!("../../host/writers.py")),
    ("serve.py", include_str!("../../host/serve.py")),
];

/// What a host tells on its own pipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum HostEvent {
    CollectError {
        id: String,
        text: String,
    },
    CollectSkip {
        id: String,
        reason: String,
    },
    Ids {
        first: usize,
        ids: Vec<String>,
        #[serde(default)]
        groups: std::collections::BTreeMap<String, String>,
    },
    Collected {
        tests: u64,
    },
    CannotFork {
        threads: u64,
        native: u64,
        names: Vec<String>,
    },
    Ready {},
    Stacks {
        unit: u32,
        text: String,
    },
    Warning {
        text: String,
    },
    Error {
        text: String,
    },
    Data {
        split: Option<u32>,
        file: Option<Utf8PathBuf>,
        #[serde(default)]
        damaged: Vec<String>,
    },
    Bye {
        exit: i32,
    },
    #[serde(other)]
    Unknown,
}

/// What a unit tells on the pipe of its slot. Tests are numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum UnitEvent {
    UnitStarted {
        pid: i32,
    },
    Start {
        test: usize,
    },
    Failed {
        test: usize,
        #[serde(flatten)]
        blow: Blow,
    },
    Rerun {
        test: usize,
        #[serde(flatten)]
        blow: Blow,
    },
    Finish {
        test: usize,
        outcome: TestOutcome,
        #[serde(flatten)]
        details: Details,
    },
    Stop {
        why: String,
        text: String,
    },
    UnitEnded {},
    UnitBroken {
        text: String,
    },
    UnitExited {
        code: Option<i32>,
        signal: Option<i32>,
        data: Option<UnitData>,
        error: Option<String>,
    },
    #[serde(other)]
    Unknown,
}

/// How much of a unit's coverage there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnitData {
    /// All of it.
    Whole,
    /// That of the tests that ended.
    Partial,
    /// Nothing.
    None,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The host itself.
    Host,
    /// The unit in this slot.
    Slot(usize),
}

/// A running host.
#[derive(Debug)]
pub(super) struct Host {
    /// Its process.
    pub(super) child: Child,
    /// Where its output goes.
    pub(super) log: Utf8PathBuf,
    /// Our ends of its pipes.
    pub(super) lines: Vec<Lines>,
    commands: PipeWriter,
}

impl Host {
    /// Starts a host with so many slots. What it tells goes to `tell` as `wrap` makes it.
    pub(super) fn start<T: Send + 'static>(
        job: &Job,
        slots: usize,
        tell: &Sender<T>,
        wrap: impl Fn(Source, Option<String>) -> T + Clone + Send + 'static,
    ) -> Result<Host> {
        let code = job.folders.host.join("fork");
        install(&code)?;
        let (reader, commands) = std::io::pipe().context("failed to make a pipe")?;
        let mut lines = Vec::new();
        let mut pipes = vec![reader.into()];
        for source in std::iter::once(Source::Host).chain((0..slots).map(Source::Slot)) {
            let wrap = wrap.clone();
            let (ours, theirs) = Lines::open(tell.clone(), move |line| wrap(source, line))?;
            lines.push(ours);
            pipes.push(theirs);
        }
        let log = job.folders.logs.join("host.log");
        let command = command(job, slots, &code)?;
        let child = Child::start(&command, &log, pipes, Orphaned::Notices)?;
        Ok(Host { child, log, lines, commands })
    }

    /// Sends a command. That the host is gone shows at its other pipes.
    pub(super) fn send(&mut self, command: &Value) {
        let _ = self.commands.write_all(format!("{command}\n").as_bytes());
    }
}

/// Writes the host's files, where they are not there yet.
fn install(folder: &Utf8Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{folder}`"))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        fs::write(&path, text).with_context(|| format!("failed to write `{path}`"))?;
    }
    Ok(())
}

/// The command that starts a host, and the file it reads.
pub(super) fn command(job: &Job, slots: usize, code: &Utf8Path) -> Result<Command> {
    let config = job.folders.parts.join("host.json");
    fs::write(&config, configuration(job, slots).to_string())
        .with_context(|| format!("failed to write `{config}`"))?;
    let last = FIRST_PIPE + 1 + i32::try_from(slots).unwrap_or(i32::MAX - 8);
    let descriptors: Vec<String> = (FIRST_PIPE..=last).map(|fd| fd.to_string()).collect();
    let args = ["--fds", &descriptors.join(","), "--config", config.as_str()];
    let args = std::iter::once(code.join("host.py").into_string()).chain(args.map(str::to_owned));
    Ok(Command {
        program: job.python.clone(),
        args: args.collect(),
        env: Vec::new(),
        dir: job.project.clone(),
    })
}

/// The host's configuration. Everything that is not said is left to the project's own.
fn configuration(job: &Job, slots: usize) -> Value {
    json!({
        "protocol": PROTOCOL,
        "work_dir": job.folders.parts.join("host"),
        "slots": slots,
        "engine": "fork",
        "args": job.pytest_args,
        "coverage": job.measure.as_ref().map(|measure| coverage(job, measure)),
        "basetemp": job.folders.temporary.join("tmp"),
        "cache_dir": job.folders.parts.join("cache"),
        "allow_native_threads": true,
    })
}

fn coverage(job: &Job, measure: &Measure) -> Value {
    let config_file = measure.config_file.as_ref();
    let source = Some(&measure.source).filter(|source| !source.is_empty());
    json!({
        "data_dir": job.folders.parts.join("data"),
        "config_file": config_file.map_or(Value::Bool(true), |file| file.as_str().into()),
        "source": source,
        "branch": measure.branch,
        "context": measure.contexts.then_some("test"),
    })
}
