//! What a run ends with, in words: reports, thresholds, times, and what to type to run it again.
//! The verdict's own words are in [`crate::report::verdict`].

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::cli::program;
use crate::engine::Ran;
use crate::invocation::Invocation;
use crate::model::NodeId;
use crate::model::format::seconds;
use crate::prepare::Prepared;
use crate::project::{Project, discover};
use crate::report::again::Again;
use crate::report::coverage::Rendered;
use crate::report::highlights;
use crate::report::patch::Patch;
use crate::report::summary::Seconds;
use crate::report::thresholds::Missed;
use crate::screen::Screen;

/// Says what came of the reports, for a run and for `report`.
/// `before` is the percentage of the last complete run.
pub(crate) fn say_reports(
    screen: &Screen,
    rendered: &Rendered,
    partial: bool,
    before: Option<f64>,
) {
    if partial {
        screen.say(&screen.paint().yellow("Partial: this is the coverage of a part of the tests"));
    }
    if let Some(table) = &rendered.term {
        let fold = screen.fold("Coverage report");
        screen.say(table.trim_end());
        drop(fold);
        screen.say("");
    }
    if let Some(totals) = &rendered.totals {
        let partly = if partial { " (partial)" } else { "" };
        let change = highlights::change(totals.percent, before);
        screen.say(&format!("Coverage: {}%{change}{partly}", totals.percent_text));
    }
    for (kind, path) in rendered.written() {
        screen.say(&format!("{} report: {path}", title(&kind)));
    }
}

/// Says what changed, and which thresholds were missed where a sentence does not say it all.
pub(crate) fn say_weighed(
    screen: &Screen,
    patch: Option<&Patch>,
    missed: &[&Missed],
    here: &Utf8Path,
) {
    if let Some(patch) = patch {
        screen.say(&format!("\n{}", patch.render(here)));
    }
    for missed in missed.iter().filter(|it| missed.len() > 1 || !it.worst.is_empty()) {
        missed.lines().iter().for_each(|line| screen.say(&screen.paint().red(line)));
    }
}

/// The name of a report, as it is said.
pub(crate) fn title(kind: &str) -> String {
    match kind {
        "markdown" => "Markdown".to_owned(),
        "junit" => "JUnit".to_owned(),
        other => other.to_uppercase(),
    }
}

/// How tests of a run are run again.
pub(crate) fn again(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    ran: &Ran,
) -> Again {
    let rootdir = prepared.rootdir(project);
    let files: BTreeSet<&str> =
        ran.ledger.failed_ids().iter().map(|id| NodeId(id).file()).collect();
    let no_files = files.into_iter().filter(|file| !rootdir.join(file).exists());
    let no_files = no_files.map(str::to_owned).collect();
    let command = rerun_command(invocation, project);
    Again { command, rootdir, root: project.root.clone(), no_files }
}

/// What the user would type, where this was typed, to run this project again.
fn rerun_command(invocation: &Invocation<'_>, project: &Project) -> Vec<String> {
    let task = if invocation.typed.task.measures() { "coverage" } else { "test" };
    let mut command = program::command(task);
    let here = invocation.here;
    let chosen = !invocation.typed.general.chosen.project.is_empty();
    if chosen || !here.starts_with(&project.root) {
        let name = match is_listed(invocation, project) {
            true => project.name.clone(),
            false if project.root == here => ".".to_owned(),
            false => project.root.strip_prefix(here).unwrap_or(&project.root).to_string(),
        };
        command.extend(["-p".to_owned(), name]);
    }
    command
}

/// True where the workspace knows the project by its name.
fn is_listed(invocation: &Invocation<'_>, project: &Project) -> bool {
    let all = invocation.workspace.map(|it| discover::all(invocation.here, Some(it)));
    let all = all.and_then(Result::ok).unwrap_or_default();
    all.iter().any(|other| other.root == project.root)
}

/// Where the time went, in one line.
pub(crate) fn time_line(spent: &Seconds, parts: usize, combined: bool) -> String {
    let mut steps = vec![
        ("environment", spent.environment),
        ("collection", spent.collect),
        ("tests", spent.run),
    ];
    if combined {
        steps.extend([("combine", spent.combine), ("reports", spent.report)]);
    }
    // With the stock engine, collection is a part of every split.
    steps.retain(|(name, seconds)| *name != "collection" || *seconds > 0.0);
    let line = |(name, took)| {
        let in_parts = match name {
            "collection" if parts > 1 => format!(" in {parts} parts"),
            _ => String::new(),
        };
        format!("{name} {}{in_parts}", seconds(took))
    };
    let steps: Vec<String> = steps.into_iter().map(line).collect();
    format!("Time: {} ({})", seconds(spent.total), steps.join(", "))
}
