//! The coverage of a patch: of the lines that were changed, those that ran. Pure.

pub(crate) mod diff;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::thresholds::{displayed, percent};
use crate::model::format::ranges;

/// What was changed since a base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Changed {
    pub base: String,
    /// By absolute path.
    pub files: BTreeMap<Utf8PathBuf, Lines>,
}

/// Lines of one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Lines {
    /// The file is new.
    All,
    /// These.
    These(BTreeSet<u32>),
}

impl Lines {
    fn has(&self, line: u32) -> bool {
        match self {
            Lines::All => true,
            Lines::These(lines) => lines.contains(&line),
        }
    }
}

/// What coverage knows of the lines of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct FileLines {
    /// As coverage shows it.
    pub path: Utf8PathBuf,
    /// Absolute, without symbolic links.
    pub file: Utf8PathBuf,
    /// The first lines of its statements, without excluded ones.
    pub statements: Vec<u32>,
    /// Of these, the ones that did not run.
    pub missing: Vec<u32>,
    /// Lines that can go more than one way: line, ways, ways that were taken. Empty where only
    /// lines were measured.
    pub branches: Vec<(u32, u32, u32)>,
}

/// The coverage of a patch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Patch {
    /// What the change is counted from.
    pub base: String,
    /// 0 to 100, as it is displayed; none where no statement was changed.
    pub percent: Option<f64>,
    /// Changed statements.
    pub lines: u64,
    /// Changed statements that did not run.
    pub missing: u64,
    /// Ways that changed lines can go; 0 where only lines were measured.
    pub branches: u64,
    /// Of these, the ones not taken.
    pub missing_branches: u64,
    /// Files with changed statements.
    pub files: Vec<PatchFile>,
    /// Changed Python files of the source that were not measured.
    pub unmeasured: Vec<Utf8PathBuf>,
}

/// The changed statements of one file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct PatchFile {
    /// As coverage shows it.
    pub path: Utf8PathBuf,
    /// Absolute.
    #[serde(skip)]
    pub file: Utf8PathBuf,
    /// How many.
    pub lines: u64,
    /// The lines that did not run.
    pub missing: Vec<u32>,
    /// Lines that ran, but not in all ways: line, ways, ways that were taken.
    pub partial: Vec<(u32, u32, u32)>,
}

impl Patch {
    /// Weighs what was changed against what coverage knows. What is not measured does not count;
    /// `unmeasured` names it.
    pub(crate) fn weigh(
        changed: &Changed,
        known: &[FileLines],
        unmeasured: Vec<Utf8PathBuf>,
    ) -> Patch {
        let mut patch = Patch { base: changed.base.clone(), unmeasured, ..Patch::default() };
        for known in known {
            if let Some(lines) = changed.files.get(&known.file) {
                patch.add(known, lines);
            }
        }
        if patch.lines > 0 {
            let exact = 100.0 * (patch.lines - patch.missing) as f64 / patch.lines as f64;
            patch.percent = Some(displayed(exact, PRECISION));
        }
        patch
    }

    fn add(&mut self, known: &FileLines, changed: &Lines) {
        let touched = |lines: &[u32]| -> Vec<u32> {
            lines.iter().copied().filter(|&line| changed.has(line)).collect()
        };
        let (lines, missing) = (touched(&known.statements), touched(&known.missing));
        if lines.is_empty() {
            return;
        }
        let branches: Vec<_> =
            known.branches.iter().copied().filter(|(line, ..)| changed.has(*line)).collect();
        let sum = |of: fn(&(u32, u32, u32)) -> u32| u64::from(branches.iter().map(of).sum::<u32>());
        self.branches += sum(|(_, ways, _)| *ways);
        self.missing_branches += sum(|(_, ways, taken)| ways - taken);
        self.lines += lines.len() as u64;
        self.missing += missing.len() as u64;
        let is_partial = |(line, ways, taken): &(u32, u32, u32)| {
            taken < ways && missing.binary_search(line).is_err()
        };
        let partial = branches.iter().copied().filter(is_partial).collect();
        let (path, file) = (known.path.clone(), known.file.clone());
        self.files.push(PatchFile { path, file, lines: lines.len() as u64, missing, partial });
    }

    /// The table, what is not covered as places that a terminal opens, and the total in a line.
    /// Places are relative to `here`.
    pub(crate) fn render(&self, here: &Utf8Path) -> String {
        let mut lines = self.table();
        for file in &self.files {
            let path = file.file.strip_prefix(here).unwrap_or(&file.file);
            if !file.missing.is_empty() {
                lines.push(format!("{path}:{}", ranges(&file.missing)));
            }
            let partial =
                |(line, ways, taken)| format!("{path}:{line} branches: {taken} of {ways}");
            lines.extend(file.partial.iter().copied().map(partial));
        }
        match self.unmeasured.len() {
            0 => {}
            1 => lines.push("1 changed Python file is not measured".to_owned()),
            n => lines.push(format!("{n} changed Python files are not measured")),
        }
        lines.push(self.total());
        lines.join("\n")
    }

    fn table(&self) -> Vec<String> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let width = self.files.iter().map(|file| file.path.as_str().chars().count()).max();
        let width = width.unwrap_or_default().max(4);
        let head = format!("{:width$}   Changed lines   Missing   Cover", "File");
        let mut lines = vec![head.clone(), "-".repeat(head.chars().count())];
        lines.extend(self.files.iter().map(|file| {
            let missing = file.missing.len();
            let cover = percent(file.percent(), PRECISION);
            format!("{:width$} {:15} {missing:9} {:>7}", file.path.as_str(), file.lines, cover)
        }));
        lines.push(String::new());
        lines
    }

    /// `Patch coverage: 87.5% (14 of 16 changed lines; BASE main)`.
    pub(crate) fn total(&self) -> String {
        let Patch { base, lines, missing, .. } = self;
        let noun = if *lines == 1 { "line" } else { "lines" };
        match self.percent {
            None => format!("Patch coverage: no changed lines to cover (BASE {base})"),
            Some(exact) => format!(
                "Patch coverage: {} ({} of {lines} changed {noun}; BASE {base})",
                percent(exact, PRECISION),
                lines - missing
            ),
        }
    }
}

impl PatchFile {
    /// 0 to 100, not rounded.
    pub(crate) fn percent(&self) -> f64 {
        100.0 * (self.lines - self.missing.len() as u64) as f64 / self.lines as f64
    }
}

/// Digits after the point of a patch's percentage.
pub(crate) const PRECISION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<FileLines> {
        vec![
            FileLines {
                path: "src/a.py".into(),
                file: "/p/src/a.py".into(),
                statements: (1..=20).collect(),
                missing: vec![12, 13, 14, 15, 20],
                branches: vec![(3, 2, 1), (12, 2, 0), (5, 2, 2), (19, 4, 3)],
            },
            FileLines { file: "/p/src/b.py".into(), statements: vec![1], ..Default::default() },
        ]
    }

    fn changed(files: &[(&str, Lines)]) -> Changed {
        let files = files.iter().map(|(file, lines)| ((*file).into(), lines.clone())).collect();
        Changed { base: "main".to_owned(), files }
    }

    #[test]
    fn a_patch_is_shown() {
        let these = Lines::These((5..=20).collect());
        let changed = changed(&[("/p/src/a.py", these), ("/p/gone.py", Lines::All)]);
        let patch = Patch::weigh(&changed, &known(), vec!["src/c.py".into()]);
        let wanted = "\
File       Changed lines   Missing   Cover
------------------------------------------
src/a.py              16         5   68.8%

src/a.py:12-15, 20
src/a.py:19 branches: 3 of 4
1 changed Python file is not measured
Patch coverage: 68.8% (11 of 16 changed lines; BASE main)";
        assert_eq!(patch.render("/p".into()), wanted);
        assert!(patch.render("/elsewhere".into()).contains("\n/p/src/a.py:12-15, 20\n"));
        assert_eq!((patch.branches, patch.missing_branches), (8, 3));
    }

    #[test]
    fn a_patch_without_statements_has_no_percentage() {
        let comment = Lines::These([99].into());
        let patch = Patch::weigh(&changed(&[("/p/src/a.py", comment)]), &known(), Vec::new());
        let total = "Patch coverage: no changed lines to cover (BASE main)";
        assert_eq!((patch.render("/p".into()).as_str(), patch.percent), (total, None));
    }

    #[test]
    fn all_lines_of_a_new_file_are_changed() {
        let patch = Patch::weigh(&changed(&[("/p/src/a.py", Lines::All)]), &known(), Vec::new());
        assert_eq!((patch.lines, patch.missing, patch.percent), (20, 5, Some(75.0)));
        assert_eq!(patch.files[0].partial, [(3, 2, 1), (19, 4, 3)]);
    }
}
