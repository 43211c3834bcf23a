//! A change as a unified diff, to be read or given to `patch`.

use camino::Utf8Path;

use super::plan::Change;

/// Lines around what has changed.
const CONTEXT: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The diff of one file, with names relative to `folder`.
pub(super) fn diff(folder: &Utf8Path, change: &Change) -> String {
    let name = change.path.strip_prefix(folder).unwrap_or(&change.path);
    let old = change.before.as_deref().unwrap_or_default();
    let from = if change.before.is_some() { format!("a/{name}") } else { "/dev/null".to_owned() };
    let lines = compared(&split(old), &split(&change.after));
    format!("--- {from}\n+++ b/{name}\n{}", hunks(&lines))
}

fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// By the longest common subsequence; these files are small.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i * width + j] = match a == b {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let both = i < old.len() && j < new.len() && old[i] == new[j];
        let takes_old = j == new.len()
            || i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1];
        let line = match (both, takes_old) {
            (true, _) => Line::Both(old[i]),
            (false, true) => Line::Old(old[i]),
            (false, false) => Line::New(new[j]),
        };
        i += usize::from(!matches!(line, Line::New(_)));
        j += usize::from(!matches!(line, Line::Old(_)));
        lines.push(line);
    }
    lines
}

fn hunks(lines: &[Line<'_>]) -> String {
    let changed = |at: &usize| !matches!(lines[*at], Line::Both(_));
    let changed: Vec<usize> = (0..lines.len()).filter(changed).collect();
    let mut text = String::new();
    let mut rest = changed.as_slice();
    while let Some(&first) = rest.first() {
        let gap = rest.windows(2).position(|pair| pair[1] - pair[0] > 2 * CONTEXT + 1);
        let (these, others) = rest.split_at(gap.map_or(rest.len(), |at| at + 1));
        let last = these[these.len() - 1];
        let (begin, end) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(lines.len()));
        text += &hunk(lines, begin, end);
        rest = others;
    }
    text
}

fn hunk(lines: &[Line<'_>], begin: usize, end: usize) -> String {
    let count = |lines: &[Line<'_>]| {
        let new = lines.iter().filter(|line| matches!(line, Line::New(_))).count();
        let old = lines.iter().filter(|line| matches!(line, Line::Old(_))).count();
        (lines.len() - new, lines.len() - old)
    };
    let ((old_before, new_before), (old, new)) =
        (count(&lines[..begin]), count(&lines[begin..end]));
    // Of a file that is not there the first line is number 0.
    let start = |before: usize, number: usize| if number == 0 { before } else { before + 1 };
    let (from, to) = (start(old_before, old), start(new_before, new));
    let mut text = format!("@@ -{from},{old} +{to},{new} @@\n");
    for line in &lines[begin..end] {
        let (sign, line) = match line {
            Line::Both(line) => (' ', line),
            Line::Old(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push(sign);
        text += line;
        if !line.ends_with('\n') {
            text += "\n\\ No newline at end of file\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: Option<&str>, after: &str) -> String {
        let before = before.map(str::to_owned);
        let change = Change { path: "/r/a".into(), before, after: after.to_owned() };
        diff(Utf8Path::new("/r"), &change)
    }

    #[test]
    fn diffs_are_unified() {
        assert_eq!(shown(None, "x\ny\n"), "--- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+x\n+y\n");
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13";
        let new = old.replace("2\n3", "2\nnew\n3").replace("12\n", "");
        assert_eq!(
            shown(Some(old), &new),
            "--- a/a\n+++ b/a\n@@ -1,5 +1,6 @@\n 1\n 2\n+new\n 3\n 4\n 5\n@@ -9,5 +10,4 @@\n \
             9\n 10\n 11\n-12\n 13\n\\ No newline at end of file\n"
        );
    }
}
