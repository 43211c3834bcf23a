//! The stock engine: for each split one pytest with the well-known plugins, pytest-split for
//! the cut and pytest-xdist for the workers, under `coverage run`. Our plugin only tells.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

use super::child::{self, Child, Command, FIRST_PIPE, Lines, Orphaned};
use super::clock;
use super::event::Event;
use super::journal::{Journal, TestRun, UnitRun};
use super::{
    Happening, Job, LAST_FAILED, Measure, Ran, Refusal, SplitEnd, SplitState, Started, TEMPORARY,
    TOGETHER, orphans, signals, tail,
};
use crate::model::{Blow, Failure, Origin, Part, Phase, Problem, TestOutcome};
use crate::split::{Cut, Plan, Sum, check_union, copies, together, turns_of_splits};

/// Our plugin, and the words by which an interpreter compiles it.
const PLUGIN: &str = include_str!("../../host/stock/xtask_events.py");
const COMPILE: &str = "import importlib.util, json, marshal, os, sys
for name, text in json.load(sys.stdin).items():
    code = compile(text, '<xtask ' + name + '>', 'exec')
    path = os.path.join(sys.argv[1], name + '.pyc')
    with open(path + '.new', 'wb') as file:
        file.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
    os.replace(path + '.new', path)
";

/// What our plugin shares with the hosts of the other engines, a package beside it.
const SHARED: &[(&str, &str)] = &[
    ("xtask_host/__init__", ""),
    ("xtask_host/last_failed", LAST_FAILED),
    ("xtask_host/listeners", include_str!("../../host/listeners.py")),
    ("xtask_host/outlet", include_str!("../../host/outlet.py")),
    ("xtask_host/plugins", include_str!("../../host/plugins.py")),
    ("xtask_host/replays", include_str!("../../host/replays.py")),
    ("xtask_host/usage", include_str!("../../host/usage.py")),
    ("xtask_host/reports", include_str!("../../host/reports.py")),
    ("xtask_host/temporary", TEMPORARY),
    ("xtask_host/text", include_str!("../../host/text.py")),
    ("xtask_host/worker_names", include_str!("../../host/worker_names.py")),
    ("xtask_host/together", TOGETHER),
];

/// pytest's exit status where there were more warnings than `max_warnings` allows.
const MAX_WARNINGS_ERROR: i32 = 6;

/// How many seconds after a test's time limit our plugin ends the whole process, at the least:
/// of the 5 it waits, some may have passed before we heard of the test.
const GRACE: f64 = 4.0;

/// How long a process that is to stop may take for its teardown, and for saving its data.
const POLITE: Duration = Duration::from_millis(1100);
const SAVING: Duration = Duration::from_millis(600);

/// Installs our plugin where [`command`] expects it: as bytecode of this interpreter, under a
/// file name that coverage does not measure.
pub fn prepare(job: &Job) -> Result<()> {
    let folder = plugin_folder(job);
    fs::create_dir_all(folder.join("xtask_host"))
        .with_context(|| format!("failed to make `{folder}`"))?;
    let files: BTreeMap<&str, &str> =
        SHARED.iter().copied().chain([("xtask_events", PLUGIN)]).collect();
    // Files, as pipes to and from it would need threads.
    let (source, said) = (folder.join("source.json"), folder.join("compile.log"));
    let text = serde_json::to_vec(&files)?;
    fs::write(&source, text).with_context(|| format!("failed to write `{source}`"))?;
    let compiled = duct::cmd!(job.python.as_std_path(), "-I", "-c", COMPILE, folder.as_str())
        .stdin_path(&source)
        .stderr_to_stdout()
        .stdout_path(&said)
        .unchecked()
        .run()
        .with_context(|| format!("failed to start `{}`", job.python))?;
    if !compiled.status.success() {
        let said = tail(&said, 40);
        anyhow::bail!("`{}` failed to compile our plugin: {said}", job.python);
    }
    Ok(())
}

fn plugin_folder(job: &Job) -> Utf8PathBuf {
    job.code.join("stock")
}

/// The command of one split in one of the `concurrent` slots, both 1-based. It can be pasted:
/// without the descriptor in `XTASK_STOCK` our plugin tells nobody.
pub fn command(job: &Job, split: u32, slot: u32, pipe: Option<i32>) -> Command {
    let first_worker = (slot - 1) * job.workers;
    // xdist replaces up to 4 workers for each that it starts with.
    let spare_worker = (job.concurrent + (slot - 1) * 4) * job.workers;
    let mut settings = json!({
        "first_worker": first_worker,
        "spare_worker": spare_worker,
        "timeout": job.timeout,
        "context": job.measure.as_ref().filter(|measure| measure.contexts).map(|_| "test"),
        "cut_file": job.folder.split_cut(split),
        "splits": job.splits,
        "worker": (job.workers < 2 && job.concurrent > 1).then(|| json!({
            "PYTEST_XDIST_WORKER": format!("gw{}", slot - 1),
            "PYTEST_XDIST_WORKER_COUNT": job.concurrent.to_string(),
            "PYTEST_XDIST_TESTRUNUID": format!("{:x}", std::process::id()),
        })),
        "last_failed": job.last_failed,
        "basetemp_file": job.folder.basetemp(),
        // One process has nobody to agree with.
        "order_file": (job.splits * job.workers > 1 && pipe.is_some())
            .then(|| job.folder.order()),
        // A single one has what pytest gives it.
        "folder": (job.splits > 1 && pipe.is_some()).then(|| format!("split-{split:02}")),
    });
    if let Some(descriptor) = pipe {
        settings["events"] = descriptor.into();
    }
    let env = [
        ("COVERAGE_FILE", job.folder.split_data(split).into_string()),
        ("PYTHONPATH", python_path(&plugin_folder(job))),
        ("XTASK_STOCK", settings.to_string()),
        ("XTASK_SPLIT", format!("{split}/{}", job.splits)),
        ("XTASK_SLOT", first_worker.to_string()),
    ];
    Command {
        program: job.python.clone(),
        args: arguments(job, split),
        env: env
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain([job.hash_seed()])
            .collect(),
        dir: job.project.clone(),
    }
}

fn python_path(ours: &Utf8Path) -> String {
    match std::env::var("PYTHONPATH") {
        Ok(theirs) if !theirs.is_empty() => format!("{ours}:{theirs}"),
        _ => ours.to_string(),
    }
}

fn arguments(job: &Job, split: u32) -> Vec<String> {
    let mut args = job.measure.as_ref().map(coverage_run).unwrap_or_default();
    args.extend(words(["-m", "pytest"]));
    args.extend(job.pytest_args.iter().chain(&job.stock_args).cloned());
    args.extend(words(["-p", "xtask_events"]));
    if job.splits > 1 {
        args.extend(words(["--splits", &job.splits.to_string(), "--group", &split.to_string()]));
        // A copy for each split: with `--store-durations` in addopts, one would write it while
        // another reads it.
        // In one word: pytest takes the value of an option it does not know yet for a path, and
        // looks for its configuration there.
        args.push(format!("--durations-path={}", job.folder.split_durations(split)));
    }
    if job.xdist {
        let workers = if job.workers > 1 { job.workers } else { 0 };
        args.extend(words(["-n", &workers.to_string()]));
    }
    args
}

fn coverage_run(measure: &Measure) -> Vec<String> {
    let mut args = words(["-m", "coverage", "run", "--parallel-mode"]);
    args.extend(measure.config_file.iter().map(|file| format!("--rcfile={file}")));
    args.extend((measure.branch == Some(true)).then(|| "--branch".to_owned()));
    if !measure.source.is_empty() {
        args.push(format!("--source={}", measure.source.join(",")));
    }
    args
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// Makes the folder of a split, and in it what pytest-split reads.
pub fn prepare_split(job: &Job, split: u32) -> Result<()> {
    let folder = job.folder.split(split);
    fs::create_dir_all(&folder).with_context(|| format!("failed to make `{folder}`"))?;
    if let Some(durations) = &job.durations {
        fs::copy(durations, job.folder.split_durations(split))
            .with_context(|| format!("failed to copy `{durations}`"))?;
    }
    Ok(())
}

/// Runs all splits, and tells `show` what happens.
pub fn run(job: &Job, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    prepare(job)?;
    let (tell, hear) = channel();
    let to_signals = tell.clone();
    let _listening = signals::listen(move |signal| {
        let _ = to_signals.send(Message::Signal(signal));
    });
    let _reaping = orphans::reap()?;
    let journal = Journal::create(&job.folder.results())?;
    if job.shows_output {
        show(Happening::Note(&where_output_is(job)));
    }
    let mut supervisor = Supervisor::new(job, tell, journal, show);
    supervisor.run(&hear)?;
    child::end_descendants();
    Ok(supervisor.finish())
}

/// pytest prints its own progress between the lines of tests, and xdist's workers print nowhere.
fn where_output_is(job: &Job) -> String {
    match job.workers {
        0 | 1 => format!("what tests print is in `{}`, a file for each split", job.folder.logs()),
        _ => {
            "workers of pytest-xdist drop what tests print; `--workers-per-split 1` keeps it in a \
              log, `--engine fork` shows it"
                .to_owned()
        }
    }
}

enum Message {
    Line(u32, Option<String>),
    Exited(u32, ExitStatus),
    Signal(signals::Arrived),
}

struct Running {
    child: Child,
    lines: Lines,
    slot: u32,
    started: Instant,
    status: Option<ExitStatus>,
    drained: bool,
    /// The session told its end: pytest's exit status.
    bye: Option<i32>,
    /// From here on, what goes wrong is no refusal of pytest.
    collected: bool,
    tests: u64,
    failed: u64,
    /// Tests that began and did not end.
    open: Vec<Open>,
    /// Tests that ended, and the lane of each.
    finished: Vec<(u32, TestRun)>,
    workers: Vec<Worker>,
    data: Vec<Utf8PathBuf>,
    /// What processes of tests have begun.
    saved: Vec<Utf8PathBuf>,
    bad_line: Option<String>,
}

/// A test that runs. Which worker of xdist has it is not told: it is given the first lane that
/// is free, of as many as there are workers.
struct Open {
    id: String,
    began: Instant,
    lane: u32,
}

impl Running {
    fn began(&self, id: &str) -> Option<Instant> {
        self.open.iter().find(|open| open.id == id).map(|open| open.began)
    }

    /// A test begins. One that is repeated goes on.
    /// Where several tests have its id, it may be another one of them.
    fn begin(&mut self, id: String, is_shared: bool) {
        if is_shared || self.began(&id).is_none() {
            let taken = |lane: &u32| self.open.iter().any(|open| open.lane == *lane);
            let lane = (0..).find(|lane| !taken(lane)).unwrap_or_default();
            self.open.push(Open { id, began: clock::now(), lane });
        }
    }

    /// What ran in each lane, in order.
    fn lanes(&mut self) -> BTreeMap<u32, Vec<TestRun>> {
        let mut lanes: BTreeMap<u32, Vec<TestRun>> = BTreeMap::new();
        for (lane, test) in self.finished.drain(..) {
            lanes.entry(lane).or_default().push(test);
        }
        lanes
    }
}

struct Worker {
    id: String,
    pid: Pid,
    file: Option<Utf8PathBuf>,
}

/// The two stages after the polite one, when a run is stopped.
enum Next {
    Save(Instant),
    Kill(Instant),
    Nothing,
}

struct Supervisor<'a> {
    job: &'a Job,
    tell: Sender<Message>,
    journal: Journal,
    show: &'a mut dyn FnMut(Happening<'_>),
    waiting: Vec<u32>,
    running: BTreeMap<u32, Running>,
    cuts: BTreeMap<u32, Cut>,
    /// Which splits wait for which, once that is known.
    turns: Option<BTreeMap<u32, BTreeSet<u32>>>,
    /// The ids that several tests have.
    shared: HashSet<String>,
    stopping: Option<Next>,
    ran: Ran,
    /// pytest's limit, where there is one.
    max_warnings: Option<u64>,
    /// The plugins that were named for hearing of a part of the tests only.
    told_parts: BTreeSet<String>,
}

impl<'a> Supervisor<'a> {
    fn new(
        job: &'a Job,
        tell: Sender<Message>,
        journal: Journal,
        show: &'a mut dyn FnMut(Happening<'_>),
    ) -> Self {
        let ran = Ran::new(job.budget);
        let waiting = order(job);
        Supervisor {
            job,
            tell,
            journal,
            show,
            waiting,
            running: BTreeMap::new(),
            cuts: BTreeMap::new(),
            turns: None,
            shared: HashSet::new(),
            stopping: None,
            ran,
            max_warnings: None,
            told_parts: BTreeSet::new(),
        }
    }

    fn run(&mut self, hear: &Receiver<Message>) -> Result<()> {
        loop {
            self.start_what_fits()?;
            if self.running.is_empty() {
                return Ok(());
            }
            match self.next_message(hear) {
                Some(Message::Line(split, line)) => self.heard(split, line),
                Some(Message::Exited(split, status)) => self.exited(split, status),
                Some(Message::Signal(signal)) => self.signalled(signal.hear()),
                None => self.next_stage(),
            }
        }
    }

    /// None when the next stage of stopping is due.
    fn next_message(&self, hear: &Receiver<Message>) -> Option<Message> {
        let due = match self.stopping {
            Some(Next::Save(due) | Next::Kill(due)) => due,
            Some(Next::Nothing) | None => return hear.recv().ok(),
        };
        hear.recv_timeout(due.saturating_duration_since(clock::now())).ok()
    }

    fn start_what_fits(&mut self) -> Result<()> {
        while self.stopping.is_none() && self.running.len() < self.job.concurrent as usize {
            let Some(at) = self.next_split() else { return Ok(()) };
            let split = self.waiting.remove(at);
            let taken = |slot: &u32| self.running.values().any(|running| running.slot == *slot);
            let slot = (1..=self.job.concurrent).find(|slot| !taken(slot)).unwrap_or(1);
            let running = self.start(split, slot)?;
            self.running.insert(split, running);
            (self.show)(Happening::SplitStarted { split, of: self.job.splits });
        }
        Ok(())
    }

    /// The place of the split to start next, if one may: the last one, unless `--dist` keeps
    /// tests together that the splits have cut apart. Which ones that is known when the first
    /// split has collected.
    fn next_split(&self) -> Option<usize> {
        if self.job.dist.is_none() {
            return self.waiting.len().checked_sub(1);
        }
        let places = 0..self.waiting.len();
        let Some(turns) = &self.turns else {
            return places.min_by_key(|&at| self.waiting[at]).filter(|_| self.running.is_empty());
        };
        let is_over =
            |split: &u32| !self.waiting.contains(split) && !self.running.contains_key(split);
        let may_run =
            |&at: &usize| turns.get(&self.waiting[at]).is_none_or(|it| it.iter().all(is_over));
        places.rev().find(may_run)
    }

    /// Which splits wait for others is known from what the first one has collected.
    fn take_turns(&mut self, cut: &Cut) {
        let Job { splits, dist, committed, python_version, .. } = self.job;
        if dist.is_none() {
            return;
        }
        let groups = together(&cut.before, &cut.marks, *dist);
        let plan =
            Plan::new(cut.before.clone(), committed, *splits, Sum::of_python(python_version));
        let turns = turns_of_splits(&plan.with_whole_documents(&cut.marks.documents), &groups);
        let waiting = turns.values().filter(|others| !others.is_empty()).count();
        if waiting > 0 && self.job.concurrent > 1 {
            let why = format!(
                "{waiting} of {splits} splits wait for others, as pytest-split cuts what `--dist` \
                 keeps together"
            );
            (self.show)(Happening::Note(&why));
        }
        self.turns = Some(turns);
    }

    fn start(&self, split: u32, slot: u32) -> Result<Running> {
        let what = || format!("failed to start split {split} of {}", self.job.splits);
        prepare_split(self.job, split).with_context(what)?;
        let wrap = move |line| Message::Line(split, line);
        let (lines, pipe) = Lines::open(self.tell.clone(), |_| false, wrap).with_context(what)?;
        let command = command(self.job, split, slot, Some(FIRST_PIPE));
        let child =
            Child::start(&command, &self.job.folder.split_log(split), vec![pipe], Orphaned::Killed)
                .with_context(what)?;
        // Before it has started anything: workers of xdist inherit it.
        child.raise_oom_score();
        let tell = self.tell.clone();
        let exited = move |status| {
            let _ = tell.send(Message::Exited(split, status));
        };
        child.on_exit(exited).with_context(what)?;
        Ok(Running {
            child,
            lines,
            slot,
            started: clock::now(),
            status: None,
            drained: false,
            bye: None,
            collected: false,
            tests: 0,
            failed: 0,
            open: Vec::new(),
            finished: Vec::new(),
            workers: Vec::new(),
            data: Vec::new(),
            saved: Vec::new(),
            bad_line: None,
        })
    }

    fn heard(&mut self, split: u32, line: Option<String>) {
        match line.as_deref().map(serde_json::from_str::<Event>) {
            Some(Ok(event)) => self.happened(split, event),
            Some(Err(error)) => {
                let bad = format!("sent an event that cannot be read: {error}");
                self.of(split, |running| running.bad_line = Some(bad));
            }
            None => {
                self.of(split, |running| running.drained = true);
                self.ended(split);
            }
        }
    }

    fn of(&mut self, split: u32, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.running.get_mut(&split) {
            change(running);
        }
    }

    fn happened(&mut self, split: u32, event: Event) {
        match event {
            Event::Hello { .. } => {}
            Event::Worker { id, pid, file } => {
                let worker = Worker { id, pid: Pid::from_raw(pid), file };
                self.of(split, |running| running.workers.push(worker));
            }
            Event::WorkerLost { id, text } => self.worker_lost(split, &id, &text),
            Event::CollectError { id, text } => {
                self.failed(self.failure(split, id, Blow::new(Phase::Collect, text)));
                if !self.job.continue_on_collection_errors {
                    // There may be more of them: pytest goes on until it has seen every file.
                    self.ran.uncollectable = true;
                    self.waiting.clear();
                }
            }
            Event::CollectSkip { id, reason } => self.ran.ledger.skipped_file(&id, reason),
            Event::Collected { .. } => {
                self.of(split, |running| running.collected = true);
                self.read_cut(split);
            }
            Event::Start { id } => {
                self.tell_start(split, &id);
                let is_shared = self.shared.contains(&id);
                self.of(split, |running| running.begin(id, is_shared));
            }
            Event::Failed { id, copy, blow } if blow.phase == Phase::Crash => {
                let began = self.running.get(&split).and_then(|running| running.began(&id));
                let (phase, why) = self.reason_of_death(began);
                let text = format!("{}{why}", blow.text);
                let copy = self.copy(split, &id, copy);
                self.failed(self.failure(split, id, Blow { phase, text, ..blow }).of_copy(copy));
            }
            Event::Failed { id, copy, blow } => {
                let copy = self.copy(split, &id, copy);
                self.failed(self.failure(split, id, blow).of_copy(copy));
            }
            Event::Rerun { id, copy, blow } => {
                let copy = self.copy(split, &id, copy);
                let attempt = self.failure(split, id, blow).of_copy(copy);
                self.ran.ledger.rerun(attempt);
            }
            Event::Finish { id, copy, outcome, details } => {
                let copy = self.copy(split, &id, copy);
                self.test_ended(split, &id, copy, outcome, details.seconds.total());
                self.ran.ledger.finished(&id, copy, outcome, details);
                (self.show)(Happening::TestEnded { id: &id, outcome });
            }
            Event::Data { file } => self.of(split, |running| running.data.push(file)),
            Event::Saved { files } => self.of(split, |running| running.saved.extend(files)),
            Event::Warning { text, place, once: true } => {
                self.ran.warnings.add_once(text, place, 1);
            }
            Event::Warning { text, place, once: false } => self.ran.warnings.add(text, place, 1),
            Event::HearsAPart { name } => self.hears_a_part(&name),
            Event::ClosingWords { text } => self.ran.closing_words.push(text),
            Event::Bye { exit, was, max_warnings } => {
                self.max_warnings = max_warnings.or(self.max_warnings);
                self.session_ended(split, exit, was);
            }
        }
    }

    /// A plugin writes down what it hears at the end of a session, and there are several.
    fn hears_a_part(&mut self, name: &str) {
        if self.told_parts.insert(name.to_owned()) {
            let text = format!(
                "{name} hears of the tests of one split at a time, so what it writes at the end is \
                 that of one; `--engine fork`, or `--splits 1`, has it hear of all"
            );
            (self.show)(Happening::Note(&text));
        }
    }

    /// The status of a split's session, and what it was before plugins had their say. Too many
    /// warnings are counted over all splits.
    fn session_ended(&mut self, split: u32, exit: i32, was: Option<i32>) {
        let own = was.filter(|&was| was != exit && exit != MAX_WARNINGS_ERROR);
        if own == Some(0) {
            let what = format!("pytest's session of split {split} ended with exit status {exit}");
            self.ran.findings.push(format!("{what}, which a plugin set, though no test failed"));
        }
        let exit =
            if own == Some(0) || exit == MAX_WARNINGS_ERROR { 0 } else { was.unwrap_or(exit) };
        self.of(split, |running| running.bye = Some(exit));
    }

    /// What pytest would say of the warnings of all splits.
    fn count_warnings(&mut self) {
        let total = self.ran.warnings.total();
        let Some(most) = self.max_warnings.filter(|&most| total > most) else { return };
        if self.stopping.is_none() && self.ran.ledger.failures().is_empty() {
            let what = format!("{total} warnings are more than `max_warnings = {most}` allows");
            self.ran.findings.push(format!("pytest would end with exit status 6: {what}"));
        }
    }

    /// Which of the tests with its id a test is, over all splits; `copy` is that of its split.
    fn copy(&self, split: u32, id: &str, copy: u32) -> u32 {
        const MOST: u32 = 1 << 16;
        if self.shared.contains(id) { split.saturating_mul(MOST) + copy.min(MOST - 1) } else { 0 }
    }

    fn test_ended(&mut self, split: u32, id: &str, copy: u32, outcome: TestOutcome, seconds: f64) {
        let Some(running) = self.running.get_mut(&split) else { return };
        running.tests += 1;
        running.failed += u64::from(outcome.is_failure());
        let Some(at) = running.open.iter().position(|open| open.id == id) else { return };
        let Open { id, began, lane } = running.open.remove(at);
        let run = TestRun { id, copy, outcome, started: self.journal.at(began), seconds };
        running.finished.push((lane, run));
    }

    fn failure(&self, split: u32, id: String, blow: Blow) -> Failure {
        Failure::new(id, Some(split), blow, Some(self.job.folder.split_log(split)))
    }

    fn failed(&mut self, failure: Failure) {
        if !self.ran.ledger.failed(failure.clone()) {
            return;
        }
        (self.show)(Happening::Failed(&failure));
        if self.ran.ledger.exhausted() {
            self.ran.aborted = true;
            self.stop("the failure budget is used up");
        }
    }

    /// A crash of a worker is a failed test for xdist; what the worker had measured is gone.
    fn worker_lost(&mut self, split: u32, id: &str, text: &str) {
        let Some(running) = self.running.get_mut(&split) else { return };
        let Some(at) = running.workers.iter().position(|worker| worker.id == id) else { return };
        running.workers.remove(at);
        // Its data file may be there: coverage makes it long before there is anything in it.
        if self.stopping.is_none() && self.job.measure.is_some() {
            let what = format!("lost worker {id} and the coverage it had measured ({text})");
            self.ran.problems.push(Problem { split: Some(split), file: None, what });
        }
    }

    fn read_cut(&mut self, split: u32) {
        let read = fs::read_to_string(self.job.folder.split_cut(split)).ok();
        if let Some(cut) = read.and_then(|text| serde_json::from_str::<Cut>(&text).ok()) {
            let is_whole = self.job.portion.is_whole();
            let tests = if is_whole { &cut.before } else { &cut.after };
            self.ran.ledger.collected(tests.len() as u64);
            if self.cuts.is_empty() {
                self.tell_plan(tests);
                (self.show)(Happening::NotFound(&cut.not_found));
                self.ran.not_found.clone_from(&cut.not_found);
                self.ran.planned.clone_from(tests);
                self.check_share(split, &cut);
                let repeated = copies(&cut.before).into_keys();
                self.take_turns(&cut);
                self.shared = repeated.map(|test| cut.before[test].clone()).collect();
            }
            self.cuts.insert(split, cut);
        }
    }

    /// What pytest-split gives a shard must be what every other machine takes for its share.
    fn check_share(&mut self, split: u32, cut: &Cut) {
        if self.job.portion.is_whole() && self.job.planned.is_none() {
            return;
        }
        let mut problem = |what| {
            self.ran.problems.push(Problem { split: Some(split), file: None, what });
        };
        match self.job.cut(cut.before.clone(), &cut.marks) {
            Ok((plan, share)) => {
                let ours: Vec<&String> = plan
                    .splits
                    .iter()
                    .filter(|it| it.number == split)
                    .flat_map(|it| &it.tests)
                    .map(|&test| &plan.ids[test])
                    .collect();
                if ours != cut.after.iter().collect::<Vec<_>>() {
                    let why = "has other tests of pytest-split than it was planned to have; use \
                               `--engine fork`";
                    problem(why.to_owned());
                }
                self.ran.share = share;
            }
            Err(why) => problem(why),
        }
    }

    fn tell_plan(&mut self, ids: &[String]) {
        let known: Vec<f64> = ids.iter().filter_map(|id| self.job.recorded.get(id)).collect();
        // A test that is not known is taken for one like the others.
        let share = known.len() as f64 / ids.len() as f64;
        let seconds = (!known.is_empty()).then(|| known.iter().sum::<f64>() / share);
        let slots = (self.job.concurrent * self.job.workers) as usize;
        (self.show)(Happening::Planned { tests: ids.len() as u64, seconds, slots });
    }

    /// Which worker of xdist runs it is not told, so the process is known only without them.
    fn tell_start(&mut self, split: u32, id: &str) {
        let Some(running) = self.running.get(&split) else { return };
        let pid = running.workers.is_empty().then(|| running.child.id());
        let expected = self.job.recorded.get(id).unwrap_or(0.0);
        (self.show)(Happening::TestStarted(Started { id, split: Some(split), pid, expected }));
    }

    fn exited(&mut self, split: u32, status: ExitStatus) {
        self.of(split, |running| {
            running.status = Some(status);
            // What a test left behind must not live on, nor hold the pipe.
            running.child.kill_group();
            running.lines.end();
        });
        self.ended(split);
    }

    /// A split has ended when its process has, and all it told was heard.
    fn ended(&mut self, split: u32) {
        let both = |running: &Running| running.status.filter(|_| running.drained);
        let Some(status) = self.running.get(&split).and_then(both) else { return };
        let Some(mut running) = self.running.remove(&split) else { return };
        let state = self.judge(split, &running, status);
        if matches!(state, SplitState::Died(_)) {
            self.bury(&mut running);
        }
        self.keep(split, &mut running, state == SplitState::Completed);
        if state == SplitState::Completed && self.job.measure.is_some() {
            self.expect_data(split, &running);
        }
        let end = SplitEnd {
            split,
            of: self.job.splits,
            tests: running.tests,
            failed: running.failed,
            took: clock::since(running.started),
            state,
            log: self.job.folder.split_log(split),
        };
        (self.show)(Happening::SplitEnded(&end));
        self.ran.splits.push(end);
    }

    /// The tests that a dead process was running have ended with it.
    fn bury(&self, running: &mut Running) {
        for Open { id, began, lane } in running.open.drain(..) {
            let (started, seconds) = (self.journal.at(began), clock::since(began).as_secs_f64());
            let outcome = TestOutcome::Crashed;
            running.finished.push((lane, TestRun { id, copy: 0, outcome, started, seconds }));
        }
    }

    /// Keeps what a split has run, a unit for each lane.
    fn keep(&mut self, split: u32, running: &mut Running, whole: bool) {
        let first = (running.slot - 1) * self.job.workers;
        for (lane, tests) in running.lanes() {
            let run = UnitRun {
                unit: u32::try_from(self.ran.units.len()).unwrap_or(u32::MAX),
                split,
                slot: (first + lane) as usize,
                started: self.journal.at(running.started),
                ended: self.journal.at(clock::now()),
                whole,
                tests,
            };
            if let Err(error) = self.journal.add(&run) {
                (self.show)(Happening::Warning(format!("{error:#}")));
            }
            self.ran.units.push(run);
        }
    }

    fn judge(&mut self, split: u32, running: &Running, status: ExitStatus) -> SplitState {
        if self.ran.uncollectable {
            self.stop("a file cannot be collected");
            return SplitState::Stopped;
        }
        // 0: passed, 1: failures, 5: no tests in this group.
        let share = self.cuts.get(&split).map_or(0, |cut| cut.after.len() as u64);
        let has_run_all = running.tests >= share;
        let ended_well = matches!(running.bye, Some(0 | 1 | 5)) && running.bad_line.is_none();
        if ended_well && (has_run_all || self.stopping.is_some()) {
            return SplitState::Completed;
        }
        if self.stopping.is_some() {
            return SplitState::Stopped;
        }
        if let Some(exit) = running.bye.filter(|exit| running.collected && !matches!(exit, 3 | 4)) {
            return self.stopped_itself(split, exit);
        }
        match running.bye.or(status.code()) {
            Some(exit @ (3 | 4)) if !running.collected => self.refused(split, exit == 4),
            _ => self.died(split, running, status),
        }
    }

    /// `pytest.exit`, a KeyboardInterrupt, a plugin's `shouldstop`: a sequential run ends here.
    fn stopped_itself(&mut self, split: u32, exit: i32) -> SplitState {
        let log = self.job.folder.split_log(split);
        let what =
            format!("split {split} was stopped from within, with pytest's exit status {exit}");
        self.ran.findings.push(format!("{what}; see `{log}`"));
        self.ran.stopped = true;
        self.stop("a test or a plugin stopped the session");
        SplitState::Stopped
    }

    fn refused(&mut self, split: u32, usage: bool) -> SplitState {
        let text = tail(&self.job.folder.split_log(split), 40);
        self.ran.refused = Some(Refusal { text, usage });
        self.stop("pytest refused to run");
        SplitState::Died("pytest refused to run".to_owned())
    }

    /// The process is gone, and with it all it had measured: named, never passed over.
    fn died(&mut self, split: u32, running: &Running, status: ExitStatus) -> SplitState {
        let how = match (&running.bad_line, running.bye) {
            (Some(bad), _) => bad.clone(),
            (None, Some(3)) => "met an error inside of pytest or a plugin".to_owned(),
            (None, Some(exit)) => format!("ended with pytest's exit status {exit}"),
            (None, None) if status.core_dumped() || status.signal().is_some() => {
                format!("was ended by {}", child::describe(status))
            }
            (None, None) => format!("ended early with {}", child::describe(status)),
        };
        // With workers the controller names the test of a dead worker itself.
        for Open { id, began, .. } in &running.open {
            let (phase, why) = self.reason_of_death(Some(*began));
            let text = format!("its process {how} while this test ran{why}");
            let copy = self.copy(split, id, u32::MAX);
            self.failed(self.failure(split, id.clone(), Blow::new(phase, text)).of_copy(copy));
        }
        let lost = if self.job.measure.is_some() { "; its coverage is lost" } else { "" };
        let what = format!("{how}{lost}");
        self.ran.problems.push(Problem { split: Some(split), file: None, what });
        SplitState::Died(how)
    }

    /// Our plugin ends a process whose test does not heed its time limit.
    fn reason_of_death(&self, began: Option<Instant>) -> (Phase, String) {
        match (self.job.timeout, began) {
            (Some(limit), Some(began)) if clock::since(began).as_secs_f64() > limit + GRACE => {
                (Phase::Timeout, format!(": it ran longer than {limit} s and could not be stopped"))
            }
            _ => (Phase::Crash, String::new()),
        }
    }

    fn expect_data(&mut self, split: u32, running: &Running) {
        self.ran.expected.splits.insert(split);
        let workers = running.workers.iter().filter_map(|worker| worker.file.as_ref());
        let files: Vec<&Utf8PathBuf> = running.data.iter().chain(workers).collect();
        let others = running.saved.iter().filter(|file| !files.contains(file));
        let part =
            |file: &Utf8PathBuf, origin| Part { split: Some(split), file: saved_as(file), origin };
        let own = files.iter().map(|file| part(file, Origin::Tests));
        let others = others.map(|file| part(file, Origin::Begun));
        self.ran.expected.parts.extend(own.chain(others));
    }

    fn signalled(&mut self, signal: i32) {
        let again = self.ran.interrupted.is_some();
        self.ran.interrupted = Some(signal);
        self.ran.ledger.close();
        self.stop("interrupted");
        if again {
            self.running.values().for_each(|running| running.child.kill_group());
        }
    }

    /// Ends everything in three stages: a polite word, so that fixtures are torn down and data
    /// is saved; the demand to save and leave; the end.
    fn stop(&mut self, why: &str) {
        if self.stopping.is_some() {
            return;
        }
        self.waiting.clear();
        self.ran.ledger.close();
        (self.show)(Happening::Stopping(why));
        self.running.values().for_each(|running| running.child.signal(Signal::SIGINT));
        self.stopping = Some(Next::Save(clock::now() + POLITE));
    }

    /// The time that it waited for may have been one in which all stood still.
    fn next_stage(&mut self) {
        let now = clock::now();
        match self.stopping {
            Some(Next::Save(due) | Next::Kill(due)) if due > now => {}
            Some(Next::Save(_)) => {
                self.running.values().for_each(save_and_leave);
                self.stopping = Some(Next::Kill(clock::now() + SAVING));
            }
            Some(Next::Kill(_)) => {
                self.running.values().for_each(|running| running.child.kill_group());
                self.stopping = Some(Next::Nothing);
            }
            Some(Next::Nothing) | None => {}
        }
    }

    fn finish(mut self) -> Ran {
        let has_all = self.job.splits > 1 && self.job.portion.is_whole();
        if self.stopping.is_none() && self.ran.problems.is_empty() && has_all {
            self.check_union();
        }
        self.count_warnings();
        if self.cuts.len() == self.job.splits as usize {
            // Each split has its own ids where they change from one collection to the next.
            self.ran.planned = self.cuts.into_values().flat_map(|cut| cut.after).collect();
        }
        self.ran
    }

    /// Every test must have been in exactly one split.
    fn check_union(&mut self) {
        let wrong = check_union(&self.cuts);
        let suspects = match self.job.reordering.as_slice() {
            [] => String::new(),
            names => format!("; the order of {} changes from split to split", names.join(", ")),
        };
        self.ran.problems.extend(wrong.into_iter().map(|what| Problem {
            split: None,
            file: None,
            what: format!("{what}{suspects}"),
        }));
    }
}

/// The name that a data file has now. Newer versions of coverage add a hash of the data when
/// they save: `data.host.pid1.Xabc` becomes `data.host.pid1.Xabc.Hdef`.
fn saved_as(announced: &Utf8Path) -> Utf8PathBuf {
    let with_hash = || {
        let prefix = format!("{}.H", announced.file_name()?);
        let files = announced.parent()?.read_dir_utf8().ok()?.flatten();
        let found = files.filter(|file| file.file_name().starts_with(&prefix));
        found.map(|file| file.into_path()).min()
    };
    if announced.exists() {
        announced.to_path_buf()
    } else {
        with_hash().unwrap_or(announced.into())
    }
}

#[cfg(target_os = "linux")]
fn save_and_leave(running: &Running) {
    running.workers.iter().for_each(|worker| child::send(worker.pid, Signal::SIGPWR));
    // The controller would start a new worker for each that is gone: it goes too.
    running.child.signal(Signal::SIGPWR);
}

#[cfg(not(target_os = "linux"))]
fn save_and_leave(running: &Running) {
    running.child.signal(Signal::SIGINT);
}

/// The splits, the one to start first last: the longest, and where nothing is known, the first.
fn order(job: &Job) -> Vec<u32> {
    let mut order: Vec<u32> = job.splits_here().rev().collect();
    let seconds = |split: &u32| job.expected.get(split).copied().unwrap_or(0.0);
    order.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    order
}
