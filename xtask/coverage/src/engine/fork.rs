//! The fork engine: one host collects the suite once, and runs each unit in a fork of itself.
//! Here is decided what runs next, when to stop and what to kill; the host obeys and tells.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::child;
use super::event::TestOutcome;
use super::host::{Host, HostEvent, Source, UnitData, UnitEvent};
use super::{Happening, Job, Ran, Refusal, SplitEnd, SplitState, signals, tail};
use crate::report::failures::{Blow, Failure, Phase};
use crate::shard::combine::{Origin, Part, Problem};
use crate::split::{Grain, Plan, Sum, Unit, units};

/// How long the host may take to write down the stacks of a test that runs too long.
const STACKS: Duration = Duration::from_secs(3);
/// How long a unit may wait, after its last test, for what its tests have left running.
const LEAVING: Duration = Duration::from_secs(10);
/// How long the host may take, once told to finish after an interruption.
const FINISHING: Duration = Duration::from_secs(4);
/// How long it may take where it runs the tests itself and may be busy with one.
const BLOCKED: Duration = Duration::from_millis(1500);
/// How many units in a row may die outside of any test before we stop starting new ones.
const DEATHS: u32 = 3;

/// Runs the suite, and tells `show` what happens.
pub fn run(job: &Job, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    let (tell, hear) = channel();
    let to_signals = tell.clone();
    let _listening = signals::listen(move |signal| {
        let _ = to_signals.send(Message::Signal(signal));
    });
    for folder in ["host", "data"] {
        let folder = job.folders.parts.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make `{folder}`"))?;
    }
    let slots = (job.concurrent * job.workers).max(1) as usize;
    let host = start(job, slots, &tell)?;
    let mut conductor = Conductor::new(job, slots, host, show);
    conductor.run(&hear);
    child::end_descendants();
    Ok(conductor.ran())
}

fn start(job: &Job, slots: usize, tell: &Sender<Message>) -> Result<Host> {
    let host = Host::start(job, slots, tell, Message::Line).context("failed to start the host")?;
    let tell = tell.clone();
    host.child.on_exit(move |status| {
        let _ = tell.send(Message::Exited(status));
    });
    Ok(host)
}

enum Message {
    Line(Source, Option<String>),
    Exited(ExitStatus),
    Signal(i32),
}

/// What runs in a slot.
struct Busy {
    number: u32,
    unit: Unit,
    pid: Option<i32>,
    /// The test that has begun and not ended.
    test: Option<(usize, Instant)>,
    finished: Vec<usize>,
    /// `unit-ended` came, at this moment: all results are safe.
    ended: Option<Instant>,
    limit: Limit,
    /// A line of it could not be read: right before its death that is one it did not live to end.
    garbled: bool,
}

/// How far the end of a test that runs too long has come.
enum Limit {
    Within,
    AskedForStacks(Instant),
    Killed(String),
}

/// What is known of a split while it runs.
struct Progress {
    started: Option<Instant>,
    left: usize,
    tests: u64,
    failed: u64,
    units: usize,
}

/// How far a run has come.
#[derive(PartialEq)]
enum Stage {
    Collecting,
    Running,
    /// All units were told to end, and must be gone by then; their results do not count.
    Aborting(Instant),
    /// The host was told to finish, and must be done by then if it has an end.
    Finishing(Option<Instant>),
    Done,
}

struct Conductor<'a> {
    job: &'a Job,
    host: Host,
    show: &'a mut dyn FnMut(Happening<'_>),
    started: Instant,
    stage: Stage,
    plan: Plan,
    ids: Vec<String>,
    groups: BTreeMap<usize, String>,
    queue: VecDeque<Unit>,
    slots: Vec<Option<Busy>>,
    splits: BTreeMap<u32, Progress>,
    next_unit: u32,
    deaths: u32,
    /// The host runs all units itself, and hears nothing while it does.
    serial: bool,
    collected: bool,
    bye: Option<i32>,
    status: Option<ExitStatus>,
    ran: Ran,
}

impl<'a> Conductor<'a> {
    fn new(
        job: &'a Job,
        slots: usize,
        host: Host,
        show: &'a mut dyn FnMut(Happening<'_>),
    ) -> Conductor<'a> {
        Conductor {
            job,
            host,
            show,
            started: Instant::now(),
            stage: Stage::Collecting,
            plan: Plan { ids: Vec::new(), seconds: Vec::new(), splits: Vec::new() },
            ids: Vec::new(),
            groups: BTreeMap::new(),
            queue: VecDeque::new(),
            slots: (0..slots).map(|_| None).collect(),
            splits: BTreeMap::new(),
            next_unit: 0,
            deaths: 0,
            serial: false,
            collected: false,
            bye: None,
            status: None,
            ran: Ran::new(job.budget),
        }
    }

    fn run(&mut self, hear: &Receiver<Message>) {
        while self.stage != Stage::Done {
            match self.next_message(hear) {
                Some(Message::Line(source, Some(line))) => self.heard(source, &line),
                Some(Message::Line(Source::Host, None)) => self.host_fell_silent(),
                Some(Message::Line(Source::Slot(_), None)) => {}
                Some(Message::Exited(status)) => self.exited(status),
                Some(Message::Signal(signal)) => self.signalled(signal),
                None => self.overdue(),
            }
            self.go_on();
        }
    }

    /// None when something is overdue.
    fn next_message(&self, hear: &Receiver<Message>) -> Option<Message> {
        let Some(due) = self.due() else { return hear.recv().ok() };
        hear.recv_timeout(due.saturating_duration_since(Instant::now())).ok()
    }

    /// The next moment at which something must be done although nothing is heard.
    fn due(&self) -> Option<Instant> {
        let units = self.slots.iter().flatten().filter_map(|busy| busy.due(self.job.timeout));
        units.chain(self.deadline()).min()
    }

    /// When the host is killed, unless it has done what it was told.
    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Aborting(due) => Some(due),
            Stage::Finishing(due) => due,
            Stage::Collecting | Stage::Running | Stage::Done => None,
        }
    }

    fn heard(&mut self, source: Source, line: &str) {
        match source {
            Source::Host => match serde_json::from_str(line) {
                Ok(event) => self.host_says(event),
                Err(error) => self.broken(&format!("said what cannot be read ({error}): {line}")),
            },
            // A line that its unit did not live to end is followed by `unit-exited`.
            Source::Slot(slot) => match serde_json::from_str(line) {
                Ok(event) => self.unit_says(slot, event),
                Err(_) => self.busy(slot, |busy| busy.garbled = true),
            },
        }
    }

    fn host_says(&mut self, event: HostEvent) {
        match event {
            HostEvent::Unknown => {}
            HostEvent::CollectError { id, text } => {
                self.failed(id, None, Blow::new(Phase::Collect, text));
            }
            HostEvent::CollectSkip { id, reason } => self.ran.ledger.skipped_file(&id, reason),
            HostEvent::Ids { first, ids, groups } => {
                debug_assert_eq!(first, self.ids.len());
                self.ids.extend(ids);
                let index = |(test, group): (String, String)| Some((test.parse().ok()?, group));
                self.groups.extend(groups.into_iter().filter_map(index));
            }
            HostEvent::Collected { tests } => {
                self.collected = true;
                self.ran.ledger.collected(tests);
            }
            HostEvent::CannotFork { threads, native, names } => {
                self.cannot_fork(threads, native, &names);
            }
            HostEvent::Ready { .. } => self.ready(),
            HostEvent::Stacks { unit, text } => self.stacks(unit, text),
            HostEvent::Warning { text } => (self.show)(Happening::Warning(text)),
            HostEvent::Error { text } => self.broken(&format!("reported an error: {text}")),
            HostEvent::Data { split, file, damaged } => self.data(split, file, damaged),
            HostEvent::Bye { exit } => self.bye(exit),
        }
    }

    /// One process does all the work then: slower, but right.
    fn cannot_fork(&mut self, threads: u64, native: u64, names: &[String]) {
        let names =
            if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let unknown =
            if native > 0 { format!(", {native} of them not Python's") } else { String::new() };
        let why = format!(
            "{threads} threads are alive after collection{names}{unknown}, so forks are not safe: \
             one process runs all tests; `--engine stock` runs them in parallel"
        );
        (self.show)(Happening::Warning(why));
        self.slots.truncate(1);
        self.serial = true;
    }

    fn ready(&mut self) {
        self.ran.collect_seconds = self.started.elapsed().as_secs_f64();
        if self.stage != Stage::Collecting {
            return;
        }
        let committed = &self.job.committed;
        let sum = Sum::of_python(&self.job.python_version);
        let ids = std::mem::take(&mut self.ids);
        self.plan = Plan::new(ids, committed, self.job.splits, sum);
        self.plan.predict(&self.job.recorded);
        let units = units(&self.plan, &self.groups, self.grain());
        for split in &self.plan.splits {
            let units = units.iter().filter(|unit| unit.split == split.number).count();
            let progress = Progress { started: None, left: units, tests: 0, failed: 0, units };
            self.splits.insert(split.number, progress);
        }
        self.queue = units.into();
        self.stage = Stage::Running;
        let empty: Vec<u32> =
            self.splits.iter().filter(|(_, it)| it.left == 0).map(|(&n, _)| n).collect();
        empty.into_iter().for_each(|split| self.split_ended(split));
    }

    /// Without any duration a file is a unit: there is nothing to weigh files by.
    fn grain(&self) -> Grain {
        let known = self.plan.ids.iter().any(|id| self.job.recorded.get(id).is_some());
        match known {
            true => Grain::for_slots(self.plan.total(), self.slots.len()),
            false => Grain { target: 0.0, tail: f64::INFINITY },
        }
    }

    fn unit_says(&mut self, slot: usize, event: UnitEvent) {
        match event {
            UnitEvent::UnitStarted { pid } => {
                // In a serial run that is the host, which is not to be killed with the unit.
                let pid = (!self.serial).then_some(pid);
                self.busy(slot, |busy| busy.pid = pid);
            }
            UnitEvent::Start { test } => {
                self.busy(slot, |busy| busy.test = Some((test, Instant::now())));
            }
            UnitEvent::Failed { test, blow } => {
                let split = self.split_in(slot);
                self.failed(self.id(test), split, blow);
            }
            UnitEvent::Rerun { test, blow } => {
                let attempt = self.failure(self.id(test), self.split_in(slot), blow);
                self.ran.ledger.rerun(attempt);
            }
            UnitEvent::Finish { test, outcome, details } => {
                self.ran.ledger.finished(&self.id(test), outcome, details);
                self.test_ended(slot, test, outcome);
            }
            UnitEvent::Stop { why, text } => self.stopped_itself(slot, &why, &text),
            UnitEvent::UnitEnded { .. } => {
                self.busy(slot, |busy| busy.ended = Some(Instant::now()));
            }
            UnitEvent::UnitBroken { text } => {
                self.problem(self.split_in(slot), format!("met a fault of ours:\n{text}"));
            }
            UnitEvent::UnitExited { code, signal, data, error } => {
                self.unit_exited(slot, &Exit { code, signal, data, error });
            }
            UnitEvent::Unknown => {}
        }
    }

    fn busy(&mut self, slot: usize, change: impl FnOnce(&mut Busy)) {
        if let Some(Some(busy)) = self.slots.get_mut(slot) {
            change(busy);
        }
    }

    fn split_in(&self, slot: usize) -> Option<u32> {
        self.slots.get(slot)?.as_ref().map(|busy| busy.unit.split)
    }

    fn id(&self, test: usize) -> String {
        let id = self.plan.ids.get(test).cloned();
        id.unwrap_or_else(|| format!("test {test}"))
    }

    fn test_ended(&mut self, slot: usize, test: usize, outcome: TestOutcome) {
        self.busy(slot, |busy| {
            busy.test = None;
            busy.finished.push(test);
        });
        let failed = matches!(outcome, TestOutcome::Failed | TestOutcome::Error);
        self.count(self.split_in(slot), failed);
    }

    fn count(&mut self, split: Option<u32>, failed: bool) {
        if let Some(progress) = split.and_then(|split| self.splits.get_mut(&split)) {
            progress.tests += 1;
            progress.failed += u64::from(failed);
        }
    }

    fn failure(&self, id: String, split: Option<u32>, blow: Blow) -> Failure {
        Failure::new(id, split, blow, Some(self.host.log.clone()))
    }

    fn failed(&mut self, id: String, split: Option<u32>, blow: Blow) {
        let failure = self.failure(id, split, blow);
        if !self.ran.ledger.failed(failure.clone()) {
            return;
        }
        (self.show)(Happening::Failed(&failure));
        if self.ran.ledger.exhausted() {
            self.ran.aborted = true;
            self.abort("the failure budget is used up");
        }
    }

    fn problem(&mut self, split: Option<u32>, what: String) {
        self.ran.problems.push(Problem { split, file: None, what });
    }

    /// `pytest.exit`, a KeyboardInterrupt, a plugin's `shouldstop`: a sequential run ends here.
    fn stopped_itself(&mut self, slot: usize, why: &str, text: &str) {
        if self.stage == Stage::Running {
            // Of a traceback the last line says it; the test that met it shows the others.
            let last = text.trim().lines().last().unwrap_or_default();
            let what = format!("was stopped from within ({why}): {last}");
            self.problem(self.split_in(slot), what);
            self.abort("a test or a plugin stopped the session");
        }
    }

    /// A slot is free again. Whatever its unit did not get to goes into another one.
    fn unit_exited(&mut self, slot: usize, exit: &Exit) {
        let Some(busy) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        if let Some(pid) = busy.pid {
            child::kill_group(pid);
        }
        if busy.ended.is_none() && self.stage == Stage::Running {
            self.bury(&busy, exit);
        } else if exit.data == Some(UnitData::None) && !busy.finished.is_empty() {
            self.problem(Some(busy.unit.split), "left no coverage data".to_owned());
        }
        if busy.garbled && busy.ended.is_some() {
            self.problem(Some(busy.unit.split), "said what cannot be read".to_owned());
        }
        if let Some(progress) = self.splits.get_mut(&busy.unit.split) {
            progress.left -= 1;
            if progress.left == 0 && self.stage == Stage::Running {
                self.split_ended(busy.unit.split);
            }
        }
    }

    /// A unit died: the test that was running is named, and the rest goes on without it.
    fn bury(&mut self, busy: &Busy, exit: &Exit) {
        let split = busy.unit.split;
        let killer = busy.test.map(|(test, _)| test);
        match killer {
            Some(test) => self.bury_test(busy, test, exit),
            None => {
                self.deaths += 1;
                self.problem(Some(split), format!("lost a process between tests: {}", exit.how()));
            }
        }
        let done = |test: &usize| busy.finished.contains(test) || Some(*test) == killer;
        let rest: Vec<usize> = busy.unit.tests.iter().copied().filter(|it| !done(it)).collect();
        if rest.is_empty() || self.stage != Stage::Running {
            return;
        }
        if self.deaths > DEATHS {
            self.abort("too many processes died between tests");
            return;
        }
        self.queue.push_front(Unit { tests: rest, ..busy.unit.clone() });
        if let Some(progress) = self.splits.get_mut(&split) {
            progress.left += 1;
        }
    }

    fn bury_test(&mut self, busy: &Busy, test: usize, exit: &Exit) {
        let (phase, outcome, text) = match &busy.limit {
            Limit::Within => {
                let text = format!("its process {} while this test ran", exit.how());
                (Phase::Crash, TestOutcome::Crashed, text)
            }
            Limit::AskedForStacks(_) => (Phase::Timeout, TestOutcome::TimedOut, self.too_long("")),
            Limit::Killed(stacks) => (Phase::Timeout, TestOutcome::TimedOut, self.too_long(stacks)),
        };
        let id = self.id(test);
        self.failed(id.clone(), Some(busy.unit.split), Blow::new(phase, text));
        let seconds = busy.test.map_or(0.0, |(_, since)| since.elapsed().as_secs_f64());
        let seconds = super::event::PhaseSeconds { call: seconds, ..Default::default() };
        self.ran.ledger.finished(&id, outcome, seconds.into());
        self.count(Some(busy.unit.split), true);
    }

    fn too_long(&self, stacks: &str) -> String {
        let limit = self.job.timeout.unwrap_or_default();
        format!("the test ran longer than {limit} s\n{stacks}").trim_end().to_owned()
    }

    fn split_ended(&mut self, split: u32) {
        let Some(progress) = self.splits.get_mut(&split) else { return };
        if progress.units > 0 {
            self.host.send(&json!({"cmd": "close", "split": split}));
            if self.job.measure.is_some() {
                self.ran.expected.splits.insert(split);
            }
        }
        self.tell_split(split, SplitState::Completed);
    }

    fn tell_split(&mut self, split: u32, state: SplitState) {
        let Some(progress) = self.splits.get(&split) else { return };
        let end = SplitEnd {
            split,
            of: self.job.splits,
            tests: progress.tests,
            failed: progress.failed,
            took: progress.started.map_or(Duration::ZERO, |started| started.elapsed()),
            state,
            log: self.host.log.clone(),
        };
        (self.show)(Happening::SplitEnded(&end));
        self.ran.splits.push(end);
    }

    /// Fills free slots, and finishes when nothing is left.
    fn go_on(&mut self) {
        if self.stage == Stage::Running {
            while let Some((slot, at)) = self.next_start() {
                self.start_unit(slot, at);
            }
        }
        let idle = self.slots.iter().all(Option::is_none);
        match self.stage {
            Stage::Running if idle && self.queue.is_empty() => self.finish(None),
            Stage::Aborting(_) if idle => self.finish(Some(Instant::now() + FINISHING)),
            _ => {}
        }
    }

    /// A free slot, and the first unit in the queue that may run beside the others.
    fn next_start(&self) -> Option<(usize, usize)> {
        let slot = self.slots.iter().position(Option::is_none)?;
        let running = || self.slots.iter().flatten().map(|busy| &busy.unit);
        let free = |unit: &Unit| !running().any(|other| unit.clashes(other));
        Some((slot, self.queue.iter().position(free)?))
    }

    fn start_unit(&mut self, slot: usize, at: usize) {
        let Some(unit) = self.queue.remove(at) else { return };
        self.next_unit += 1;
        let number = self.next_unit;
        let split = unit.split;
        if let Some(progress) = self.splits.get_mut(&split)
            && progress.started.is_none()
        {
            progress.started = Some(Instant::now());
            (self.show)(Happening::SplitStarted { split, of: self.job.splits });
        }
        let tests = &unit.tests;
        let run =
            json!({"cmd": "run", "unit": number, "slot": slot, "split": split, "tests": tests});
        self.host.send(&run);
        let (test, finished, ended) = (None, Vec::new(), None);
        let (limit, garbled) = (Limit::Within, false);
        let busy = Busy { number, unit, pid: None, test, finished, ended, limit, garbled };
        self.slots[slot] = Some(busy);
    }

    /// Some test has run too long, some unit does not leave, or the host does not finish.
    fn overdue(&mut self) {
        let now = Instant::now();
        if self.deadline().is_some_and(|due| due <= now) {
            self.host.child.kill_group();
            return;
        }
        if self.serial {
            self.end_serial_run();
            return;
        }
        let mut commands: Vec<Value> = Vec::new();
        for busy in self.slots.iter_mut().flatten() {
            if busy.due(self.job.timeout).is_some_and(|due| due <= now) {
                commands.push(busy.press());
            }
        }
        commands.iter().for_each(|command| self.host.send(command));
    }

    /// A test has run too long in the host's own process, which hears nothing meanwhile: with
    /// the test ends the host.
    fn end_serial_run(&mut self) {
        let Some(mut busy) = self.slots.first_mut().and_then(Option::take) else { return };
        busy.limit = Limit::Killed(String::new());
        if let Some((test, _)) = busy.test {
            let exit = Exit { code: None, signal: None, data: None, error: None };
            self.bury_test(&busy, test, &exit);
        }
        self.abort("a test that runs too long can only be ended with all others");
        self.host.child.kill_group();
    }

    fn stacks(&mut self, unit: u32, text: String) {
        let busy = self.slots.iter_mut().flatten().find(|busy| busy.number == unit);
        if let Some(busy) = busy.filter(|busy| matches!(busy.limit, Limit::AskedForStacks(_))) {
            busy.limit = Limit::Killed(text);
            self.host.send(&json!({"cmd": "kill", "unit": unit}));
        }
    }

    fn signalled(&mut self, signal: i32) {
        let again = self.ran.interrupted.replace(signal).is_some();
        if again {
            self.host.child.kill_group();
        } else if self.stage == Stage::Collecting {
            self.ran.ledger.close();
            self.host.child.kill_group();
        } else {
            self.abort("interrupted");
        }
    }

    /// Ends all units now. What their finished tests have covered is kept.
    fn abort(&mut self, why: &str) {
        if self.stage != Stage::Running {
            return;
        }
        (self.show)(Happening::Stopping(why));
        self.ran.ledger.close();
        self.queue.clear();
        self.host.send(&json!({"cmd": "abort"}));
        let patience = if self.serial { BLOCKED } else { FINISHING };
        self.stage = Stage::Aborting(Instant::now() + patience);
        let open: Vec<u32> =
            self.splits.iter().filter(|(_, it)| it.left > 0).map(|(&split, _)| split).collect();
        open.into_iter().for_each(|split| self.tell_split(split, SplitState::Stopped));
    }

    fn finish(&mut self, due: Option<Instant>) {
        let failed = self.ran.ledger.failed_ids().len();
        self.host.send(&json!({"cmd": "finish", "failed": failed}));
        self.stage = Stage::Finishing(due);
    }

    fn data(&mut self, split: Option<u32>, file: Option<Utf8PathBuf>, damaged: Vec<String>) {
        let origin = if split.is_some() { Origin::Tests } else { Origin::Host };
        match file {
            Some(file) => self.ran.expected.parts.push(Part { split, file, origin }),
            None => self.problem(split, "could not write its coverage data".to_owned()),
        }
        damaged.into_iter().for_each(|text| (self.show)(Happening::Warning(text)));
    }

    fn bye(&mut self, exit: i32) {
        self.bye = Some(exit);
        if self.stage != Stage::Collecting {
            return;
        }
        if !self.collected && self.ran.interrupted.is_none() {
            // 4: pytest's usage error, or a conftest that cannot be imported.
            let text = tail(&self.host.log, 40);
            self.ran.refused = Some(Refusal { text, usage: exit == 4 });
        }
        self.ran.uncollectable = !self.ran.ledger.failures().is_empty();
    }

    /// The host said what cannot be understood: its results cannot be trusted.
    fn broken(&mut self, what: &str) {
        self.problem(None, format!("the host {what}; see `{}`", self.host.log));
    }

    /// The host is gone; what it said before is still to be heard.
    fn exited(&mut self, status: ExitStatus) {
        self.status = Some(status);
        let pids: Vec<i32> = self.slots.iter().flatten().filter_map(|busy| busy.pid).collect();
        pids.into_iter().for_each(child::kill_group);
        self.host.lines.iter_mut().for_each(super::child::Lines::end);
    }

    /// All the host said has been heard: did it end as it should?
    fn host_fell_silent(&mut self) {
        let early = self.bye.is_none() || self.stage == Stage::Running;
        self.stage = Stage::Done;
        let Some(status) = self.status.filter(|_| early && self.ran.interrupted.is_none()) else {
            return;
        };
        let how = child::describe(status);
        if self.collected {
            self.broken(&format!("was ended by {how}"));
        } else {
            let text = tail(&self.host.log, 40);
            let usage = status.code() == Some(4);
            self.ran.refused = Some(Refusal { text: format!("{text}\n({how})"), usage });
        }
    }

    fn ran(mut self) -> Ran {
        self.ran.peak_memory = super::peak_memory();
        self.ran
    }
}

/// How a unit's process ended.
struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
    data: Option<UnitData>,
    error: Option<String>,
}

impl Exit {
    fn how(&self) -> String {
        match (&self.error, self.signal, self.code) {
            (Some(error), ..) => format!("could not be started ({error})"),
            (None, Some(number), _) => format!("was ended by {}", child::signal_name(number)),
            (None, None, code) => format!("ended early with exit code {}", code.unwrap_or(-1)),
        }
    }
}

impl Busy {
    /// When this unit must be pressed, unless something is heard of it before.
    fn due(&self, timeout: Option<f64>) -> Option<Instant> {
        match (&self.limit, self.ended, self.test) {
            (Limit::Killed(_), ..) => None,
            (Limit::AskedForStacks(since), ..) => Some(*since + STACKS),
            (Limit::Within, Some(ended), _) => Some(ended + LEAVING),
            (Limit::Within, None, Some((_, since))) => {
                Some(since + Duration::from_secs_f64(timeout?))
            }
            (Limit::Within, None, None) => None,
        }
    }

    /// The next step towards its end.
    fn press(&mut self) -> Value {
        let unit = self.number;
        let (command, limit) = match self.limit {
            Limit::Within if self.ended.is_none() => {
                ("stacks", Limit::AskedForStacks(Instant::now()))
            }
            _ => ("kill", Limit::Killed(String::new())),
        };
        self.limit = limit;
        json!({"cmd": command, "unit": unit})
    }
}
