//! The environments that poetry, uv and pdm keep for a project: asked for, and made by the
//! tool itself where there is none yet. Lock files stay as they are.

use std::fs;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::discover::lock_file;
use super::pyproject::normal;
use super::python::in_environment;
use super::state::{short_hash, write};
use super::steps::Step;
use super::{Interpreter, Project, State, Steps, Tool, contents, pythons, read_if_there};
use crate::exit;

/// Variables by which an environment that is active, but not wanted, would redirect a tool.
pub(super) const ACTIVE: [&str; 3] = ["VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"];

/// The environment of the project's own tool, where that tool is installed: the one it keeps,
/// filled by it where there is nothing in it or where we were cut off while we had it filled.
pub(super) fn find(steps: &Steps, project: &Project, state: &State) -> Result<Option<Interpreter>> {
    let Some(program) = steps.which(project.tool.name()) else { return Ok(None) };
    if project.tool == Tool::Pip {
        return Ok(None);
    }
    let ask = || ask(steps, &program, project);
    let cut_off = state.names.unfinished_environment();
    let there = ask().filter(|python| is_filled(python) && !cut_off.exists());
    match there {
        Some(python) if holds(project, &python) => return Ok(Some(kept(python, project))),
        None if !is_finished(project, state)? => {}
        // What all members share holds others, or cannot hold this one.
        _ => return own(steps, &program, project, state).map(Some),
    }
    if makes_no_environment(steps, &program, project) {
        let poetrys = "poetry is told to make no environment (`virtualenvs.create`), and would \
                       install into a Python that is not the project's";
        steps.announce(poetrys);
        return Ok(None);
    }
    state.create(state.dir())?;
    write(&cut_off, "")?;
    if let Err(error) = install(steps, project, install_step(&program, project)) {
        if is_member(project) && error.to_string().contains("conflict") {
            steps.announce("The members conflict, so each gets an environment of its own");
            return own(steps, &program, project, state).map(Some);
        }
        return Err(error);
    }
    let _ = fs::remove_file(&cut_off);
    Ok(ask().map(|python| kept(python, project)))
}

/// Whether `poetry install` would put everything into the Python that it runs with, or the one on
/// `PATH`: images of containers are configured so.
fn makes_no_environment(steps: &Steps, program: &Utf8Path, project: &Project) -> bool {
    let ask = Step::new(program, &project.home).args(["config", "virtualenvs.create"]);
    let answer = || steps.read(&ask.unset(&ACTIVE)).unwrap_or_default();
    project.tool == Tool::Poetry && answer().trim() == "false"
}

/// The environment that is there and filled, if there is one.
pub(super) fn existing(
    steps: &Steps,
    project: &Project,
    state: &State,
) -> Result<Option<Interpreter>> {
    let Some(program) = steps.which(project.tool.name()) else { return Ok(None) };
    if is_finished(project, state)? {
        return Ok(Some(own_member(state)));
    }
    let there = ask(steps, &program, project).filter(|python| is_filled(python));
    Ok(there.filter(|python| holds(project, python)).map(|python| kept(python, project)))
}

/// Has the project's tool install what is listed into the environment that it keeps, or into the
/// active one, where that is what it does. What the user has installed besides stays.
pub(super) fn fill(steps: &Steps, project: &Project, python: &Interpreter) -> Result<()> {
    let program = steps.which(project.tool.name()).unwrap_or_else(|| project.tool.name().into());
    let step = install_step(&program, project);
    let step = if project.tool == Tool::Uv { step.args(["--inexact"]) } else { step };
    let folder = python.executable.parent().and_then(Utf8Path::parent);
    let step = match folder.filter(|_| ACTIVE.contains(&python.origin.as_str())) {
        Some(folder) => step.env("VIRTUAL_ENV", folder.as_str()),
        None => step,
    };
    install(steps, project, step)
}

fn kept(python: Utf8PathBuf, project: &Project) -> Interpreter {
    Interpreter::new(python, project.tool.name(), project.tool)
}

/// Whether the environment of an interpreter holds anything.
pub(super) fn is_filled(python: &Utf8Path) -> bool {
    let folder = python.parent().and_then(Utf8Path::parent);
    folder.is_some_and(|folder| !contents::is_empty(folder))
}

/// A member of a uv workspace, whose environment all members share.
fn is_member(project: &Project) -> bool {
    project.tool == Tool::Uv && project.home != project.root
}

/// Whether the environment that members share holds this one: `uv sync --package` of another
/// leaves it without.
fn holds(project: &Project, python: &Utf8Path) -> bool {
    let Some(folder) = python.parent().and_then(Utf8Path::parent) else { return true };
    if !is_member(project) {
        return true;
    }
    let there = contents::distributions(folder);
    match project.pyproject.name().filter(|_| project.pyproject.is_package()) {
        Some(name) => there.contains(&normal(name)),
        None => project.pyproject.unconditional(Tool::Pip).iter().all(|name| there.contains(name)),
    }
}

/// An environment for one member of a uv workspace: in our own folder, for the one in the
/// workspace is the user's, and may hold another member that this one conflicts with.
fn own(steps: &Steps, uv: &Utf8Path, project: &Project, state: &State) -> Result<Interpreter> {
    let folder = state.names.uv_venv();
    if !is_finished(project, state)? {
        state.create(state.dir())?;
        let _ = fs::remove_file(stamp_file(state));
        let step = member_step(uv, project).env("UV_PROJECT_ENVIRONMENT", folder.as_str());
        install(steps, project, step)?;
        write(&stamp_file(state), &stamp(project)?)?;
    }
    Ok(own_member(state))
}

fn own_member(state: &State) -> Interpreter {
    let python = state.names.uv_venv().join("bin/python");
    let found = Interpreter::new(python, "uv, for this member", Tool::Uv);
    Interpreter { owned: true, ..found }
}

fn is_finished(project: &Project, state: &State) -> Result<bool> {
    let there = is_member(project) && in_environment(&state.names.uv_venv()).is_some();
    Ok(there && read_if_there(&stamp_file(state))? == Some(stamp(project)?))
}

fn stamp_file(state: &State) -> Utf8PathBuf {
    state.names.uv_venv().join("xtask-stamp")
}

fn stamp(project: &Project) -> Result<String> {
    let lock = read_if_there(&project.home.join(lock_file(Tool::Uv)))?;
    let seen = format!("{}{}{lock:?}", project.root, project.pyproject.environment_parts());
    Ok(format!("1 {:08x}\n", short_hash(&seen)))
}

fn ask(steps: &Steps, program: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    match project.tool {
        Tool::Poetry => ask_poetry(steps, program, project),
        Tool::Uv => ask_uv(steps, project),
        Tool::Pdm => ask_pdm(steps, program, project),
        Tool::Pip => None,
    }
}

fn ask_poetry(steps: &Steps, poetry: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    answer(steps, Step::new(poetry, &project.home).args(["env", "info", "--executable"]))
}

/// uv's environment has a known place; `uv python find` would name some other Python, and
/// say nothing about it, where there is none yet.
fn ask_uv(steps: &Steps, project: &Project) -> Option<Utf8PathBuf> {
    let folder = steps.var("UV_PROJECT_ENVIRONMENT").unwrap_or_else(|| ".venv".to_owned());
    in_environment(&project.home.join(folder))
}

/// Where pdm has chosen no interpreter yet, `pdm info` would choose one and make an
/// environment on the way.
fn ask_pdm(steps: &Steps, pdm: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    if !project.home.join(".pdm-python").exists() && !project.home.join(".venv").exists() {
        return None;
    }
    answer(steps, Step::new(pdm, &project.home).args(["info", "--python"]))
}

fn answer(steps: &Steps, step: Step) -> Option<Utf8PathBuf> {
    let printed = steps.read(&step.unset(&ACTIVE)).ok()?;
    let path = Utf8PathBuf::from(printed.lines().last()?.trim());
    Some(path).filter(|path| path.is_absolute() && path.is_file())
}

/// Lets the tool make the project's environment, announced. A lock file that it writes on
/// the way, where the project has none, is taken away again.
pub(super) fn install(steps: &Steps, project: &Project, step: Step) -> Result<()> {
    steps.announce(&format!("Running `{} {}`", project.tool.name(), step.args.join(" ")));
    let lock = project.home.join(lock_file(project.tool));
    let had_lock = lock.exists();
    let python = steps
        .which("python3")
        .or_else(|| steps.which("python"))
        .unwrap_or_else(|| "python3".into());
    let step = steps.download(step, &python);
    let result = match steps.run(&step) {
        // uv installs from its cache alone where it is told that there is no network.
        Err(error) if project.tool == Tool::Uv && is_of_network(&error) => {
            steps.run(&step.args(["--offline"])).map_err(|_| error)
        }
        result => result,
    };
    if !had_lock {
        let _ = fs::remove_file(&lock);
    }
    result.map_err(|error| match pythons::hint(steps, project) {
        Some(hint) => exit::usage(format!("{error:#}\n{hint}")).into(),
        None => error,
    })
}

fn is_of_network(error: &anyhow::Error) -> bool {
    const SIGNS: [&str; 4] = ["error sending request", "dns error", "tunnel error", "onnect"];
    let said = format!("{error:#}");
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// The command that installs what the project lists, for an error message.
pub(super) fn install_line(tool: Tool, project: &Project, is_own: bool) -> String {
    let project = Project { tool, ..project.clone() };
    let program = Utf8Path::new(tool.name());
    let step = match is_member(&project) && is_own {
        true => member_step(program, &project),
        false => install_step(program, &project),
    };
    format!("cd {} && {}", shell_words::quote(project.home.as_str()), step.words())
}

/// The command that makes the environment, with the groups and extras that tests need.
pub(super) fn install_step(program: &Utf8Path, project: &Project) -> Step {
    let pyproject = &project.pyproject;
    let locked = project.home.join(lock_file(project.tool)).exists();
    let extras = pyproject.test_extras();
    let step = Step::new(program, &project.home).unset(&ACTIVE);
    match project.tool {
        Tool::Poetry => step
            .args(["install", "--no-interaction"])
            .args(each("--with", pyproject.optional_poetry_groups()))
            .args(each("--extras", extras)),
        // A workspace has one environment for all of its members.
        Tool::Uv => uv_sync(step, project, is_member(project).then_some("--all-packages")),
        // Its development groups are installed unasked. A lock file that is not that of the
        // project is an error, in its own words.
        Tool::Pdm => step
            .args(["install", if locked { "--check" } else { "--frozen-lockfile" }])
            .args(each("-G", extras)),
        Tool::Pip => step.args(["-m", "pip", "install", "-e", "."]),
    }
}

/// The command for one member of a workspace.
fn member_step(program: &Utf8Path, project: &Project) -> Step {
    let step = Step::new(program, &project.home).unset(&ACTIVE);
    let name = project.pyproject.name().or_else(|| project.root.file_name()).unwrap_or_default();
    uv_sync(step, project, ["--package", name])
}

/// A lock file that is not that of the project is an error, in uv's words.
fn uv_sync<'a>(step: Step, project: &Project, which: impl IntoIterator<Item = &'a str>) -> Step {
    let locked = project.home.join(lock_file(Tool::Uv)).exists();
    step.args(["sync"])
        .args(locked.then_some("--locked"))
        .args(which)
        .args(each("--group", project.pyproject.test_groups()))
        .args(each("--extra", project.pyproject.test_extras()))
}

fn each(option: &str, names: Vec<String>) -> Vec<String> {
    names.into_iter().flat_map(|name| [option.to_owned(), name]).collect()
}
