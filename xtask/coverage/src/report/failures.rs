//! The failing tests as they are shown at the end: each once, with what it takes to
//! understand it and the line that runs it again. Pure, plain text.

use crate::model::Failure;
use crate::model::format::{one_line, start};
use std::fmt::Write;

use camino::Utf8PathBuf;

use super::again::Again;

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Tests shown in full; of the others only the names.
    pub tests: usize,
    /// Names listed after them.
    pub names: usize,
    /// Lines of one traceback.
    pub text_lines: usize,
    /// Lines of one captured section.
    pub section_lines: usize,
    /// Bytes of one line.
    pub line_bytes: usize,
    /// Tests named in the line that reruns all; above, it has `--last-failed`.
    pub rerun_ids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tests: 50,
            names: 200,
            text_lines: 200,
            section_lines: 40,
            line_bytes: 2000,
            rerun_ids: 20,
        }
    }
}

/// A failing test as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `tests/test_x.py::test_y failed in split 3`.
    pub title: String,
    /// All of it, title and line to run it again included.
    pub text: String,
}

/// The failing tests, as many as the limits allow.
pub(crate) fn shown(failures: &[Failure], again: &Again, limits: &Limits) -> Vec<Shown> {
    let tests = by_test(failures);
    let tests = tests.iter().take(limits.tests);
    tests.map(|(id, failures)| show_test(id, failures, again, limits)).collect()
}

/// What follows them: the names of the others, and the line that runs all again. Empty where not
/// more than one failed.
pub(crate) fn rest(failures: &[Failure], again: &Again, limits: &Limits) -> String {
    let tests = by_test(failures);
    let ids: Vec<&str> = tests.iter().map(|(id, _)| *id).collect();
    let mut out = String::new();
    list_names(&mut out, &ids[limits.tests.min(ids.len())..], limits.names);
    if ids.len() > 1 {
        let line = rerun_all(&ids, again, limits);
        let _ = writeln!(out, "{}\n    {line}", rerun_title(&ids, limits));
    }
    out
}

/// Groups by test, in order of first arrival.
fn by_test(failures: &[Failure]) -> Vec<(&str, Vec<&Failure>)> {
    let mut places = std::collections::HashMap::new();
    let mut tests: Vec<(&str, Vec<&Failure>)> = Vec::new();
    for failure in failures {
        let place = *places.entry(failure.id.as_str()).or_insert_with(|| {
            tests.push((&failure.id, Vec::new()));
            tests.len() - 1
        });
        tests[place].1.push(failure);
    }
    tests
}

fn show_test(id: &str, failures: &[&Failure], again: &Again, limits: &Limits) -> Shown {
    let mut titles = Vec::new();
    let mut out = String::new();
    for failure in failures {
        let split = failure.split.map(|split| format!(" in split {split}")).unwrap_or_default();
        let title = format!("{} {}{split}", one_line(id), failure.phase.words());
        let _ = writeln!(out, "---- {title}");
        titles.push(title);
        let log = failure.log.as_ref();
        push_cut(
            &mut out,
            &failure.text,
            Keep::BothEnds(limits.text_lines),
            limits.line_bytes,
            log,
        );
        for (title, text) in &failure.sections {
            let _ = writeln!(out, "-- {title}");
            push_cut(&mut out, text, Keep::End(limits.section_lines), limits.line_bytes, log);
        }
    }
    let _ = writeln!(out, "rerun: {}\n", again.line(&[id]));
    Shown { title: titles.into_iter().next().unwrap_or_default(), text: out }
}

/// Which lines stay of a long text: of output the last ones, of a traceback its beginning and
/// its end.
#[derive(Clone, Copy)]
enum Keep {
    BothEnds(usize),
    End(usize),
}

fn push_cut(
    out: &mut String,
    text: &str,
    keep: Keep,
    line_bytes: usize,
    log: Option<&Utf8PathBuf>,
) {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let (head, tail) = match keep {
        Keep::End(n) => (0, n),
        Keep::BothEnds(n) => (n / 2, n - n / 2),
    };
    if lines.len() <= head + tail {
        return push_lines(out, &lines, line_bytes);
    }
    push_lines(out, &lines[..head], line_bytes);
    let place = log.map(|log| format!("; all of it in `{log}`")).unwrap_or_default();
    let left_out = lines.len() - head - tail;
    let _ = writeln!(out, "[{left_out} of {} lines left out{place}]", lines.len());
    push_lines(out, &lines[lines.len() - tail..], line_bytes);
}

fn push_lines(out: &mut String, lines: &[&str], line_bytes: usize) {
    for line in lines {
        let shown = start(line, line_bytes);
        out.push_str(shown);
        if shown.len() < line.len() {
            let _ = write!(out, " [{} bytes left out]", line.len() - shown.len());
        }
        out.push('\n');
    }
}

fn list_names(out: &mut String, names: &[&str], limit: usize) {
    if names.is_empty() {
        return;
    }
    let _ = writeln!(out, "{} more:", names.len());
    for name in names.iter().take(limit) {
        let _ = writeln!(out, "    {}", one_line(name));
    }
    if names.len() > limit {
        let _ = writeln!(out, "    … and {} more", names.len() - limit);
    }
    out.push('\n');
}

fn rerun_title(ids: &[&str], limits: &Limits) -> String {
    if ids.len() <= limits.rerun_ids {
        format!("rerun these {}:", ids.len())
    } else {
        format!("rerun all {}, and what did not run:", ids.len())
    }
}

/// The line that runs all of them again: by their names, or of very many by `--last-failed`.
pub(crate) fn rerun_all(ids: &[&str], again: &Again, limits: &Limits) -> String {
    if ids.len() <= limits.rerun_ids { again.line(ids) } else { again.last_failed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Phase, PhaseFailure};

    fn failure(id: &str, phase: Phase) -> Failure {
        let text = "def test():\n>   assert 0\nE   assert 0\n".to_owned();
        Failure::new(id.to_owned(), Some(3), PhaseFailure::new(phase, text), None)
    }

    fn again(command: &[&str]) -> Again {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        Again { command, ..Again::default() }
    }

    fn command() -> Again {
        again(&["cargo", "xtask", "coverage", "-p", "in ventory"])
    }

    fn all(failures: &[Failure], limits: &Limits) -> String {
        let tests = shown(failures, &command(), limits).into_iter().map(|it| it.text);
        tests.chain([rest(failures, &command(), limits)]).collect()
    }

    #[test]
    fn nothing_is_said_where_nothing_failed() {
        assert_eq!(all(&[], &Limits::default()), "");
    }

    #[test]
    fn one_failure_is_shown_with_its_output_and_the_line_that_reruns_it() {
        let sections = vec![("Captured stdout call".to_owned(), "hello\n".to_owned())];
        let failure = Failure { sections, ..failure("tests/test_x.py::test_y[3]", Phase::Call) };
        let expected = "\
---- tests/test_x.py::test_y[3] failed in split 3
def test():
>   assert 0
E   assert 0
-- Captured stdout call
hello
rerun: cargo xtask coverage -p 'in ventory' -- 'tests/test_x.py::test_y[3]'

";
        assert_eq!(all(&[failure], &Limits::default()), expected);
    }

    #[test]
    fn a_test_with_two_failures_is_named_once_to_rerun() {
        let mut failures = [
            failure("a.py::x", Phase::Call),
            failure("b.py", Phase::Collect),
            failure("a.py::x", Phase::Teardown),
        ];
        failures[1].split = None;
        let expected = "\
---- a.py::x failed in split 3
def test():
>   assert 0
E   assert 0
---- a.py::x error in teardown in split 3
def test():
>   assert 0
E   assert 0
rerun: cargo xtask coverage -p 'in ventory' -- a.py::x

---- b.py could not be collected
def test():
>   assert 0
E   assert 0
rerun: cargo xtask coverage -p 'in ventory' -- b.py

rerun these 2:
    cargo xtask coverage -p 'in ventory' -- a.py::x b.py
";
        assert_eq!(all(&failures, &Limits::default()), expected);
    }

    #[test]
    fn long_texts_are_cut_and_say_where_all_of_it_is() {
        let numbered = |n: u32| (1..=n).map(|i| format!("{i}\n")).collect::<String>();
        let failure = Failure {
            text: numbered(9),
            sections: vec![("out".to_owned(), numbered(200)), ("log".to_owned(), "é".repeat(9))],
            log: Some("/logs/split-3.log".into()),
            ..failure("a.py::x", Phase::Crash)
        };
        let limits = Limits { text_lines: 5, section_lines: 2, line_bytes: 5, ..Limits::default() };
        let expected = "\
---- a.py::x crashed in split 3
1
2
[4 of 9 lines left out; all of it in `/logs/split-3.log`]
7
8
9
-- out
[198 of 200 lines left out; all of it in `/logs/split-3.log`]
199
200
-- log
éé [14 bytes left out]
rerun: cargo xtask coverage -p 'in ventory' -- a.py::x

";
        assert_eq!(all(&[failure], &limits), expected);
    }

    #[test]
    fn of_very_many_the_rest_is_listed_and_a_short_line_reruns_them() {
        let failures: Vec<Failure> =
            (1..=6).map(|i| failure(&format!("{}.py::t{i}", i % 2), Phase::Timeout)).collect();
        let limits = Limits { tests: 1, names: 3, rerun_ids: 5, ..Limits::default() };
        let expected = "\
---- 1.py::t1 timed out in split 3
def test():
>   assert 0
E   assert 0
rerun: cargo xtask coverage -p 'in ventory' -- 1.py::t1

5 more:
    0.py::t2
    1.py::t3
    0.py::t4
    … and 2 more

rerun all 6, and what did not run:
    cargo xtask coverage -p 'in ventory' --last-failed
";
        assert_eq!(all(&failures, &limits), expected);
    }

    /// What a shell makes of the line is the id again, whatever is in it.
    #[test]
    fn rerun_lines_survive_the_shell() -> anyhow::Result<()> {
        let ids = [
            "t.py::x[a b]",
            "t.py::x['\"$HOME\"']",
            "t.py::x[line\nbreak]",
            "t é.py::x[`ls`;\\n*]",
            "t.py::x[]",
        ];
        for id in ids {
            let line = again(&["printf", "%s"]).line(&[id]);
            let output = std::process::Command::new("sh").args(["-c", &line]).output()?;
            assert_eq!(String::from_utf8(output.stdout)?, format!("--{id}"), "{line}");
        }
        Ok(())
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let shown = all(&[failure("t.py::x[a\nb]", Phase::Setup)], &Limits::default());
        assert!(shown.starts_with("---- t.py::x[a\\nb] error in setup in split 3\n"), "{shown}");
    }
}
