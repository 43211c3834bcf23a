//! What a run came to: the value that all sinks read.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use camino::Utf8PathBuf;

use super::delivery::Delivery;
use super::goals::Against;
use crate::cli::Engine;
use crate::engine::{Job, Ran};
use crate::invocation::Invocation;
use crate::prepare::Prepared;
use crate::project::Project;
use crate::report::again::Again;
use crate::report::coverage::Rendered;
use crate::report::patch::Patch;
use crate::report::summary::Seconds;
use crate::report::verdict::{Evidence, Verdict, judge};

/// A run whose tests are over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished<'a> {
    /// What was typed, and where to say things.
    pub(crate) invocation: &'a Invocation<'a>,
    pub(crate) project: &'a Project,
    /// Its settings and state.
    pub(crate) prepared: &'a Prepared,
    /// What ran it.
    pub(crate) engine: Engine,
    /// What its coverage is compared with.
    pub(crate) against: &'a Against,
    /// What was to run.
    pub(crate) job: &'a Job,
    pub(crate) ran: &'a Ran,
    /// What is to be delivered of it; none where it is no shard.
    pub(crate) delivery: Option<&'a Delivery>,
    /// When all of it began.
    pub(crate) started: Instant,
    /// How long the engine took, seconds.
    pub(crate) run_seconds: f64,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Conclusion {
    /// Why it is judged as it is.
    pub(super) evidence: Evidence,
    /// How it is judged.
    pub(super) verdict: Verdict,
    /// What coverage reports; none where nothing was combined.
    pub(super) rendered: Option<Rendered>,
    /// The coverage of what changed; none where nobody asked.
    pub(super) patch: Option<Patch>,
    pub(super) seconds: Seconds,
    /// When the engine began, seconds since the start of the run.
    pub(super) began: f64,
    /// The reports that are written, by name.
    pub(super) reports: BTreeMap<String, Utf8PathBuf>,
    /// Where a shard has delivered, or why it has not.
    pub(super) delivered: Option<String>,
    /// What failed, as text for another machine; none where nothing did.
    pub(super) rerun: Result<Option<String>>,
    /// How its tests are run again.
    pub(super) again: Again,
}

impl Conclusion {
    /// What was written for it, or one more thing to judge.
    pub(super) fn note<T>(&mut self, written: Result<T>) -> Option<T> {
        let written = self.evidence.note(written);
        self.verdict = judge(&self.evidence);
        written
    }

    /// What coverage reports, where the run was complete.
    pub(super) fn complete(&self) -> Option<&Rendered> {
        self.rendered.as_ref().filter(|_| !self.verdict.partial)
    }
}
