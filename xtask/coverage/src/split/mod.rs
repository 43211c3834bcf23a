//! Which tests run where: splits as pytest-split cuts them, and within them the units that one
//! process runs. Pure: node ids and durations in, plans out; no disk, no clock, no process.

mod chunks;
mod durations;
mod union;
mod units;

pub use chunks::{Sum, chunks};
pub use durations::Durations;
pub use union::{Cut, check_union};
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
