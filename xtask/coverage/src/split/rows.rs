//! Rows: how long a process goes on with further units, so that starting it stays cheap, and with
//! which. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Grain, Unit};

/// How much of a process's work its start may be.
const SHARE: f64 = 0.05;
/// Seconds of tests that a process runs at least: as long as nothing is known, and where a start
/// costs next to nothing.
const LEAST: f64 = 1.0;
/// Observations whose numbers of processes differ by less than this factor say nothing about
/// what one of them costs: the times of any two runs differ.
const SPREAD: f64 = 1.5;

/// How long a unit waits for the last test of the one before it, while others may be idle.
pub const NEXT_WAITS: Duration = Duration::from_secs(1);

/// Which tests share a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Isolation {
    /// Those of a file.
    File,
    /// Those that it comes to within so many seconds.
    Row(f64),
    /// All that a worker runs.
    Worker,
}

impl Isolation {
    /// Whether a process that began so many seconds ago may go on with further units.
    pub fn goes_on(self, seconds: f64) -> bool {
        match self {
            Isolation::File => false,
            Isolation::Row(least) => seconds < least,
            Isolation::Worker => true,
        }
    }

    /// How large units are where durations are known: `total` seconds of tests for some slots.
    pub fn grain(self, total: f64, slots: usize) -> Grain {
        let grain = Grain::for_slots(total, slots);
        if self == Isolation::File { Grain { target: 0.0, ..grain } } else { grain }
    }
}

/// Where in the queue the unit is that a new process begins with: the first that may run.
pub fn pick_first(queue: &VecDeque<Unit>, may_run: impl Fn(&Unit) -> bool) -> Option<usize> {
    queue.iter().position(may_run)
}

/// Where in the queue the unit is that follows another one in its process, if one may.
///
/// Units that would be the tail of the run go first, as everywhere. Otherwise it is the one
/// that comes next in the order of collection, which is the order that tests are used to.
pub fn pick_next(
    queue: &VecDeque<Unit>,
    slots: usize,
    after: &Unit,
    may_follow: impl Fn(&Unit) -> bool,
) -> Option<usize> {
    let candidates = || queue.iter().enumerate().filter(|(_, unit)| may_follow(unit));
    let (longest, unit) = candidates().max_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds))?;
    let waiting: f64 = queue.iter().map(|unit| unit.seconds).sum();
    if unit.seconds > waiting / (2 * slots) as f64 {
        return Some(longest);
    }
    let last = after.tests.last();
    let order = |unit: &Unit| (unit.tests.first() < last, unit.tests.first().copied());
    candidates().min_by_key(|(_, unit)| order(unit)).map(|(at, _)| at)
}

/// What a run of the whole suite tells about the cost of processes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Observation {
    /// How many tests ran.
    pub tests: u64,
    /// How many processes could run at once.
    pub slots: usize,
    /// How many processes ran them.
    pub processes: u64,
    /// Seconds that all of these took together.
    pub seconds: f64,
    /// Seconds that starting and ending one of them took, with the set-up of session fixtures:
    /// what can be seen from outside of the tests.
    pub starting: f64,
    /// Seconds of these for session fixtures.
    pub fixtures: f64,
    /// Seconds after which a process was not given more.
    pub row: f64,
}

impl Observation {
    /// Runs with about as many processes are alike.
    fn octave(&self) -> u32 {
        self.processes.max(1).ilog2()
    }

    fn is_of_the_same_suite(&self, other: &Observation) -> bool {
        self.slots == other.slots && self.tests.abs_diff(other.tests) * 20 <= other.tests
    }
}

/// Adds an observation to earlier ones, the last one at the end. It replaces one with about as
/// many processes, and all that were made of a suite of another size.
pub fn observe(earlier: &[Observation], new: Observation) -> Vec<Observation> {
    let differs = |it: &&Observation| it.octave() != new.octave() && it.is_of_the_same_suite(&new);
    earlier.iter().filter(differs).copied().chain([new]).collect()
}

/// Seconds that a process costs, above the tests themselves: what is seen of its start, or, if
/// more, by how much the tests took longer the more processes ran them. The latter contains what
/// each has to do anew: importing, filling caches, copying pages. None while it is not known.
pub fn cost(observed: &[Observation]) -> Option<f64> {
    let last = observed.last()?;
    spread(observed).then(|| slope(observed).max(last.starting))
}

/// The least-squares slope of the seconds over the number of processes.
fn slope(observed: &[Observation]) -> f64 {
    let count = observed.len() as f64;
    let mean = |of: fn(&Observation) -> f64| observed.iter().map(of).sum::<f64>() / count;
    let (processes, seconds) = (mean(|it| it.processes as f64), mean(|it| it.seconds));
    let (mut above, mut below) = (0.0, 0.0);
    for it in observed {
        let off = it.processes as f64 - processes;
        above += off * (it.seconds - seconds);
        below += off * off;
    }
    if below > 0.0 { above / below } else { 0.0 }
}

fn spread(observed: &[Observation]) -> bool {
    let numbers = observed.iter().map(|it| it.processes.max(1) as f64);
    let (least, most) = numbers.fold((f64::MAX, 0.0_f64), |(a, b), it| (a.min(it), b.max(it)));
    most >= SPREAD * least
}

/// Seconds of tests that are worth a process which costs so many.
pub fn worth(cost: f64) -> f64 {
    (cost / SHARE).max(LEAST)
}

/// Seconds of tests that a process should run before another one is started. While the cost is
/// not known each run lets them run twice as long as the last.
pub fn row(observed: &[Observation]) -> f64 {
    let Some(last) = observed.last() else { return LEAST };
    let starting = worth(last.starting);
    let wanted = match cost(observed) {
        Some(cost) => worth(cost),
        None if last.processes <= last.slots as u64 => last.row.max(starting),
        None => (2.0 * last.row).max(starting),
    };
    wanted.max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(processes: u64, seconds: f64, row: f64) -> Observation {
        Observation { tests: 100, slots: 2, processes, seconds, starting: 0.01, fixtures: 0.0, row }
    }

    /// Where in a queue of units, each of one test, lies what follows the unit of test 2.
    #[track_caller]
    fn check_next(queue: &[(usize, f64)], slots: usize, expected: Option<usize>) {
        let unit = |&(test, seconds): &(usize, f64)| Unit {
            split: 1,
            tests: vec![test],
            seconds,
            groups: [].into(),
        };
        let queue: VecDeque<Unit> = queue.iter().map(unit).collect();
        let may_follow = |unit: &Unit| unit.tests != [9];
        assert_eq!(pick_next(&queue, slots, &unit(&(2, 1.0)), may_follow), expected);
    }

    #[test]
    fn what_follows_is_next_in_collection_unless_it_would_be_the_tail() {
        let small = [(4, 1.0), (0, 1.0), (3, 1.0), (1, 1.0), (5, 1.0)];
        check_next(&small, 1, Some(2));
        check_next(&[(4, 1.0), (3, 1.0), (0, 3.0)], 1, Some(2));
        check_next(&[(0, 1.0), (1, 1.0), (0, 1.0)], 1, Some(0));
        check_next(&[(9, 8.0), (1, 1.0)], 2, Some(1));
        check_next(&[(9, 8.0)], 2, None);
        check_next(&[], 2, None);
    }

    #[test]
    fn a_new_process_begins_with_the_first_that_may_run() {
        let unit = |test| Unit { split: 1, tests: vec![test], seconds: 1.0, groups: [].into() };
        let queue = VecDeque::from([unit(0), unit(1), unit(2)]);
        assert_eq!(pick_first(&queue, |unit| unit.tests != [0]), Some(1));
        assert_eq!(pick_first(&queue, |_| false), None);
    }

    #[test]
    fn what_is_not_known_is_tried() {
        assert_eq!(row(&[]), 1.0);
        assert_eq!(row(&[seen(20, 30.0, 1.0)]), 2.0);
        assert_eq!(row(&[seen(20, 30.0, 1.0), seen(16, 29.0, 2.0)]), 4.0);
        assert_eq!(row(&[seen(2, 30.0, 8.0)]), 8.0);
    }

    #[test]
    fn cold_caches_make_rows_long() {
        let observed = [seen(40, 60.0, 1.0), seen(20, 40.0, 2.0)];
        assert_eq!(cost(&observed), Some(1.0));
        assert_eq!(row(&observed), 20.0);
    }

    #[test]
    fn where_more_processes_take_no_longer_the_start_alone_counts() {
        let observed = [seen(40, 60.0, 1.0), seen(20, 61.0, 2.0)];
        assert_eq!(cost(&observed), Some(0.01));
        assert_eq!(row(&observed), 1.0);
    }

    #[test]
    fn expensive_session_fixtures_make_rows_long_at_once() {
        let dear = Observation { starting: 3.0, ..seen(20, 90.0, 1.0) };
        assert!((row(&[dear]) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn an_observation_replaces_those_like_it_and_those_of_another_suite() {
        let first = seen(40, 60.0, 1.0);
        let observed = observe(&[first], seen(35, 50.0, 2.0));
        assert_eq!(observed, [seen(35, 50.0, 2.0)]);
        let observed = observe(&observed, seen(10, 40.0, 4.0));
        assert_eq!(observed, [seen(35, 50.0, 2.0), seen(10, 40.0, 4.0)]);
        let grown = Observation { tests: 200, ..first };
        assert_eq!(observe(&observed, grown), [grown]);
        let wider = Observation { slots: 4, ..first };
        assert_eq!(observe(&observed, wider), [wider]);
    }
}
