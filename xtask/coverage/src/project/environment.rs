//! The environment of our own, for a project that has none: in the state folder, made by
//! uv or `python -m venv`, or filled by real poetry where the project is poetry's.

use std::fs;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::managers::{self, ACTIVE};
use super::python::in_environment;
use super::state::{short_hash, write};
use super::steps::Step;
use super::{Interpreter, Project, Pyproject, State, Steps, Tool, read_if_there, versions};
use crate::exit;

/// What every environment of ours holds besides the project.
const ALWAYS: [&str; 2] = ["pytest", "coverage"];
/// What our own poetry consists of; see [`poetry_install`] for the second.
const POETRY: [&str; 2] = ["poetry>=2,<3", "poetry-plugin-pypi-mirror"];
/// The oldest Python that runs our part.
const OLDEST: versions::Version = [3, 9, 0];

/// The interpreter of our own environment, which is made, or made anew, where what it should
/// hold has changed or it was never finished.
pub(super) fn make(steps: &Steps, project: &Project, state: &State) -> Result<Interpreter> {
    let folder = state.names.venv();
    let (stamp_file, stamp) = (folder.join("xtask-stamp"), stamp(project)?);
    let python = folder.join("bin/python");
    let finished = read_if_there(&stamp_file)?.is_some_and(|found| found == stamp);
    if !(finished && in_environment(&folder).is_some()) {
        let base = base(steps, project)?;
        create(steps, state, &folder, &base)?;
        fill(steps, project, state, &python, &base)?;
        write(&stamp_file, &stamp)?;
    }
    let found = Interpreter::new(python, "own environment", Tool::Pip);
    Ok(Interpreter { owned: true, ..found })
}

/// Adds packages to an environment of ours.
pub(super) fn add(steps: &Steps, python: &Interpreter, packages: &[&str]) -> Result<()> {
    let packages: Vec<_> = packages.iter().map(|package| (*package).to_owned()).collect();
    pip(steps, &python.executable, Utf8Path::new("/"), &packages)
}

/// A text that changes with whatever decides what the environment holds.
fn stamp(project: &Project) -> Result<String> {
    let files = ["setup.py", "setup.cfg", "poetry.lock", "uv.lock", "pdm.lock", REQUIREMENTS];
    let mut seen = format!("{}{:?}{ALWAYS:?}", project.pyproject.environment_parts(), project.tool);
    for file in files.iter().chain(&TEST_REQUIREMENTS) {
        seen += &format!("\0{:?}", read_if_there(&project.root.join(file))?);
    }
    Ok(format!("1 {:08x} {:08x}\n", short_hash(&seen), short_hash(project.root.as_str())))
}

fn create(steps: &Steps, state: &State, folder: &Utf8Path, base: &Utf8Path) -> Result<()> {
    steps.announce(&format!("Creating an environment in {folder}"));
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| exit::usage(format!("failed to remove `{folder}`")))?;
    }
    state.create(state.dir())?;
    if let Some(uv) = steps.which("uv") {
        let step =
            Step::new(uv, "/").args(["venv", "--seed", "--python", base.as_str(), folder.as_str()]);
        if steps.run(&steps.download(step.unset(&ACTIVE), base)).is_ok() {
            return Ok(());
        }
    }
    steps.run(&Step::new(base, "/").args(["-m", "venv", "--clear", folder.as_str()]))
}

fn fill(
    steps: &Steps,
    project: &Project,
    state: &State,
    python: &Utf8Path,
    base: &Utf8Path,
) -> Result<()> {
    if project.tool == Tool::Poetry {
        let poetry = poetry(steps, state, base)?;
        return poetry_install(steps, project, &poetry, python);
    }
    steps.announce(&format!("Installing {} and what its tests need", project.name));
    pip(steps, python, &project.root, &requirements(project)?)
}

/// What pip is to install for a project: itself, editable, where it can be built; what its
/// test and development groups or extras list, else its requirements files; pytest and
/// coverage.
fn requirements(project: &Project) -> Result<Vec<String>> {
    let mut wanted = project.pyproject.group_requirements()?;
    let files = match wanted.is_empty() && project.pyproject.test_extras().is_empty() {
        true => TEST_REQUIREMENTS.iter().find(|file| project.root.join(file).is_file()),
        false => None,
    };
    if is_installable(project) {
        wanted.extend(["-e".to_owned(), editable(&project.pyproject)]);
    } else {
        wanted.extend(project.pyproject.dependencies());
    }
    let plain = (!is_installable(project)).then_some(&REQUIREMENTS);
    let plain = plain.filter(|file| project.root.join(file).is_file());
    wanted.extend(files.into_iter().chain(plain).flat_map(|file| ["-r", file].map(str::to_owned)));
    wanted.extend(ALWAYS.map(str::to_owned));
    Ok(wanted)
}

/// What a project that is no package needs.
const REQUIREMENTS: &str = "requirements.txt";
/// What tests need, the first of them that is there: later ones tend to hold earlier ones,
/// pinned differently.
const TEST_REQUIREMENTS: [&str; 9] = [
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements_test.txt",
    "test-requirements.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "requirements/dev.txt",
];

/// pip takes no project that has only a `setup.cfg`.
fn is_installable(project: &Project) -> bool {
    project.pyproject.is_package() || project.root.join("setup.py").is_file()
}

fn editable(pyproject: &Pyproject) -> String {
    match pyproject.test_extras().as_slice() {
        [] => ".".to_owned(),
        extras => format!(".[{}]", extras.join(",")),
    }
}

/// Installs with uv where it is on `PATH`, and with pip where it is not or fails.
fn pip(steps: &Steps, python: &Utf8Path, folder: &Utf8Path, packages: &[String]) -> Result<()> {
    if let Some(uv) = steps.which("uv") {
        let step = Step::new(uv, folder)
            .args(["pip", "install", "--python", python.as_str()])
            .args(packages);
        if steps.run(&steps.download(step, python)).is_ok() {
            return Ok(());
        }
    }
    let options = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
    steps.run(
        &Step::new(python, folder)
            .args(options)
            .args(packages)
            .unset(&["PIP_REQUIRE_VIRTUALENV", "PIP_USER"]),
    )
}

/// poetry in an environment of its own, which the workspace's projects share.
fn poetry(steps: &Steps, state: &State, base: &Utf8Path) -> Result<Utf8PathBuf> {
    let folder = state.tools().join("poetry");
    let (program, stamp) = (folder.join("bin/poetry"), folder.join("xtask-stamp"));
    let _lock = state.lock_tools()?;
    let finished = read_if_there(&stamp)?.is_some_and(|found| found == POETRY.join("\n"));
    if !(finished && program.is_file() && in_environment(&folder).is_some()) {
        steps.announce(&format!("Installing poetry in {folder}"));
        steps.run(&Step::new(base, "/").args(["-m", "venv", "--clear", folder.as_str()]))?;
        pip(steps, &folder.join("bin/python"), Utf8Path::new("/"), &POETRY.map(str::to_owned))?;
        write(&stamp, &POETRY.join("\n"))?;
    }
    Ok(program)
}

/// `poetry install` into our environment: poetry takes the active one. It asks PyPI for
/// each version's own JSON, which mirrors and proxies of it often do not have; our poetry
/// uses the index that pip uses.
fn poetry_install(
    steps: &Steps,
    project: &Project,
    poetry: &Utf8Path,
    python: &Utf8Path,
) -> Result<()> {
    let folder =
        python.parent().and_then(Utf8Path::parent).context("an environment has a folder")?;
    let step = managers::install_step(poetry, project)
        .env("VIRTUAL_ENV", folder.as_str())
        .env("POETRY_VIRTUALENVS_CREATE", "true");
    let step = match pip_index(steps, python) {
        Some(index) => step.env("POETRY_PYPI_MIRROR_URL", index),
        None => step,
    };
    match managers::install(steps, project, step.clone()) {
        // The dependencies are there; what poetry cannot install has nothing to build.
        Err(error) if error.to_string().contains("project could not be installed") => {
            managers::install(steps, project, step.args(["--no-root"]))?;
        }
        result => result?,
    }
    pip(steps, python, Utf8Path::new("/"), &ALWAYS.map(str::to_owned))
}

/// The index that pip uses: the configured one, else the one it knows by itself.
fn pip_index(steps: &Steps, python: &Utf8Path) -> Option<String> {
    const OWN: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";
    let own = || steps.read(&Step::new(python, "/").args(["-c", OWN])).ok();
    let index = steps.pip_setting(python, "index-url").or_else(own)?;
    Some(format!("{}/", index.trim().trim_end_matches('/')))
}

/// The Python to make an environment from: the one the user starts by default where the
/// project accepts it, else the newest on `PATH` that it accepts.
pub(super) fn base(steps: &Steps, project: &Project) -> Result<Utf8PathBuf> {
    let names = ["python3", "python"].map(str::to_owned).into_iter();
    let names = names.chain((9..=15).rev().map(|minor| format!("python3.{minor}")));
    let specifier = project.pyproject.requires_python().unwrap_or("*");
    let mut refused = Vec::new();
    for name in names {
        let Some(python) = steps.which(&name).and_then(|path| Candidate::ask(steps, &path)) else {
            continue;
        };
        match python.refusal(specifier) {
            None => return Ok(python.executable),
            Some(reason) => refused.push(format!("{name} {reason}")),
        }
    }
    refused.dedup();
    match refused.as_slice() {
        [] => {
            bail!(exit::usage("no Python on PATH; install CPython 3.9 or newer with pip and venv"))
        }
        _ => bail!(exit::usage(format!(
            "no suitable Python on PATH ({}); {} needs `{specifier}`, 3.9 or newer, with venv",
            refused.join("; "),
            project.name
        ))),
    }
}

struct Candidate {
    executable: Utf8PathBuf,
    version: versions::Version,
    has_venv: bool,
}

impl Candidate {
    fn ask(steps: &Steps, path: &Utf8Path) -> Option<Candidate> {
        let step = Step::new(path, "/").args(["-c", ASK]);
        let printed = steps.read(&step).ok()?;
        let mut words = printed.lines().last()?.splitn(3, ' ');
        let (version, has_venv) = (versions::parse(words.next()?), words.next()? == "True");
        Some(Candidate { executable: words.next()?.into(), version, has_venv })
    }

    fn refusal(&self, specifier: &str) -> Option<String> {
        let [major, minor, patch] = self.version;
        if self.version < OLDEST || !versions::accepts(specifier, self.version) {
            return Some(format!("is {major}.{minor}.{patch}"));
        }
        (!self.has_venv).then(|| "has no venv".to_owned())
    }
}

const ASK: &str = "\
import sys
try:
    import ensurepip, venv
    ok = True
except ImportError:
    ok = False
print('%d.%d.%d' % sys.version_info[:3], ok, sys.executable)";
