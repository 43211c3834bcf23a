//! What coverage knows of the lines of a file, and how several analyses of it become one.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::from_top;
use crate::report::patch::FileLines;
use crate::report::thresholds;

/// The analysis of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct FileAnalysis {
    /// As it is shown.
    pub path: Utf8PathBuf,
    /// Absolute, without symbolic links.
    pub file: Utf8PathBuf,
    /// The first lines of its statements, without excluded ones.
    pub statements: Vec<u32>,
    /// Of these, the ones that did not run.
    pub missing: Vec<u32>,
    /// Lines that are excluded.
    pub excluded: Vec<u32>,
    /// Lines that can go more than one way, and their ways. Empty where only lines were measured.
    pub branches: Vec<(u32, Vec<Way>)>,
    /// Its functions, by their place. Empty where coverage's own reports have none.
    #[serde(default)]
    pub functions: Vec<Function>,
}

/// A function, without those within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(crate) struct Function {
    /// As coverage has it: `Class.method`.
    pub name: String,
    /// Its first line.
    pub first: u32,
    /// Its last line.
    pub last: u32,
    /// Its statements, one at least.
    pub statements: Vec<u32>,
}

/// Where a line can go, and whether it went there: a line; below 0 the end of what it is in; 0
/// where coverage counts a way and does not name it.
pub(crate) type Way = (i64, bool);

impl FileAnalysis {
    /// Counts.
    pub(crate) fn numbers(&self) -> Numbers {
        let ways =
            || self.branches.iter().flat_map(|(line, ways)| ways.iter().map(|it| (*line, it.1)));
        Numbers {
            statements: self.statements.len() as u64,
            missing: self.missing.len() as u64,
            excluded: self.excluded.len() as u64,
            branches: ways().count() as u64,
            missing_branches: ways().filter(|(_, taken)| !taken).count() as u64,
            partial_branches: ways().filter(|(line, taken)| !taken && self.ran(*line)).count()
                as u64,
        }
    }

    /// As patches are weighed.
    pub(crate) fn lines(&self) -> FileLines {
        let count = |ways: &[Way]| u32::try_from(ways.len()).unwrap_or(u32::MAX);
        let taken = |ways: &[Way]| ways.iter().filter(|way| way.1).copied().collect::<Vec<_>>();
        let branches = self.branches.iter();
        FileLines {
            path: self.path.clone(),
            file: self.file.clone(),
            statements: self.statements.clone(),
            missing: self.missing.clone(),
            branches: branches.map(|(line, it)| (*line, count(it), count(&taken(it)))).collect(),
        }
    }

    /// The ways of a line that were taken, or those that were not.
    pub(super) fn ways(&self, line: u32) -> &[Way] {
        let found = self.branches.binary_search_by_key(&line, |(line, _)| *line);
        found.map(|at| self.branches[at].1.as_slice()).unwrap_or_default()
    }

    pub(super) fn ran(&self, line: u32) -> bool {
        self.missing.binary_search(&line).is_err()
    }

    /// Adds what another project knows of the same file.
    fn add(&mut self, other: &FileAnalysis) {
        let ran = |file: &FileAnalysis| -> BTreeSet<u32> {
            file.statements.iter().copied().filter(|line| file.ran(*line)).collect()
        };
        let ran: BTreeSet<u32> = ran(self).union(&ran(other)).copied().collect();
        self.statements = union(&self.statements, &other.statements);
        self.missing = self.statements.iter().copied().filter(|it| !ran.contains(it)).collect();
        self.excluded = union(&self.excluded, &other.excluded);
        self.excluded.retain(|line| self.statements.binary_search(line).is_err());
        self.add_branches(other);
        let is_new = |it: &&Function| !self.functions.iter().any(|known| known.is_same(it));
        let new: Vec<Function> = other.functions.iter().filter(is_new).cloned().collect();
        self.functions.extend(new);
    }

    /// Ways are the same where they lead to the same line. Those without a name are told apart by
    /// nothing: there are as many as in the analysis that has more of them.
    fn add_branches(&mut self, other: &FileAnalysis) {
        let mut lines: BTreeMap<u32, Vec<Way>> =
            std::mem::take(&mut self.branches).into_iter().collect();
        for (line, ways) in &other.branches {
            let known = lines.entry(*line).or_default();
            let before = known.clone();
            for (to, taken) in ways {
                let same = known.iter_mut().find(|way| *to != 0 && way.0 == *to);
                match same {
                    Some(way) => way.1 |= taken,
                    None if *to == 0 && before.len() >= ways.len() => {}
                    None => known.push((*to, *taken)),
                }
            }
        }
        self.branches = lines.into_iter().collect();
    }
}

impl Function {
    fn is_same(&self, other: &Function) -> bool {
        (self.first, &self.name) == (other.first, &other.name)
    }
}

fn union(a: &[u32], b: &[u32]) -> Vec<u32> {
    a.iter().chain(b).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The analyses of all projects, each file once, in the order of their paths from the top.
pub(crate) fn merged<'a>(
    top: &Utf8Path,
    analyses: impl IntoIterator<Item = &'a FileAnalysis>,
) -> Vec<FileAnalysis> {
    let mut files: BTreeMap<Utf8PathBuf, FileAnalysis> = BTreeMap::new();
    for analysis in analyses {
        let path = from_top(top, &analysis.file);
        match files.get_mut(&path) {
            Some(known) => known.add(analysis),
            None => {
                let analysis = FileAnalysis { path: path.clone(), ..analysis.clone() };
                files.insert(path, analysis);
            }
        }
    }
    files.into_values().collect()
}

/// As coverage counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub statements: u64,
    /// Statements that did not run.
    pub missing: u64,
    /// Lines excluded by pragma or configuration.
    pub excluded: u64,
    /// Ways that lines can go; 0 where only lines were measured.
    pub branches: u64,
    /// Of these, the ones that were never taken.
    pub missing_branches: u64,
    /// Of these, the ones at lines that ran.
    pub partial_branches: u64,
}

impl Numbers {
    /// 0 to 100, not rounded: of statements and branches together, as coverage has it.
    pub(crate) fn percent(&self) -> f64 {
        let all = self.statements + self.branches;
        let covered = all - self.missing - self.missing_branches;
        if all == 0 { 100.0 } else { 100.0 * covered as f64 / all as f64 }
    }

    /// The same as text, with a percent sign.
    pub(crate) fn percent_text(&self, precision: u32) -> String {
        thresholds::percent(self.percent(), precision)
    }
}

impl Sum for Numbers {
    fn sum<I: Iterator<Item = Numbers>>(all: I) -> Numbers {
        all.fold(Numbers::default(), |a, b| Numbers {
            statements: a.statements + b.statements,
            missing: a.missing + b.missing,
            excluded: a.excluded + b.excluded,
            branches: a.branches + b.branches,
            missing_branches: a.missing_branches + b.missing_branches,
            partial_branches: a.partial_branches + b.partial_branches,
        })
    }
}
