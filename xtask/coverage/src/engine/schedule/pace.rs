//! Processes whose tests get slower.
//!
//! What tests leave behind (threads, handlers, patches that pile up, a heap that every collection
//! of garbage walks) makes all later tests of their process slower, and no test of another one. Such
//! a process ends with its unit; the next one begins without all that. How slow the machine is now
//! is known from units that began a process: that others keep it busy is no reason to end one.

use std::collections::VecDeque;
use std::time::Duration;

/// Units that began a process, of which the pace is remembered; so many say enough.
const REMEMBERED: usize = 20;
const ENOUGH: usize = 4;
/// Slower than new processes by this factor.
const SLOWER: f64 = 1.5;
/// And by so many seconds in one unit: a process more costs something as well.
const LOST_SECONDS: f64 = 0.5;

/// What units took, as multiples of what they were expected to take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    fresh: VecDeque<f64>,
}

impl Pace {
    /// A unit has ended that was expected to take so many seconds, 0 where that is not known.
    /// Whether its process is slower than a new one would be.
    pub(super) fn is_slow(&mut self, began_process: bool, expected: f64, took: Duration) -> bool {
        if expected <= 0.0 {
            return false;
        }
        let pace = took.as_secs_f64() / expected;
        if began_process {
            self.fresh.push_back(pace);
            if self.fresh.len() > REMEMBERED {
                self.fresh.pop_front();
            }
            return false;
        }
        let usual = self.usual();
        usual.is_some_and(|usual| {
            pace > usual * SLOWER && took.as_secs_f64() - usual * expected > LOST_SECONDS
        })
    }

    /// The median of new processes.
    fn usual(&self) -> Option<f64> {
        let mut paces: Vec<f64> = self.fresh.iter().copied().collect();
        paces.sort_by(f64::total_cmp);
        paces.get(paces.len() / 2).copied().filter(|_| paces.len() >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_fresh(paces: &[f64]) -> Pace {
        let mut pace = Pace::default();
        for one in paces {
            assert!(!pace.is_slow(true, 1.0, Duration::from_secs_f64(*one)));
        }
        pace
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_process_is_slow_beside_new_ones() {
        let mut pace = after_fresh(&[1.0, 1.1, 0.9, 1.0]);
        assert!(pace.is_slow(false, 2.0, seconds(4)));
        assert!(!pace.is_slow(false, 2.0, seconds(3)), "hardly slower");
        assert!(!pace.is_slow(false, 0.1, Duration::from_millis(300)), "little is lost");
    }

    #[test]
    fn a_machine_that_others_keep_busy_makes_none_slow() {
        let mut pace = after_fresh(&[2.0, 2.1, 1.9, 2.0, 2.2]);
        assert!(!pace.is_slow(false, 2.0, seconds(5)));
    }

    #[test]
    fn nothing_follows_from_what_is_not_known() {
        let mut few = after_fresh(&[1.0, 1.0, 1.0]);
        assert!(!few.is_slow(false, 1.0, seconds(9)), "too few to compare with");
        let mut pace = after_fresh(&[1.0; 4]);
        assert!(!pace.is_slow(false, 0.0, seconds(9)), "what it should take is not known");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut pace = after_fresh(&[1.0; 4]);
        for _ in 0..REMEMBERED {
            pace.is_slow(true, 1.0, seconds(3));
        }
        assert!(!pace.is_slow(false, 1.0, seconds(4)));
    }
}
