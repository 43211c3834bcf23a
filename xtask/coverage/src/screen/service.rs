//! What GitHub Actions and GitLab CI make of a log: parts that fold away, and words in the output
//! of a test that must stay words. Pure text.

use std::borrow::Cow;

use crate::env::Env;

/// A service that runs jobs and reads what they print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// GitHub Actions: `::command::` at the beginning of a line, `##[command]` anywhere in it.
    GitHub,
    /// GitLab CI: `section_start:` and `section_end:`.
    GitLab,
}

/// Seen by nobody, and white space to no parser: behind it a command is no command.
const NOTHING: &str = "\u{200b}";

impl Service {
    /// The service in whose job this runs, by the variable that it sets.
    pub(super) fn of(env: &Env) -> Option<Service> {
        let var = |name: &str| env.get(name).map(String::as_str).unwrap_or_default();
        if var("GITHUB_ACTIONS") == "true" {
            Some(Service::GitHub)
        } else {
            (!var("GITLAB_CI").is_empty()).then_some(Service::GitLab)
        }
    }

    /// Text that nothing in it is a command of.
    pub(super) fn escaped(self, text: &str) -> Cow<'_, str> {
        let split = |word: &str, at: usize| [&word[..at], NOTHING, &word[at..]].concat();
        match self {
            Service::GitHub if text.contains("::") || text.contains("##[") => {
                // A carriage return alone ends a line there too.
                let lines = text.split_inclusive(['\n', '\r']);
                let lines = lines.map(|line| match line.trim_start().starts_with("::") {
                    true => line.replacen("::", &split("::", 0), 1),
                    false => line.to_owned(),
                });
                lines.collect::<String>().replace("##[", &split("##[", 1)).into()
            }
            Service::GitLab if text.contains("section_") => {
                let text = text.replace("section_start:", &split("section_start:", 7));
                text.replace("section_end:", &split("section_end:", 7)).into()
            }
            _ => text.into(),
        }
    }

    /// The line that begins a part which is folded away at first. `number` is that of the part,
    /// `now` in seconds since 1970.
    pub(super) fn begin(self, number: usize, now: u64, title: &str) -> String {
        match self {
            Service::GitHub => format!("::group::{title}"),
            Service::GitLab => {
                format!("\x1b[0Ksection_start:{now}:xtask_{number}[collapsed=true]\r\x1b[0K{title}")
            }
        }
    }

    /// The line that ends it.
    pub(super) fn end(self, number: usize, now: u64) -> String {
        match self {
            Service::GitHub => "::endgroup::".to_owned(),
            Service::GitLab => format!("\x1b[0Ksection_end:{now}:xtask_{number}\r\x1b[0K"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_their_variables() {
        let of = |vars: &[(&str, &str)]| {
            Service::of(&vars.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
        };
        assert_eq!(of(&[("CI", "true"), ("GITHUB_ACTIONS", "true")]), Some(Service::GitHub));
        assert_eq!(of(&[("CI", "true"), ("GITLAB_CI", "true")]), Some(Service::GitLab));
        assert_eq!(of(&[("CI", "true"), ("GITHUB_ACTIONS", ""), ("GITLAB_CI", "")]), None);
    }

    /// The runner of GitHub takes white space away before it looks for `::`, and ends a line at
    /// a carriage return too; it finds `##[` anywhere.
    #[test]
    fn words_of_tests_are_no_commands() {
        let table = [
            ("::error::x", "\u{200b}::error::x"),
            ("a\n \t::set-output name=a::b\nc", "a\n \t\u{200b}::set-output name=a::b\nc"),
            ("50%\r::stop-commands::x", "50%\r\u{200b}::stop-commands::x"),
            ("a ##[error]b ##[group]", "a #\u{200b}#[error]b #\u{200b}#[group]"),
            ("tests/a.py::test failed", "tests/a.py::test failed"),
        ];
        for (text, wanted) in table {
            assert_eq!(Service::GitHub.escaped(text), wanted);
        }
        let text = "\x1b[0Ksection_end:1:xtask_1\r\x1b[0K section_start:";
        let wanted = "\x1b[0Ksection\u{200b}_end:1:xtask_1\r\x1b[0K section\u{200b}_start:";
        assert_eq!(Service::GitLab.escaped(text), wanted);
        assert_eq!(Service::GitLab.escaped("::error::x"), "::error::x");
    }
}
