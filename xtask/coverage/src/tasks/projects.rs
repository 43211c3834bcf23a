//! Several projects at once, each in a process of its own; and that process, this program once
//! more. Who may start and run what is the business of the [jobserver](crate::engine::jobserver).

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::in_order::{InOrder, Piece};
use super::{answer_without_run, run_all, say_left_out};
use crate::cli::{Task, Typed};
use crate::conclusion::answer::called;
use crate::engine::jobserver::Client;
use crate::engine::jobserver::message::{Begin, Told, VERSION};
use crate::engine::jobserver::server::{self, Ended, Heard};
use crate::engine::{signals, tail};
use crate::env::Env;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::project::{Project, Workspace, discover};
use crate::report::joint::{Answer, Answers};
use crate::screen::Screen;

/// What a run of one project leaves.
#[derive(Debug, Deserialize, Serialize)]
struct Outcome {
    exit: Exit,
    answers: Vec<Answer>,
}

/// How many projects may run at once, where several are to have one answer and none has to wait
/// for another; one where they run one after the other.
pub(super) fn at_once(invocation: &Invocation<'_>, projects: &[Project]) -> usize {
    let general = &invocation.typed.general;
    let runs_tests = matches!(invocation.typed.task, Task::Coverage | Task::Test);
    if invocation.joint.is_none() || !runs_tests || general.dry_run || projects.len() < 2 {
        return 1;
    }
    let configured = invocation.workspace.and_then(|it| it.max_concurrent_projects);
    let most = general.max_concurrent_projects.or(configured);
    most.map_or(projects.len(), |most| most as usize)
}

/// Runs them; the worst ending is the ending. What comes of each is added in their order.
pub(super) fn run(
    invocation: &Invocation<'_>,
    projects: &[Project],
    most: usize,
    answers: &Answers,
) -> Result<Exit> {
    let logs = TempDir::with_prefix("xtask-").context("failed to make a folder for logs")?;
    let logs = Utf8PathBuf::try_from(logs.path().to_owned())?;
    let runs: Vec<server::Run> = projects
        .iter()
        .enumerate()
        .map(|(number, project)| run_of(invocation, answers, project, number, &logs))
        .collect();
    let mut several = Several {
        screen: invocation.screen,
        names: projects.iter().map(|project| called(answers, project)).collect(),
        doing: vec![None; projects.len()],
        said: InOrder::new(projects.len()),
        outcomes: projects.iter().map(|_| None).collect(),
    };
    let signal = server::serve(&runs, most, &mut |run, heard| several.heard(run, heard, &runs));
    signals::settle();
    Ok(several.conclude(invocation, projects, signal?, answers))
}

fn run_of(
    invocation: &Invocation<'_>,
    answers: &Answers,
    project: &Project,
    number: usize,
    logs: &Utf8Path,
) -> server::Run {
    let begin = Begin {
        version: VERSION.to_owned(),
        root: project.root.clone(),
        top: answers.top.clone(),
        number,
        colours: invocation.screen.colours(),
        watched: invocation.screen.is_watched(),
    };
    let log = logs.join(format!("{number}.log"));
    server::Run { begin, lane: project.lane(), log }
}

struct Several<'a> {
    screen: &'a Screen,
    names: Vec<String>,
    /// What goes on in each run that has begun and not ended.
    doing: Vec<Option<String>>,
    said: InOrder,
    outcomes: Vec<Option<Result<Outcome, String>>>,
}

impl Several<'_> {
    fn heard(&mut self, run: usize, heard: Heard, runs: &[server::Run]) {
        match heard {
            Heard::Began => self.doing[run] = Some("begins".to_owned()),
            Heard::Doing(what) if what.is_empty() => return,
            Heard::Doing(what) => self.doing[run] = Some(what),
            Heard::Said { error, text } => return self.print(|said| said.said(run, (error, text))),
            Heard::Ended(ended) => {
                self.doing[run] = None;
                self.outcomes[run] = Some(outcome(ended, &runs[run].log));
                self.print(|said| said.ended(run));
            }
        }
        let lines = self.names.iter().zip(&self.doing);
        let lines = lines.filter_map(|(name, line)| Some((name.clone(), line.clone()?)));
        self.screen.runs(lines.collect());
    }

    fn print(&mut self, pieces: impl FnOnce(&mut InOrder) -> Vec<Piece>) {
        let pieces = pieces(&mut self.said);
        pieces.into_iter().for_each(|(error, text)| self.screen.pass_on(error, text));
    }

    fn conclude(
        self,
        invocation: &Invocation<'_>,
        projects: &[Project],
        signal: Option<i32>,
        answers: &Answers,
    ) -> Exit {
        let interrupted = signal.map(Exit::Interrupted);
        let mut ending = interrupted.unwrap_or(Exit::Passed);
        let mut left_out = Vec::new();
        for (project, outcome) in projects.iter().zip(self.outcomes) {
            match (outcome, interrupted) {
                (Some(Ok(outcome)), _) => {
                    ending = ending.worse(outcome.exit);
                    outcome.answers.into_iter().for_each(|answer| answers.add(answer));
                }
                (Some(Err(_)), Some(exit)) => {
                    answer_without_run(invocation, project, exit, "interrupted");
                }
                (Some(Err(why)), None) => {
                    invocation.screen.error(&anyhow!("{}: {why}", called(answers, project)));
                    ending = ending.worse(Exit::Incomplete);
                    answer_without_run(invocation, project, Exit::Incomplete, &why);
                }
                (None, _) => {
                    let exit = interrupted.unwrap_or(Exit::Incomplete);
                    answer_without_run(invocation, project, exit, "not begun");
                    left_out.push(project);
                }
            }
        }
        say_left_out(invocation.screen, &left_out);
        ending
    }
}

/// What a run has left, or why there is nothing, with what it has printed where nobody looks.
fn outcome(ended: Ended, log: &Utf8Path) -> Result<Outcome, String> {
    let outcome = ended.value.map(serde_json::from_value);
    outcome.and_then(Result::ok).ok_or_else(|| {
        let printed = tail(log, 20);
        if printed.is_empty() { ended.why } else { format!("{}\n{printed}", ended.why) }
    })
}

/// Runs the project of this process, and tells the one that has started it what came of that.
pub(super) fn run_one_of_several(
    typed: &Typed,
    env: &Env,
    screen: &Screen,
    here: &Utf8Path,
    workspace: Option<&Workspace>,
    client: &Arc<Client>,
) -> Exit {
    let project = discover::one_of_several(&client.begin.root, workspace);
    let answers = Answers::new(client.begin.top.clone());
    let (pages, joint, jobserver) = (RefCell::default(), Some(&answers), Some(client));
    let pages = &pages;
    let invocation = Invocation { typed, here, env, screen, workspace, pages, joint, jobserver };
    let exit = run_all(&invocation, &[project]);
    screen.flush();
    let outcome = serde_json::to_value(Outcome { exit, answers: answers.take() });
    outcome.into_iter().for_each(|outcome| client.tell(&Told::Ended(outcome)));
    exit
}
