//! Python projects that nobody has listed: files that are not ignored, and what among them is a
//! project with tests.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use ignore::WalkBuilder;

use super::{Steps, git};
use crate::files;

/// All files that are not ignored, relative to the root: git knows, where it can be asked.
pub(crate) fn files_of(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let quiet = |_: &str| {};
    let listed = git::files(&Steps::new(&quiet)?, root);
    let mut files = listed.unwrap_or_else(|| walk(root, true));
    files.sort();
    Ok(files)
}

/// Folders below a root that no ignore file leaves out, relative to it.
pub(super) fn folders_of(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut folders = walk(root, false);
    folders.sort();
    folders
}

/// Files or folders. Besides what ignore files name, what is usually no source is passed over:
/// environments, caches, what a build leaves.
fn walk(root: &Utf8Path, wants_files: bool) -> Vec<Utf8PathBuf> {
    const ASIDE: [&str; 6] = ["target", "node_modules", "__pycache__", "build", "dist", "venv"];
    let is_source = |entry: &ignore::DirEntry| {
        let Some(path) = Utf8Path::from_path(entry.path()) else { return false };
        let name = path.file_name().unwrap_or_default();
        let is_aside = (name.starts_with('.') && name != ".cargo")
            || ASIDE.contains(&name)
            || path.join("pyvenv.cfg").is_file()
            || path.join("CACHEDIR.TAG").is_file();
        entry.depth() == 0 || !is_aside || !path.is_dir()
    };
    let entries =
        WalkBuilder::new(root).hidden(false).require_git(false).filter_entry(is_source).build();
    let wanted = entries.flatten().filter(|entry| {
        entry.depth() > 0
            && entry
                .file_type()
                .is_some_and(|kind| if wants_files { kind.is_file() } else { kind.is_dir() })
    });
    let paths = wanted.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.into_path()).ok());
    paths.filter_map(|path| path.strip_prefix(root).ok().map(Utf8Path::to_path_buf)).collect()
}

/// Folders that are Python projects and have tests. What lies in another one, or among tests,
/// examples and templates, is a part or a sample.
pub(crate) fn projects(root: &Utf8Path, files: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
    const SAMPLES: [&str; 9] = [
        "test",
        "tests",
        "testdata",
        "fixtures",
        "examples",
        "example",
        "docs",
        "templates",
        "vendor",
    ];
    let is_sample = |folder: &Utf8Path| {
        folder
            .components()
            .any(|part| SAMPLES.contains(&part.as_str()) || part.as_str().contains('{'))
    };
    let mut found: Vec<Utf8PathBuf> = files
        .iter()
        .filter(|path| {
            ["pyproject.toml", "setup.py", "setup.cfg"]
                .contains(&path.file_name().unwrap_or_default())
        })
        .filter(|path| is_project(&root.join(path)))
        .filter_map(|path| path.parent())
        .map(Utf8Path::to_path_buf)
        .filter(|folder| !is_sample(folder))
        .collect();
    let is_around = |folder: &Utf8Path| found.iter().any(|other| other.starts_with(folder));
    let only_settings = files.iter().filter(|path| path.file_name() == Some("pyproject.toml"));
    let only_settings = only_settings.filter(|path| has_settings(&root.join(path)));
    let only_settings: Vec<Utf8PathBuf> = only_settings
        .filter_map(|path| path.parent())
        .filter(|folder| !folder.as_str().is_empty() && !is_sample(folder) && !is_around(folder))
        .map(Utf8Path::to_path_buf)
        .collect();
    found.extend(only_settings);
    found.sort();
    found.dedup();
    let all = found.clone();
    found.retain(|folder| {
        let within = |other: &&Utf8PathBuf| {
            !other.as_str().is_empty() && *other != folder && folder.starts_with(other)
        };
        let own = |path: &&Utf8PathBuf| {
            let nearest = path.ancestors().skip(1).find(|it| all.iter().any(|other| other == it));
            nearest == Some(folder) && is_test(path)
        };
        !all.iter().any(|other| within(&other)) && files.iter().any(|path| own(&path))
    });
    found
}

/// A file of tests, by the names that pytest takes if nothing is said.
pub(crate) fn is_test(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"))
}

/// Whether tests for pytest lie in a folder, or where they mostly are below it. Those of cargo are
/// not Python's.
pub(super) fn has_tests(folder: &Utf8Path) -> bool {
    let holds = |folder: Utf8PathBuf| {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        entries.map(|entry| entry.into_path()).any(|path| {
            (is_test(&path) || path.file_name() == Some("conftest.py")) && path.is_file()
        })
    };
    ["", "tests", "test"].iter().any(|below| holds(folder.join(below)))
}

/// Whether a `pyproject.toml` has settings for tests, which make its folder a project where there is
/// no other below it.
fn has_settings(path: &Utf8Path) -> bool {
    let table: toml::Table = files::read_text(path).unwrap_or_default().parse().unwrap_or_default();
    let tools = table.get("tool").and_then(toml::Value::as_table);
    tools.is_some_and(|it| ["pytest", "coverage"].iter().any(|name| it.contains_key(*name)))
}

/// A `pyproject.toml` may only configure tools, a `setup.cfg` too.
fn is_project(path: &Utf8Path) -> bool {
    let text = files::read_text(path).unwrap_or_default();
    match path.file_name() {
        Some("setup.py") => true,
        Some("setup.cfg") => text.lines().any(|line| line.trim() == "[metadata]"),
        _ => {
            let table: toml::Table = text.parse().unwrap_or_default();
            let poetry = table.get("tool").is_some_and(|tool| tool.get("poetry").is_some());
            let has = |key: &str| table.contains_key(key);
            has("project") || has("build-system") || poetry
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_tests_and_are_no_samples() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("pyproject.toml", "[tool.ruff]");
        write("services/a/pyproject.toml", "[project]\nname = 'a'");
        write("services/a/tests/test_a.py", "");
        write("services/a/tests/sample/pyproject.toml", "[project]\nname = 's'");
        write("services/a/plugins/p/setup.py", "");
        write("services/a/plugins/p/test_p.py", "");
        write("libs/b/setup.cfg", "[metadata]\nname = b");
        write("libs/b/b_test.py", "");
        write("libs/untested/setup.py", "");
        write("tools/setup.cfg", "[flake8]");
        write("tools/test_it.py", "");
        write("venv/pyvenv.cfg", "");
        write("venv/x/setup.py", "");
        write("venv/x/test_x.py", "");
        write(".gitignore", "/generated\n");
        write("generated/g/setup.py", "");
        write("generated/g/test_g.py", "");
        write("scripts/pyproject.toml", "[tool.pytest.ini_options]");
        write("scripts/test_s.py", "");
        write("services/pyproject.toml", "[tool.coverage.run]");
        write("services/test_all.py", "");
        let files = walk(root, true);
        assert_eq!(projects(root, &files), ["libs/b", "scripts", "services/a"]);
    }
}
