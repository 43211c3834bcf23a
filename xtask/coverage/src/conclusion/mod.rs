//! The end of a run: what it came to, as one value, and all that is written and said of that.
//!
//! Evidence is gathered first: the account of the tests, strict combining, the reports, the
//! thresholds. Then come the files that were asked for; one that cannot be written is evidence
//! too. After that nothing changes the verdict, and the last line says what the summary says and
//! the process ends with.

pub(crate) mod answer;
mod baseline;
mod delivery;
pub(crate) mod goals;
mod highlights;
mod history;
pub(crate) mod joint;
mod junit;
pub(crate) mod missing;
mod page;
pub(crate) mod places;
pub(crate) mod request;
mod rerun;
mod say;
pub(crate) mod service;
mod summary;
mod value;
pub(crate) mod words;

use anyhow::Result;

pub(crate) use self::baseline::update as update_baseline;
pub(crate) use self::delivery::Delivery;
use self::goals::Weighed;
use self::places::Places;
use self::request::{check_parts, partial_folder, reports, request};
use self::service::xml_top;
pub(crate) use self::summary::nothing_to_run;
use self::value::Conclusion;
pub(crate) use self::value::Finished;
use crate::cli::Task;
use crate::engine::signals;
use crate::exit::Exit;
use crate::prepare::{Prepared, shard};
use crate::report::coverage::{Data, Program, Rendered, Request, render_with};
use crate::report::summary::Seconds;
use crate::report::verdict::{Broken, Evidence, judge};
use crate::shard::combine::Checked;

impl Finished<'_> {
    /// Combines, reports and judges; writes and says all there is to say.
    /// The reports are made by `ready`, where that is there.
    pub(crate) fn conclude(&self, ready: Option<Program>) -> Exit {
        let began = (self.started.elapsed().as_secs_f64() - self.run_seconds).max(0.0);
        let mut evidence = self.evidence();
        // First: a signal that comes while reports are made must not take them away.
        evidence.note(history::keep_times(self));
        evidence.broken.extend(self.ran.unwritten_trace.clone().map(Broken::incomplete));
        let junit = evidence.note(junit::write(self)).flatten();
        let checked = evidence.note(check_parts(self.job, self.ran));
        // Once: a shard delivers it, and the folder of the run has it too.
        let rerun = self.rerun();
        let delivered = checked.as_ref().map(|checked| self.deliver(checked, &rerun));
        let delivered = delivered.and_then(|it| evidence.note(it)).flatten();
        let rendered = checked.and_then(|it| self.combine(it, &mut evidence, ready));
        let weighed = match &rendered {
            Some(now) => {
                self.against.weigh(self.invocation, self.project, &self.prepared.settings, now)
            }
            None => Weighed::default(),
        };
        evidence.missed = weighed.missed;
        let mut reports = rendered.as_ref().map(Rendered::written).unwrap_or_default();
        reports.extend(junit.map(|path| ("junit".to_owned(), path)));
        let mut conclusion = Conclusion {
            verdict: judge(&evidence),
            evidence,
            seconds: self.seconds(rendered.as_ref()),
            rendered,
            patch: weighed.patch,
            began,
            reports,
            delivered,
            rerun,
            again: words::again(self.invocation, self.project, self.prepared, self.ran),
        };
        let sound = conclusion.complete().filter(|_| conclusion.evidence.tally.failures() == 0);
        let baseline = baseline::update(self.project, &self.prepared.settings, sound);
        let baseline = conclusion.note(baseline).flatten();
        let _ = conclusion.note(summary::write(self, &conclusion));
        self.answer(&mut conclusion);
        self.say(&conclusion, baseline.as_deref());
        conclusion.verdict.exit
    }

    /// What the account of the tests says.
    fn evidence(&self) -> Evidence {
        Evidence {
            tally: self.ran.ledger.tally(),
            findings: self.ran.findings.clone(),
            stopped: self.ran.stopped,
            no_tests_is_fine: self.ran.no_tests_is_fine || self.is_empty_shard(),
            unmeasured: self.job.measure.is_none(),
            narrowed: self.prepared.settings.narrowed,
            aborted: self.ran.aborted,
            uncollectable: self.ran.uncollectable,
            interrupted: self.ran.interrupted,
            failures_end_with_zero: self.failures_end_with_zero(),
            ..Evidence::default()
        }
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

    /// Combines what there is and makes the reports; adds what is wrong with them.
    fn combine(
        &self,
        checked: Checked,
        evidence: &mut Evidence,
        ready: Option<Program>,
    ) -> Option<Rendered> {
        evidence.problems.clone_from(&checked.problems);
        if !self.has_something_to_combine() {
            return None;
        }
        let rendered = self.render(checked, evidence.partial(), ready);
        let rendered = evidence.note(rendered)?;
        evidence.problems.clone_from(&rendered.problems);
        evidence.broken.extend(rendered.broken().map(Broken::incomplete));
        Some(rendered)
    }

    /// After Ctrl-C the user wants the prompt back; where nothing ran there is nothing.
    fn has_something_to_combine(&self) -> bool {
        let unasked = shard::goes_without_reports(self.job, self.prepared);
        let measured = self.job.measure.is_some() && !unasked && !self.ran.withheld;
        measured && self.ran.interrupted.is_none() && self.ran.ledger.has_ended()
    }

    fn render(&self, checked: Checked, partial: bool, ready: Option<Program>) -> Result<Rendered> {
        self.invocation.screen.detail("Combining and reporting");
        let _doing = self.invocation.screen.doing("Combining and reporting");
        let Prepared { settings, state, .. } = self.prepared;
        let aside = partial_folder(state)?;
        let (into, reports) = match partial {
            true => (aside.join("coverage.data"), reports(settings, Some(&aside))),
            false => {
                let Places { data, reports, note } = places::of(self.project, self.prepared)?;
                note.iter().for_each(|it| self.invocation.screen.note(&format!("note: {it}")));
                (data, reports)
            }
        };
        let data = Data::Combine {
            parts: checked.parts,
            problems: checked.problems,
            into,
            incomplete_into: Some(aside.join("coverage.data")),
        };
        let request = request(self.project, self.prepared, data, reports);
        let xml_top = xml_top(self.invocation, self.project);
        let (lines_of, analyses) = (self.against.files(), self.invocation.joint.is_some());
        let rendered = render_with(&Request { lines_of, analyses, xml_top, ..request }, ready);
        signals::settle();
        rendered
    }

    fn seconds(&self, rendered: Option<&Rendered>) -> Seconds {
        let step =
            |name: &str| rendered.and_then(|it| it.seconds.get(name)).copied().unwrap_or(0.0);
        Seconds {
            total: self.started.elapsed().as_secs_f64(),
            environment: self.prepared.took.as_secs_f64(),
            collect: self.ran.collect_seconds,
            run: self.run_seconds - self.ran.collect_seconds,
            combine: step("combine"),
            report: step("report"),
        }
    }
}
