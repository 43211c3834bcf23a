//! `.test_durations`, pytest-split's file of seconds per node id: read as the plugin reads it,
//! written byte for byte as it writes it. Works on text; knows no disk.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use anyhow::Context;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Seconds per node id, sorted as Python sorts strings: by code points, as UTF-8 does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Durations(BTreeMap<String, f64>);

impl Durations {
    /// Reads an object, or the list of pairs that old versions of the plugin wrote.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Durations> {
        serde_json::from_str(text).context("no valid test durations")
    }

    /// The seconds of a test, if known.
    pub(crate) fn get(&self, id: &str) -> Option<f64> {
        self.0.get(id).copied()
    }

    /// Notes the seconds of a test, in place of what was known of it.
    pub(crate) fn insert(&mut self, id: impl Into<String>, seconds: f64) {
        self.0.insert(id.into(), seconds);
    }

    /// Takes what is new; tests that are not in `new` keep their durations.
    pub(crate) fn merge(&mut self, new: Durations) {
        self.0.extend(new.0);
    }

    /// Whether no test is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each node id with its seconds, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(id, seconds)| (id.as_str(), *seconds))
    }
}

/// How much of the time that tests take they use a processor, from what was recorded of each: all
/// of it where nothing was, and more than that where tests use several at once.
pub(crate) fn share_of_cpu(recorded: &Durations, cpu: &Durations) -> f64 {
    let known = cpu.iter().filter_map(|(id, used)| Some((used, recorded.get(id)?)));
    let (used, took) = known.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    if took > 0.0 { used / took } else { 1.0 }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Durations {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(pairs: I) -> Durations {
        Durations(pairs.into_iter().map(|(id, seconds)| (id.into(), seconds)).collect())
    }
}

/// The text of the file: Python's `json.dump(…, sort_keys=True, indent=4)`.
impl Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        let mut separator = "{\n";
        for (id, seconds) in self.iter() {
            write!(f, "{separator}    {}: {}", quoted(id), repr(seconds))?;
            separator = ",\n";
        }
        f.write_str("\n}")
    }
}

/// A JSON string of nothing but ASCII; code points beyond 16 bits become surrogate pairs.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'"') => quoted.push_str("\\\""),
            Ok(b'\\') => quoted.push_str("\\\\"),
            Ok(b'\n') => quoted.push_str("\\n"),
            Ok(b'\r') => quoted.push_str("\\r"),
            Ok(b'\t') => quoted.push_str("\\t"),
            Ok(0x0c) => quoted.push_str("\\f"),
            Ok(0x08) => quoted.push_str("\\b"),
            Ok(plain @ b' '..=b'~') => quoted.push(plain.into()),
            _ => write!(quoted, "\\u{unit:04x}").unwrap_or_default(), // a String takes everything
        }
    }
    quoted + "\""
}

/// Python's `repr` of a float (and what its `json` makes of those that are no numbers): the
/// shortest digits that read back as the same float, in plain notation from 0.0001 up to 1e16.
fn repr(x: f64) -> String {
    let scientific = format!("{x:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific.replace("inf", "Infinity");
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if (-4..16).contains(&exponent) {
        let places = (decimals as i32 - exponent).max(1) as usize;
        return even(x, format!("{x:.places$}"), format!("{x:?}"));
    }
    let scientific = even(x, format!("{x:.decimals$e}"), scientific);
    let (digits, _) = scientific.split_once('e').unwrap_or_default();
    format!("{digits}e{exponent:+03}")
}

/// Of two shortest texts that are equally near, Rust takes the upper one and Python the even one,
/// which is what rounding to that many digits gives. Next to a power of two the rounded text can
/// be another float; then there was no choice.
fn even(x: f64, rounded: String, shortest: String) -> String {
    if rounded.parse() == Ok(x) { rounded } else { shortest }
}

impl<'de> Deserialize<'de> for Durations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Durations, D::Error> {
        deserializer.deserialize_any(DurationsVisitor)
    }
}

struct DurationsVisitor;

impl<'de> Visitor<'de> for DurationsVisitor {
    type Value = Durations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of node ids and seconds, or a list of such pairs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Durations, A::Error> {
        let mut durations = Durations::default();
        while let Some((id, seconds)) = map.next_entry::<String, f64>()? {
            durations.insert(id, seconds);
        }
        Ok(durations)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Durations, A::Error> {
        let mut durations = Durations::default();
        while let Some((id, seconds)) = list.next_element::<(String, f64)>()? {
            durations.insert(id, seconds);
        }
        Ok(durations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(pairs: &[(&str, f64)]) -> Durations {
        pairs.iter().copied().collect()
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (seconds, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000012345, "1.2345e-05"),
            (-1.5e-7, "-1.5e-07"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (1336534080624193.0 + 0.25, "1336534080624193.2"),
            (1e16, "1e+16"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(repr(seconds), text);
        }
    }

    #[test]
    fn ids_are_escaped_to_ascii() {
        assert_eq!(quoted("a b~/é"), r#""a b~/\u00e9""#);
        assert_eq!(quoted("\"\\\n\r\t\u{c}\u{8}"), r#""\"\\\n\r\t\f\b""#);
        assert_eq!(quoted("\0\u{1f}\u{7f}\u{ffff}"), r#""\u0000\u001f\u007f\uffff""#);
        assert_eq!(quoted("\u{1f600}"), r#""\ud83d\ude00""#);
    }

    #[test]
    fn files_are_sorted_by_code_points_and_end_without_a_newline() {
        let written = durations(&[("b", 1.0), ("\u{1f600}", 3.0), ("\u{ffff}", 2.0), ("B", 0.5)]);
        let text = "{\n    \"B\": 0.5,\n    \"b\": 1.0,\n    \"\\uffff\": 2.0,\n    \"\\ud83d\\ude00\": 3.0\n}";
        assert_eq!(written.to_string(), text);
        assert_eq!(Durations::default().to_string(), "{}");
    }

    #[test]
    fn reads_objects_and_the_old_list_of_pairs() {
        let expected = durations(&[("a::b[\"1\"]", 1.5), ("c\\", 2.0)]);
        for text in [
            r#"{"a::b[\"1\"]": 1.5, "c\\": 2}"#,
            r#"[["a::b[\"1\"]", 1.5], ["c\\", 2.0]]"#,
            r#" {"c\\": 7e-9, "a::b[\"1\"]": 15e-1, "c\u005c": 2.0 } "#,
        ] {
            assert_eq!(Durations::parse(text).expect(text), expected, "{text}");
        }
        assert_eq!(Durations::parse("{}").expect("empty"), Durations::default());
        assert_eq!(Durations::parse("[]").expect("empty"), Durations::default());
    }

    /// The last bit can move a test to another split.
    #[test]
    fn floats_are_read_to_the_last_bit() {
        // Knuth's generator for MMIX: the bits of floats from 1e-5 to 100.
        let next = |bits: &u64| {
            Some(bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407))
        };
        let seconds = |bits: u64| (bits >> 11) as f64 / 2f64.powi(53) * 100.0 + 1e-5;
        let bits = std::iter::successors(Some(1), next);
        let written: Durations = (0..2000).map(|n| n.to_string()).zip(bits.map(seconds)).collect();
        assert_eq!(Durations::parse(&written.to_string()).expect("durations"), written);
    }

    #[test]
    fn says_what_is_broken() {
        for (text, cause) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"a\": 1.0,\n", "EOF while parsing a value at line 2 column 0"),
            (
                "{\"a\": 1.0,\n \"b\": \"2\"}",
                "invalid type: string \"2\", expected f64 at line 2 column 9",
            ),
            (
                "null",
                "invalid type: null, expected an object of node ids and seconds, \
                 or a list of such pairs at line 1 column 4",
            ),
            ("[[\"a\"]]", "invalid length 1, expected a tuple of size 2 at line 1 column 6"),
            ("{\"a\": NaN}", "expected value at line 1 column 7"),
        ] {
            let error = Durations::parse(text).expect_err(text);
            assert_eq!(format!("{error:#}"), format!("no valid test durations: {cause}"));
        }
    }

    #[test]
    fn the_share_of_cpu_is_that_of_tests_of_which_both_are_known() {
        let took = durations(&[("waits", 8.0), ("works", 2.0), ("new", 50.0)]);
        let cpu = durations(&[("waits", 0.5), ("works", 2.0), ("gone", 70.0)]);
        assert_eq!(share_of_cpu(&took, &cpu), 0.25);
        assert_eq!(share_of_cpu(&took, &durations(&[("works", 6.0)])), 3.0);
        assert_eq!(share_of_cpu(&took, &Durations::default()), 1.0);
        assert_eq!(share_of_cpu(&durations(&[("a", 0.0)]), &durations(&[("a", 0.0)])), 1.0);
    }

    #[test]
    fn new_durations_replace_old_ones_and_leave_others() {
        let mut merged = durations(&[("a", 1.0), ("b", 2.0)]);
        merged.merge(durations(&[("b", 3.0), ("c", 4.0)]));
        assert_eq!(merged, durations(&[("a", 1.0), ("b", 3.0), ("c", 4.0)]));
    }
}
