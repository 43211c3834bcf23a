//! Takes the values of environment variables out of texts that leave this machine. Pure.

use crate::env::Env;
use crate::model::format::start;

/// Shorter values are words like `true`, and would take half of a text away.
const LEAST: usize = 6;

/// The values, the longest first: one may be a part of another.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    values: Vec<(String, String)>,
}

impl Mask {
    /// Of all variables. Each line of a value counts: tracebacks indent the lines of a text.
    pub(super) fn of(env: &Env) -> Mask {
        let lines = env.iter().flat_map(|(name, value)| {
            value.lines().map(move |line| (line.trim().to_owned(), format!("${name}")))
        });
        let mut values: Vec<_> = lines.filter(|(value, _)| value.len() >= LEAST).collect();
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        values.dedup_by(|a, b| a.0 == b.0);
        Mask { values }
    }

    /// The text with names in the place of values, and at most so many bytes of it. What is cut off
    /// is told. Nothing of a value stays where the cut goes through it.
    pub(super) fn text(&self, text: &str, most: usize) -> String {
        // Far more than is kept is looked at, and not all of what may be a gigabyte.
        let longest = self.values.first().map_or(0, |(value, _)| value.len());
        let seen = start(text, (most * 4).saturating_add(longest * 2));
        let mut masked = seen.to_owned();
        for (value, name) in &self.values {
            if masked.contains(value.as_str()) {
                masked = masked.replace(value.as_str(), name);
            }
        }
        let whole = seen.len() == text.len();
        let sure = if whole { masked.len() } else { masked.len().saturating_sub(longest) };
        let kept = start(&masked, sure.min(most));
        match whole && kept.len() == masked.len() {
            true => masked,
            false => format!("{kept}\n… cut off: the text had {} bytes", text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(variables: &[(&str, &str)]) -> Mask {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Mask::of(&pairs.collect())
    }

    #[test]
    fn names_stand_in_the_place_of_values() {
        let mask = mask(&[
            ("TOKEN", "s3cret-token"),
            ("LONG", "s3cret-token-and-more"),
            ("KEY", "-----BEGIN\nabcdefgh\nxyz"),
            ("CI", "true"),
        ]);
        let text = "true: s3cret-token-and-more, s3cret-token\nE   abcdefgh xyz";
        assert_eq!(mask.text(text, 1000), "true: $LONG, $TOKEN\nE   $KEY xyz");
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_value() {
        let mask = mask(&[("TOKEN", "s3cret-token")]);
        let long = "s3cret-token ".repeat(100_000);
        let cut = mask.text(&long, 100);
        assert!(cut.len() < 200 && cut.contains("… cut off: the text had 1300000 bytes"), "{cut}");
        for (most, before) in (0..60).flat_map(|most| (0..60).map(move |before| (most, before))) {
            let text = format!("{}s3cret-token{}", "ä".repeat(before), "x".repeat(500));
            assert!(!mask.text(&text, most).contains("s3"), "{most} {before}");
        }
    }
}
