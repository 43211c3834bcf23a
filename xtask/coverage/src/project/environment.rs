//! The environment of our own, for a project that has none: in the state folder, made by
//! uv or `python -m venv`, or filled by real poetry where the project is poetry's.

use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::poetry_uv_pdm::{self, ACTIVE};
use super::pyproject::{normal, test_like};
use super::python::in_environment;
use super::state::{short_hash, write};
use super::steps::Step;
use super::{Interpreter, Project, State, Steps, Tool, contents, listed, pythons, read_if_there};
use crate::exit;

/// What every environment of ours holds besides the project.
const ALWAYS: [&str; 2] = ["pytest", "coverage"];
/// What our own poetry consists of; see [`poetry_install`] for the second.
const POETRY: [&str; 2] = ["poetry>=2,<3", "poetry-plugin-pypi-mirror"];

/// The interpreter of our own environment, which is made, or made anew, where what it should
/// hold has changed or it was never finished.
pub(super) fn make(steps: &Steps, project: &Project, state: &State) -> Result<Interpreter> {
    if let Some(finished) = existing(project, state)? {
        return Ok(finished);
    }
    let folder = state.names.venv();
    let base = pythons::base(steps, project)?;
    create(steps, state, &folder, &base)?;
    fill(steps, project, state, &folder.join("bin/python"), &base)?;
    write(&folder.join("xtask-stamp"), &stamp(project)?)?;
    Ok(own(&folder))
}

/// The same, if it is finished and what it should hold is what it was.
pub(super) fn existing(project: &Project, state: &State) -> Result<Option<Interpreter>> {
    let folder = state.names.venv();
    let stamp = stamp(project)?;
    let finished = read_if_there(&folder.join("xtask-stamp"))?.is_some_and(|found| found == stamp);
    Ok((finished && in_environment(&folder).is_some()).then(|| own(&folder)))
}

fn own(folder: &Utf8Path) -> Interpreter {
    let found = Interpreter::new(folder.join("bin/python"), "own environment", Tool::Pip);
    Interpreter { owned: true, ..found }
}

/// Adds packages to an environment of ours.
pub(super) fn add(steps: &Steps, python: &Interpreter, packages: &[&str]) -> Result<()> {
    let packages: Vec<_> = packages.iter().map(|package| (*package).to_owned()).collect();
    pip(steps, &python.executable, Utf8Path::new("/"), &packages)
}

/// A text that changes with whatever decides what the environment holds.
fn stamp(project: &Project) -> Result<String> {
    let files = ["setup.py", "setup.cfg", "hatch.toml", "poetry.lock", "uv.lock", "pdm.lock"];
    let files = files.into_iter().chain([REQUIREMENTS]);
    let mut seen = format!("{}{:?}{ALWAYS:?}", project.pyproject.environment_parts(), project.tool);
    for file in files.chain(TEST_REQUIREMENTS) {
        seen += &format!("\0{:?}", read_if_there(&project.root.join(file))?);
    }
    Ok(format!("2 {:08x} {:08x}\n", short_hash(&seen), short_hash(project.root.as_str())))
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
    pip(steps, python, &project.root, &requirements(project)?)?;
    let extras = unknown_extras(project, python);
    if extras.is_empty() {
        return Ok(());
    }
    pip(steps, python, &project.root, &["-e".to_owned(), editable(&extras)])
}

/// Extras for tests that only whoever has built the project knows: `setup.py` and `setup.cfg`
/// list some, and so do backends that compute them.
fn unknown_extras(project: &Project, python: &Utf8Path) -> Vec<String> {
    let known = extras(project);
    let folder = python.parent().and_then(Utf8Path::parent);
    let provided = folder.map(|folder| contents::extras_of(folder, &project.root));
    let mut found = test_like([provided.unwrap_or_default(), vec![]]);
    found.retain(|extra| !known.iter().any(|known| normal(known) == normal(extra)));
    found
}

/// What pip is to install for a project: itself, editable, where it can be built; what its
/// test and development groups or extras list, hatch's environments among them, else its
/// requirements files; pytest and coverage.
pub(super) fn requirements(project: &Project) -> Result<Vec<String>> {
    let hatch = listed::hatch(&project.root, &project.pyproject);
    let mut wanted = project.pyproject.group_requirements(&hatch.groups)?;
    wanted.extend(hatch.requirements);
    wanted.extend(listed::tests_require(&setup_cfg(project)?));
    let extras = extras(project);
    let files = match wanted.is_empty() && extras.is_empty() {
        true => TEST_REQUIREMENTS.iter().find(|file| project.root.join(file).is_file()),
        false => None,
    };
    if is_installable(project) {
        wanted.extend(["-e".to_owned(), editable(&extras)]);
    } else {
        wanted.extend(project.pyproject.dependencies());
    }
    let plain = (!is_installable(project)).then_some(&REQUIREMENTS);
    let plain = plain.filter(|file| project.root.join(file).is_file());
    wanted.extend(files.into_iter().chain(plain).flat_map(|file| ["-r", file].map(str::to_owned)));
    wanted.extend(ALWAYS.map(str::to_owned));
    Ok(wanted)
}

fn setup_cfg(project: &Project) -> Result<String> {
    Ok(read_if_there(&project.root.join("setup.cfg"))?.unwrap_or_default())
}

/// The extras that tests need, as far as `pyproject.toml` and hatch say.
fn extras(project: &Project) -> Vec<String> {
    let mut extras = project.pyproject.test_extras();
    extras.extend(listed::hatch(&project.root, &project.pyproject).extras);
    extras.sort();
    extras.dedup();
    extras
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
/// Where a project may list what its tests need, `pyproject.toml` apart.
pub(super) const OTHER_LISTS: [&str; 13] = [
    "setup.py",
    "setup.cfg",
    "hatch.toml",
    REQUIREMENTS,
    TEST_REQUIREMENTS[0],
    TEST_REQUIREMENTS[1],
    TEST_REQUIREMENTS[2],
    TEST_REQUIREMENTS[3],
    TEST_REQUIREMENTS[4],
    TEST_REQUIREMENTS[5],
    TEST_REQUIREMENTS[6],
    TEST_REQUIREMENTS[7],
    TEST_REQUIREMENTS[8],
];

/// pip takes no project that has only a `setup.cfg`.
fn is_installable(project: &Project) -> bool {
    project.pyproject.is_package() || project.root.join("setup.py").is_file()
}

fn editable(extras: &[String]) -> String {
    match extras {
        [] => ".".to_owned(),
        extras => format!(".[{}]", extras.join(",")),
    }
}

/// Installs with uv where it is on `PATH`, from its cache where there is no network, and with
/// pip where uv is not there or fails.
pub(super) fn pip(
    steps: &Steps,
    python: &Utf8Path,
    folder: &Utf8Path,
    packages: &[String],
) -> Result<()> {
    if let Some(uv) = steps.which("uv") {
        let step = Step::new(uv, folder)
            .args(["pip", "install", "--python", python.as_str()])
            .args(packages);
        let step = steps.download(step, python);
        if steps.run(&step).is_ok() || steps.run(&step.args(["--offline"])).is_ok() {
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
    let step = poetry_uv_pdm::install_step(poetry, project)
        .env("VIRTUAL_ENV", folder.as_str())
        .env("POETRY_VIRTUALENVS_CREATE", "true");
    let step = match pip_index(steps, python) {
        Some(index) => step.env("POETRY_PYPI_MIRROR_URL", index),
        None => step,
    };
    match poetry_uv_pdm::install(steps, project, step.clone()) {
        // The dependencies are there; what poetry cannot install has nothing to build.
        Err(error) if error.to_string().contains("project could not be installed") => {
            poetry_uv_pdm::install(steps, project, step.args(["--no-root"]))?;
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
