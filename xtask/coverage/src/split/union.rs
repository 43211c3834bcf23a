//! Whether splits that were cut apart from each other are the whole: every test in one of them.

use std::collections::BTreeMap;

use super::Marks;
use crate::model::NodeId;

/// Tests that were to run again and that nobody has collected.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct NotFound {
    /// What they were called.
    pub ids: Vec<String>,
    /// Of these files all tests run in their place.
    pub files: Vec<String>,
    /// All tests run in their place, as there was nothing else to run.
    pub whole: bool,
}

/// What one split's pytest had collected right before pytest-split's cut, and what it kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Cut {
    /// The node ids before the cut, in order.
    pub before: Vec<String>,
    /// The node ids after the cut, in order.
    pub after: Vec<String>,
    /// What is known of the tests before the cut.
    #[serde(default)]
    pub marks: Marks,
    /// With `--last-failed`.
    #[serde(default)]
    pub not_found: NotFound,
}

/// How often each id occurs. pytest collects a test twice when its path is given twice, so a
/// test that runs twice is only wrong if it was collected once.
type Counts<'a> = BTreeMap<&'a str, usize>;

/// Says what is wrong with the splits' union; nothing if it is the whole, each test once.
///
/// A split that is not in `cuts` at all shows as the tests that no split runs.
///
/// A test whose id changes from collection to collection (a parameter that holds the time of
/// day) is the test at its place: every split collects anew.
pub(crate) fn check_union(cuts: &BTreeMap<u32, Cut>) -> Vec<String> {
    let cuts = &under_one_name(cuts);
    let mut wrong = Vec::new();
    if let Some((first, reference)) = cuts.first_key_value() {
        let others = cuts.iter().skip(1);
        wrong.extend(
            others.flat_map(|(split, cut)| differences((*first, reference), (*split, cut))),
        );
    }
    let (whole, runs) = (whole(cuts), runs(cuts));
    let times = |id: &str| runs.get(id).map_or(0, Vec::len);
    let missing = whole.iter().filter(|(id, count)| times(id) < **count);
    let missing: Vec<String> = missing.map(|(id, _)| format!("`{id}`")).collect();
    wrong.extend(say(&missing, |tests| format!("{tests} in no split")));
    let repeated = runs.iter().filter(|(id, splits)| splits.len() > *whole.get(*id).unwrap_or(&0));
    let repeated: Vec<String> =
        repeated.map(|(id, splits)| format!("`{id}` ({})", listed(splits))).collect();
    wrong.extend(say(&repeated, |tests| format!("{tests} in more than one split")));
    wrong
}

/// Where each of the `known` tests is among those that somebody else has collected: by its place
/// where only ids that change by themselves differ, else by its id, in whatever order. None where
/// they are not the same tests.
pub(crate) fn places(known: &[String], others: &[String]) -> Option<Vec<usize>> {
    let cut = |ids: &[String]| Cut { before: ids.to_vec(), ..Cut::default() };
    let named = under_one_name(&BTreeMap::from([(1, cut(known)), (2, cut(others))]));
    let (known, others) = (&named[&1].before, &named[&2].before);
    if known == others {
        return Some((0..known.len()).collect());
    }
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, id) in others.iter().enumerate().rev() {
        places.entry(id).or_default().push(place);
    }
    let found: Option<Vec<usize>> =
        known.iter().map(|id| places.get_mut(id.as_str())?.pop()).collect();
    found.filter(|_| known.len() == others.len())
}

/// The cuts with the ids of the first one, for tests whose id the first does not know, where it
/// has at this place the same function with parameters that only it knows. Another order never
/// looks so.
fn under_one_name(cuts: &BTreeMap<u32, Cut>) -> BTreeMap<u32, Cut> {
    let Some(first) = cuts.values().next() else { return BTreeMap::new() };
    let known = counts(&first.before);
    let renamed = |cut: &Cut| {
        let here = counts(&cut.before);
        let pairs = cut.before.iter().zip(&first.before);
        let alien = |(id, name): &(&String, &String)| {
            !known.contains_key(id.as_str())
                && !here.contains_key(name.as_str())
                && NodeId(id).function() == NodeId(name).function()
        };
        let same_length = cut.before.len() == first.before.len();
        let names: BTreeMap<&String, &String> =
            pairs.filter(|pair| same_length && alien(pair)).collect();
        let rename = |id: &String| names.get(id).map_or(id, |name| *name).clone();
        let (before, after) = (&cut.before, &cut.after);
        Cut {
            before: before.iter().map(rename).collect(),
            after: after.iter().map(rename).collect(),
            ..Cut::default()
        }
    };
    cuts.iter().map(|(&split, cut)| (split, renamed(cut))).collect()
}

/// How a split's collection differs from that of the first: in its tests, or in their order.
fn differences(first: (u32, &Cut), other: (u32, &Cut)) -> Vec<String> {
    let ((a, first), (b, other)) = (first, other);
    let (expected, found) = (counts(&first.before), counts(&other.before));
    let less = say(&beyond(&expected, &found), |n| format!("split {b} lacks {n} of split {a}"));
    let more =
        say(&beyond(&found, &expected), |n| format!("split {b} has {n} unknown to split {a}"));
    let wrong: Vec<String> = less.into_iter().chain(more).collect();
    let mut pairs = first.before.iter().zip(&other.before);
    match pairs.find(|(expected, found)| expected != found) {
        Some((_, id)) if wrong.is_empty() => {
            vec![format!("split {b} has the tests of split {a} in another order, from `{id}` on")]
        }
        _ => wrong,
    }
}

/// Every test that any split collected, as often as the one that has it most often.
fn whole(cuts: &BTreeMap<u32, Cut>) -> Counts<'_> {
    let mut whole = Counts::new();
    for (id, count) in cuts.values().flat_map(|cut| counts(&cut.before)) {
        let most = whole.entry(id).or_default();
        *most = count.max(*most);
    }
    whole
}

/// The splits that run each test.
fn runs(cuts: &BTreeMap<u32, Cut>) -> BTreeMap<&str, Vec<u32>> {
    let mut runs = BTreeMap::<&str, Vec<u32>>::new();
    for (split, cut) in cuts {
        for id in &cut.after {
            runs.entry(id).or_default().push(*split);
        }
    }
    runs
}

fn counts(ids: &[String]) -> Counts<'_> {
    let mut counts = Counts::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// The ids that occur more often in the one than in the other.
fn beyond(counts: &Counts<'_>, others: &Counts<'_>) -> Vec<String> {
    let beyond = counts.iter().filter(|(id, count)| others.get(*id).unwrap_or(&0) < count);
    beyond.map(|(id, _)| format!("`{id}`")).collect()
}

/// A message with the number of tests and the names of the first; none without tests.
fn say(names: &[String], message: impl Fn(&str) -> String) -> Option<String> {
    const NAMED: usize = 3;
    let tests = match names.len() {
        0 => return None,
        1 => "1 test".to_owned(),
        n => format!("{n} tests"),
    };
    let rest = names.len().saturating_sub(NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(format!("{}: {named}{rest}", message(&tests)))
}

fn listed(splits: &[u32]) -> String {
    let splits: Vec<String> = splits.iter().map(u32::to_string).collect();
    format!("splits {}", splits.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits as `before > after`, ids separated by blanks.
    #[track_caller]
    fn check(cuts: &[&str], expected: &[&str]) {
        let ids = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let cut = |text: &&str| {
            let (before, after) = text.split_once('>').expect("before > after");
            Cut { before: ids(before), after: ids(after), ..Cut::default() }
        };
        assert_eq!(check_union(&(1..).zip(cuts.iter().map(cut)).collect()), expected);
    }

    #[test]
    fn nothing_is_wrong_with_the_whole() {
        check(&[], &[]);
        check(&["a b c > a b", "a b c > c", "a b c >"], &[]);
    }

    #[test]
    fn tests_are_found_by_place_or_id() {
        let find = |known: &str, others: &str| {
            let ids = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            places(&ids(known), &ids(others))
        };
        assert_eq!(find("a b c", "a b c"), Some(vec![0, 1, 2]));
        assert_eq!(find("a t[1] c", "a t[2] c"), Some(vec![0, 1, 2]));
        assert_eq!(find("a b c", "c a b"), Some(vec![1, 2, 0]));
        assert_eq!(find("a a b", "b a a"), Some(vec![1, 2, 0]));
        assert_eq!(find("a b", "a c"), None);
        assert_eq!(find("a b", "a b c"), None);
    }

    #[test]
    fn a_test_whose_id_changes_is_the_test_at_its_place() {
        check(&["a t[1] c > a", "a t[2] c > t[2]", "a t[3] c > c"], &[]);
        check(
            &["a t[1] c > a", "a t[2] c > a"],
            &[
                "2 tests in no split: `c`, `t[1]`",
                "1 test in more than one split: `a` (splits 1, 2)",
            ],
        );
        check(
            &["a b c > a", "b a c > c"],
            &[
                "split 2 has the tests of split 1 in another order, from `b` on",
                "1 test in no split: `b`",
            ],
        );
    }

    #[test]
    fn tests_collected_twice_run_twice() {
        check(&["a b a > a b", "a b a > a"], &[]);
        check(&["a b a > a b", "a b a >"], &["1 test in no split: `a`"]);
        check(
            &["a b a > a b a", "a b a > a"],
            &["1 test in more than one split: `a` (splits 1, 1, 2)"],
        );
    }

    #[test]
    fn tests_in_no_split_are_named_up_to_three() {
        check(&["a b c > a", "a b c > b"], &["1 test in no split: `c`"]);
        check(&["a b c d >"], &["4 tests in no split: `a`, `b`, `c` and 1 more"]);
        check(&["a b c >"], &["3 tests in no split: `a`, `b`, `c`"]);
    }

    #[test]
    fn tests_in_two_splits_are_named_with_them() {
        check(&["a b > a b", "a b > b"], &["1 test in more than one split: `b` (splits 1, 2)"]);
    }

    #[test]
    fn splits_must_see_the_same_tests() {
        check(
            &["a b > a", "a c > c"],
            &[
                "split 2 lacks 1 test of split 1: `b`",
                "split 2 has 1 test unknown to split 1: `c`",
                "1 test in no split: `b`",
            ],
        );
        check(&["a b > a", "a b a > b a"], &["split 2 has 1 test unknown to split 1: `a`"]);
    }

    #[test]
    fn splits_must_see_the_same_order() {
        check(
            &["a b c > a", "a c b > c b"],
            &["split 2 has the tests of split 1 in another order, from `c` on"],
        );
        check(
            &["a b > a", "b a > a"],
            &[
                "split 2 has the tests of split 1 in another order, from `b` on",
                "1 test in no split: `b`",
                "1 test in more than one split: `a` (splits 1, 2)",
            ],
        );
    }
}
