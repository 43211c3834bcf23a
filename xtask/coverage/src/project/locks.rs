//! Whether an environment and a lock file are those that the project asks for now. Nothing is
//! changed: what has been found is said, with the line that mends it.

use camino::Utf8Path;

use super::discover::lock_file;
use super::environment::OTHER_LISTS;
use super::poetry_uv_pdm::{self, ACTIVE};
use super::pyproject::normal;
use super::state::{short_hash, write};
use super::steps::Step;
use super::{Facts, Interpreter, Project, Pyproject, State, Steps, Tool, contents, versions};
use crate::files;

/// What is not as the project asks for, each as a line.
pub(crate) fn concerns(
    steps: &Steps,
    project: &Project,
    python: &Interpreter,
    facts: &Facts,
    state: &State,
) -> Vec<String> {
    let is_stale = is_lock_stale(steps, project, state);
    let stale = is_stale.then(|| stale_lock(project));
    let missing = not_installed(project, python, facts, is_stale);
    wrong_python(project, facts).into_iter().chain(stale).chain(missing).collect()
}

fn wrong_python(project: &Project, facts: &Facts) -> Option<String> {
    let wanted = project.requires_python()?;
    let accepted = versions::accepts(&wanted, versions::parse(&facts.python));
    let Facts { python, executable, .. } = facts;
    (!accepted)
        .then(|| format!("{} asks for Python `{wanted}`; {executable} is {python}", project.name))
}

/// A new dependency, or an installation that was cut off.
fn not_installed(
    project: &Project,
    python: &Interpreter,
    facts: &Facts,
    is_lock_stale: bool,
) -> Option<String> {
    let missing = contents::missing(&project.pyproject, project.tool, &facts.packages);
    if python.owned || missing.is_empty() {
        return None;
    }
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    let line = match python.tool {
        Tool::Pip => {
            let packages: Vec<&str> = missing.iter().map(String::as_str).collect();
            python.adding(project, &packages)
        }
        tool => poetry_uv_pdm::install_line(tool, project, false),
    };
    // The tool refuses to install by a lock file that is not that of the project.
    let line = match is_lock_stale {
        true => line.replacen(" && ", &format!(" && {} lock && ", project.tool.name()), 1),
        false => line,
    };
    let (names, place) = (names.join(", "), &python.executable);
    Some(format!("{} lists {names}, not there in {place}; `{line}`", project.name))
}

fn stale_lock(project: &Project) -> String {
    let lock = project.home.join(lock_file(project.tool));
    let (tool, home) = (project.tool.name(), shell_words::quote(project.home.as_str()));
    format!("`{lock}` was made before `pyproject.toml` was changed; `cd {home} && {tool} lock`")
}

/// Whether a lock file was made before the project's dependencies were changed. What its tool
/// says of it is kept until one of the two changes.
fn is_lock_stale(steps: &Steps, project: &Project, state: &State) -> bool {
    let lock = project.home.join(lock_file(project.tool));
    let locked = files::read_text(&lock).ok().filter(|_| project.tool != Tool::Pip);
    let Some(locked) = locked else { return false };
    let own = project.pyproject.environment_parts();
    let homes = Pyproject::read(&project.home).unwrap_or_default().environment_parts();
    let stamp = format!("1 {:08x} ", short_hash(&format!("{locked}{own}{homes}")));
    let kept = state.names.checked_lock();
    let before = files::read_text(&kept).ok();
    if let Some(answer) = before.as_deref().and_then(|text| text.strip_prefix(&stamp)) {
        return answer == "stale";
    }
    let Some(is_stale) = ask(steps, project) else { return false };
    if state.dir().is_dir() {
        let _ = write(&kept, &format!("{stamp}{}", if is_stale { "stale" } else { "good" }));
    }
    is_stale
}

/// None where the tool is not there, or cannot say. uv is asked without the network first.
fn ask(steps: &Steps, project: &Project) -> Option<bool> {
    match project.tool {
        Tool::Poetry => ask_by(steps, project, &["check", "--lock"]),
        Tool::Uv => ask_by(steps, project, &["lock", "--check", "--offline"])
            .or_else(|| ask_by(steps, project, &["lock", "--check"])),
        Tool::Pdm => ask_by(steps, project, &["lock", "--check"]),
        Tool::Pip => None,
    }
}

fn ask_by(steps: &Steps, project: &Project, words: &[&str]) -> Option<bool> {
    const STALE: [&str; 5] =
        ["significantly", "not up to date", "needs to be updated", "doesn't match", "outdated"];
    let program = steps.which(project.tool.name())?;
    let step = Step::new(&program, &project.home).args(words.iter().copied()).unset(&ACTIVE);
    let output = steps.output(&steps.download(step, Utf8Path::new("python3"))).ok()?;
    if output.status.success() {
        return Some(false);
    }
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let said = said.concat().split_whitespace().collect::<Vec<_>>().join(" ");
    STALE.iter().any(|sign| said.contains(sign)).then_some(true)
}

impl Project {
    /// Whether a package is among what the project lists, itself or by what is locked for it:
    /// to install what is listed brings it.
    pub(super) fn lists(&self, package: &str) -> bool {
        let homes = || Pyproject::read(&self.home).unwrap_or_default().brings(package);
        self.pyproject.brings(package) || homes() || self.locks(package) || self.notes(package)
    }

    fn locks(&self, package: &str) -> bool {
        let lock = files::read_text(&self.home.join(lock_file(self.tool))).unwrap_or_default();
        let lock: toml::Table = lock.parse().unwrap_or_default();
        let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
        let mut names = packages.filter_map(|it| it.get("name")?.as_str());
        names.any(|name| normal(name) == normal(package))
    }

    /// In files that pip or setuptools read.
    fn notes(&self, package: &str) -> bool {
        let is_in = |file: &Utf8Path| {
            files::read_text(file).is_ok_and(|text| text.to_lowercase().contains(package))
        };
        self.tool == Tool::Pip && OTHER_LISTS.iter().any(|name| is_in(&self.root.join(name)))
    }
}
