//! Batches that are claimed while the run goes on: when to ask for the next, and what comes of it.

use std::collections::BTreeSet;

use super::{Action, Scheduler, Stage};
use crate::split::Unit;

/// Seconds of work that a process has left when more is asked for: a claim takes its time, and
/// what is claimed early is not there for a faster shard.
const LEAD: f64 = 1.0;

#[derive(Debug, Default)]
pub(super) struct Tail {
    state: State,
    /// Splits that may get more units: they have not ended although none of theirs is left.
    held: BTreeSet<u32>,
    /// Some unit has come to its end, or there was none: this machine can run tests.
    is_fit: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// All there is to run is known.
    #[default]
    Over,
    /// Nothing was asked for.
    Open,
    /// An answer is on its way.
    Asked,
}

impl Tail {
    /// More may come than is known.
    pub(super) fn new(is_fit: bool) -> Tail {
        Tail { state: State::Open, held: BTreeSet::new(), is_fit }
    }

    /// All there is to run is known.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// A unit has come to its end.
    pub(super) fn proves_fit(&mut self) {
        self.is_fit = true;
    }

    /// Nothing more is taken in.
    pub(super) fn close(&mut self) {
        self.state = State::Over;
    }
}

impl Scheduler {
    /// Keeps a split open while more of it may come.
    pub(super) fn hold_split(&mut self, split: u32) {
        if self.tail.held.insert(split) {
            self.splits.add(split);
        }
    }

    /// Asks for more before workers idle.
    pub(super) fn ask_for_more(&mut self) {
        if self.stage != Stage::Running || self.tail.state != State::Open {
            return;
        }
        if !self.runs_low() {
            return;
        }
        if self.tail.is_fit {
            self.tail.state = State::Asked;
            return self.say(Action::Claim);
        }
        let idle = self.slots.iter().all(Option::is_none);
        if idle && self.queue.is_empty() && self.confirmations.is_over() {
            self.say(Action::ClaimNothing);
            self.tail_over();
        }
    }

    /// Some process has nothing to do, or soon will have.
    fn runs_low(&self) -> bool {
        let waiting = self.queue.seconds();
        if !self.queue.is_empty() && (waiting == 0.0 || waiting > LEAD) {
            return false;
        }
        let is_idle = self.busy_in_pool() < self.pool.allowed();
        is_idle
            || self.slots.iter().flatten().any(|running| waiting + running.seconds_left() <= LEAD)
    }

    /// These are to be run here as well.
    pub(super) fn claimed(&mut self, units: Vec<Unit>) {
        if self.stage != Stage::Running || self.tail.state != State::Asked {
            return;
        }
        self.tail.state = State::Open;
        for unit in units {
            self.hold_split(unit.split);
            self.splits.add(unit.split);
            self.queue.append(unit);
        }
        self.may_start = true;
    }

    /// Nothing more comes.
    pub(super) fn tail_over(&mut self) {
        self.tail.close();
        for split in std::mem::take(&mut self.tail.held) {
            self.part_of_split_ended(split);
        }
    }
}
