//! What deserves a word at the end of a run besides the failures: tests that are slow or not to
//! be relied on, and what has changed since the last complete run. Pure, plain text.

use std::collections::BTreeMap;

/// Tests named at the most, and files.
const TESTS: usize = 10;
const FILES: usize = 5;
/// A test that takes longer is worth a line, seconds.
const SLOW: f64 = 0.5;
/// Half of the last digit that is shown: what changes less does not show.
const UNSEEN: f64 = 0.005;

/// `Flaky: a, b`, or a line for each of many; nothing for none.
pub(crate) fn named(title: &str, ids: &[&str], all: bool) -> Vec<String> {
    let shown = if all { ids.len() } else { ids.len().min(TESTS) };
    let (shown, rest) = ids.split_at(shown);
    let title = match ids.len() {
        0 => return Vec::new(),
        1 => return vec![format!("{title}: {}", ids[0])],
        n => format!("{title} ({n}):"),
    };
    let rest = (!rest.is_empty()).then(|| format!("    … and {} more", rest.len()));
    let shown = shown.iter().map(|id| format!("    {id}"));
    std::iter::once(title).chain(shown).chain(rest).collect()
}

/// The slowest tests, the slowest first: those worth a line, or with `all` whatever there is.
pub(crate) fn slowest(seconds: &BTreeMap<String, f64>, all: bool) -> Vec<(&str, f64)> {
    let mut tests: Vec<(&str, f64)> = seconds.iter().map(|(id, &it)| (id.as_str(), it)).collect();
    tests.retain(|(_, seconds)| all || *seconds > SLOW);
    tests.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    tests.truncate(TESTS);
    tests
}

/// ` (+0.30)`: how the percentage has changed; empty where that does not show.
pub(crate) fn change(percent: f64, before: Option<f64>) -> String {
    match before.map(|before| percent - before) {
        Some(change) if change.abs() >= UNSEEN => format!(" ({change:+.2})"),
        _ => String::new(),
    }
}

/// A file of which less is covered than before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fallen {
    /// As coverage shows it.
    pub path: String,
    /// Percent, then and now.
    pub before: f64,
    /// Percent.
    pub now: f64,
}

/// The files that fell, the worst first.
pub(crate) fn fallen(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Vec<Fallen> {
    let fell = |(path, &now): (&String, &f64)| {
        let before = *before.get(path)?;
        (before - now >= UNSEEN).then(|| Fallen { path: path.clone(), before, now })
    };
    let mut files: Vec<Fallen> = now.iter().filter_map(fell).collect();
    files.sort_by(|a, b| (b.before - b.now).total_cmp(&(a.before - a.now)));
    files
}

/// They as lines, the worst of many; nothing for none.
pub(crate) fn say_fallen(files: &[Fallen], all: bool) -> Vec<String> {
    let shown = if all { files.len() } else { files.len().min(FILES) };
    let line = |file: &Fallen| format!("    {}  {:.2}% → {:.2}%", file.path, file.before, file.now);
    let title =
        (!files.is_empty()).then(|| "Less covered than in the last complete run:".to_owned());
    let rest = files.len() - shown;
    let rest = (rest > 0).then(|| format!("    … and {rest} more"));
    title.into_iter().chain(files[..shown].iter().map(line)).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn tests_are_named_on_a_line_or_on_several() {
        assert_eq!(named("Flaky", &[], false), [""; 0]);
        assert_eq!(named("Flaky", &["a"], false), ["Flaky: a"]);
        assert_eq!(named("Flaky", &["a", "b"], false), ["Flaky (2):", "    a", "    b"]);
        let many = named("Flaky", &["a"; 12], false);
        assert_eq!((many.len(), many[11].as_str()), (12, "    … and 2 more"));
        assert_eq!(named("Flaky", &["a"; 12], true).len(), 13);
    }

    #[test]
    fn only_slow_tests_are_worth_a_line() {
        let seconds = table(&[("a", 0.6), ("b", 3.0), ("c", 0.5), ("d", 0.6)]);
        assert_eq!(slowest(&seconds, false), [("b", 3.0), ("a", 0.6), ("d", 0.6)]);
        assert_eq!(slowest(&seconds, true).len(), 4);
        let many = (0..20).map(|n| (n.to_string(), 1.0)).collect();
        assert_eq!(slowest(&many, false).len(), 10);
    }

    #[test]
    fn a_change_is_told_where_it_shows() {
        let table = [
            (94.12, Some(93.82), " (+0.30)"),
            (94.12, Some(95.0), " (-0.88)"),
            (94.12, Some(94.123), ""),
            (94.12, None, ""),
        ];
        for (percent, before, wanted) in table {
            assert_eq!(change(percent, before), wanted, "{before:?}");
        }
    }

    #[test]
    fn the_files_that_fell_the_worst_first() {
        let before = table(&[("a", 90.0), ("b", 90.0), ("c", 50.0), ("gone", 9.0)]);
        let now = table(&[("a", 89.0), ("b", 80.0), ("c", 60.0), ("new", 0.0)]);
        let wanted = [
            "Less covered than in the last complete run:",
            "    b  90.00% → 80.00%",
            "    a  90.00% → 89.00%",
        ];
        assert_eq!(say_fallen(&fallen(&before, &now), false), wanted);
        assert_eq!(say_fallen(&fallen(&now, &now), false), [""; 0]);
        let many = (0..9).map(|n| Fallen { path: n.to_string(), before: 1.0, now: 0.0 });
        let lines = say_fallen(&many.collect::<Vec<_>>(), false);
        assert_eq!((lines.len(), lines[6].as_str()), (7, "    … and 4 more"));
    }
}
