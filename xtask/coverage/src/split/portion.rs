//! What of the suite one run is to run: all of it, one of several shards, or what other machines
//! have left undone. Pure.

use std::collections::HashSet;
use std::fmt;

use super::{Plan, Split, copies, places};
use crate::digest;

/// A split that has a machine to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub total: u32,
}

impl Shard {
    /// The name of its folder, and the beginning of those of all files in it: two of them can lie
    /// in one folder, as some ways of moving files about bring them together.
    pub(crate) fn name(self) -> String {
        let digits = self.total.to_string().len().max(2);
        format!("shard-{:0digits$}-of-{:0digits$}", self.index, self.total)
    }
}

/// As it is typed.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.total)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Portion {
    /// All that there is.
    #[default]
    Whole,
    /// One split of several, by number.
    Shard(Shard),
    /// All but these tests: by node id, and which of the tests with it.
    AllBut(HashSet<(String, u32)>),
}

impl Portion {
    /// Nothing is left out.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Portion::Whole
    }

    /// The one shard that runs.
    pub(crate) fn shard(&self) -> Option<Shard> {
        match self {
            Portion::Shard(shard) => Some(*shard),
            Portion::Whole | Portion::AllBut(_) => None,
        }
    }
}

/// What a plan comes to, short enough to be compared from machine to machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// How many tests there are in all.
    pub tests: usize,
    /// A digest of the node ids of each split, in order.
    pub splits: Vec<String>,
}

impl Fingerprint {
    /// One digest of all.
    pub(crate) fn digest(&self) -> String {
        digest::of_texts(self.splits.iter().map(String::as_str))
    }
}

/// A plan that was made before, and elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Each test in the order of collection, and the number of its split.
    pub tests: Vec<(String, u32)>,
    /// How many splits there are.
    pub splits: u32,
}

/// What a shard has of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// The whole plan.
    pub plan: Fingerprint,
    /// The tests that are to be run here, as the plan calls them.
    pub assigned: Vec<String>,
}

impl Planned {
    /// Why other tests are not those that were planned.
    pub(crate) fn unlike(&self, ids: &[String]) -> String {
        let known: HashSet<&str> = self.tests.iter().map(|(id, _)| id.as_str()).collect();
        let here: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let gone: Vec<&str> =
            self.tests.iter().map(|(id, _)| id.as_str()).filter(|id| !here.contains(id)).collect();
        let new: Vec<&str> =
            ids.iter().map(String::as_str).filter(|id| !known.contains(id)).collect();
        let some = |ids: &[&str], which: &str| {
            let first = ids.first().map(|id| format!(", `{id}` among them")).unwrap_or_default();
            (!ids.is_empty()).then(|| format!("{} {which}{first}", ids.len()))
        };
        let words = [some(&gone, "are not here"), some(&new, "are not in the plan")];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let words = match words.is_empty() {
            true => format!("{} are here, and {} in the plan", ids.len(), self.tests.len()),
            false => words.join(", and "),
        };
        format!("the tests are not those of the plan: {words}; make it again from what is here")
    }
}

impl Plan {
    /// Cuts tests as they were cut before: each goes where its id stands, or, with an id that
    /// changes by itself, its place. Also what the plan calls each of them. None where these are
    /// not the tests that were cut.
    pub(crate) fn as_planned(ids: Vec<String>, planned: &Planned) -> Option<(Plan, Vec<String>)> {
        let known: Vec<String> = planned.tests.iter().map(|(id, _)| id.clone()).collect();
        let places = places(&known, &ids)?;
        let mut names = ids.clone();
        let mut splits: Vec<Split> = (1..=planned.splits)
            .map(|number| Split { number, tests: Vec::new(), seconds: 0.0 })
            .collect();
        for (place, (name, split)) in places.into_iter().zip(&planned.tests) {
            names[place].clone_from(name);
            splits.get_mut((*split as usize).checked_sub(1)?)?.tests.push(place);
        }
        splits.iter_mut().for_each(|split| split.tests.sort_unstable());
        Some((Plan { seconds: vec![0.0; ids.len()], splits, ids }, names))
    }

    /// What other machines must come to as well; tests go by these names.
    pub(crate) fn fingerprint(&self, names: &[String]) -> Fingerprint {
        let digest =
            |tests: &[usize]| digest::of_texts(tests.iter().map(|&test| names[test].as_str()));
        Fingerprint {
            tests: self.ids.len(),
            splits: self.splits.iter().map(|split| digest(&split.tests)).collect(),
        }
    }

    /// Leaves out what is not to be run.
    pub(crate) fn narrow(&mut self, portion: &Portion) {
        match portion {
            Portion::Whole => return,
            Portion::Shard(shard) => self.splits.retain(|split| split.number == shard.index),
            Portion::AllBut(done) => {
                let copies = copies(&self.ids);
                let copy = |test: &usize| copies.get(test).copied().unwrap_or_default();
                let is_left = |test: &usize| !done.contains(&(self.ids[*test].clone(), copy(test)));
                self.splits.iter_mut().for_each(|split| split.tests.retain(is_left));
                self.splits.retain(|split| !split.tests.is_empty());
            }
        }
        self.predict_splits();
    }

    /// The tests that are to be run, in order of collection.
    pub(crate) fn chosen(&self) -> Vec<usize> {
        let splits = self.splits.iter();
        let mut tests: Vec<usize> = splits.flat_map(|split| split.tests.iter().copied()).collect();
        tests.sort_unstable();
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Durations, Sum};

    fn ids(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn plan(text: &str, splits: u32) -> Plan {
        Plan::new(ids(text), &Durations::default(), splits, Sum::Compensated)
    }

    #[test]
    fn names_sort_as_numbers_do() {
        let name = |index, total| Shard { index, total }.name();
        assert_eq!(name(3, 12), "shard-03-of-12");
        assert_eq!(name(1, 1), "shard-01-of-01");
        assert_eq!(name(7, 256), "shard-007-of-256");
    }

    /// Which shard is whose is what `pytest --splits N --group i` says.
    #[test]
    fn a_shard_is_a_split() {
        for index in 1..=4 {
            let mut narrowed = plan("a b c d e f g", 4);
            let split = narrowed.splits[index as usize - 1].clone();
            narrowed.narrow(&Portion::Shard(Shard { index, total: 4 }));
            assert_eq!(narrowed.chosen(), split.tests);
            assert_eq!(narrowed.splits, [split]);
        }
    }

    #[test]
    fn what_others_have_run_is_left_out() {
        let mut plan = plan("a b a c", 2);
        let done = [("a".to_owned(), 1), ("b".to_owned(), 0)].into_iter().collect();
        plan.narrow(&Portion::AllBut(done));
        assert_eq!(plan.chosen(), [0, 3]);
    }

    #[test]
    fn a_plan_made_elsewhere_decides() {
        let tests = [("a", 2), ("t[1]", 1), ("c", 2)].map(|(id, split)| (id.to_owned(), split));
        let planned = Planned { tests: tests.to_vec(), splits: 3 };
        let (plan, names) = Plan::as_planned(ids("a t[9] c"), &planned).expect("the same tests");
        let splits: Vec<&[usize]> = plan.splits.iter().map(|it| it.tests.as_slice()).collect();
        assert_eq!(splits, [&[1][..], &[0, 2], &[]]);
        assert_eq!(names, ids("a t[1] c"));
        let (other, names) = Plan::as_planned(ids("c a t[1]"), &planned).expect("another order");
        assert_eq!(other.splits[1].tests, [0, 1]);
        assert_eq!(names, ids("c a t[1]"));
        assert_eq!(Plan::as_planned(ids("a t[1]"), &planned), None);
        let why = "the tests are not those of the plan: 1 are not here, `c` among them, and 2 are \
                   not in the plan, `d` among them; make it again from what is here";
        assert_eq!(planned.unlike(&ids("a t[1] d e")), why);
        assert_eq!(Plan::as_planned(ids("a t[1] d"), &planned), None);
    }

    #[test]
    fn a_fingerprint_tells_plans_apart() {
        let print = |text: &str, splits| plan(text, splits).fingerprint(&ids(text)).digest();
        let known = print("a b c d", 2);
        assert_eq!(known, print("a b c d", 2));
        for other in [print("a b c d", 3), print("a b d c", 2), print("a b c dd", 2)] {
            assert_ne!(known, other);
        }
        let texts = |all: &[&str]| digest::of_texts(all.iter().copied());
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
        assert_ne!(texts(&[]), texts(&[""]));
    }
}
