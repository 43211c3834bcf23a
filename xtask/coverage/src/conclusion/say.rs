//! What is said of a run on the screen, in order: the failures once more, what pytest says, the
//! reports, what is wrong, what is worth a look, where the time went; the verdict last.

use super::value::{Conclusion, Finished};
use super::words::{say_reports, say_weighed, time_line};
use super::{answer, history, missing, page};
use crate::exit::Exit;
use crate::model::format::count;
use crate::model::{ReportKind, Tally};
use crate::report::failures::{self, Limits};
use crate::report::thresholds::Missed;
use crate::report::verdict::Verdict;
use crate::screen::Screen;

impl Finished<'_> {
    /// Says all of it, and has services and the next run know.
    pub(super) fn say(&self, conclusion: &Conclusion, baseline: Option<&str>) {
        let screen = self.invocation.screen;
        let missed: Vec<&Missed> = conclusion.evidence.counted().collect();
        self.say_failures(conclusion);
        self.say_closing_words();
        self.say_reports(conclusion);
        if let Some(path) = conclusion.reports.get("junit") {
            screen.say(&format!("JUnit report: {path}"));
        }
        conclusion.delivered.iter().for_each(|line| screen.say(line));
        // Several projects have one patch, which is said at their end.
        let patch = conclusion.patch.as_ref().filter(|_| self.invocation.joint.is_none());
        say_weighed(screen, patch, &missed, self.invocation.here);
        if conclusion.verdict.partial && self.prepared.settings.goals.no_decrease.is_some() {
            screen.say("A part of the tests is not compared with the baseline");
        }
        baseline.iter().for_each(|line| screen.say(line));
        self.say_problems(conclusion);
        self.say_highlights(conclusion);
        self.show_page(conclusion);
        self.say_rerun(conclusion);
        self.say_passes_alone();
        let combined = conclusion.rendered.is_some();
        screen.say(&time_line(&conclusion.seconds, self.ran.parts, combined));
        self.tell_service(conclusion, &missed);
        if let Err(error) = history::keep_result(self, conclusion) {
            screen.warn(&format!("{error:#}"));
        }
        let name = answer::name(self.invocation, self.project);
        say_verdict(screen, name.as_deref(), &conclusion.verdict, &conclusion.evidence.tally);
    }

    fn say_failures(&self, conclusion: &Conclusion) {
        let (failures, limits) = (self.ran.ledger.failures(), Limits::default());
        let screen = self.invocation.screen;
        for test in failures::shown(failures, &conclusion.again, &limits) {
            let fold = screen.fold(&test.title);
            screen.say(test.text.trim_end());
            drop(fold);
            screen.say("");
        }
        let rest = failures::rest(failures, &conclusion.again, &limits);
        if !rest.is_empty() {
            screen.say(rest.trim_end());
            screen.say("");
        }
        for hint in missing::hints(self.project, self.prepared, self.ran) {
            screen.say(&hint);
        }
        if !self.ran.flaky_in_confirmation.is_empty() {
            let tests = count(self.ran.flaky_in_confirmation.len() as u64, "test");
            screen.say(&format!(
                "hint: {tests} failed and passed when repeated, in another fork and in a fresh \
                 process: flaky, or in the way of each other, as forks share what is chosen while \
                 a module is imported (a port, a name); `--engine spawn` runs the tests without \
                 forks"
            ));
            screen.say("");
        }
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

    fn say_reports(&self, conclusion: &Conclusion) {
        let Some(rendered) = &conclusion.rendered else { return };
        let screen = self.invocation.screen;
        rendered.warnings.iter().for_each(|warning| screen.warn(warning));
        let partial = conclusion.verdict.partial;
        let before = self.prepared.history.percent.filter(|_| !partial);
        say_reports(screen, rendered, partial, before);
    }

    fn say_problems(&self, conclusion: &Conclusion) {
        let screen = self.invocation.screen;
        let evidence = &conclusion.evidence;
        let broken = evidence.broken.iter().map(|broken| broken.what.clone());
        let problems = evidence.problems.iter().map(ToString::to_string);
        for what in broken.chain(problems).chain(evidence.findings.iter().cloned()) {
            screen.say(&screen.paint().red(&format!("✗ {what}")));
        }
        if self.ran.interrupted.is_some() && self.job.measure.is_some() {
            let parts = self.job.folder.parts();
            screen.say(&format!("The data of finished splits is in `{parts}`"));
        }
    }

    /// Writes the page of the run, and says so. That it cannot be written is no reason to fail.
    fn show_page(&self, conclusion: &Conclusion) {
        let screen = self.invocation.screen;
        let page = match page::write(self, conclusion) {
            Ok(page) => page,
            Err(error) => return screen.warn(&format!("{error:#}")),
        };
        if !screen.is_quiet() {
            screen.say(&format!("Run page: {page}"));
        }
        if self.invocation.typed.general.open && self.ran.interrupted.is_none() {
            let html = conclusion.reports.get(ReportKind::Html.name()).cloned();
            self.invocation.pages.borrow_mut().push(html.unwrap_or(page));
        }
    }
}

/// The last two lines of a run; each begins with the project's name where there are several.
pub(super) fn say_verdict(screen: &Screen, name: Option<&str>, verdict: &Verdict, tally: &Tally) {
    let line = verdict.line();
    let line = match verdict.exit {
        Exit::Passed => screen.paint().green(&line),
        _ => screen.paint().red(&line),
    };
    let name = name.map_or_else(String::new, |name| format!("{name}: "));
    for line in [format!("Tests: {}", tally.in_words()), line] {
        screen.say(&format!("{name}{line}"));
    }
}
