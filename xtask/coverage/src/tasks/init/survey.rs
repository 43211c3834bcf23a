//! What there is in a repository: Cargo's packages and workspaces, an xtask, Python projects.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;

use crate::exit;
use crate::files;
use crate::project::{Steps, git};

/// What was found. Paths are absolute.
#[derive(Debug)]
pub(super) struct Survey {
    /// The repository's folder.
    pub(super) root: Utf8PathBuf,
    /// Its Cargo packages and workspaces, the root's first.
    pub(super) manifests: Vec<Manifest>,
    /// Folders of Python projects with tests, relative to the root.
    pub(super) projects: Vec<Utf8PathBuf>,
    /// cargo's configuration, and what it says; the path where it would be, if there is none.
    pub(super) config: (Utf8PathBuf, Option<String>),
    /// `.gitignore` in the root, and what it says.
    pub(super) ignore: Option<String>,
    /// Whether there is a git repository, or an ignore file.
    pub(super) is_ignoring: bool,
    /// Files that are there, of those that a package of ours would have.
    pub(super) taken: Vec<Utf8PathBuf>,
}

/// A `Cargo.toml`.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) folder: Utf8PathBuf,
    pub(super) text: String,
    pub(super) document: DocumentMut,
}

impl Manifest {
    pub(super) fn is_workspace(&self) -> bool {
        self.document.contains_key("workspace")
    }

    pub(super) fn package(&self) -> Option<&str> {
        self.document.get("package")?.get("name")?.as_str()
    }

    /// Whether it is a package that has us do something.
    pub(super) fn depends_on_us(&self) -> bool {
        let tables = ["dependencies", "build-dependencies"];
        tables.iter().any(|name| {
            let table = self.document.get(name).and_then(|it| it.as_table_like());
            table.is_some_and(|table| table.contains_key("xtask-coverage"))
        })
    }
}

impl Survey {
    pub(super) fn of(root: &Utf8Path) -> Result<Survey> {
        let files = files_of(root)?;
        let manifests = files.iter().filter(|path| path.file_name() == Some("Cargo.toml"));
        let mut manifests: Vec<Manifest> =
            manifests.map(|path| Manifest::read(&root.join(path))).collect::<Result<_>>()?;
        manifests.sort_by_key(|it| (it.folder.components().count(), it.folder.clone()));
        // cargo takes the older name where both are there.
        let configs = [".cargo/config", ".cargo/config.toml"].map(|name| root.join(name));
        let config = configs.iter().find(|path| path.is_file()).unwrap_or(&configs[1]);
        let ignore = read_if_there(&root.join(".gitignore"))?;
        Ok(Survey {
            projects: projects(root, &files),
            config: (config.clone(), read_if_there(config)?),
            is_ignoring: ignore.is_some() || root.join(".git").exists(),
            taken: files.iter().map(|path| root.join(path)).collect(),
            root: root.to_path_buf(),
            manifests,
            ignore,
        })
    }

    /// The `Cargo.toml` in a folder.
    pub(super) fn manifest(&self, folder: &Utf8Path) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.folder == folder)
    }
}

impl Manifest {
    fn read(path: &Utf8Path) -> Result<Manifest> {
        let failed = || exit::usage(format!("failed to read `{path}`"));
        let text = files::read_text(path).with_context(failed)?;
        let document = parse(path, &text)?;
        let folder = path.parent().unwrap_or(path).to_path_buf();
        Ok(Manifest { folder, text, document })
    }
}

/// TOML that can be changed and keeps what nobody has changed.
pub(super) fn parse(path: &Utf8Path, text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let before = error.span().map_or("", |span| &text[..span.start.min(text.len())]);
        let line = before.matches('\n').count() + 1;
        exit::usage(format!("{path}:{line}: {}", error.message())).into()
    })
}

fn read_if_there(path: &Utf8Path) -> Result<Option<String>> {
    match files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| exit::usage(format!("failed to read `{path}`"))),
    }
}

/// All files that are not ignored, relative to the root: git knows, where it can be asked.
fn files_of(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let quiet = |_: &str| {};
    let listed = git::files(&Steps::new(&quiet)?, root);
    let mut files = match listed {
        Some(files) => files,
        None => {
            let mut found = Vec::new();
            walk(root, root, &mut found);
            found
        }
    };
    files.sort();
    Ok(files)
}

/// Without git, what is usually ignored is passed over.
fn walk(root: &Utf8Path, folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    const ASIDE: [&str; 6] = ["target", "node_modules", "__pycache__", "build", "dist", "venv"];
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        let is_aside = (name.starts_with('.') && name != ".cargo")
            || ASIDE.contains(&name)
            || path.join("pyvenv.cfg").is_file()
            || path.join("CACHEDIR.TAG").is_file();
        if kind.is_dir() && !is_aside {
            walk(root, path, found);
        } else if kind.is_file() {
            found.extend(path.strip_prefix(root).ok().map(Utf8Path::to_path_buf));
        }
    }
}

/// Folders that are Python projects and have tests. What lies in another one, or among tests,
/// examples and templates, is a part or a sample.
fn projects(root: &Utf8Path, files: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
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
    let is_test = |path: &Utf8Path| {
        let name = path.file_name().unwrap_or_default();
        name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"))
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
        let mut files = Vec::new();
        walk(root, root, &mut files);
        assert_eq!(projects(root, &files), ["libs/b", "services/a"]);
    }
}
