//! What an interpreter has said of itself, kept in the state folder until something changes on
//! which it depends: starting an interpreter and importing pytest and coverage takes longer than
//! many a test.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::env;
use crate::files;
use crate::model::NodeId;

use super::probe::Typed;
use super::{Facts, Interpreter, Project, State, Steps, native_core, packages, probe, state};

/// Files that pytest or coverage may read settings from, or find their root by.
const SETTINGS: [&str; 10] = [
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    ".coveragerc",
    ".coveragerc.toml",
];
/// Variables that may change an answer, by how their names begin.
const VARIABLES: [&str; 7] = ["PYTHON", "PYTEST", "COV", "HOME", "VIRTUAL_ENV", "CONDA", "XDG_"];
/// Variables that name further files, which we would have to follow: nothing is kept then.
const FURTHER: [&str; 4] =
    ["PYTEST_ADDOPTS", "COVERAGE_RCFILE", "COVERAGE_PROCESS_START", "PYTHONSTARTUP"];
/// A folder that has changed so shortly before it was looked at may have changed while it was.
const RECENT: Duration = Duration::from_secs(1);

#[derive(Deserialize, Serialize)]
struct Kept {
    /// [`surroundings`], and [`installed`] in the folders of the facts.
    stamp: String,
    facts: Facts,
}

/// What [`probe::read`] says, from the last time where nothing has changed since.
pub(crate) fn facts(
    steps: &Steps,
    python: &Interpreter,
    project: &Project,
    rcfile: Option<&Utf8Path>,
    typed: &Typed,
    state: &State,
) -> Result<Facts> {
    let typed = &relevant(typed, &project.root);
    let file = file(state, rcfile, typed);
    let look = || surroundings(&python.executable, project, rcfile, typed);
    let before = look().filter(|_| typed.words.is_empty());
    if let Some(facts) = known(&file, before.as_deref(), project) {
        return Ok(facts);
    }
    let began = SystemTime::now();
    let mut facts = probe::read(steps, python, project, rcfile, typed)?;
    if facts.coverage.is_some() {
        facts.native_core = native_core::look(steps, python, project, rcfile, state, &facts);
    }
    let after = look();
    if let Some(surroundings) = before.filter(|before| after.as_ref() == Some(before))
        && !facts.folders.is_empty()
        && !changed_lately(&facts.folders, began)
    {
        keep(&file, &surroundings, &facts);
    }
    Ok(facts)
}

/// True where the program is known to be an interpreter, and no stand-in for another.
pub(super) fn is_interpreter(executable: &Utf8Path, project: &Project, state: &State) -> bool {
    let typed = &Typed::default();
    let surroundings = surroundings(executable, project, None, typed);
    let facts = known(&file(state, None, typed), surroundings.as_deref(), project);
    facts.is_some_and(|facts| facts.executable == executable)
}

fn file(state: &State, rcfile: Option<&Utf8Path>, typed: &Typed) -> Utf8PathBuf {
    state.names.facts(rcfile.is_some(), !typed.paths.is_empty())
}

/// Of what was typed what may lead pytest to other settings than it finds without: options that
/// name them or their place, and paths with settings of their own.
fn relevant(typed: &Typed, root: &Utf8Path) -> Typed {
    let names = ["-c", "--config-file", "--rootdir"];
    let named = typed.words.iter().any(|word| names.iter().any(|name| word.starts_with(name)));
    let has_own = |folder: &Utf8PathBuf| {
        !folder.starts_with(root) || SETTINGS.iter().any(|name| folder.join(name).is_file())
    };
    let paths = match named || folders_of(&typed.paths, root).iter().any(has_own) {
        true => typed.paths.clone(),
        false => Vec::new(),
    };
    Typed { paths, words: if named { typed.words.clone() } else { Vec::new() } }
}

/// The folders that lead from the project's to these paths; of one elsewhere, all around it.
fn folders_of(paths: &[String], root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let path = root.join(NodeId(path).file());
        let Ok(path) = path.canonicalize_utf8() else { continue };
        let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
        let ways = folder.into_iter().flat_map(Utf8Path::ancestors);
        found.extend(ways.take_while(|folder| *folder != root).map(Utf8Path::to_path_buf));
    }
    found
}

fn known(file: &Utf8Path, surroundings: Option<&str>, project: &Project) -> Option<Facts> {
    let surroundings = surroundings?;
    let kept: Kept = serde_json::from_str(&files::read_text(file).ok()?).ok()?;
    let stamp = format!("{surroundings}{}", installed(&kept.facts.folders));
    let facts = (kept.stamp == stamp).then_some(kept.facts)?;
    Some(Facts { packages_here: packages::here(&project.root), ..facts })
}

/// That it cannot be kept costs time, nothing else.
fn keep(file: &Utf8Path, surroundings: &str, facts: &Facts) {
    let stamp = format!("{surroundings}{}", installed(&facts.folders));
    let kept = Kept { stamp, facts: facts.clone() };
    if let Ok(text) = serde_json::to_string(&kept) {
        let _ = state::write(file, &text);
    }
}

/// A text that changes with what decides the answer: the interpreter, settings, variables, and
/// our own version. None where that cannot be followed.
fn surroundings(
    executable: &Utf8Path,
    project: &Project,
    rcfile: Option<&Utf8Path>,
    typed: &Typed,
) -> Option<String> {
    let given = |name: &&str| env::var(name).is_some();
    if FURTHER.iter().any(given) {
        return None;
    }
    // A script may start any interpreter, and another one tomorrow (pyenv's shims do).
    let mut start = [0; 2];
    File::open(executable).ok()?.read_exact(&mut start).ok()?;
    if start == *b"#!" {
        return None;
    }
    let mut seen = format!(
        "1 {:016x} {:016x}\n{executable}\n",
        digest::number(probe::PROBE),
        native_core::hash()
    );
    seen += &look(executable);
    let environment = executable.parent().and_then(Utf8Path::parent)?;
    seen += &content(&environment.join("pyvenv.cfg"));
    seen += &settings(project, rcfile, typed);
    seen += &format!("{:?}\n", typed.paths);
    seen += &variables(seen.contains('$'));
    Some(seen)
}

/// Settings, which may lie in any folder around the project; tests in `tests` may have their own.
fn settings(project: &Project, rcfile: Option<&Utf8Path>, typed: &Typed) -> String {
    let tests = ["tests", "test"].map(|name| project.root.join(name));
    let typed = folders_of(&typed.paths, &project.root);
    let folders = tests.iter().chain(&typed).map(Utf8PathBuf::as_path);
    let folders = folders.chain(project.root.ancestors());
    let files = folders.flat_map(|folder| SETTINGS.map(|name| folder.join(name)));
    let files = files.chain(rcfile.map(|file| project.root.join(file)));
    let folders: String = tests.iter().map(|folder| format!("{}\n", folder.is_dir())).collect();
    files.map(|file| content(&file)).chain([folders]).collect()
}

/// The variables that may matter; all of them where a setting may name any.
fn variables(all: bool) -> String {
    let matters = |name: &str| all || VARIABLES.iter().any(|start| name.starts_with(start));
    let found: Vec<String> = env::env()
        .into_iter()
        .filter(|(name, _)| matters(name))
        .map(|(name, value)| format!("{name}={value:?}\n"))
        .collect();
    found.concat()
}

/// What decides which packages there are: their folders' names, and the files by which Python
/// finds further folders as it starts.
fn installed(folders: &[Utf8PathBuf]) -> String {
    folders
        .iter()
        .map(|folder| format!("{folder}: {:016x}\n", digest::number(&names(folder))))
        .collect()
}

fn names(folder: &Utf8Path) -> Vec<String> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_owned());
    let mut found: Vec<String> = names.filter_map(|name| named(folder, name)).collect();
    found.sort();
    found
}

fn named(folder: &Utf8Path, name: String) -> Option<String> {
    let starts_python = ["sitecustomize.py", "usercustomize.py"].contains(&name.as_str());
    if name.ends_with(".pth") || starts_python {
        return Some(look(&folder.join(name)));
    }
    let installs = [".dist-info", ".egg-info"].iter().any(|end| name.ends_with(end));
    let ours = ["pytest", "_pytest", "coverage"].iter().any(|start| name.starts_with(start));
    (installs || ours).then_some(name)
}

fn changed_lately(folders: &[Utf8PathBuf], began: SystemTime) -> bool {
    let changed = folders.iter().filter_map(|folder| folder.metadata().ok()?.modified().ok());
    changed.into_iter().any(|changed| changed + RECENT > began)
}

/// Which file a name leads to, and when that was last written.
fn look(path: &Utf8Path) -> String {
    let real = path.canonicalize_utf8().unwrap_or_default();
    let facts = |data: Metadata| (data.ino(), data.len(), data.mtime(), data.mtime_nsec());
    format!("{path} {real} {:?}\n", path.metadata().ok().map(facts))
}

/// What a file says, as a number; whether it may depend on variables (`$`).
fn content(path: &Utf8Path) -> String {
    let Ok(text) = files::read(path) else { return "-\n".to_owned() };
    let names_variables = if text.contains(&b'$') { "$" } else { "" };
    format!("{:016x}{names_variables}\n", digest::number(&text))
}
