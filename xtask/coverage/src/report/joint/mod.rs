//! One answer for several projects: their analyses, merged, and the reports that are made of that.
//! Each project was analysed by its own coverage; data files of two never meet. Pure.
//!
//! Paths are those from the top of the repository, so modules and tests of one name in two
//! projects stay apart. A file that several projects measure counts once: a line ran if it ran in
//! one of them.

mod answer;
mod cobertura;
mod files;
mod json;
mod lcov;
mod page;
mod table;
mod verdict;

use camino::{Utf8Path, Utf8PathBuf};

pub(crate) use self::answer::{Answer, Answers, Asked, Covered};
pub(crate) use self::files::{FileAnalysis, Numbers, merged};
pub(crate) use self::page::{Page, Shown};
pub(crate) use self::table::{Row, markdown, table};
pub(crate) use self::verdict::judge;
use crate::model::ReportKind;

/// The merged analyses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joint {
    /// The top of the repository.
    pub top: Utf8PathBuf,
    /// In the order of their paths.
    pub files: Vec<FileAnalysis>,
    /// Digits after the point of a percentage: as many as the most exact project has.
    pub precision: u32,
}

impl Joint {
    /// Of all files.
    pub(crate) fn numbers(&self) -> Numbers {
        self.files.iter().map(FileAnalysis::numbers).sum()
    }

    /// A report as text; none of those that are a folder, or are printed.
    pub(crate) fn render(&self, kind: ReportKind, now: std::time::SystemTime) -> Option<String> {
        match kind {
            ReportKind::Xml => Some(cobertura::render(self, now)),
            ReportKind::Json => Some(json::render(self, now)),
            ReportKind::Lcov => Some(lcov::render(self)),
            ReportKind::Markdown => Some(table::of_files(self)),
            ReportKind::Term | ReportKind::Html => None,
        }
    }
}

/// A path as seen from the top of the repository; as it is where it lies elsewhere.
pub(crate) fn from_top(top: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    path.strip_prefix(top).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests;
