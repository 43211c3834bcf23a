//! What runs in a slot, and how it is pressed when it does not end by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::io::{Action, UnitOver, Verdict};
use super::pace::Pace;
use crate::split::{NEXT_WAITS, Unit};

/// How long a unit may take to write down the stacks of a test that runs too long.
const STACKS: Duration = Duration::from_secs(3);
/// How long a unit may wait, after its last test, for what its tests have left running.
const LEAVING: Duration = Duration::from_secs(10);

/// The unit in a slot.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// Its number, unique in the run.
    number: u32,
    unit: Unit,
    /// The host it was given to.
    host: usize,
    /// The failure that it is to confirm.
    trial: Option<usize>,
    /// What its process has run so far.
    process: Process,
    /// The unit that its process goes on with.
    next: Option<Next>,
    /// The test that has begun and not ended, and when it began.
    test: Option<(usize, Duration)>,
    /// When it was given away.
    since: Duration,
    /// The tests that have ended.
    finished: BTreeSet<usize>,
    /// How many of them told it themselves.
    told: usize,
    /// The test that runs, where a failure of it counts already.
    counted: Option<usize>,
    /// The test that was shown for doing nothing.
    shown: Option<usize>,
    /// What counts of the test that runs, when it was ended for doing nothing.
    settled: Option<Verdict>,
    /// All results are safe since this moment.
    ended: Option<Duration>,
    /// pytest itself could not cope with the test that runs.
    broken: bool,
    /// How far its end has come, where it has to be ended.
    limit: Limit,
}

/// The unit that a process goes on with.
#[derive(Clone, Debug)]
struct Next {
    number: u32,
    unit: Unit,
    /// It waited so long that it went back to the queue, where another process may take it.
    open_to_others: bool,
}

/// How far the end of a unit has come that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// Nothing is wrong.
    Within,
    /// A test runs too long; it was told to write down its stacks, at this moment.
    AskedForStacks(Duration),
    /// It was killed, for this reason.
    Killed(Reason),
}

/// Why a unit was killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// A test ran too long.
    Time,
    /// It did not leave after its last test.
    Leaving,
    /// There was no memory left.
    Memory,
    /// Its test did nothing, and passed elsewhere.
    Hang,
}

/// What to do to a unit that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    /// Have it write down its stacks.
    Stacks,
    Kill,
}

/// What one process has run so far: units that follow each other.
#[derive(Clone, Debug)]
struct Process {
    began: Duration,
    /// From the order to start it to its first test.
    start: Option<Duration>,
    /// Seconds that it took to set up fixtures of the session.
    fixtures: f64,
    /// The splits of the units that have ended in it.
    splits: BTreeSet<u32>,
    /// Its tests have become slower.
    is_slow: bool,
}

impl Process {
    fn new(now: Duration) -> Process {
        Process { began: now, start: None, fixtures: 0.0, splits: BTreeSet::new(), is_slow: false }
    }

    /// For how many seconds it has been there.
    fn age(&self, now: Duration) -> f64 {
        now.saturating_sub(self.began).as_secs_f64()
    }

    /// A unit has set up fixtures of the session.
    fn set_up(&mut self, seconds: f64) {
        self.fixtures += seconds;
    }

    /// How long its tests have taken, once it had started.
    fn busy_since(&self, since: Duration, now: Duration) -> Duration {
        let begun = self.start.map_or(since, |start| since.max(self.began + start));
        now.saturating_sub(begun)
    }

    /// It is gone, and took so many seconds of CPU; its last test ended at `ended`.
    fn over(&self, ended: Duration, cpu: f64, now: Duration) -> Action {
        let start = self.start.unwrap_or_default().as_secs_f64();
        let starting = start + now.saturating_sub(ended).as_secs_f64() + self.fixtures;
        let (seconds, fixtures) = (self.age(now), self.fixtures);
        Action::ProcessOver { seconds, cpu, starting, fixtures }
    }
}

impl Running {
    /// A unit that has just been given to a host.
    pub(super) fn new(
        number: u32,
        unit: Unit,
        host: usize,
        trial: Option<usize>,
        now: Duration,
    ) -> Running {
        Running {
            number,
            unit,
            host,
            trial,
            process: Process::new(now),
            next: None,
            test: None,
            since: now,
            finished: BTreeSet::new(),
            told: 0,
            counted: None,
            shown: None,
            settled: None,
            ended: None,
            broken: false,
            limit: Limit::Within,
        }
    }

    /// Its number, unique in the run.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The host it was given to.
    pub(super) fn host(&self) -> usize {
        self.host
    }

    /// The failure that it is to confirm.
    pub(super) fn trial(&self) -> Option<usize> {
        self.trial
    }

    /// The test that has begun and not ended.
    pub(super) fn test(&self) -> Option<usize> {
        self.test.map(|(test, _)| test)
    }

    /// For how many seconds its process has been there.
    pub(super) fn age(&self, now: Duration) -> f64 {
        self.process.age(now)
    }

    /// The tests of its process have become slower.
    pub(super) fn is_slow(&self) -> bool {
        self.process.is_slow
    }

    /// The splits whose units its process has run.
    pub(super) fn splits(&self) -> impl Iterator<Item = u32> {
        self.ended_splits().chain([self.unit.split])
    }

    /// The same, without the unit that runs.
    pub(super) fn ended_splits(&self) -> impl Iterator<Item = u32> {
        self.process.splits.iter().copied()
    }

    pub(super) fn begin(&mut self, test: usize, now: Duration) {
        self.test = Some((test, now));
        self.process.start.get_or_insert(now.saturating_sub(self.process.began));
    }

    /// A phase of a test has failed, and `may_change` says whether a later attempt may pass.
    /// Whether it counts now, and is the first of this test.
    pub(super) fn fails(&mut self, test: usize, may_change: bool) -> Option<bool> {
        if self.trial.is_some() || may_change && self.counted != Some(test) {
            return None;
        }
        Some(self.counted.replace(test) != Some(test))
    }

    /// A test has ended; `told` where it came to that itself. Whether a failure of it counted
    /// already.
    pub(super) fn test_ends(&mut self, test: usize, told: bool) -> bool {
        self.told += usize::from(told);
        self.test = None;
        self.finished.insert(test);
        self.counted.take() == Some(test)
    }

    /// pytest itself could not cope with the test that runs.
    pub(super) fn breaks(&mut self) {
        self.broken = true;
    }

    /// It did.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What is to follow in its process.
    pub(super) fn follow_with(&mut self, number: u32, unit: Unit) {
        self.next = Some(Next { number, unit, open_to_others: false });
    }

    /// Whether its process would go on with this unit, though others may take it.
    pub(super) fn awaits(&self, unit: &Unit) -> bool {
        self.open().is_some_and(|next| next.unit.tests == unit.tests)
    }

    /// The unit that waited too long for the running test: from now on others may take it.
    pub(super) fn open_to_others(&mut self, now: Duration) -> Option<Unit> {
        self.next_waits_until().filter(|due| *due <= now)?;
        let next = self.next.as_mut()?;
        next.open_to_others = true;
        Some(next.unit.clone())
    }

    /// The unit that it would go on with, though others may take it.
    pub(super) fn open_unit(&self) -> Option<&Unit> {
        self.open().map(|next| &next.unit)
    }

    fn open(&self) -> Option<&Next> {
        self.next.as_ref().filter(|next| next.open_to_others)
    }

    /// It is to go on with some unit.
    pub(super) fn goes_on(&self) -> bool {
        self.next.is_some()
    }

    /// Its process keeps what was to follow, or another one has it.
    pub(super) fn keep_next(&mut self, kept: bool) {
        self.next.iter_mut().for_each(|next| next.open_to_others = false);
        self.next.take_if(|_| !kept);
    }

    /// What was to follow, and does not; none where others may take it already.
    pub(super) fn drop_next(&mut self) -> Option<Unit> {
        self.next.take().filter(|next| !next.open_to_others).map(|next| next.unit)
    }

    /// All its results are safe, and it took so many seconds to set up fixtures of the session.
    pub(super) fn ends(&mut self, fixtures: f64, pace: &mut Pace, now: Duration) {
        self.ended = Some(now);
        self.process.set_up(fixtures);
        if self.trial.is_none() {
            let took = self.process.busy_since(self.since, now);
            let began_process = self.process.splits.is_empty();
            self.process.is_slow |= pace.is_slow(began_process, self.unit.seconds, took);
        }
    }

    /// What runs in its process from now on; none where nothing was to follow.
    pub(super) fn go_on(&mut self, now: Duration) -> Option<Running> {
        let Next { number, unit, .. } = self.next.take()?;
        let mut process = std::mem::replace(&mut self.process, Process::new(now));
        process.splits.insert(self.unit.split);
        Some(Running { process, ..Running::new(number, unit, self.host, None, now) })
    }

    /// Its process is gone, and took so many seconds of CPU; none where that says nothing of
    /// others.
    pub(super) fn process_over(&self, cpu: f64, now: Duration) -> Option<Action> {
        let ended = self.ended.filter(|_| self.trial.is_none())?;
        Some(self.process.over(ended, cpu, now))
    }

    /// Nothing more comes of it.
    pub(super) fn over(&self, slot: usize) -> UnitOver {
        UnitOver {
            unit: self.number,
            split: self.unit.split,
            slot,
            host: self.host,
            since: self.since.as_secs_f64(),
            whole: self.ended.is_some(),
            trial: self.trial.is_some(),
            told: self.told,
        }
    }

    /// The test that has done nothing for so long; none where it was shown before. It is shown now.
    pub(super) fn newly_quiet(&mut self, long: Duration, now: Duration) -> Option<usize> {
        let (test, since) = self.test?;
        let is_new = now.saturating_sub(since) >= long && self.shown != Some(test);
        is_new.then(|| *self.shown.insert(test))
    }

    /// What counts of the test that runs, as it is to be ended for doing nothing.
    pub(super) fn settle(&mut self, verdict: Verdict) {
        self.settled = Some(verdict);
    }

    /// What counts of the test that was ended for doing nothing.
    pub(super) fn settled(&self) -> Option<Verdict> {
        self.settled
    }

    /// The same, once.
    pub(super) fn take_settled(&mut self) -> Option<Verdict> {
        self.settled.take()
    }

    /// It was killed, for this reason.
    pub(super) fn killed_for(&mut self, reason: Reason) {
        self.limit = Limit::Killed(reason);
    }

    /// How far its end has come, where it has to be ended.
    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    /// The test that ends is the first of its process.
    pub(super) fn is_in_first_test(&self) -> bool {
        self.process.splits.is_empty() && self.finished.len() <= 1
    }

    /// Seconds that it should still take. Where nothing is known of its tests, the last one is
    /// taken for short.
    pub(super) fn seconds_left(&self) -> f64 {
        let tests = self.unit.tests.len();
        let left = tests.saturating_sub(self.finished.len());
        match self.unit.seconds > 0.0 {
            true => self.unit.seconds * left as f64 / tests.max(1) as f64,
            false if left <= 1 => 0.0,
            false => f64::INFINITY,
        }
    }

    /// When this unit must be pressed, unless something is heard of it before.
    pub(super) fn due(&self, timeout: Option<f64>) -> Option<Duration> {
        match (self.limit, self.ended, self.test) {
            (Limit::Killed(_), ..) => None,
            (Limit::AskedForStacks(since), ..) => Some(since + STACKS),
            (Limit::Within, Some(ended), _) => Some(ended + LEAVING),
            (Limit::Within, None, Some((_, since))) => {
                since.checked_add(Duration::try_from_secs_f64(timeout?).ok()?)
            }
            (Limit::Within, None, None) => None,
        }
    }

    /// When the unit that follows has waited for the running test long enough.
    pub(super) fn next_waits_until(&self) -> Option<Duration> {
        self.next.as_ref().filter(|next| !next.open_to_others)?;
        self.test.map(|(_, since)| since + NEXT_WAITS)
    }

    /// The next step towards its end.
    pub(super) fn press(&mut self, now: Duration) -> Press {
        let (press, limit) = match (self.limit, self.ended) {
            (Limit::Within, None) => (Press::Stacks, Limit::AskedForStacks(now)),
            (Limit::Within, Some(_)) => (Press::Kill, Limit::Killed(Reason::Leaving)),
            (Limit::AskedForStacks(_) | Limit::Killed(_), _) => {
                (Press::Kill, Limit::Killed(Reason::Time))
            }
        };
        self.limit = limit;
        press
    }

    /// It, and what its process goes on with.
    pub(super) fn units(&self) -> impl Iterator<Item = &Unit> {
        let next = self.next.iter().filter(|next| !next.open_to_others);
        std::iter::once(&self.unit).chain(next.map(|next| &next.unit))
    }

    /// All that it covered is safe.
    pub(super) fn is_whole(&self) -> bool {
        self.ended.is_some() && !self.broken
    }

    /// What it did not come to: neither ended nor the test that runs.
    pub(super) fn rest(&self) -> Vec<usize> {
        let running = self.test();
        let is_left = |test: &usize| !self.finished.contains(test) && Some(*test) != running;
        self.unit.tests.iter().copied().filter(is_left).collect()
    }
}
