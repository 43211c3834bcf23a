//! Strict combining: which data files a run must have left, against those that are there.
//! Pure. Whether a file can be read is found out where it is read, by `host/report.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// Who wrote a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// What ran a split, or one of its units: there must be such a file, and it must be sound.
    Tests,
    /// What started and collected, before any split: as indispensable.
    Host,
    /// A process that a test started. Nobody announces these, and one killed while it saved
    /// leaves a broken file that is no fault of the run.
    Subprocess,
}

/// One data file to combine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Part {
    /// 1-based; none for a file that belongs to no single split.
    pub split: Option<u32>,
    /// Absolute.
    pub file: Utf8PathBuf,
    /// Who wrote it.
    pub origin: Origin,
}

impl Part {
    /// True where the result is incomplete without it.
    pub fn required(&self) -> bool {
        self.origin != Origin::Subprocess
    }
}

/// The manifest of a run: what it must have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Expected {
    /// The splits that ran tests. One without any part has lost its data.
    pub splits: BTreeSet<u32>,
    /// The files that were announced.
    pub parts: Vec<Part>,
}

/// One thing that keeps the combined data from being complete.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Problem {
    /// The split concerned, 1-based.
    pub split: Option<u32>,
    /// The file concerned.
    pub file: Option<Utf8PathBuf>,
    /// What is wrong, as the end of a sentence that begins with the file or the split.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.split, &self.file) {
            (Some(split), Some(file)) => write!(f, "split {split}: `{file}` {}", self.what),
            (Some(split), None) => write!(f, "split {split} {}", self.what),
            (None, Some(file)) => write!(f, "`{file}` {}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

/// What there is to combine, and what is not as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Each file once: the announced ones that were found, in their order, then the others by
    /// name.
    pub parts: Vec<Part>,
    /// Empty where everything expected is there.
    pub problems: Vec<Problem>,
}

/// Compares what a run must have left with the files `found` where parts are kept. A file that
/// nobody announced is taken for one of a process that a test started.
pub fn check(expected: &Expected, found: &[Utf8PathBuf]) -> Checked {
    let found: BTreeSet<&Utf8Path> = found.iter().map(Utf8PathBuf::as_path).collect();
    let (there, missing): (Vec<&Part>, Vec<&Part>) = announced_once(&expected.parts)
        .into_iter()
        .filter(|part| part.required() || found.contains(part.file.as_path()))
        .partition(|part| found.contains(part.file.as_path()));

    let mut problems: Vec<Problem> = missing.into_iter().map(missing_part).collect();
    problems.extend(written_twice(&expected.parts));
    problems.extend(splits_without_part(expected));

    let known: BTreeSet<&Utf8Path> =
        expected.parts.iter().map(|part| part.file.as_path()).collect();
    let others = found.difference(&known).map(|file| Part {
        split: None,
        file: file.to_path_buf(),
        origin: Origin::Subprocess,
    });
    Checked { parts: there.into_iter().cloned().chain(others).collect(), problems }
}

fn announced_once(parts: &[Part]) -> Vec<&Part> {
    let mut seen = BTreeSet::new();
    parts.iter().filter(|part| seen.insert(&part.file)).collect()
}

fn missing_part(part: &Part) -> Problem {
    Problem { split: part.split, file: Some(part.file.clone()), what: "is missing".to_owned() }
}

/// Two splits that wrote to one name: the second has overwritten what the first left.
fn written_twice(parts: &[Part]) -> Vec<Problem> {
    let mut writers: BTreeMap<&Utf8Path, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        writers.entry(&part.file).or_default().push(part);
    }
    let shared = writers.into_iter().filter(|(_, writers)| writers.len() > 1);
    shared
        .map(|(file, writers)| Problem {
            split: writers[1].split,
            file: Some(file.to_path_buf()),
            what: format!("was written {} times, so all but the last are lost", writers.len()),
        })
        .collect()
}

fn splits_without_part(expected: &Expected) -> Vec<Problem> {
    let with_part: BTreeSet<u32> = expected
        .parts
        .iter()
        .filter(|part| part.origin == Origin::Tests)
        .filter_map(|part| part.split)
        .collect();
    expected
        .splits
        .difference(&with_part)
        .map(|&split| Problem {
            split: Some(split),
            file: None,
            what: "left no coverage data".to_owned(),
        })
        .collect()
}
