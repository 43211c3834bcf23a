//! Runs tests. Every engine takes a [`Job`], tells what happens as [`Happening`]s, and leaves a
//! [`Ran`]: the account of the tests, and what coverage data there must be.

pub(crate) mod around;
pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod collect;
pub(crate) mod event;
pub(crate) mod hosts;
pub(crate) mod jobserver;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod limits;
mod orphans;
mod portion;
mod processes;
pub(crate) mod record;
pub(crate) mod samples;
pub(crate) mod schedule;
pub(crate) mod seed;
pub(crate) mod signals;
pub(crate) mod stock;
mod suspend;
pub(crate) mod temporary;

pub(crate) use self::orphans::keep_for_later;
pub(crate) use self::samples::{Limit, Sample, Samples};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use self::jobserver::Client;
use self::journal::UnitRun;
use self::ledger::Ledger;
use self::seed::HashSeed;
use crate::files;
use crate::layout::RunFolder;
use crate::model::{Expected, Failure, Problem, TestOutcome, Warnings};
use crate::settings::Workers;
use crate::shard::stores::Store;
use crate::split::order::{Known, Order};
use crate::split::{
    Dist, Durations, FileCost, Isolation, NotFound, Planned, Portion, Recorded, Share,
};

/// What to run, and with which means.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The project's folder: where `pytest` would be typed.
    pub project: Utf8PathBuf,
    /// The project's interpreter.
    pub python: Utf8PathBuf,
    /// Environment variables that belong to the interpreter.
    pub of_interpreter: Vec<(String, String)>,
    /// Into how many groups the tests are split.
    pub splits: u32,
    /// What of them is run here.
    pub portion: Portion,
    /// How the suite was cut elsewhere; none where it is cut here.
    pub planned: Option<Planned>,
    /// Where the tests were in the run that is repeated; none where none is.
    pub rerun: Option<Recorded>,
    /// Batches are claimed from a store while the run goes on; none where all is known before.
    pub tail: Option<TailOfJob>,
    /// How many of them run at once.
    pub concurrent: u32,
    /// Processes for each of these.
    pub workers: u32,
    /// How many processes run tests at once; not with the stock engine.
    pub pool: Workers,
    /// A failure in a fork is confirmed before it counts.
    pub confirms: bool,
    /// Bytes that a process may grow by during a test.
    pub memory_per_test: Option<u64>,
    /// Bytes that processes of this suite have grown by in earlier runs.
    pub memory_growth: Option<u64>,
    /// Processes, memory and the failure budget are shared with other runs.
    pub jobserver: Option<Arc<Client>>,
    /// Where all that the scheduler is told, and wants done, is written down.
    pub trace: Option<Utf8PathBuf>,
    /// How many failed tests end the run; 0 means never.
    pub budget: u32,
    /// How many times a failed test is tried again; not with the stock engine.
    pub retries: u32,
    /// Seconds for one test.
    pub timeout: Option<f64>,
    /// What coverage measures; none where it has no part in the run.
    pub measure: Option<Measure>,
    /// Arguments for pytest: paths, and what the user typed.
    pub pytest_args: Vec<String>,
    /// What tests print is shown as it comes.
    pub shows_output: bool,
    /// For the stock engine only: what takes back options of addopts. The host does it itself.
    pub stock_args: Vec<String>,
    /// The interpreter's version, `3.12.1`.
    pub python_version: String,
    /// What is known of how long it takes.
    pub times: Times,
    /// pytest-xdist is there and not switched off.
    pub xdist: bool,
    /// Plugins that put tests into an order of their own, by name.
    pub reordering: Vec<String>,
    /// Run only the tests that are listed in this file, which our Python reads.
    pub last_failed: Option<Utf8PathBuf>,
    /// How the suite is collected, with the fork engine.
    pub collecting: Collecting,
    /// What `--dist` promises.
    pub dist: Option<Dist>,
    /// Which tests share a process, with the fork engine.
    pub isolation: Isolation,
    /// That is our choice: a process that gets slower may end.
    pub replaces_slow: bool,
    /// Fork whatever is found that forks would break or share.
    pub force_forks: bool,
    /// Go on when a file cannot be collected.
    pub continue_on_collection_errors: bool,
    /// Python's hash seed, the same for all processes.
    pub hash_seed: HashSeed,
    /// What is run before and after the tests.
    pub commands: around::Commands,
    /// What the commands before them have exported, for all processes of the run.
    pub exported: around::Variables,
    /// What each worker has of its own, where it has anything.
    pub each_worker: Option<Arc<around::Workers>>,
    /// The folder of this run, made and empty.
    pub folder: RunFolder,
    /// Where our own Python is unpacked.
    pub code: Utf8PathBuf,
}

/// How a suite is collected.
#[derive(Clone, Debug)]
pub(crate) struct Collecting {
    /// How many processes collect a part of it each; under 2, one collects all.
    pub collectors: u32,
    /// What collecting each test file took in earlier runs, by node id of the file.
    pub files: BTreeMap<String, FileCost>,
    /// What is known of hooks that order tests, and after how many seconds of collecting it is
    /// worth while to find it out; none where nobody wants to know.
    pub order: Option<(Known, f64)>,
}

/// How long tests and splits take, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// The project's `.test_durations`, from which the splits are cut.
    pub file: Option<Utf8PathBuf>,
    /// What is in it: it alone decides which tests are in which split.
    pub committed: Durations,
    /// Expected seconds of each test, from earlier runs: for order and predictions.
    pub recorded: Durations,
    /// Expected seconds of each split, from earlier runs; the longest starts first.
    pub splits: BTreeMap<u32, f64>,
}

/// What a shard claims, and where.
#[derive(Clone, Debug)]
pub(crate) struct TailOfJob {
    /// Where batches are claimed.
    pub store: Store,
    /// Of this run and this plan; no other has it.
    pub key: String,
    /// Who claims.
    pub shard: u32,
    /// The batch of each test of the plan, and what it should take.
    pub tests: Vec<(Option<u32>, f64)>,
}

impl Job {
    /// The variables of every process of the run: those of the interpreter, what was exported for
    /// it, and the same hash seed.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let given = self.of_interpreter.iter().cloned().chain(self.exported.clone());
        given.chain([(seed::VARIABLE.to_owned(), self.hash_seed.value.to_string())]).collect()
    }
}

/// Our Python that both the hosts and the stock engine's plugin load.
const TOGETHER: &str = include_str!("../../host/together.py");
const TEMPORARY: &str = include_str!("../../host/temporary.py");
const LAST_FAILED: &str = include_str!("../../host/last_failed.py");

/// What coverage measures, where the command line, addopts or the layout of the project decide;
/// all else is in coverage's own configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measure {
    /// `--source`; empty leaves it to the configuration.
    pub source: Vec<String>,
    /// `--branch`.
    pub branch: Option<bool>,
    /// `--rcfile`.
    pub config_file: Option<Utf8PathBuf>,
    /// A dynamic context for each test, as `--cov-context=test`.
    pub contexts: bool,
    /// The library of the native core, if that is to measure.
    pub core: Option<Utf8PathBuf>,
    /// It measures though coverage is to have another core.
    pub insist: bool,
}

/// Something worth showing while it happens.
#[derive(Debug)]
pub(crate) enum Happening<'a> {
    /// The tests are known and soon begin.
    Planned {
        /// How many there are.
        tests: u64,
        /// Seconds they should take one after the other; none where no duration is known.
        seconds: Option<f64>,
        /// How many run at once.
        slots: usize,
    },
    TestStarted(Started<'a>),
    TestEnded {
        id: &'a str,
        /// How.
        outcome: TestOutcome,
    },
    /// A test printed a line; nothing captures it.
    Printed {
        /// The slot that it runs in, from 0.
        slot: usize,
        /// Without its end.
        line: &'a str,
    },
    SplitStarted {
        /// 1-based.
        split: u32,
        /// Of how many.
        of: u32,
    },
    SplitEnded(&'a SplitEnd),
    /// A test failed.
    Failed(&'a Failure),
    /// A test failed, and is tried again.
    Retried {
        id: &'a str,
        /// From 1.
        retry: u32,
        /// How many there may be.
        of: u32,
    },
    /// A test has ended, and what comes of that is not known yet: it runs once more.
    Open {
        id: &'a str,
    },
    /// Tests that were to run again are not there.
    NotFound(&'a NotFound),
    /// The run is being stopped: why.
    Stopping(&'a str),
    /// What the machine is doing.
    Machine(&'a Sample),
    /// How the run goes on, where that is not as usual.
    Note(&'a str),
    /// The same, for those who want to know more.
    Detail(&'a str),
    /// Something else the user should know.
    Warning(String),
}

/// The beginning of one test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started<'a> {
    pub id: &'a str,
    /// 1-based; none where that is not known.
    pub split: Option<u32>,
    /// Of the process that runs it, where that is known.
    pub pid: Option<i32>,
    /// Seconds it should take.
    pub expected: f64,
}

/// The end of one split.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SplitEnd {
    /// 1-based.
    pub split: u32,
    /// Of how many.
    pub of: u32,
    pub tests: u64,
    /// Of these, failed ones.
    pub failed: u64,
    /// From its start to its end.
    pub took: Duration,
    pub state: SplitState,
    /// Its output.
    pub log: Utf8PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum SplitState {
    /// All its tests ran.
    Completed,
    /// It was stopped by us.
    Stopped,
    /// Its process ended before its tests did: how.
    Died(String),
}

/// What an engine leaves.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The account of the tests.
    pub ledger: Ledger,
    /// All tests that were to run; none where that never became known.
    pub planned: Vec<String>,
    /// What part of the plan that is; none where it is all, or where there was no plan.
    pub share: Option<Share>,
    /// Python's hash seed where each failed test ran, where that was on several machines; empty
    /// where not.
    pub hash_seeds: BTreeMap<String, u32>,
    /// What became of the batches; none where none were claimed.
    pub tail: Option<Claimed>,
    /// What each slot is called, where they are those of several machines; empty where not.
    pub lanes: Vec<String>,
    /// What was to run again and was not found.
    pub not_found: NotFound,
    /// Tests that failed in a fork, and passed whenever that was repeated.
    pub flaky_in_confirmation: Vec<String>,
    /// Tests that fail in forks only: what they did in a fresh process counts.
    pub only_fresh: Vec<String>,
    /// The splits that were started, in order of their end.
    pub splits: Vec<SplitEnd>,
    /// Data that must be there.
    pub expected: Expected,
    /// What is wrong with the result although no test says so.
    pub problems: Vec<Problem>,
    /// What pytest or its plugins have against the run although no test says so, a sentence each.
    pub findings: Vec<String>,
    /// Parts of the run are not there that nobody wants to do without: no coverage is reported,
    /// for the number would be a wrong one.
    pub withheld: bool,
    /// A test or a plugin ended the run before all tests had run.
    pub stopped: bool,
    /// A plugin takes a run without tests for a good one.
    pub no_tests_is_fine: bool,
    /// What pytest's own summary and plugins say at the end.
    pub closing_words: Vec<String>,
    /// Warnings of Python.
    pub warnings: Warnings,
    /// Nothing ran, for none of our hosts can: what has a way of its own to run tests.
    pub unsuitable: Option<String>,
    /// The failure budget was used up.
    pub aborted: bool,
    /// Files could not be collected, so that nothing ran.
    pub uncollectable: bool,
    /// The signal that ended the run.
    pub interrupted: Option<i32>,
    /// pytest refused to run at all: its words, and whether that was the user's doing.
    pub refused: Option<Refusal>,
    /// What ran where and when, in the order of its end; with the stock engine, for each split
    /// what each of its workers ran.
    pub units: Vec<UnitRun>,
    /// The processes that ran tests, where each was forked for that.
    pub processes: Vec<Process>,
    /// What collecting each test file took; only where the suite was collected in parts.
    pub collected_files: BTreeMap<String, FileCost>,
    /// Test files must not be parted themselves, which was found out.
    pub files_stay_whole: bool,
    /// In how many parts the suite was collected.
    pub parts: usize,
    /// What hooks of the project have made of the order of tests.
    pub order: Option<Order>,
    /// Why the suite cannot be collected in parts, where that was found out.
    pub unshardable: Option<String>,
    /// What measured: `native`, or coverage's name of its core; none where nothing did, or where
    /// each process decided for itself.
    pub core: Option<String>,
    /// Tests ran in forks.
    pub forked: bool,
    /// What rules out forks, empty where nothing does; none where it was not looked for.
    pub hazards: Option<Vec<String>>,
    /// Until the first test could start, seconds; 0 where it is not known apart.
    pub collect_seconds: f64,
    /// Bytes by which the memory of a worker grew, of the one that grew most; none where that was
    /// not measured.
    pub memory_growth: Option<u64>,
    /// With how many workers the processors were busy; none where that was not found out.
    pub workers_reached: Option<u32>,
    /// What the machine was doing, in order.
    pub samples: Samples,
    /// Why the trace that was asked for is not there, or not whole.
    pub unwritten_trace: Option<String>,
}

impl Ran {
    /// Nothing has run yet.
    pub(crate) fn new(budget: u32) -> Ran {
        Ran {
            ledger: Ledger::new(budget),
            planned: Vec::new(),
            share: None,
            hash_seeds: BTreeMap::new(),
            tail: None,
            lanes: Vec::new(),
            not_found: NotFound::default(),
            flaky_in_confirmation: Vec::new(),
            only_fresh: Vec::new(),
            splits: Vec::new(),
            expected: Expected::default(),
            problems: Vec::new(),
            findings: Vec::new(),
            withheld: false,
            stopped: false,
            no_tests_is_fine: false,
            closing_words: Vec::new(),
            warnings: Warnings::default(),
            unsuitable: None,
            aborted: false,
            uncollectable: false,
            interrupted: None,
            refused: None,
            units: Vec::new(),
            processes: Vec::new(),
            collected_files: BTreeMap::new(),
            files_stay_whole: false,
            parts: 1,
            order: None,
            unshardable: None,
            core: None,
            forked: false,
            hazards: None,
            collect_seconds: 0.0,
            memory_growth: None,
            workers_reached: None,
            samples: Samples::default(),
            unwritten_trace: None,
        }
    }
}

/// What became of the batches of a plan in one of its shards.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Claimed {
    /// Batches that were to be run here, its own and others', by number.
    pub batches: Vec<BatchHere>,
    /// Own batches that were not: somebody has claimed them, or was to.
    pub left: Vec<u32>,
}

/// A batch that was to be run here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct BatchHere {
    pub batch: u32,
    /// The shard that it was planned for.
    pub shard: u32,
    /// Its tests, as the plan calls them.
    pub tests: Vec<String>,
    /// The same, as they were called here.
    pub here: Vec<String>,
}

/// A process that ran tests and came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Process {
    /// Seconds that it took of its slot.
    pub seconds: f64,
    /// Seconds of CPU that it took, with processes that its tests started and waited for.
    pub cpu: f64,
    /// Seconds that it took to start, to end, and to set up fixtures of the session.
    pub starting: f64,
    /// Seconds of these for the fixtures.
    pub fixtures: f64,
}

/// pytest did not get as far as running tests.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// A sentence, with the end of what it printed.
    pub text: String,
    /// Its usage or the project's configuration is wrong, rather than something broken.
    pub usage: bool,
}

impl Refusal {
    /// With the end of what pytest printed.
    fn of_pytest(text: &str, usage: bool) -> Refusal {
        Refusal { text: format!("pytest refused to run:\n{text}"), usage }
    }

    /// What comes before it could not be started.
    fn without_pytest(why: String, usage: bool) -> Refusal {
        Refusal { text: format!("nothing can be run or measured: {why}"), usage }
    }
}

/// The last lines of a log, for a message. Of the log only its end is read: it may be as large as
/// the disk.
pub(crate) fn tail(log: &camino::Utf8Path, lines: usize) -> String {
    const MOST: u64 = 64 * 1024;
    let bytes = files::read_end(log, MOST).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    /// Nothing but its end could be read in time.
    #[test]
    fn of_a_log_of_64_gigabytes_the_end_is_read() {
        let path = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let path = Utf8PathBuf::from_path_buf(path).expect("UTF-8");
        let mut log = File::create(&path).expect("a file");
        log.seek(SeekFrom::Start(1 << 36)).expect("a place");
        log.write_all(b"\nfirst\nsecond\nthird\n").expect("an end");
        assert_eq!(tail(&path, 2), "second\nthird");
        std::fs::remove_file(path).expect("our own file");
    }
}
