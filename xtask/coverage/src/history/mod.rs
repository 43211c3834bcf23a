//! What one run leaves for the next: how it went and ended, what its tests took, and which of them
//! are to run again.

pub(crate) mod durations;
pub(crate) mod outstanding;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::engine::{Process, Ran};
use crate::files;
use crate::layout::StateFolder;
use crate::project::State;
use crate::settings::Measured;
use crate::split::order::Known;
use crate::split::{FileCost, Isolation, Observation, observe};

/// `run.json` in the state folder.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct History {
    /// Bytes by which the memory of a worker grew, of the one that grew most in the last run of
    /// the whole suite in which that was measured.
    pub(crate) memory_growth: Option<u64>,
    /// With how many workers the processors were busy in that run.
    pub(crate) workers_reached: Option<u32>,
    /// How many splits the last run had.
    pub(crate) splits: u32,
    /// Seconds that each of them took.
    pub(crate) split_seconds: BTreeMap<u32, f64>,
    /// How the whole suite is collected.
    pub(crate) collection: Collection,
    /// What processes cost in runs of the whole suite, the last one at the end.
    pub(crate) processes: Vec<Observation>,
    /// Seconds of the last complete run with the fork engine besides preparing, collecting and
    /// tests: nearly all of them after the tests, for writing data, combining and reports.
    pub(crate) rest: Option<f64>,
    /// Coverage of the last complete run, percent.
    pub(crate) percent: Option<f64>,
    /// The same for each file.
    pub(crate) files: BTreeMap<String, f64>,
}

/// What is known of the collection of the whole suite.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Collection {
    /// Seconds it takes in one process.
    pub(crate) seconds: Option<f64>,
    /// What each test file takes, by node id; empty until the suite was collected in parts.
    pub(crate) files: BTreeMap<String, FileCost>,
    /// Why it cannot be collected in parts.
    pub(crate) unshardable: Option<String>,
    /// The code of hooks with which that was found.
    pub(crate) unshardable_with: Option<String>,
    /// What hooks of the project make of the order of tests.
    pub(crate) order: Known,
    /// Why forks are not safe once it is collected; empty where they are.
    pub(crate) hazards: Vec<String>,
    /// Tests that fail in forks, and in no fresh process.
    pub(crate) only_fresh: Vec<String>,
}

impl Collection {
    /// What a run adds to it.
    pub(crate) fn after(&self, ran: &Ran) -> Collection {
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
pub(crate) const STARTING: f64 = 0.7;

impl History {
    /// What the last run left; nothing where there was none, or where it cannot be read.
    pub(crate) fn read(state: &State) -> History {
        let files = state.everywhere(StateFolder::history).into_iter().rev();
        let text = files.filter_map(|file| files::read_text(&file).ok()).next();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// What the number of workers follows from.
    pub(crate) fn measured(&self) -> Measured {
        let workers = self.workers_reached.and_then(|workers| usize::try_from(workers).ok());
        Measured { memory_growth: self.memory_growth, workers }
    }

    /// Keeps it for the next run.
    pub(crate) fn write(&self, state: &State) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("failed to describe the run")?;
        let file = state.names.history();
        files::replace(&file, &text).with_context(|| format!("failed to write `{file}`"))
    }

    /// What a run adds to it. A narrowed one says little of what the whole suite needs.
    pub(crate) fn after(&self, ran: &Ran, means: &Means) -> History {
        let seconds = ran.splits.iter().map(|end| (end.split, end.took.as_secs_f64()));
        let next =
            History { splits: means.splits, split_seconds: seconds.collect(), ..self.clone() };
        if means.narrowed || ran.collect_seconds == 0.0 {
            return next;
        }
        History {
            memory_growth: ran.memory_growth.or(self.memory_growth),
            workers_reached: ran.workers_reached.or(self.workers_reached),
            collection: self.collection.after(ran),
            processes: observed(&self.processes, ran, means),
            ..next
        }
    }
}

/// How the tests were run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// Into how many groups they were split.
    pub(crate) splits: u32,
    /// Only some of them were asked for.
    pub(crate) narrowed: bool,
    /// How many processes could run them at once.
    pub(crate) slots: usize,
    /// Which of them shared a process.
    pub(crate) isolation: Isolation,
}

/// What processes cost, with those of a run of the whole suite; without, where these were not
/// counted.
fn observed(earlier: &[Observation], ran: &Ran, means: &Means) -> Vec<Observation> {
    let incomplete = ran.aborted || ran.interrupted.is_some() || !ran.problems.is_empty();
    if ran.processes.is_empty() || incomplete {
        return earlier.to_vec();
    }
    let sum = |of: fn(&Process) -> f64| ran.processes.iter().map(of).sum::<f64>();
    let count = ran.processes.len() as f64;
    let new = Observation {
        tests: ran.planned.len() as u64,
        slots: means.slots,
        processes: ran.processes.len() as u64,
        seconds: sum(|it| it.seconds),
        cpu: sum(|it| it.cpu),
        starting: sum(|it| it.starting) / count,
        fixtures: sum(|it| it.fixtures) / count,
        row: match means.isolation {
            Isolation::File => Some(0.0),
            Isolation::Row(length) => Some(length),
            Isolation::Worker => None,
        },
    };
    observe(earlier, new)
}
