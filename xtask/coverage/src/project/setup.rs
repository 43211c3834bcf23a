//! Bringing a project's environment up to date, because it was asked for: what a run only says,
//! this does. Whether all is there already is told by a file, without starting anything.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::discover::lock_file;
use super::environment::OTHER_LISTS;
use super::poetry_uv_pdm;
use super::probe::Typed;
use super::state::{short_hash, write};
use super::{Facts, Interpreter, Project, State, Steps, Tool};
use super::{contents, environment, kept, locks, python, read_if_there};

/// An environment that is ready to run the project's tests.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// Its interpreter.
    pub executable: Utf8PathBuf,
    /// Who named it.
    pub origin: String,
    pub version: String,
    /// What is not as it should be all the same.
    pub concerns: Vec<String>,
}

/// Sees to it that a project's environment is there and holds what the project lists.
pub(crate) fn bring(
    steps: &Steps,
    project: &Project,
    named: Option<&str>,
    state: &State,
) -> Result<Ready> {
    let asked = asked(steps, project, named)?;
    if let Some(ready) = known(state, &asked) {
        return Ok(ready);
    }
    // From here on nothing counts as ready until all of it is.
    let _ = std::fs::remove_file(state.names.ready());
    let was_there = python::existing(steps, project, named, state)?.is_some();
    let python = python::find(steps, project, named, state)?;
    let read = || kept::facts(steps, &python, project, None, &Typed::default(), state);
    let mut facts = read()?;
    if fill(steps, project, &python, &facts, was_there)? {
        facts = read()?;
    }
    if python::ensure_packages(steps, &python, project, &facts.packages, &NEEDED)? {
        facts = read()?;
    }
    let concerns = locks::concerns(steps, project, &python, &facts, state);
    let (executable, origin) = (python.executable.clone(), python.origin.clone());
    let ready = Ready { executable, origin, version: facts.python, concerns };
    if ready.concerns.is_empty() {
        keep(state, &asked, &ready)?;
    }
    Ok(ready)
}

const NEEDED: [&str; 2] = ["pytest", "coverage"];

/// Installs what the project lists into an environment that is the user's. True where something
/// was done. One of ours is whole when it is found, and so is one that was made just now.
fn fill(
    steps: &Steps,
    project: &Project,
    python: &Interpreter,
    facts: &Facts,
    was_there: bool,
) -> Result<bool> {
    let lacks = |name: &&str| !facts.packages.contains_key(*name) && project.lists(name);
    let missing = contents::missing(&project.pyproject, project.tool, &facts.packages);
    let is_whole = missing.is_empty() && !NEEDED.iter().any(lacks);
    // A tool knows better than we do whether all is there: versions, extras, markers.
    let asks_tool = python.tool != Tool::Pip && steps.which(python.tool.name()).is_some();
    let is_done = is_whole && !(asks_tool && was_there);
    if python.owned || python.origin == "--python" || is_done {
        return Ok(false);
    }
    match asks_tool {
        true => poetry_uv_pdm::fill(steps, project, python)?,
        false => {
            let packages = environment::requirements(project)?;
            steps.announce(&format!("Installing {} and what its tests need", project.name));
            environment::pip(steps, &python.executable, &project.root, &packages)?;
        }
    }
    Ok(true)
}

/// A text that changes with whatever decides what the environment should be.
fn asked(steps: &Steps, project: &Project, named: Option<&str>) -> Result<String> {
    let mut seen = format!("{}{:?}", project.pyproject.environment_parts(), project.tool);
    let homes = [project.home.join("pyproject.toml"), project.home.join(lock_file(project.tool))];
    let lists = OTHER_LISTS.iter().map(|name| project.root.join(name));
    for file in homes.into_iter().chain(lists) {
        seen += &format!("\0{:?}", read_if_there(&file)?);
    }
    let chosen = ["VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"].map(|it| steps.var(it));
    seen += &format!("{}{named:?}{chosen:?}", project.root);
    Ok(format!("1 {:08x}", short_hash(&seen)))
}

/// What an environment holds, and which interpreter it has, as a number.
fn held(executable: &Utf8Path) -> Option<u32> {
    let environment = executable.parent().and_then(Utf8Path::parent)?;
    let real = executable.canonicalize_utf8().ok()?;
    let there = contents::distributions(environment);
    Some(short_hash(&format!("{real}{there:?}")))
}

/// What the last call came to, where nothing has changed since.
fn known(state: &State, asked: &str) -> Option<Ready> {
    let text = crate::files::read_text(&state.names.ready()).ok()?;
    let mut lines = text.lines();
    let stamp = lines.next()?;
    let mut next = || lines.next().map(str::to_owned);
    let (executable, origin, version) = (Utf8PathBuf::from(next()?), next()?, next()?);
    let now = format!("{asked} {:08x}", held(&executable)?);
    (stamp == now).then_some(Ready { executable, origin, version, concerns: Vec::new() })
}

fn keep(state: &State, asked: &str, ready: &Ready) -> Result<()> {
    let Ready { executable, origin, version, .. } = ready;
    let Some(held) = held(executable) else { return Ok(()) };
    write(&state.names.ready(), &format!("{asked} {held:08x}\n{executable}\n{origin}\n{version}\n"))
}
