//! What the script of the page draws, as JSON. Times are whole numbers of [`TICK`], and a node id
//! is the number of its file and the rest: most of a page is this.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::Page;
use super::text::name;
use crate::model::NodeId;

/// Seconds.
const TICK: f64 = 1e-4;

#[derive(Serialize)]
struct Data<'a> {
    /// Seconds.
    tick: f64,
    total: i64,
    slots: usize,
    /// Names of slots, where numbers would not do.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    lanes: &'a [String],
    /// Names, beginnings and ends of what went on.
    phases: Vec<(&'static str, i64, i64)>,
    files: Vec<String>,
    outcomes: Vec<String>,
    /// By slot and beginning.
    tests: Vec<Test<'a>>,
    /// Slots, beginnings and ends.
    units: Vec<(usize, i64, i64)>,
}

/// File, the rest of the node id, slot, beginning, duration, outcome, split.
type Test<'a> = (usize, Option<Cow<'a, str>>, usize, i64, i64, usize, u32);

/// The JSON, safe within a `script` element.
pub(super) fn render(page: &Page<'_>) -> String {
    let mut files = Numbers::default();
    let mut outcomes = Numbers::default();
    let mut tests: Vec<_> = page.tests.iter().collect();
    tests.sort_by(|a, b| {
        (a.slot, a.started).partial_cmp(&(b.slot, b.started)).unwrap_or_else(|| a.slot.cmp(&b.slot))
    });
    let tests = tests
        .into_iter()
        .map(|test| {
            let (file, rest) = (NodeId(test.id).file(), NodeId(test.id).within_file().map(name));
            let (file, outcome) = (files.of(&name(file)), outcomes.of(test.outcome));
            let (start, length) = (ticks(page.began + test.started), ticks(test.seconds));
            (file, rest, test.slot, start, length, outcome, test.split)
        })
        .collect();
    let unit = |unit: &super::Unit| {
        (unit.slot, ticks(page.began + unit.started), ticks(page.began + unit.ended))
    };
    let data = Data {
        tick: TICK,
        total: ticks(page.seconds.total),
        slots: page.slots,
        lanes: page.lanes,
        phases: phases(page),
        files: files.names,
        outcomes: outcomes.names,
        tests,
        units: page.units.iter().map(unit).collect(),
    };
    // Only a number that JSON lacks could fail.
    let text = serde_json::to_string(&data).unwrap_or_else(|_| "null".to_owned());
    // In JSON a `<` is always within a string, where it may be written so.
    text.replace('<', "\\u003c")
}

/// What went on when, as far as that was told: names, beginnings and ends.
fn phases(page: &Page<'_>) -> Vec<(&'static str, i64, i64)> {
    let seconds = &page.seconds;
    let (collected, ended) =
        (page.began + seconds.collect, page.began + seconds.collect + seconds.run);
    let phases = [
        ("environment", 0.0, seconds.environment),
        ("collection", page.began, collected),
        (super::parts::run_name(page), collected, ended),
        (if page.coverage.is_some() { "combine and reports" } else { "end" }, ended, seconds.total),
    ];
    let phases = phases.into_iter().filter(|(_, start, end)| end > start);
    phases.map(|(name, start, end)| (name, ticks(start), ticks(end))).collect()
}

fn ticks(seconds: f64) -> i64 {
    (seconds / TICK).round() as i64
}

/// Names, each once.
#[derive(Default)]
struct Numbers {
    names: Vec<String>,
    known: HashMap<String, usize>,
}

impl Numbers {
    fn of(&mut self, name: &str) -> usize {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        self.names.push(name.to_owned());
        self.known.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}
