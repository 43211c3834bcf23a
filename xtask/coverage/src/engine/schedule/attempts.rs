//! Which tests may be tried again after a failure.

use std::collections::HashMap;

/// Counts the attempts of tests, by number.
#[derive(Debug)]
pub(super) struct Attempts {
    retries: u32,
    used: HashMap<usize, u32>,
    /// How often a test ran again that was not to blame for the end of its process.
    repeated: HashMap<usize, u32>,
}

/// After so many ends for want of memory a test is to blame, whatever else was running.
const REPEATS: u32 = 3;

impl Attempts {
    /// A failed test is tried again so many times.
    pub(super) fn new(retries: u32) -> Attempts {
        Attempts { retries, used: HashMap::new(), repeated: HashMap::new() }
    }

    /// True where a failure of this attempt does not count yet, for there will be another.
    pub(super) fn more(&self, test: usize) -> bool {
        self.used.get(&test).copied().unwrap_or(0) < self.retries
    }

    /// True where it has been tried before, and is to be tried in a process of its own.
    pub(super) fn has_begun(&self, test: usize) -> bool {
        self.used.contains_key(&test) || self.repeated.contains_key(&test)
    }

    /// Begins the next attempt: which retry it is, from 1, and of how many.
    pub(super) fn again(&mut self, test: usize) -> (u32, u32) {
        let used = self.used.entry(test).or_default();
        *used += 1;
        (*used, self.retries)
    }

    /// True where a test may run again without a count, and does.
    pub(super) fn repeat(&mut self, test: usize) -> bool {
        let repeated = self.repeated.entry(test).or_default();
        *repeated += 1;
        *repeated < REPEATS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_its_own_attempts() {
        let mut attempts = Attempts::new(2);
        assert!(attempts.more(7));
        assert_eq!((attempts.again(7), attempts.again(7)), ((1, 2), (2, 2)));
        assert!(!attempts.more(7) && attempts.more(8));
        assert!(!Attempts::new(0).more(7));
    }
}
