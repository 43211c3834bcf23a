//! The session of the host that is the controller of pytest's plugins: who hears of tests there,
//! and whether it ended as the tests say.

use serde::Deserialize;

use crate::engine::Ran;

/// What is known of the controller's session.
#[derive(Default)]
pub(super) struct Session {
    /// Plugins hear of tests.
    hears: bool,
    knows_workers: bool,
    /// A plugin has ended it.
    stopped: bool,
    end: Option<SessionEnd>,
}

/// How the controller's session ended.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SessionEnd {
    /// pytest's exit status.
    exit: i32,
    /// What plugins have printed at the end.
    text: Option<String>,
    /// Who set a status other than pytest's own.
    by: Option<String>,
    /// The reason, where it is known.
    why: Option<String>,
}

impl Session {
    /// How much the controller wants to hear of tests.
    pub(super) fn listens(&mut self, replays: u8) {
        self.hears |= replays > 0;
    }

    /// Plugins hear of tests.
    pub(super) fn hears(&self) -> bool {
        self.hears
    }

    /// Plugins know each worker, from its start to its end.
    pub(super) fn plugins_know_workers(&mut self) {
        self.knows_workers = true;
    }

    /// They do.
    pub(super) fn knows_workers(&self) -> bool {
        self.knows_workers
    }

    /// A plugin wants no more tests, or broke.
    pub(super) fn stops(&mut self) {
        self.stopped = true;
    }

    /// It is over. What plugins have printed at the end.
    pub(super) fn ends(&mut self, end: SessionEnd) -> Option<String> {
        self.end.insert(end).text.clone()
    }

    /// The status that pytest and its plugins end with must be what the account of tests says.
    pub(super) fn judge(&mut self, ran: &mut Ran) {
        let Some(end) = self.end.take() else { return };
        let ended = ran.aborted || ran.uncollectable || ran.interrupted.is_some();
        if ended || self.stopped || !ran.problems.is_empty() {
            return;
        }
        let tally = ran.ledger.tally();
        match (end.exit, tally.failures() > 0, tally.collected == 0) {
            (0, false, false) | (1, true, _) | (5, false, true) => {}
            (0, false, true) => ran.no_tests_is_fine = true,
            (exit, ..) => ran.findings.push(sentence(exit, &end)),
        }
    }
}

/// What plugins have against a run whose tests say something else.
fn sentence(exit: i32, end: &SessionEnd) -> String {
    let by = end.by.as_ref().map(|by| format!(", set by `{by}`")).unwrap_or_default();
    let why = end.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("pytest's session ended with exit status {exit}{by}{why}")
}
