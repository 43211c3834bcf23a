//! The environments that poetry, uv and pdm keep for a project: asked for, and made by the
//! tool itself where there is none yet. Lock files stay as they are.

use std::fs;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::discover::lock_file;
use super::python::in_environment;
use super::steps::Step;
use super::{Interpreter, Project, Steps, Tool};

/// Variables by which an environment that is active, but not wanted, would redirect a tool.
pub(super) const ACTIVE: [&str; 3] = ["VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"];

/// The environment of the project's own tool, where that tool is installed.
pub(super) fn find(steps: &Steps, project: &Project) -> Result<Option<Interpreter>> {
    let Some(program) = steps.which(project.tool.name()) else { return Ok(None) };
    let ask = match project.tool {
        Tool::Poetry => ask_poetry,
        Tool::Uv => ask_uv,
        Tool::Pdm => ask_pdm,
        Tool::Pip => return Ok(None),
    };
    if ask(steps, &program, project).is_none() {
        install(steps, project, install_step(&program, project))?;
    }
    let found = ask(steps, &program, project);
    Ok(found.map(|python| Interpreter::new(python, project.tool.name(), project.tool)))
}

fn ask_poetry(steps: &Steps, poetry: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    ask(steps, Step::new(poetry, &project.home).args(["env", "info", "--executable"]))
}

/// uv's environment has a known place; `uv python find` would name some other Python, and
/// say nothing about it, where there is none yet.
fn ask_uv(steps: &Steps, _uv: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    let folder = steps.var("UV_PROJECT_ENVIRONMENT").unwrap_or_else(|| ".venv".to_owned());
    in_environment(&project.home.join(folder))
}

/// Where pdm has chosen no interpreter yet, `pdm info` would choose one and make an
/// environment on the way.
fn ask_pdm(steps: &Steps, pdm: &Utf8Path, project: &Project) -> Option<Utf8PathBuf> {
    if !project.home.join(".pdm-python").exists() && !project.home.join(".venv").exists() {
        return None;
    }
    ask(steps, Step::new(pdm, &project.home).args(["info", "--python"]))
}

fn ask(steps: &Steps, step: Step) -> Option<Utf8PathBuf> {
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
    let result = steps.run(&steps.download(step, &python));
    if !had_lock {
        let _ = fs::remove_file(&lock);
    }
    result
}

/// The command that installs what the project lists, for an error message.
pub(super) fn install_line(tool: Tool, project: &Project) -> String {
    let project = Project { tool, ..project.clone() };
    let step = install_step(Utf8Path::new(tool.name()), &project);
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
        Tool::Uv => step
            .args(["sync"])
            .args(locked.then_some("--frozen"))
            // A workspace has one environment for all of its members.
            .args((project.home != project.root).then_some("--all-packages"))
            .args(each("--group", pyproject.test_groups()))
            .args(each("--extra", extras)),
        // Its development groups are installed unasked.
        Tool::Pdm => step.args(["install", "--frozen-lockfile"]).args(each("-G", extras)),
        Tool::Pip => step.args(["-m", "pip", "install", "-e", "."]),
    }
}

fn each(option: &str, names: Vec<String>) -> Vec<String> {
    names.into_iter().flat_map(|name| [option.to_owned(), name]).collect()
}
