//! What the Python side tells while it runs, one JSON object a line.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::report::failures::Blow;
use crate::report::junit::PhaseTimes;

/// One line of the stock engine's plugin, `host/stock/xtask_events.py`. `copy` tells tests of one
/// id in one split apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of pytest's reports")]
pub enum Event {
    /// pytest is configured.
    Hello { pid: i32 },
    /// A worker of xdist has started.
    Worker { id: String, pid: i32, file: Option<Utf8PathBuf> },
    /// A worker of xdist went away, and its coverage with it.
    WorkerLost { id: String, text: String },
    /// A file or folder that cannot be collected.
    CollectError { id: String, text: String },
    /// A module or class skipped as a whole.
    CollectSkip { id: String, reason: String },
    /// Collection has ended; `tests` of them are in this split.
    Collected { tests: u64 },
    /// A test begins.
    Start { id: String },
    /// A test failed, at the moment it does.
    Failed {
        id: String,
        #[serde(default)]
        copy: u32,
        #[serde(flatten)]
        blow: Blow,
    },
    /// An attempt failed and is repeated; what was said of the test before does not count.
    Rerun {
        id: String,
        #[serde(default)]
        copy: u32,
        #[serde(flatten)]
        blow: Blow,
    },
    /// A test has ended.
    Finish {
        id: String,
        #[serde(default)]
        copy: u32,
        outcome: TestOutcome,
        #[serde(flatten)]
        details: Details,
    },
    /// The file that coverage will be in when the process has ended.
    Data { file: Utf8PathBuf },
    /// Files that processes of tests have begun; coverage may add to the names when it saves.
    Saved { files: Vec<Utf8PathBuf> },
    /// A warning of Python; `once` where every split meets it.
    Warning { text: String, place: String, once: bool },
    /// A plugin hears of tests, but only of those of this split.
    HearsAPart { name: String },
    /// What plugins say at the end.
    ClosingWords { text: String },
    /// The session has ended with this exit status of pytest; before plugins had their say it
    /// `was` another one.
    Bye {
        exit: i32,
        #[serde(default)]
        was: Option<i32>,
        #[serde(default)]
        max_warnings: Option<u64>,
    },
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestOutcome {
    /// It passed.
    Passed,
    /// Its call failed.
    Failed,
    /// Its setup or teardown failed.
    Error,
    /// It was skipped.
    Skipped,
    /// It failed as expected.
    Xfailed,
    /// It passed against expectation.
    Xpassed,
    /// Its process died.
    Crashed,
    /// It was stopped at its time limit.
    TimedOut,
}

impl TestOutcome {
    /// True where a test is to blame.
    pub fn is_failure(self) -> bool {
        use TestOutcome::{Crashed, Error, Failed, TimedOut};
        matches!(self, Failed | Error | Crashed | TimedOut)
    }

    /// As it is said.
    pub fn word(self) -> &'static str {
        match self {
            TestOutcome::Passed => "passed",
            TestOutcome::Failed => "failed",
            TestOutcome::Error => "error",
            TestOutcome::Skipped => "skipped",
            TestOutcome::Xfailed => "xfailed",
            TestOutcome::Xpassed => "xpassed",
            TestOutcome::Crashed => "crashed",
            TestOutcome::TimedOut => "timed out",
        }
    }
}

/// What is told of a test at its end, beside its outcome.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Details {
    /// How long it took.
    #[serde(flatten)]
    pub seconds: PhaseSeconds,
    /// Why it was skipped, or expected to fail.
    pub reason: Option<String>,
    /// What it recorded with `record_property`: names and values.
    #[serde(default)]
    pub properties: Vec<(String, String)>,
    /// Seconds of CPU that its process used meanwhile, with children that were waited for.
    pub cpu: Option<f64>,
    /// Bytes of anonymous memory that its process had at its end, what it shares with the process
    /// that it was forked from among them; not told at the end of each of many short tests.
    pub memory: Option<u64>,
}

impl From<PhaseSeconds> for Details {
    fn from(seconds: PhaseSeconds) -> Details {
        Details { seconds, ..Details::default() }
    }
}

/// Seconds that the phases of a test took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct PhaseSeconds {
    /// Fixtures before the test.
    #[serde(default)]
    pub setup: f64,
    /// The test itself.
    #[serde(default)]
    pub call: f64,
    /// Fixtures after the test.
    #[serde(default)]
    pub teardown: f64,
}

impl PhaseSeconds {
    /// Their sum, in the order in which pytest-split adds them up.
    pub fn total(self) -> f64 {
        self.setup + self.teardown + self.call
    }
}

impl From<PhaseSeconds> for PhaseTimes {
    fn from(seconds: PhaseSeconds) -> PhaseTimes {
        PhaseTimes { until_teardown: seconds.setup + seconds.call, teardown: seconds.teardown }
    }
}
