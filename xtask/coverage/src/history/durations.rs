//! Seconds per test, of time and of CPU, as runs record them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::files;
use crate::layout::StateFolder;
use crate::project::State;
use crate::split::Durations;

/// Seconds per test: what was recorded on this machine, else what the project has committed.
pub(crate) fn expected(state: &State, committed: &Durations) -> Durations {
    let mut durations = committed.clone();
    let files = state.everywhere(StateFolder::durations);
    files.iter().for_each(|file| durations.merge(read_ours(file)));
    durations
}

/// Seconds of CPU per test, as recorded on this machine; only of tests that a host has run.
pub(crate) fn cpu(state: &State) -> Durations {
    let mut cpu = Durations::default();
    state.everywhere(StateFolder::cpu).iter().for_each(|file| cpu.merge(read_ours(file)));
    cpu
}

/// Nobody but us writes it, and it can be done without: what cannot be read is not there.
fn read_ours(path: &Utf8Path) -> Durations {
    let text = files::read_text(path).unwrap_or_default();
    Durations::parse(&text).unwrap_or_default()
}

/// Tests whose CPU is kept; beyond that only those of the last run, so that ids which change
/// from run to run do not add up.
const MOST: usize = 200_000;

/// Adds what a run has measured.
pub(crate) fn record_cpu(path: &Utf8Path, new: &BTreeMap<String, f64>) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let known = read_ours(path);
    let mut kept: BTreeMap<&str, f64> = known.iter().collect();
    kept.extend(new.iter().map(|(id, seconds)| (id.as_str(), *seconds)));
    if kept.len() > MOST {
        kept.retain(|id, _| new.contains_key(*id));
    }
    replace(path, &serde_json::to_string(&kept).context("failed to describe what tests took")?)
}

/// Adds what a run has measured to our own file of durations.
pub(crate) fn record(path: &Utf8Path, new: &BTreeMap<String, f64>) -> Result<()> {
    replace(path, &merged(read_ours(path), new).to_string())
}

/// Adds what a run has measured to the project's file of durations. It decides how the suite is
/// cut, so one that cannot be read is left as it is.
pub(crate) fn record_committed(path: &Utf8Path, new: &BTreeMap<String, f64>) -> Result<()> {
    let what = || format!("the durations of this run are not stored: failed to read `{path}`");
    let known = match files::read_text(path) {
        Ok(text) => Durations::parse(&text).with_context(what)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Durations::default(),
        Err(error) => return Err(error).with_context(what),
    };
    let text = merged(known, new).to_string();
    files::write_output(path, &text).with_context(|| format!("failed to write `{path}`"))
}

fn merged(mut known: Durations, new: &BTreeMap<String, f64>) -> Durations {
    known.merge(new.iter().map(|(id, seconds)| (id.clone(), *seconds)).collect());
    known
}

fn replace(path: &Utf8Path, text: &str) -> Result<()> {
    files::replace(path, text).with_context(|| format!("failed to write `{path}`"))
}
