//! How far each split has come, while units of all of them run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::engine::{SplitEnd, SplitState};
use crate::split::{Plan, Unit};

/// The splits of a run by number.
#[derive(Default)]
pub(super) struct Splits(BTreeMap<u32, Progress>);

struct Progress {
    started: Option<Instant>,
    /// Units that have not ended.
    left: usize,
    tests: u64,
    failed: u64,
    empty: bool,
}

impl Splits {
    /// Nothing has begun.
    pub(super) fn new(plan: &Plan, units: &[Unit]) -> Splits {
        let progress = |split: u32| {
            let left = units.iter().filter(|unit| unit.split == split).count();
            Progress { started: None, left, tests: 0, failed: 0, empty: left == 0 }
        };
        Splits(plan.splits.iter().map(|split| (split.number, progress(split.number))).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Those without a test.
    pub(super) fn empty(&self) -> Vec<u32> {
        self.0.iter().filter(|(_, it)| it.empty).map(|(&split, _)| split).collect()
    }

    /// Those that have not ended.
    pub(super) fn open(&self) -> Vec<u32> {
        self.0.iter().filter(|(_, it)| it.left > 0).map(|(&split, _)| split).collect()
    }

    /// A unit begins. True where it is the first of its split.
    pub(super) fn unit_started(&mut self, split: u32) -> bool {
        let Some(progress) = self.0.get_mut(&split) else { return false };
        progress.started.replace(progress.started.unwrap_or_else(Instant::now)).is_none()
    }

    /// There is a unit more than was known.
    pub(super) fn unit_added(&mut self, split: u32) {
        if let Some(progress) = self.0.get_mut(&split) {
            progress.left += 1;
        }
    }

    /// A unit has ended. True where it was the last of its split.
    pub(super) fn unit_ended(&mut self, split: u32) -> bool {
        let Some(progress) = self.0.get_mut(&split) else { return false };
        progress.left = progress.left.saturating_sub(1);
        progress.left == 0
    }

    /// A test has ended for good.
    pub(super) fn test_ended(&mut self, split: u32, failed: bool) {
        if let Some(progress) = self.0.get_mut(&split) {
            progress.tests += 1;
            progress.failed += u64::from(failed);
        }
    }

    /// What there is to say at its end.
    pub(super) fn end(&self, split: u32, state: SplitState, log: &Utf8Path) -> Option<SplitEnd> {
        let progress = self.0.get(&split)?;
        Some(SplitEnd {
            split,
            of: self.len(),
            tests: progress.tests,
            failed: progress.failed,
            took: progress.started.map_or(Duration::ZERO, |started| started.elapsed()),
            state,
            log: log.to_owned(),
        })
    }
}
