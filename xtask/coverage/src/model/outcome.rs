//! How tests end, and how many in which way.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

use super::format::thousands;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TestOutcome {
    Passed,
    /// Its call failed.
    Failed,
    /// Its setup or teardown failed.
    Error,
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
    pub(crate) fn is_failure(self) -> bool {
        use TestOutcome::{Crashed, Error, Failed, TimedOut};
        matches!(self, Failed | Error | Crashed | TimedOut)
    }

    /// As it is said.
    pub(crate) fn word(self) -> &'static str {
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
pub(crate) struct Details {
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
pub(crate) struct PhaseSeconds {
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
    pub(crate) fn total(self) -> f64 {
        self.setup + self.teardown + self.call
    }
}

/// What became of the tests. Each counts once, except in `reruns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Tally {
    /// Found and selected.
    pub collected: u64,
    pub passed: u64,
    /// Failed in the call phase.
    pub failed: u64,
    /// Failed in setup, teardown or collection.
    pub errors: u64,
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
    pub(crate) fn failures(&self) -> u64 {
        self.failed + self.errors + self.crashed + self.timed_out
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        all.fold(Tally::default(), |a, b| Tally {
            collected: a.collected + b.collected,
            passed: a.passed + b.passed,
            failed: a.failed + b.failed,
            errors: a.errors + b.errors,
            skipped: a.skipped + b.skipped,
            xfailed: a.xfailed + b.xfailed,
            xpassed: a.xpassed + b.xpassed,
            reruns: a.reruns + b.reruns,
            crashed: a.crashed + b.crashed,
            timed_out: a.timed_out + b.timed_out,
            not_run: a.not_run + b.not_run,
        })
    }
}

impl Tally {
    /// What became of the tests, in a line.
    pub(crate) fn in_words(&self) -> String {
        let counts = [
            ("passed", self.passed),
            ("failed", self.failed),
            (if self.errors == 1 { "error" } else { "errors" }, self.errors),
            ("crashed", self.crashed),
            ("timed out", self.timed_out),
            ("skipped", self.skipped),
            ("xfailed", self.xfailed),
            ("xpassed", self.xpassed),
            ("rerun", self.reruns),
            ("not run", self.not_run),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{} {name}", thousands(n)))
            .collect();
        if counts.is_empty() { "no tests".to_owned() } else { counts.join(", ") }
    }
}
