//! One host: Python of ours that collects a suite and runs units of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Message;
use super::exit::Exit;
use super::session::SessionEnd;
use crate::engine::around::Variables;
use crate::engine::child::{Child, Command, FIRST_PIPE, Lines, Orphaned};
use crate::engine::{Job, LAST_FAILED, Measure, TEMPORARY, TOGETHER};
use crate::files;
use crate::model::{Details, NodeId, PhaseFailure, TestOutcome};
use crate::project::native_core::{COMPAT, NATIVE};
use crate::settings::Workers;
use crate::split::NotFound;
use crate::split::order::{Known, Order};

/// The version of the protocol that we speak.
const PROTOCOL: u32 = 1;

/// The host's files, by the names under which it looks for them.
const FILES: [(&str, &str); 42] = [
    ("host.py", include_str!("../../../host/host.py")),
    ("loader.py", include_str!("../../../host/loader.py")),
    ("run.py", include_str!("../../../host/run.py")),
    ("event_pipe.py", include_str!("../../../host/event_pipe.py")),
    ("gather.py", include_str!("../../../host/gather.py")),
    ("coverage_log.py", include_str!("../../../host/coverage_log.py")),
    ("parts.py", include_str!("../../../host/parts.py")),
    ("measure.py", include_str!("../../../host/measure.py")),
    ("compat_coverage.py", COMPAT),
    ("native.py", NATIVE),
    ("children.py", include_str!("../../../host/children.py")),
    ("collectors.py", include_str!("../../../host/collectors.py")),
    ("temporary.py", TEMPORARY),
    ("together.py", TOGETHER),
    ("last_failed.py", LAST_FAILED),
    ("random_state.py", include_str!("../../../host/random_state.py")),
    ("endings.py", include_str!("../../../host/endings.py")),
    ("garbage.py", include_str!("../../../host/garbage.py")),
    ("hazards.py", include_str!("../../../host/hazards.py")),
    ("commands.py", include_str!("../../../host/commands.py")),
    ("pytest_reports.py", include_str!("../../../host/pytest_reports.py")),
    ("rows.py", include_str!("../../../host/rows.py")),
    ("session.py", include_str!("../../../host/session.py")),
    ("stacks.py", include_str!("../../../host/stacks.py")),
    ("unit.py", include_str!("../../../host/unit.py")),
    ("writers.py", include_str!("../../../host/writers.py")),
    ("serve.py", include_str!("../../../host/serve.py")),
    ("shards.py", include_str!("../../../host/shards.py")),
    ("whole.py", include_str!("../../../host/whole.py")),
    ("ordering.py", include_str!("../../../host/ordering.py")),
    ("stand_ins.py", include_str!("../../../host/stand_ins.py")),
    ("worker_variables.py", include_str!("../../../host/worker_variables.py")),
    ("worker_names.py", include_str!("../../../host/worker_names.py")),
    ("text.py", include_str!("../../../host/text.py")),
    ("plugins.py", include_str!("../../../host/plugins.py")),
    ("replays.py", include_str!("../../../host/replays.py")),
    ("usage.py", include_str!("../../../host/usage.py")),
    ("workers.py", include_str!("../../../host/workers.py")),
    ("listeners.py", include_str!("../../../host/listeners.py")),
    ("controller.py", include_str!("../../../host/controller.py")),
    ("closing.py", include_str!("../../../host/closing.py")),
    ("roles.py", include_str!("../../../host/roles.py")),
];

/// What a host tells on its own pipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum HostEvent {
    /// The test files in the order of collection, with their sizes: collectors can be told
    /// their shares.
    Files {
        files: Vec<(String, u64)>,
    },
    /// The collection cannot be parted; the host goes on as with none.
    CannotShard {
        why: String,
    },
    /// The host collects itself: the process that stood by to do so is gone.
    HostCollects {},
    /// A worker collects all and forks others; plugins tell it from the host, their controller.
    WorkerCollects {
        why: String,
        /// The host wants to hear of tests.
        replays: u8,
    },
    /// What plugins of the controller have for each worker, in the order of slots.
    Nodes {
        inputs: Vec<String>,
        replays: u8,
    },
    /// A worker has ended its session, and left this for plugins of the controller.
    WorkerDown {
        slot: usize,
        output: String,
        status: Option<i32>,
    },
    /// A plugin that hears of tests wants the session to end, or broke.
    SessionStop {
        why: String,
        text: String,
    },
    /// The controller's session is over.
    SessionEnded(SessionEnd),
    /// A warning of Python, outside of tests.
    PythonWarning {
        text: String,
        #[serde(rename = "where")]
        place: String,
        times: u64,
    },
    /// Tests cannot be run by hosts here.
    CannotHost {
        why: String,
    },
    /// The modules that the test files of a collector have imported.
    Imported {
        modules: Vec<String>,
        /// Files of the project by the names of their modules.
        #[serde(default)]
        files: BTreeMap<String, String>,
    },
    /// The parts of the collection are not the whole.
    Reordered {
        why: String,
        /// Only for the parts of single files.
        #[serde(default)]
        parts: bool,
    },
    CollectorExited {
        collector: usize,
        #[serde(flatten)]
        exit: Exit,
    },
    CollectError {
        id: String,
        text: String,
    },
    CollectSkip {
        id: String,
        reason: String,
    },
    Ids {
        ids: Vec<String>,
        /// From a collector: the number of each file, a place in it where it is parted, and how
        /// many of the tests are there.
        #[serde(default)]
        files: Vec<(usize, usize, usize)>,
        #[serde(default)]
        groups: std::collections::BTreeMap<String, String>,
        #[serde(default)]
        documents: std::collections::BTreeMap<String, String>,
    },
    /// Tests that were to run again, and what runs in their place.
    NotFound(NotFound),
    Collected {
        tests: u64,
        /// From a collector.
        #[serde(default)]
        seconds: Vec<Took>,
        /// Of a process that has shown all tests to hooks of the project.
        order: Option<Order>,
    },
    /// What forks would break or share was looked for: found, and found harmless.
    Looked {
        hazards: Vec<String>,
        harmless: Vec<String>,
    },
    CannotFork {
        hazards: Vec<String>,
    },
    /// A host that runs units itself waits for what its worker has of its own.
    Variables {},
    /// A process that may fork those of tests.
    CollectorStarted {
        pid: i32,
    },
    Hello {
        pid: i32,
        stacks_signal: i32,
        /// What measures, if anything does.
        core: Option<String>,
        /// Why that is not the native core, which was to.
        refused: Option<String>,
    },
    Ready {
        /// The host wants to hear of tests.
        #[serde(default)]
        replays: u8,
    },
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
        /// The units in it, what was found of each, and of how many tests; absent from the
        /// host's own part.
        units: Option<Vec<(u32, UnitData, usize)>>,
        /// What is wrong with files of subprocesses, and in which unit.
        #[serde(default)]
        damaged: Vec<(Option<u32>, String)>,
    },
    Bye {
        exit: i32,
        why: Option<String>,
    },
    #[serde(other)]
    Unknown,
}

/// What collecting a file has taken: the number of the file, seconds, how many of these parts of
/// it could have shared, and what stands for the names in it where it is parted.
pub(super) type Took = (usize, f64, Option<f64>, Option<u32>);

/// Seconds that a unit took to set up fixtures of wide scope.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fixtures {
    session: f64,
}

impl Fixtures {
    /// For those of the session.
    pub(super) fn of_session(self) -> f64 {
        self.session
    }
}

/// What a unit tells on the pipe of its slot. Tests are numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum UnitEvent {
    UnitStarted {
        pid: i32,
        memory: Option<u64>,
    },
    /// The process waits for what its worker has of its own.
    Variables {
        unit: u32,
    },
    Start {
        test: usize,
    },
    Failed {
        test: usize,
        #[serde(flatten)]
        phase_failure: PhaseFailure,
    },
    Rerun {
        test: usize,
        #[serde(flatten)]
        phase_failure: PhaseFailure,
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
    /// What the controller is to hear of the test before, or of the unit's end.
    Replay {
        test: Option<usize>,
        calls: String,
    },
    WorkerDown {
        output: String,
        status: Option<i32>,
    },
    /// A warning of Python: so many times more.
    Warning {
        text: String,
        #[serde(rename = "where")]
        place: String,
        times: u64,
    },
    /// What follows in its process, if anything?
    Next {},
    /// All tests of the unit are over: may the process begin what it was given to follow?
    Through {},
    /// An error that nobody could raise came to light when the tests of the unit were over; its
    /// last one is named.
    LateError {
        test: usize,
        text: String,
    },
    UnitEnded {
        /// The process begins the unit that it was given to follow.
        #[serde(default)]
        goes_on: bool,
        #[serde(default)]
        fixtures: Fixtures,
    },
    UnitBroken {
        text: String,
    },
    UnitExited {
        #[serde(flatten)]
        exit: Exit,
        /// Processes that it has started are still there, and may leave coverage.
        #[serde(default)]
        leftovers: bool,
        /// Seconds of CPU that its process took.
        #[serde(default)]
        cpu: f64,
    },
    #[serde(other)]
    Unknown,
}

impl UnitEvent {
    /// The same with another number for the test that it is about.
    pub(super) fn renumbered(mut self, number: impl Fn(usize) -> usize) -> UnitEvent {
        if let UnitEvent::Start { test }
        | UnitEvent::Failed { test, .. }
        | UnitEvent::Rerun { test, .. }
        | UnitEvent::LateError { test, .. }
        | UnitEvent::Finish { test, .. }
        | UnitEvent::Replay { test: Some(test), .. } = &mut self
        {
            *test = number(*test);
        }
        self
    }
}

/// How much of a unit's coverage there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnitData {
    /// All of it.
    Whole,
    /// That of the tests that ended.
    Partial,
    /// What is not what was written.
    Damaged,
    /// Nothing.
    None,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The host itself.
    Host,
    /// The unit in this slot, numbered over all hosts.
    Slot(usize),
    /// What tests print in this slot.
    Output(usize),
}

/// How a host runs units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In forks of itself, in all slots.
    Fork,
    /// In forks of its collectors, forks themselves, each of which collects a part of the suite.
    Shards,
    /// In its own process, in one slot.
    Spawn,
    /// Not at all: its session hears of tests that run elsewhere.
    Controller,
    /// Not at all: it only puts together what units of other hosts have left.
    Gather,
}

impl Mode {
    /// As the host's configuration names it.
    fn name(self) -> &'static str {
        match self {
            Mode::Fork | Mode::Shards => "fork",
            Mode::Spawn => "spawn",
            Mode::Controller => "controller",
            Mode::Gather => "gather",
        }
    }
}

/// What tells the hosts of a run apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    /// In the order of their start, from 0.
    number: usize,
    /// How it runs units.
    mode: Mode,
    /// The first of its slots.
    slot: usize,
    /// How many slots all hosts have together.
    slots: usize,
    /// How many workers plugins that know workers are told of.
    nodes: usize,
    /// How many processes it may fork to collect, each with pipes of its own.
    collectors: usize,
    /// The ids of the only tests that it is to know; empty: all.
    only: &'a [String],
}

impl<'a> Setup<'a> {
    /// A host of a run with these workers, in this slot where it runs units itself; of tests it is
    /// to know only those with these ids, unless there are none.
    pub(super) fn new(
        job: &Job,
        workers: Workers,
        number: usize,
        mode: Mode,
        slot: usize,
        only: &'a [String],
    ) -> Setup<'a> {
        let collectors = match mode {
            Mode::Shards => job.collecting.collectors as usize,
            Mode::Fork => 1,
            Mode::Spawn | Mode::Controller | Mode::Gather => 0,
        };
        let Workers { start, most, .. } = workers;
        Setup { number, mode, slot, slots: most, nodes: start, collectors, only }
    }

    /// It, and those that it may fork to collect.
    pub(super) fn processes(&self) -> usize {
        1 + self.collectors
    }

    /// It is there to confirm something, behind the slots of the run.
    fn is_trial(&self) -> bool {
        self.mode == Mode::Spawn && self.slot >= self.slots
    }

    /// How many pipes for units it has.
    fn pipes(&self) -> usize {
        match self.mode {
            Mode::Fork | Mode::Shards => self.slots,
            Mode::Spawn => 1,
            Mode::Controller | Mode::Gather => 0,
        }
    }
}

/// A running host, or a collector of one.
#[derive(Debug)]
pub(super) struct Host {
    /// Its process; a collector's is in the group of its host. None where it could not be started.
    child: Option<Arc<Child>>,
    /// Where its output goes.
    log: Utf8PathBuf,
    /// Where its units leave what they have covered.
    work_dir: Utf8PathBuf,
    lines: Vec<Lines>,
    commands: Sender<String>,
}

impl Host {
    /// Starts a host, which is the first of the list; after it come its collectors, numbered on.
    /// What they tell, and the host's end, go to `tell`.
    pub(super) fn start(job: &Job, setup: &Setup<'_>, tell: &Sender<Message>) -> Result<Vec<Host>> {
        let code = job.code.join("fork");
        install(&code)?;
        let mut pipes = Vec::new();
        let host = setup.number;
        let slots = (0..setup.pipes()).map(|at| Source::Slot(setup.slot + at));
        let mut ends = vec![open_pipes(tell, host, slots, &mut pipes)?];
        for collector in 1..=setup.collectors {
            ends.push(open_pipes(tell, host + collector, std::iter::empty(), &mut pipes)?);
        }
        let events = pipes.len();
        let printed: &mut Vec<Lines> = &mut ends[0].1;
        for slot in (0..setup.pipes()).map(|at| setup.slot + at).filter(|_| job.shows_output) {
            let wrap = move |line| Message::Line { host, source: Source::Output(slot), line };
            let (ours, its) = Lines::open(tell.clone(), |_| false, wrap)?;
            printed.push(ours);
            pipes.push(its);
        }
        let log = job.folder.host_log(setup.number);
        let work_dir = job.folder.host(setup.number);
        fs::create_dir_all(&work_dir).with_context(|| format!("failed to make `{work_dir}`"))?;
        let command = command(job, setup, &code, events, pipes.len())?;
        let child = Child::start(&command, &log, pipes, Orphaned::Notices)
            .context("failed to start a host")?;
        let tell = tell.clone();
        child.on_exit(move |status| {
            let _ = tell.send(Message::Exited { host, status });
        })?;
        let child = Arc::new(child);
        let host = |(commands, lines)| Host {
            child: Some(Arc::clone(&child)),
            log: log.clone(),
            work_dir: work_dir.clone(),
            lines,
            commands,
        };
        Ok(ends.into_iter().map(host).collect())
    }

    /// In the place of one that could not be started: what its pipes still say is not that of
    /// another.
    pub(super) fn unstarted(job: &Job, setup: &Setup<'_>) -> Host {
        let log = job.folder.host_log(setup.number);
        let work_dir = job.folder.host(setup.number);
        Host { child: None, log, work_dir, lines: Vec::new(), commands: channel().0 }
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> &Utf8Path {
        &self.log
    }

    /// Its output goes elsewhere: it is that of a worker.
    pub(super) fn logs_to(&mut self, log: Utf8PathBuf) {
        self.log = log;
    }

    /// Ends it at once, with all that it has started.
    pub(super) fn kill_group(&self) {
        self.child.iter().for_each(|child| child.kill_group());
    }

    /// Sends a signal to the process alone.
    pub(super) fn signal(&self, signal: Signal) {
        self.child.iter().for_each(|child| child.signal(signal));
    }

    /// Where a unit leaves what it has covered, and its stacks.
    pub(super) fn unit_folder(&self, unit: u32) -> Utf8PathBuf {
        self.work_dir.join("units").join(unit.to_string())
    }

    /// Sends a command. That the host is gone shows at its other pipes.
    pub(super) fn send(&mut self, command: &Value) {
        let _ = self.commands.send(format!("{command}\n"));
    }

    /// The host is gone: what it said before is still delivered, then the end.
    pub(super) fn end_lines(&mut self) {
        self.lines.iter_mut().for_each(Lines::end);
    }
}

/// After this line a process runs a test, and asks for nothing before it has ended.
fn begins_test(line: &[u8]) -> bool {
    line.starts_with(br#"{"event":"start","#)
}

/// Makes the pipes of one process: for commands, for what it tells itself, and for slots. Its
/// ends are put to `theirs`, in this order.
fn open_pipes(
    tell: &Sender<Message>,
    host: usize,
    slots: impl Iterator<Item = Source>,
    theirs: &mut Vec<OwnedFd>,
) -> Result<(Sender<String>, Vec<Lines>)> {
    let (reader, commands) = std::io::pipe().context("failed to make a pipe")?;
    theirs.push(reader.into());
    let mut lines = Vec::new();
    for source in std::iter::once(Source::Host).chain(slots) {
        let wrap = move |line| Message::Line { host, source, line };
        let (ours, its) = Lines::open(tell.clone(), begins_test, wrap)?;
        lines.push(ours);
        theirs.push(its);
    }
    Ok((write_aside(commands)?, lines))
}

/// Writes to a pipe from a thread of its own: a host that hears nothing must not keep us from
/// ending it.
fn write_aside(mut pipe: PipeWriter) -> Result<Sender<String>> {
    let (lines, to_write) = channel::<String>();
    let write = move || {
        for line in to_write {
            if pipe.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("commands".to_owned()).spawn(write);
    thread.context("failed to start a thread")?;
    Ok(lines)
}

/// Writes the host's files, where they are not there yet.
fn install(folder: &Utf8Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{folder}`"))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        if files::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        files::replace(&path, text).with_context(|| format!("failed to write `{path}`"))?;
    }
    Ok(())
}

/// The command that starts a host, and the file it reads.
///
/// Of its pipes the first `events` are those of the protocol, the rest for what tests print.
fn command(
    job: &Job,
    setup: &Setup<'_>,
    code: &Utf8Path,
    events: usize,
    pipes: usize,
) -> Result<Command> {
    let config = job.folder.host_config(setup.number);
    let mut configured = configuration(job, setup);
    if !setup.only.is_empty() {
        configured["last_failed"] = list_of(job, setup)?.into_string().into();
    }
    files::replace(&config, configured.to_string())
        .with_context(|| format!("failed to write `{config}`"))?;
    let descriptors: Vec<String> = (FIRST_PIPE..).take(pipes).map(|fd| fd.to_string()).collect();
    let (events, printed) = descriptors.split_at(events);
    let (events, printed) = (events.join(","), printed.join(","));
    let args = ["--fds", &events, "--outputs", &printed, "--config", config.as_str()];
    let args = std::iter::once(code.join("host.py").into_string()).chain(args.map(str::to_owned));
    Ok(Command {
        program: job.python.clone(),
        args: args.collect(),
        env: job.variables(),
        dir: job.project.clone(),
    })
}

/// The host's configuration. Everything that is not said is left to the project's own.
fn configuration(job: &Job, setup: &Setup<'_>) -> Value {
    json!({
        "protocol": PROTOCOL,
        "work_dir": job.folder.host(setup.number),
        "slot": setup.slot,
        "slots": setup.slots,
        "nodes": setup.nodes,
        "collectors": if setup.mode == Mode::Shards { setup.collectors } else { 0 },
        "spare": setup.mode == Mode::Fork,
        "engine": setup.mode.name(),
        "args": job.pytest_args,
        "coverage": job.measure.as_ref().map(|measure| coverage(job, setup, measure)),
        "basetemp_file": job.folder.basetemp(),
        "worker_log": job.folder.workers_log(),
        "force_forks": job.force_forks,
        "trial": setup.is_trial(),
        "worker_variables": worker_variables(job),
        "last_failed": job.last_failed,
        "order": job.collecting.order.as_ref().filter(|_| tells_order(setup)).map(|it| order(&it.0, it.1)),
    })
}

/// What the first worker has of its own, for what is imported once for all; none where workers
/// have nothing.
fn worker_variables(job: &Job) -> Option<Variables> {
    job.each_worker.as_ref().map(|workers| workers.ready(0).unwrap_or_default())
}

/// A list for a host that is to know but a few tests, and to import their files alone.
fn list_of(job: &Job, setup: &Setup<'_>) -> Result<Utf8PathBuf> {
    let only = setup.only.iter().map(|id| NodeId(id).file());
    let modules: BTreeSet<&str> = only.collect();
    let list = json!({"ids": setup.only, "files": null, "modules": modules, "narrowed": true});
    let file = job.folder.host_selection(setup.number);
    files::replace(&file, list.to_string()).with_context(|| format!("failed to write `{file}`"))?;
    Ok(file)
}

/// Whether it collects all there is, and by forks, or has it collected so.
fn tells_order(setup: &Setup<'_>) -> bool {
    matches!(setup.mode, Mode::Fork | Mode::Shards) && !setup.is_trial()
}

/// What collectors may count on, where hooks of the project order tests.
fn order(known: &Known, after: f64) -> Value {
    let Known { code, inputs, compared, .. } = known;
    json!({"code": code, "inputs": inputs, "compared": compared, "after": after})
}

fn coverage(job: &Job, setup: &Setup<'_>, measure: &Measure) -> Value {
    let config_file = measure.config_file.as_ref();
    let source = Some(&measure.source).filter(|source| !source.is_empty());
    json!({
        "data_dir": job.folder.host_data(setup.number),
        "config_file": config_file.map_or(Value::Bool(true), |file| file.as_str().into()),
        "source": source,
        "branch": measure.branch,
        "context": measure.contexts.then_some("test"),
        "core": measure.core,
        "insist": measure.insist,
    })
}
