//! What one run leaves for the next: durations, CPU, what a worker needs, how it ended.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::engine::Ran;
use crate::files;
use crate::project::State;
use crate::report::summary;
use crate::settings::Measured;
use crate::split::order::Known;
use crate::split::{Durations, FileCost, Observation};

/// `run.json` in the state folder.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct History {
    /// Bytes by which the memory of a worker grew, of the one that grew most in the last run of
    /// the whole suite in which that was measured.
    pub(super) memory_growth: Option<u64>,
    /// With how many workers the processors were busy in that run.
    pub(super) workers_reached: Option<u32>,
    /// How many splits the last run had.
    pub(super) splits: u32,
    /// Seconds that each of them took.
    pub(super) split_seconds: BTreeMap<u32, f64>,
    /// How the whole suite is collected.
    pub(super) collection: Collection,
    /// What processes cost in runs of the whole suite, the last one at the end.
    pub(super) processes: Vec<Observation>,
    /// Seconds of the last complete run with the fork engine besides preparing, collecting and
    /// tests: nearly all of them after the tests, for writing data, combining and reports.
    pub(super) rest: Option<f64>,
    /// Coverage of the last complete run, percent.
    pub(super) percent: Option<f64>,
    /// The same for each file.
    pub(super) files: BTreeMap<String, f64>,
}

/// What is known of the collection of the whole suite.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Collection {
    /// Seconds it takes in one process.
    pub(super) seconds: Option<f64>,
    /// What each test file takes, by node id; empty until the suite was collected in parts.
    pub(super) files: BTreeMap<String, FileCost>,
    /// Why it cannot be collected in parts.
    pub(super) unshardable: Option<String>,
    /// The code of hooks with which that was found.
    pub(super) unshardable_with: Option<String>,
    /// What hooks of the project make of the order of tests.
    pub(super) order: Known,
    /// Why forks are not safe once it is collected; empty where they are.
    pub(super) hazards: Vec<String>,
    /// Tests that fail in forks, and in no fresh process.
    pub(super) only_fresh: Vec<String>,
}

impl Collection {
    /// What a run adds to it.
    pub(super) fn after(&self, ran: &Ran) -> Collection {
        let hazards = ran.hazards.clone().unwrap_or_else(|| self.hazards.clone());
        // Where there were no forks, nothing new is known of what fails in them.
        let only_fresh = if ran.forked { ran.only_fresh.clone() } else { self.only_fresh.clone() };
        if ran.collected_files.is_empty() {
            let mut files = self.files.clone();
            if ran.files_stay_whole {
                files.values_mut().for_each(|cost| cost.apart = None);
            }
            let seconds = Some(ran.collect_seconds);
            return Collection { seconds, files, hazards, only_fresh, ..self.after_whole(ran) };
        }
        // Starting pytest comes on top, once.
        let seconds = ran.collected_files.values().map(|cost| cost.seconds).sum::<f64>();
        let order = ran.order.as_ref().map(|told| self.order.after_parts(told));
        Collection {
            seconds: Some(seconds + STARTING),
            files: ran.collected_files.clone(),
            order: order.unwrap_or_default(),
            unshardable: None,
            unshardable_with: None,
            hazards,
            only_fresh,
        }
    }

    /// What forbids parts holds as long as the hooks of the project are what they were.
    fn after_whole(&self, ran: &Ran) -> Collection {
        let mut next = self.clone();
        let code = ran.order.as_ref().map(|told| told.code.clone());
        if code.is_some() && self.unshardable_with != code {
            next.unshardable = None;
        }
        if let Some(told) = &ran.order {
            next.order = self.order.after_whole(told);
        }
        // What kept the parts from being the whole may be an error, and mended next time.
        if let Some(found) = ran.unshardable.clone().filter(|_| !ran.uncollectable) {
            next.unshardable = Some(found);
            next.unshardable_with = code;
            next.order.compared = false;
        }
        next
    }
}

/// Seconds that pytest takes to start, about.
pub(super) const STARTING: f64 = 0.7;

impl History {
    /// What the last run left; nothing where there was none, or where it cannot be read.
    pub(super) fn read(state: &State) -> History {
        let file = state.run_json();
        let files = [Some(file.clone()), state.in_house(&file)].into_iter().flatten();
        let text = files.filter_map(|file| files::read_text(&file).ok()).next();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// What the number of workers follows from.
    pub(super) fn measured(&self) -> Measured {
        let workers = self.workers_reached.and_then(|workers| usize::try_from(workers).ok());
        Measured { memory_growth: self.memory_growth, workers }
    }

    /// Keeps it for the next run.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("failed to describe the run")?;
        replace(&state.run_json(), &text)
    }
}

/// Seconds per test: what was recorded on this machine, else what the project has committed.
pub(super) fn durations(state: &State, committed: &Durations) -> Durations {
    let read =
        |path: &Utf8Path| files::read_text(path).ok().and_then(|text| Durations::parse(&text).ok());
    let mut durations = committed.clone();
    let recorded = state.durations();
    for file in [state.in_house(&recorded), Some(recorded)].into_iter().flatten() {
        durations.merge(read(&file).unwrap_or_default());
    }
    durations
}

/// Seconds of CPU per test, as recorded on this machine; only of tests that a host has run.
pub(super) fn cpu(state: &State) -> Durations {
    let recorded = state.cpu();
    let files = [state.in_house(&recorded), Some(recorded)].into_iter().flatten();
    let mut cpu = Durations::default();
    files.for_each(|file| cpu.merge(read_cpu(&file)));
    cpu
}

/// Nobody but us writes it, and it can be done without: what cannot be read is not there.
fn read_cpu(path: &Utf8Path) -> Durations {
    let text = files::read_text(path).unwrap_or_default();
    Durations::parse(&text).unwrap_or_default()
}

/// Tests whose CPU is kept; beyond that only those of the last run, so that ids which change
/// from run to run do not add up.
const MOST: usize = 200_000;

/// Adds what a run has measured.
pub(super) fn record_cpu(path: &Utf8Path, new: &BTreeMap<String, f64>) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let known = read_cpu(path);
    let mut kept: BTreeMap<&str, f64> = known.iter().collect();
    kept.extend(new.iter().map(|(id, seconds)| (id.as_str(), *seconds)));
    if kept.len() > MOST {
        kept.retain(|id, _| new.contains_key(*id));
    }
    replace(path, &serde_json::to_string(&kept).context("failed to describe what tests took")?)
}

/// Adds what a run has measured to a file of durations.
pub(super) fn record(path: &Utf8Path, new: &BTreeMap<String, f64>) -> Result<()> {
    let mut durations = match files::read_text(path) {
        Ok(text) => Durations::parse(&text)
            .with_context(|| format!("failed to read the durations in `{path}`"))?,
        Err(_) => Durations::default(),
    };
    let mut measured = Durations::default();
    new.iter().for_each(|(id, seconds)| measured.insert(id.clone(), *seconds));
    durations.merge(measured);
    replace(path, &durations.to_string())
}

fn replace(path: &Utf8Path, text: &str) -> Result<()> {
    summary::replace(path, text).with_context(|| format!("failed to write `{path}`"))
}
