//! Turns: where a group was cut, by splits or by collectors, its parts run one after the other, in
//! the order of collection. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Plan, Unit};

/// The parts of groups that have not ended, by their first tests; only of groups in several parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(BTreeMap<String, BTreeSet<usize>>);

impl Turns {
    /// Nothing has ended.
    pub(crate) fn of(units: &[Unit]) -> Turns {
        let mut parts = HashMap::new();
        for group in units.iter().flat_map(|unit| &unit.groups) {
            *parts.entry(group).or_insert(0) += 1;
        }
        let cut = parts.into_iter().filter(|(_, parts)| *parts > 1);
        let mut turns = Turns(cut.map(|(group, _)| (group.clone(), BTreeSet::new())).collect());
        units.iter().for_each(|unit| turns.add(unit));
        turns
    }

    /// What a unit has left is a part too, and a test that is tried again.
    pub(crate) fn add(&mut self, unit: &Unit) {
        self.change(unit, |parts, first| parts.insert(first));
    }

    /// Nothing more comes of a unit.
    pub(crate) fn ended(&mut self, unit: &Unit) {
        self.change(unit, |parts, first| parts.remove(&first));
    }

    fn change(&mut self, unit: &Unit, change: impl Fn(&mut BTreeSet<usize>, usize) -> bool) {
        // Nearly always: no group was cut.
        let Some(&first) = unit.tests.first().filter(|_| !self.0.is_empty()) else { return };
        for group in &unit.groups {
            self.0.get_mut(group).map(|parts| change(parts, first));
        }
    }

    /// Whether nothing that comes before a unit in one of its groups is left, but for the unit
    /// that it would follow in its process.
    pub(crate) fn may_run(&self, unit: &Unit, after: Option<&Unit>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let (first, before) = (unit.tests.first(), after.and_then(|unit| unit.tests.first()));
        let is_next = |parts: &BTreeSet<usize>| {
            parts.iter().find(|part| Some(*part) != before).is_none_or(|next| Some(next) >= first)
        };
        unit.groups.iter().filter_map(|group| self.0.get(group)).all(is_next)
    }
}

/// The splits that each has to wait for, where whole splits run at once: earlier ones that have a
/// part of the same group.
pub(crate) fn turns_of_splits(
    plan: &Plan,
    groups: &BTreeMap<usize, String>,
) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut seen: HashMap<&String, BTreeSet<u32>> = HashMap::new();
    let mut turns = BTreeMap::new();
    for split in &plan.splits {
        let own: BTreeSet<&String> = split.tests.iter().filter_map(|it| groups.get(it)).collect();
        let before = own.iter().filter_map(|group| seen.get(*group)).flatten();
        turns.insert(split.number, before.copied().collect());
        for group in own {
            seen.entry(group).or_default().insert(split.number);
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Durations, Sum};

    #[test]
    fn a_split_waits_for_those_before_it_with_the_same_group() {
        let ids: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        let plan = Plan::new(ids, &Durations::default(), 3, Sum::Compensated);
        let groups = [(1, "a"), (2, "a"), (5, "a"), (4, "b"), (3, "c")];
        let groups = groups.map(|(test, name)| (test, name.to_owned())).into();
        let turns = [(1, [].into()), (2, [1].into()), (3, [1, 2].into())];
        assert_eq!(turns_of_splits(&plan, &groups), turns.into());
        let none = [(1, [].into()), (2, [].into()), (3, [].into())];
        assert_eq!(turns_of_splits(&plan, &[(0, "a".to_owned())].into()), none.into());
    }

    fn unit(first: usize, groups: &[&str]) -> Unit {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Unit { split: 1, tests: vec![first], seconds: 1.0, groups }
    }

    #[test]
    fn parts_of_a_group_run_in_order() {
        let units = [unit(4, &["a"]), unit(0, &["a", "b"]), unit(2, &["b", "c"]), unit(3, &["d"])];
        let mut turns = Turns::of(&units);
        let [third, first, second, alone] = &units;
        let free = |turns: &Turns| -> Vec<usize> {
            let free = units.iter().filter(|unit| turns.may_run(unit, None));
            free.map(|unit| unit.tests[0]).collect()
        };
        assert_eq!(free(&turns), [0, 3]);
        assert!(turns.may_run(second, Some(first)));
        assert!(!turns.may_run(third, Some(alone)));
        turns.add(&unit(1, &["a"]));
        turns.ended(first);
        assert_eq!(free(&turns), [0, 2, 3]);
        turns.ended(&unit(1, &["a"]));
        assert_eq!(free(&turns), [4, 0, 2, 3]);
    }

    #[test]
    fn a_group_in_one_part_waits_for_nothing() {
        assert!(Turns::of(&[unit(1, &["a"]), unit(0, &["b"])]).0.is_empty());
    }
}
