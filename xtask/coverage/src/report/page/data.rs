//! What the script of the page draws, as JSON. Times are whole numbers of [`TICK`], and a node id
//! is the number of its file and the rest: most of a page is this.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Page;
use super::text::name;

/// Seconds.
const TICK: f64 = 1e-4;

/// The JSON, safe within a `script` element.
pub(super) fn render(page: &Page<'_>) -> String {
    let mut files = Numbers::default();
    let mut outcomes = Numbers::default();
    let mut tests: Vec<_> = page.tests.iter().collect();
    tests.sort_by(|a, b| {
        (a.slot, a.started).partial_cmp(&(b.slot, b.started)).unwrap_or_else(|| a.slot.cmp(&b.slot))
    });
    let tests: Vec<Value> = tests
        .into_iter()
        .map(|test| {
            let (file, rest) = match test.id.split_once("::") {
                Some((file, rest)) => (file, json!(name(rest))),
                None => (test.id, Value::Null),
            };
            let (file, outcome) = (files.of(&name(file)), outcomes.of(test.outcome));
            let (start, length) = (ticks(page.began + test.started), ticks(test.seconds));
            json!([file, rest, test.slot, start, length, outcome, test.split])
        })
        .collect();
    let unit = |unit: &super::Unit| {
        let (start, end) = (page.began + unit.started, page.began + unit.ended);
        json!([unit.slot, ticks(start), ticks(end)])
    };
    let data = json!({
        "tick": TICK,
        "total": ticks(page.seconds.total),
        "slots": page.slots,
        "phases": phases(page),
        "files": files.names,
        "outcomes": outcomes.names,
        "tests": tests,
        "units": page.units.iter().map(unit).collect::<Vec<_>>(),
    });
    // In JSON a `<` is always within a string, where it may be written so.
    data.to_string().replace('<', "\\u003c")
}

/// What went on when, as far as that was told: names, beginnings and ends.
fn phases(page: &Page<'_>) -> Vec<Value> {
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
    phases.map(|(name, start, end)| json!([name, ticks(start), ticks(end)])).collect()
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
