//! The Python project: where it is, which tool manages it, which interpreter runs it,
//! and what its configuration says. Nothing here runs a test.

mod facts;

pub use facts::{CoverageConfig, Facts, PytestConfig};

use camino::Utf8PathBuf;

/// One Python project: a folder with its configuration and its tests.
#[derive(Clone, Debug)]
pub struct Project {
    /// What the user calls it (`-p NAME`): the folder's name.
    pub name: String,
    /// Absolute, symbolic links resolved.
    pub root: Utf8PathBuf,
    /// Who manages its environment.
    pub tool: Tool,
}

/// The tool that manages a project's environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `[tool.poetry]` or a `poetry.lock`.
    Poetry,
    /// `[tool.uv]` or a `uv.lock`.
    Uv,
    /// `[tool.pdm]` or a `pdm.lock`.
    Pdm,
    /// None of these: pip.
    Pip,
}
