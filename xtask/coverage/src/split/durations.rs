//! `.test_durations`, pytest-split's file of seconds per node id: read as the plugin reads it,
//! written byte for byte as it writes it. Works on text; knows no disk.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use anyhow::Context;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Seconds per node id, sorted as Python sorts strings: by code points, as UTF-8 does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations(BTreeMap<String, f64>);

impl Durations {
    /// Reads an object, or the list of pairs that old versions of the plugin wrote.
    pub fn parse(text: &str) -> anyhow::Result<Durations> {
        let Pairs(pairs) = serde_json::from_str(text).context("no valid test durations")?;
        // serde_json's floats can be off by the last bit (without its `float_roundtrip`), and a
        // bit can move a test to another split. The document is known to be valid and to hold
        // one number per id, so the numbers are read again from the text.
        let seconds = numbers(text).into_iter().map(str::parse);
        pairs.into_iter().zip(seconds).map(|((id, _), seconds)| Ok((id, seconds?))).collect()
    }

    /// The seconds of a test, if known.
    pub fn get(&self, id: &str) -> Option<f64> {
        self.0.get(id).copied()
    }

    /// Notes the seconds of a test, in place of what was known of it.
    pub fn insert(&mut self, id: impl Into<String>, seconds: f64) {
        self.0.insert(id.into(), seconds);
    }

    /// Takes what is new; tests that are not in `new` keep their durations.
    pub fn merge(&mut self, new: Durations) {
        self.0.extend(new.0);
    }

    /// How many tests are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no test is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each node id with its seconds, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(id, seconds)| (id.as_str(), *seconds))
    }
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

/// Python's `repr` of a float (and what its `json` makes of those that are no numbers).
fn repr(x: f64) -> String {
    let scientific = format!("{x:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific.replace("inf", "Infinity");
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => format!("{digits}e{exponent:+03}"),
        _ => format!("{x:?}"),
    }
}

/// The numbers of a valid JSON text, in order.
fn numbers(text: &str) -> Vec<&str> {
    let (mut numbers, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(|c: char| matches!(c, '"' | '-' | '0'..='9')) {
        rest = &rest[start..];
        let is_string = rest.starts_with('"');
        let (token, after) = rest.split_at(if is_string { string(rest) } else { number(rest) });
        if !is_string {
            numbers.push(token);
        }
        rest = after;
    }
    numbers
}

/// The length of the number that the text starts with.
fn number(text: &str) -> usize {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
    end.unwrap_or(text.len())
}

/// The length of the string that the text starts with, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = true; // as if, so that the first quote opens
    let end = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |end| end + 1)
}

/// The entries of the file in its own order, repeated keys included.
struct Pairs(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of node ids and seconds, or a list of such pairs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = list.next_element()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
