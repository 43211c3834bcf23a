//! Strict combining: which data files a run must have left, against those that are there.
//! Pure. Whether a file can be read is found out where it is read, by `host/coverage_reports.py`.

use crate::model::{Expected, Origin, Part, Problem};
use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

/// What there is to combine, and what is not as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Each file once: the announced ones that were found, in their order, then the others by
    /// name.
    pub parts: Vec<Part>,
    /// Empty where everything expected is there.
    pub problems: Vec<Problem>,
}

/// Compares what a run must have left with the files `found` where parts are kept. A file that
/// nobody announced is taken for one of a process that a test started.
pub(crate) fn check(expected: &Expected, found: &[Utf8PathBuf]) -> Checked {
    let found: BTreeSet<&Utf8Path> = found.iter().map(Utf8PathBuf::as_path).collect();
    let (there, missing): (Vec<&Part>, Vec<&Part>) = announced_once(&expected.parts)
        .into_iter()
        .filter(|part| part.required() || found.contains(part.file.as_path()))
        .partition(|part| found.contains(part.file.as_path()));

    let mut problems: Vec<Problem> = missing.into_iter().map(missing_part).collect();
    problems.extend(written_twice(&expected.parts));
    problems.extend(splits_without_part(expected));

    let known: BTreeSet<&Utf8Path> =
        expected.parts.iter().map(|part| part.file.as_path()).collect();
    let others = found.difference(&known).map(|file| Part {
        split: None,
        file: file.to_path_buf(),
        origin: Origin::Subprocess,
    });
    Checked { parts: there.into_iter().cloned().chain(others).collect(), problems }
}

fn announced_once(parts: &[Part]) -> Vec<&Part> {
    let mut seen = BTreeSet::new();
    parts.iter().filter(|part| seen.insert(&part.file)).collect()
}

fn missing_part(part: &Part) -> Problem {
    Problem { split: part.split, file: Some(part.file.clone()), what: "is missing".to_owned() }
}

/// Two splits that wrote to one name: the second has overwritten what the first left.
fn written_twice(parts: &[Part]) -> Vec<Problem> {
    let mut writers: BTreeMap<&Utf8Path, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        writers.entry(&part.file).or_default().push(part);
    }
    let shared = writers.into_iter().filter(|(_, writers)| writers.len() > 1);
    shared
        .map(|(file, writers)| Problem {
            split: writers[1].split,
            file: Some(file.to_path_buf()),
            what: format!("was written {} times, so all but the last are lost", writers.len()),
        })
        .collect()
}

fn splits_without_part(expected: &Expected) -> Vec<Problem> {
    let with_part: BTreeSet<u32> = expected
        .parts
        .iter()
        .filter(|part| part.origin == Origin::Tests)
        .filter_map(|part| part.split)
        .collect();
    expected
        .splits
        .difference(&with_part)
        .map(|&split| Problem {
            split: Some(split),
            file: None,
            what: "left no coverage data".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(split: Option<u32>, file: &str, origin: Origin) -> Part {
        Part { split, file: file.into(), origin }
    }

    /// A run is written as "1=a 2=b host=h sub=s 2+=s", a number alone being a split that ran,
    /// and a plus a process that one of its tests started.
    fn expected(run: &str) -> Expected {
        let mut expected = Expected::default();
        for word in run.split_whitespace() {
            let (who, file) = word.split_once('=').unwrap_or((word, ""));
            let split = who.trim_end_matches('+').parse().ok();
            expected.splits.extend(split);
            let origin = match who {
                "host" => Origin::Host,
                "begun" => Origin::Begun,
                _ if who == "sub" || who.ends_with('+') => Origin::Subprocess,
                _ => Origin::Tests,
            };
            expected.parts.extend((!file.is_empty()).then(|| part(split, file, origin)));
        }
        expected
    }

    fn check_words(run: &str, found: &str) -> (String, Vec<String>) {
        let found: Vec<Utf8PathBuf> = found.split_whitespace().map(Utf8PathBuf::from).collect();
        let checked = check(&expected(run), &found);
        let parts: Vec<&str> = checked.parts.iter().map(|part| part.file.as_str()).collect();
        (parts.join(" "), checked.problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn names_what_is_not_as_it_must_be() {
        let table: &[(&str, &str, &str, &[&str])] = &[
            ("", "", "", &[]),
            ("1=a 2=b host=h", "a b h", "a b h", &[]),
            ("2=b 1=a 1=c", "c b a", "b a c", &[]),
            ("1=a 2=b", "a", "a", &["split 2: `b` is missing"]),
            ("1=a host=h", "a", "a", &["`h` is missing"]),
            ("1=a 2", "a", "a", &["split 2 left no coverage data"]),
            (
                "1 2 host=h",
                "h",
                "h",
                &["split 1 left no coverage data", "split 2 left no coverage data"],
            ),
            ("1=a", "", "", &["split 1: `a` is missing"]),
            ("1=a sub=s", "a", "a", &[]),
            ("1=a begun=s", "a s", "a s", &[]),
            ("1=a begun=s", "a", "a", &["`s` is missing"]),
            ("1 begun=s", "s", "s", &["split 1 left no coverage data"]),
            ("1=a sub=s", "a s", "a s", &[]),
            ("1=a", "z a y", "a y z", &[]),
            (
                "1=a 2=a",
                "a",
                "a",
                &["split 2: `a` was written 2 times, so all but the last are lost"],
            ),
        ];
        for &(run, found, parts, problems) in table {
            let problems = problems.iter().map(|&problem| problem.to_owned()).collect();
            assert_eq!(check_words(run, found), (parts.to_owned(), problems), "{run} / {found}");
        }
    }

    #[test]
    fn a_file_nobody_announced_is_that_of_a_subprocess() {
        let checked = check(&expected("1=a"), &["a".into(), "b".into()]);
        assert_eq!(checked.parts[1], part(None, "b", Origin::Subprocess));
        assert!(checked.parts[0].required() && !checked.parts[1].required());
    }
}
