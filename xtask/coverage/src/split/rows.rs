//! Rows: how long a process goes on with further units, so that starting it stays cheap. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Grain;

/// How much more than at best the tests may take for the sake of more processes, and how much of
/// a process's work its start may be.
const SHARE: f64 = 0.05;
/// Seconds of tests that a process runs at least.
pub(super) const LEAST: f64 = 1.0;
/// While shorter rows are as good, those of the next run are so many times shorter.
const STRIDE: f64 = 2.0;
/// Rows that differ by less than this factor are of the same length.
const ALIKE: f64 = 1.5;

/// How long a unit waits for the last test of the one before it, while others may be idle.
pub(crate) const NEXT_WAITS: Duration = Duration::from_secs(1);

/// Which tests share a process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Isolation {
    /// Those of a file.
    File,
    /// Those of the files that it comes to within so many seconds.
    Row(f64),
    /// All that a worker runs.
    Worker,
}

impl Isolation {
    /// Whether a process that began so many seconds ago may go on with further units.
    pub(crate) fn goes_on(self, seconds: f64) -> bool {
        match self {
            Isolation::File => false,
            Isolation::Row(least) => seconds < least,
            Isolation::Worker => true,
        }
    }

    /// How large units are where durations are known: `total` seconds of tests for some slots.
    pub(crate) fn grain(self, total: f64, slots: usize) -> Grain {
        let grain = Grain::for_slots(total, slots);
        match self {
            // The longest come first then: the last ones are short as they are.
            Isolation::File => Grain { tail: grain.tail, ..Grain::FILES },
            Isolation::Row(_) | Isolation::Worker => grain,
        }
    }
}

/// What a run of the whole suite tells about the cost of processes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Observation {
    /// How many tests ran.
    pub tests: u64,
    /// How many processes could run at once.
    pub slots: usize,
    /// How many processes ran them.
    pub processes: u64,
    /// Seconds that all of these took together.
    pub seconds: f64,
    /// Seconds of CPU that these took: the times of two runs differ by what else the machine does,
    /// and what a process does anew is seen in here.
    pub cpu: f64,
    /// Seconds that starting and ending one of them took, with the set-up of session fixtures:
    /// what can be seen from outside of the tests.
    pub starting: f64,
    /// Seconds of these for session fixtures.
    pub fixtures: f64,
    /// Seconds after which a process was not given more, if that was limited.
    pub row: Option<f64>,
}

impl Observation {
    fn isolation(&self) -> Isolation {
        self.row.map_or(Isolation::Worker, Isolation::Row)
    }

    /// Seconds of tests that a process can have come to.
    fn length(&self) -> f64 {
        let most = self.seconds / self.slots.max(1) as f64;
        self.row.map_or(most, |row| row.min(most))
    }

    fn replaces(&self, other: &Observation) -> bool {
        let alike = match (self.row, other.row) {
            (Some(a), Some(b)) => a.max(b) <= ALIKE * a.min(b),
            (a, b) => a == b,
        };
        let is_of_the_same_suite = self.tests.abs_diff(other.tests) * 20 <= self.tests;
        !is_of_the_same_suite || self.slots == other.slots && alike
    }
}

/// Adds an observation to earlier ones, the last one at the end. It replaces one with rows of
/// about its length, and all that were made of a suite of another size.
pub(crate) fn observe(earlier: &[Observation], new: Observation) -> Vec<Observation> {
    earlier.iter().filter(|it| !new.replaces(it)).copied().chain([new]).collect()
}

/// Why as many tests should share a process as should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Because {
    /// Not enough is known: a trial.
    Trial,
    /// Starting a process is that expensive in itself.
    Start(Observation),
    /// The tests took as much CPU as with the first, where the shortest rows took the second's.
    Seen(Observation, Observation),
}

/// Which tests should share a process, for a number of slots.
///
/// What a process has to do anew (importing, filling caches, copying pages) is hidden in the
/// durations of tests, and depends on what the process ran before. So the first run is the one
/// that nothing is known to beat, a process for each slot. From run to run rows get shorter,
/// for the sake of tests that should not notice each other, until that takes more CPU. Nor do
/// they get so short that starting processes (session fixtures) is too much of the time.
pub(crate) fn isolation(observed: &[Observation], slots: usize) -> (Isolation, Because) {
    let observed = || observed.iter().filter(|it| it.slots == slots).copied();
    let shorter = |a: &Observation, b: &Observation| a.length().total_cmp(&b.length());
    let (Some(last), Some(shortest)) = (observed().last(), observed().min_by(shorter)) else {
        return (Isolation::Worker, Because::Trial);
    };
    let best = observed().map(|it| it.cpu).fold(f64::MAX, f64::min);
    let good = observed().filter(|it| it.cpu <= (1.0 + SHARE) * best);
    let chosen = good.min_by(shorter).unwrap_or(last);

    let start = last.starting / SHARE;
    let shortened = (chosen.length() / STRIDE).max(LEAST).max(start);
    if chosen == shortest && ALIKE * shortened < chosen.length() {
        return (Isolation::Row(shortened), Because::Trial);
    }
    if start <= chosen.length() {
        return (chosen.isolation(), Because::Seen(chosen, shortest));
    }
    let all = last.seconds / slots.max(1) as f64;
    let isolation = if start < all { Isolation::Row(start) } else { Isolation::Worker };
    (isolation, Because::Start(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of a minute of tests in two slots.
    fn seen(row: Option<f64>, cpu: f64) -> Observation {
        let processes = row.map_or(2, |row| (60.0 / row) as u64);
        let base = Observation { tests: 100, slots: 2, seconds: 60.0, ..Observation::default() };
        Observation { processes, cpu, starting: 0.01, row, ..base }
    }

    #[track_caller]
    fn check_isolation(observed: &[Observation], expected: Isolation) {
        assert_eq!(isolation(observed, 2).0, expected);
    }

    #[test]
    fn rows_get_shorter_while_that_costs_nothing() {
        check_isolation(&[], Isolation::Worker);
        check_isolation(&[seen(None, 60.0)], Isolation::Row(15.0));
        let observed = [seen(None, 60.0), seen(Some(3.0), 61.0)];
        check_isolation(&observed, Isolation::Row(1.5));
        let observed = [&observed[..], &[seen(Some(1.5), 62.0)]].concat();
        check_isolation(&observed, Isolation::Row(1.5));
    }

    #[test]
    fn cold_caches_keep_rows_long() {
        let observed = [seen(None, 60.0), seen(Some(15.0), 70.0)];
        check_isolation(&observed, Isolation::Worker);
        let observed = [seen(None, 60.0), seen(Some(15.0), 61.0), seen(Some(7.5), 64.0)];
        check_isolation(&observed, Isolation::Row(15.0));
    }

    #[test]
    fn expensive_session_fixtures_keep_rows_long() {
        let dear = |starting, row| Observation { starting, ..seen(row, 60.0) };
        check_isolation(&[dear(0.5, None)], Isolation::Row(15.0));
        check_isolation(&[dear(0.5, Some(15.0))], Isolation::Row(15.0));
        check_isolation(&[dear(0.5, Some(20.0))], Isolation::Row(10.0));
        check_isolation(&[dear(0.5, Some(10.0))], Isolation::Row(10.0));
        check_isolation(&[dear(1.0, Some(10.0))], Isolation::Row(20.0));
        check_isolation(&[dear(3.0, None)], Isolation::Worker);
        check_isolation(&[dear(3.0, Some(10.0))], Isolation::Worker);
    }

    #[test]
    fn short_suites_have_a_process_for_each_slot() {
        check_isolation(&[Observation { seconds: 2.0, ..seen(None, 2.0) }], Isolation::Worker);
    }

    #[test]
    fn other_numbers_of_slots_have_observations_of_their_own() {
        let wide = Observation { slots: 4, ..seen(Some(1.0), 60.0) };
        check_isolation(&[seen(None, 60.0), wide], Isolation::Row(15.0));
    }

    #[test]
    fn an_observation_replaces_those_like_it_and_those_of_another_suite() {
        let first = seen(Some(1.0), 60.0);
        let (like, longer) = (seen(Some(1.2), 50.0), seen(Some(4.0), 40.0));
        assert_eq!(observe(&[first], like), [like]);
        assert_eq!(observe(&[like], longer), [like, longer]);
        assert_eq!(observe(&[longer], seen(None, 40.0)).len(), 2);
        let grown = Observation { tests: 200, ..first };
        assert_eq!(observe(&[like, longer], grown), [grown]);
        let wider = Observation { slots: 4, ..first };
        assert_eq!(observe(&[like, longer], wider).len(), 3);
    }
}
