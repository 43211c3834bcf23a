//! What each unit ran, kept as it ends: a line of JSON each, in a file among the parts of the run, so that a run which was cut short has its results beside its coverage.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::clock;
use crate::model::TestOutcome;

/// One unit as it ran. Times are seconds since the run began.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct UnitRun {
    /// Its number; each attempt at its tests has one of its own.
    pub unit: u32,
    /// The split that its tests belong to.
    pub split: u32,
    /// The slot it ran in, from 0.
    pub slot: usize,
    pub started: f64,
    /// When it was gone.
    pub ended: f64,
    /// It came to its end, and all that it covered was kept; else what ended tests covered.
    pub whole: bool,
    /// The tests that ended in it, in order.
    pub tests: Vec<TestRun>,
}

/// One test as it ran.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TestRun {
    pub id: String,
    /// Which of the tests with this id, where several have it.
    #[serde(default, skip_serializing_if = "is_the_first")]
    pub copy: u32,
    /// How it ended, this time.
    pub outcome: TestOutcome,
    pub started: f64,
    /// What its phases took.
    pub seconds: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_the_first(copy: &u32) -> bool {
    *copy == 0
}

/// The file that the results of a run go to.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: Utf8PathBuf,
    began: Instant,
}

impl Journal {
    /// An empty one, and the run begins.
    pub(crate) fn create(path: &Utf8Path) -> Result<Journal> {
        let file = File::create(path).with_context(|| format!("failed to write `{path}`"))?;
        Ok(Journal { file, path: path.to_owned(), began: clock::now() })
    }

    /// A moment as seconds since the run began.
    pub(crate) fn at(&self, moment: Instant) -> f64 {
        let seconds = moment.saturating_duration_since(self.began).as_secs_f64();
        (seconds * 1e4).round() / 1e4
    }

    /// Appends a unit. In one write: what is there of a killed run is whole lines.
    pub(crate) fn add(&mut self, unit: &UnitRun) -> Result<()> {
        let line = serde_json::to_string(unit)?;
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("failed to write `{}`", self.path))
    }
}
