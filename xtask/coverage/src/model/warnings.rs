//! Warnings of Python that tests have met: each once, with how often it came. Pure.

use std::collections::HashMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Shown; the others are counted.
const SHOWN: usize = 30;

/// Warnings in the order in which they first came.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Warnings {
    all: Vec<Warning>,
    #[serde(skip)]
    places: HashMap<(String, String), usize>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Warning {
    text: String,
    place: String,
    times: u64,
}

impl Warnings {
    /// A warning came so many times more, from this place: `FILE:LINE`.
    pub(crate) fn add(&mut self, text: String, place: String, times: u64) {
        *self.entry(text, place) += times;
    }

    /// A warning came so many times in one of several processes that all do the same.
    pub(crate) fn add_once(&mut self, text: String, place: String, times: u64) {
        let known = self.entry(text, place);
        *known = times.max(*known);
    }

    fn entry(&mut self, text: String, place: String) -> &mut u64 {
        let next = self.all.len();
        let at = *self.places.entry((text.clone(), place.clone())).or_insert(next);
        if at == next {
            self.all.push(Warning { text, place, times: 0 });
        }
        &mut self.all[at].times
    }

    /// Takes those of another process, or machine.
    pub(crate) fn absorb(&mut self, others: Warnings) {
        for Warning { text, place, times } in others.all {
            self.add(text, place, times);
        }
    }

    /// How many there were in all.
    pub(crate) fn total(&self) -> u64 {
        self.all.iter().map(|warning| warning.times).sum()
    }

    /// What is said of them; empty where there was none.
    pub(crate) fn lines(&self) -> String {
        let mut out = String::new();
        if self.all.is_empty() {
            return out;
        }
        let _ = writeln!(out, "---- {}", title(self.total(), self.all.len()));
        for warning in self.all.iter().take(SHOWN) {
            let times = match warning.times {
                0 | 1 => String::new(),
                times => format!(" ({times} times)"),
            };
            let _ = writeln!(out, "{}{times}", warning.place);
            for line in warning.text.lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
        if self.all.len() > SHOWN {
            let _ = writeln!(out, "… and {} more", self.all.len() - SHOWN);
        }
        out
    }
}

fn title(total: u64, different: usize) -> String {
    match (total, different) {
        (1, _) => "1 warning".to_owned(),
        (total, different) if total == different as u64 => format!("{total} warnings"),
        (total, different) => format!("{total} warnings, {different} different ones"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_said_once_with_its_count() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.lines(), "");
        warnings.add("UserWarning: old".to_owned(), "a.py:3".to_owned(), 1);
        assert_eq!(warnings.lines(), "---- 1 warning\na.py:3\n  UserWarning: old\n");
        warnings.add("UserWarning: two\nlines".to_owned(), "b.py:1".to_owned(), 1);
        warnings.add("UserWarning: old".to_owned(), "a.py:3".to_owned(), 2);
        let expected = "---- 4 warnings, 2 different ones\na.py:3 (3 times)\n  UserWarning: old\n\
                        b.py:1\n  UserWarning: two\n  lines\n";
        assert_eq!(warnings.lines(), expected);
    }

    #[test]
    fn what_every_process_meets_is_counted_once() {
        let mut warnings = Warnings::default();
        for _ in 0..3 {
            warnings.add_once("W: at import".to_owned(), "a.py:1".to_owned(), 1);
        }
        assert_eq!(warnings.total(), 1);
    }

    #[test]
    fn of_very_many_the_rest_is_counted() {
        let mut warnings = Warnings::default();
        for line in 0..SHOWN + 2 {
            warnings.add("W".to_owned(), format!("a.py:{line}"), 1);
        }
        assert!(warnings.lines().ends_with("a.py:29\n  W\n… and 2 more\n"));
    }
}
