//! The conductor: which unit runs next and where, what became of each test, and the end of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Message;
use super::attempts::Attempts;
use super::controller::Session;
use super::fleet::Fleet;
use super::host::{Mode, Source};
use super::shards::Shards;
use super::slot::Busy;
use super::splits::Splits;
use super::stopping::Dump;
use crate::engine::journal::Journal;
use crate::engine::{Happening, Job, Ran, SplitState};
use crate::report::failures::{Blow, Failure, Phase};
use crate::shard::combine::Problem;
use crate::split::{Grain, Marks, Plan, Sum, Turns, Unit, copies, pick_first, together, units};

/// How long hosts may take, once told to finish after an interruption.
pub(super) const FINISHING: Duration = Duration::from_secs(4);

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// No host is ready.
    Collecting,
    /// Units run.
    Running,
    /// All units were told to end, and must be gone by then; their results do not count.
    Aborting(Instant),
    /// The hosts were told to finish, and must be done by then if that has an end.
    Finishing(Option<Instant>),
    /// Nothing more is to be heard.
    Done,
}

/// See the module.
pub(super) struct Conductor<'a> {
    pub(super) job: &'a Job,
    pub(super) fleet: Fleet<'a>,
    pub(super) show: &'a mut dyn FnMut(Happening<'_>),
    pub(super) stage: Stage,
    pub(super) queue: VecDeque<Unit>,
    pub(super) slots: Vec<Option<Busy>>,
    pub(super) splits: Splits,
    pub(super) dumps: Vec<Dump>,
    pub(super) deaths: u32,
    pub(super) ran: Ran,
    pub(super) journal: Journal,
    started: Instant,
    pub(super) plan: Plan,
    /// Which tests are never in two processes at once: the group of each, by index.
    pub(super) groups: BTreeMap<usize, String>,
    pub(super) turns: Turns,
    /// Which of the tests with its id a test is, where it is not the first.
    copies: BTreeMap<usize, u32>,
    pub(super) shards: Shards,
    /// Splits whose tests have left processes that may still write coverage.
    pub(super) lingering: BTreeSet<u32>,
    /// Splits that have ended and whose data was not yet asked for.
    pub(super) complete: BTreeSet<u32>,
    pub(super) attempts: Attempts,
    pub(super) next_unit: u32,
    /// The test that failed last.
    pub(super) last_failed: Option<usize>,
    pub(super) session: Session,
    /// Units that have left coverage which no host has yet written into a data file.
    pub(super) unwritten: BTreeMap<u32, Unwritten>,
    warned: BTreeSet<String>,
}

/// What a unit has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unwritten {
    /// The split of its tests.
    pub(super) split: u32,
    /// The host it ran in.
    pub(super) host: usize,
    /// It came to its end, so all it has covered must be there.
    pub(super) whole: bool,
    /// How many tests it told the end of; what each has covered was safe before.
    pub(super) finished: usize,
}

impl<'a> Conductor<'a> {
    /// Everything is before it; the hosts of `fleet` have begun to collect.
    pub(super) fn new(
        job: &'a Job,
        fleet: Fleet<'a>,
        journal: Journal,
        show: &'a mut dyn FnMut(Happening<'_>),
    ) -> Conductor<'a> {
        Conductor {
            job,
            slots: (0..fleet.slots()).map(|_| None).collect(),
            fleet,
            show,
            stage: Stage::Collecting,
            queue: VecDeque::new(),
            splits: Splits::default(),
            dumps: Vec::new(),
            deaths: 0,
            ran: Ran::new(job.budget),
            journal,
            started: Instant::now(),
            plan: Plan { ids: Vec::new(), seconds: Vec::new(), splits: Vec::new() },
            groups: BTreeMap::new(),
            turns: Turns::default(),
            copies: BTreeMap::new(),
            shards: Shards::default(),
            lingering: BTreeSet::new(),
            complete: BTreeSet::new(),
            attempts: Attempts::new(job.retries),
            next_unit: 0,
            last_failed: None,
            session: Session::default(),
            unwritten: BTreeMap::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Works until the last host is gone.
    pub(super) fn run(&mut self, hear: &Receiver<Message>) {
        while self.stage != Stage::Done {
            match self.next_message(hear) {
                Some(Message::Line { host, source, line: Some(line) }) => {
                    self.heard(host, source, &line);
                }
                Some(Message::Line { host, source: Source::Host, line: None }) => {
                    self.fell_silent(host);
                }
                Some(Message::Line { source: Source::Slot(_) | Source::Output(_), .. }) => {}
                Some(Message::Exited { host, status }) => self.exited(host, status),
                Some(Message::Signal(signal)) => self.signalled(signal),
                None => self.overdue(),
            }
            self.go_on();
        }
        self.judge_session();
        self.check_nothing_is_lost();
    }

    /// None when something is overdue.
    fn next_message(&self, hear: &Receiver<Message>) -> Option<Message> {
        let Some(due) = self.due() else { return hear.recv().ok() };
        hear.recv_timeout(due.saturating_duration_since(Instant::now())).ok()
    }

    /// Every host has the same to say; once is enough.
    pub(super) fn warn(&mut self, text: String) {
        if self.warned.insert(text.clone()) {
            (self.show)(Happening::Warning(text));
        }
    }

    /// Now it is known what there is to run.
    pub(super) fn plan(&mut self, ids: Vec<String>, marks: &Marks) {
        self.groups = together(&ids, marks, self.job.dist);
        self.ran.collect_seconds = self.started.elapsed().as_secs_f64();
        let sum = Sum::of_python(&self.job.python_version);
        let plan = Plan::new(ids, &self.job.committed, self.job.splits, sum);
        self.plan = plan.with_whole_documents(&marks.documents);
        self.plan.predict(&self.job.recorded);
        self.copies = copies(&self.plan.ids);
        self.tell_plan();
        let mut units = units(&self.plan, &self.groups, self.shards.holders(), self.grain());
        if !self.durations_are_known() {
            // None is known to be the tail of the run.
            units.iter_mut().for_each(|unit| unit.seconds = 0.0);
        }
        self.turns = Turns::of(&units);
        self.splits = Splits::new(&self.plan, &units);
        self.queue = units.into();
        self.stage = Stage::Running;
        self.splits.empty().into_iter().for_each(|split| self.split_ended(split));
    }

    fn tell_plan(&mut self) {
        let seconds = self.durations_are_known().then(|| self.plan.total());
        let (tests, slots) = (self.plan.ids.len() as u64, self.slots.len());
        (self.show)(Happening::Planned { tests, seconds, slots });
    }

    fn durations_are_known(&self) -> bool {
        self.plan.ids.iter().any(|id| self.job.recorded.get(id).is_some())
    }

    /// Without any duration a file is a unit: there is nothing to weigh files by.
    fn grain(&self) -> Grain {
        match self.durations_are_known() {
            true => self.isolation().grain(self.plan.total(), self.slots.len()),
            false => Grain::FILES,
        }
    }

    /// Changes what is known of the unit in a slot.
    pub(super) fn busy(&mut self, slot: usize, change: impl FnOnce(&mut Busy)) {
        if let Some(Some(busy)) = self.slots.get_mut(slot) {
            change(busy);
        }
    }

    /// The split whose unit is in a slot.
    pub(super) fn split_in(&self, slot: usize) -> Option<u32> {
        self.slots.get(slot)?.as_ref().map(|busy| busy.unit.split)
    }

    /// The node id of a test.
    pub(super) fn id(&self, test: usize) -> String {
        let id = self.plan.ids.get(test).cloned();
        id.unwrap_or_else(|| format!("test {test}"))
    }

    /// Which of the tests with its id a test is.
    pub(super) fn copy(&self, test: usize) -> u32 {
        self.copies.get(&test).copied().unwrap_or_default()
    }

    /// What is known of a test that failed in a host.
    pub(super) fn test_failure(
        &mut self,
        host: usize,
        test: usize,
        split: Option<u32>,
        blow: Blow,
    ) -> Failure {
        self.failure(host, self.id(test), split, blow).of_copy(self.copy(test))
    }

    /// The same of what is no test.
    fn failure(&mut self, host: usize, id: String, split: Option<u32>, blow: Blow) -> Failure {
        Failure::new(id, split, blow, Some(self.fleet.member(host).host.log.clone()))
    }

    /// A file cannot be collected.
    pub(super) fn uncollectable(&mut self, host: usize, id: String, text: String) {
        let failure = self.failure(host, id, None, Blow::new(Phase::Collect, text));
        self.failed(failure);
    }

    /// An error came to light when the tests of a unit were over; `test` was its last one.
    pub(super) fn left_behind(
        &mut self,
        host: usize,
        test: usize,
        split: Option<u32>,
        text: String,
    ) {
        let id = self.id(test);
        let file = id.split("::").next().unwrap_or_default().to_owned();
        let failure = self.failure(host, file, split, Blow::new(Phase::Late, text));
        self.failed(failure);
    }

    /// A test has failed for good.
    pub(super) fn failed(&mut self, failure: Failure) {
        if !self.ran.ledger.failed(failure.clone()) {
            return;
        }
        (self.show)(Happening::Failed(&failure));
        if self.ran.ledger.exhausted() {
            self.ran.aborted = true;
            self.abort("the failure budget is used up");
        }
    }

    /// Notes what is wrong with the run although no test says so.
    pub(super) fn problem(&mut self, split: Option<u32>, what: String) {
        self.ran.problems.push(Problem { split, file: None, what });
    }

    /// A host did what it must not: its results cannot be trusted.
    pub(super) fn broken(&mut self, host: usize, what: &str) {
        let log = self.fleet.member(host).host.log.clone();
        self.problem(None, format!("the host {what}; see `{log}`"));
    }

    pub(super) fn split_ended(&mut self, split: u32) {
        let forking = matches!(self.fleet.mode(), Mode::Fork | Mode::Shards);
        if forking && !self.splits.empty().contains(&split) {
            self.complete.insert(split);
            if self.job.measure.is_some() {
                self.ran.expected.splits.insert(split);
            }
        }
        self.tell_split(split, SplitState::Completed);
    }

    /// Tells how a split has ended.
    pub(super) fn tell_split(&mut self, split: u32, state: SplitState) {
        let log = self.fleet.peek(self.fleet.head()).host.log.clone();
        if let Some(end) = self.splits.end(split, state, &log) {
            (self.show)(Happening::SplitEnded(&end));
            self.ran.splits.push(end);
        }
    }

    /// Fills free slots, and finishes when nothing is left.
    fn go_on(&mut self) {
        if self.stage == Stage::Running {
            while let Some((slot, host, at)) = self.next_start() {
                self.start_unit(slot, host, at);
            }
            self.replace_lost_hosts();
        }
        let idle = self.slots.iter().all(Option::is_none);
        match self.stage {
            Stage::Running if idle && self.queue.is_empty() => self.finish(None),
            Stage::Aborting(_) if idle => self.finish(Some(Instant::now() + FINISHING)),
            _ => {}
        }
        let ending = matches!(self.stage, Stage::Collecting | Stage::Finishing(_));
        if ending && self.fleet.all_gone() {
            self.stage = Stage::Done;
        }
    }

    /// All units that run now or will next, but for those in one slot.
    pub(super) fn running(&self, but: Option<usize>) -> impl Iterator<Item = &Unit> {
        let others = self.slots.iter().enumerate().filter(move |(slot, _)| Some(*slot) != but);
        others.filter_map(|(_, busy)| busy.as_ref()).flat_map(Busy::units)
    }

    /// A free slot whose host obeys, and the first unit in the queue that may run beside the
    /// others.
    fn next_start(&self) -> Option<(usize, usize, usize)> {
        let may_run = |unit: &Unit| {
            self.turns.may_run(unit, None) && !self.running(None).any(|other| unit.clashes(other))
        };
        let mut idle = (0..self.slots.len()).filter(|&slot| self.slots[slot].is_none());
        idle.find_map(|slot| {
            let at = pick_first(&self.queue, self.slots.len(), self.isolation(), |unit| {
                self.host_for(slot, unit).is_some() && may_run(unit)
            })?;
            Some((slot, self.host_for(slot, &self.queue[at])?, at))
        })
    }

    /// The host that runs a unit in a slot: the one that has collected it, else that of the slot.
    pub(super) fn host_for(&self, slot: usize, unit: &Unit) -> Option<usize> {
        match unit.tests.first().and_then(|&test| self.shards.holder(test)) {
            Some(host) => Some(host).filter(|&host| !self.fleet.peek(host).gone),
            None => self.fleet.serving(slot),
        }
    }

    fn start_unit(&mut self, slot: usize, host: usize, at: usize) {
        let Some(unit) = self.queue.remove(at) else { return };
        self.next_unit += 1;
        let number = self.next_unit;
        self.begin_split(unit.split);
        self.run_unit(host, slot, number, &unit, None);
        self.slots[slot] = Some(Busy::new(number, unit, host));
    }

    /// Has a host run a unit, in a new process or in the one that runs another before it.
    pub(super) fn run_unit(
        &mut self,
        host: usize,
        slot: usize,
        number: u32,
        unit: &Unit,
        after: Option<u32>,
    ) {
        let asks = self.has_rows();
        let mut command = json!({"cmd": "run", "unit": number, "slot": slot, "asks": asks});
        if let Some(after) = after {
            command["after"] = after.into();
        }
        self.fleet.run(host, unit, command);
    }

    /// Starts hosts for slots that have lost theirs, where that is worth another collection.
    fn replace_lost_hosts(&mut self) {
        let waiting: f64 = self.queue.iter().map(|unit| unit.seconds).sum();
        let staffed = self.fleet.staffed();
        if self.fleet.mode() != Mode::Spawn {
            return;
        }
        let known = self.durations_are_known();
        let worth_it = staffed == 0 || !known || waiting > self.ran.collect_seconds;
        if self.queue.is_empty() || staffed == self.slots.len() || !worth_it {
            return;
        }
        if let Err(error) = self.fleet.settle() {
            self.problem(None, format!("could not start another host: {error:#}"));
            self.abort("a host cannot be replaced");
        }
    }

    /// Has hosts write what they have, and another one what lost hosts have left.
    pub(super) fn finish(&mut self, due: Option<Instant>) {
        self.stage = Stage::Finishing(due);
        let failed = self.ran.ledger.failed_ids().len();
        let told = json!({"cmd": "finish", "failed": failed});
        let mut orphans: Vec<u32> = self.unwritten.keys().copied().collect();
        for (host, member) in self.fleet.living().filter(|(_, member)| !member.retired) {
            orphans.retain(|unit| self.unwritten[unit].host != host);
            if !matches!(member.mode, Mode::Shards | Mode::Controller) {
                member.host.send(&told);
            }
        }
        self.finish_head();
        if !orphans.is_empty() {
            self.gather(&orphans);
        }
    }

    fn gather(&mut self, orphans: &[u32]) {
        let host = match self.fleet.gather() {
            Ok(host) => host,
            Err(error) => return self.problem(None, format!("could not start a host: {error:#}")),
        };
        for unit in orphans {
            let Unwritten { split, host: dead, .. } = self.unwritten[unit];
            let folder = self.fleet.peek(dead).host.unit_folder(*unit);
            let adopt = json!({"cmd": "adopt", "unit": unit, "split": split, "folder": folder});
            self.fleet.send(host, &adopt);
        }
        self.fleet.send(host, &json!({"cmd": "finish"}));
    }

    /// Nothing is lost in silence: no test, and no coverage that a unit has left.
    fn check_nothing_is_lost(&mut self) {
        let Ran { aborted, uncollectable, .. } = self.ran;
        let refused = self.ran.refused.is_some() || self.ran.unsuitable.is_some();
        let ended = aborted || uncollectable || refused || !self.ran.findings.is_empty();
        if self.ran.interrupted.is_some() {
            return;
        }
        let left = self.ran.ledger.tally().not_run;
        if left > 0 && !ended && self.ran.problems.is_empty() {
            self.problem(None, format!("{left} tests did not run, and nothing says why"));
        }
        let splits: BTreeSet<u32> = self.unwritten.values().map(|unit| unit.split).collect();
        for split in splits {
            self.problem(Some(split), "has tests whose coverage was not written".to_owned());
        }
    }

    /// What came of it.
    pub(super) fn ran(mut self) -> Ran {
        self.ran.peak_memory = crate::engine::peak_memory();
        self.ran.planned = self.plan.ids;
        self.ran
    }
}
