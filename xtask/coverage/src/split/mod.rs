//! Which tests run where: splits as pytest-split cuts them, and within them the units that one
//! process runs. Pure: node ids and durations in, plans out; no disk, no clock, no process.

mod chunks;
mod deal;
mod durations;
mod rows;
mod simulate;
mod union;
mod units;

pub use chunks::{Sum, chunks};
pub use deal::{Deal, FileCost, deal};
pub use durations::Durations;
pub use rows::{
    Because, Isolation, NEXT_WAITS, Observation, isolation, observe, pick_first, pick_next,
};
pub use simulate::{Costs, Pool, Schedule, simulate};
pub use union::{Cut, check_union, places};
pub use units::{Grain, Unit, units};

/// Every collected test, in collection order, and the splits they are in.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The node ids. Splits and units refer to them by index.
    pub ids: Vec<String>,
    /// What each test is expected to take, index by index.
    pub seconds: Vec<f64>,
    /// The splits, numbered from 1; some may be empty.
    pub splits: Vec<Split>,
}

/// One of N groups of tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Its number, from 1.
    pub number: u32,
    /// Its tests, as indices into [`Plan::ids`], in collection order.
    pub tests: Vec<usize>,
    /// What they are expected to take, one after the other.
    pub seconds: f64,
}

impl Plan {
    /// Cuts tests into splits as pytest-split does, by the durations the project has committed.
    pub fn new(ids: Vec<String>, durations: &Durations, splits: u32, sum: Sum) -> Plan {
        let groups = chunks(&ids, durations, splits, sum);
        let splits = (1..).zip(groups).map(|(number, tests)| Split { number, tests, seconds: 0.0 });
        let mut plan = Plan { seconds: Vec::new(), splits: splits.collect(), ids };
        plan.predict(durations);
        plan
    }

    /// Expects other durations, say those recorded on this machine. No test changes its split.
    pub fn predict(&mut self, durations: &Durations) {
        self.seconds = chunks::expected(&self.ids, durations, Sum::Compensated);
        for split in &mut self.splits {
            split.seconds = split.tests.iter().fold(0.0, |sum, &test| sum + self.seconds[test]);
        }
    }

    /// What the whole is expected to take, one test after the other.
    pub fn total(&self) -> f64 {
        self.splits.iter().map(|split| split.seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
