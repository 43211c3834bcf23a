//! Marks at lines of the repository, as workflow commands of GitHub Actions.

use std::fmt;

use crate::model::format::count;
use crate::model::{Annotation, Level};

/// What GitHub shows of each level, for each step of a job.
const MOST: usize = 10;

/// The command that makes it.
impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let mut properties = Vec::new();
        properties.extend(self.file.as_ref().map(|file| ("file", file.to_string())));
        if let Some((first, last)) = self.lines {
            properties.push(("line", first.to_string()));
            properties.extend((last > first).then(|| ("endLine", last.to_string())));
        }
        properties.push(("title", self.title.clone()));
        let properties = properties.iter().map(|(name, value)| {
            let value = escaped(value).replace(':', "%3A").replace(',', "%2C");
            format!("{name}={value}")
        });
        let properties: Vec<String> = properties.collect();
        write!(f, "::{level} {}::{}", properties.join(","), escaped(&self.text))
    }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// How many more annotations are shown.
#[derive(Debug)]
pub(super) struct Remaining {
    errors: usize,
    warnings: usize,
}

impl Default for Remaining {
    fn default() -> Remaining {
        Remaining { errors: MOST, warnings: MOST }
    }
}

impl Remaining {
    /// The commands for the first of them, and one that counts the rest.
    pub(super) fn take(&mut self, annotations: &[Annotation]) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut errors, mut warnings) = (0, 0);
        for annotation in annotations {
            let (remaining, left_out) = match annotation.level {
                Level::Error => (&mut self.errors, &mut errors),
                Level::Warning => (&mut self.warnings, &mut warnings),
            };
            match remaining.checked_sub(1) {
                Some(less) => {
                    *remaining = less;
                    lines.push(annotation.to_string());
                }
                None => *left_out += 1,
            }
        }
        if errors + warnings > 0 {
            let counts = [(errors, "error"), (warnings, "warning")].into_iter();
            let counts = counts.filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun));
            let counts: Vec<String> = counts.collect();
            let counts = counts.join(" and ");
            lines.push(format!("::notice title=Not annotated::{counts} more: see the log"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(title: &str) -> Annotation {
        Annotation {
            level: Level::Error,
            file: Some("tests/é, b.py".into()),
            lines: Some((2, 2)),
            title: title.to_owned(),
            text: "50% :: a\r\nb".to_owned(),
        }
    }

    #[test]
    fn commands_are_escaped() {
        let command = annotation("b.py::test[100%:a] failed").to_string();
        let wanted = "::error file=tests/é%2C b.py,line=2,\
                      title=b.py%3A%3Atest[100%25%3Aa] failed::50%25 :: a%0D%0Ab";
        assert_eq!(command, wanted);
        let several = Annotation { lines: Some((7, 9)), ..annotation("x") };
        assert!(several.to_string().contains("line=7,endLine=9,"));
    }

    /// The limit is that of a step, whatever the number of projects that run in it.
    #[test]
    fn what_is_more_than_github_shows_is_counted_once() {
        let annotations: Vec<Annotation> = (0..8).map(|n| annotation(&n.to_string())).collect();
        let mut remaining = Remaining::default();
        assert_eq!(remaining.take(&annotations).len(), 8);
        let second = remaining.take(&annotations);
        assert_eq!(second.len(), 3);
        assert_eq!(second[2], "::notice title=Not annotated::6 errors more: see the log");
    }
}
