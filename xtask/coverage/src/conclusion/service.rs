//! What a service that runs jobs gets besides the log: annotations and the page of the job on
//! GitHub, and the top of the repository, from which both services count paths.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::value::{Conclusion, Finished};
use crate::env::Env;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::model::format::seconds;
use crate::model::{Annotation, Level};
use crate::prepare::Prepared;
use crate::project::Project;
use crate::report::ci::{Page, Places, of_failures, of_patch, render};
use crate::report::failures::{self, Limits};
use crate::report::patch::Patch;
use crate::report::thresholds::Missed;
use crate::report::verdict::Verdict;
use crate::screen::Service;

/// Bytes that GitHub takes for the page, from all that a step writes; more is an error there.
const MOST_PAGE: usize = 1024 * 1024;

impl Finished<'_> {
    /// Annotates the repository and writes the page of the job. That this fails is no reason for
    /// a run to fail.
    pub(super) fn tell_service(&self, conclusion: &Conclusion, missed: &[&Missed]) {
        let Invocation { screen, env, .. } = *self.invocation;
        // Several projects have one page, and their annotations share what there is room for.
        if screen.service() != Some(Service::GitHub) || self.invocation.joint.is_some() {
            return;
        }
        screen.annotate(&self.annotations(conclusion));
        let Some(file) = env.get("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) else {
            return;
        };
        let written = append_page(file, |room| self.page(conclusion, missed, room))
            .with_context(|| format!("failed to write the job's summary to `{file}`"));
        if let Err(error) = written {
            screen.warn(&format!("{error:#}"));
        }
    }

    /// First what no line stands for, then failures, then changed lines.
    pub(super) fn annotations(&self, conclusion: &Conclusion) -> Vec<Annotation> {
        let Verdict { exit, outcome, sentence, .. } = &conclusion.verdict;
        let places = places(self.invocation, self.project, self.prepared);
        let mut all = Vec::new();
        if matches!(exit, Exit::BelowThreshold | Exit::Incomplete | Exit::Usage | Exit::NoTests) {
            let title = format!("{}: {}", self.project.name, outcome.in_words());
            let (file, lines, text) = (None, None, sentence.clone());
            all.push(Annotation { level: Level::Error, file, lines, title, text });
        }
        all.extend(of_failures(self.ran.ledger.failures(), &places));
        let patch = conclusion.patch.as_ref().filter(|_| self.invocation.joint.is_none());
        all.extend(patch.map(|patch| of_patch(patch, &places)).unwrap_or_default());
        all
    }

    /// The part of a project in the page of several.
    pub(super) fn job_page(&self, conclusion: &Conclusion, missed: &[&Missed]) -> String {
        self.page(conclusion, missed, MOST_PAGE / 4)
    }

    fn page(&self, conclusion: &Conclusion, missed: &[&Missed], most: usize) -> String {
        let limits = Limits { text_lines: 60, ..Limits::default() };
        let failures = self.ran.ledger.failures();
        let shown = failures::shown(failures, &conclusion.again, &limits);
        let verdict = &conclusion.verdict;
        let page = Page {
            project: &self.project.name,
            word: verdict.outcome.in_words(),
            sentence: &verdict.sentence,
            partial: verdict.partial,
            tests: &conclusion.evidence.tally.in_words(),
            took: &seconds(conclusion.seconds.total),
            rendered: conclusion.rendered.as_ref(),
            patch: conclusion.patch.as_ref().filter(|_| self.invocation.joint.is_none()),
            missed,
            more_failures: self.ran.ledger.failed_ids().len().saturating_sub(shown.len()),
            failures: &shown,
        };
        render(&page, most)
    }
}

/// Appends to the page of the job what fits into the bytes that are left of it.
pub(super) fn append_page(file: &str, page: impl FnOnce(usize) -> String) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    let there = usize::try_from(file.metadata()?.len()).unwrap_or(MOST_PAGE);
    file.write_all(page(MOST_PAGE.saturating_sub(there)).as_bytes())?;
    Ok(())
}

/// Annotates what was changed and did not run: where coverage is reported again.
pub(crate) fn annotate(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    patch: &Patch,
) {
    let places = places(invocation, project, prepared);
    invocation.screen.annotate(&of_patch(patch, &places));
}

fn places(invocation: &Invocation<'_>, project: &Project, prepared: &Prepared) -> Places {
    let (root, rootdir) = (project.root.clone(), prepared.rootdir(project));
    Places { top: repository(invocation, project), root, rootdir }
}

/// The top of the repository that the project lies in: the service's checkout, else where git has
/// its folder.
fn repository(invocation: &Invocation<'_>, project: &Project) -> Utf8PathBuf {
    top(invocation.env, &project.root).unwrap_or_else(|| project.root.clone())
}

/// The same of any folder; none where there is no repository.
pub(crate) fn top(env: &Env, root: &Utf8Path) -> Option<Utf8PathBuf> {
    let named = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter();
    let named = named.filter_map(|name| env.get(name));
    let checkouts = named.filter_map(|folder| Utf8PathBuf::from(folder).canonicalize_utf8().ok());
    let above = root.ancestors().map(|folder| folder.to_path_buf());
    let mut tops = checkouts.filter(|folder| root.starts_with(folder)).chain(above);
    tops.find(|folder| folder.join(".git").exists())
}

/// From where the XML report counts paths: GitLab wants them as the repository has them, which
/// with several sources, or relative ones, coverage's are not.
pub(crate) fn xml_top(invocation: &Invocation<'_>, project: &Project) -> Option<Utf8PathBuf> {
    let wanted = invocation.screen.service() == Some(Service::GitLab);
    wanted.then(|| repository(invocation, project))
}
