//! Marks that a service shows at lines of the repository.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Something failed.
    Error,
    /// Something to look at.
    Warning,
}

/// A mark at a place, or at none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Annotation {
    pub level: Level,
    /// Relative to the top of the repository.
    pub file: Option<Utf8PathBuf>,
    /// The first line and the last.
    pub lines: Option<(u32, u32)>,
    /// A line.
    pub title: String,
    /// What there is to say.
    pub text: String,
}
