//! The tests that a later run should run again: those that failed, and those that were to run and
//! did not. `--last-failed` runs them, through pytest's own option of that name.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::prepare::Prepared;
use super::{Invocation, ending};
use crate::engine::{Job, Ran};
use crate::exit::{self, Exit};
use crate::files;
use crate::project::{Project, State};
use crate::report::summary::{self, Outcome, Seconds, Splits, Summary, Tally};
use crate::screen::count;

/// `last-failed.json` in the state folder: node ids, and files that could not be collected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Outstanding {
    /// They failed, crashed, timed out or could not be collected.
    failed: BTreeSet<String>,
    /// They were to run when the run ended early.
    not_run: BTreeSet<String>,
}

impl Outstanding {
    /// What the last run left; nothing where there was none.
    pub(super) fn read(state: &State) -> Outstanding {
        let text = files::read_text(&file(state)).ok();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps it for a later run.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let file = file(state);
        let text = serde_json::to_string_pretty(self).context("failed to list the failed tests")?;
        summary::replace(&file, &text).with_context(|| format!("failed to write `{file}`"))
    }

    /// True where every test has passed.
    pub(super) fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.not_run.is_empty()
    }

    /// Without the tests of files that are not there any more.
    pub(super) fn in_files_of(mut self, rootdir: &Utf8Path) -> Outstanding {
        let there = |id: &String| rootdir.join(file_of(id)).exists();
        self.failed.retain(there);
        self.not_run.retain(there);
        self
    }

    /// True where some file could not be collected. pytest finds all tests of such a file only
    /// where it is told the files instead of searching for them.
    pub(super) fn has_whole_files(&self) -> bool {
        self.failed.iter().any(|id| file_of(id) == id)
    }

    /// The files that all of it is in.
    pub(super) fn files(&self, rootdir: &Utf8Path) -> Vec<String> {
        let ids = self.failed.iter().chain(&self.not_run);
        let files: BTreeSet<&str> = ids.map(|id| file_of(id)).collect();
        files.into_iter().map(|file| rootdir.join(file).into_string()).collect()
    }

    /// What is to be run again, in words.
    pub(super) fn words(&self) -> String {
        let (failed, not_run) = (self.failed.len() as u64, self.not_run.len() as u64);
        let counted = [(failed, "that failed"), (not_run, "that did not run")];
        let words = counted.into_iter().filter(|(n, _)| *n > 0);
        let words: Vec<String> =
            words.map(|(n, which)| format!("{} {which}", count(n, "test"))).collect();
        words.join(" and ")
    }

    /// Has a job run these tests only.
    pub(super) fn narrow(&self, job: &mut Job) -> Result<()> {
        let file = job.known_failures();
        let ids = self.failed.iter().chain(&self.not_run);
        let ids: serde_json::Map<_, _> = ids.map(|id| (id.clone(), true.into())).collect();
        let folder = file.parent().unwrap_or(&file);
        fs::create_dir_all(folder).with_context(|| format!("failed to make `{folder}`"))?;
        let text = serde_json::Value::Object(ids).to_string();
        fs::write(&file, text).with_context(|| format!("failed to write `{file}`"))?;
        job.last_failed = true;
        job.pytest_args.push("--lf".to_owned());
        Ok(())
    }

    /// What is outstanding after a run: with `whole`, it was asked for all that there is.
    pub(super) fn after(self, ran: &Ran, whole: bool) -> Outstanding {
        let outcomes = ran.ledger.outcomes();
        let planned = || ran.planned.iter();
        let failed: BTreeSet<String> = ran.ledger.failed_ids().iter().cloned().collect();
        let not_run = planned().filter(|id| !outcomes.contains_key(*id)).cloned().collect();
        let now = Outstanding { failed, not_run };
        if whole && !ran.planned.is_empty() {
            return now;
        }
        let seen: BTreeSet<&str> = planned().flat_map(|id| [id.as_str(), file_of(id)]).collect();
        let kept = |ids: BTreeSet<String>| ids.into_iter().filter(|id| !seen.contains(id.as_str()));
        let mut all = Outstanding {
            failed: kept(self.failed).chain(now.failed).collect(),
            not_run: kept(self.not_run).chain(now.not_run).collect(),
        };
        all.not_run.retain(|id| !all.failed.contains(id));
        all
    }
}

/// With `--last-failed`, what is to be run again: the settings are narrowed to it.
pub(super) fn asked_for(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
    known: &Outstanding,
) -> Result<Option<Outstanding>> {
    if !invocation.typed.general.last_failed {
        return Ok(None);
    }
    if prepared.settings.addopts.blocked.iter().any(|plugin| plugin == "cacheprovider") {
        let why =
            "`--last-failed` needs pytest's plugin `cacheprovider`, and addopts switch it off";
        return Err(exit::usage(why).into());
    }
    let rootdir = prepared.facts.pytest.as_ref().map(|pytest| pytest.rootdir.clone());
    let rootdir = rootdir.unwrap_or_else(|| project.root.clone());
    let known = known.clone().in_files_of(&rootdir);
    if !prepared.settings.narrowed && known.has_whole_files() {
        prepared.settings.test_paths = known.files(&rootdir);
    }
    prepared.settings.narrowed = true;
    Ok(Some(known))
}

/// Ends a run for which there is nothing: good news, and whoever waits for a summary gets one.
pub(super) fn nothing(invocation: &Invocation<'_>, prepared: &Prepared) -> Result<Exit> {
    invocation.screen.say("✓ nothing to run again: no test is known to have failed");
    let Some(path) = &invocation.typed.general.summary_json else { return Ok(Exit::Passed) };
    let total = u32::try_from(prepared.settings.splits.value).unwrap_or(u32::MAX);
    let took = prepared.took.as_secs_f64();
    let summary = Summary {
        schema: summary::SCHEMA,
        outcome: Outcome::Passed,
        exit_code: Exit::Passed.code(),
        partial: true,
        engine: prepared.settings.engine.value.name().to_owned(),
        versions: ending::versions(&prepared.facts),
        splits: Splits { total, not_run: total, ..Splits::default() },
        tests: Tally::default(),
        coverage: None,
        seconds: Seconds { total: took, environment: took, ..Seconds::default() },
        failed_tests: Vec::new(),
        data_file: None,
        reports: [].into(),
    };
    summary::write(&super::here()?.join(path), &summary)?;
    Ok(Exit::Passed)
}

/// `cargo xtask coverage` and `cargo xtask test` run the same tests, so they share the file.
fn file(state: &State) -> Utf8PathBuf {
    let own = state.dir().join("last-failed.json");
    state.in_house(&own).unwrap_or(own)
}

fn file_of(id: &str) -> &str {
    id.split("::").next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Details, TestOutcome};
    use crate::report::failures::{Blow, Failure, Phase};

    fn outstanding(failed: &[&str], not_run: &[&str]) -> Outstanding {
        let set = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        Outstanding { failed: set(failed), not_run: set(not_run) }
    }

    /// A run of these tests, of which some passed and some failed.
    fn ran(planned: &[&str], passed: &[&str], failed: &[&str]) -> Ran {
        let mut ran = Ran::new(0);
        ran.planned = planned.iter().map(|&id| id.to_owned()).collect();
        for id in passed {
            ran.ledger.finished(id, TestOutcome::Passed, Details::default());
        }
        for id in failed {
            let blow = Blow::new(Phase::Call, String::new());
            ran.ledger.failed(Failure::new((*id).to_owned(), None, blow, None));
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
    fn what_is_run_again_is_told() {
        let all = outstanding(&["a", "b"], &["c"]);
        assert_eq!(all.words(), "2 tests that failed and 1 test that did not run");
        assert_eq!(outstanding(&[], &["c"]).words(), "1 test that did not run");
    }
}
