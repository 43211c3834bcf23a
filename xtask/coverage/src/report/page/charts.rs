//! Under the timeline, over the same time: how much of the machine was in use, and how many
//! processes ran tests. SVG that needs no script; with one it follows the timeline when that is
//! zoomed.

use std::fmt::Write;

use super::Page;
use crate::machine::meter::Sample;
use crate::report::html::escape;

/// The height of a chart, pixels.
const TALL: f64 = 44.0;

struct Chart {
    class: &'static str,
    name: &'static str,
    /// What it shows, in words: they stand above it, and are read out in its place.
    words: String,
    /// The value at its upper edge, and how that is written.
    top: (f64, String),
    /// Ends of spans of time, seconds since the start of the run, and their values.
    spans: Vec<(f64, f64)>,
}

/// The charts; nothing where the machine was not watched.
pub(super) fn render(page: &Page<'_>) -> String {
    if page.samples.len() < 2 {
        return String::new();
    }
    let charts = [Some(processors(page)), memory(page), Some(processes(page))];
    let mut out = String::from("<div class=\"charts\">\n");
    charts.into_iter().flatten().for_each(|chart| write_chart(&mut out, page, &chart));
    out.push_str("</div>\n");
    out
}

fn processors(page: &Page<'_>) -> Chart {
    let cores = page.samples.iter().map(|it| it.cores).fold(0.0, f64::max);
    let spans = spans(page, |it| Some(it.busy));
    let all = number(cores);
    let words = format!("{:.1} of {all} busy on average", mean(page, &spans));
    Chart { class: "c-ok", name: "Processors", words, top: (cores, all), spans }
}

fn memory(page: &Page<'_>) -> Option<Chart> {
    let all = page.samples.iter().filter_map(|it| it.memory).max()? as f64 / GIB;
    let used = |it: &Sample| Some(it.memory?.saturating_sub(it.available?) as f64 / GIB);
    let spans = spans(page, used);
    let most = most(&spans)?;
    let words = format!("{most:.1} of {all:.1} GiB in use at the most");
    let top = (all, format!("{all:.0} GiB"));
    Some(Chart { class: "c-memory", name: "Memory", words, top, spans })
}

fn processes(page: &Page<'_>) -> Chart {
    let spans = spans(page, |it| Some(f64::from(it.processes)));
    let most = most(&spans).unwrap_or(0.0).max(1.0);
    let words = format!("{} at the most", number(most));
    Chart {
        class: "c-processes",
        name: "Processes that run tests",
        words,
        top: (most, number(most)),
        spans,
    }
}

const GIB: f64 = (1u64 << 30) as f64;

fn spans(page: &Page<'_>, of: impl Fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    page.samples.iter().filter_map(|it| Some((page.began + it.at, of(it)?))).collect()
}

fn most(spans: &[(f64, f64)]) -> Option<f64> {
    spans.iter().map(|(_, value)| *value).reduce(f64::max)
}

/// Each value holds for the time since the one before.
fn mean(page: &Page<'_>, spans: &[(f64, f64)]) -> f64 {
    let (mut sum, mut before) = (0.0, page.began);
    for (end, value) in spans {
        sum += value * (end - before);
        before = *end;
    }
    sum / (before - page.began).max(f64::MIN_POSITIVE)
}

/// Whole where it is whole.
fn number(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}

fn write_chart(out: &mut String, page: &Page<'_>, chart: &Chart) {
    let Chart { class, name, words, top: (_, top), .. } = chart;
    let (words, total) = (escape(words), page.seconds.total.max(f64::MIN_POSITIVE));
    let _ = writeln!(
        out,
        "<figure><figcaption>{name} <span>{words}</span></figcaption><div class=\"plot\" data-top=\"{top}\"><svg class=\"{class}\" viewBox=\"0 0 {total:.3} {TALL}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name} over time: {words}\"><path d=\"{}\"></path></svg></div></figure>",
        path(page.began, chart),
    );
}

/// Steps from left to right, closed along the lower edge.
fn path(began: f64, chart: &Chart) -> String {
    let mut path = format!("M{began:.2} {TALL}");
    for (end, value) in &chart.spans {
        let share = (value / chart.top.0.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        // A pixel is kept free, or the line at the upper edge would be cut in half.
        let _ = write!(path, "V{:.1}H{end:.2}", TALL - share * (TALL - 1.0));
    }
    let _ = write!(path, "V{TALL}Z");
    path
}
