//! The Pythons of this machine from which an environment can be made: those on `PATH`, and those
//! that pyenv, uv, mise and asdf keep.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::steps::Step;
use super::{Project, Steps, versions};
use crate::exit;

/// The oldest Python that runs our part.
const OLDEST: versions::Version = [3, 9, 0];

/// The Python to make an environment from: the one the user starts by default where the project
/// accepts it, else the newest on `PATH` that it accepts, else the newest that a tool keeps.
pub(crate) fn base(steps: &Steps, project: &Project) -> Result<Utf8PathBuf> {
    let specifier = project.requires_python().unwrap_or_else(|| "*".to_owned());
    let specifier = specifier.as_str();
    let mut refused = Vec::new();
    for name in names() {
        let Some(python) = steps.which(&name).and_then(|path| Candidate::ask(steps, &path)) else {
            continue;
        };
        match python.refusal(specifier) {
            None => return Ok(python.executable),
            Some(reason) => refused.push(format!("{name} {reason}")),
        }
    }
    refused.dedup();
    if let Some(Kept { path, keeper, version }) = fitting(steps, specifier).into_iter().next() {
        let why = if refused.is_empty() { "none on PATH".to_owned() } else { refused.join("; ") };
        steps.announce(&format!("Using Python {} of {keeper}, {path} ({why})", dotted(version)));
        return Ok(path);
    }
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

fn names() -> impl Iterator<Item = String> {
    let names = ["python3", "python"].map(str::to_owned).into_iter();
    names.chain((9..=15).rev().map(|minor| format!("python3.{minor}")))
}

/// A line for an error of a tool that found no Python the project accepts: those that fit, where
/// the one that is started by default does not.
pub(super) fn hint(steps: &Steps, project: &Project) -> Option<String> {
    let specifier = &project.requires_python()?;
    let usual = ["python3", "python"].into_iter().find_map(|name| steps.which(name));
    let usual = usual.and_then(|path| Candidate::ask(steps, &path));
    if usual.is_some_and(|python| python.refusal(specifier).is_none()) {
        return None;
    }
    let fitting = fitting(steps, specifier);
    let Kept { path, keeper, .. } = fitting.first()?;
    let how = match project.tool {
        super::Tool::Poetry => format!("poetry env use {path}"),
        super::Tool::Pdm => format!("pdm use {path}"),
        _ => format!("cargo xtask coverage --python {path}"),
    };
    Some(format!("`{specifier}` accepts a Python of {keeper}: `{how}`"))
}

/// A Python that a tool keeps.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) path: Utf8PathBuf,
    pub(super) keeper: &'static str,
    pub(super) version: versions::Version,
}

/// The kept Pythons that a specifier accepts, the newest first. Only those are started of which
/// the folder's name says that they may fit.
fn fitting(steps: &Steps, specifier: &str) -> Vec<Kept> {
    let may_fit =
        |kept: &Kept| kept.version >= OLDEST && versions::accepts(specifier, kept.version);
    let answers = |kept: &Kept| {
        let python = Candidate::ask(steps, &kept.path);
        python.is_some_and(|python| python.refusal(specifier).is_none())
    };
    kept(steps).into_iter().filter(may_fit).filter(answers).take(1).collect()
}

/// All CPythons that pyenv, uv, mise and asdf keep, the newest first.
pub(super) fn kept(steps: &Steps) -> Vec<Kept> {
    let home = steps.var("HOME").unwrap_or_default();
    let data = steps.var("XDG_DATA_HOME").unwrap_or_else(|| format!("{home}/.local/share"));
    let place = |name: &str, usual: String| steps.var(name).unwrap_or(usual);
    let stores = [
        ("pyenv", place("PYENV_ROOT", format!("{home}/.pyenv")) + "/versions"),
        ("uv", place("UV_PYTHON_INSTALL_DIR", format!("{data}/uv/python"))),
        ("mise", place("MISE_DATA_DIR", format!("{data}/mise")) + "/installs/python"),
        ("asdf", place("ASDF_DATA_DIR", format!("{home}/.asdf")) + "/installs/python"),
    ];
    let mut found: Vec<Kept> =
        stores.iter().flat_map(|(keeper, store)| in_store(keeper, Utf8Path::new(store))).collect();
    found.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.path.cmp(&b.path)));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

fn in_store(keeper: &'static str, store: &Utf8Path) -> Vec<Kept> {
    let entries = store.read_dir_utf8().into_iter().flatten().flatten();
    let kept = entries.filter_map(|entry| {
        // `3.12.1`, `cpython-3.12.1-linux-x86_64-gnu`; links such as `3.12` lead to one of these.
        let name = entry.file_name();
        let number = name.strip_prefix("cpython-").unwrap_or(name);
        let is_version = number.split('-').next()?.split('.').count() == 3;
        let path = entry.path().join("bin/python3");
        let is_real = is_version && !entry.path().is_symlink() && path.is_file();
        is_real.then(|| Kept { path, keeper, version: versions::parse(number) })
    });
    kept.filter(|kept| kept.version[0] == 3).collect()
}

/// The Pythons of this machine in words, for whoever finds that none fits.
pub(crate) fn words(steps: &Steps) -> String {
    let on_path = names().filter_map(|name| Some((steps.which(&name)?, name)));
    let mut found: Vec<String> = on_path
        .filter_map(|(path, name)| Some((Candidate::ask(steps, &path)?, name)))
        .map(|(python, name)| format!("{name} {}", dotted(python.version)))
        .collect();
    found.extend(kept(steps).iter().map(|it| format!("{} ({})", dotted(it.version), it.keeper)));
    found.dedup();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

fn dotted([major, minor, patch]: versions::Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// Whether a version is older than one of two numbers.
pub(crate) fn is_older(version: &str, [major, minor]: [u32; 2]) -> bool {
    versions::parse(version) < [major, minor, 0]
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
        if self.version < OLDEST || !versions::accepts(specifier, self.version) {
            return Some(format!("is {}", dotted(self.version)));
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
