//! The table of the projects, for the screen and for Markdown, and that of all files.

use std::fmt::Write;

use super::Joint;
use crate::report::ci::plain;
use crate::report::thresholds::percent;

/// The line of a project, or of the total: what stands in each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub name: String,
    /// Statements, those that did not run, and the percentage; none where nothing was measured.
    pub covered: Option<[String; 3]>,
    /// The percentage that is wanted; none where there is no threshold.
    pub threshold: Option<String>,
    /// What became of the tests.
    pub tests: String,
    /// How long it took.
    pub time: String,
    pub verdict: String,
}

const HEAD: [&str; 8] =
    ["Project", "Stmts", "Miss", "Cover", "Threshold", "Tests", "Time", "Verdict"];

/// Which columns are numbers, that stand at the right.
const RIGHT: [bool; 8] = [false, true, true, true, true, false, true, false];

impl Row {
    fn cells(&self) -> [String; 8] {
        let dash = || "-".to_owned();
        let [statements, missing, cover] =
            self.covered.clone().unwrap_or_else(|| [dash(), dash(), dash()]);
        let threshold = self.threshold.clone().unwrap_or_else(dash);
        let Row { name, tests, time, verdict, .. } = self.clone();
        [name, statements, missing, cover, threshold, tests, time, verdict]
    }
}

/// The columns that say something: without coverage those of it are left out.
fn columns(rows: &[Row]) -> Vec<usize> {
    let is_measured = rows.iter().any(|row| row.covered.is_some());
    let has_threshold = rows.iter().any(|row| row.threshold.is_some());
    let is_shown = |at: &usize| match at {
        1..=3 => is_measured,
        4 => has_threshold,
        _ => true,
    };
    (0..HEAD.len()).filter(is_shown).collect()
}

/// The table as text: the total is the last of the rows.
pub(crate) fn table(rows: &[Row]) -> String {
    let columns = columns(rows);
    let cells: Vec<[String; 8]> = rows.iter().map(Row::cells).collect();
    let wide = |text: &str| console::measure_text_width(text);
    let width = |at: usize| {
        let all = cells.iter().map(|row| wide(&row[at])).chain([wide(HEAD[at])]);
        all.max().unwrap_or_default()
    };
    let line = |row: &dyn Fn(usize) -> String| {
        let cells = columns.iter().map(|&at| {
            let (text, width) = (row(at), width(at));
            let space = " ".repeat(width.saturating_sub(wide(&text)));
            if RIGHT[at] { space + &text } else { text + &space }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(&|at| HEAD[at].to_owned());
    let lines: Vec<String> = cells.iter().map(|row| line(&|at| row[at].clone())).collect();
    let longest = lines.iter().chain([&head]).map(|it| wide(it)).max().unwrap_or_default();
    let rule = "-".repeat(longest);
    let (total, projects) =
        lines.split_last().map(|(last, rest)| (last.clone(), rest)).unwrap_or_default();
    let parts = [head, rule.clone()].into_iter().chain(projects.iter().cloned());
    parts.chain([rule, total]).collect::<Vec<_>>().join("\n")
}

/// The same in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let columns = columns(rows);
    let mut out = String::new();
    let mut line = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = columns.iter().map(|&at| cell(at)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(&|at| HEAD[at].to_owned());
    line(&|at| (if RIGHT[at] { "---:" } else { "---" }).to_owned());
    for row in rows {
        let cells = row.cells();
        line(&|at| plain(&cells[at]));
    }
    out
}

/// The files, as coverage's Markdown has them.
pub(super) fn of_files(joint: &Joint) -> String {
    let has_branches = joint.files.iter().any(|file| !file.branches.is_empty());
    let (head, rule) = match has_branches {
        true => (" Branch | BrPart |", " ---: | ---: |"),
        false => ("", ""),
    };
    let mut out =
        format!("| Name | Stmts | Miss |{head} Cover |\n| --- | ---: | ---: |{rule} ---: |\n");
    let named = joint.files.iter().map(|file| (plain(file.path.as_str()), file.numbers()));
    let total = [("**TOTAL**".to_owned(), joint.numbers())];
    for (name, numbers) in named.chain(total) {
        let branches = match has_branches {
            true => format!(" {} | {} |", numbers.branches, numbers.partial_branches),
            false => String::new(),
        };
        let cover = percent(numbers.percent(), joint.precision);
        let _ = writeln!(
            out,
            "| {name} | {} | {} |{branches} {cover} |",
            numbers.statements, numbers.missing
        );
    }
    out
}
