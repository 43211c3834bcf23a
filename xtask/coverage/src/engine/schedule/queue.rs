//! The units that wait, and the turns of groups that were cut.

use crate::split::{Isolation, Place, Turns, Unit, Waiting};

#[derive(Debug, Default)]
pub(super) struct Queue {
    units: Waiting,
    turns: Turns,
}

impl Queue {
    /// These wait.
    pub(super) fn new(units: Vec<Unit>) -> Queue {
        let turns = Turns::of(&units);
        Queue { units: units.into_iter().collect(), turns }
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// Seconds that what waits is expected to take, one after the other.
    pub(super) fn seconds(&self) -> f64 {
        self.units.seconds()
    }

    /// The unit at a place.
    pub(super) fn get(&self, at: Place) -> Option<&Unit> {
        self.units.get(at)
    }

    /// Takes the unit at a place.
    pub(super) fn remove(&mut self, at: Place) -> Option<Unit> {
        self.units.remove(at)
    }

    /// Takes one of those that are to run these tests.
    pub(super) fn take(&mut self, tests: &[usize]) -> bool {
        self.units.find(tests).and_then(|at| self.remove(at)).is_some()
    }

    /// Puts back a unit that was taken and did not begin.
    pub(super) fn put_back(&mut self, unit: Unit) {
        self.units.push_front(unit);
    }

    /// Puts tests that are left over to the front.
    pub(super) fn add(&mut self, unit: Unit) {
        self.turns.add(&unit);
        self.put_back(unit);
    }

    /// Puts what was not known before to the end.
    pub(super) fn append(&mut self, unit: Unit) {
        self.turns.add(&unit);
        self.units.push_back(unit);
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) {
        self.units = Waiting::default();
    }

    /// Nothing more comes of a unit that was taken.
    pub(super) fn ended(&mut self, unit: &Unit) {
        self.turns.ended(unit);
    }

    /// Whether nothing that comes before a unit in one of its groups is left, but for the unit
    /// that it would follow.
    pub(super) fn has_turn(&self, unit: &Unit, after: Option<&Unit>) -> bool {
        self.turns.may_run(unit, after)
    }

    /// Where the unit is that a new process begins with.
    pub(super) fn first(
        &self,
        slots: usize,
        isolation: Isolation,
        may_run: impl Fn(&Unit) -> bool,
    ) -> Option<Place> {
        self.units.pick_first(slots, isolation, may_run)
    }

    /// Where the unit is that follows another one in its process.
    pub(super) fn next(
        &self,
        slots: usize,
        after: &Unit,
        may_follow: impl Fn(&Unit) -> bool,
    ) -> Option<Place> {
        self.units.pick_next(slots, after, may_follow)
    }
}
