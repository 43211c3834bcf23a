//! The one answer of several projects: files, the table, the patch, and the verdict last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::say::say_verdict;
use super::service;
use super::words::{say_weighed, title};
use crate::cli::Task;
use crate::env::Env;
use crate::exit::Exit;
use crate::files;
use crate::invocation::Invocation;
use crate::layout::JointFolder;
use crate::model::format::{one_line, seconds};
use crate::model::{ReportKind, Tally};
use crate::project::{Project, Workspace, joint_folder};
use crate::report::ci::{Places, of_patch};
use crate::report::joint::{
    Answer, Asked, Joint, Numbers, Page, Row, Shown, from_top, judge, markdown, merged, table,
};
use crate::report::junit::joined;
use crate::report::patch::{Changed, Patch};
use crate::report::summary::{self, Coverage, JointSummary, ProjectSummary, SCHEMA};
use crate::report::thresholds::{Missed, changed_lines};
use crate::report::verdict::{Broken, Evidence, Verdict};
use crate::screen::Service;

/// Writes and says what all projects came to.
pub(crate) fn conclude(
    invocation: &Invocation<'_>,
    projects: &[Project],
    answers: Vec<Answer>,
    started: Instant,
) -> Exit {
    let all = All::of(invocation, answers, started);
    let mut broken = Evidence::default();
    let folder = broken.note(folder(invocation, projects));
    let mut reports = BTreeMap::new();
    if let Some(folder) = &folder {
        reports = broken.note(all.write_reports(folder)).unwrap_or_default();
    }
    let junit = broken.note(all.write_junit(invocation)).flatten();
    reports.extend(junit.map(|path| ("junit".to_owned(), path)));
    let mut verdict = judge(&all.answers, &all.missed, &broken.broken);
    let page = folder.and_then(|it| broken.note(all.write_page(&it, &verdict, &reports)));
    let summary = all.write_summary(invocation, &verdict, &reports);
    if broken.note(summary).is_none() || page.is_none() {
        verdict = judge(&all.answers, &all.missed, &broken.broken);
    }
    all.say(invocation, &verdict, &reports, page.as_deref(), &broken.broken);
    verdict.exit
}

/// Ends where no project is affected: good news, and whoever waits for files gets them.
pub(crate) fn nothing_affected(invocation: &Invocation<'_>) -> Result<Exit> {
    if invocation.joint.is_some() {
        let none = All::of(invocation, Vec::new(), Instant::now());
        none.write_junit(invocation)?;
        none.write_summary(invocation, &judge(&[], &[], &[]), &BTreeMap::new())?;
    }
    invocation.screen.say("✓ nothing to do: no project is affected by what has changed");
    Ok(Exit::Passed)
}

/// The folder that paths count from: the top of the repository that all projects lie in, else the
/// workspace, else the folder around them.
pub(crate) fn top(env: &Env, workspace: Option<&Workspace>, projects: &[Project]) -> Utf8PathBuf {
    let holds_all = |folder: &Utf8Path| projects.iter().all(|it| it.root.starts_with(folder));
    let repository = projects.first().and_then(|first| service::top(env, &first.root));
    let known = repository.into_iter().chain(workspace.map(|it| it.root.clone()));
    let around = projects.iter().flat_map(|it| it.root.ancestors().skip(1));
    let mut all = known.chain(around.map(Utf8Path::to_path_buf));
    all.find(|folder| holds_all(folder)).unwrap_or_else(|| "/".into())
}

/// Where the files go that nobody has named.
fn folder(invocation: &Invocation<'_>, projects: &[Project]) -> Result<JointFolder> {
    let all = joint_folder(projects, invocation.workspace)?;
    Ok(if invocation.typed.task == Task::Test { all.of_tests() } else { all })
}

/// What all projects came to.
#[derive(Debug)]
struct All {
    answers: Vec<Answer>,
    joint: Joint,
    tally: Tally,
    /// None where nothing was measured.
    numbers: Option<Numbers>,
    patch: Option<Patch>,
    missed: Vec<Missed>,
    seconds: f64,
}

impl All {
    fn of(invocation: &Invocation<'_>, answers: Vec<Answer>, started: Instant) -> All {
        let top = invocation.joint.map(|joint| joint.top.clone()).unwrap_or_default();
        let covered = || answers.iter().filter_map(|answer| answer.covered.as_ref());
        let joint = Joint {
            files: merged(&top, covered().flat_map(|it| &it.files)),
            precision: covered().map(|it| it.precision).max().unwrap_or_default(),
            top,
        };
        let patch = patch(&joint, &answers);
        let missed = patch.as_ref().map(|patch| missed(patch, &answers)).unwrap_or_default();
        All {
            tally: answers.iter().map(|answer| answer.tally).sum(),
            numbers: covered().next().map(|_| joint.numbers()),
            patch,
            missed,
            seconds: started.elapsed().as_secs_f64(),
            joint,
            answers,
        }
    }

    /// Those kinds that a project was asked for, of all projects.
    fn write_reports(&self, folder: &JointFolder) -> Result<BTreeMap<String, Utf8PathBuf>> {
        let asked: BTreeSet<ReportKind> =
            self.answers.iter().flat_map(|answer| answer.reports.iter().copied()).collect();
        let mut written = BTreeMap::new();
        if self.numbers.is_none() {
            return Ok(written);
        }
        for kind in asked {
            let Some(path) = folder.report(kind, self.is_partial()) else { continue };
            let Some(text) = self.joint.render(kind, SystemTime::now()) else { continue };
            files::replace(&path, text)
                .with_context(|| format!("failed to write the joint `{}` report", kind.name()))?;
            written.insert(kind.name().to_owned(), path);
        }
        Ok(written)
    }

    fn is_partial(&self) -> bool {
        self.answers.iter().any(|answer| answer.partial)
    }

    fn write_junit(&self, invocation: &Invocation<'_>) -> Result<Option<Utf8PathBuf>> {
        let Some(path) = &invocation.typed.general.junit else { return Ok(None) };
        let path = invocation.here.join(path);
        let parts = self.answers.iter().filter_map(|answer| answer.junit.as_deref());
        files::write_output(&path, &joined(parts)?)
            .with_context(|| format!("failed to write the JUnit file to `{path}`"))?;
        Ok(Some(path))
    }

    fn write_summary(
        &self,
        invocation: &Invocation<'_>,
        verdict: &Verdict,
        reports: &BTreeMap<String, Utf8PathBuf>,
    ) -> Result<()> {
        let Some(path) = &invocation.typed.general.summary_json else { return Ok(()) };
        let failed = |answer: &Answer| {
            let ids = answer.summary.iter().flat_map(|it| &it.failed_tests);
            ids.map(|id| answer.rootdir.join(id).into_string()).collect::<Vec<_>>()
        };
        let summary = JointSummary {
            schema: SCHEMA,
            outcome: verdict.outcome,
            exit_code: verdict.exit.code(),
            partial: verdict.partial,
            tests: self.tally,
            coverage: self.coverage(),
            seconds: self.seconds,
            failed_tests: self.answers.iter().flat_map(failed).collect(),
            reports: reports.clone(),
            projects: self.answers.iter().map(project_summary).collect(),
        };
        summary::write(&invocation.here.join(path), &summary)
    }

    fn coverage(&self) -> Option<Coverage> {
        let numbers = self.numbers?;
        Some(Coverage {
            percent: numbers.percent(),
            statements: numbers.statements,
            missing: numbers.missing,
            branches: numbers.branches,
            partial_branches: numbers.partial_branches,
            fail_under: None,
            diff: self.patch.clone(),
        })
    }

    fn write_page(
        &self,
        folder: &JointFolder,
        verdict: &Verdict,
        reports: &BTreeMap<String, Utf8PathBuf>,
    ) -> Result<Utf8PathBuf> {
        let path = folder.page();
        let shown = |answer: &Answer| Shown {
            row: row(answer),
            sentence: answer.sentence.clone(),
            links: answer.pages.clone(),
        };
        let page = Page {
            folder: folder.root(),
            is_good: verdict.exit == Exit::Passed,
            verdict: verdict.line(),
            projects: self.answers.iter().map(shown).collect(),
            total: self.total(verdict),
            reports: reports.iter().map(|(kind, path)| (title(kind), path.clone())).collect(),
        };
        files::replace(&path, page.render())
            .with_context(|| format!("failed to write `{path}`"))?;
        Ok(path)
    }

    fn rows(&self, verdict: &Verdict) -> Vec<Row> {
        self.answers.iter().map(row).chain([self.total(verdict)]).collect()
    }

    fn total(&self, verdict: &Verdict) -> Row {
        let covered = self.numbers.map(|it| {
            let cover = it.percent_text(self.joint.precision);
            [it.statements.to_string(), it.missing.to_string(), cover]
        });
        Row {
            name: "TOTAL".to_owned(),
            covered,
            threshold: None,
            tests: self.tally.in_words(),
            time: seconds(self.seconds),
            verdict: verdict.outcome.in_words().to_owned(),
        }
    }

    fn say(
        &self,
        invocation: &Invocation<'_>,
        verdict: &Verdict,
        reports: &BTreeMap<String, Utf8PathBuf>,
        page: Option<&Utf8Path>,
        broken: &[Broken],
    ) {
        let screen = invocation.screen;
        let red = |line: &str| screen.say(&screen.paint().red(line));
        screen.say("");
        screen.say(&table(&self.rows(verdict)));
        screen.say("");
        for answer in self.answers.iter().filter(|it| it.exit != Exit::Passed) {
            red(&format!("✗ {}: {}", answer.name, one_line(&answer.sentence)));
        }
        broken.iter().for_each(|it| red(&format!("✗ {}", it.what)));
        let missed: Vec<&Missed> = self.missed.iter().collect();
        say_weighed(screen, self.patch.as_ref(), &missed, invocation.here);
        if let Some(numbers) = self.numbers {
            let partly = if verdict.partial { " (partial)" } else { "" };
            screen
                .say(&format!("Coverage: {}{partly}", numbers.percent_text(self.joint.precision)));
        }
        for (kind, path) in reports {
            screen.say(&format!("{} report: {path}", title(kind)));
        }
        page.iter().for_each(|page| screen.say(&format!("Run page: {page}")));
        if let Some(page) = page.filter(|_| invocation.typed.general.open) {
            invocation.pages.replace(vec![page.to_owned()]);
        }
        self.tell_service(invocation, verdict);
        say_verdict(screen, None, verdict, &self.tally);
    }

    /// Annotations once for all projects, and one page of the job. That this fails is no reason
    /// for a run to fail.
    fn tell_service(&self, invocation: &Invocation<'_>, verdict: &Verdict) {
        let screen = invocation.screen;
        if screen.service() != Some(Service::GitHub) {
            return;
        }
        let top = self.joint.top.clone();
        let places = Places { root: top.clone(), rootdir: top.clone(), top };
        let mut all: Vec<_> = self.answers.iter().flat_map(|it| it.annotations.clone()).collect();
        all.extend(self.patch.iter().flat_map(|patch| of_patch(patch, &places)));
        screen.annotate(&all);
        let file = invocation.env.get("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty());
        let Some(file) = file else { return };
        let written = service::append_page(file, |room| self.job_page(verdict, room))
            .with_context(|| format!("failed to write the job's summary to `{file}`"));
        if let Err(error) = written {
            screen.warn(&format!("{error:#}"));
        }
    }

    /// For the page of the job; nothing where the table has no place in it.
    fn job_page(&self, verdict: &Verdict, room: usize) -> String {
        let mut text =
            format!("## {}\n\n{}\n", verdict.outcome.in_words(), markdown(&self.rows(verdict)));
        if let Some(patch) = &self.patch {
            text.push_str(&format!("{}\n\n", patch.total()));
        }
        for page in self.answers.iter().filter_map(|answer| answer.job_page.as_ref()) {
            if text.len() + page.len() > room {
                break;
            }
            text.push_str(page);
        }
        if text.len() <= room { text } else { String::new() }
    }
}

fn project_summary(answer: &Answer) -> ProjectSummary {
    ProjectSummary {
        project: answer.name.clone(),
        outcome: answer.outcome,
        exit_code: answer.exit.code(),
        sentence: answer.sentence.clone(),
        summary: answer.summary.clone(),
    }
}

fn row(answer: &Answer) -> Row {
    let covered = answer.covered.as_ref().map(|it| {
        let cover = format!("{}%", it.totals.percent_text);
        [it.totals.statements.to_string(), it.totals.missing.to_string(), cover]
    });
    let threshold = answer.covered.as_ref().map(|it| it.fail_under).filter(|it| *it > 0.0);
    Row {
        name: answer.name.clone(),
        covered,
        threshold: threshold.map(|threshold| format!("{threshold}%")),
        tests: answer.tally.in_words(),
        time: seconds(answer.seconds),
        verdict: answer.outcome.in_words().to_owned(),
    }
}

/// The patch over all projects: of one base it is the same change for each of them.
fn patch(joint: &Joint, answers: &[Answer]) -> Option<Patch> {
    let asked: Vec<&Asked> = answers.iter().filter_map(|it| it.patch.as_ref()).collect();
    let bases: BTreeSet<&str> = asked.iter().map(|it| it.changed.base.as_str()).collect();
    let base = bases.into_iter().collect::<Vec<_>>().join(", ");
    let files = asked.iter().flat_map(|it| it.changed.files.clone()).collect();
    let measured: BTreeSet<&Utf8PathBuf> = joint.files.iter().map(|it| &it.file).collect();
    let python: BTreeSet<&Utf8PathBuf> = asked.iter().flat_map(|it| &it.python).collect();
    let others = python.into_iter().filter(|file| !measured.contains(file));
    let others = others.map(|file| from_top(&joint.top, file)).collect();
    let lines: Vec<_> = joint.files.iter().map(|it| it.lines()).collect();
    (!asked.is_empty()).then(|| Patch::weigh(&Changed { base, files }, &lines, others))
}

/// What was typed for the patch, where it is missed.
fn missed(patch: &Patch, answers: &[Answer]) -> Vec<Missed> {
    let wanted = answers.iter().find_map(|answer| answer.patch.as_ref()?.wanted);
    let missed =
        wanted.and_then(|(percent, typed)| Some(changed_lines(patch, percent)?.typed(typed)));
    missed.into_iter().collect()
}
