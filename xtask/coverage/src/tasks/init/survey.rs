//! What there is in a repository: Cargo's packages and workspaces, an xtask, Python projects.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;

use crate::exit;
use crate::files;
use crate::project::found::{files_of, projects};

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
