//! `cargo xtask coverage report`: the reports again, on the data that is there.

use std::time::Instant;

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::conclusion::answer::{called, covered};
use crate::conclusion::places::{self, Places};
use crate::conclusion::request::request;
use crate::conclusion::service::{annotate, xml_top};
use crate::conclusion::words::{say_reports, say_weighed};
use crate::conclusion::{goals, update_baseline};
use crate::exit::{self, Exit};
use crate::invocation::Invocation;
use crate::model::ReportKind;
use crate::prepare::{self, Prepared};
use crate::project::Project;
use crate::report::coverage::{Data, Rendered, Request, render};
use crate::report::joint::Answer;
use crate::report::summary::Outcome;
use crate::report::thresholds::Missed;
use crate::report::verdict::below;
use crate::screen::Screen;

/// Reports on the last complete run.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let began = Instant::now();
    let asked = goals::Asked::ahead(invocation, project);
    let prepared = prepare::prepare(invocation, project)?;
    let settings = &prepared.settings;
    let Places { data, reports, note } = existing(project, &prepared)?;
    let against = goals::read(asked, project, &prepared)?;
    let mut request = request(project, &prepared, Data::Existing(data), reports);
    request.reporter.source = None;
    let screen = invocation.screen;
    note.iter().for_each(|it| screen.note(&format!("note: {it}")));
    let doing = screen.doing("Reporting");
    let (lines_of, xml_top) = (against.files(), xml_top(invocation, project));
    let analyses = invocation.joint.is_some();
    let rendered = render(&Request { lines_of, analyses, xml_top, ..request })?;
    drop(doing);
    rendered.warnings.iter().for_each(|warning| screen.warn(warning));
    say_reports(screen, &rendered, false, None);
    let weighed = against.weigh(invocation, project, settings, &rendered);
    let missed: Vec<&Missed> = weighed.missed.iter().collect();
    let alone = invocation.joint.is_none();
    say_weighed(screen, weighed.patch.as_ref().filter(|_| alone), &missed, invocation.here);
    if let Some(patch) = weighed.patch.as_ref().filter(|_| alone) {
        annotate(invocation, project, &prepared, patch);
    }
    let problem = rendered.problems.first().map(ToString::to_string);
    if let Some(what) = problem.or_else(|| rendered.broken()) {
        anyhow::bail!(what);
    }
    if let Some(line) = update_baseline(project, settings, Some(&rendered))? {
        screen.say(&line);
    }
    let (exit, what) = say_verdict(screen, &missed);
    if let Some(answers) = invocation.joint {
        answers.add(Answer {
            outcome: if missed.is_empty() { Outcome::Passed } else { Outcome::BelowThreshold },
            partial: false,
            seconds: began.elapsed().as_secs_f64(),
            covered: covered(&rendered),
            patch: against.asked(settings),
            reports: settings.reports.value.clone(),
            pages: html(&rendered).into_iter().collect(),
            ..Answer::without_run(called(answers, project), exit, what)
        });
    }
    Ok(exit)
}

fn existing(project: &Project, prepared: &Prepared) -> Result<Places> {
    let places = places::of(project, prepared)?;
    let data = &places.data;
    if data.exists() {
        return Ok(places);
    }
    let hint = format!("no coverage data in `{data}`; run `cargo xtask coverage` first");
    Err(exit::usage(hint).into())
}

fn say_verdict(screen: &Screen, missed: &[&Missed]) -> (Exit, String) {
    if missed.is_empty() {
        return (Exit::Passed, "reported".to_owned());
    }
    let what = below(missed);
    screen.say(&screen.paint().red(&format!("✗ below the threshold: {what}")));
    (Exit::BelowThreshold, what)
}

fn html(rendered: &Rendered) -> Option<(String, Utf8PathBuf)> {
    let page = rendered.written().remove(ReportKind::Html.name())?;
    Some(("HTML".to_owned(), page))
}
