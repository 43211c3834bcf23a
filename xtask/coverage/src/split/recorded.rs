//! The cut of an earlier run: the tests of it that run again are in the splits and units in which
//! they were.

use std::collections::{BTreeMap, HashMap};

use super::units::gather;
use super::{Plan, Unit};
use crate::model::NodeId;

/// Where tests were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// By node id.
    pub places: HashMap<String, RecordedPlace>,
}

/// Where one test was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordedPlace {
    /// From 1.
    pub split: u32,
    /// The number of its unit; none where that is not known.
    pub unit: Option<usize>,
}

/// What holds tests together.
#[derive(PartialEq, Eq, Hash)]
enum Bond<'a> {
    Unit(usize),
    File(&'a str),
}

impl Recorded {
    /// Brings each test into the split in which it was; of others nothing is known.
    #[must_use]
    pub(crate) fn applied_to(&self, mut plan: Plan) -> Plan {
        let place = |test: usize, ids: &[String]| self.places.get(&ids[test]).copied();
        let mut of: Vec<(usize, u32)> = Vec::new();
        for split in &mut plan.splits {
            let tests = std::mem::take(&mut split.tests).into_iter();
            of.extend(tests.map(|test| {
                (test, place(test, &plan.ids).map_or(split.number, |place| place.split))
            }));
        }
        of.sort_unstable();
        for (test, number) in of {
            // A number that is no split is none of ours.
            let at = plan.splits.iter().position(|split| split.number == number).unwrap_or(0);
            plan.splits[at].tests.push(test);
        }
        plan
    }

    /// The units, longest first. Tests of a unit that is not known are held together by their file.
    pub(crate) fn units(&self, plan: &Plan, groups: &BTreeMap<usize, String>) -> Vec<Unit> {
        let bond = |test: usize| {
            let id = &plan.ids[test];
            let file = || Bond::File(NodeId(id).file());
            self.places.get(id).and_then(|place| place.unit).map_or_else(file, Bond::Unit)
        };
        let mut units = Vec::new();
        for split in &plan.splits {
            for tests in gather(&split.tests, bond) {
                let seconds = tests.iter().map(|&test| plan.seconds[test]).sum();
                let groups = tests.iter().filter_map(|test| groups.get(test)).cloned().collect();
                units.push(Unit { split: split.number, tests, seconds, groups });
            }
        }
        units.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Durations, Sum};

    #[test]
    fn tests_are_where_they_were() {
        let ids = ["a::1", "a::2", "a::3", "b::1", "c::1", "c::2"].map(str::to_owned).to_vec();
        let place = |split, unit| RecordedPlace { split, unit };
        let places = [
            ("a::1", place(3, Some(0))),
            ("a::2", place(3, Some(1))),
            ("a::3", place(3, Some(0))),
            ("b::1", place(3, Some(1))),
            ("c::1", place(1, None)),
            ("c::2", place(1, None)),
        ];
        let places = places.map(|(id, place)| (id.to_owned(), place)).into();
        let recorded = Recorded { places };
        let plan = Plan::new(ids, &Durations::default(), 3, Sum::Compensated);
        let mut plan = recorded.applied_to(plan);
        plan.predict(&Durations::default());
        let splits: Vec<&[usize]> = plan.splits.iter().map(|split| &split.tests[..]).collect();
        assert_eq!(splits, [&[4, 5][..], &[], &[0, 1, 2, 3]]);
        let units = recorded.units(&plan, &BTreeMap::new());
        let units: Vec<&[usize]> = units.iter().map(|unit| &unit.tests[..]).collect();
        assert_eq!(units, [[4, 5], [0, 2], [1, 3]]);
    }
}
