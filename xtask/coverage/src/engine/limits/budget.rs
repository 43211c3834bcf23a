//! How many tests may fail before the run ends.

use serde::{Deserialize, Serialize};

/// The failure budget, and what is used of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Budget {
    /// How many failed tests end the run; 0 means that nothing does.
    #[serde(rename = "budget")]
    most: u64,
    #[serde(rename = "failed_tests")]
    used: u64,
    /// In other runs that share it.
    #[serde(skip)]
    elsewhere: u64,
}

impl Budget {
    /// So many failed tests end the run; 0 means that nothing does.
    pub(crate) fn new(most: u64) -> Budget {
        Budget { most, used: 0, elsewhere: 0 }
    }

    /// So many tests more have failed.
    pub(crate) fn count(&mut self, failed: u64) {
        self.used += failed;
    }

    /// So many have failed in other runs.
    pub(crate) fn elsewhere(&mut self, failed: u64) {
        self.elsewhere = failed;
    }

    /// A failure does not count any more.
    pub(crate) fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// So many tests have failed, all in all.
    pub(crate) fn recount(&mut self, failed: u64) {
        self.used = failed;
    }

    /// How many failed tests end the run, where anything does.
    pub(crate) fn most(&self) -> Option<u64> {
        Some(self.most).filter(|&most| most > 0)
    }

    /// The run has to end.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.would_be_exhausted(0)
    }

    /// It would have to end if so many failures more counted.
    pub(crate) fn would_be_exhausted(&self, more: u64) -> bool {
        self.most().is_some_and(|most| self.used + self.elsewhere + more >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failure_that_may_be_ends_the_run() {
        let mut budget = Budget::new(2);
        budget.count(1);
        assert!(!budget.is_exhausted() && budget.would_be_exhausted(1));
        budget.count(1);
        assert!(budget.is_exhausted());
        budget.give_back();
        assert!(!budget.is_exhausted());
        budget.recount(3);
        assert!(budget.is_exhausted());
    }

    #[test]
    fn no_limit_is_never_reached() {
        let mut budget = Budget::new(0);
        budget.count(u64::from(u32::MAX));
        assert!(!budget.would_be_exhausted(1) && budget.most().is_none());
    }
}
