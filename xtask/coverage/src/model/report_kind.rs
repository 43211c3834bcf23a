//! Which reports there are.

use serde::{Deserialize, Serialize};

/// The kinds of report that coverage makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReportKind {
    /// The table of `coverage report`, as text.
    Term,
    /// A folder of pages.
    Html,
    /// Cobertura.
    Xml,
    /// Coverage's own JSON.
    Json,
    Lcov,
    /// The table, as Markdown.
    Markdown,
}

impl ReportKind {
    /// The name that users type and the summary has.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReportKind::Term => "term",
            ReportKind::Html => "html",
            ReportKind::Xml => "xml",
            ReportKind::Json => "json",
            ReportKind::Lcov => "lcov",
            ReportKind::Markdown => "markdown",
        }
    }
}
