//! The native core: a library for the project's Python that measures in coverage's stead. It is
//! built with us (`build.rs`) and lies in the state folder.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::steps::{Step, last_lines};
use super::{Facts, Interpreter, NativeCore, Project, State, Steps, versions};
use crate::digest;
use crate::files;

/// Empty where it could not be built.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/xtask_core"));
/// Why, then.
const NOT_BUILT: &str = include_str!(concat!(env!("OUT_DIR"), "/core_failure"));
/// What puts it in coverage's place.
pub(crate) const NATIVE: &str = include_str!("../../host/native.py");
/// What that needs.
pub(crate) const COMPAT: &str = include_str!("../../host/compat_coverage.py");
const CHECK: &str = include_str!("../../host/check_core.py");
/// Starts the one line of the check's output that is ours.
const MARK: &str = "\u{1}xtask-core ";

/// Puts the library where a project's Python is to load it from.
pub(crate) fn library(state: &State) -> Result<Utf8PathBuf> {
    install(state, "xtask_core.so", LIBRARY)
}

/// A number that changes with the core, and with how it is checked.
pub(super) fn hash() -> u64 {
    digest::number(&(LIBRARY, NATIVE, COMPAT, CHECK))
}

/// What is against the native core in this project. Nothing is if in this interpreter it has the same
/// arcs as coverage's own for a program with some of everything, nothing in coverage's configuration
/// is beyond it, and nobody has chosen another.
pub(crate) fn look(
    steps: &Steps<'_>,
    python: &Interpreter,
    project: &Project,
    rcfile: Option<&Utf8Path>,
    state: &State,
    facts: &Facts,
) -> NativeCore {
    let cannot = |why: String| NativeCore { why: Some(why), rather: None };
    if versions::parse(&facts.python) < [3, 12, 0] || facts.implementation != "cpython" {
        return cannot("the native core is for CPython 3.12 and newer".to_owned());
    }
    if LIBRARY.is_empty() {
        return cannot(format!("it could not be built: {NOT_BUILT}"));
    }
    let check = || -> Result<NativeCore> {
        let library = library(state)?;
        install(state, "native.py", NATIVE.as_bytes())?;
        install(state, "compat_coverage.py", COMPAT.as_bytes())?;
        let program = install(state, "check_core.py", CHECK.as_bytes())?;
        let step = Step::new(&python.executable, &project.root);
        let words = [program.as_str(), library.as_str(), rcfile.map_or("", Utf8Path::as_str)];
        let output = steps.output(&step.args(words))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let Some((_, line)) = printed.lines().find_map(|line| line.split_once(MARK)) else {
            return Ok(cannot(format!("its check failed{}", last_lines(&output))));
        };
        serde_json::from_str(line).context("its check said nothing")
    };
    check().unwrap_or_else(|error| cannot(format!("{error:#}")))
}

/// Puts a file into a folder to which only we can write, for what lies there runs with the tests.
fn install(state: &State, name: &str, content: &[u8]) -> Result<Utf8PathBuf> {
    let folder = state.names.core();
    state.create(state.dir())?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("failed to make `{folder}`"))?;
    refuse_writers(&folder, 0o022)?;
    refuse_writers(state.dir(), 0o002)?;
    let path = folder.join(name);
    if !files::read(&path).is_ok_and(|there| there == content) {
        files::replace(&path, content).with_context(|| format!("failed to write `{path}`"))?;
    }
    Ok(path)
}

/// Fails where others, those with one of these bits, can write to a folder.
fn refuse_writers(folder: &Utf8Path, bits: u32) -> Result<()> {
    let metadata = fs::metadata(folder).with_context(|| format!("failed to look at `{folder}`"))?;
    anyhow::ensure!(metadata.mode() & bits == 0, "others can write to `{folder}`");
    Ok(())
}
