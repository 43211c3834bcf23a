//! Which Python projects are meant: the one around a folder, those named, or the
//! workspace's default ones.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use globset::GlobBuilder;

use super::pyproject::same_name;
use super::{Project, Pyproject, Tool, Workspace, canonical, found};
use crate::exit;

/// Files that make a folder a Python project wherever it lies.
pub(super) const PROJECT_FILES: [&str; 3] = ["pyproject.toml", "setup.py", "setup.cfg"];
/// Files that make one only where no folder above has one of the others: many projects keep
/// a second `pytest.ini` inside `tests/`.
const TEST_FILES: [&str; 4] = ["pytest.toml", "pytest.ini", "tox.ini", ".coveragerc"];

/// The projects to run: those `wanted` (folders or names), else the workspace's default
/// ones where `cwd` is its root, else the nearest one upwards. Sorted, each once.
pub(crate) fn find(
    cwd: &Utf8Path,
    wanted: &[String],
    workspace: Option<&Workspace>,
) -> Result<Vec<Project>> {
    let cwd = canonical(cwd)?;
    let mut roots = match (wanted, workspace) {
        ([], Some(workspace))
            if cwd == workspace.root && !workspace.default_projects.is_empty() =>
        {
            expand(workspace, "default-projects", &workspace.default_projects)?
        }
        ([], _) => nearest(&cwd, workspace)?,
        (wanted, _) => {
            wanted.iter().map(|word| named(&cwd, word, workspace)).collect::<Result<_>>()?
        }
    };
    roots.sort();
    roots.dedup();
    projects_in(&roots, workspace)
}

/// Of several, one whose file is broken is no reason not to run the others: it says so when it is
/// its turn.
fn projects_in(roots: &[Utf8PathBuf], workspace: Option<&Workspace>) -> Result<Vec<Project>> {
    let read = |root: &Utf8PathBuf| match roots.len() {
        0 | 1 => Project::read(root, workspace),
        _ => Ok(one_of_several(root, workspace)),
    };
    roots.iter().map(read).collect()
}

/// The project in a folder, where others run besides.
pub(crate) fn one_of_several(root: &Utf8Path, workspace: Option<&Workspace>) -> Project {
    let read = Project::read(root, workspace);
    read.unwrap_or_else(|error| Project::broken(root, &error))
}

/// Every project that the workspace lists, else those that are found in it, for `--all`.
pub(crate) fn all(cwd: &Utf8Path, workspace: Option<&Workspace>) -> Result<Vec<Project>> {
    let roots = match workspace {
        Some(workspace) if !workspace.projects.is_empty() => {
            expand(workspace, "projects", &workspace.projects)?
        }
        Some(workspace) => found_in(&workspace.root)?,
        None => found_in(&canonical(cwd)?)?,
    };
    if roots.is_empty() {
        return Err(none_in(workspace.map_or(cwd, |workspace| &workspace.root), " or below it"));
    }
    projects_in(&roots, workspace)
}

/// Those that nobody has listed.
fn found_in(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let folders = found::projects(root, &found::files_of(root)?);
    Ok(folders
        .iter()
        .map(|folder| if folder.as_str().is_empty() { root.to_owned() } else { root.join(folder) })
        .collect())
}

impl Project {
    /// The project in a folder.
    pub(crate) fn read(root: &Utf8Path, workspace: Option<&Workspace>) -> Result<Project> {
        let root = canonical(root)?;
        let pyproject = Pyproject::read(&root)?;
        let (tool, home) = manager(&root, &pyproject, workspace);
        let name = root.file_name().unwrap_or("root").to_owned();
        Ok(Project { name, root, tool, home, pyproject, head: OnceLock::new(), broken: None })
    }

    /// One that cannot be read.
    fn broken(root: &Utf8Path, error: &anyhow::Error) -> Project {
        Project {
            name: root.file_name().unwrap_or("root").to_owned(),
            root: root.to_owned(),
            tool: Tool::Pip,
            home: root.to_owned(),
            pyproject: Pyproject::default(),
            head: OnceLock::new(),
            broken: Some(format!("{error:#}")),
        }
    }

    /// The environments of one lane are to be made one after the other: those of one folder, and
    /// those of a tool that does not say that it may run twice at once.
    pub(crate) fn lane(&self) -> String {
        match self.tool {
            Tool::Poetry | Tool::Pdm => self.tool.name().to_owned(),
            Tool::Uv | Tool::Pip => self.home.to_string(),
        }
    }

    /// An error where its configuration cannot be read.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.broken {
            Some(why) => Err(exit::usage(why.clone()).into()),
            None => Ok(()),
        }
    }
}

fn nearest(cwd: &Utf8Path, workspace: Option<&Workspace>) -> Result<Vec<Utf8PathBuf>> {
    let around: Vec<_> = around(cwd, workspace).collect();
    let holding = |files: &[&str]| {
        let found =
            around.iter().find(|folder| files.iter().any(|file| folder.join(file).is_file()));
        found.map(|folder| vec![(*folder).to_owned()])
    };
    if let Some(root) = holding(&PROJECT_FILES).or_else(|| holding(&TEST_FILES)) {
        return Ok(root);
    }
    match workspace {
        Some(workspace) if !workspace.default_projects.is_empty() => {
            expand(workspace, "default-projects", &workspace.default_projects)
        }
        Some(workspace) if !workspace.projects.is_empty() => {
            expand(workspace, "projects", &workspace.projects)
        }
        Some(workspace) if workspace.root == cwd => match found_in(cwd)? {
            found if found.is_empty() => unconfigured(cwd),
            found => Ok(found),
        },
        _ => unconfigured(cwd),
    }
}

/// pytest needs no configuration, so a folder with tests does without.
fn unconfigured(cwd: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    match found::has_tests(cwd) {
        true => Ok(vec![cwd.to_owned()]),
        false => Err(none_in(cwd, " or above it, and no tests")),
    }
}

/// A folder and those above it, as far as the repository or the Cargo workspace goes:
/// a stray `setup.cfg` in somebody's home is not the project of everything below.
fn around<'a>(
    folder: &'a Utf8Path,
    workspace: Option<&'a Workspace>,
) -> impl Iterator<Item = &'a Utf8Path> {
    let is_top = move |folder: &Utf8Path| {
        folder.join(".git").exists() || workspace.is_some_and(|workspace| workspace.root == folder)
    };
    let top = folder.ancestors().position(is_top).unwrap_or(usize::MAX - 1);
    folder.ancestors().take(top + 1)
}

/// The folder that `-p` means. A known name wins over a folder of that name.
fn named(cwd: &Utf8Path, word: &str, workspace: Option<&Workspace>) -> Result<Utf8PathBuf> {
    let known = workspace.map(known).transpose()?.unwrap_or_default();
    let called: Vec<_> =
        known.iter().filter(|(names, _)| names.iter().any(|name| same_name(name, word))).collect();
    match called.as_slice() {
        [] => folder(cwd, word, &known),
        [(_, root)] => Ok(root.clone()),
        several => {
            let paths: Vec<_> = several.iter().map(|(_, root)| format!("`{root}`")).collect();
            Err(exit::usage(format!(
                "`{word}` is the name of {}; give the folder",
                paths.join(" and ")
            ))
            .into())
        }
    }
}

type Known = Vec<(Vec<String>, Utf8PathBuf)>;

/// The listed projects, else those that are found: what each may be called, and where it is.
fn known(workspace: &Workspace) -> Result<Known> {
    let patterns = [&workspace.projects[..], &workspace.default_projects].concat();
    let roots = match patterns.as_slice() {
        [] => found_in(&workspace.root)?,
        patterns => expand(workspace, "projects", patterns)?,
    };
    let call = |root: Utf8PathBuf| {
        let names = root
            .file_name()
            .into_iter()
            // One that is broken is no reason not to run another.
            .chain(Pyproject::read(&root).ok().as_ref().and_then(Pyproject::name))
            .map(str::to_owned)
            .collect();
        (names, root)
    };
    Ok(roots.into_iter().map(call).collect())
}

fn folder(cwd: &Utf8Path, word: &str, known: &Known) -> Result<Utf8PathBuf> {
    let path = cwd.join(word);
    if path.is_dir() {
        let root = canonical(&path)?;
        return if is_project(&root) { Ok(root) } else { Err(none_in(&root, "")) };
    }
    let names: Vec<_> =
        known.iter().filter_map(|(names, _)| names.first()).map(String::as_str).collect();
    let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(exit::usage(format!("no project or folder `{word}` (known projects: {list})")).into())
}

fn is_project(folder: &Utf8Path) -> bool {
    PROJECT_FILES.iter().chain(&TEST_FILES).any(|file| folder.join(file).is_file())
}

fn none_in(folder: &Utf8Path, more: &str) -> anyhow::Error {
    let files = [&PROJECT_FILES[..], &TEST_FILES].concat().join(", ");
    exit::usage(format!("no Python project in `{folder}`{more}; looked for {files}")).into()
}

/// The folders that patterns of the workspace stand for, sorted, each once.
fn expand(workspace: &Workspace, key: &str, patterns: &[String]) -> Result<Vec<Utf8PathBuf>> {
    let mut roots = Vec::new();
    for pattern in patterns {
        let listed = || {
            let cargo = workspace.root.join("Cargo.toml");
            exit::usage(format!("`{key}` in {cargo} lists `{pattern}`"))
        };
        let found = glob(&workspace.root, pattern).with_context(listed)?;
        if found.is_empty() {
            return Err(none_in(&workspace.root.join(pattern), "")).with_context(listed);
        }
        roots.extend(found);
    }
    roots.sort();
    roots.dedup();
    Ok(roots)
}

/// The projects that one pattern stands for: a folder as it is written, or a glob (`*`, `**`,
/// `{a,b}`, `[ab]`) over the folders that no ignore file leaves out.
fn glob(root: &Utf8Path, pattern: &str) -> Result<Vec<Utf8PathBuf>> {
    let pattern = pattern.trim_end_matches('/').trim_start_matches("./");
    let folders = match has_wildcards(pattern) {
        false => vec![root.join(pattern)],
        true => matching(root, pattern)?,
    };
    folders.iter().filter(|folder| is_project(folder)).map(|folder| canonical(folder)).collect()
}

/// True for a pattern that may stand for several folders.
pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

fn matching(root: &Utf8Path, pattern: &str) -> Result<Vec<Utf8PathBuf>> {
    // What lies before the first wildcard may be outside of the root, and need not be walked past.
    let parts: Vec<&str> = pattern.split('/').collect();
    let plain = parts.iter().take_while(|part| !has_wildcards(part)).count();
    let start = root.join(parts[..plain].join("/"));
    let glob = GlobBuilder::new(&parts[plain..].join("/")).literal_separator(true).build();
    let glob = glob.map_err(|error| exit::usage(format!("no pattern: {}", error.kind())))?;
    let glob = glob.compile_matcher();
    let folders = found::folders_of(&start).into_iter().filter(|folder| glob.is_match(folder));
    Ok(folders.map(|folder| start.join(folder)).collect())
}

/// Who manages the environment, and from which folder. The lock file beside the project
/// says it best; then the tool's own table; then a lock file further up, as uv workspaces
/// have it; then the build backend.
fn manager(
    root: &Utf8Path,
    pyproject: &Pyproject,
    workspace: Option<&Workspace>,
) -> (Tool, Utf8PathBuf) {
    let tools = [Tool::Uv, Tool::Poetry, Tool::Pdm];
    let locks =
        |folder: &Utf8Path| tools.into_iter().find(|tool| folder.join(lock_file(*tool)).is_file());
    let table = || {
        [Tool::Poetry, Tool::Pdm, Tool::Uv]
            .into_iter()
            .find(|tool| pyproject.has(&["tool", tool.name()]))
    };
    let above =
        || around(root, workspace).skip(1).find_map(|folder| Some((locks(folder)?, folder)));
    match (locks(root), table(), above()) {
        (Some(tool), ..) => (tool, root.to_owned()),
        // Members of a uv workspace have `[tool.uv]` tables and share the root's environment.
        (None, None | Some(Tool::Uv), Some((Tool::Uv, folder))) => (Tool::Uv, folder.to_owned()),
        (None, Some(tool), _) => (tool, root.to_owned()),
        (None, None, Some((tool, folder))) if !pyproject.has(&["project"]) => {
            (tool, folder.to_owned())
        }
        _ => (backend_tool(pyproject.build_backend().unwrap_or_default()), root.to_owned()),
    }
}

/// The file in which a tool pins what it installs.
pub(super) fn lock_file(tool: Tool) -> &'static str {
    match tool {
        Tool::Poetry => "poetry.lock",
        Tool::Uv => "uv.lock",
        Tool::Pdm => "pdm.lock",
        Tool::Pip => "pylock.toml",
    }
}

fn backend_tool(backend: &str) -> Tool {
    match backend.split(['.', ':']).next() {
        Some("poetry") => Tool::Poetry,
        Some("uv_build") => Tool::Uv,
        Some("pdm") => Tool::Pdm,
        _ => Tool::Pip,
    }
}
