//! Which interpreter runs the project's tests. Found once; everything later uses its path.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::active::{self, PassedOver};
use super::steps::Step;
use super::{Project, State, Steps, Tool, contents, environment, kept, poetry_uv_pdm};
use crate::exit;

/// The project's interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// Absolute. Never resolved further: the link inside an environment is what makes it one.
    pub executable: Utf8PathBuf,
    /// Who named it: `--python`, `VIRTUAL_ENV`, `poetry`, `.venv`, `own environment`, …
    pub origin: String,
    /// Whether its environment is ours, to change as we need.
    pub owned: bool,
    /// The tool that adds packages to its environment.
    pub tool: Tool,
    /// Environments that were there, too.
    pub passed_over: Vec<PassedOver>,
    /// Environment variables that tests get, in the place of another project's environment.
    pub variables: Vec<(String, String)>,
}

/// Finds the interpreter: `--python`, an active environment, the one of poetry, uv or pdm,
/// `.venv`, else an environment of our own, made now. `named` is what `--python` says.
pub(crate) fn find(
    steps: &Steps,
    project: &Project,
    named: Option<&str>,
    state: &State,
) -> Result<Interpreter> {
    project.check()?;
    let found = found(steps, project, named, state)?;
    let variables = active::instead_of_others(steps, project, state, &found);
    Ok(Interpreter { variables, ..found })
}

fn found(
    steps: &Steps,
    project: &Project,
    named: Option<&str>,
    state: &State,
) -> Result<Interpreter> {
    if let Some(named) = named {
        return by_name(steps, project, named, state);
    }
    let (active, passed_over) = active::find(steps, project, state);
    for environment in passed_over.iter().filter(|it| it.is_notable) {
        steps.announce(&format!("note: {environment}"));
    }
    let found = match active {
        Some(active) => active,
        None => inactive(steps, project, state)?,
    };
    Ok(Interpreter { passed_over, ..found })
}

/// The interpreter that [`find`] would find, if nothing need be made for it.
pub(crate) fn existing(
    steps: &Steps,
    project: &Project,
    named: Option<&str>,
    state: &State,
) -> Result<Option<Interpreter>> {
    project.check()?;
    if let Some(named) = named {
        return by_name(steps, project, named, state).map(Some);
    }
    let (active, passed_over) = active::find(steps, project, state);
    let found = match active {
        Some(active) => Some(active),
        None => poetry_uv_pdm::existing(steps, project, state)?.or_else(|| local(project)),
    };
    let found = match found {
        Some(found) => Some(found),
        None => environment::existing(project, state)?,
    };
    Ok(found.map(|found| Interpreter { passed_over, ..found }))
}

fn inactive(steps: &Steps, project: &Project, state: &State) -> Result<Interpreter> {
    if let Some(managed) = poetry_uv_pdm::find(steps, project, state)? {
        return Ok(managed);
    }
    match local(project) {
        Some(local) => Ok(local),
        None => environment::make(steps, project, state),
    }
}

/// Whether the project's own tool is on `PATH`.
pub(crate) fn has_tool(steps: &Steps, project: &Project) -> bool {
    steps.which(project.tool.name()).is_some()
}

impl Interpreter {
    pub(super) fn new(executable: impl Into<Utf8PathBuf>, origin: &str, tool: Tool) -> Interpreter {
        let (executable, origin) = (executable.into(), origin.to_owned());
        Interpreter {
            executable,
            origin,
            owned: false,
            tool,
            passed_over: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The command, as one would paste it, that adds packages to the environment, or, where
    /// the project lists them already, the one that installs what it lists.
    pub(crate) fn adding(&self, project: &Project, packages: &[&str]) -> String {
        let listed = packages.iter().all(|it| project.lists(package_name(it)));
        let add = match self.tool {
            Tool::Pip => return self.adding_by_pip(project, packages, listed),
            tool if listed => return poetry_uv_pdm::install_line(tool, project, self.owned),
            Tool::Poetry => ["poetry", "add", "--group", "dev"].as_slice(),
            Tool::Uv => &["uv", "add", "--dev"],
            Tool::Pdm => &["pdm", "add", "-dG", "test"],
        };
        shell_words::join(add.iter().chain(packages))
    }

    fn adding_by_pip(&self, project: &Project, packages: &[&str], listed: bool) -> String {
        let python = self.executable.as_str();
        let folder = self.executable.parent().and_then(Utf8Path::parent);
        let has_pip = folder.is_none_or(|folder| contents::distributions(folder).contains("pip"));
        // An environment that uv has made has no pip.
        let add = match has_pip || !folder.is_some_and(|it| it.join("pyvenv.cfg").exists()) {
            true => vec![python, "-m", "pip", "install"],
            false => vec!["uv", "pip", "install", "--python", python],
        };
        let all = environment::requirements(project).ok().filter(|_| listed);
        match all {
            Some(all) => {
                let all = all.iter().map(String::as_str);
                let line = shell_words::join(add.into_iter().chain(all));
                format!("cd {} && {line}", shell_words::quote(project.root.as_str()))
            }
            None => shell_words::join(add.iter().chain(packages)),
        }
    }
}

/// Sees to it that packages (say `pytest-split`) are installed. True where some were added,
/// so that the facts are to be read again. In an environment that is not ours: an error that
/// names the command to type.
pub(crate) fn ensure_packages(
    steps: &Steps,
    python: &Interpreter,
    project: &Project,
    installed: &BTreeMap<String, String>,
    wanted: &[&str],
) -> Result<bool> {
    let is_missing = |package: &&str| !installed.contains_key(package_name(package));
    let missing: Vec<_> = wanted.iter().copied().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    if !python.owned {
        let names: Vec<_> =
            missing.iter().map(|name| format!("`{}`", package_name(name))).collect();
        let (names, place) = (names.join(", "), &python.executable);
        let passed_over = python.passed_over.iter().map(|it| format!("\n{it}"));
        bail!(exit::usage(format!(
            "no {names} in {place}; install it with `{}`{}",
            python.adding(project, &missing),
            passed_over.collect::<String>()
        )));
    }
    steps.announce(&format!("Installing {}", missing.join(", ")));
    environment::add(steps, python, &missing)?;
    Ok(true)
}

/// The name in a requirement: `pytest-split` in `pytest-split>=0.8`.
fn package_name(requirement: &str) -> &str {
    requirement.split(['=', '<', '>', '!', '~', '[', ' ', ';']).next().unwrap_or(requirement)
}

fn by_name(steps: &Steps, project: &Project, named: &str, state: &State) -> Result<Interpreter> {
    let path =
        if named.contains('/') { Some(steps.cwd()?.join(named)) } else { steps.which(named) };
    let found = path.clone().filter(|path| kept::is_interpreter(path, project, state));
    let found = found.or_else(|| real_executable(steps, path.as_deref()?));
    match found {
        Some(executable) => Ok(Interpreter::new(executable, "--python", Tool::Pip)),
        None => bail!(exit::usage(format!("`--python {named}` is no Python that can be started"))),
    }
}

/// Where an interpreter really is: pyenv's shims stand for another file.
fn real_executable(steps: &Steps, path: &Utf8Path) -> Option<Utf8PathBuf> {
    let step = Step::new(path, "/").args(["-c", "import sys; print(sys.executable)"]);
    let printed = steps.read(&step).ok()?;
    Some(Utf8PathBuf::from(printed.lines().last()?.trim())).filter(|path| path.is_absolute())
}

fn local(project: &Project) -> Option<Interpreter> {
    let folders = [&project.root, &project.home];
    let places =
        folders.iter().flat_map(|folder| [".venv", "venv"].map(|name| (folder.join(name), name)));
    let mut found = places.filter_map(|(folder, name)| Some((in_environment(&folder)?, name)));
    // `.venv` is where the project's own tool would install, were it on `PATH`.
    let tool = |name| if name == ".venv" { project.tool } else { Tool::Pip };
    found.next().map(|(python, name)| Interpreter::new(python, name, tool(name)))
}

/// The interpreter of an environment, if it is one.
pub(super) fn in_environment(folder: &Utf8Path) -> Option<Utf8PathBuf> {
    Some(folder.join("bin/python")).filter(|python| python.is_absolute() && python.is_file())
}
