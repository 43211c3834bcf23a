//! One recipe a file. A task knows every room; no room knows a task.

mod check_core;
mod chosen;
mod ci;
mod combine;
mod completions;
mod doctor;
mod export;
mod in_order;
mod init;
mod open;
mod plan;
mod projects;
mod report;
mod setup;
mod show;
mod simulate;
mod suite;
mod verify;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::cli::{Task, Typed};
use crate::conclusion::answer::called;
use crate::conclusion::joint;
use crate::engine::jobserver::Client;
use crate::engine::{child, signals};
use crate::env::Env;
use crate::exit::Exit;
use crate::invocation::{Invocation, here};
use crate::project::{Project, Workspace};
use crate::report::joint::{Answer, Answers};
use crate::screen::Screen;

/// Does what was typed, for each project in turn. The worst ending is the ending.
pub(crate) fn run(
    typed: &Typed,
    env: &Env,
    screen: &Screen,
    client: Option<&Arc<Client>>,
) -> Result<Exit> {
    if let Some(text) = &typed.topic {
        screen.say(text);
        return Ok(Exit::Passed);
    }
    if let Some(asked) = &typed.completing {
        return completions::run(asked, screen);
    }
    attend(screen, client.is_some())?;
    let here = here()?;
    if let Some(asked) = &typed.init {
        return init::run(asked, &here, screen);
    }
    let workspace = Workspace::find(&here)?;
    if let Some(client) = client {
        let workspace = workspace.as_ref();
        return Ok(projects::run_one_of_several(typed, env, screen, &here, workspace, client));
    }
    if let Some(wanted) = &typed.pipeline {
        return ci::run(typed, wanted, screen, workspace.as_ref(), &here);
    }
    let projects = chosen::chosen(typed, &here, workspace.as_ref(), screen)?;
    refuse_one_file_for_several(typed, &projects)?;
    let pages = RefCell::default();
    let answers = is_joint(typed, &projects)
        .then(|| Answers::new(joint::top(env, workspace.as_ref(), &projects)));
    let invocation = Invocation {
        typed,
        here: &here,
        env,
        screen,
        workspace: workspace.as_ref(),
        pages: &pages,
        joint: answers.as_ref(),
        jobserver: None,
    };
    if projects.is_empty() {
        return joint::nothing_affected(&invocation);
    }
    match typed.task {
        Task::Setup => setup::run(&invocation, &projects),
        Task::Doctor { json } => doctor::run(&invocation, &projects, json),
        _ => run_projects(&invocation, &projects),
    }
}

/// Signals and the terminal are attended to from here on, and what children leave behind is ours.
fn attend(screen: &Screen, has_server: bool) -> Result<()> {
    child::adopt_orphans();
    if has_server {
        signals::leave_suspending_to_another()?;
    }
    signals::watch(screen.attendant())?;
    screen.watch()
}

/// All of them, and what they come to together.
fn run_projects(invocation: &Invocation<'_>, projects: &[Project]) -> Result<Exit> {
    let started = Instant::now();
    let most = projects::at_once(invocation, projects);
    let mut ending = match invocation.joint.filter(|_| most > 1) {
        Some(answers) => projects::run(invocation, projects, most, answers)?,
        None => run_all(invocation, projects),
    };
    if let Some(answers) = invocation.joint.map(Answers::take).filter(|all| !all.is_empty()) {
        ending = ending.worse(joint::conclude(invocation, projects, answers, started));
    }
    if !matches!(ending, Exit::Interrupted(_)) {
        // Last: the end of a run ends every process that descends from this one.
        let pages = invocation.pages.take();
        pages.iter().for_each(|page| open::open(invocation.screen, invocation.env, page));
    }
    Ok(ending)
}

/// One after the other. What breaks in one is no reason to leave out the others.
fn run_all(invocation: &Invocation<'_>, projects: &[Project]) -> Exit {
    let mut ending = Exit::Passed;
    for (at, project) in projects.iter().enumerate() {
        let ended = run_one(invocation, project);
        signals::settle();
        let ended = ended.unwrap_or_else(|error| {
            invocation.screen.error(&error);
            let exit = crate::exit::of(&error);
            answer_without_run(invocation, project, exit, &format!("{error:#}"));
            exit
        });
        ending = ending.worse(ended);
        if matches!(ending, Exit::Interrupted(_)) {
            let left_out = &projects[at + 1..];
            let add = |it| answer_without_run(invocation, it, ended, "not begun");
            left_out.iter().for_each(add);
            say_left_out(invocation.screen, &left_out.iter().collect::<Vec<_>>());
            break;
        }
    }
    ending
}

fn answer_without_run(invocation: &Invocation<'_>, project: &Project, exit: Exit, why: &str) {
    if let Some(answers) = invocation.joint {
        let why = why.lines().next().unwrap_or_default().to_owned();
        answers.add(Answer::without_run(called(answers, project), exit, why));
    }
}

/// True where several projects are to have one answer: also of a set that happens to hold one, so
/// that what reads the files finds the same in them whatever has changed.
fn is_joint(typed: &Typed, projects: &[Project]) -> bool {
    let ends_in_one = matches!(typed.task, Task::Coverage | Task::Test | Task::Report);
    let is_set =
        projects.len() > 1 || typed.general.chosen.all || typed.general.chosen.affected.is_some();
    ends_in_one && is_set && !typed.general.dry_run
}

/// Ctrl-C is meant for all projects, not for the one that runs just then.
fn say_left_out(screen: &Screen, projects: &[&Project]) {
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
        Task::Export => export::run(invocation, project),
        Task::Report => report::run(invocation, project),
        Task::Verify => verify::run(invocation, project),
        // Done already: these are not for one project at a time.
        Task::Setup | Task::Doctor { .. } | Task::Init => Ok(Exit::Passed),
    }
}

fn refuse_one_file_for_several(typed: &Typed, projects: &[Project]) -> Result<()> {
    let general = &typed.general;
    let files = [
        ("--trace", general.trace.is_some()),
        ("--out", general.shards.out.is_some() || typed.planning.out.is_some()),
        ("--rerun", general.rerun.is_some()),
        ("export", typed.task == Task::Export),
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
