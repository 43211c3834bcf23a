//! What runs in a slot, and how it is pressed when it does not end by itself. Pure but for the
//! clock.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::rows::Row;
use crate::engine::child;
use crate::engine::event::TestOutcome;
use crate::engine::journal::TestRun;
use crate::report::failures::Blow;
use crate::split::{NEXT_WAITS, Unit};

/// How long a unit may take to write down the stacks of a test that runs too long.
const STACKS: Duration = Duration::from_secs(3);
/// How long a unit may wait, after its last test, for what its tests have left running.
const LEAVING: Duration = Duration::from_secs(10);

/// The unit in a slot.
pub(super) struct Busy {
    /// Its number, unique in the run.
    pub(super) number: u32,
    /// What it runs.
    pub(super) unit: Unit,
    /// The host it was given to.
    pub(super) host: usize,
    /// The process that its tests run in.
    pub(super) process: i32,
    /// The same, where it is its own.
    pub(super) pid: Option<i32>,
    /// What its process has run so far.
    pub(super) row: Row,
    /// The unit that its process goes on with.
    pub(super) next: Option<Next>,
    /// The test that has begun and not ended, and when it began.
    pub(super) test: Option<(usize, Instant)>,
    /// When it was given away.
    pub(super) since: Instant,
    /// The tests that have ended, and how they ran.
    pub(super) finished: Vec<(usize, TestRun)>,
    /// What the test that is running has failed with, where it will be tried again.
    pub(super) blow: Option<Blow>,
    /// The last test of it that failed and is repeated elsewhere.
    pub(super) repeated: Option<usize>,
    /// `unit-ended` came, at this moment: all results are safe.
    pub(super) ended: Option<Instant>,
    /// The test that pytest itself could not cope with, and what it said.
    pub(super) broken: Option<String>,
    /// How far the end of a test that runs too long has come.
    pub(super) limit: Limit,
    /// A line of it could not be read: right before its death that is one it did not live to end.
    pub(super) garbled: bool,
}

/// The unit that a process goes on with.
pub(super) struct Next {
    /// Its number.
    pub(super) number: u32,
    /// What it runs.
    pub(super) unit: Unit,
    /// It waited so long that it went back to the queue, where another process may take it.
    pub(super) open_to_others: bool,
}

/// How far the end of a test that runs too long has come.
pub(super) enum Limit {
    /// It has not run too long.
    Within,
    /// It was told to write down its stacks, at this moment.
    AskedForStacks(Instant),
    /// It was killed; its stacks.
    Killed(String),
}

/// What to do to a unit that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    /// Have it write down its stacks.
    Stacks,
    /// Kill it.
    Kill,
}

impl Busy {
    /// A unit that has just been given to a host.
    pub(super) fn new(number: u32, unit: Unit, host: usize) -> Busy {
        Busy {
            number,
            unit,
            host,
            process: 0,
            pid: None,
            row: Row::new(),
            next: None,
            test: None,
            since: Instant::now(),
            finished: Vec::new(),
            blow: None,
            repeated: None,
            ended: None,
            broken: None,
            limit: Limit::Within,
            garbled: false,
        }
    }

    /// When this unit must be pressed, unless something is heard of it before.
    pub(super) fn due(&self, timeout: Option<f64>) -> Option<Instant> {
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

    /// When the unit that follows has waited for the running test long enough.
    pub(super) fn next_waits_until(&self) -> Option<Instant> {
        self.next.as_ref().filter(|next| !next.open_to_others)?;
        self.test.map(|(_, since)| since + NEXT_WAITS)
    }

    /// The next step towards its end.
    pub(super) fn press(&mut self) -> Press {
        let stacks = matches!(self.limit, Limit::Within) && self.ended.is_none();
        let (press, limit) = match stacks {
            true => (Press::Stacks, Limit::AskedForStacks(Instant::now())),
            false => (Press::Kill, Limit::Killed(String::new())),
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
        self.ended.is_some() && self.broken.is_none()
    }

    /// How many tests told their own end; others ended with their process.
    pub(super) fn told(&self) -> usize {
        let by_us = [TestOutcome::Crashed, TestOutcome::TimedOut];
        self.finished.iter().filter(|(_, run)| !by_us.contains(&run.outcome)).count()
    }

    /// The test that was running when the unit ended, if it ended with that.
    pub(super) fn killer(&self) -> Option<usize> {
        self.test.map(|(test, _)| test)
    }

    /// What it did not come to: neither ended nor the one that ended the unit.
    pub(super) fn rest(&self) -> Vec<usize> {
        let done = |test: &usize| {
            self.finished.iter().any(|(it, _)| it == test) || Some(*test) == self.killer()
        };
        self.unit.tests.iter().copied().filter(|test| !done(test)).collect()
    }
}

/// How a unit's process ended.
#[derive(Debug, Default)]
pub(super) struct Exit {
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// Why there was no process.
    pub(super) error: Option<String>,
}

impl Exit {
    /// That of a host which ran a unit itself; pytest's exit status, where it came to that.
    pub(super) fn of(status: Option<ExitStatus>, bye: Option<i32>) -> Exit {
        let code = bye.or_else(|| status?.code());
        Exit { code, signal: status.and_then(|status| status.signal()), ..Exit::default() }
    }

    /// In words.
    pub(super) fn how(&self) -> String {
        match (&self.error, self.signal, self.code) {
            (Some(error), ..) => format!("could not be started ({error})"),
            (None, Some(number), _) => format!("was ended by {}", child::signal_name(number)),
            (None, None, Some(code)) => format!("ended early with exit code {code}"),
            (None, None, None) => "ended early, and nobody knows how".to_owned(),
        }
    }
}
