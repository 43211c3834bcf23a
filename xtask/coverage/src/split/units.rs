//! Cuts splits into units, what one forked process runs: the tests of one file, several small
//! files together, or a part of a file that would be the tail of the run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::model::NodeId;

/// What one process runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unit {
    /// The number of the split that its tests belong to.
    pub split: u32,
    /// Its tests, as indices into [`Plan::ids`], in collection order.
    pub tests: Vec<usize>,
    /// What they are expected to take.
    pub seconds: f64,
    /// The `xdist_group`s of its tests.
    pub groups: BTreeSet<String>,
}

impl Unit {
    /// Whether two units must not run at once, for they hold tests of the same group.
    pub(crate) fn clashes(&self, other: &Unit) -> bool {
        !self.groups.is_disjoint(&other.groups)
    }
}

/// How large units are, in expected seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grain {
    /// Small files are joined up to this.
    pub target: f64,
    /// A file that takes longer than this (and than the target) is cut.
    pub tail: f64,
    /// So is one that takes more than this share of what comes after it in the order of
    /// collection, if it is worth a cut.
    pub share: Option<f64>,
}

/// Seconds that a unit takes at least for a cut to be worth it.
const WORTH: f64 = 2.0;

impl Grain {
    /// Units of about a second, for a fork costs a tenth of one, and none so long that it could
    /// keep a single slot busy for much of the run. Towards the end they get shorter, to half of
    /// a slot's part of the rest: slots take units in the order of collection, and the last of
    /// them should end at about the same time. (Guided self-scheduling, Polychronopoulos and
    /// Kuck 1987, with half of its share.)
    pub(crate) fn for_slots(total: f64, slots: usize) -> Grain {
        let slots = slots.max(1) as f64;
        Grain { target: 1.0, tail: (total / slots / 4.0).max(WORTH), share: Some(0.5 / slots) }
    }

    /// Whole files, whatever they take.
    pub(crate) const FILES: Grain = Grain { target: 0.0, tail: f64::INFINITY, share: None };
}

/// The units of every split, longest first. `groups` names the `xdist_group` of tests by index:
/// within a split, the tests of a group are in one unit. `holders` says by which process each
/// test was collected, and keeps those of different ones apart; empty where it was but one.
pub(crate) fn units(
    plan: &Plan,
    groups: &BTreeMap<usize, String>,
    holders: &[usize],
    grain: Grain,
) -> Vec<Unit> {
    let cutter = Cutter { plan, groups, grain, rest: rest(&plan.seconds) };
    let holder = |&test: &usize| holders.get(test);
    let mut units = Vec::new();
    for split in &plan.splits {
        for tests in gather(&split.tests, |test| holder(&test)) {
            units.extend(cutter.units(split.number, &tests));
        }
    }
    units.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    units
}

/// The seconds from each test on, and zero at the end.
fn rest(seconds: &[f64]) -> Vec<f64> {
    let mut rest = vec![0.0; seconds.len() + 1];
    for (test, seconds) in seconds.iter().enumerate().rev() {
        rest[test] = rest[test + 1] + seconds;
    }
    rest
}

/// What holds tests together. Files come from node ids, groups from marks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Bond<'a> {
    File(&'a str),
    Group(&'a str),
    Class(&'a str),
    Test(usize),
}

struct Cutter<'a> {
    plan: &'a Plan,
    groups: &'a BTreeMap<usize, String>,
    grain: Grain,
    /// The seconds from each test on.
    rest: Vec<f64>,
}

impl<'a> Cutter<'a> {
    fn units(&self, split: u32, tests: &[usize]) -> Vec<Unit> {
        let blocks = self.blocks(tests).into_iter();
        let blocks = blocks.flat_map(|block| self.pieces(block));
        let joined = self.join(blocks).into_iter();
        joined.map(|tests| self.unit(split, tests)).collect()
    }

    fn unit(&self, split: u32, mut tests: Vec<usize>) -> Unit {
        tests.sort_unstable();
        let groups = tests.iter().filter_map(|test| self.groups.get(test)).cloned().collect();
        Unit { split, seconds: self.seconds(&tests), groups, tests }
    }

    /// Whole files, those that share a group together.
    fn blocks(&self, tests: &[usize]) -> Vec<Vec<usize>> {
        let mut joined = HashMap::new();
        for &test in tests {
            let file = root(&joined, self.file(test));
            let group = root(&joined, self.group_or_file(test));
            if file != group {
                joined.insert(file, group);
            }
        }
        gather(tests, |test| root(&joined, self.file(test)))
    }

    /// The parts of a block that is too long: single files and groups, and files cut further.
    /// A group is never cut.
    fn pieces(&self, block: Vec<usize>) -> Vec<Vec<usize>> {
        if !self.is_tail(&block) {
            return vec![block];
        }
        let parts = gather(&block, |test| self.group_or_file(test)).into_iter();
        let is_group = |part: &[usize]| part.iter().any(|test| self.groups.contains_key(test));
        let cut = |part: Vec<usize>| if is_group(&part) { vec![part] } else { self.cut(part) };
        parts.flat_map(cut).collect()
    }

    /// Cuts a file into parts of about the same length, between tests; within a class only if
    /// the class itself is too long.
    fn cut(&self, file: Vec<usize>) -> Vec<Vec<usize>> {
        if !self.is_tail(&file) {
            return vec![file];
        }
        let total = self.seconds(&file);
        let share = total / (total / self.limit(&file)).ceil();
        let mut parts = BTreeMap::<u64, Vec<usize>>::new();
        let mut start = 0.0;
        for atom in self.atoms(&file) {
            let seconds = self.seconds(&atom);
            // The part is the one that the middle of the atom falls into.
            parts.entry(((start + seconds / 2.0) / share) as u64).or_default().extend(atom);
            start += seconds;
        }
        parts.into_values().collect()
    }

    /// The smallest parts of a file: its classes, and single tests where there is no class or
    /// the class is too long.
    fn atoms(&self, file: &[usize]) -> Vec<Vec<usize>> {
        let mut atoms = Vec::new();
        for class in gather(file, |test| self.class_or_test(test)) {
            if self.is_tail(&class) {
                atoms.extend(class.into_iter().map(|test| vec![test]));
            } else {
                atoms.push(class);
            }
        }
        atoms
    }

    /// Joins neighbours that are small up to the target; what is longer stays alone.
    fn join(&self, blocks: impl Iterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
        let (mut whole, mut open, mut filled) = (Vec::new(), Vec::new(), 0.0);
        for block in blocks {
            let seconds = self.seconds(&block);
            if seconds >= self.grain.target {
                whole.push(block);
                continue;
            }
            if filled + seconds > self.grain.target {
                whole.push(std::mem::take(&mut open));
                filled = 0.0;
            }
            open.extend(block);
            filled += seconds;
        }
        whole.push(open);
        whole.retain(|tests| !tests.is_empty());
        whole
    }

    fn seconds(&self, tests: &[usize]) -> f64 {
        tests.iter().fold(0.0, |sum, &test| sum + self.plan.seconds[test])
    }

    fn is_tail(&self, tests: &[usize]) -> bool {
        self.seconds(tests) > self.limit(tests)
    }

    /// What these tests may take together without being cut.
    fn limit(&self, tests: &[usize]) -> f64 {
        let Grain { target, tail, share } = self.grain;
        let after = tests.last().map_or(0.0, |last| self.rest[last + 1]);
        let ending = share.map_or(tail, |share| (share * after).max(WORTH));
        tail.min(ending).max(target)
    }

    fn file(&self, test: usize) -> Bond<'a> {
        let id = &self.plan.ids[test];
        Bond::File(NodeId(id).file())
    }

    fn group_or_file(&self, test: usize) -> Bond<'a> {
        self.groups.get(&test).map_or_else(|| self.file(test), |group| Bond::Group(group))
    }

    fn class_or_test(&self, test: usize) -> Bond<'a> {
        NodeId(&self.plan.ids[test]).class().map_or(Bond::Test(test), Bond::Class)
    }
}

/// Tests by what holds them together, in order of their first.
pub(super) fn gather<K: Eq + Hash>(tests: &[usize], bond: impl Fn(usize) -> K) -> Vec<Vec<usize>> {
    let (mut places, mut gathered) = (HashMap::new(), Vec::<Vec<usize>>::new());
    for &test in tests {
        let place = *places.entry(bond(test)).or_insert(gathered.len());
        if place == gathered.len() {
            gathered.push(Vec::new());
        }
        gathered[place].push(test);
    }
    gathered
}

/// The end of a chain of bonds, the same for all that are joined.
pub(super) fn root<B: Copy + Eq + Hash>(joined: &HashMap<B, B>, mut bond: B) -> B {
    while let Some(&next) = joined.get(&bond) {
        bond = next;
    }
    bond
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Durations, Sum};

    /// Tests with seconds, one split; a group is written behind `@`.
    fn cut(splits: u32, tests: &[(&str, f64)], target: f64, tail: f64) -> Vec<Unit> {
        let (mut groups, mut ids) = (BTreeMap::new(), Vec::new());
        for (index, (id, _)) in tests.iter().enumerate() {
            let (id, group) = id.split_once('@').unwrap_or((id, ""));
            ids.push(id.to_owned());
            if !group.is_empty() {
                groups.insert(index, group.to_owned());
            }
        }
        let durations: Durations =
            ids.iter().cloned().zip(tests.iter().map(|test| test.1)).collect();
        let plan = Plan::new(ids, &durations, splits, Sum::Compensated);
        units(&plan, &groups, &[], Grain { target, tail, ..Grain::FILES })
    }

    #[track_caller]
    fn check(tests: &[(&str, f64)], target: f64, tail: f64, expected: &[&[usize]]) {
        let units = cut(1, tests, target, tail);
        let tests: Vec<_> = units.iter().map(|unit| unit.tests.as_slice()).collect();
        assert_eq!(tests, expected);
    }

    #[test]
    fn a_file_is_a_unit() {
        let tests = [("a.py::x", 2.0), ("b.py::x", 3.0), ("a.py::y", 2.0)];
        check(&tests, 1.0, 9.0, &[&[0, 2], &[1]]);
    }

    #[test]
    fn units_run_longest_first_and_ties_in_order() {
        let tests = [("a.py::x", 2.0), ("b.py::x", 3.0), ("c.py::x", 2.0)];
        check(&tests, 1.0, 9.0, &[&[1], &[0], &[2]]);
    }

    #[test]
    fn small_files_are_joined_up_to_the_target() {
        let tests = [("a.py::x", 0.5), ("b.py::x", 3.0), ("c.py::x", 0.5), ("d.py::x", 0.25)];
        check(&tests, 1.0, 9.0, &[&[1], &[0, 2], &[3]]);
        check(&tests, 2.0, 9.0, &[&[1], &[0, 2, 3]]);
        check(&tests, 0.0, 9.0, &[&[1], &[0], &[2], &[3]]);
        let tests = [("a.py::x", 0.75), ("b.py::x", 0.5), ("c.py::x", 0.5)];
        check(&tests, 1.0, 9.0, &[&[1, 2], &[0]]);
    }

    #[test]
    fn a_file_within_the_target_is_not_cut() {
        let tests = [("a.py::x", 2.0), ("b.py::x", 3.0), ("b.py::y", 3.0)];
        check(&tests, 7.0, 2.0, &[&[1, 2], &[0]]);
    }

    #[test]
    fn joined_files_keep_collection_order() {
        let tests = [("a.py::x", 0.1), ("b.py::x", 0.1), ("a.py::y", 0.1)];
        check(&tests, 1.0, 9.0, &[&[0, 1, 2]]);
    }

    #[test]
    fn a_long_file_is_cut_between_tests() {
        let tests = [("a.py::x", 2.0), ("a.py::y[1]", 2.0), ("a.py::y[2]", 2.0), ("a.py::z", 2.0)];
        check(&tests, 1.0, 9.0, &[&[0, 1, 2, 3]]);
        check(&tests, 1.0, 8.0, &[&[0, 1, 2, 3]]);
        check(&tests, 1.0, 4.0, &[&[0, 1], &[2, 3]]);
        check(&tests, 1.0, 2.0, &[&[0], &[1], &[2], &[3]]);
    }

    #[test]
    fn a_long_test_does_not_take_its_neighbours_along() {
        let tests = [("a.py::x", 1.0), ("a.py::y", 20.0), ("a.py::z", 1.0)];
        check(&tests, 0.0, 4.0, &[&[1], &[0], &[2]]);
    }

    #[test]
    fn a_class_is_cut_only_if_it_is_too_long_itself() {
        let a = [("a.py::A::x", 2.0), ("a.py::A::y", 2.0), ("a.py::A::z[1::2]", 2.0)];
        let b = [("a.py::B::x", 1.0), ("a.py::B::y", 1.0)];
        let tests = [a.as_slice(), &b].concat();
        check(&tests, 1.0, 6.0, &[&[0, 1, 2], &[3, 4]]);
        check(&tests, 1.0, 4.0, &[&[0, 1], &[2, 3, 4]]);
    }

    #[test]
    fn a_group_is_one_unit_across_files() {
        let tests = [("a.py::x@g", 2.0), ("b.py::x", 2.5), ("c.py::x@g", 1.0), ("c.py::y", 1.0)];
        check(&tests, 1.0, 9.0, &[&[0, 2, 3], &[1]]);
    }

    #[test]
    fn files_leave_a_group_that_is_too_long_but_it_stays_whole() {
        let tests = [("a.py::x@g", 2.0), ("a.py::y", 1.5), ("c.py::x@g", 1.0), ("c.py::y", 1.0)];
        check(&tests, 1.0, 4.0, &[&[0, 2], &[1], &[3]]);
        check(&tests, 1.0, 2.0, &[&[0, 2], &[1], &[3]]);
    }

    #[test]
    fn groups_that_meet_in_a_file_are_joined() {
        let tests = [
            ("a.py::x@g", 1.0),
            ("b.py::x@h", 1.0),
            ("c.py::x@g", 1.0),
            ("c.py::y@h", 1.0),
            ("d.py::x", 1.0),
        ];
        check(&tests, 1.0, 9.0, &[&[0, 1, 2, 3], &[4]]);
        check(&tests, 1.0, 2.0, &[&[0, 2], &[1, 3], &[4]]);
    }

    #[test]
    fn units_with_a_common_group_clash() {
        let tests = [("a.py::x@g", 2.0), ("b.py::x@g", 2.0), ("c.py::x@h", 1.0), ("c.py::y", 3.0)];
        let units = cut(2, &tests, 0.0, 9.0);
        let seen: Vec<_> = units.iter().map(|u| (u.split, u.tests.as_slice(), u.seconds)).collect();
        assert_eq!(seen, [(1, &[0, 1][..], 4.0), (2, &[2, 3], 4.0)]);
        assert!(!units[0].clashes(&units[1]));
        let units = cut(4, &tests, 0.0, 9.0);
        assert_eq!(units.iter().map(|u| u.split).collect::<Vec<_>>(), [3, 1, 2]);
        assert!(units[1].clashes(&units[2]));
        assert_eq!(units[0].groups, BTreeSet::from(["h".to_owned()]));
    }

    /// Whatever the grain: 240 tests in 12 files, every fifth in one of three groups.
    #[test]
    fn every_test_is_in_one_unit_of_its_split_and_no_group_in_two() {
        let ids = (0..240).map(|t| format!("{}.py::C{}::t{t}", t * 7 % 12, t % 2)).collect();
        let durations = Durations::default();
        let plan = Plan::new(ids, &durations, 5, Sum::Naive);
        let groups = (0..48).map(|t| (t * 5, format!("g{}", t % 3))).collect();
        for (target, tail) in [(0.0, 0.0), (3.0, 5.0), (30.0, 1.0), (0.0, 99.0), (99.0, 99.0)] {
            let units = units(&plan, &groups, &[], Grain { target, tail, share: Some(0.5) });
            assert!(units.is_sorted_by(|a, b| a.seconds >= b.seconds));
            assert!(units.iter().all(|unit| unit.tests.is_sorted()));
            for split in &plan.splits {
                let own: Vec<&Unit> = units.iter().filter(|u| u.split == split.number).collect();
                let mut tests = own.iter().flat_map(|unit| unit.tests.clone()).collect::<Vec<_>>();
                tests.sort_unstable();
                assert_eq!(tests, split.tests);
                let apart = |a: &&Unit| own.iter().filter(|b| a.clashes(b)).count() <= 1;
                assert!(own.iter().all(apart));
            }
        }
    }

    #[test]
    fn grain_follows_the_slots() {
        let grain = |tail, share| Grain { target: 1.0, tail, share: Some(share) };
        assert_eq!(Grain::for_slots(160.0, 4), grain(10.0, 0.125));
        assert_eq!(Grain::for_slots(16.0, 4), grain(2.0, 0.125));
        assert_eq!(Grain::for_slots(16.0, 0), grain(4.0, 0.5));
    }

    /// Ten files of twelve tests of a second each, for two slots: a quarter of what comes after
    /// the seventh is less than it takes.
    #[test]
    fn units_get_shorter_towards_the_end() {
        let ids: Vec<String> = (0..120).map(|t| format!("{:02}.py::t{t}", t / 12)).collect();
        let seconds: Durations = ids.iter().cloned().zip(std::iter::repeat(1.0)).collect();
        let plan = Plan::new(ids, &seconds, 1, Sum::Compensated);
        let mut units = units(&plan, &BTreeMap::new(), &[], Grain::for_slots(120.0, 2));
        units.sort_by_key(|unit| unit.tests[0]);
        let lengths: Vec<usize> = units.iter().map(|unit| unit.tests.len()).collect();
        let end = [&[12; 6][..], &[6, 6], &[6, 6], &[3; 4], &[2; 6]].concat();
        assert_eq!(lengths, end);
    }
}
