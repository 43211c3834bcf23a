//! What a project depends on by its path: folders and files on disk, as each tool has them listed.

use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use globset::GlobBuilder;
use toml::{Table, Value};

use super::pyproject::same_name;
use super::{Pyproject, found};
use crate::files;

/// The folders and files that the project in a folder depends on, absolute; none of its own.
pub(super) fn paths(root: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let pyproject = Pyproject::read(root).unwrap_or_default();
    let mut found: Vec<Utf8PathBuf> = Vec::new();
    found.extend(of_poetry(&pyproject).into_iter().map(|path| root.join(path)));
    found.extend(of_uv(root, &pyproject));
    found.extend(requirements(root, &pyproject).iter().filter_map(|it| of_requirement(root, it)));
    found.extend(pyproject.python_path().into_iter().map(|path| root.join(path)));
    let real = |path: Utf8PathBuf| path.canonicalize_utf8().unwrap_or_else(|_| plain(&path));
    let found = found.into_iter().map(real);
    found.filter(|path| !path.starts_with(root) && !root.starts_with(path)).collect()
}

/// A path without `.` and `..`, of what need not be there.
fn plain(path: &Utf8Path) -> Utf8PathBuf {
    let mut whole = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::ParentDir => drop(whole.pop()),
            Utf8Component::CurDir => {}
            other => whole.push(other),
        }
    }
    whole
}

/// `{ path = "../lib" }`, alone or in a list of which markers choose.
fn sources(value: &Value) -> impl Iterator<Item = &Table> {
    let several = value.as_array().into_iter().flatten().filter_map(Value::as_table);
    value.as_table().into_iter().chain(several)
}

fn path_of(source: &Table) -> Option<&str> {
    source.get("path")?.as_str()
}

fn of_poetry(pyproject: &Pyproject) -> Vec<String> {
    let at = |path: &[&str]| pyproject.table_at(path).into_iter().flatten();
    let groups = at(&["tool", "poetry", "group"]);
    let groups = groups.filter_map(|(_, group)| group.get("dependencies")?.as_table()).flatten();
    let listed = at(&["tool", "poetry", "dependencies"]).chain(groups);
    let listed = listed.chain(at(&["tool", "poetry", "dev-dependencies"]));
    listed.flat_map(|(_, value)| sources(value)).filter_map(path_of).map(str::to_owned).collect()
}

/// Its own sources, and those of the workspace that it is a member of, as far as it needs them.
fn of_uv(root: &Utf8Path, pyproject: &Pyproject) -> Vec<Utf8PathBuf> {
    let around =
        || root.ancestors().map(|folder| (folder, Pyproject::read(folder).unwrap_or_default()));
    let workspace = around().find(|(_, it)| it.has(&["tool", "uv", "workspace"]));
    let own = [(root, pyproject)].into_iter();
    let shared = workspace.iter().map(|(folder, it)| (*folder, it)).filter(|(it, _)| *it != root);
    let needed = names(root, pyproject);
    let is_needed = |name: &str| needed.iter().any(|it| same_name(it, name));
    let mut found = Vec::new();
    for (folder, listing) in own.chain(shared) {
        let table = listing.table_at(&["tool", "uv", "sources"]).into_iter().flatten();
        for (name, value) in table.filter(|(name, _)| folder == root || is_needed(name)) {
            for source in sources(value) {
                found.extend(path_of(source).map(|path| folder.join(path)));
                let is_member = source.get("workspace").and_then(Value::as_bool) == Some(true);
                let member = || workspace.as_ref().and_then(|(top, it)| member(top, it, name));
                found.extend(is_member.then(member).flatten());
            }
        }
    }
    found
}

/// The member of a uv workspace that has this name.
fn member(top: &Utf8Path, pyproject: &Pyproject, name: &str) -> Option<Utf8PathBuf> {
    let patterns = pyproject.at(&["tool", "uv", "workspace", "members"])?.as_array()?;
    let globs = patterns.iter().filter_map(Value::as_str).filter_map(|pattern| {
        let pattern = pattern.trim_end_matches('/');
        Some(GlobBuilder::new(pattern).literal_separator(true).build().ok()?.compile_matcher())
    });
    let globs: Vec<_> = globs.collect();
    let mut members = found::folders_of(top).into_iter();
    let is_it = |folder: &Utf8PathBuf| {
        globs.iter().any(|glob| glob.is_match(folder))
            && Pyproject::read(&top.join(folder))
                .is_ok_and(|it| it.name().is_some_and(|known| same_name(known, name)))
    };
    members.find(is_it).map(|folder| top.join(folder))
}

/// Every requirement that is written somewhere, also as a line of `requirements.txt`.
fn requirements(root: &Utf8Path, pyproject: &Pyproject) -> Vec<String> {
    const LISTS: [&[&str]; 3] = [
        &["project", "dependencies"],
        &["build-system", "requires"],
        &["tool", "uv", "dev-dependencies"],
    ];
    const TABLES: [&[&str]; 3] = [
        &["project", "optional-dependencies"],
        &["dependency-groups"],
        &["tool", "pdm", "dev-dependencies"],
    ];
    let lists = LISTS.iter().filter_map(|path| pyproject.at(path));
    let tables = TABLES.iter().filter_map(|path| pyproject.table_at(path)).flatten();
    let envs = pyproject.table_at(&["tool", "hatch", "envs"]).into_iter().flatten();
    let envs = envs.flat_map(|(_, env)| {
        ["dependencies", "extra-dependencies"].into_iter().filter_map(|key| env.get(key))
    });
    let lists = lists.chain(tables.map(|(_, list)| list)).chain(envs);
    let listed = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let mut all: Vec<String> = listed.map(str::to_owned).collect();
    for folder in [root.to_owned(), root.join("requirements")] {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        let lists = entries.map(|entry| entry.into_path()).filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name.ends_with(".txt") && (name.contains("requirements") || folder != root)
        });
        all.extend(lists.flat_map(|path| lines(&path)));
    }
    let setup = lines(&root.join("setup.cfg")).into_iter();
    all.extend(setup.filter(|line| line.contains("file:")));
    all
}

/// The names of what a project requires.
fn names(root: &Utf8Path, pyproject: &Pyproject) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let requirements = requirements(root, pyproject).into_iter();
    requirements.map(|it| it.split(|c| !is_name(c)).next().unwrap_or_default().to_owned()).collect()
}

/// The lines of a file, comments taken off.
fn lines(path: &Utf8Path) -> Vec<String> {
    let text = files::read_text(path).unwrap_or_default();
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Where `-e ../lib`, `../lib[extra]` or `lib @ file:///${PROJECT_ROOT}/../lib` lead.
fn of_requirement(root: &Utf8Path, requirement: &str) -> Option<Utf8PathBuf> {
    let text = in_place(root, requirement);
    let text = ["-e ", "--editable ", "--editable="]
        .iter()
        .find_map(|option| text.strip_prefix(option))
        .unwrap_or(&text)
        .trim();
    let path = match text.find("file:") {
        Some(at) => {
            let path = &text[at + "file:".len()..];
            let path =
                path.strip_prefix("//localhost/").map_or(path, |_| &path["//localhost".len()..]);
            // Three slashes are a host that is not there, and the first of the path.
            path.strip_prefix("//").unwrap_or(path)
        }
        None if text.starts_with("./") || text.starts_with("../") => text,
        None => return None,
    };
    let end = path.find(['#', ';', '[', ' ']).unwrap_or(path.len());
    Some(root.join(decoded(&path[..end])))
}

/// What pdm and hatch have the project's folder fill in.
fn in_place(root: &Utf8Path, requirement: &str) -> String {
    let mut text = requirement.replace("${PROJECT_ROOT}", root.as_str()).replace("////", "///");
    for (depth, folder) in root.ancestors().enumerate().take(5) {
        let name = ["{root", &":parent".repeat(depth)].concat();
        text = text.replace(&format!("{name}:uri}}"), &format!("file://{folder}"));
        text = text.replace(&format!("{name}}}"), folder.as_str());
    }
    text
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code = path.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Pyproject {
    /// pytest's `pythonpath`: code beside the project that its tests import.
    fn python_path(&self) -> Vec<String> {
        let value = self.at(&["tool", "pytest", "ini_options", "pythonpath"]);
        let value = value.or_else(|| self.at(&["tool", "pytest", "pythonpath"]));
        match value {
            Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let temp = tempfile::tempdir().expect("a folder");
        let top = Utf8Path::from_path(temp.path()).expect("UTF-8").canonicalize_utf8();
        let top = top.expect("a real path");
        let write = |name: &str, text: &str| {
            let path = top.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        let root = "[tool.uv.workspace]\nmembers = ['p', 'libs/*']\n\
                    [tool.uv.sources]\nshared = { workspace = true }\nother = { path = 'other' }\n";
        write("pyproject.toml", root);
        write("libs/one/pyproject.toml", "[project]\nname = 'shared_lib'\n");
        write("libs/two/pyproject.toml", "[project]\nname = 'Shared'\n");
        write("p/pyproject.toml", text);
        let paths = paths(&top.join("p")).into_iter();
        paths.map(|path| path.strip_prefix(&top).unwrap_or(&path).to_string()).collect()
    }

    #[test]
    fn each_tool_has_its_way_to_name_a_path() {
        let table: [(&str, &[&str]); 14] = [
            (
                "[tool.poetry.dependencies]\na = { path = '../libs/a', develop = true }\nb = '1'",
                &["libs/a"],
            ),
            (
                "[tool.poetry.group.dev.dependencies]\na = [{ path = '../a' }, { path = '../b' }]",
                &["a", "b"],
            ),
            ("[tool.poetry.dev-dependencies]\na = { path = '../a/x.whl' }", &["a/x.whl"]),
            ("[tool.uv.sources]\na = { path = '../a', editable = true }", &["a"]),
            ("[tool.uv.sources]\nshared-lib = { workspace = true }", &["libs/one"]),
            // The workspace's own sources hold for its members, where they need them.
            ("[project]\nname = 'p'\ndependencies = ['shared']", &["libs/two"]),
            ("[project]\nname = 'p'\ndependencies = ['requests']", &[]),
            (
                "[project]\ndependencies = ['a @ file:///${PROJECT_ROOT}/../a%20b ; python_version > \"3\"']",
                &["a b"],
            ),
            (
                "[tool.pdm.dev-dependencies]\ndev = ['-e file:///${PROJECT_ROOT}/../a#egg=a']",
                &["a"],
            ),
            ("[project.optional-dependencies]\nx = ['a @ {root:parent:uri}/a']", &["a"]),
            ("[dependency-groups]\ndev = ['a @ {root:uri}/../a', { include-group = 'x' }]", &["a"]),
            ("[tool.hatch.envs.test]\ndependencies = ['a @ file:../a']", &["a"]),
            ("[tool.pytest.ini_options]\npythonpath = ['src', '../a/src']", &["a/src"]),
            ("[tool.poetry.dependencies]\np = { path = '.' }\nall = { path = '..' }", &[]),
        ];
        for (text, wanted) in table {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn requirements_may_be_paths() {
        let table = [
            ("-e ../a[x]", Some("/w/a")),
            ("--editable=../a", Some("/w/a")),
            ("./a  # a comment", Some("/w/p/a")),
            ("a @ file://localhost/b/c", Some("/b/c")),
            ("requests>=2", None),
            ("a @ https://example.org/a.whl", None),
            ("-r ../other.txt", None),
        ];
        for (text, wanted) in table {
            let found = of_requirement("/w/p".into(), text).map(|path| plain(&path));
            assert_eq!(found.as_deref().map(Utf8Path::as_str), wanted, "{text}");
        }
    }
}
