//! The tests that a later run should run again: those that failed, and those that were to run and
//! did not. `--last-failed` runs them: our own Python chooses them from what was collected.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::{Job, Ran};
use crate::files;
use crate::layout::StateFolder;
use crate::model::NodeId;
use crate::model::format::count;
use crate::project::State;

/// `last-failed.json` in the state folder: node ids, and files that could not be collected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Outstanding {
    /// They failed, crashed, timed out or could not be collected.
    failed: BTreeSet<String>,
    /// They were to run when the run ended early.
    not_run: BTreeSet<String>,
    /// They were to run again and are not there any more, nor is a test of their function: only
    /// a run of the whole suite can tell what became of them.
    not_found: BTreeSet<String>,
}

/// What `--last-failed` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Every test has passed.
    Nothing,
    /// The tests on the list.
    Listed,
    /// All tests, for those on the list cannot be found.
    Whole,
}

impl Outstanding {
    /// What the last run left; nothing where there was none.
    pub(crate) fn read(state: &State) -> Outstanding {
        let text = files::read_text(&file(state)).ok();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps it for a later run.
    pub(crate) fn write(&self, state: &State) -> Result<()> {
        let file = file(state);
        let text = serde_json::to_string_pretty(self).context("failed to list the failed tests")?;
        files::replace(&file, &text).with_context(|| format!("failed to write `{file}`"))
    }

    /// What a run of it would be.
    pub(crate) fn again(&self) -> Again {
        match (self.listed().next().is_some(), self.not_found.is_empty()) {
            (true, _) => Again::Listed,
            (false, false) => Again::Whole,
            (false, true) => Again::Nothing,
        }
    }

    fn listed(&self) -> impl Iterator<Item = &String> {
        self.failed.union(&self.not_run)
    }

    /// What is to be run again, in words.
    pub(crate) fn words(&self) -> String {
        let counted = [
            (self.failed.len(), "that failed"),
            (self.not_run.len(), "that did not run"),
            (self.not_found.len(), "not found again, so all tests"),
        ];
        let counted = if self.again() == Again::Whole { &counted[2..] } else { &counted[..2] };
        let words = counted.iter().filter(|(n, _)| *n > 0);
        let words: Vec<String> =
            words.map(|(n, which)| format!("{} {which}", count(*n as u64, "test"))).collect();
        words.join(" and ")
    }

    /// Has a job run these tests only. Files are left out only where each of them has a file;
    /// `is_part` says that the rest of the suite was not asked for.
    pub(crate) fn narrow(&self, job: &mut Job, rootdir: &Utf8Path, is_part: bool) -> Result<()> {
        let ids: Vec<&String> = self.listed().collect();
        let files = files_of(&ids, rootdir);
        select(job, &json!({"ids": ids, "files": files, "narrowed": is_part}))
    }

    /// What is outstanding after a run: with `whole`, it was asked for all that there is.
    pub(crate) fn after(self, ran: &Ran, whole: bool) -> Outstanding {
        let failed = ran.ledger.failed_ids().iter().cloned().collect();
        let not_run = ran.ledger.left_of(&ran.planned).cloned().collect();
        let now = Outstanding { failed, not_run, ..Outstanding::default() };
        if whole && !ran.planned.is_empty() {
            return now;
        }
        let seen: HashSet<&str> =
            ran.planned.iter().flat_map(|id| NodeId(id).and_all_above()).collect();
        let functions: HashSet<&str> = ran.planned.iter().map(|id| NodeId(id).function()).collect();
        let gone: BTreeSet<&String> = ran.not_found.ids.iter().collect();
        let is_open = |id: &String| !seen.contains(id.as_str()) && !gone.contains(id);
        let kept = |ids: BTreeSet<String>| ids.into_iter().filter(is_open);
        let lost = gone.iter().copied().chain(&self.not_found);
        let lost = lost.filter(|id| !functions.contains(NodeId(id).function()));
        let mut all = Outstanding {
            not_found: lost.filter(|id| !seen.contains(id.as_str())).cloned().collect(),
            failed: kept(self.failed).chain(now.failed).collect(),
            not_run: kept(self.not_run).chain(now.not_run).collect(),
        };
        all.not_run.retain(|id| !all.failed.contains(id));
        all
    }
}

/// Has a job run these tests, and nothing in the place of one that is not there.
pub(crate) fn narrow_to(job: &mut Job, ids: &[&String], rootdir: &Utf8Path) -> Result<()> {
    let files = files_of(ids, rootdir);
    select(job, &json!({"ids": ids, "files": files, "narrowed": true, "exact": true}))
}

/// The files of tests; none where one of them has no file.
fn files_of(ids: &[&String], rootdir: &Utf8Path) -> Option<BTreeSet<Utf8PathBuf>> {
    let file = |id: &&String| Some(rootdir.join(NodeId(id).file())).filter(|file| file.is_file());
    ids.iter().map(file).collect()
}

fn select(job: &mut Job, list: &serde_json::Value) -> Result<()> {
    // Not among the parts: should another engine have to run it, those are emptied.
    let file = job.folder.selection();
    files::replace(&file, list.to_string()).with_context(|| format!("failed to write `{file}`"))?;
    job.last_failed = Some(file);
    // What is not found in one part of the collection may be in another.
    job.collecting.collectors = 0;
    Ok(())
}

/// `cargo xtask coverage` and `cargo xtask test` run the same tests, so they share the file.
fn file(state: &State) -> Utf8PathBuf {
    let files = state.everywhere(StateFolder::last_failed);
    files.into_iter().next().unwrap_or_else(|| state.names.last_failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Details, Failure, Phase, PhaseFailure, TestOutcome};

    fn outstanding(failed: &[&str], not_run: &[&str]) -> Outstanding {
        let set = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        Outstanding { failed: set(failed), not_run: set(not_run), ..Outstanding::default() }
    }

    /// A run of these tests, of which some passed and some failed.
    fn ran(planned: &[&str], passed: &[&str], failed: &[&str]) -> Ran {
        let mut ran = Ran::new(0);
        ran.planned = planned.iter().map(|&id| id.to_owned()).collect();
        for id in passed {
            ran.ledger.finished(id, 0, TestOutcome::Passed, Details::default());
        }
        for id in failed {
            let phase_failure = PhaseFailure::new(Phase::Call, String::new());
            ran.ledger.failed(Failure::new((*id).to_owned(), None, phase_failure, None));
        }
        ran
    }

    #[test]
    fn a_whole_run_leaves_what_failed_and_what_did_not_run() {
        let ran = ran(&["a::1", "a::2", "a::3"], &["a::1"], &["a::2"]);
        let left = outstanding(&["a::1", "gone::1"], &[]).after(&ran, true);
        assert_eq!(left, outstanding(&["a::2"], &["a::3"]));
    }

    #[test]
    fn a_part_says_nothing_of_the_others() {
        let ran = ran(&["a::1", "a::2"], &["a::1"], &["a::2"]);
        let left = outstanding(&["a::1", "b::1"], &["a::2", "b::2"]).after(&ran, false);
        assert_eq!(left, outstanding(&["a::2", "b::1"], &["b::2"]));
    }

    /// Nothing could be collected: all that was outstanding still is, and the broken file too.
    #[test]
    fn a_run_without_tests_takes_nothing_away() {
        let left = outstanding(&["b::1"], &[]).after(&ran(&[], &[], &["a"]), true);
        assert_eq!(left, outstanding(&["a", "b::1"], &[]));
        let mended = left.after(&ran(&["a::1"], &["a::1"], &[]), false);
        assert_eq!(mended, outstanding(&["b::1"], &[]));
    }

    #[test]
    fn of_two_tests_with_one_id_one_can_be_left() {
        let mut ran = ran(&["a::1", "a::1"], &["a::1"], &[]);
        assert_eq!(Outstanding::default().after(&ran, true), outstanding(&[], &["a::1"]));
        ran.ledger.finished("a::1", 1, TestOutcome::Passed, Details::default());
        assert_eq!(Outstanding::default().after(&ran, true), outstanding(&[], &[]));
    }

    /// In its place another test of its function ran, or none: then nobody knows.
    #[test]
    fn what_was_not_found_again_waits_for_a_whole_run() {
        let mut ran = ran(&["a.py::x[2]", "a.py::y"], &["a.py::x[2]", "a.py::y"], &[]);
        ran.not_found.ids = ["a.py::x[1]", "b.py::x", "say hello"].map(str::to_owned).to_vec();
        let before = outstanding(&["a.py::x[1]", "b.py::x", "say hello", "c.py::x"], &[]);
        let mut left = before.after(&ran, false);
        let not_found = ["b.py::x", "say hello"].map(str::to_owned);
        assert_eq!(left.not_found, not_found.into());
        assert_eq!((&left.failed, left.again()), (&["c.py::x".to_owned()].into(), Again::Listed));
        left.failed.clear();
        assert_eq!(left.again(), Again::Whole);
        assert_eq!(left.words(), "2 tests not found again, so all tests");
        assert_eq!(left.after(&ran, true), Outstanding::default());
        assert_eq!(Outstanding::default().again(), Again::Nothing);
    }

    #[test]
    fn what_is_run_again_is_told() {
        let all = outstanding(&["a", "b"], &["c"]);
        assert_eq!(all.words(), "2 tests that failed and 1 test that did not run");
        assert_eq!(outstanding(&[], &["c"]).words(), "1 test that did not run");
    }
}
