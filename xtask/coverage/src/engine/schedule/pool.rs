//! How many processes run units at once: as many as keep the processors busy.

use std::time::Duration;

use super::Rules;
use crate::machine::meter::Reading;
use crate::settings::Workers;

/// Processors are idle where more than this share of them is.
const IDLE: f64 = 0.2;
/// What a larger number aims at.
const AIM: f64 = 0.95;
/// Where some task waits for a processor for more than this share of the time, tests that compute
/// take turns.
const CROWDED: f64 = 0.97;
/// So many readings in a row must say the same before the number changes: short lulls cost
/// nothing, and the reading after a change is of both before and after it.
const TO_GROW: u32 = 2;
const TO_SHRINK: u32 = 4;
/// So long after it was lowered the number does not grow.
const REST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Follower {
    workers: Workers,
    fixed: bool,
    allowed: usize,
    /// The number is somebody else's to say.
    share: Option<usize>,
    idle: u32,
    crowded: u32,
    lowered: Option<Duration>,
    has_idle_processors: bool,
    /// While there was more to do than processes for it.
    readings: u32,
}

impl Follower {
    /// As many as at the start.
    pub(crate) fn new(workers: Workers) -> Follower {
        let allowed = workers.start.clamp(1, workers.most.max(1));
        Follower {
            workers,
            fixed: workers.fixed,
            allowed,
            share: None,
            idle: 0,
            crowded: 0,
            lowered: None,
            has_idle_processors: false,
            readings: 0,
        }
    }

    /// By the rules of a run; where others have a part in the processes there are none at first.
    pub(super) fn of(rules: &Rules) -> Follower {
        let mut follower = Follower::new(rules.workers);
        follower.share = rules.shared.then_some(0);
        follower
    }

    /// Others are to run as well: as many at once as they would begin with alone, and as far as
    /// they would go.
    pub(crate) fn widen(&mut self, workers: Workers) {
        let Workers { start, most, fixed } = workers;
        self.workers.most = self.workers.most.max(most);
        self.allowed = self.allowed.max(start.clamp(1, most.max(1)));
        self.fixed &= fixed;
    }

    /// From here on the number does not change.
    pub(crate) fn fix(&mut self) {
        self.fixed = true;
    }

    /// The number is what others leave to this run, from here on.
    pub(crate) fn share(&mut self, processes: usize) {
        self.share = Some(processes);
    }

    /// How many there may be now.
    pub(crate) fn allowed(&self) -> usize {
        self.share.map_or(self.allowed, |share| share.min(self.workers.most))
    }

    /// How many there will ever be.
    pub(crate) fn most(&self) -> usize {
        self.workers.most
    }

    /// What the number has come to; none where it could not change, or had no time to.
    pub(crate) fn reached(&self) -> Option<usize> {
        (!self.fixed && self.share.is_none() && self.readings >= TO_SHRINK).then_some(self.allowed)
    }

    /// Something else could run without keeping the tests from running.
    pub(crate) fn has_idle_processors(&self) -> bool {
        self.has_idle_processors
    }

    /// Takes in a reading while `busy` processes run units and `waits` says that there is more
    /// for others to do. Returns the number where it changes.
    pub(crate) fn read(
        &mut self,
        reading: &Reading,
        busy: usize,
        waits: bool,
        now: Duration,
    ) -> Option<usize> {
        let is_free = reading.busy < reading.cores * (1.0 - IDLE);
        self.has_idle_processors = is_free && reading.cores > 0.0;
        if self.fixed || self.share.is_some() || reading.cores <= 0.0 {
            return None;
        }
        self.readings += u32::from(waits);
        let is_idle = waits && busy >= self.allowed && is_free;
        let is_crowded = !is_free && reading.pressure.is_some_and(|pressure| pressure > CROWDED);
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        self.crowded = if is_crowded { self.crowded + 1 } else { 0 };
        let rests = self.lowered.is_some_and(|lowered| now < lowered + REST);
        let wanted = if self.idle >= TO_GROW && !rests {
            self.larger(reading)
        } else if self.crowded >= TO_SHRINK {
            self.lowered = Some(now);
            self.smaller(reading.cores)
        } else {
            return None;
        };
        (self.idle, self.crowded) = (0, 0);
        (std::mem::replace(&mut self.allowed, wanted) != wanted).then_some(wanted)
    }

    /// By as much as the processors seem to allow, at most twice the number: what they do now may
    /// be somebody else's doing, or not what the next tests do.
    fn larger(&self, reading: &Reading) -> usize {
        let factor = AIM * reading.cores / reading.busy.max(0.01);
        let wanted = (self.allowed as f64 * factor.min(2.0)) as usize;
        wanted.max(self.allowed + 1).min(self.workers.most)
    }

    /// Tests that compute take turns where there are more of them than processors, and what they
    /// measure of time is wrong.
    fn smaller(&self, cores: f64) -> usize {
        let least = (cores as usize).max(1).min(self.allowed);
        (self.allowed * 3 / 4).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(busy: f64, pressure: f64) -> Reading {
        Reading { busy, cores: 2.0, pressure: Some(pressure), ..Reading::default() }
    }

    /// The numbers that follow from readings, one every half second, of a pool that is full.
    fn numbers(workers: Workers, readings: &[Reading]) -> Vec<usize> {
        let mut pool = Follower::new(workers);
        let moments = (1..).map(|half: u32| Duration::from_millis(500) * half);
        let read = |(reading, now): (&Reading, Duration)| {
            pool.read(reading, pool.allowed(), true, now);
            pool.allowed()
        };
        readings.iter().zip(moments).map(read).collect()
    }

    const WIDE: Workers = Workers { start: 2, most: 24, fixed: false };

    #[test]
    fn it_grows_while_processors_idle_in_steps_of_a_second() {
        let idle = vec![reading(0.1, 0.0); 9];
        assert_eq!(numbers(WIDE, &idle), [2, 4, 4, 8, 8, 16, 16, 24, 24]);
        let mostly_busy = vec![reading(1.5, 0.5); 4];
        assert_eq!(numbers(WIDE, &mostly_busy), [2, 3, 3, 4], "by as much as there is room");
    }

    #[test]
    fn a_short_lull_and_busy_processors_change_nothing() {
        let (lull, busy) = (reading(0.1, 0.0), reading(1.9, 0.7));
        let readings = [busy.clone(), lull.clone(), busy.clone(), lull, busy];
        assert_eq!(numbers(WIDE, &readings), [2; 5]);
    }

    #[test]
    fn what_was_fixed_stays() {
        assert_eq!(numbers(Workers::fixed(3), &vec![reading(0.1, 0.0); 4]), [3; 4]);
    }

    #[test]
    fn it_shrinks_where_tests_take_turns_down_to_the_number_of_cores() {
        let mut readings = vec![reading(0.1, 0.0); 4];
        readings.extend(vec![reading(2.0, 1.0); 16]);
        let numbers = numbers(WIDE, &readings);
        assert_eq!((numbers[3], numbers[7], numbers[11]), (8, 6, 4));
        assert!(numbers.iter().all(|&it| it >= 2));
    }

    #[test]
    fn it_shrinks_from_the_most_that_the_last_run_has_come_to() {
        let workers = Workers { start: 24, ..WIDE };
        assert_eq!(numbers(workers, &vec![reading(2.0, 1.0); 4]), [24, 24, 24, 18]);
    }

    #[test]
    fn nothing_grows_where_nothing_waits() {
        let mut pool = Follower::new(WIDE);
        for half in 1..9 {
            let now = Duration::from_millis(500) * half;
            assert_eq!(pool.read(&reading(0.0, 0.0), 2, false, now), None);
            assert_eq!(pool.read(&reading(0.0, 0.0), 1, true, now), None, "a slot is free already");
        }
    }
}
