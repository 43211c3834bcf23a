//! The page of a run, `run.html`: how it ended, where the time went, what ran when and what it
//! covered, in one file that needs nothing else. Pure: data in, text out.

mod charts;
mod data;
mod folders;
mod parts;
mod text;

#[cfg(test)]
mod tests;

use camino::Utf8PathBuf;

pub(in crate::report) use self::text::link;
use super::again::Again;
use super::coverage::{FileTotals, Totals};
use super::summary::{Outcome, Seconds};
use crate::machine::meter::Sample;
use crate::model::{Failure, Tally};

/// All that the page tells.
#[derive(Clone, Debug)]
pub(crate) struct Page<'a> {
    /// Where it will lie: its links are relative to that.
    pub folder: Utf8PathBuf,
    pub project: &'a str,
    /// What ran it, and how: names and values, for people.
    pub facts: Vec<(&'static str, String)>,
    pub outcome: Outcome,
    /// The same in a sentence.
    pub sentence: &'a str,
    /// True where only some of the tests ran.
    pub partial: bool,
    /// What keeps the result from being complete, in sentences.
    pub problems: Vec<String>,
    /// What became of the tests.
    pub tally: Tally,
    /// The same in words.
    pub counts: String,
    pub seconds: Seconds,
    /// When the engine began, seconds since the start of the run.
    pub began: f64,
    /// How many processes could run tests at once.
    pub slots: usize,
    /// What each of these is called, where they were on several machines; empty where not.
    pub lanes: &'a [String],
    /// What processes ran them, in any order.
    pub units: Vec<Unit>,
    /// What the machine was doing, in order; few enough to draw all.
    pub samples: Vec<Sample>,
    /// What kept the run from ending earlier, in a sentence.
    pub limit: Option<String>,
    /// Each attempt at each test, in any order.
    pub tests: Vec<Test<'a>>,
    /// In order of arrival.
    pub failures: &'a [Failure],
    /// How the user runs tests again.
    pub again: Again,
    /// Tests that passed only when they were repeated.
    pub flaky: Vec<&'a str>,
    /// The coverage; none where nothing was measured.
    pub coverage: Option<Coverage<'a>>,
    /// Other reports of the run: names and files.
    pub reports: Vec<(String, Utf8PathBuf)>,
}

/// One process that ran tests, or as much of one as was told. Times are seconds since the engine
/// began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// From 0.
    pub slot: usize,
    pub started: f64,
    /// When it was gone.
    pub ended: f64,
}

/// One attempt at a test. Times are seconds since the engine began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test<'a> {
    pub id: &'a str,
    /// How it ended, in a word; `retried` where another attempt followed.
    pub outcome: &'static str,
    /// The split it belongs to.
    pub split: u32,
    /// From 0.
    pub slot: usize,
    pub started: f64,
    /// How long it took.
    pub seconds: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Coverage<'a> {
    /// Of the whole.
    pub totals: &'a Totals,
    /// Percent; 0 where there is no threshold.
    pub fail_under: f64,
    /// Of each file.
    pub files: &'a [FileTotals],
}

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole file.
pub(crate) fn render(page: &Page<'_>) -> String {
    fill(TEMPLATE, |name| match name {
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "data" => data::render(page),
        "title" => parts::title(page),
        "header" => parts::header(page),
        "figures" => parts::figures(page),
        "failures" => parts::failures(page),
        "flaky" => parts::flaky(page),
        "time" => parts::time(page),
        "tail" => parts::tail(page),
        "limit" => parts::limit(page),
        "charts" => charts::render(page),
        "slowest" => parts::slowest(page),
        "files" => parts::files(page),
        "coverage" => folders::render(page),
        _ => String::new(),
    })
}

/// Puts values in the place of `{{name}}`. In one pass: what a value holds is no template.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut pieces = template.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        out.push_str(&value(name));
        out.push_str(rest);
    }
    out
}
