//! How long a run still takes, from the durations of earlier runs and the pace of this one. Pure.

/// Weight of the belief that this run is as fast as the recorded ones: so many seconds of it.
const PRIOR: f64 = 2.0;
/// Without any recorded duration nothing is said before so much of the run has been seen.
const SEEN_SECONDS: f64 = 2.0;
const SEEN_SHARE: f64 = 0.05;

/// What was to do when the tests began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Forecast {
    /// How many tests.
    pub(super) tests: u64,
    /// Seconds they should take one after the other; none where no duration is known.
    pub(super) seconds: Option<f64>,
    /// How many run at once, to begin with.
    pub(super) slots: usize,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Seconds since the tests began.
    pub(super) elapsed: f64,
    /// How many tests run at once now.
    pub(super) slots: usize,
    /// Seconds that the slots had so far, all together.
    pub(super) available: f64,
    /// Tests that have ended.
    pub(super) tests: u64,
    /// Seconds until the last of these ended.
    pub(super) last: f64,
    /// Seconds that these, and what is done of the running ones, should have taken.
    pub(super) seconds: f64,
    /// Of the running tests, the longest time that one should still take.
    pub(super) longest: f64,
}

impl Forecast {
    /// Seconds until the last test has ended; none where that would be a guess.
    pub(super) fn left(&self, now: Progress) -> Option<f64> {
        let slots = now.slots.max(1) as f64;
        match self.seconds {
            Some(all) => {
                let prior = PRIOR * slots;
                let pace = (now.available + prior) / (now.seconds + prior);
                Some(((all - now.seconds).max(0.0) / slots * pace).max(now.longest))
            }
            None => {
                let share = now.tests as f64 / self.tests.max(1) as f64;
                let seen = now.last >= SEEN_SECONDS && share >= SEEN_SHARE;
                // Where nothing ends for longer than all the rest should take, nothing is known.
                let end = seen.then(|| now.last / share)?;
                Some(end - now.elapsed).filter(|left| *left >= 0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four slots, all the time.
    fn four(elapsed: f64) -> Progress {
        Progress { elapsed, slots: 4, available: 4.0 * elapsed, ..Progress::default() }
    }

    fn known(seconds: f64) -> Forecast {
        Forecast { tests: 100, seconds: Some(seconds), slots: 4 }
    }

    #[test]
    fn at_the_start_the_recorded_durations_decide() {
        assert_eq!(known(40.0).left(four(0.0)), Some(10.0));
    }

    /// Half of it took twice as long as expected: the other half will, too, or nearly.
    #[test]
    fn a_slower_run_takes_longer() {
        let now = Progress { tests: 50, seconds: 100.0, ..four(50.0) };
        let left = known(200.0).left(now).expect("a forecast");
        assert!((45.0..50.0).contains(&left), "{left}");
    }

    /// Eight of ten seconds with one slot, then with four: the pace is as expected.
    #[test]
    fn more_slots_take_less_of_what_is_left() {
        let now = Progress { tests: 10, available: 16.0, seconds: 16.0, ..four(10.0) };
        assert_eq!(known(56.0).left(now), Some(10.0));
    }

    #[test]
    fn the_longest_running_test_is_waited_for() {
        let now = Progress { tests: 99, last: 9.0, seconds: 39.0, longest: 7.0, ..four(9.0) };
        assert_eq!(known(40.0).left(now), Some(7.0));
        assert_eq!(known(40.0).left(Progress { seconds: 45.0, longest: 0.0, ..now }), Some(0.0));
    }

    #[test]
    fn without_durations_the_share_of_tests_decides_once_there_is_one() {
        let forecast = Forecast { tests: 100, seconds: None, slots: 4 };
        let at = |elapsed, tests, last| forecast.left(Progress { tests, last, ..four(elapsed) });
        assert_eq!([at(0.0, 0, 0.0), at(1.0, 50, 1.0), at(9.0, 1, 9.0)], [None; 3]);
        assert_eq!(at(10.0, 25, 10.0), Some(30.0));
        assert_eq!([at(20.0, 25, 10.0), at(41.0, 25, 10.0)], [Some(20.0), None]);
    }
}
