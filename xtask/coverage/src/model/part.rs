//! The data files of a run, and what is wrong with them.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Who wrote a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// What ran a split, or one of its units: there must be such a file, and it must be sound.
    Tests,
    /// What started and collected, before any split: as indispensable.
    Host,
    /// A process that a test started, and that was seen to begin its file while the tests ran:
    /// as indispensable.
    Begun,
    /// A process that a test started. Nobody has announced it, and one killed while it saved
    /// leaves a broken file that is no fault of the run.
    Subprocess,
}

/// One data file to combine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Part {
    /// 1-based; none for a file that belongs to no single split.
    pub split: Option<u32>,
    /// Absolute.
    pub file: Utf8PathBuf,
    pub origin: Origin,
}

impl Part {
    /// True where the result is incomplete without it.
    pub(crate) fn required(&self) -> bool {
        self.origin != Origin::Subprocess
    }
}

/// The manifest of a run: what it must have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Expected {
    /// The splits that ran tests. One without any part has lost its data.
    pub splits: BTreeSet<u32>,
    /// The files that were announced.
    pub parts: Vec<Part>,
}

/// One thing that keeps the combined data from being complete.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Problem {
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
