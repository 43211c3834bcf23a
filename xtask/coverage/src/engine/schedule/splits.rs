//! How far each split has come, while units of all of them run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Scheduler};
use crate::split::Unit;

/// The splits of a run by number.
#[derive(Debug, Default)]
pub(super) struct Splits {
    progress: BTreeMap<u32, Progress>,
    /// Those whose tests have left processes that may still write coverage.
    lingering: BTreeSet<u32>,
    /// Those that have ended and whose data was not yet asked for.
    complete: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Progress {
    started: bool,
    /// Units that have not ended, and failures that are held back.
    left: usize,
    empty: bool,
}

impl Splits {
    /// Nothing has begun.
    pub(super) fn new(splits: &[u32], units: &[Unit]) -> Splits {
        let mut left: BTreeMap<u32, usize> = splits.iter().map(|&split| (split, 0)).collect();
        units.iter().for_each(|unit| *left.entry(unit.split).or_default() += 1);
        let progress = |left: usize| Progress { started: false, left, empty: left == 0 };
        let progress = left.into_iter().map(|(split, left)| (split, progress(left))).collect();
        Splits { progress, ..Splits::default() }
    }

    /// Those without a test.
    pub(super) fn empty(&self) -> Vec<u32> {
        self.which(|progress| progress.empty)
    }

    /// Those that have not ended.
    pub(super) fn open(&self) -> Vec<u32> {
        self.which(|progress| progress.left > 0)
    }

    fn which(&self, is_one: impl Fn(&Progress) -> bool) -> Vec<u32> {
        self.progress.iter().filter(|(_, it)| is_one(it)).map(|(&split, _)| split).collect()
    }

    /// There is something more than was known.
    pub(super) fn more(&mut self, split: u32) {
        if let Some(progress) = self.progress.get_mut(&split) {
            progress.left += 1;
        }
    }

    /// The same of one that may not have been known.
    pub(super) fn add(&mut self, split: u32) {
        let progress = self.progress.entry(split).or_default();
        progress.left += 1;
        progress.empty = false;
    }

    /// Something of it has ended. True where that was the last.
    fn less(&mut self, split: u32) -> bool {
        let Some(progress) = self.progress.get_mut(&split) else { return false };
        progress.left = progress.left.saturating_sub(1);
        progress.left == 0
    }

    /// Its tests have left processes running.
    pub(super) fn linger(&mut self, split: u32) {
        self.lingering.insert(split);
    }
}

impl Scheduler {
    /// A unit of this split begins.
    pub(super) fn begin_split(&mut self, split: u32) {
        let Some(progress) = self.splits.progress.get_mut(&split) else { return };
        if !std::mem::replace(&mut progress.started, true) {
            self.say(Action::SplitStarted { split });
        }
    }

    /// Something of a split has ended: a unit, or the wait for the verdict on a failure.
    pub(super) fn part_of_split_ended(&mut self, split: u32) {
        if self.splits.less(split) && self.is_running() {
            self.split_ended(split);
        }
        self.close_splits();
    }

    /// All of a split has run.
    pub(super) fn split_ended(&mut self, split: u32) {
        let ran = self.splits.progress.get(&split).is_some_and(|it| !it.empty);
        if ran && self.rules.forks {
            self.splits.complete.insert(split);
        }
        self.say(Action::SplitEnded { split, ran });
    }

    /// Has the data of complete splits written, now that no process can add to it.
    pub(super) fn close_splits(&mut self) {
        if self.splits.complete.is_empty() {
            return;
        }
        let mut open = self.splits.lingering.clone();
        self.slots.iter().flatten().for_each(|running| open.extend(running.ended_splits()));
        let splits: Vec<u32> = self.splits.complete.difference(&open).copied().collect();
        if !splits.is_empty() {
            self.splits.complete.retain(|split| open.contains(split));
            self.say(Action::CloseSplits { splits });
        }
    }
}
