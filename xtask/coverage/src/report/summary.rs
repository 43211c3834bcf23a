//! `--summary-json`: what happened, for machines. The fields are a promise; see `SCHEMA`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// Rises when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the process ends with.
    pub exit_code: u8,
    /// True where only some of the tests ran.
    pub partial: bool,
    /// `fork`, `spawn` or `stock`.
    pub engine: String,
    /// Of the project's environment.
    pub versions: Versions,
    /// What became of the splits.
    pub splits: Splits,
    /// What became of the tests.
    pub tests: Tally,
    /// None where nothing was measured.
    pub coverage: Option<Coverage>,
    /// Where the time went.
    pub seconds: Seconds,
    /// Node ids, each once, in order of arrival.
    pub failed_tests: Vec<String>,
    /// The combined data.
    pub data_file: Option<Utf8PathBuf>,
    /// Where each report lies, by its name (`html`, `xml`, …).
    pub reports: BTreeMap<String, Utf8PathBuf>,
}

/// How a run ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every test passed.
    Passed,
    /// Tests failed, crashed or timed out.
    TestsFailed,
    /// Tests passed, a coverage threshold was missed.
    BelowThreshold,
    /// The failure budget was used up.
    Aborted,
    /// A signal ended it.
    Interrupted,
    /// There was no test.
    NoTests,
    /// Coverage data is missing or damaged.
    Incomplete,
    /// The engine, the configuration or the environment failed.
    Error,
}

/// Versions in the project's environment; none where not installed or never asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Versions {
    /// `3.12.1`.
    pub python: Option<String>,
    /// `9.2.0`.
    pub pytest: Option<String>,
    /// `7.17.3`.
    pub coverage: Option<String>,
}

/// What became of the splits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Splits {
    /// All of them.
    pub total: u32,
    /// Ran to their end, with or without failing tests.
    pub completed: u32,
    /// Of these, the ones with failing tests.
    pub failed: u32,
    /// Stopped on the way or never started.
    pub not_run: u32,
}

/// What became of the tests. Each counts once, except in `reruns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tally {
    /// Found and selected.
    pub collected: u64,
    /// Passed.
    pub passed: u64,
    /// Failed in the call phase.
    pub failed: u64,
    /// Failed in setup, teardown or collection.
    pub errors: u64,
    /// Skipped.
    pub skipped: u64,
    /// Failed as expected.
    pub xfailed: u64,
    /// Passed unexpectedly, and that was no failure.
    pub xpassed: u64,
    /// Attempts that were repeated.
    pub reruns: u64,
    /// Their process died.
    pub crashed: u64,
    /// Stopped at the time limit.
    pub timed_out: u64,
    /// Never finished, because the run was stopped.
    pub not_run: u64,
}

impl Tally {
    /// All that counts as a failure.
    pub fn failures(&self) -> u64 {
        self.failed + self.errors + self.crashed + self.timed_out
    }
}

/// The coverage of the run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Coverage {
    /// 0 to 100, not rounded.
    pub percent: f64,
    /// Statements.
    pub statements: u64,
    /// Statements that did not run.
    pub missing: u64,
    /// Branch destinations; 0 where only lines were measured.
    pub branches: u64,
    /// Branches taken one way only.
    pub partial_branches: u64,
    /// Percent; none where there is no threshold.
    pub fail_under: Option<f64>,
}

/// Where the time went, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Seconds {
    /// Everything, reporting included.
    pub total: f64,
    /// Finding and preparing the environment.
    pub environment: f64,
    /// Finding the tests.
    pub collect: f64,
    /// Running them.
    pub run: f64,
    /// Combining the data.
    pub combine: f64,
    /// Making the reports.
    pub report: f64,
}

/// Writes the summary: the whole file or none, first under another name beside it.
pub fn write(path: &Utf8Path, summary: &Summary) -> Result<()> {
    let mut text = serde_json::to_string_pretty(summary).context("failed to write the summary")?;
    text.push('\n');
    replace(path, &text).with_context(|| format!("failed to write the summary to `{path}`"))
}

fn replace(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, path))
        .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}
