//! Cuts splits into units, what one forked process runs: the tests of one file, several small
//! files together, or a part of a file that would be the tail of the run.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;

/// What one process runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
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
    pub fn clashes(&self, other: &Unit) -> bool {
        !self.groups.is_disjoint(&other.groups)
    }
}

/// How large units are, in expected seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grain {
    /// Small files are joined up to this.
    pub target: f64,
    /// A file is cut if it takes longer than this.
    pub tail: f64,
}

/// The units of every split, longest first. `groups` names the `xdist_group` of tests by index.
pub fn units(plan: &Plan, groups: &BTreeMap<usize, String>, grain: Grain) -> Vec<Unit> {
    let _ = (plan, groups, grain);
    Vec::new()
}
