//! Which interpreter runs the project's tests. Found once; everything later uses its path.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::steps::Step;
use super::{Project, State, Steps, Tool, environment, kept, managers};
use crate::exit;

/// The project's interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Absolute. Never resolved further: the link inside an environment is what makes it one.
    pub executable: Utf8PathBuf,
    /// Who named it: `--python`, `VIRTUAL_ENV`, `poetry`, `.venv`, `own environment`, …
    pub origin: String,
    /// Whether its environment is ours, to change as we need.
    pub owned: bool,
    /// The tool that adds packages to its environment.
    pub tool: Tool,
}

/// Finds the interpreter: `--python`, an active environment, the one of poetry, uv or pdm,
/// `.venv`, else an environment of our own, made now. `named` is what `--python` says.
pub fn find(
    steps: &Steps,
    project: &Project,
    named: Option<&str>,
    state: &State,
) -> Result<Interpreter> {
    if let Some(named) = named {
        return by_name(steps, project, named, state);
    }
    if let Some(active) = active(steps, project) {
        return Ok(active);
    }
    if let Some(managed) = managers::find(steps, project)? {
        return Ok(managed);
    }
    if let Some(local) = local(project) {
        return Ok(local);
    }
    environment::make(steps, project, state)
}

impl Interpreter {
    pub(super) fn new(executable: impl Into<Utf8PathBuf>, origin: &str, tool: Tool) -> Interpreter {
        Interpreter { executable: executable.into(), origin: origin.to_owned(), owned: false, tool }
    }

    /// The command, as one would paste it, that adds packages to the environment, or, where
    /// the project lists them already, the one that installs what it lists.
    pub fn adding(&self, project: &Project, packages: &[&str]) -> String {
        let listed =
            packages.iter().all(|package| project.pyproject.mentions(package_name(package)));
        let add = match self.tool {
            _ if listed && self.tool != Tool::Pip => {
                return managers::install_line(self.tool, project);
            }
            Tool::Poetry => vec!["poetry", "add", "--group", "dev"],
            Tool::Uv => vec!["uv", "add", "--dev"],
            Tool::Pdm => vec!["pdm", "add", "-dG", "test"],
            Tool::Pip => vec![self.executable.as_str(), "-m", "pip", "install"],
        };
        shell_words::join(add.iter().chain(packages))
    }
}

/// Sees to it that packages (say `pytest-split`) are installed. True where some were added,
/// so that the facts are to be read again. In an environment that is not ours: an error that
/// names the command to type.
pub fn ensure_packages(
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
        bail!(exit::usage(format!(
            "no {names} in {place}; install it with `{}`",
            python.adding(project, &missing)
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

/// The environment that the user has activated, unless some program's own.
fn active(steps: &Steps, project: &Project) -> Option<Interpreter> {
    let conda_base = steps.var("CONDA_DEFAULT_ENV").is_some_and(|name| name == "base");
    ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().find_map(|name| {
        let folder = Utf8PathBuf::from(steps.var(name)?);
        let unwanted = is_programs_own(&folder) || name == "CONDA_PREFIX" && conda_base;
        let python = in_environment(&folder).filter(|_| !unwanted)?;
        // poetry and pdm install into an active environment; uv does not.
        let tool = if project.tool == Tool::Uv && folder != project.home.join(".venv") {
            Tool::Pip
        } else {
            project.tool
        };
        Some(Interpreter::new(python, name, tool))
    })
}

/// Environments that pipx, uv and others make for one program: nobody's tests live there.
fn is_programs_own(folder: &Utf8Path) -> bool {
    let path = folder.as_str();
    ["/pipx/", "/uv/tools/", "/pypoetry/venv", "/pdm/venv", "/pre-commit/", "/xtask/tools/"]
        .iter()
        .any(|part| path.contains(part))
}

fn local(project: &Project) -> Option<Interpreter> {
    let folders = [&project.root, &project.home];
    let places =
        folders.iter().flat_map(|folder| [".venv", "venv"].map(|name| (folder.join(name), name)));
    let mut found = places.filter_map(|(folder, name)| Some((in_environment(&folder)?, name)));
    found.next().map(|(python, name)| Interpreter::new(python, name, Tool::Pip))
}

/// The interpreter of an environment, if it is one.
pub(super) fn in_environment(folder: &Utf8Path) -> Option<Utf8PathBuf> {
    Some(folder.join("bin/python")).filter(|python| python.is_absolute() && python.is_file())
}
