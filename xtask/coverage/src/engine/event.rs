//! What the Python side tells while it runs, one JSON object a line.

use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::model::{Details, PhaseFailure, TestOutcome};

/// One line of the stock engine's plugin, `host/stock/xtask_events.py`. `copy` tells tests of one
/// id in one split apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A worker of xdist has started.
    Worker {
        id: String,
        pid: i32,
        file: Option<Utf8PathBuf>,
    },
    /// A worker of xdist went away, and its coverage with it.
    WorkerLost {
        id: String,
        text: String,
    },
    /// A file or folder that cannot be collected.
    CollectError {
        id: String,
        text: String,
    },
    /// A module or class skipped as a whole.
    CollectSkip {
        id: String,
        reason: String,
    },
    /// Collection has ended.
    Collected,
    Start {
        id: String,
    },
    /// A test failed, at the moment it does.
    Failed {
        id: String,
        #[serde(default)]
        copy: u32,
        #[serde(flatten)]
        phase_failure: PhaseFailure,
    },
    /// An attempt failed and is repeated; what was said of the test before does not count.
    Rerun {
        id: String,
        #[serde(default)]
        copy: u32,
        #[serde(flatten)]
        phase_failure: PhaseFailure,
    },
    Finish {
        id: String,
        #[serde(default)]
        copy: u32,
        outcome: TestOutcome,
        #[serde(flatten)]
        details: Details,
    },
    /// The file that coverage will be in when the process has ended.
    Data {
        file: Utf8PathBuf,
    },
    /// Files that processes of tests have begun; coverage may add to the names when it saves.
    Saved {
        files: Vec<Utf8PathBuf>,
    },
    /// A warning of Python; `once` where every split meets it.
    Warning {
        text: String,
        place: String,
        once: bool,
    },
    /// A plugin hears of tests, but only of those of this split.
    HearsAPart {
        name: String,
    },
    /// What plugins say at the end.
    ClosingWords {
        text: String,
    },
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
