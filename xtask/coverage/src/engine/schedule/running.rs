//! What runs in a slot, and how it is pressed when it does not end by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::io::{Action, Verdict};
use crate::split::{NEXT_WAITS, Unit};

/// How long a unit may take to write down the stacks of a test that runs too long.
const STACKS: Duration = Duration::from_secs(3);
/// How long a unit may wait, after its last test, for what its tests have left running.
const LEAVING: Duration = Duration::from_secs(10);

/// The unit in a slot.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// Its number, unique in the run.
    pub(super) number: u32,
    /// What it runs.
    pub(super) unit: Unit,
    /// The host it was given to.
    pub(super) host: usize,
    /// The failure that it is to confirm.
    pub(super) trial: Option<usize>,
    /// What its process has run so far.
    pub(super) process: Process,
    /// The unit that its process goes on with.
    pub(super) next: Option<Next>,
    /// The test that has begun and not ended, and when it began.
    pub(super) test: Option<(usize, Duration)>,
    /// When it was given away.
    pub(super) since: Duration,
    /// The tests that have ended.
    pub(super) finished: BTreeSet<usize>,
    /// How many of them told it themselves.
    pub(super) told: usize,
    /// The test that runs, where a failure of it counts already.
    pub(super) counted: Option<usize>,
    /// The test that was shown for doing nothing.
    pub(super) shown: Option<usize>,
    /// What counts of the test that runs, when it was ended for doing nothing.
    pub(super) settled: Option<Verdict>,
    /// All results are safe since this moment.
    pub(super) ended: Option<Duration>,
    /// pytest itself could not cope with the test that runs.
    pub(super) broken: bool,
    /// How far its end has come, where it has to be ended.
    pub(super) limit: Limit,
}

/// The unit that a process goes on with.
#[derive(Clone, Debug)]
pub(super) struct Next {
    /// Its number.
    pub(super) number: u32,
    /// What it runs.
    pub(super) unit: Unit,
    /// It waited so long that it went back to the queue, where another process may take it.
    pub(super) open_to_others: bool,
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
    /// Kill it.
    Kill,
}

/// What one process has run so far: units that follow each other.
#[derive(Clone, Debug)]
pub(super) struct Process {
    began: Duration,
    /// From the order to start it to its first test.
    start: Option<Duration>,
    /// Seconds that it took to set up fixtures of the session.
    fixtures: f64,
    /// The splits of the units that have ended in it.
    pub(super) splits: BTreeSet<u32>,
    /// Its tests have become slower.
    pub(super) is_slow: bool,
}

impl Process {
    fn new(now: Duration) -> Process {
        Process { began: now, start: None, fixtures: 0.0, splits: BTreeSet::new(), is_slow: false }
    }

    /// For how many seconds it has been there.
    pub(super) fn age(&self, now: Duration) -> f64 {
        now.saturating_sub(self.began).as_secs_f64()
    }

    /// A unit has set up fixtures of the session.
    pub(super) fn set_up(&mut self, seconds: f64) {
        self.fixtures += seconds;
    }

    /// How long its tests have taken, once it had started.
    pub(super) fn busy_since(&self, since: Duration, now: Duration) -> Duration {
        let begun = self.start.map_or(since, |start| since.max(self.began + start));
        now.saturating_sub(begun)
    }

    /// It is gone, and took so many seconds of CPU; its last test ended at `ended`.
    pub(super) fn over(&self, ended: Duration, cpu: f64, now: Duration) -> Action {
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

    /// The unit that follows this one in its process.
    pub(super) fn followed_by(&mut self, number: u32, unit: Unit, now: Duration) -> Running {
        let mut process = std::mem::replace(&mut self.process, Process::new(now));
        process.splits.insert(self.unit.split);
        Running { process, ..Running::new(number, unit, self.host, None, now) }
    }

    /// A test begins.
    pub(super) fn begin(&mut self, test: usize, now: Duration) {
        self.test = Some((test, now));
        self.process.start.get_or_insert(now.saturating_sub(self.process.began));
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
        let running = self.test.map(|(test, _)| test);
        let is_left = |test: &usize| !self.finished.contains(test) && Some(*test) != running;
        self.unit.tests.iter().copied().filter(is_left).collect()
    }
}
