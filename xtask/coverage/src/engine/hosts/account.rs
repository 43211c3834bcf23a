//! The account of the tests: what was said of each, and what of it counts, as the scheduler
//! decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::engine::jobserver::client::{failed, rerun};
use crate::engine::journal::{Journal, TestRun, UnitRun};
use crate::engine::limits::out_of_memory;
use crate::engine::samples::Growth;
use crate::engine::schedule::{Cause, Ended, Fate, UnitOver, Verdict};
use crate::engine::{Happening, Job, Process, Ran, SplitEnd, SplitState, Started};
use crate::machine::meter::Reading;
use crate::model::{Details, Failure, Phase, PhaseFailure, PhaseSeconds, Problem, TestOutcome};
use crate::split::{Plan, copies};

pub(super) struct Account<'a> {
    job: &'a Job,
    show: &'a mut dyn FnMut(Happening<'_>),
    ran: Ran,
    journal: Journal,
    plan: Plan,
    /// Which of the tests with its id a test is, where it is not the first.
    copies: BTreeMap<usize, u32>,
    splits: BTreeMap<u32, Progress>,
    /// What runs in each slot, and what was said of it.
    slots: Vec<Slot>,
    /// What ended tests of each unit that runs have done.
    runs: BTreeMap<u32, Vec<TestRun>>,
    /// Failures that wait for a verdict, and what ran to find it: by unit and test.
    held: HashMap<(u32, usize), Record>,
    trials: HashMap<(u32, usize), Record>,
    /// The test that failed last.
    last_failed: Option<usize>,
    warned: BTreeSet<String>,
    growth: Growth,
}

/// How far a split has come.
#[derive(Debug, Default)]
struct Progress {
    started: Option<Duration>,
    tests: u64,
    failed: u64,
}

/// A slot, as far as the account goes.
#[derive(Debug, Default)]
struct Slot {
    split: Option<u32>,
    pid: Option<i32>,
    log: Utf8PathBuf,
    /// The test that runs.
    test: Option<usize>,
    record: Record,
    /// Where the last test that ended in it has gone.
    last: Option<(u32, usize, Fate)>,
    /// How its process ended, in words.
    exit: String,
    /// What a test was doing when it ran too long.
    stacks: String,
    /// What pytest said of the test that it could not cope with.
    broken: String,
    is_trial: bool,
    /// The test that seems to do nothing.
    quiet: Option<usize>,
}

/// What was said of one test.
#[derive(Clone, Debug, Default)]
struct Record {
    slot: usize,
    split: Option<u32>,
    log: Utf8PathBuf,
    began: Option<Duration>,
    phases: Vec<PhaseFailure>,
    end: Option<(TestOutcome, Details)>,
    /// What plugins are to hear of it.
    calls: Option<String>,
}

impl<'a> Account<'a> {
    /// Nothing has happened.
    pub(super) fn new(
        job: &'a Job,
        journal: Journal,
        show: &'a mut dyn FnMut(Happening<'_>),
    ) -> Account<'a> {
        Account {
            job,
            show,
            ran: Ran::new(job.budget),
            journal,
            plan: Plan { ids: Vec::new(), seconds: Vec::new(), splits: Vec::new() },
            copies: BTreeMap::new(),
            splits: BTreeMap::new(),
            slots: (0..=job.pool.most).map(|_| Slot::default()).collect(),
            runs: BTreeMap::new(),
            held: HashMap::new(),
            trials: HashMap::new(),
            last_failed: None,
            warned: BTreeSet::new(),
            growth: Growth::default(),
        }
    }

    /// What was found out so far.
    pub(super) fn ran(&mut self) -> &mut Ran {
        &mut self.ran
    }

    /// The same, to look at.
    pub(super) fn so_far(&self) -> &Ran {
        &self.ran
    }

    /// What there is to run.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Tells the user.
    pub(super) fn show(&mut self, happening: Happening<'_>) {
        (self.show)(happening);
    }

    /// The same; every host may have it to say, once is enough.
    pub(super) fn warn(&mut self, text: String) {
        if self.warned.insert(text.clone()) {
            (self.show)(Happening::Warning(text));
        }
    }

    /// Notes what is wrong with the run although no test says so.
    pub(super) fn problem(&mut self, split: Option<u32>, what: String) {
        self.ran.problems.push(Problem { split, file: None, what });
    }

    pub(super) fn begin(&mut self, plan: Plan) {
        self.copies = copies(&plan.ids);
        let splits = plan.splits.iter().map(|split| (split.number, Progress::default()));
        self.splits = splits.collect();
        self.plan = plan;
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

    /// A unit is given to a slot that was free; a trial is not part of the run.
    pub(super) fn unit_begins(&mut self, slot: usize, split: u32, log: &Utf8Path, trial: bool) {
        let log = log.to_owned();
        self.slots[slot] = Slot { split: Some(split), log, is_trial: trial, ..Slot::default() };
    }

    /// The process in a slot goes on with a unit of this split.
    pub(super) fn unit_goes_on(&mut self, slot: usize, split: u32, log: &Utf8Path) {
        let pid = self.slots[slot].pid;
        self.unit_begins(slot, split, log, false);
        self.slots[slot].pid = pid;
    }

    /// The process of a unit says who it is.
    pub(super) fn process(&mut self, slot: usize, pid: i32) {
        self.slots[slot].pid = Some(pid);
    }

    /// The split whose unit is in a slot.
    pub(super) fn split_in(&self, slot: usize) -> Option<u32> {
        self.slots.get(slot)?.split
    }

    /// What runs in a slot is not part of the run: it is to confirm something.
    pub(super) fn is_trial(&self, slot: usize) -> bool {
        self.slots[slot].is_trial
    }

    pub(super) fn test_begins(&mut self, slot: usize, test: usize, now: Duration) {
        let Slot { split, log, .. } = &self.slots[slot];
        let (split, log) = (*split, log.clone());
        self.slots[slot].test = Some(test);
        self.slots[slot].record =
            Record { slot, split, log, began: Some(now), ..Record::default() };
    }

    /// The user is to see it.
    pub(super) fn tell_start(&mut self, slot: usize, test: usize) {
        let Slot { split, pid, .. } = self.slots[slot];
        let expected = self.plan.seconds.get(test).copied().unwrap_or(0.0);
        let id = self.id(test);
        (self.show)(Happening::TestStarted(Started { id: &id, split, pid, expected }));
    }

    /// A phase of the test in a slot has failed.
    pub(super) fn failed(&mut self, slot: usize, phase_failure: PhaseFailure) {
        self.slots[slot].record.phases.push(phase_failure);
    }

    /// The test in a slot has come to its end.
    pub(super) fn finished(&mut self, slot: usize, outcome: TestOutcome, details: Details) {
        self.slots[slot].record.end = Some((outcome, details));
    }

    /// pytest could not cope with the test in a slot.
    pub(super) fn broke(&mut self, slot: usize, text: String) {
        self.slots[slot].broken = text;
    }

    /// What a test was doing when it ran too long.
    pub(super) fn stacks(&mut self, slot: usize, text: String) {
        self.slots[slot].stacks = text;
    }

    /// How the process in a slot has ended.
    pub(super) fn exited(&mut self, slot: usize, how: String) {
        self.slots[slot].exit = how;
    }

    /// How the last process in a slot has ended.
    pub(super) fn how_ended(&self, slot: usize) -> &str {
        self.slots.get(slot).map_or("", |slot| &slot.exit)
    }

    /// The test that runs in a slot.
    pub(super) fn test_in(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot)?.test
    }

    /// pytest could not cope with a test that ran in a slot.
    pub(super) fn is_broken(&self, slot: usize) -> bool {
        !self.slots[slot].broken.is_empty()
    }

    /// What a test is doing that seems to do nothing; none where it was not asked for that.
    pub(super) fn words_of_quiet(&mut self, slot: usize, stacks: &str) -> Option<String> {
        let test = self.slots[slot].quiet.take()?;
        Some(format!("`{}` is here:\n{}", self.id(test), of_the_test(stacks)))
    }

    /// A test seems to do nothing, and is asked for its stacks.
    pub(super) fn is_quiet(&mut self, slot: usize, test: usize) {
        self.slots[slot].quiet = Some(test);
    }

    /// pytest-rerunfailures tries a test again.
    pub(super) fn rerun(&mut self, slot: usize, test: usize, phase_failure: PhaseFailure) {
        if !self.slots[slot].is_trial {
            let failure = self.failure_in(slot, test, phase_failure);
            rerun(&mut self.ran.ledger, failure, self.job.jobserver.as_deref());
        }
        self.slots[slot].record.phases.clear();
    }

    fn failure_in(&self, slot: usize, test: usize, phase_failure: PhaseFailure) -> Failure {
        let Slot { split, log, .. } = &self.slots[slot];
        self.failure(test, *split, log, phase_failure)
    }

    fn failure(
        &self,
        test: usize,
        split: Option<u32>,
        log: &Utf8Path,
        phase_failure: PhaseFailure,
    ) -> Failure {
        let failure = Failure::new(self.id(test), split, phase_failure, Some(log.to_owned()));
        failure.of_copy(self.copy(test))
    }

    /// What was said of the failure of a running test counts already.
    pub(super) fn count_failure(&mut self, slot: usize, test: usize) {
        let phases = std::mem::take(&mut self.slots[slot].record.phases);
        phases.into_iter().for_each(|phase_failure| {
            let failure = self.failure_in(slot, test, phase_failure);
            self.tell_failure(Some(test), failure);
        });
    }

    /// A failure counts.
    fn tell_failure(&mut self, test: Option<usize>, failure: Failure) {
        let jobserver = self.job.jobserver.as_deref();
        if failed(&mut self.ran.ledger, failure.clone(), jobserver) {
            self.last_failed = test.or(self.last_failed);
            (self.show)(Happening::Failed(&failure));
        }
    }

    /// The failure budget is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.ran.ledger.is_closed() || self.ran.ledger.exhausted()
    }

    /// A failure counts that is no test's. False where it came after the end.
    pub(super) fn other_failure(&mut self, failure: Failure) -> bool {
        let known = self.ran.ledger.failures().len();
        self.tell_failure(None, failure);
        self.ran.ledger.failures().len() > known
    }

    /// A test has ended. Returns what plugins are to hear of a crash: its id and what is said.
    pub(super) fn ended(&mut self, ended: &Ended, now: Duration) -> Option<(String, String)> {
        let &Ended { slot, unit, test, cause, fate } = ended;
        let mut record = std::mem::take(&mut self.slots[slot].record);
        self.slots[slot].test = None;
        let crash = cause.map(|cause| self.blame(slot, cause, &mut record, now));
        if fate != Fate::Trial {
            self.note_run(unit, test, &record);
        }
        self.slots[slot].last = Some((unit, test, fate));
        match fate {
            Fate::Counts => self.count(test, record),
            Fate::Retried(retry, of) => self.retry(test, record, retry, of),
            Fate::Again => self.runs_again(test, crash.unwrap_or_default()),
            Fate::Held => self.hold(unit, test, record),
            Fate::Trial => drop(self.trials.insert((unit, test), record)),
        }
        crash_heard(cause, fate).then(|| (self.id(test), self.words_of_crash(slot, cause)))
    }

    /// What is said of a test whose process ended with it.
    fn blame(&self, slot: usize, cause: Cause, record: &mut Record, now: Duration) -> String {
        let text = self.words_of_crash(slot, Some(cause));
        let (phase, outcome) = match cause {
            Cause::TimedOut | Cause::Hung => (Phase::Timeout, TestOutcome::TimedOut),
            Cause::Broken | Cause::Died | Cause::OutOfMemory { .. } => {
                (Phase::Crash, TestOutcome::Crashed)
            }
        };
        let seconds = now.saturating_sub(record.began.unwrap_or(now)).as_secs_f64();
        let seconds = PhaseSeconds { call: seconds, ..PhaseSeconds::default() };
        (record.split, record.log) = (self.slots[slot].split, self.slots[slot].log.clone());
        record.phases.push(PhaseFailure::new(phase, text.clone()));
        record.end = Some((outcome, seconds.into()));
        text
    }

    fn words_of_crash(&self, slot: usize, cause: Option<Cause>) -> String {
        let Slot { exit, stacks, broken, .. } = &self.slots[slot];
        match cause {
            Some(Cause::Broken) => format!("pytest broke down while this test ran:\n{broken}"),
            Some(Cause::TimedOut) => {
                let limit = self.job.timeout.unwrap_or_default();
                let text = format!("the test ran longer than {limit} s\n{}", of_the_test(stacks));
                text.trim_end().to_owned()
            }
            Some(Cause::Hung) => format!("the test did nothing\n{}", of_the_test(stacks)),
            Some(Cause::OutOfMemory { during, before }) => out_of_memory(during, Some(before)),
            Some(Cause::Died) | None => format!("its process {exit} while this test ran"),
        }
    }

    /// What a test did counts.
    fn count(&mut self, test: usize, record: Record) {
        let Record { split, log, phases, end, .. } = record;
        for phase_failure in phases {
            let failure = self.failure(test, split, &log, phase_failure);
            self.tell_failure(Some(test), failure);
        }
        let Some((outcome, details)) = end else { return };
        let (id, copy) = (self.id(test), self.copy(test));
        self.ran.ledger.finished(&id, copy, outcome, details);
        (self.show)(Happening::TestEnded { id: &id, outcome });
        if let Some(progress) = split.and_then(|split| self.splits.get_mut(&split)) {
            progress.tests += 1;
            progress.failed += u64::from(outcome.is_failure());
        }
    }

    fn retry(&mut self, test: usize, record: Record, retry: u32, of: u32) {
        let id = self.id(test);
        let Record { split, log, phases, .. } = record;
        if let Some(phase_failure) = phases.into_iter().next() {
            let attempt = self.failure(test, split, &log, phase_failure);
            rerun(&mut self.ran.ledger, attempt, self.job.jobserver.as_deref());
        }
        (self.show)(Happening::Retried { id: &id, retry, of });
    }

    fn hold(&mut self, unit: u32, test: usize, record: Record) {
        let id = self.id(test);
        (self.show)(Happening::Open { id: &id });
        self.held.insert((unit, test), record);
    }

    fn runs_again(&mut self, test: usize, why: String) {
        let id = self.id(test);
        (self.show)(Happening::Open { id: &id });
        self.warn(format!("`{id}` runs again, for the memory was taken by others: {why}"));
    }

    fn note_run(&mut self, unit: u32, test: usize, record: &Record) {
        let Some((outcome, details)) = &record.end else { return };
        let run = TestRun {
            id: self.id(test),
            copy: self.copy(test),
            outcome: *outcome,
            started: rounded(record.began.unwrap_or_default().as_secs_f64()),
            seconds: details.seconds.total(),
        };
        self.runs.entry(unit).or_default().push(run);
    }

    /// What becomes of a failure that was held back. Returns what plugins are to hear of it.
    pub(super) fn settled(
        &mut self,
        unit: u32,
        test: usize,
        verdict: Verdict,
    ) -> Option<(usize, String)> {
        let mut record = self.held.remove(&(unit, test))?;
        let id = self.id(test);
        match verdict {
            Verdict::Confirmed | Verdict::Unconfirmed => {}
            Verdict::Flaky => self.ran.flaky_in_confirmation.push(id),
            Verdict::Fresh(fresh) => {
                let Record { slot, split, .. } = record;
                record = self.trials.remove(&(fresh, test)).unwrap_or(record);
                (record.slot, record.split) = (slot, split);
                self.ran.only_fresh.push(id);
            }
        }
        let (slot, calls) = (record.slot, record.calls.take());
        self.count(test, record);
        Some((slot, calls?))
    }

    /// What plugins are to hear of the test that ended in a slot, or of the unit's end. Returns it
    /// where they are to hear it now.
    pub(super) fn replay(
        &mut self,
        slot: usize,
        test: Option<usize>,
        calls: String,
    ) -> Option<String> {
        let last = self.slots[slot].last.filter(|(_, last, _)| test == Some(*last));
        let counts = match self.ran.aborted || self.ran.ledger.is_closed() {
            // The failure that used up the budget is the last thing that is heard.
            true => test.is_some() && test == self.last_failed,
            false => !self.slots[slot].is_trial,
        };
        let kept = match last {
            Some((unit, test, Fate::Held)) => self.held.get_mut(&(unit, test)),
            Some((unit, test, Fate::Trial)) => self.trials.get_mut(&(unit, test)),
            Some((.., Fate::Retried(..) | Fate::Again)) => return None,
            Some((.., Fate::Counts)) | None => return counts.then_some(calls),
        };
        kept.into_iter().for_each(|record| record.calls = Some(calls.clone()));
        None
    }

    /// Nothing more comes of a unit: keeps what it has run.
    pub(super) fn unit_over(&mut self, over: &UnitOver, now: Duration) {
        let tests = self.runs.remove(&over.unit).unwrap_or_default();
        if over.trial {
            return;
        }
        let run = UnitRun {
            unit: over.unit,
            split: over.split,
            slot: over.slot,
            started: rounded(over.since),
            ended: rounded(now.as_secs_f64()),
            whole: over.whole,
            tests,
        };
        if let Err(error) = self.journal.add(&run) {
            self.warn(format!("{error:#}"));
        }
        self.ran.units.push(run);
    }

    pub(super) fn split_begins(&mut self, split: u32, now: Duration) {
        self.splits.entry(split).or_default().started = Some(now);
        (self.show)(Happening::SplitStarted { split, of: self.job.splits });
    }

    pub(super) fn split_ends(
        &mut self,
        split: u32,
        state: SplitState,
        log: &Utf8Path,
        now: Duration,
    ) {
        let of = self.job.splits;
        let Some(progress) = self.splits.get(&split) else { return };
        let took = progress.started.map_or(Duration::ZERO, |started| now.saturating_sub(started));
        let Progress { tests, failed, .. } = *progress;
        let end = SplitEnd { split, of, tests, failed, took, state, log: log.to_owned() };
        (self.show)(Happening::SplitEnded(&end));
        self.ran.splits.push(end);
    }

    /// The memory of a process at the start of its first unit, most of it not its own.
    pub(super) fn process_has(&mut self, pid: i32, memory: Option<u64>) {
        memory.into_iter().for_each(|memory| self.growth.begin(pid, memory));
    }

    /// Shows and keeps what the machine is doing.
    pub(super) fn machine(&mut self, reading: &Reading, forks: bool, now: Duration) {
        let memory = reading.processes.iter().map(|(pid, usage)| (*pid, usage.memory));
        self.growth.note(memory, forks);
        if let Some(sample) = self.ran.samples.note(reading, rounded(now.as_secs_f64())) {
            (self.show)(Happening::Machine(&sample));
        }
    }

    /// Nothing is lost in silence.
    pub(super) fn check_no_test_is_lost(&mut self) {
        let Ran { aborted, uncollectable, .. } = self.ran;
        let refused = self.ran.refused.is_some() || self.ran.unsuitable.is_some();
        let ended = aborted || uncollectable || refused || !self.ran.findings.is_empty();
        let left = self.ran.ledger.tally().not_run;
        if left > 0 && !ended && self.ran.interrupted.is_none() && self.ran.problems.is_empty() {
            self.problem(None, format!("{left} tests did not run, and nothing says why"));
        }
    }

    /// A process that ran tests is gone.
    pub(super) fn process_over(&mut self, process: Process) {
        self.ran.processes.push(process);
    }

    pub(super) fn close(mut self) -> Ran {
        let chosen = self.plan.chosen();
        let mut ids = self.plan.ids.into_iter().map(Some).collect::<Vec<_>>();
        self.ran.planned = chosen.into_iter().filter_map(|test| ids[test].take()).collect();
        self.ran.memory_growth = self.ran.memory_growth.or(self.growth.most());
        self.ran
    }
}

/// Seconds for the journal.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

/// Plugins hear of a crash where it counts.
fn crash_heard(cause: Option<Cause>, fate: Fate) -> bool {
    cause.is_some() && fate == Fate::Counts
}

/// The stacks without the frames of pytest and of our own that lead to every test.
fn of_the_test(stacks: &str) -> String {
    let ours = |line: &&str| {
        let file = line.trim_start().strip_prefix("File \"");
        file.is_some_and(|file| {
            file.starts_with("<xtask ") || file.contains("/_pytest/") || file.contains("/pluggy/")
        })
    };
    stacks.lines().filter(|line| !ours(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::of_the_test;

    #[test]
    fn stacks_are_those_of_the_test() {
        let stacks = "Current thread 0x1 (most recent call first):\n  \
            File \"/p/tests/test_a.py\", line 3 in test_a\n  \
            File \"/v/site-packages/_pytest/python.py\", line 187 in pytest_pyfunc_call\n  \
            File \"/v/site-packages/pluggy/_callers.py\", line 1 in _multicall\n  \
            File \"<xtask unit.py>\", line 37 in run_tests\n";
        let wanted = "Current thread 0x1 (most recent call first):\n  \
            File \"/p/tests/test_a.py\", line 3 in test_a";
        assert_eq!(of_the_test(stacks), wanted);
    }
}
