//! What a run leaves, as a value that other machines can read: a shard writes it, and where
//! shards are combined the records of all become one [`Ran`] again.

use serde::{Deserialize, Serialize};

use super::journal::{TestRun, UnitRun};
use super::ledger::Ledger;
use super::{BatchHere, Claimed, Process, Ran, SplitEnd};
use crate::model::{Problem, Warnings};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The tests that were to run, as the plan calls them; empty where there was no plan.
    pub assigned: Vec<String>,
    /// The same, as they were called here.
    pub planned: Vec<String>,
    /// What became of batches; none where none were claimed.
    #[serde(default)]
    pub tail: Option<Claimed>,
    /// The account of the tests.
    pub ledger: Ledger,
    splits: Vec<SplitEnd>,
    /// What was wrong with the result although no test says so.
    pub problems: Vec<Problem>,
    findings: Vec<String>,
    stopped: bool,
    no_tests_is_fine: bool,
    aborted: bool,
    uncollectable: bool,
    flaky_in_confirmation: Vec<String>,
    closing_words: Vec<String>,
    warnings: Warnings,
    units: Vec<UnitRun>,
    processes: Vec<Process>,
    collect_seconds: f64,
    parts: usize,
    /// Python's; none where that was not told.
    #[serde(default)]
    hash_seed: Option<u32>,
}

/// More workers than any machine has.
const MOST_SLOTS: usize = 10_000;

impl Record {
    /// What a run with this hash seed has left; with what was found to be wrong after it.
    pub(crate) fn of(ran: &Ran, problems: Vec<Problem>, hash_seed: u32) -> Record {
        let mut ledger = ran.ledger.clone();
        // Logs are not where others could read them.
        ledger.forget_logs();
        Record {
            assigned: ran.share.as_ref().map(|share| share.assigned.clone()).unwrap_or_default(),
            planned: ran.planned.clone(),
            tail: ran.tail.clone(),
            ledger,
            splits: ran.splits.clone(),
            problems,
            findings: ran.findings.clone(),
            stopped: ran.stopped,
            no_tests_is_fine: ran.no_tests_is_fine,
            aborted: ran.aborted,
            uncollectable: ran.uncollectable,
            flaky_in_confirmation: ran.flaky_in_confirmation.clone(),
            closing_words: ran.closing_words.clone(),
            warnings: ran.warnings.clone(),
            units: ran.units.clone(),
            processes: ran.processes.clone(),
            collect_seconds: ran.collect_seconds,
            parts: ran.parts,
            hash_seed: Some(hash_seed),
        }
    }

    /// Reads one that may be anything.
    pub(crate) fn read(text: &str) -> Result<Record, String> {
        let record: Record =
            serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
        let most = record.units.iter().map(|unit| unit.slot).max().unwrap_or_default();
        match most < MOST_SLOTS {
            true => Ok(record),
            false => Err(format!("says that there were {most} workers")),
        }
    }

    /// The batches that were to be run there.
    pub(crate) fn batches(&self) -> &[BatchHere] {
        self.tail.as_ref().map_or(&[], |tail| &tail.batches)
    }

    /// That of a shard says how its own split ended: of others it has batches at most.
    pub(crate) fn keep_split(&mut self, split: u32) {
        self.splits.retain(|end| end.split == split);
    }
}

impl Ran {
    /// Adds what was run on another machine, which is called `name` and began so many seconds
    /// after the first.
    pub(crate) fn add(&mut self, name: &str, later: f64, record: Record) {
        let first = self.lanes.len();
        let used = record.units.iter().map(|unit| unit.slot + 1).max().unwrap_or(1);
        self.lanes.extend((1..=used).map(|slot| format!("{name}, worker {slot}")));
        let numbers = self.units.iter().map(|unit| unit.unit + 1).max().unwrap_or_default();
        if let Some(seed) = record.hash_seed {
            for id in record.ledger.failed_ids() {
                self.hash_seeds.entry(id.clone()).or_insert(seed);
            }
        }
        self.units.extend(record.units.into_iter().map(|unit| {
            UnitRun {
                unit: numbers.saturating_add(unit.unit),
                slot: first + unit.slot,
                started: later + unit.started,
                ended: later + unit.ended,
                tests: unit
                    .tests
                    .into_iter()
                    .map(|test| TestRun { started: later + test.started, ..test })
                    .collect(),
                ..unit
            }
        }));
        self.ledger.absorb(record.ledger);
        self.planned.extend(record.planned);
        self.splits.extend(record.splits);
        self.problems.extend(record.problems);
        self.findings.extend(record.findings.into_iter().map(|it| format!("{name}: {it}")));
        self.stopped |= record.stopped;
        self.no_tests_is_fine |= record.no_tests_is_fine;
        self.aborted |= record.aborted;
        self.uncollectable |= record.uncollectable;
        self.flaky_in_confirmation.extend(record.flaky_in_confirmation);
        for words in record.closing_words {
            if !self.closing_words.contains(&words) {
                self.closing_words.push(words);
            }
        }
        self.warnings.absorb(record.warnings);
        self.processes.extend(record.processes);
        self.parts = self.parts.max(record.parts);
    }
}
