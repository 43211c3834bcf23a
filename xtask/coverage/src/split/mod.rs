//! Which tests run where: splits as pytest-split cuts them, and within them the units that one
//! process runs. Pure: node ids and durations in, plans out; no disk, no clock, no process.

mod assign;
mod chunks;
mod copies;
mod durations;
pub(crate) mod order;
mod portion;
mod recorded;
mod rows;
mod together;
mod turns;
mod union;
mod units;
mod waiting;

use std::collections::{BTreeMap, HashMap};

pub(crate) use assign::{Assignment, FileCost, assign};
pub(crate) use chunks::{Sum, chunks};
pub(crate) use copies::copies;
pub(crate) use durations::{Durations, share_of_cpu};
pub(crate) use portion::{Fingerprint, Planned, Portion, Shard, Share};
pub(crate) use recorded::{Recorded, RecordedPlace};
pub(crate) use rows::{Because, Isolation, NEXT_WAITS, Observation, isolation, observe};
pub(crate) use together::{Dist, Marks, together};
pub(crate) use turns::{Turns, turns_of_splits};
pub(crate) use union::{Cut, NotFound, check_union, places};
pub(crate) use units::{Grain, Unit, units};
pub(crate) use waiting::{Place, Waiting};

/// Every collected test, in collection order, and the splits they are in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The node ids. Splits and units refer to them by index.
    pub ids: Vec<String>,
    /// What each test is expected to take, index by index.
    pub seconds: Vec<f64>,
    /// The splits, numbered from 1; some may be empty.
    pub splits: Vec<Split>,
}

/// One of N groups of tests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Split {
    /// Its number, from 1.
    pub number: u32,
    /// Its tests, as indices into [`Plan::ids`], in collection order.
    pub tests: Vec<usize>,
    /// What they are expected to take, one after the other.
    pub seconds: f64,
}

impl Plan {
    /// Cuts tests into splits as pytest-split does, by the durations the project has committed.
    pub(crate) fn new(ids: Vec<String>, durations: &Durations, splits: u32, sum: Sum) -> Plan {
        let groups = chunks(&ids, durations, splits, sum);
        let splits = (1..).zip(groups).map(|(number, tests)| Split { number, tests, seconds: 0.0 });
        let mut plan = Plan { seconds: Vec::new(), splits: splits.collect(), ids };
        plan.predict(durations);
        plan
    }

    /// Brings the examples of each document into the split of its first one, as pytest-split does
    /// it with the cells of a notebook: they build on each other.
    pub(crate) fn with_whole_documents(mut self, documents: &BTreeMap<usize, String>) -> Plan {
        if documents.is_empty() {
            return self;
        }
        let mut places = vec![0; self.ids.len()];
        for (at, split) in self.splits.iter_mut().enumerate() {
            split.tests.drain(..).for_each(|test| places[test] = at);
        }
        let mut firsts = HashMap::new();
        for (&test, document) in documents {
            places[test] = *firsts.entry(document).or_insert(places[test]);
        }
        places.iter().enumerate().for_each(|(test, &at)| self.splits[at].tests.push(test));
        self.predict_splits();
        self
    }

    /// Expects other durations, say those recorded on this machine. No test changes its split.
    pub(crate) fn predict(&mut self, durations: &Durations) {
        self.seconds = chunks::expected(&self.ids, durations, Sum::Compensated);
        self.predict_splits();
    }

    fn predict_splits(&mut self) {
        for split in &mut self.splits {
            split.seconds = split.tests.iter().fold(0.0, |sum, &test| sum + self.seconds[test]);
        }
    }

    /// What the whole is expected to take, one test after the other.
    pub(crate) fn total(&self) -> f64 {
        self.splits.iter().map(|split| split.seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_in_the_split_of_their_first_example() {
        let ids: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        let plan = Plan::new(ids, &Durations::default(), 3, Sum::Compensated);
        let documents = [(1, "a"), (2, "a"), (4, "b"), (5, "b")];
        let documents = documents.map(|(test, name)| (test, name.to_owned())).into();
        let plan = plan.with_whole_documents(&documents);
        let splits: Vec<_> = plan.splits.iter().map(|s| (s.tests.as_slice(), s.seconds)).collect();
        assert_eq!(splits, [(&[0, 1, 2][..], 3.0), (&[3], 1.0), (&[4, 5], 2.0)]);
    }

    #[test]
    fn predictions_change_no_split() {
        let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
        let committed = [("a", 1.0), ("b", 1.0), ("c", 2.0)].into_iter().collect();
        let mut plan = Plan::new(ids, &committed, 2, Sum::Compensated);
        let splits = |plan: &Plan| -> Vec<(u32, Vec<usize>, f64)> {
            plan.splits.iter().map(|s| (s.number, s.tests.clone(), s.seconds)).collect()
        };
        assert_eq!(splits(&plan), [(1, vec![0, 1], 2.0), (2, vec![2], 2.0)]);
        plan.predict(&[("a", 9.0), ("b", 1.0)].into_iter().collect());
        assert_eq!(splits(&plan), [(1, vec![0, 1], 10.0), (2, vec![2], 5.0)]);
        assert_eq!((plan.seconds.as_slice(), plan.total()), (&[9.0, 1.0, 5.0][..], 15.0));
    }
}
