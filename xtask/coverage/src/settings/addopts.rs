//! pytest's command line as we must understand it: in addopts, and after `--`. Pure.

use anyhow::Result;

use super::origin::Origin;

/// What a list of pytest's words asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addopts {
    /// `--cov`: none where it is absent, empty where it has no value somewhere (coverage's
    /// configuration decides then, as in pytest-cov).
    pub sources: Option<Vec<String>>,
    /// `--cov-branch`.
    pub branch: bool,
    /// `--cov-config`.
    pub cov_config: Option<String>,
    /// `--cov-context`.
    pub cov_context: Option<String>,
    /// `--cov-fail-under`.
    pub fail_under: Option<f64>,
    /// `--cov-report`.
    pub cov_reports: Vec<String>,
    /// xdist's number of workers, as written: `4`, `auto`.
    pub workers: Option<String>,
    /// xdist's way of handing out tests: `load`, `loadscope`, …
    pub dist: Option<String>,
    /// `-x`, `--maxfail`: 0 means never.
    pub max_failures: Option<usize>,
    /// `--timeout` of pytest-timeout is there.
    pub has_timeout: bool,
    /// `--junitxml`.
    pub junit: Option<String>,
    /// Plugins that `-p no:NAME` turns off.
    pub blocked: Vec<String>,
    /// `--store-durations` of pytest-split.
    pub store_durations: bool,
    /// `--reruns`.
    pub reruns: Option<String>,
    /// Only a part of the suite is selected.
    pub narrowed: bool,
    /// Files, folders and node ids.
    pub paths: Vec<String>,
    /// The words that pytest still gets: neither paths nor what is a setting of ours.
    pub rest: Vec<String>,
    /// What is worth saying once.
    pub notices: Vec<String>,
}

/// Reads words as pytest and its plugins would. `origin` says whose they are: addopts, or the
/// command line.
pub fn read(words: &[String], origin: &Origin) -> Result<Addopts> {
    let _ = (words, origin);
    Ok(Addopts::default())
}
