//! Files of the project that get into each other's way, are out of date, or cannot be written.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::Finding;
use super::Level::{Error, Note, Warning};
use crate::files;
use crate::model::NodeId;
use crate::model::format::count;
use crate::prepare;
use crate::project::found::is_test;
use crate::project::{Facts, Project, Steps, git};
use crate::split::Durations;

pub(super) fn look(project: &Project, facts: Option<&Facts>) -> Vec<Finding> {
    let mut findings = clashes(project, facts);
    findings.extend(facts.and_then(|facts| durations(project, facts)));
    findings.extend(left_over(&project.root));
    findings.extend(unwritable(project));
    findings.extend(repository(&project.root));
    findings
}

/// Test files of one name in folders without `__init__.py` are one module to pytest, unless it
/// imports them in another way.
fn clashes(project: &Project, facts: Option<&Facts>) -> Vec<Finding> {
    let addopts = facts.and_then(|facts| facts.pytest.as_ref()).map(|pytest| &pytest.addopts);
    if addopts.is_some_and(|words| words.iter().any(|word| word.contains("importlib"))) {
        return Vec::new();
    }
    let mut modules = BTreeMap::<String, Vec<Utf8PathBuf>>::new();
    for file in test_files(&project.root) {
        modules.entry(module(&file)).or_default().push(file);
    }
    let clashing = modules.into_iter().filter(|(_, files)| files.len() > 1);
    clashing
        .map(|(name, files)| {
            let names: Vec<String> = files
                .iter()
                .map(|file| file.strip_prefix(&project.root).unwrap_or(file).to_string())
                .collect();
            let what = format!("{} are all imported as `{name}`", names.join(", "));
            let fix =
                "add an `__init__.py` to their folders, or `--import-mode=importlib` to addopts";
            Finding::new("names", Error, what).fix(fix)
        })
        .collect()
}

/// The name by which pytest imports a file: from the first folder above that is no package.
fn module(file: &Utf8Path) -> String {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    let packages = file.ancestors().skip(1).take_while(|it| it.join("__init__.py").is_file());
    for package in packages {
        name = format!("{}.{name}", package.file_name().unwrap_or_default());
    }
    name
}

fn test_files(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    gather(root, &mut found);
    found.sort();
    found
}

/// Of what pytest passes over (`norecursedirs`), the usual part is passed over here too; and a
/// folder that is a project of its own.
fn gather(folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    const ASIDE: [&str; 7] =
        ["build", "dist", "node_modules", "venv", "__pycache__", "target", "site-packages"];
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let is_aside = name.starts_with('.')
                || ASIDE.contains(&name)
                || name.ends_with(".egg")
                || ["pyvenv.cfg", "pyproject.toml", "setup.py", "Cargo.lock"]
                    .iter()
                    .any(|file| path.join(file).is_file());
            if !is_aside {
                gather(path, found);
            }
        } else if is_test(path) {
            found.push(path.to_path_buf());
        }
    }
}

/// Entries of tests that are not there any more make splits uneven.
fn durations(project: &Project, facts: &Facts) -> Option<Finding> {
    let file = prepare::job::committed_durations(project, facts)?;
    let store = "cargo xtask coverage --store-durations";
    let what = |error: String| Finding::new("durations", Error, format!("{file}: {error}"));
    let text = match files::read_text(&file) {
        Ok(text) => text,
        Err(error) => return Some(what(error.to_string())),
    };
    if let Err(error) = Durations::parse(&text) {
        return Some(what(format!("{error:#}")).fix(format!("git checkout {file}")));
    }
    let table: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
    let rootdir = facts.pytest.as_ref().map_or(&project.root, |pytest| &pytest.rootdir);
    let is_gone = |id: &&String| !rootdir.join(NodeId(id).file()).exists();
    let gone = table.keys().filter(is_gone).count();
    (gone > 0).then(|| {
        let all = count(table.len() as u64, "test");
        let what = format!("{file}: of {all}, {gone} are in files that are not there");
        Finding::new("durations", Warning, what).fix(store)
    })
}

/// Data of processes that nobody has combined: coverage's own commands take it in.
fn left_over(root: &Utf8Path) -> Option<Finding> {
    let entries = root.read_dir_utf8().into_iter().flatten().flatten();
    let parts = entries.filter(|entry| {
        let name = entry.file_name();
        name.starts_with(".coverage.") && name.matches('.').count() > 3
    });
    let parts = parts.count() as u64;
    (parts > 0).then(|| {
        let what = format!("{} beside `.coverage` from other runs", count(parts, "data file"));
        Finding::new("stale-data", Warning, what).fix(format!("rm {root}/.coverage.*"))
    })
}

fn unwritable(project: &Project) -> Option<Finding> {
    let root = &project.root;
    (!files::is_writable(root)).then(|| {
        let what = format!("{root} cannot be written: reports go to a folder of ours");
        Finding::new("files", Note, what)
    })
}

fn repository(root: &Utf8Path) -> Option<Finding> {
    let quiet = |_: &str| {};
    let steps = Steps::new(&quiet).ok()?;
    match git::condition(&steps, root) {
        git::Condition::Sound => None,
        git::Condition::None => Some(Finding::new(
            "git",
            Note,
            "no git repository: `--diff` has nothing to compare with",
        )),
        git::Condition::Shallow => {
            let what = "the clone is shallow: `--diff` may not find its base";
            Some(Finding::new("git", Note, what).fix("git fetch --unshallow"))
        }
        git::Condition::Refused(said) => {
            let what = format!("git refuses to read the repository: {said}");
            let fix = format!("git config --global --add safe.directory {root}");
            Some(Finding::new("git", Warning, what).fix(fix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_module_name_are_found() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        let write = |name: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        };
        ["a/test_x.py", "b/test_x.py", "c/__init__.py", "c/test_x.py", "d/test_y.py"]
            .into_iter()
            .for_each(write);
        ["e/pyproject.toml", "e/test_x.py", ".venv/test_y.py"].into_iter().for_each(write);
        let names: Vec<String> = test_files(root).iter().map(|file| module(file)).collect();
        assert_eq!(names, ["test_x", "test_x", "c.test_x", "test_y"]);
    }
}
