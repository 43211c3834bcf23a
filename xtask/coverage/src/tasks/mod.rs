//! One recipe a file. A task knows every room; no room knows a task.

mod combine;
mod open;
mod plan;
mod report;
mod show;
mod simulate;
mod suite;
mod verify;

use std::cell::RefCell;

use anyhow::Result;

use crate::cli::{Env, Task, Typed};
use crate::engine::{child, signals};
use crate::exit::Exit;
use crate::invocation::{Invocation, here};
use crate::project::{Project, Workspace, discover};
use crate::screen::Screen;

/// Does what was typed, for each project in turn. The worst ending is the ending.
pub fn run(typed: &Typed, env: &Env, screen: &Screen) -> Result<Exit> {
    child::adopt_orphans();
    signals::watch(screen.attendant())?;
    screen.watch()?;
    let here = here()?;
    let workspace = Workspace::find(&here)?;
    let projects = discover::find(&here, &typed.general.chosen.project, workspace.as_ref())?;
    refuse_one_file_for_several(typed, &projects)?;
    let pages = RefCell::default();
    let mut ending = Exit::Passed;
    let invocation = Invocation {
        typed,
        here: &here,
        env,
        screen,
        workspace: workspace.as_ref(),
        pages: &pages,
    };
    for (at, project) in projects.iter().enumerate() {
        let ended = run_one(&invocation, project);
        signals::settle();
        let ended = ended.unwrap_or_else(|error| {
            screen.error(&error);
            crate::exit::of(&error)
        });
        ending = ending.worse(ended);
        if matches!(ending, Exit::Interrupted(_)) {
            say_left_out(screen, &projects[at + 1..]);
            return Ok(ending);
        }
    }
    // Last: the end of a run ends every process that descends from this one.
    pages.take().iter().for_each(|page| open::open(screen, env, page));
    Ok(ending)
}

/// Ctrl-C is meant for all projects, not for the one that runs just then.
fn say_left_out(screen: &Screen, projects: &[Project]) {
    let names: Vec<&str> = projects.iter().map(|project| project.name.as_str()).collect();
    if !names.is_empty() {
        let line = format!("✗ interrupted before these projects: {}", names.join(", "));
        screen.say(&screen.paint().red(&line));
    }
}

fn run_one(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    match invocation.typed.task {
        Task::Coverage | Task::Test => suite::run(invocation, project),
        Task::Plan => plan::run(invocation, project),
        Task::Combine => combine::run(invocation, project),
        Task::Simulate => simulate::run(invocation, project),
        Task::Report => report::run(invocation, project),
        Task::Verify => verify::run(invocation, project),
    }
}

fn refuse_one_file_for_several(typed: &Typed, projects: &[Project]) -> Result<()> {
    let general = &typed.general;
    let files = [
        ("--summary-json", general.summary_json.is_some()),
        ("--junit", general.junit.is_some()),
        ("--trace", general.trace.is_some()),
        ("--out", general.shards.out.is_some() || typed.planning.out.is_some()),
        ("--plan", general.shards.plan.is_some()),
        ("--json", typed.planning.json),
        ("combine", typed.task == Task::Combine),
    ];
    let file = files.into_iter().find(|(_, is_asked)| *is_asked);
    if let Some((option, _)) = file.filter(|_| projects.len() > 1) {
        let names: Vec<&str> = projects.iter().map(|project| project.name.as_str()).collect();
        return Err(crate::exit::usage(format!(
            "`{option}` describes one project, but {} would run; choose with `-p`",
            names.join(", ")
        ))
        .into());
    }
    Ok(())
}
