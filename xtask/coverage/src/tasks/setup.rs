//! `cargo xtask setup`: the environments of the projects, made or brought up to date, side by
//! side where their tools do not get into each other's way.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::engine::signals;
use crate::exit::{self, Exit};
use crate::invocation::Invocation;
use crate::machine::Machine;
use crate::model::format::count;
use crate::project::setup::{Ready, bring};
use crate::project::{Project, State, Steps, Workspace};

/// Sets up these projects; all of them, whatever becomes of one.
pub(super) fn run(invocation: &Invocation<'_>, projects: &[Project]) -> Result<Exit> {
    let screen = invocation.screen;
    let doing = screen.doing("Preparing environments");
    let lanes = Mutex::new(lanes(projects));
    let most = lanes.lock().unwrap_or_else(PoisonError::into_inner).len();
    let workers = most.min(Machine::here().cores.max(2)).min(4);
    let (send, receive) = mpsc::channel();
    let workspace = invocation.workspace;
    let named = invocation.typed.general.chosen.python.as_deref();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (send, lanes) = (send.clone(), &lanes);
            scope.spawn(move || {
                let next = || lanes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(lane) = next() {
                    lane.into_iter().for_each(|it| set_up(workspace, named, it, &send));
                }
            });
        }
        drop(send);
        for Told { project, what } in receive {
            tally.take(invocation, project, what, projects.len() > 1);
        }
    });
    drop(doing);
    signals::settle();
    Ok(tally.say(invocation))
}

/// What is told of one project while it is set up.
struct Told<'a> {
    project: &'a Project,
    what: What,
}

enum What {
    /// A step that takes time begins.
    Step(String),
    Ended(Result<Ready>),
}

/// Projects that are to be set up one after the other.
fn lanes(projects: &[Project]) -> VecDeque<Vec<&Project>> {
    let mut lanes: Vec<(String, Vec<&Project>)> = Vec::new();
    for project in projects {
        let name = project.lane();
        match lanes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, lane)) => lane.push(project),
            None => lanes.push((name, vec![project])),
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

fn set_up<'a>(
    workspace: Option<&Workspace>,
    named: Option<&str>,
    project: &'a Project,
    send: &Sender<Told<'a>>,
) {
    let tell = |what| drop(send.send(Told { project, what }));
    let announce = |step: &str| tell(What::Step(step.to_owned()));
    let ready = || {
        let state = State::of(project, workspace);
        let _lock = state.lock()?;
        bring(&Steps::new(&announce)?, project, named, &state)
    };
    tell(What::Ended(ready()));
}

#[derive(Default)]
struct Tally {
    /// The projects of which a step was told.
    busy: Vec<Utf8PathBuf>,
    ready: u64,
    failed: u64,
    exit: Option<Exit>,
}

impl Tally {
    fn take(&mut self, invocation: &Invocation<'_>, project: &Project, what: What, several: bool) {
        let screen = invocation.screen;
        match what {
            What::Step(step) => {
                let whose = if several { format!("{}: ", project.name) } else { String::new() };
                screen.note(&format!("{whose}{step}"));
                self.busy.push(project.root.clone());
            }
            What::Ended(Ok(ready)) => {
                let Ready { executable, origin, version, concerns } = ready;
                let mark = screen.paint().green("✓");
                let before = if self.busy.contains(&project.root) { "" } else { ", as it was" };
                let name = &project.name;
                screen.say(&format!(
                    "{mark} {name}: Python {version}, {executable} ({origin}){before}"
                ));
                concerns.iter().for_each(|concern| screen.warn(concern));
                self.ready += 1;
            }
            What::Ended(Err(error)) => {
                let mark = screen.paint().red("✗");
                screen.say(&format!("{mark} {}: {error:#}", project.name));
                self.failed += 1;
                let ended = exit::of(&error);
                self.exit = Some(self.exit.map_or(ended, |exit| exit.worse(ended)));
            }
        }
    }

    fn say(self, invocation: &Invocation<'_>) -> Exit {
        let screen = invocation.screen;
        let ready = count(self.ready, "project");
        match self.failed {
            0 => screen.say(&screen.paint().green(&format!("✓ ready: {ready}"))),
            failed => {
                let line = format!("✗ {} not ready, {ready} ready", count(failed, "project"));
                screen.say(&screen.paint().red(&line));
            }
        }
        self.exit.unwrap_or(Exit::Passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Tool;

    #[test]
    fn what_shares_an_environment_or_a_tool_waits() {
        let project = |name: &str, tool, home: &str| Project {
            name: name.to_owned(),
            root: format!("/w/{name}").into(),
            tool,
            home: home.into(),
            pyproject: Default::default(),
            head: Default::default(),
            broken: None,
        };
        let projects = [
            project("a", Tool::Poetry, "/w/a"),
            project("b", Tool::Uv, "/w"),
            project("c", Tool::Pip, "/w/c"),
            project("d", Tool::Poetry, "/w/d"),
            project("e", Tool::Uv, "/w"),
            project("f", Tool::Pip, "/w/f"),
        ];
        let names: Vec<Vec<&str>> = lanes(&projects)
            .into_iter()
            .map(|lane| lane.into_iter().map(|project| project.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "d"], vec!["b", "e"], vec!["c"], vec!["f"]]);
    }
}
