//! `cargo xtask coverage report`: the reports again, on the data that is there.

use anyhow::Result;

use crate::conclusion::places::{self, Places};
use crate::conclusion::request::request;
use crate::conclusion::service::{annotate, xml_top};
use crate::conclusion::words::{say_reports, say_weighed};
use crate::conclusion::{goals, update_baseline};
use crate::exit::{self, Exit};
use crate::invocation::Invocation;
use crate::prepare;
use crate::project::Project;
use crate::report::coverage::{Data, Request, render};
use crate::report::thresholds::Missed;
use crate::report::verdict::below;

/// Reports on the last complete run.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let asked = goals::Asked::ahead(invocation, project);
    let prepared = prepare::prepare(invocation, project)?;
    let settings = &prepared.settings;
    let Places { data, reports, note } = places::of(project, &prepared)?;
    if !data.exists() {
        let hint = format!("no coverage data in `{data}`; run `cargo xtask coverage` first");
        return Err(exit::usage(hint).into());
    }
    let against = goals::read(asked, project, &prepared)?;
    let mut request = request(project, &prepared, Data::Existing(data), reports);
    request.reporter.source = None;
    let screen = invocation.screen;
    note.iter().for_each(|it| screen.note(&format!("note: {it}")));
    let doing = screen.doing("Reporting");
    let (lines_of, xml_top) = (against.files(), xml_top(invocation, project));
    let rendered = render(&Request { lines_of, xml_top, ..request })?;
    drop(doing);
    rendered.warnings.iter().for_each(|warning| screen.warn(warning));
    say_reports(screen, &rendered, false, None);
    let weighed = against.weigh(project, settings, &rendered);
    let missed: Vec<&Missed> = weighed.missed.iter().collect();
    say_weighed(screen, weighed.patch.as_ref(), &missed, invocation.here);
    if let Some(patch) = &weighed.patch {
        annotate(invocation, project, &prepared, patch);
    }
    let problem = rendered.problems.first().map(ToString::to_string);
    if let Some(what) = problem.or_else(|| rendered.broken()) {
        anyhow::bail!(what);
    }
    if let Some(line) = update_baseline(project, settings, Some(&rendered))? {
        screen.say(&line);
    }
    if missed.is_empty() {
        return Ok(Exit::Passed);
    }
    screen.say(&screen.paint().red(&format!("✗ below the threshold: {}", below(&missed))));
    Ok(Exit::BelowThreshold)
}
