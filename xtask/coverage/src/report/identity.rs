//! Whether a parallel run is the same as sequential ones: in what it measured, and in what
//! became of the tests. Noise is what the sequential runs do not agree on between themselves.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::json;

use super::coverage::Reporter;
use super::program::{Code, ask};
use crate::model::NodeId;
use crate::model::format::ranges;

const CODE: Code = Code {
    program: include_str!("../../host/compare.py"),
    modules: &[("xtask_files", include_str!("../../host/xtask_files.py"))],
};

/// What was measured, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Compared {
    /// How many files the first sequential run measured.
    pub files: u64,
    /// How many lines in them.
    pub measured_lines: u64,
    /// How many arcs; 0 where branches are not measured.
    pub measured_arcs: u64,
    /// What the sequential runs do not agree on.
    pub noise: Vec<Place>,
    /// What only the parallel run lacks.
    pub missing: Vec<Place>,
    /// What only the parallel run has.
    pub extra: Vec<Place>,
}

/// Where the data of a file differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Place {
    /// Relative to the project where it lies in it.
    pub file: Utf8PathBuf,
    /// Some runs did not measure the file at all.
    pub whole: bool,
    /// In ascending order.
    pub lines: Vec<u32>,
    /// From line to line. Negative: into or out of what begins at that line.
    pub arcs: Vec<(i64, i64)>,
}

/// Compares data files of coverage, with the coverage of the project.
pub(crate) fn compare(
    reporter: &Reporter,
    sequential: &[&Utf8Path],
    parallel: &Utf8Path,
) -> Result<Compared> {
    let Reporter { python, root, hidden, .. } = reporter;
    let request = json!({
        "sequential": sequential,
        "parallel": parallel,
        "hidden": hidden.folders,
        "sources": hidden.sources,
    });
    ask(python, root, &CODE, &request, None)
}

impl Compared {
    /// Nothing differs anywhere.
    pub(crate) fn is_equal(&self) -> bool {
        [&self.noise, &self.missing, &self.extra].iter().all(|places| places.is_empty())
    }
}

impl Place {
    /// One row for each kind of difference.
    pub(crate) fn rows(&self) -> Vec<String> {
        let file = &self.file;
        if self.whole {
            return vec![format!("{file}: the whole file")];
        }
        let lines = (!self.lines.is_empty()).then(|| format!("{file}:{}", ranges(&self.lines)));
        let arc = |(from, to): &(i64, i64)| format!("{from}→{to}");
        let arcs: Vec<String> = self.arcs.iter().map(arc).collect();
        let arcs = (!arcs.is_empty()).then(|| format!("{file}: arcs {}", arcs.join(", ")));
        lines.into_iter().chain(arcs).collect()
    }
}

/// What became of each test of a run, by node id, in a word.
pub(crate) type Outcomes = BTreeMap<String, &'static str>;

/// The tests that ended in different ways, a row each: those on which the sequential runs do not
/// agree, and those that ended in parallel as in no sequential run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differing {
    /// The suite's own.
    pub noise: Vec<String>,
    /// The parallel run's.
    pub faults: Vec<String>,
}

/// Compares what became of the tests. Where the ids of a function change from run to run (a
/// parameter that holds the time of day), that another one comes up in parallel is noise too.
pub(crate) fn compare_outcomes(sequential: &[Outcomes], parallel: &Outcomes) -> Differing {
    let mut differing = Differing::default();
    let ids: BTreeSet<&String> =
        sequential.iter().chain([parallel]).flat_map(BTreeMap::keys).collect();
    let word = |outcomes: &Outcomes, id| outcomes.get(id).copied().unwrap_or("not run");
    let function = |id: &str| NodeId(id).function().to_owned();
    let comes_and_goes = |id: &&&String| {
        let there = sequential.iter().filter(|outcomes| outcomes.contains_key(**id)).count();
        there > 0 && there < sequential.len()
    };
    let unsteady: BTreeSet<String> =
        ids.iter().filter(comes_and_goes).map(|id| function(id)).collect();
    for id in ids {
        let usual: Vec<&str> = sequential.iter().map(|outcomes| word(outcomes, id)).collect();
        let here = word(parallel, id);
        if !usual.contains(&here) {
            let row = format!("{id}: {} sequentially, {here} in parallel", usual[0]);
            let new = usual.iter().all(|word| *word == "not run");
            let noise = new && unsteady.contains(&function(id));
            if noise { &mut differing.noise } else { &mut differing.faults }.push(row);
        } else if usual.iter().any(|word| *word != usual[0]) {
            differing.noise.push(format!("{id}: {}", usual.join(", then ")));
        }
    }
    differing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_lines_and_arcs() {
        let file = Utf8PathBuf::from("src/a.py");
        let place =
            Place { file, whole: false, lines: vec![3, 4, 5, 9, 11, 12], arcs: vec![(-1, 3)] };
        assert_eq!(place.rows(), ["src/a.py:3-5, 9, 11-12", "src/a.py: arcs -1→3"]);
        assert_eq!(Place { whole: true, ..place }.rows(), ["src/a.py: the whole file"]);
        assert_eq!(Place::default().rows(), [""; 0]);
    }

    #[test]
    fn ids_that_change_by_themselves_are_noise() {
        let run = |id: &str| -> Outcomes { [(id.to_owned(), "passed")].into() };
        let differing = compare_outcomes(&[run("t[1]"), run("t[2]")], &run("t[3]"));
        assert_eq!(differing.faults, [""; 0]);
        assert_eq!(differing.noise.len(), 3);
        let differing = compare_outcomes(&[run("t[1]"), run("t[1]")], &run("t[3]"));
        assert_eq!(differing.faults.len(), 2);
    }

    #[test]
    fn an_outcome_that_changes_by_itself_is_noise() {
        let run = |words: [&'static str; 3]| -> Outcomes {
            ["a", "b", "c"].map(str::to_owned).into_iter().zip(words).collect()
        };
        let sequential = [run(["passed", "passed", "failed"]), run(["passed", "failed", "failed"])];
        let mut parallel = run(["failed", "failed", "failed"]);
        parallel.insert("d".to_owned(), "passed");
        let differing = compare_outcomes(&sequential, &parallel);
        assert_eq!(differing.noise, ["b: passed, then failed"]);
        let faults = [
            "a: passed sequentially, failed in parallel",
            "d: not run sequentially, passed in parallel",
        ];
        assert_eq!(differing.faults, faults);
    }
}
