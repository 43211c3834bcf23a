//! The Python project: where it is, which tool manages it, which interpreter runs it,
//! and what its configuration says. Nothing here runs a test.
//!
//! Read in this order: [`Workspace`] and [`discover`] find a [`Project`], [`State`] says
//! where our own files of it live, [`python`] finds its [`Interpreter`], and [`probe`] asks
//! that for the [`Facts`].

mod active;
pub(crate) mod affected;
mod contents;
mod depends;
pub(crate) mod discover;
mod environment;
mod facts;
pub(crate) mod found;
pub(crate) mod git;
pub(crate) mod kept;
mod listed;
pub(crate) mod locks;
pub(crate) mod native_core;
pub(crate) mod packages;
mod poetry_uv_pdm;
pub(crate) mod probe;
mod pyproject;
pub(crate) mod python;
pub(crate) mod pythons;
pub(crate) mod runs;
pub(crate) mod setup;
mod state;
mod steps;
pub(crate) mod unread;
mod versions;
mod workspace;

pub(crate) use facts::{CoverageConfig, Facts, NativeCore, PytestConfig};
pub(crate) use pyproject::Pyproject;
pub(crate) use python::Interpreter;
pub(crate) use state::{Lock, State, joint_folder};
pub(crate) use steps::Steps;
pub(crate) use workspace::Workspace;

use std::io::ErrorKind;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{exit, files};

/// One Python project: a folder with its configuration and its tests.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// What the user calls it (`-p NAME`): the folder's name.
    pub name: String,
    /// Absolute, symbolic links resolved.
    pub root: Utf8PathBuf,
    /// Who manages its environment.
    pub tool: Tool,
    /// The folder whose environment that tool manages: a uv workspace's root, else `root`.
    pub home: Utf8PathBuf,
    /// Its `pyproject.toml`; empty where it has none.
    pub pyproject: Pyproject,
    /// What is checked out, once somebody has asked git.
    pub(crate) head: OnceLock<git::Head>,
    /// Why its configuration cannot be read.
    pub broken: Option<String>,
}

impl Project {
    /// What is checked out. git is asked once: what a run says of it holds for all of the run.
    pub(crate) fn head(&self) -> Result<&git::Head> {
        if let Some(known) = self.head.get() {
            return Ok(known);
        }
        // Nothing that git is asked takes long enough to be announced.
        let head = git::head(&Steps::new(&|_| {})?, &self.root);
        Ok(self.head.get_or_init(|| head))
    }
}

/// The tool that manages a project's environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `[tool.poetry]`, a `poetry.lock` or poetry's build backend.
    Poetry,
    /// `[tool.uv]`, a `uv.lock` or uv's build backend.
    Uv,
    /// `[tool.pdm]`, a `pdm.lock` or pdm's build backend.
    Pdm,
    /// None of these: pip.
    Pip,
}

impl Tool {
    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Poetry => "poetry",
            Tool::Uv => "uv",
            Tool::Pdm => "pdm",
            Tool::Pip => "pip",
        }
    }
}

/// The text of a file, or None where there is no such file.
fn read_if_there(path: &Utf8Path) -> Result<Option<String>> {
    match files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| exit::usage(format!("failed to read `{path}`"))),
    }
}

/// Reads TOML; an error names file and line.
fn parse_toml(path: &Utf8Path, text: &str) -> Result<toml::Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| &text[..span.start.min(text.len())]);
        let line = before.matches('\n').count() + 1;
        exit::usage(format!("{path}:{line}: {}", error.message())).into()
    })
}

/// An error for the first key that is not one of `known`, naming the nearest that is.
fn check_keys(path: &Utf8Path, section: &str, table: &toml::Table, known: &[&str]) -> Result<()> {
    let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let nearest = known.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
    let hint = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(exit::usage(format!("unknown key `{key}` in `[{section}]` of {path}{hint}")).into())
}

/// The real path of something that is there, as UTF-8.
pub(crate) fn canonical(path: &Utf8Path) -> Result<Utf8PathBuf> {
    path.canonicalize_utf8().map_err(|error| match error.kind() {
        ErrorKind::NotFound => exit::usage(format!("no such folder: `{path}`")).into(),
        ErrorKind::InvalidData => {
            exit::usage(format!("`{path}` leads to a path that is not UTF-8")).into()
        }
        _ => anyhow::Error::new(error).context(exit::usage(format!("failed to open `{path}`"))),
    })
}
