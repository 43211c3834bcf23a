//! What a service that runs jobs gets besides the log: annotations and the page of the job on
//! GitHub, and the top of the repository, from which both services count paths.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use super::Invocation;
use super::ending::Ending;
use super::prepare::Prepared;
use super::words::{again, counts, word};
use crate::exit::Exit;
use crate::project::Project;
use crate::report::ci::{Annotation, Level, Page, Places, of_failures, of_patch, render};
use crate::report::coverage::Rendered;
use crate::report::failures::{self, Limits};
use crate::report::patch::Patch;
use crate::report::thresholds::Missed;
use crate::report::verdict::Verdict;
use crate::screen::{Service, seconds};

/// Bytes that GitHub takes for the page, from all that a step writes; more is an error there.
const MOST_PAGE: usize = 1024 * 1024;

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) rendered: Option<&'a Rendered>,
    pub(super) patch: Option<&'a Patch>,
    pub(super) missed: &'a [&'a Missed],
    /// Seconds, of all of it.
    pub(super) took: f64,
}

impl Ending<'_> {
    /// Annotates the repository and writes the page of the job. That this fails is no reason for
    /// a run to fail.
    pub(super) fn tell_service(&self, told: &Told<'_>) {
        let Invocation { screen, env, .. } = *self.invocation;
        if screen.service() != Some(Service::GitHub) {
            return;
        }
        screen.annotate(&self.annotations(told));
        let Some(file) = env.get("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) else {
            return;
        };
        let written = self
            .append_page(&Utf8PathBuf::from(file), told)
            .with_context(|| format!("failed to write the job's summary to `{file}`"));
        if let Err(error) = written {
            screen.warn(&format!("{error:#}"));
        }
    }

    /// First what no line stands for, then failures, then changed lines.
    fn annotations(&self, told: &Told<'_>) -> Vec<Annotation> {
        let Verdict { exit, outcome, sentence, .. } = told.verdict;
        let places = places(self.invocation, self.project, self.prepared);
        let mut all = Vec::new();
        if matches!(exit, Exit::BelowThreshold | Exit::Incomplete | Exit::NoTests) {
            let title = format!("{}: {}", self.project.name, word(*outcome));
            let (file, lines, text) = (None, None, sentence.clone());
            all.push(Annotation { level: Level::Error, file, lines, title, text });
        }
        all.extend(of_failures(self.ran.ledger.failures(), &places));
        all.extend(told.patch.map(|patch| of_patch(patch, &places)).unwrap_or_default());
        all
    }

    fn append_page(&self, path: &Utf8PathBuf, told: &Told<'_>) -> Result<()> {
        let limits = Limits { text_lines: 60, ..Limits::default() };
        let again = again(self.invocation, self.project, self.prepared, self.ran)?;
        let failures = self.ran.ledger.failures();
        let shown = failures::shown(failures, &again, &limits);
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let there = usize::try_from(file.metadata()?.len()).unwrap_or(MOST_PAGE);
        let tally = self.ran.ledger.tally();
        let page = Page {
            project: &self.project.name,
            word: word(told.verdict.outcome),
            sentence: &told.verdict.sentence,
            partial: told.verdict.partial,
            tests: &counts(&tally),
            took: &seconds(told.took),
            rendered: told.rendered,
            patch: told.patch,
            missed: told.missed,
            more_failures: self.ran.ledger.failed_ids().len().saturating_sub(shown.len()),
            failures: &shown,
        };
        file.write_all(render(&page, MOST_PAGE.saturating_sub(there)).as_bytes())?;
        Ok(())
    }
}

/// Annotates what was changed and did not run: where coverage is reported again.
pub(super) fn annotate(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    patch: &Patch,
) {
    let places = places(invocation, project, prepared);
    invocation.screen.annotate(&of_patch(patch, &places));
}

fn places(invocation: &Invocation<'_>, project: &Project, prepared: &Prepared) -> Places {
    let root = project.root.clone();
    let rootdir = prepared.facts.pytest.as_ref().map(|pytest| pytest.rootdir.clone());
    let rootdir = rootdir.unwrap_or_else(|| root.clone());
    Places { top: repository(invocation, project), root, rootdir }
}

/// The top of the repository that the project lies in: the service's checkout, else where git has
/// its folder.
fn repository(invocation: &Invocation<'_>, project: &Project) -> Utf8PathBuf {
    let named = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter();
    let named = named.filter_map(|name| invocation.env.get(name));
    let checkouts = named.filter_map(|folder| Utf8PathBuf::from(folder).canonicalize_utf8().ok());
    let above = project.root.ancestors().map(|folder| folder.to_path_buf());
    let mut tops = checkouts.filter(|folder| project.root.starts_with(folder)).chain(above);
    tops.find(|folder| folder.join(".git").exists()).unwrap_or_else(|| project.root.clone())
}

/// From where the XML report counts paths: GitLab wants them as the repository has them, which
/// with several sources, or relative ones, coverage's are not.
pub(super) fn xml_top(invocation: &Invocation<'_>, project: &Project) -> Option<Utf8PathBuf> {
    let wanted = invocation.screen.service() == Some(Service::GitLab);
    wanted.then(|| repository(invocation, project))
}
