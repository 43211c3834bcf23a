//! Coverage by folder: a tree that opens and closes without a script.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Page;
use super::text::percent;
use crate::model::format::{count, thousands};
use crate::report::coverage::FileTotals;
use crate::report::html::escape;

/// A tree of so many files is open from the start.
const SMALL: usize = 40;

/// The section; empty where nothing was measured.
pub(super) fn render(page: &Page<'_>) -> String {
    let Some(coverage) = page.coverage.filter(|coverage| !coverage.files.is_empty()) else {
        return String::new();
    };
    let mut root = Folder::default();
    coverage.files.iter().for_each(|file| root.add(file.path.as_str(), file));
    let mut out = String::from("<section id=\"coverage\"><h2>Coverage by folder</h2>\n");
    let _ = writeln!(
        out,
        "<p class=\"say\">{}. The most missing first.</p>",
        count(coverage.files.len() as u64, "file")
    );
    out.push_str("<div class=\"tree\">\n<div class=\"row head\"><span>Folder, file</span><span></span><span>Covered</span><span>Missing</span><span>Statements</span></div>\n");
    root.write(&mut out, 0, coverage.files.len() <= SMALL);
    out.push_str("</div></section>\n");
    out
}

#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    files: Vec<(&'a str, &'a FileTotals)>,
    sum: Sum,
}

/// As coverage counts: statements and branch destinations together.
#[derive(Clone, Copy, Default)]
struct Sum {
    statements: u64,
    missing: u64,
    branches: u64,
    missing_branches: u64,
}

impl Sum {
    fn of(file: &FileTotals) -> Sum {
        let FileTotals { statements, missing, branches, missing_branches, .. } = *file;
        Sum { statements, missing, branches, missing_branches }
    }

    fn add(&mut self, other: Sum) {
        self.statements += other.statements;
        self.missing += other.missing;
        self.branches += other.branches;
        self.missing_branches += other.missing_branches;
    }

    fn percent(self) -> f64 {
        let all = self.statements + self.branches;
        let covered = all - (self.missing + self.missing_branches).min(all);
        if all == 0 { 100.0 } else { 100.0 * covered as f64 / all as f64 }
    }
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &'a str, file: &'a FileTotals) {
        self.sum.add(Sum::of(file));
        match path.split_once('/') {
            Some((folder, rest)) if !folder.is_empty() => {
                self.folders.entry(folder).or_default().add(rest, file);
            }
            _ => self.files.push((path, file)),
        }
    }

    fn write(&self, out: &mut String, depth: usize, open: bool) {
        let mut folders: Vec<_> = self.folders.iter().collect();
        folders.sort_by(|a, b| b.1.sum.missing.cmp(&a.1.sum.missing).then(a.0.cmp(b.0)));
        for (name, folder) in folders {
            let (name, folder) = folder.only_child((*name).to_owned());
            let open = if open { " open" } else { "" };
            let row = row(&format!("{name}/"), folder.sum, depth);
            let _ = writeln!(out, "<details{open}><summary class=\"row\">{row}</summary>");
            folder.write(out, depth + 1, !open.is_empty());
            out.push_str("</details>\n");
        }
        let mut files = self.files.clone();
        files.sort_by(|a, b| b.1.missing.cmp(&a.1.missing).then(a.0.cmp(b.0)));
        for (name, file) in files {
            let _ = writeln!(out, "<div class=\"row\">{}</div>", row(name, Sum::of(file), depth));
        }
    }

    /// `src/shop` in one line, where there is nothing else in `src`.
    fn only_child(&self, name: String) -> (String, &Folder<'a>) {
        match self.folders.first_key_value() {
            Some((child, folder)) if self.folders.len() == 1 && self.files.is_empty() => {
                folder.only_child(format!("{name}/{child}"))
            }
            _ => (name, self),
        }
    }
}

fn row(name: &str, sum: Sum, depth: usize) -> String {
    let percent_text = percent(sum.percent());
    format!(
        "<span class=\"id\" style=\"--depth:{depth}\">{}</span><span class=\"meter\"><i style=\"width:{percent_text}%\"></i></span><span>{percent_text}%</span><span>{}</span><span>{}</span>",
        escape(name),
        thousands(sum.missing),
        thousands(sum.statements),
    )
}
