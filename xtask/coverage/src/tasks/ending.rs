//! The end of a run: strict combining, the reports, the failures once more, the verdict.

use std::time::Instant;

use anyhow::Result;
use camino::Utf8PathBuf;

use super::goals::{Against, Weighed, update_baseline};
use super::history::History;
use super::notable::percentages;
use super::page::{self, Found};
use super::prepare::Prepared;
use super::request::{check_parts, partial_folder, reports, request};
use super::service::{Told, xml_top};
use super::words::{again, say_reports, say_weighed, time_line, verdict_line};
use super::{Invocation, shard};
use crate::cli::{Engine, Task};
use crate::engine::{Job, Ran, SplitEnd, SplitState};
use crate::exit::Exit;
use crate::project::{Facts, Project};
use crate::report::coverage::{Data, Kind, Program, Rendered, Request, render_with};
use crate::report::patch::Patch;
use crate::report::summary::{self, SCHEMA, Seconds, Splits, Summary, Versions};
use crate::report::thresholds::Missed;
use crate::report::verdict::{Evidence, Verdict, judge};
use crate::report::{failures, failures::Limits};
use crate::shard::combine::Checked;

/// All that an ending depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    /// What was typed, and where to say things.
    pub(super) invocation: &'a Invocation<'a>,
    /// Which project.
    pub(super) project: &'a Project,
    /// Its settings and state.
    pub(super) prepared: &'a Prepared,
    /// What ran it.
    pub(super) engine: Engine,
    /// What its coverage is compared with.
    pub(super) against: &'a Against,
    /// What was to run.
    pub(super) job: &'a Job,
    /// What ran.
    pub(super) ran: &'a Ran,
}

impl Ending<'_> {
    /// Combines, reports and judges; writes and says all there is to say.
    /// The reports are made by `ready`, where that is there.
    pub(super) fn conclude(
        &self,
        started: Instant,
        run_seconds: f64,
        ready: Option<Program>,
    ) -> Result<Exit> {
        let began = page::began(started, run_seconds);
        // First, so that nothing that breaks from here on can take it away.
        let junit = super::junit::write(self, started);
        let checked = check_parts(self.job, self.ran)?;
        let rendered = match self.has_something_to_combine() {
            true => Some(self.render(&checked, ready)?),
            false => None,
        };
        let problems = match &rendered {
            Some(rendered) => &rendered.problems,
            None => &checked.problems,
        };
        let weighed = match &rendered {
            Some(now) => self.against.weigh(self.project, &self.prepared.settings, now),
            None => Weighed::default(),
        };
        let broken = rendered.as_ref().and_then(Rendered::broken);
        let evidence = Evidence {
            tally: self.ran.ledger.tally(),
            findings: &self.ran.findings,
            stopped: self.ran.stopped,
            no_tests_is_fine: self.ran.no_tests_is_fine || self.is_empty_shard(),
            problems,
            broken: broken.as_deref(),
            unmeasured: self.job.measure.is_none(),
            narrowed: self.prepared.settings.narrowed,
            aborted: self.ran.aborted,
            uncollectable: self.ran.uncollectable,
            interrupted: self.ran.interrupted,
            missed: &weighed.missed,
            failures_end_with_zero: self.failures_end_with_zero(),
        };
        let verdict = judge(&evidence);
        self.say_failures()?;
        self.say_closing_words();
        if let Some(rendered) = &rendered {
            self.say_reports(rendered, verdict.partial);
        }
        if let Ok(Some(path)) = &junit {
            self.invocation.screen.say(&format!("JUnit report: {path}"));
        }
        let missed: Vec<&Missed> = evidence.counted().collect();
        say_weighed(self.invocation.screen, weighed.patch.as_ref(), &missed)?;
        if verdict.partial && self.prepared.settings.goals.no_decrease.is_some() {
            self.invocation.screen.say("A part of the tests is not compared with the baseline");
        }
        self.say_problems(&evidence);
        self.say_notable(rendered.as_ref().filter(|_| !verdict.partial))?;
        let seconds = self.seconds(rendered.as_ref(), started, run_seconds);
        let file = junit.as_ref().ok().and_then(Option::as_ref);
        let (verdict, rendered) = (&verdict, rendered.as_ref());
        let (evidence, seconds) = (&evidence, &seconds);
        self.show_page(&Found { verdict, evidence, rendered, junit: file, seconds, began });
        self.invocation.screen.say(&time_line(seconds, self.ran.parts, rendered.is_some()));
        let (patch, took) = (weighed.patch.as_ref(), seconds.total);
        self.tell_service(&Told { verdict, rendered, patch, missed: &missed, took });
        self.say_verdict(verdict);
        self.write_summary(verdict, rendered, weighed.patch, file, seconds.clone())?;
        let is_sound = !verdict.partial && self.ran.ledger.tally().failures() == 0;
        let settings = &self.prepared.settings;
        update_baseline(self.invocation, self.project, settings, rendered, is_sound)?;
        if let Err(error) = self.remember(verdict, rendered, seconds) {
            self.invocation.screen.warn(&format!("{error:#}"));
        }
        junit?;
        Ok(verdict.exit)
    }

    /// After Ctrl-C the user wants the prompt back; where nothing ran there is nothing.
    fn has_something_to_combine(&self) -> bool {
        let unasked = self.job.portion.shard().is_some() && shard::without_reports(self.prepared);
        let measured = self.job.measure.is_some() && !unasked && !self.ran.withheld;
        measured && self.ran.interrupted.is_none() && self.ran.ledger.done() > 0
    }

    /// Others have the tests.
    fn is_empty_shard(&self) -> bool {
        self.ran.share.as_ref().is_some_and(|share| share.plan.tests > 0)
    }

    /// Where shards are combined, tests that have failed count.
    fn failures_end_with_zero(&self) -> bool {
        let typed = self.invocation.typed;
        typed.general.shards.exit_zero_on_test_failure && typed.task != Task::Combine
    }

    /// True where the result is known not to be that of the whole suite.
    fn partial(&self, checked: &Checked) -> bool {
        let Ran { aborted, uncollectable, stopped, .. } = *self.ran;
        let narrowed = self.prepared.settings.narrowed;
        let lost = self.ran.ledger.tally().not_run > 0;
        narrowed || aborted || uncollectable || stopped || lost || !checked.problems.is_empty()
    }

    fn render(&self, checked: &Checked, ready: Option<Program>) -> Result<Rendered> {
        self.invocation.screen.detail("Combining and reporting");
        let _doing = self.invocation.screen.doing("Combining and reporting");
        let Prepared { settings, facts, state, .. } = self.prepared;
        let usual = facts.coverage.as_ref().map(|coverage| coverage.data_file.clone());
        let usual = usual.unwrap_or_else(|| self.project.root.join(".coverage"));
        let aside = partial_folder(state)?;
        let into = if self.partial(checked) { aside.join("coverage.data") } else { usual };
        let data = Data::Combine {
            parts: checked.parts.clone(),
            problems: checked.problems.clone(),
            into,
            incomplete_into: Some(aside.join("coverage.data")),
        };
        let reports = reports(settings, self.partial(checked).then_some(aside.as_path()));
        let request = request(self.project, self.prepared, data, reports);
        let xml_top = xml_top(self.invocation, self.project);
        render_with(&Request { lines_of: self.against.files(), xml_top, ..request }, ready)
    }

    fn say_failures(&self) -> Result<()> {
        let again = again(self.invocation, self.project, self.prepared, self.ran)?;
        let (failures, limits) = (self.ran.ledger.failures(), Limits::default());
        let screen = self.invocation.screen;
        for test in failures::shown(failures, &again, &limits) {
            let fold = screen.fold(&test.title);
            screen.say(test.text.trim_end());
            drop(fold);
            screen.say("");
        }
        let rest = failures::rest(failures, &again, &limits);
        if !rest.is_empty() {
            screen.say(rest.trim_end());
            screen.say("");
        }
        if !self.ran.flaky_in_confirmation.is_empty() {
            let tests = crate::screen::count(self.ran.flaky_in_confirmation.len() as u64, "test");
            screen.say(&format!(
                "hint: {tests} failed and passed when repeated, in another fork and in a fresh \
                 process: flaky, or in the way of each other, as forks share what is chosen while \
                 a module is imported (a port, a name); `--engine spawn` runs the tests without \
                 forks"
            ));
            screen.say("");
        }
        Ok(())
    }

    /// What pytest would print under the failures: warnings, and what plugins say at the end.
    fn say_closing_words(&self) {
        let screen = self.invocation.screen;
        let warnings = self.ran.warnings.lines();
        if !warnings.is_empty() && !screen.is_quiet() {
            let fold = screen.fold("Warnings");
            let root = format!("{}/", self.project.root);
            screen.say(&warnings.replace(&root, ""));
            drop(fold);
        }
        if !self.ran.closing_words.is_empty() {
            let fold = screen.fold("What pytest and its plugins say");
            self.ran.closing_words.iter().for_each(|words| screen.say(&format!("{words}\n")));
            drop(fold);
        }
    }

    fn say_reports(&self, rendered: &Rendered, partial: bool) {
        let screen = self.invocation.screen;
        rendered.warnings.iter().for_each(|warning| screen.warn(warning));
        let before = self.prepared.history.percent.filter(|_| !partial);
        say_reports(screen, rendered, partial, before);
    }

    fn say_problems(&self, evidence: &Evidence<'_>) {
        let screen = self.invocation.screen;
        for problem in evidence.problems {
            screen.say(&screen.paint().red(&format!("✗ {problem}")));
        }
        for finding in evidence.findings {
            screen.say(&screen.paint().red(&format!("✗ {finding}")));
        }
        if self.ran.interrupted.is_some() && self.job.measure.is_some() {
            screen.say(&format!("The data of finished splits is in `{}`", self.job.folders.parts));
        }
    }

    /// Writes the page of the run, and says so. That it cannot be written is no reason to fail.
    fn show_page(&self, found: &Found<'_>) {
        let screen = self.invocation.screen;
        let page = match page::write(self, found) {
            Ok(page) => page,
            Err(error) => return screen.warn(&format!("{error:#}")),
        };
        if !screen.is_quiet() {
            screen.say(&format!("Run page: {page}"));
        }
        if self.invocation.typed.general.open && self.ran.interrupted.is_none() {
            let html = found.rendered.and_then(|it| it.written().remove(Kind::Html.name()));
            self.invocation.pages.borrow_mut().push(html.unwrap_or(page));
        }
    }

    fn say_verdict(&self, verdict: &Verdict) {
        let line = verdict_line(self.invocation.screen.paint(), verdict, &self.ran.ledger.tally());
        self.invocation.screen.say(&line);
    }

    fn seconds(&self, rendered: Option<&Rendered>, started: Instant, run: f64) -> Seconds {
        let step =
            |name: &str| rendered.and_then(|it| it.seconds.get(name)).copied().unwrap_or(0.0);
        Seconds {
            total: started.elapsed().as_secs_f64(),
            environment: self.prepared.took.as_secs_f64(),
            collect: self.ran.collect_seconds,
            run: run - self.ran.collect_seconds,
            combine: step("combine"),
            report: step("report"),
        }
    }

    fn write_summary(
        &self,
        verdict: &Verdict,
        rendered: Option<&Rendered>,
        patch: Option<Patch>,
        junit: Option<&Utf8PathBuf>,
        seconds: Seconds,
    ) -> Result<()> {
        let Some(path) = &self.invocation.typed.general.summary_json else { return Ok(()) };
        let path = super::here()?.join(path);
        let mut reports = rendered.map(Rendered::written).unwrap_or_default();
        reports.extend(junit.map(|path| ("junit".to_owned(), path.clone())));
        let summary = Summary {
            schema: SCHEMA,
            outcome: verdict.outcome,
            exit_code: verdict.exit.code(),
            partial: verdict.partial,
            engine: self.engine.name().to_owned(),
            core: self.ran.core.clone(),
            hash_seed: self.prepared.hash_seed.value,
            versions: versions(&self.prepared.facts),
            splits: splits(self.ran, self.job.splits),
            tests: self.ran.ledger.tally(),
            coverage: rendered
                .and_then(summary::Coverage::of)
                .map(|coverage| summary::Coverage { diff: patch, ..coverage }),
            seconds,
            failed_tests: self.ran.ledger.failed_ids().to_vec(),
            data_file: rendered.and_then(|rendered| rendered.data_file.clone()),
            reports,
        };
        summary::write(&path, &summary)
    }

    /// Keeps what a complete run tells the next one.
    fn remember(
        &self,
        verdict: &Verdict,
        rendered: Option<&Rendered>,
        seconds: &Seconds,
    ) -> Result<()> {
        let percent = rendered.and_then(|it| it.totals.as_ref()).map(|totals| totals.percent);
        if verdict.partial || percent.is_none() {
            return Ok(());
        }
        let files = rendered.map(percentages).unwrap_or_default();
        let history = History::read(&self.prepared.state);
        let tests_end = self.ran.units.iter().map(|unit| unit.ended).fold(0.0, f64::max);
        let rest = (seconds.total - seconds.environment - tests_end).max(0.0);
        let rest = if self.engine == Engine::Fork { Some(rest) } else { history.rest };
        History { percent, files, rest, ..history }.write(&self.prepared.state)
    }
}

/// Versions of what runs the tests.
pub(super) fn versions(facts: &Facts) -> Versions {
    let package = |name: &str| facts.packages.get(name).cloned();
    Versions {
        python: Some(facts.python.clone()),
        pytest: package("pytest"),
        coverage: package("coverage"),
    }
}

fn splits(ran: &Ran, total: u32) -> Splits {
    let count = |counts: &dyn Fn(&SplitEnd) -> bool| -> u32 {
        let completed = ran.splits.iter().filter(|end| end.state == SplitState::Completed);
        completed.filter(|end| counts(end)).map(|_| 1).sum()
    };
    let completed = count(&|_| true);
    Splits {
        total,
        completed,
        failed: count(&|end| end.failed > 0),
        not_run: total.saturating_sub(completed),
    }
}
