//! What is known of a test that failed.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// One failure of one test. A test that fails and then errs in its teardown has two.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Failure {
    /// The node id; for a collection error, the file.
    pub id: String,
    /// Which of the tests with this id, where several have it.
    pub copy: u32,
    /// 1-based.
    pub split: Option<u32>,
    pub phase: Phase,
    /// pytest's traceback, or what is known of a crash.
    pub text: String,
    /// The exception alone; empty where there is none.
    pub message: String,
    /// Captured output and log: titles and texts.
    pub sections: Vec<(String, String)>,
    /// The log that holds all of it.
    pub log: Option<Utf8PathBuf>,
}

impl Failure {
    /// What was told of a test.
    pub(crate) fn new(
        id: String,
        split: Option<u32>,
        phase_failure: PhaseFailure,
        log: Option<Utf8PathBuf>,
    ) -> Failure {
        let PhaseFailure { phase, text, message, sections } = phase_failure;
        Failure { id, copy: 0, split, phase, text, message, sections, log }
    }

    /// The same of another test with this id.
    pub(crate) fn of_copy(self, copy: u32) -> Failure {
        Failure { copy, ..self }
    }
}

/// What pytest reports of a phase that failed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PhaseFailure {
    /// Where.
    pub phase: Phase,
    /// The traceback.
    pub text: String,
    /// The exception alone; empty where there is none.
    #[serde(default)]
    pub message: String,
    /// Captured output and log: titles and texts.
    #[serde(default)]
    pub sections: Vec<(String, String)>,
}

impl PhaseFailure {
    /// What is known where pytest could report nothing.
    pub(crate) fn new(phase: Phase, text: String) -> PhaseFailure {
        PhaseFailure { phase, text, message: String::new(), sections: Vec::new() }
    }
}

/// Where a test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// A fixture, before the test.
    Setup,
    /// The test.
    Call,
    /// A fixture, after the test.
    Teardown,
    /// Its file could not be imported.
    Collect,
    /// An error that nobody could raise, found when the tests of its file were over.
    Late,
    /// Its process died.
    Crash,
    /// It was stopped at the time limit.
    Timeout,
}

impl Phase {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Phase::Setup => "error in setup",
            Phase::Call => "failed",
            Phase::Teardown => "error in teardown",
            Phase::Late => "left an error behind",
            Phase::Collect => "could not be collected",
            Phase::Crash => "crashed",
            Phase::Timeout => "timed out",
        }
    }
}
