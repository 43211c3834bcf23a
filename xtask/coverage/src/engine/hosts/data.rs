//! What units have left of coverage, and who writes it: none may be lost in silence.

use std::collections::{BTreeMap, BTreeSet};

use super::host::UnitData;
use crate::engine::schedule::UnitOver;

/// Units that have left coverage which no host has yet written into a data file.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    left: BTreeMap<u32, Left>,
    /// Units that ran to confirm something, whose data may come to count.
    trials: BTreeMap<u32, UnitOver>,
}

/// What a unit has left.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// The split of its tests.
    split: u32,
    /// The host that writes it.
    host: usize,
    /// It came to its end, so all it has covered must be there.
    whole: bool,
    /// How many tests it told the end of; what each has covered was safe before.
    finished: usize,
}

/// A file of a subprocess that is not what it was, and what that means.
pub(super) enum Damage {
    /// Where a unit was cut short, so were its processes, which is no wonder.
    Expected(String),
    /// Coverage is lost: of which split, if that is known.
    Lost(Option<u32>, String),
}

impl Unwritten {
    /// A unit is over, and this host writes what it has left.
    pub(super) fn add(&mut self, over: &UnitOver, host: usize) {
        let UnitOver { split, whole, told, .. } = *over;
        self.left.insert(over.unit, Left { split, host, whole, finished: told });
    }

    /// A unit is over that ran to confirm something.
    pub(super) fn add_trial(&mut self, over: &UnitOver) {
        self.trials.insert(over.unit, over.clone());
    }

    /// What it has left counts.
    pub(super) fn trial_counts(&mut self, unit: u32) -> Option<UnitOver> {
        self.trials.remove(&unit)
    }

    /// All units whose host is not among these, with their splits and hosts.
    pub(super) fn orphans(&self, living: &BTreeSet<usize>) -> Vec<(u32, u32, usize)> {
        let orphans = self.left.iter().filter(|(_, left)| !living.contains(&left.host));
        orphans.map(|(&unit, left)| (unit, left.split, left.host)).collect()
    }

    /// A host has written what was found of a unit, and of so many tests. What is wrong with that.
    pub(super) fn written(
        &mut self,
        unit: u32,
        found: UnitData,
        tests: usize,
    ) -> Option<(u32, &'static str)> {
        let left = self.left.remove(&unit)?;
        Some((left.split, left.lacks(found, tests)?))
    }

    /// What it means that a file of a subprocess is damaged.
    pub(super) fn damage(&self, unit: Option<u32>, split: Option<u32>, text: String) -> Damage {
        let left = unit.and_then(|unit| self.left.get(&unit));
        match left {
            Some(left) if !left.whole => Damage::Expected(text),
            _ => Damage::Lost(left.map(|left| left.split).or(split), text),
        }
    }

    /// The splits of units that nobody has written.
    pub(super) fn splits(&self) -> BTreeSet<u32> {
        self.left.values().map(|left| left.split).collect()
    }
}

impl Left {
    /// What is wrong with what was found of a unit, and of so many tests.
    fn lacks(&self, found: UnitData, tests: usize) -> Option<&'static str> {
        match found {
            UnitData::None => Some("left no coverage data"),
            UnitData::Damaged => Some("left damaged coverage data"),
            UnitData::Partial if self.whole => Some("left damaged coverage data"),
            _ if tests < self.finished => Some("left coverage data of fewer tests than have ended"),
            UnitData::Whole | UnitData::Partial => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_ended_has_left_all_and_another_what_its_tests_have_covered() {
        let unit = |whole, finished| Left { split: 1, host: 0, whole, finished };
        let table = [
            (unit(true, 2), UnitData::Whole, 3, true),
            (unit(true, 2), UnitData::Partial, 2, false),
            (unit(true, 2), UnitData::Whole, 1, false),
            (unit(false, 2), UnitData::Partial, 2, true),
            (unit(false, 2), UnitData::Partial, 1, false),
            (unit(false, 2), UnitData::Damaged, 2, false),
            (unit(false, 2), UnitData::None, 0, false),
        ];
        for (unit, found, tests, is_all) in table {
            assert_eq!(unit.lacks(found, tests).is_none(), is_all, "{unit:?} {found:?} {tests}");
        }
    }
}
