//! What is going on at this moment, in numbers: what the forms of the screen show. Every event
//! costs the same, however many tests there are.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::forecast::{Forecast, Progress};
use crate::engine::{Happening, Started, clock};
use crate::model::TestOutcome;

/// What is going on.
#[derive(Debug)]
pub(super) struct Board {
    /// Which part of the work.
    pub(super) stage: Stage,
    /// What became of the tests so far.
    pub(super) tests: Tests,
    /// A test that takes longer is called out.
    pub(super) slow: Option<Duration>,
}

/// A part of the work.
#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Nothing that takes time.
    Idle,
    /// Something that has no measure, since then.
    Doing(String, Instant),
    /// The tests run, since then.
    Testing(Instant),
    /// Other runs: their names and what goes on in each.
    Runs(Vec<(String, String)>),
}

/// What became of the tests so far.
#[derive(Debug, Default)]
pub(super) struct Tests {
    pub(super) forecast: Forecast,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// Seconds that the ended ones should have taken.
    expected: f64,
    last_end: Option<Instant>,
    running: HashMap<String, Running>,
    workers: Option<Workers>,
    stopping: bool,
}

/// The processes that run tests, as they were last counted.
#[derive(Clone, Copy, Debug)]
struct Workers {
    now: u32,
    since: Instant,
    /// Seconds that all had until then.
    seconds: f64,
}

/// A test that has begun and not ended.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) split: Option<u32>,
    pub(super) pid: Option<i32>,
    pub(super) since: Instant,
    expected: f64,
    called_out: bool,
}

impl Board {
    /// Nothing goes on yet.
    pub(super) fn new() -> Board {
        Board { stage: Stage::Idle, tests: Tests::default(), slow: None }
    }

    /// Something that has no measure begins.
    pub(super) fn doing(&mut self, what: &str) {
        self.stage = Stage::Doing(what.to_owned(), clock::now());
    }

    /// Other runs go on; none where there are none.
    pub(super) fn runs(&mut self, runs: Vec<(String, String)>) {
        self.stage = if runs.is_empty() { Stage::Idle } else { Stage::Runs(runs) };
    }

    /// Whatever went on has ended.
    pub(super) fn idle(&mut self) {
        self.stage = Stage::Idle;
        self.tests = Tests::default();
    }

    /// Takes note of what happens.
    pub(super) fn note(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::Planned { tests, seconds, slots } => {
                let forecast = Forecast { tests: *tests, seconds: *seconds, slots: *slots };
                self.tests = Tests { forecast, ..Tests::default() };
                self.stage = Stage::Testing(clock::now());
            }
            Happening::TestStarted(started) => self.tests.started(started),
            Happening::TestEnded { id, outcome } => self.tests.ended(id, *outcome),
            Happening::SplitEnded(end) => {
                self.tests.running.retain(|_, running| running.split != Some(end.split));
            }
            Happening::Stopping(_) => self.tests.stopping = true,
            Happening::Machine(sample) => self.tests.measured(sample.processes, clock::now()),
            // It may be a while before it begins again.
            Happening::Retried { id, .. } | Happening::Open { id } => {
                self.tests.running.remove(*id);
            }
            Happening::SplitStarted { .. }
            | Happening::Failed(_)
            | Happening::Note(_)
            | Happening::NotFound(_)
            | Happening::Detail(_)
            | Happening::Printed { .. }
            | Happening::Warning(_) => {}
        }
    }

    /// The tests that have just become slow, each once.
    pub(super) fn newly_slow(&mut self, now: Instant) -> Vec<Running> {
        let Some(limit) = self.slow else { return Vec::new() };
        let slow = |running: &&mut Running| !running.called_out && running.age(now) >= limit;
        let call_out = |running: &mut Running| {
            running.called_out = true;
            running.clone()
        };
        self.tests.running.values_mut().filter(slow).map(call_out).collect()
    }
}

impl Tests {
    fn started(&mut self, test: &Started<'_>) {
        let running = Running {
            id: test.id.to_owned(),
            split: test.split,
            pid: test.pid,
            since: clock::now(),
            expected: test.expected,
            called_out: false,
        };
        self.running.insert(running.id.clone(), running);
    }

    fn ended(&mut self, id: &str, outcome: TestOutcome) {
        use TestOutcome::{Crashed, Error, Failed, Passed, Skipped, TimedOut, Xfailed, Xpassed};
        self.last_end = Some(clock::now());
        self.expected += self.running.remove(id).map_or(0.0, |running| running.expected);
        *match outcome {
            Passed | Xfailed | Xpassed => &mut self.passed,
            Failed | Error | Crashed | TimedOut => &mut self.failed,
            Skipped => &mut self.skipped,
        } += 1;
    }

    /// The processes were counted.
    fn measured(&mut self, processes: u32, now: Instant) {
        let seconds = self.workers.map_or(0.0, |workers| workers.seconds_until(now));
        self.workers = Some(Workers { now: processes, since: now, seconds });
    }

    /// How many processes run tests, where that is not the same all the time.
    pub(super) fn workers(&self) -> Option<u32> {
        self.workers.map(|workers| workers.now)
    }

    /// How many have ended.
    pub(super) fn done(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// True from the moment at which no new test begins.
    pub(super) fn winds_down(&self) -> bool {
        self.stopping || self.running.is_empty() && self.done() >= self.forecast.tests
    }

    /// The running ones, the longest first.
    pub(super) fn running(&self) -> Vec<&Running> {
        let mut running: Vec<&Running> = self.running.values().collect();
        running.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        running
    }

    /// Seconds that they should still take.
    pub(super) fn left(&self, began: Instant, now: Instant) -> Option<f64> {
        let running = || self.running.values();
        let spent = |running: &Running| running.age(now).as_secs_f64().min(running.expected);
        let left = |running: &Running| running.expected - spent(running);
        let until = |end: Instant| end.saturating_duration_since(began).as_secs_f64();
        let slots = self.workers().map_or(self.forecast.slots, |now| now as usize);
        let at_first = until(now) * self.forecast.slots as f64;
        self.forecast.left(Progress {
            elapsed: until(now),
            slots,
            available: self.workers.map_or(at_first, |workers| workers.seconds_until(now)),
            tests: self.done(),
            last: self.last_end.map_or(0.0, until),
            seconds: self.expected + running().map(spent).sum::<f64>(),
            longest: running().map(left).fold(0.0, f64::max),
        })
    }
}

impl Workers {
    fn seconds_until(self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.since).as_secs_f64();
        self.seconds + since * f64::from(self.now)
    }
}

impl Running {
    /// For how long.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// What it keeps in memory at this moment, MiB; none where that cannot be known.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(id: &str) -> Happening<'_> {
        Happening::TestStarted(Started { id, split: Some(1), pid: None, expected: 2.0 })
    }

    #[test]
    fn tests_are_counted_and_the_slow_ones_called_out_once() {
        let mut board = Board::new();
        board.slow = Some(Duration::from_secs(10));
        board.note(&Happening::Planned { tests: 3, seconds: Some(6.0), slots: 1 });
        ["a", "b"].iter().for_each(|id| board.note(&started(id)));
        board.note(&Happening::TestEnded { id: "a", outcome: TestOutcome::Crashed });
        assert_eq!((board.tests.done(), board.tests.failed), (1, 1));
        let now = Instant::now();
        assert!(board.newly_slow(now).is_empty());
        let later = now + Duration::from_secs(11);
        let names = |board: &mut Board| -> Vec<String> {
            board.newly_slow(later).into_iter().map(|running| running.id).collect()
        };
        assert_eq!(names(&mut board), ["b"]);
        assert_eq!(names(&mut board), [] as [&str; 0]);
    }

    /// A test that has begun anew counts once.
    #[test]
    fn a_test_that_is_repeated_is_one_test() {
        let mut board = Board::new();
        board.note(&Happening::Planned { tests: 1, seconds: None, slots: 1 });
        board.note(&started("a"));
        board.note(&started("a"));
        assert_eq!(board.tests.running().len(), 1);
        assert!(!board.tests.winds_down());
        board.note(&Happening::TestEnded { id: "a", outcome: TestOutcome::Passed });
        assert!(board.tests.winds_down() && board.tests.running().is_empty());
    }
}
