//! Marks at lines of the repository, for failures and for changed lines that did not run.

use std::collections::HashMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::model::format::start;
use crate::model::{Annotation, Level, NodeId};
use crate::model::{Failure, Phase};
use crate::report::patch::Patch;

/// Bytes of one text: the log has the rest.
const MOST_TEXT: usize = 2000;

/// Where the paths in reports begin. All absolute.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The top of the repository.
    pub top: Utf8PathBuf,
    /// The project's folder: tracebacks are relative to it.
    pub root: Utf8PathBuf,
    /// pytest's: node ids are relative to it.
    pub rootdir: Utf8PathBuf,
}

impl Places {
    /// A path as the repository has it; none for what is not its own.
    fn in_repository(&self, from: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
        let mut whole = Utf8PathBuf::new();
        for component in from.join(path).components() {
            match component {
                Utf8Component::ParentDir => drop(whole.pop()),
                Utf8Component::CurDir => {}
                other => whole.push(other),
            }
        }
        let path = whole.strip_prefix(&self.top).ok()?;
        let foreign = |part: Utf8Component<'_>| part.as_str().ends_with("-packages");
        (!path.components().any(foreign)).then(|| path.to_path_buf())
    }

    /// The file, and the line where it is known: the last one in the test's own file, or in
    /// another of the repository, where a fixture failed.
    fn of(&self, failure: &Failure) -> (Option<Utf8PathBuf>, Option<u32>) {
        let file = NodeId(&failure.id).file();
        let own = self.in_repository(&self.rootdir, file);
        let places: Vec<(Utf8PathBuf, u32)> = failure
            .text
            .lines()
            .filter_map(place)
            .filter_map(|(path, line)| Some((self.in_repository(&self.root, path)?, line)))
            .collect();
        let in_own = places.iter().rfind(|(path, _)| Some(path) == own.as_ref());
        match in_own.or(places.last()) {
            Some((path, line)) => (Some(path.clone()), Some(*line)),
            None => (own, None),
        }
    }
}

/// `tests/test_a.py:7: AssertionError` of pytest, `File "tests/test_a.py", line 7` of Python.
fn place(line: &str) -> Option<(&str, u32)> {
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        Some((text[..end].parse().ok()?, end))
    };
    let python = line.trim_start_matches("E ").trim_start();
    if let Some((path, rest)) = python.strip_prefix("File \"").and_then(|it| it.split_once('"')) {
        let (line, _) = number(rest.strip_prefix(", line ")?)?;
        return Some((path, line));
    }
    if line.starts_with([' ', '\t', '>']) || line.starts_with("E ") {
        return None;
    }
    let at = line.find(".py:")?;
    let rest = &line[at + 4..];
    let (found, end) = number(rest)?;
    let ends = rest[end..].is_empty() || rest[end..].starts_with(':');
    ends.then(|| (&line[..at + 3], found))
}

/// One for each place where tests failed: first what kept a whole file from running, last those
/// without a line.
pub(crate) fn of_failures(failures: &[Failure], places: &Places) -> Vec<Annotation> {
    let mut at = HashMap::new();
    let mut found: Vec<(Annotation, Phase, u32)> = Vec::new();
    for failure in failures {
        let (file, line) = places.of(failure);
        if let (Some(file), Some(line)) = (&file, line) {
            let index = *at.entry((file.clone(), line)).or_insert(found.len());
            if let Some((_, _, more)) = found.get_mut(index) {
                *more += 1;
                continue;
            }
        }
        let annotation = Annotation {
            level: Level::Error,
            file,
            lines: line.map(|line| (line, line)),
            title: format!("{} {}", failure.id, failure.phase.words()),
            text: text(failure),
        };
        found.push((annotation, failure.phase, 0));
    }
    found.sort_by_key(|(it, phase, _)| (*phase != Phase::Collect, it.lines.is_none()));
    let with_more = |(mut annotation, _, more): (Annotation, Phase, u32)| {
        if more > 0 {
            let noun = if more == 1 { "failure" } else { "failures" };
            annotation.text.push_str(&format!("\n({more} more {noun} at this line)"));
        }
        annotation
    };
    found.into_iter().map(with_more).collect()
}

/// The exception, or the last line of what is known.
fn text(failure: &Failure) -> String {
    let last = || failure.text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let text = if failure.message.is_empty() { last() } else { failure.message.as_str() };
    let shown = start(text, MOST_TEXT);
    if shown.len() < text.len() { format!("{shown} …") } else { text.to_owned() }
}

/// One for each run of changed lines that no test ran, the longest first.
pub(crate) fn of_patch(patch: &Patch, places: &Places) -> Vec<Annotation> {
    let mut found: Vec<(Utf8PathBuf, &[u32])> = Vec::new();
    for file in &patch.files {
        if let Some(path) = places.in_repository(&places.root, file.file.as_str()) {
            let runs = file.missing.chunk_by(|a, b| a + 1 == *b);
            found.extend(runs.map(|run| (path.clone(), run)));
        }
    }
    found.sort_by_key(|(_, run)| std::cmp::Reverse(run.len()));
    let annotation = |(file, run): (Utf8PathBuf, &[u32])| {
        let lines = (run[0], run[run.len() - 1]);
        let text = match lines {
            (first, last) if first == last => format!("Line {first} was changed and did not run"),
            (first, last) => format!("Lines {first}-{last} were changed and did not run"),
        };
        let title = "Not covered".to_owned();
        Annotation { level: Level::Warning, file: Some(file), lines: Some(lines), title, text }
    };
    found.into_iter().map(annotation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhaseFailure;
    use crate::report::patch::PatchFile;

    fn places() -> Places {
        let (top, root) = ("/repo".into(), "/repo/api".into());
        Places { top, root, rootdir: "/repo/api".into() }
    }

    fn failure(id: &str, phase: Phase, text: &str) -> Failure {
        Failure::new(id.to_owned(), Some(1), PhaseFailure::new(phase, text.to_owned()), None)
    }

    fn place_of(id: &str, text: &str) -> (String, Option<u32>) {
        let (file, line) = places().of(&failure(id, Phase::Call, text));
        (file.map(Utf8PathBuf::into_string).unwrap_or_default(), line)
    }

    #[test]
    fn a_failure_is_where_its_test_has_it_or_else_where_the_repository_has_it() {
        let long = "tests/test_a.py:7: \n_ _ _\n>   x\nE   y.py:9: no\n\nsrc/shop.py:3: ValueError";
        let table = [
            (long, "api/tests/test_a.py", Some(7)),
            ("src/shop.py:3: in f\n/v/lib/site-packages/x.py:1: E", "api/src/shop.py", Some(3)),
            ("../conftest.py:5: RuntimeError", "conftest.py", Some(5)),
            ("/repo/lib/site-packages/a.py:1: E", "api/tests/test_a.py", None),
            (
                "E     File \"/repo/api/tests/test_a.py\", line 4\nE  x",
                "api/tests/test_a.py",
                Some(4),
            ),
            ("the process died", "api/tests/test_a.py", None),
            ("src/shop.py:3x: in f\nsrc/shop.py:\n", "api/tests/test_a.py", None),
        ];
        for (text, file, line) in table {
            assert_eq!(
                place_of("tests/test_a.py::test_x", text),
                (file.to_owned(), line),
                "{text}"
            );
        }
    }

    #[test]
    fn failures_at_one_line_share_an_annotation_and_collection_comes_first() {
        let failures = [
            failure("tests/a.py::x", Phase::Crash, "the process died"),
            failure("tests/a.py::y[1]", Phase::Call, "tests/a.py:3: E"),
            failure("tests/a.py::y[2]", Phase::Call, "tests/a.py:3: E"),
            failure("tests/b.py", Phase::Collect, "tests/b.py:1: in <module>"),
        ];
        let found = of_failures(&failures, &places());
        let told: Vec<_> = found.iter().map(|it| (it.title.as_str(), it.text.as_str())).collect();
        let wanted = [
            ("tests/b.py could not be collected", "tests/b.py:1: in <module>"),
            ("tests/a.py::y[1] failed", "tests/a.py:3: E\n(1 more failure at this line)"),
            ("tests/a.py::x crashed", "the process died"),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn the_longest_runs_of_changed_lines_come_first() {
        let (path, file) = ("src/a.py".into(), "/repo/api/src/a.py".into());
        let missing = vec![3, 7, 8, 9];
        let files = vec![PatchFile { path, file, missing, lines: 9, ..PatchFile::default() }];
        let patch = Patch { files, ..Patch::default() };
        let found = of_patch(&patch, &places());
        let told: Vec<_> = found.iter().map(|it| (it.lines, it.text.as_str())).collect();
        let wanted = [
            (Some((7, 9)), "Lines 7-9 were changed and did not run"),
            (Some((3, 3)), "Line 3 was changed and did not run"),
        ];
        assert_eq!(told, wanted);
    }
}
