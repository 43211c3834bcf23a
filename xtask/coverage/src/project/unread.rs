//! Where a project lists what its tests need in ways that only another tool reads: named where
//! something is missing in an environment of ours.

use camino::Utf8Path;

use super::pyproject::test_like;
use super::{Interpreter, Project};
use crate::files;

/// Lists that were not read when the environment was made, each as a line.
pub(crate) fn lists(project: &Project, python: &Interpreter) -> Vec<String> {
    if !python.owned {
        return Vec::new();
    }
    let text = |name: &str| files::read_text(&project.root.join(name)).unwrap_or_default();
    let mut lines = Vec::new();
    let mut add = |what: &str| lines.push(format!("not read, but it may list it: {what}"));
    if has_line(&text("tox.ini"), "deps") {
        add("`deps` in tox.ini");
    }
    let pyproject = project.pyproject.table_at(&["tool", "tox"]).is_some();
    if pyproject || project.root.join("tox.toml").is_file() {
        add("tox's environments in `[tool.tox]` or tox.toml");
    }
    if text("noxfile.py").contains(".install(") {
        add("what noxfile.py installs");
    }
    if has_line(&text("setup.py"), "tests_require") {
        add("`tests_require` in setup.py");
    }
    let groups = project.pyproject.table_at(&["dependency-groups"]);
    let extras = project.pyproject.table_at(&["project", "optional-dependencies"]);
    for (what, table) in [("group", groups), ("extra", extras)] {
        let names: Vec<String> = table.into_iter().flat_map(|it| it.keys().cloned()).collect();
        let read = test_like([names.clone(), vec![]]);
        names.iter().filter(|name| !read.contains(name)).for_each(|name| {
            add(&format!("the {what} `{name}` in pyproject.toml"));
        });
    }
    requirements(&project.root).iter().for_each(|name| add(name));
    lines
}

fn has_line(text: &str, key: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '+', ':']))
    })
}

/// Files of requirements that are not among those with the usual names.
fn requirements(root: &Utf8Path) -> Vec<String> {
    let folders = [root.to_path_buf(), root.join("requirements")];
    let entries = folders.iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten();
    let mut found: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_name().ends_with(".txt"))
        .map(|entry| entry.path().strip_prefix(root).unwrap_or(entry.path()).to_string())
        .filter(|name| name.contains("require"))
        .filter(|name| !super::environment::OTHER_LISTS.contains(&name.as_str()))
        .collect();
    found.sort();
    found
}
