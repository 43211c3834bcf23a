//! pytest-split's `duration_based_chunks`, bit for bit: the same groups as
//! `pytest --splits N --group i` under the same Python.

use std::collections::HashSet;

use super::Durations;

/// How Python's `sum()` adds floats. A group's share of the time is such a sum, so with round
/// durations the way of adding decides where a group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// One after the other: up to Python 3.11.
    Naive,
    /// With Neumaier's compensation: from Python 3.12 on.
    Compensated,
}

impl Sum {
    /// The sum of a Python version such as `3.12.1`; one that cannot be read counts as new.
    pub(crate) fn of_python(version: &str) -> Sum {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) < (3, 12) => Sum::Naive,
            _ => Sum::Compensated,
        }
    }

    fn of(self, values: &[f64]) -> f64 {
        match self {
            // Not `iter().sum()`: Rust's starts at -0.0, and leaves the order to the library.
            Sum::Naive => values.iter().fold(0.0, |sum, value| sum + value),
            Sum::Compensated => compensated(values),
        }
    }
}

/// `sum()` in CPython's `bltinmodule.c`. The compensation is added last, and only if it is a
/// number, so that an infinite sum stays infinite.
fn compensated(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for &value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    if lost.is_finite() { sum + lost } else { sum }
}

/// The tests of each group, as indices into `ids`, in order.
///
/// A group takes tests until it has its share of the time, so it overshoots, and later groups can
/// be empty. Where the plugin looks for a group after the last one (an `IndexError`: tests
/// without duration at the very end), the rest goes to the last group.
pub(crate) fn chunks(
    ids: &[String],
    durations: &Durations,
    splits: u32,
    sum: Sum,
) -> Vec<Vec<usize>> {
    let splits = splits.max(1);
    let seconds = expected(ids, durations, sum);
    let share = sum.of(&seconds) / f64::from(splits);
    let mut groups = vec![Vec::new(); splits as usize];
    let (mut group, mut filled) = (0, 0.0);
    for (test, seconds) in seconds.iter().enumerate() {
        if filled >= share && group + 1 < groups.len() {
            group += 1;
            filled = 0.0;
        }
        groups[group].push(test);
        filled += seconds;
    }
    groups
}

/// What each test is expected to take: its duration, or the average of the known ones, or 1 s
/// if none is known.
pub(super) fn expected(ids: &[String], durations: &Durations, sum: Sum) -> Vec<f64> {
    let average = average(ids, durations, sum);
    ids.iter().map(|id| durations.get(id).unwrap_or(average)).collect()
}

/// An id collected twice counts once, as a key of the plugin's dictionary.
fn average(ids: &[String], durations: &Durations, sum: Sum) -> f64 {
    let mut seen = HashSet::new();
    let known = ids.iter().filter(|id| seen.insert(id.as_str()));
    let known: Vec<f64> = known.filter_map(|id| durations.get(id)).collect();
    if known.is_empty() { 1.0 } else { sum.of(&known) / known.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the groups; a negative duration stands for an unknown one.
    #[track_caller]
    fn check(seconds: &[f64], splits: u32, sum: Sum, sizes: &[usize]) {
        let ids: Vec<String> = (0..seconds.len()).map(|test| format!("t.py::{test}")).collect();
        let known = ids.iter().cloned().zip(seconds.iter().copied()).filter(|(_, s)| *s >= 0.0);
        let groups = chunks(&ids, &known.collect(), splits, sum);
        assert_eq!(groups.concat(), (0..seconds.len()).collect::<Vec<_>>());
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn a_group_takes_the_test_that_crosses_its_share() {
        check(&[1.0, 1.0, 1.0, 1.0], 2, Sum::Naive, &[2, 2]);
        check(&[1.0, 1.0, 1.0], 2, Sum::Naive, &[2, 1]);
        check(&[1.0, 9.0, 1.0, 1.0], 3, Sum::Naive, &[2, 2, 0]);
    }

    #[test]
    fn unknown_tests_take_the_average_of_the_known_ones() {
        check(&[4.0, -1.0, 2.0, -1.0], 2, Sum::Naive, &[2, 2]);
        check(&[8.0, -1.0, -1.0, -1.0, 0.0, 1.0], 2, Sum::Naive, &[2, 4]);
        check(&[-1.0, -1.0, -1.0, -1.0, -1.0], 2, Sum::Naive, &[3, 2]);
    }

    #[test]
    fn a_test_collected_twice_counts_once_in_the_average() {
        let ids = ["a", "a", "a", "b", "c"].map(str::to_owned);
        let durations = [("a", 1.0), ("b", 4.0), ("elsewhere", 1000.0)].into_iter().collect();
        assert_eq!(expected(&ids, &durations, Sum::Naive), [1.0, 1.0, 1.0, 4.0, 2.5]);
    }

    #[test]
    fn the_last_group_takes_what_is_left() {
        check(&[1.0, 0.0], 1, Sum::Naive, &[2]);
        check(&[0.0, 0.0, 0.0], 2, Sum::Naive, &[0, 3]);
        check(&[], 2, Sum::Naive, &[0, 0]);
        check(&[1.0, 1.0], 0, Sum::Naive, &[2]);
    }

    /// Python 3.11 and 3.12 disagree about these.
    #[test]
    fn the_sum_decides_where_groups_end() {
        check(&[0.1, 0.2, 0.2, 0.1], 6, Sum::Naive, &[1, 1, 1, 1, 0, 0]);
        check(&[0.1, 0.2, 0.2, 0.1], 6, Sum::Compensated, &[2, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn sums_are_those_of_python() {
        assert_eq!(Sum::Naive.of(&[0.1; 10]), 0.9999999999999999);
        assert_eq!(Sum::Compensated.of(&[0.1; 10]), 1.0);
        assert_eq!(Sum::Naive.of(&[1.0, 1e100, 1.0, -1e100]), 0.0);
        assert_eq!(Sum::Compensated.of(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(Sum::Compensated.of(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert!(Sum::Naive.of(&[]).is_sign_positive());
    }

    #[test]
    fn sums_are_compensated_since_python_3_12() {
        for old in ["2.7.18", "3.8", "3.11.7", "3.9.0rc1"] {
            assert_eq!(Sum::of_python(old), Sum::Naive, "{old}");
        }
        for new in ["3.12.1", "3.13.0", "3.100", "4.0", "3", "pypy"] {
            assert_eq!(Sum::of_python(new), Sum::Compensated, "{new}");
        }
    }
}
