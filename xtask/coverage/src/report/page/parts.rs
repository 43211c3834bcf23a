//! The parts of the page that need no script.

use std::collections::HashMap;
use std::fmt::Write;

use super::text::{cut, link, name};
use super::{Page, Test};
use crate::model::Failure;
use crate::model::NodeId;
use crate::model::format::{count, duration, thousands};
use crate::report::again::Again;
use crate::report::failures::{self, Limits};
use crate::report::html::escape;
use crate::report::summary::Outcome;

/// Rows of the tables; the script shows more of the tests.
const ROWS: usize = 25;
/// Bytes of one traceback, of one captured section, and of all texts of failures together.
const TEXT: usize = 24 * 1024;
const SECTION: usize = 8 * 1024;
const ALL_TEXTS: usize = 1024 * 1024;

/// How it ended, in a word.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Passed",
        Outcome::TestsFailed => "Tests failed",
        Outcome::BelowThreshold => "Below the threshold",
        Outcome::Aborted => "Aborted",
        Outcome::Interrupted => "Interrupted",
        Outcome::NoTests => "No tests",
        Outcome::Incomplete => "Incomplete",
        Outcome::Error => "Error",
    }
}

/// The name of the tab.
pub(super) fn title(page: &Page<'_>) -> String {
    let mark = if page.outcome == Outcome::Passed { "✓" } else { "✗" };
    escape(&format!("{mark} {} – {}", page.project, word(page.outcome).to_lowercase()))
}

/// How the run ended, of what, and with which means.
pub(super) fn header(page: &Page<'_>) -> String {
    let passed = page.outcome == Outcome::Passed;
    let (mark, class) = if passed { ("✓", "ok") } else { ("✗", "bad") };
    let partial = if page.partial { " <span class=\"tag\">partial</span>" } else { "" };
    let mut out = format!(
        "<p class=\"project\">{}{partial}</p>\n<h1 class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</h1>\n<p class=\"sentence\">{}</p>\n",
        escape(page.project),
        word(page.outcome),
        escape(page.sentence),
    );
    for problem in &page.problems {
        let _ = writeln!(out, "<p class=\"problem\">{}</p>", escape(problem));
    }
    out.push_str("<dl class=\"facts\">");
    for (name, value) in &page.facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    }
    out.push_str("</dl>\n");
    if !page.reports.is_empty() {
        out.push_str("<p class=\"reports\">Reports:");
        for (name, file) in &page.reports {
            let link = link(&page.folder, file);
            let _ =
                write!(out, " <a href=\"{link}\" title=\"{}\">{name}</a>", escape(file.as_str()));
        }
        out.push_str("</p>\n");
    }
    out
}

/// The numbers one looks for first.
pub(super) fn figures(page: &Page<'_>) -> String {
    let mut out = String::new();
    let failed = page.tally.failures();
    let ran = page.tally.collected - page.tally.not_run.min(page.tally.collected);
    let class = if failed > 0 { "bad" } else { "" };
    figure(&mut out, "Tests", &thousands(ran), class, &page.counts);
    if let Some(coverage) = page.coverage {
        let totals = coverage.totals;
        let goal = match coverage.fail_under {
            0.0 => String::new(),
            goal => format!("; at least {goal}% wanted"),
        };
        let (missing, all) = (thousands(totals.missing), thousands(totals.statements));
        let note = format!("{missing} of {all} statements missing{goal}");
        let class = if totals.percent < coverage.fail_under { "bad" } else { "" };
        figure(&mut out, "Coverage", &format!("{}%", totals.percent_text), class, &note);
    }
    let sum: f64 = page.tests.iter().map(|test| test.seconds).sum();
    let note = format!("{} of tests in {}", duration(sum), count(page.slots as u64, "slot"));
    figure(&mut out, "Time", &duration(page.seconds.total), "", &note);
    if let Some(span) = Span::of(page) {
        let note =
            format!("while tests ran, from the first to the last of {}", duration(span.length()));
        let busy = 100.0 * sum / (span.length() * page.slots as f64).max(f64::MIN_POSITIVE);
        figure(&mut out, "Slots busy", &format!("{:.0}%", busy.min(100.0)), "", &note);
    }
    out
}

fn figure(out: &mut String, name: &str, value: &str, class: &str, note: &str) {
    let note = escape(note);
    let _ = writeln!(
        out,
        "<div class=\"figure\"><h2>{name}</h2><p class=\"value {class}\">{value}</p><p class=\"note\">{note}</p></div>"
    );
}

/// From the beginning of the first test to the end of the last, seconds since the engine began.
struct Span<'a> {
    first: f64,
    last: f64,
    /// The test that ended last.
    test: &'a Test<'a>,
    /// From here on not every slot had something to do.
    tail: f64,
}

impl<'a> Span<'a> {
    fn of(page: &'a Page<'a>) -> Option<Span<'a>> {
        let end = |test: &Test<'_>| test.started + test.seconds;
        let test = page.tests.iter().max_by(|a, b| end(a).total_cmp(&end(b)))?;
        let first = page.tests.iter().map(|test| test.started).fold(f64::INFINITY, f64::min);
        let mut lasts = vec![first; page.slots.max(1)];
        for test in &page.tests {
            if let Some(last) = lasts.get_mut(test.slot) {
                *last = last.max(end(test));
            }
        }
        let tail = lasts.into_iter().fold(f64::INFINITY, f64::min);
        Some(Span { first, last: end(test), test, tail })
    }

    fn length(&self) -> f64 {
        self.last - self.first
    }
}

/// What kept the run from ending earlier, where that is known.
pub(super) fn limit(page: &Page<'_>) -> String {
    let sentence = page.limit.as_ref().map(|limit| escape(limit));
    sentence.map(|limit| format!("<p class=\"say\">{limit}</p>\n")).unwrap_or_default()
}

pub(super) fn tail(page: &Page<'_>) -> String {
    let Some(span) = Span::of(page).filter(|_| page.slots > 1) else { return String::new() };
    let (idle, last) = (duration(span.last - span.tail), duration(span.test.seconds));
    format!(
        "<p class=\"say\">In the last {idle} not every slot had a test to run. The test that ended last took {last}: <span class=\"id\">{}</span></p>\n",
        escape(&name(span.test.id)),
    )
}

/// Where the time went, as a bar and as a list.
pub(super) fn time(page: &Page<'_>) -> String {
    let it = &page.seconds;
    let steps = [
        ("environment", "environment", it.environment),
        ("collection", "collection", it.collect),
        ("tests", run_name(page), it.run),
        ("combine", "combine", it.combine),
        ("reports", "reports", it.report),
    ];
    let other = it.total - steps.iter().map(|(_, _, seconds)| seconds).sum::<f64>();
    let steps = steps.into_iter().chain([("other", "other", other.max(0.0))]);
    let steps: Vec<_> = steps.filter(|(_, _, seconds)| *seconds >= 0.005).collect();
    let share = |seconds: f64| 100.0 * seconds / it.total.max(f64::MIN_POSITIVE);
    let mut out = String::from("<div class=\"phases\" aria-hidden=\"true\">");
    for (class, _, seconds) in &steps {
        let _ = write!(out, "<i class=\"p-{class}\" style=\"width:{:.3}%\"></i>", share(*seconds));
    }
    out.push_str("</div>\n<ul class=\"legend\">");
    for (class, name, seconds) in &steps {
        let (took, share) = (duration(*seconds), share(*seconds));
        let _ = write!(
            out,
            "<li><i class=\"p-{class}\"></i>{name} <b>{took}</b> <small>{share:.0}%</small></li>"
        );
    }
    out.push_str("</ul>\n");
    out
}

/// With the stock engine every split collects on its own: no time is known for that alone.
pub(super) fn run_name(page: &Page<'_>) -> &'static str {
    if page.seconds.collect > 0.0 { "tests" } else { "collection and tests" }
}

/// Each failure, its text folded away; empty where nothing failed.
pub(super) fn failures(page: &Page<'_>) -> String {
    if page.failures.is_empty() {
        return String::new();
    }
    let mut ids: Vec<&str> = Vec::new();
    page.failures.iter().for_each(|it| {
        if !ids.contains(&it.id.as_str()) {
            ids.push(&it.id)
        }
    });
    let mut out = String::from("<section id=\"failures\"><h2>Failures</h2>\n");
    let mut left = ALL_TEXTS;
    for failure in page.failures {
        write_failure(&mut out, failure, &page.again, &mut left);
    }
    if ids.len() > 1 {
        let line = failures::rerun_all(&ids, &page.again, &Limits::default());
        let _ = writeln!(
            out,
            "<p class=\"rerun\">All of them again: <code>{}</code></p>",
            escape(&line)
        );
    }
    out.push_str("</section>\n");
    out
}

fn write_failure(out: &mut String, failure: &Failure, again: &Again, left: &mut usize) {
    let split = failure.split.map(|split| format!(" in split {split}")).unwrap_or_default();
    let why = match failure.message.lines().next() {
        Some(line) => format!(
            "<span class=\"why\">{}</span>",
            escape(&cut(&name(line), 300).replace('\n', " "))
        ),
        None => String::new(),
    };
    let shown = name(&failure.id);
    let _ = writeln!(
        out,
        "<details class=\"failure\" data-id=\"{id}\"><summary><span class=\"id\">{id}</span> <span class=\"how\">{}{split}</span>{why}</summary>",
        failure.phase.words(),
        id = escape(&shown),
    );
    write_text(out, "", &failure.text, TEXT, left);
    for (title, text) in &failure.sections {
        write_text(out, title, text, SECTION, left);
    }
    let log = failure.log.as_ref().map(|log| {
        format!(
            "<p class=\"log\">All output of its split: <code>{}</code></p>",
            escape(log.as_str())
        )
    });
    let again = escape(&cut(&again.line(&[&failure.id]), SECTION));
    let _ = writeln!(
        out,
        "<p class=\"rerun\">Again: <code>{again}</code></p>{}</details>",
        log.unwrap_or_default(),
    );
}

/// A text of a failure, as long as there is room on the page.
fn write_text(out: &mut String, title: &str, text: &str, limit: usize, left: &mut usize) {
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    if !title.is_empty() {
        let _ = writeln!(out, "<h3>{}</h3>", escape(title));
    }
    let shown = cut(text, limit);
    if shown.len() > *left {
        out.push_str("<p class=\"say\">There was no more room on this page for its text.</p>\n");
        return;
    }
    *left -= shown.len();
    let _ = writeln!(out, "<pre>{}</pre>", escape(&shown));
}

/// Tests that passed only when they were repeated.
pub(super) fn flaky(page: &Page<'_>) -> String {
    if page.flaky.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<section id=\"flaky\"><h2>Flaky</h2>\n<p class=\"say\">Passed only when repeated.</p>\n<ul class=\"names\">",
    );
    for id in &page.flaky {
        let _ = write!(out, "<li class=\"id\">{}</li>", escape(&name(id)));
    }
    out.push_str("</ul></section>\n");
    out
}

/// Rows for the tests that took longest.
pub(super) fn slowest(page: &Page<'_>) -> String {
    let mut tests: Vec<_> = page.tests.iter().collect();
    tests.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(a.id.cmp(b.id)));
    let row = |test: &&Test<'_>| {
        let (id, outcome) = (escape(&name(test.id)), test.outcome);
        format!(
            "<tr><td>{:.2}</td><td class=\"id\">{id}</td><td>{outcome}</td></tr>\n",
            test.seconds
        )
    };
    tests.iter().take(ROWS).map(row).collect()
}

/// Rows for the files whose tests took longest.
pub(super) fn files(page: &Page<'_>) -> String {
    let mut files: HashMap<&str, (f64, usize)> = HashMap::new();
    for test in &page.tests {
        let file = NodeId(test.id).file();
        let (seconds, tests) = files.entry(file).or_default();
        *seconds += test.seconds;
        *tests += 1;
    }
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then(a.0.cmp(b.0)));
    let row = |(file, (seconds, tests)): &(&str, (f64, usize))| {
        let (file, tests) = (escape(&name(file)), thousands(*tests as u64));
        format!(
            "<tr><td>{seconds:.2}</td><td class=\"id\">{file}</td><td class=\"number\">{tests}</td></tr>\n"
        )
    };
    files.iter().take(ROWS).map(row).collect()
}
