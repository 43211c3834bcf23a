//! Numbers and names as they are read.

use crate::engine::Sample;
use crate::split::NotFound;

/// `1 test`, `2 tests`, `11,433 tests`.
pub fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n))
}

/// `11,433`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.4s`, `12.4s`, `3m 05s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1}s") } else { whole_seconds(seconds) }
}

/// `0s`, `12s`, `3m 05s`: for what changes while it is read.
pub(super) fn whole_seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole < 100 { format!("{whole}s") } else { format!("{}m {:02}s", whole / 60, whole % 60) }
}

/// `4 workers, 2 before: 1.3 of 2 cores busy, 5.2 GiB of 7.7 GiB free`.
pub(super) fn machine(sample: &Sample, before: Option<u32>) -> String {
    let before = before.map(|before| format!(", {before} before")).unwrap_or_default();
    let cores = (sample.cores * 100.0).round() / 100.0;
    let free = sample.available.zip(sample.memory);
    let free = free.map(|(free, all)| format!(", {} of {} free", gib(free), gib(all)));
    format!(
        "{}{before}: {:.1} of {cores} cores busy{}",
        count(sample.processes.into(), "worker"),
        sample.busy,
        free.unwrap_or_default()
    )
}

/// `5.2 GiB`.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// A name on one line: pytest lets a custom id hold line breaks and worse.
pub fn one_line(id: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    id.chars().map(shown).collect()
}

/// The first of some names, and how many more there are.
fn some(names: &[String]) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> =
        names.iter().take(NAMED).map(|name| format!("`{}`", one_line(name))).collect();
    match names.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        rest => format!("{} and {rest} more", named.join(", ")),
    }
}

/// Which tests were not found again, and what runs in their place; nothing where there are none.
pub(super) fn not_found(not_found: &NotFound) -> Option<String> {
    let NotFound { ids, files, whole } = not_found;
    let instead = match files.as_slice() {
        _ if *whole => "all tests run in their place".to_owned(),
        [] => "only a run of the whole suite can tell what became of them".to_owned(),
        files => format!("all tests of {} run in their place", some(files)),
    };
    let tests = count(ids.len() as u64, "test");
    (!ids.is_empty()).then(|| format!("{tests} not found again, {}: {instead}", some(ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found_again_is_named_with_what_runs_instead() {
        let named = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let said = |ids: &[&str], files: &[&str], whole| {
            not_found(&NotFound { ids: named(ids), files: named(files), whole })
        };
        assert_eq!(said(&[], &[], false), None);
        let words = "1 test not found again, `a.py::x[1]`: all tests of `a.py` run in their place";
        assert_eq!(said(&["a.py::x[1]"], &["a.py"], false).as_deref(), Some(words));
        let words = "4 tests not found again, `a`, `b`, `c` and 1 more: \
                     all tests run in their place";
        assert_eq!(said(&["a", "b", "c", "d"], &[], true).as_deref(), Some(words));
    }

    #[test]
    fn the_machine_is_told_in_a_line() {
        let memory = (Some(5 << 30), Some(8 << 30));
        let (busy, cores, processes) = (1.25, 1.5, 4);
        let (available, all) = memory;
        let sample = Sample { at: 1.0, busy, cores, available, memory: all, processes };
        let words = "4 workers, 2 before: 1.2 of 1.5 cores busy, 5.0 GiB of 8.0 GiB free";
        assert_eq!(machine(&sample, Some(2)), words);
        let sample = Sample { busy: 2.0, cores: 2.0, processes: 1, ..Sample::default() };
        assert_eq!(machine(&sample, None), "1 worker: 2.0 of 2 cores busy");
    }

    #[test]
    fn numbers_read_well() {
        let counts = [count(0, "test"), count(1, "split"), count(999, "test"), count(1000, "test")];
        assert_eq!(counts, ["0 tests", "1 split", "999 tests", "1,000 tests"]);
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!([seconds(0.04), seconds(12.35), seconds(185.2)], ["0.0s", "12.3s", "3m 05s"]);
        assert_eq!([0.4, 99.4, 185.2].map(whole_seconds), ["0s", "99s", "3m 05s"]);
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(one_line("t.py::é[a\nb\x1b[2J]"), "t.py::é[a\\nb\\u{1b}[2J]");
    }
}
