//! The environment that the user has activated, and why it may not be the one for a project.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::discover::PROJECT_FILES;
use super::pyproject::same_name;
use super::python::in_environment;
use super::{Interpreter, Project, Pyproject, State, Steps, Tool};

/// An environment that is there and is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassedOver {
    /// Its folder, and by what it was found.
    what: String,
    why: String,
    /// Whether the user is likely to think that it is used: worth a line in every run. Else it
    /// is named where something is missing.
    pub is_notable: bool,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not used: {}", self.what, self.why)
    }
}

/// The active environment, unless it is another project's or some program's own, and those that
/// are not used.
pub(super) fn find(
    steps: &Steps,
    project: &Project,
    state: &State,
) -> (Option<Interpreter>, Vec<PassedOver>) {
    let mut passed_over = Vec::new();
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        let Some(folder) = steps.var(name).map(Utf8PathBuf::from) else { continue };
        match refusal(steps, project, state, &folder) {
            Some((why, is_notable)) => passed_over.push(PassedOver {
                what: format!("`{folder}` ({name})"),
                why,
                is_notable,
            }),
            None => {
                let tool = tool(project, &folder);
                let python = folder.join("bin/python");
                return (Some(Interpreter::new(python, name, tool)), passed_over);
            }
        }
    }
    (None, passed_over)
}

/// poetry and pdm install into an active environment; uv does not.
fn tool(project: &Project, folder: &Utf8Path) -> Tool {
    match project.tool {
        Tool::Uv if folder != project.home.join(".venv") => Tool::Pip,
        tool => tool,
    }
}

/// Why an environment is not used, and whether that is worth a line in every run.
fn refusal(
    steps: &Steps,
    project: &Project,
    state: &State,
    folder: &Utf8Path,
) -> Option<(String, bool)> {
    if in_environment(folder).is_none() {
        return Some(("there is no `bin/python` in it".to_owned(), true));
    }
    let conda_base = steps.var("CONDA_DEFAULT_ENV").is_some_and(|name| name == "base")
        && steps.var("CONDA_PREFIX").is_some_and(|prefix| prefix == folder);
    if conda_base {
        let why = "it is conda's base environment; `conda activate` the project's own";
        return Some((why.to_owned(), false));
    }
    if let Some(program) = program_of(folder) {
        return Some((format!("it is the environment of a program ({program})"), false));
    }
    let owner = owner(project, state, folder)?;
    Some((format!("it is the environment of {owner}; `--python` takes it all the same"), true))
}

/// The program for which pipx, uv and others have made an environment: nobody's tests live there.
/// By what they leave in it, not by names of folders that anybody may use.
fn program_of(folder: &Utf8Path) -> Option<String> {
    let name = folder.file_name().unwrap_or_default();
    let made_by = [("pipx_metadata.json", "pipx"), ("uv-receipt.toml", "uv tool")];
    if let Some((_, tool)) = made_by.iter().find(|(file, _)| folder.join(file).is_file()) {
        return Some(format!("{name}, by {tool}"));
    }
    // What the installers of these make, and tools of our own.
    let installers = ["pypoetry/venv", "pdm/venv", "hatch/venv"];
    if let Some(path) = installers.iter().find(|path| folder.ends_with(path)) {
        return path.split('/').next().map(str::to_owned);
    }
    let hook = folder.parent().and_then(Utf8Path::parent).and_then(Utf8Path::file_name);
    let is_hook = hook == Some("pre-commit") && name.starts_with("py_env");
    let is_ours = folder.as_str().contains("/xtask/tools/");
    (is_hook || is_ours).then(|| if is_hook { "pre-commit" } else { name }.to_owned())
}

/// The other project that an environment belongs to: the one it lies in, or the one after which
/// a tool that keeps all environments in one place has named it.
fn owner(project: &Project, state: &State, folder: &Utf8Path) -> Option<String> {
    let around =
        |folder: &Utf8Path| project.root.starts_with(folder) || project.home.starts_with(folder);
    let real = folder.canonicalize_utf8().unwrap_or_else(|_| folder.to_path_buf());
    if let Some(other) = state_folder(&real).filter(|it| *it != state.dir()) {
        return Some(format!("another project (`{other}`)"));
    }
    let is_project =
        |folder: &&Utf8Path| PROJECT_FILES.iter().any(|file| folder.join(file).is_file());
    if let Some(other) = real.ancestors().skip(1).find(is_project) {
        // A copy of the project, as images of containers have it, is the same project.
        let same = |name: &str| own_names(project).iter().any(|own| same_name(own, name));
        let named = Pyproject::read(other).ok().and_then(|it| it.name().map(str::to_owned));
        let is_copy = named.is_some_and(|name| same(&name));
        return (!around(other) && !is_copy).then(|| format!("`{other}`"));
    }
    let name = kept_for(&real)?;
    let own = own_names(project);
    let is_own = own.iter().any(|own| same_name(own, name) || shortened(own) == shortened(name));
    (!is_own).then(|| format!("project `{name}`"))
}

/// The state folder that an environment of ours lies in.
fn state_folder(folder: &Utf8Path) -> Option<&Utf8Path> {
    let state = folder.parent()?;
    state.parent()?.ends_with("xtask/coverage").then_some(state)
}

/// What tests get in the place of environments of other projects that are active, so that a
/// program which a test starts (`python`, `flask`) is not another project's: its own environment,
/// as if that was active.
pub(super) fn instead_of_others(
    steps: &Steps,
    project: &Project,
    state: &State,
    interpreter: &Interpreter,
) -> Vec<(String, String)> {
    let is_others = |folder: &Utf8Path| {
        in_environment(folder).is_some()
            && !interpreter.executable.starts_with(folder)
            && owner(project, state, folder).is_some()
    };
    let own = interpreter.executable.parent().and_then(Utf8Path::parent);
    let own = own.filter(|folder| folder.join("pyvenv.cfg").is_file());
    let own = own.map(Utf8Path::as_str);
    let path = steps.var("PATH").unwrap_or_default();
    let mut variables = Vec::new();
    variables.extend(without(&path, own, is_others).map(|path| ("PATH".to_owned(), path)));
    for (name, instead) in [("VIRTUAL_ENV", own), ("CONDA_PREFIX", None)] {
        if steps.var(name).is_some_and(|folder| is_others(folder.as_str().into())) {
            variables.push((name.to_owned(), instead.unwrap_or_default().to_owned()));
        }
    }
    variables
}

/// A search path with the own environment in the place of those of others; none where there are
/// none.
fn without(path: &str, own: Option<&str>, is_others: impl Fn(&Utf8Path) -> bool) -> Option<String> {
    let of_others = |entry: &str| entry.strip_suffix("/bin").is_some_and(|it| is_others(it.into()));
    let entries: Vec<&str> = path.split(':').collect();
    let first = entries.iter().position(|entry| of_others(entry))?;
    let own = own.map(|folder| format!("{folder}/bin"));
    let (before, after) = entries.split_at(first);
    let after = after.iter().filter(|entry| !of_others(entry));
    let all = before.iter().copied().chain(own.as_deref()).chain(after.copied());
    Some(all.collect::<Vec<_>>().join(":"))
}

/// What this project, and those around it whose environment it may share, may be called.
fn own_names(project: &Project) -> Vec<String> {
    let mut names = Vec::new();
    for folder in project.root.ancestors().chain([project.home.as_path()]) {
        let pyproject = Pyproject::read(folder).unwrap_or_default();
        if folder != project.root && folder != project.home && !pyproject.exists() {
            continue;
        }
        names.extend(folder.file_name().into_iter().chain(pyproject.name()).map(str::to_owned));
    }
    names
}

/// poetry cuts long names.
fn shortened(name: &str) -> String {
    name.to_lowercase().chars().take(42).collect()
}

/// The name in the folder of an environment that poetry, pdm or hatch keep in a place of their
/// own: `NAME-HASHHASH-py3.12`, `venvs/NAME-HASHHASH-3.12`, `hatch/env/virtual/NAME/HASH/ENV`.
fn kept_for(folder: &Utf8Path) -> Option<&str> {
    let name = folder.file_name()?;
    let above = |count: usize| folder.ancestors().nth(count);
    if above(3).is_some_and(|store| store.ends_with("env/virtual")) {
        return above(2)?.file_name();
    }
    let (rest, python) = name.rsplit_once('-')?;
    let (owner, hash) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let is_hash = hash.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let is_pdm = folder.parent()?.ends_with("pdm/venvs");
    let is_version = |text: &str| text.starts_with("3.") && text.len() > 2;
    let is_python = match python.strip_prefix("py") {
        Some(version) => is_version(version),
        None => is_pdm && is_version(python),
    };
    owner.strip_suffix('-').filter(|owner| is_hash && is_python && !owner.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_environment_takes_the_place_of_others() {
        let others = |folder: &Utf8Path| folder.as_str().starts_with("/other");
        let path = |path, own| without(path, own, others);
        let whole = "/x:/other/bin:/usr/bin:/other/2/bin:/bin";
        assert_eq!(path(whole, Some("/own")).as_deref(), Some("/x:/own/bin:/usr/bin:/bin"));
        assert_eq!(path(whole, None).as_deref(), Some("/x:/usr/bin:/bin"));
        assert_eq!(path("/usr/bin:/other", Some("/own")), None);
    }

    #[test]
    fn names_of_kept_environments() {
        let table = [
            ("/c/pypoetry/virtualenvs/shop-aB3_-xYz-py3.12", Some("shop")),
            ("/c/anywhere/two-words-aB3_3xYz-py3.9", Some("two-words")),
            ("/c/pdm/venvs/shop-AbCdEfGh-3.11", Some("shop")),
            ("/c/hatch/env/virtual/shop/AbCdEfGh/test", Some("shop")),
            ("/home/u/envs/shop-3.11", None),
            ("/home/u/envs/shop-work-stuff-py3", None),
            ("/home/u/envs/work", None),
            ("/home/u/envs/päckchen-3.11", None),
            ("/", None),
        ];
        for (folder, name) in table {
            assert_eq!(kept_for(Utf8Path::new(folder)), name, "{folder}");
        }
    }
}
