//! What is kept of a project's run for the one answer of several.

use super::value::{Conclusion, Finished};
use super::{junit, summary};
use crate::invocation::Invocation;
use crate::model::ReportKind;
use crate::project::Project;
use crate::report::coverage::Rendered;
use crate::report::joint::{Answer, Answers, Covered, from_top};
use crate::screen::Service;

impl Finished<'_> {
    /// Adds it, where there are several projects.
    pub(super) fn answer(&self, conclusion: &mut Conclusion) {
        let Some(answers) = self.invocation.joint else { return };
        let name = called(answers, self.project);
        // pytest's rootdir may be a folder above the project.
        let rootdir = from_top(&answers.top, &self.prepared.rootdir(self.project));
        let junit = conclusion.note(junit::part(self, &name, &rootdir)).flatten();
        let conclusion = &*conclusion;
        let on_github = self.invocation.screen.service() == Some(Service::GitHub);
        let missed: Vec<_> = conclusion.evidence.counted().collect();
        let html = conclusion.reports.get(ReportKind::Html.name());
        let page = ("run".to_owned(), self.job.folder.page());
        answers.add(Answer {
            rootdir,
            exit: conclusion.verdict.exit,
            outcome: conclusion.verdict.outcome,
            sentence: conclusion.verdict.sentence.clone(),
            partial: conclusion.verdict.partial,
            tally: conclusion.evidence.tally,
            seconds: conclusion.seconds.total,
            covered: conclusion.rendered.as_ref().and_then(covered),
            patch: self.against.asked(&self.prepared.settings),
            reports: self.prepared.settings.reports.value.clone(),
            summary: Some(summary::of(self, conclusion)),
            junit,
            annotations: if on_github { self.annotations(conclusion) } else { Vec::new() },
            job_page: on_github.then(|| self.job_page(conclusion, &missed)),
            pages: [page]
                .into_iter()
                .chain(html.map(|it| ("HTML".to_owned(), it.clone())))
                .collect(),
            ..Answer::without_run(name, conclusion.verdict.exit, String::new())
        });
    }
}

/// What coverage has said of a project.
pub(crate) fn covered(rendered: &Rendered) -> Option<Covered> {
    Some(Covered {
        totals: rendered.totals.clone()?,
        fail_under: rendered.fail_under,
        precision: rendered.precision,
        files: rendered.analyses.clone(),
    })
}

/// The name of a project among several.
pub(crate) fn called(answers: &Answers, project: &Project) -> String {
    answers.name(&project.root, &project.name)
}

/// As the project is called in what is said of it.
pub(super) fn name(invocation: &Invocation<'_>, project: &Project) -> Option<String> {
    invocation.joint.map(|answers| called(answers, project))
}
