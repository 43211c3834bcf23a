//! The lines that a diff adds, read from what `git diff` prints. Pure.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

/// By file, relative to the top of the working tree: the numbers of its new lines.
pub(crate) type Added = BTreeMap<Utf8PathBuf, BTreeSet<u32>>;

/// Reads a unified diff, made with `a/` and `b/` before the names and any number of lines around
/// the changes. A file that changed its name only is not there.
pub(crate) fn added(diff: &[u8]) -> Added {
    let mut added = Added::new();
    let mut file = None;
    let mut lines = diff.split(|&byte| byte == b'\n');
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(b"+++ ") {
            file = new_name(name);
        } else if let Some(hunk) = Hunk::read(line) {
            // What is in a hunk may look like anything: its header says how much it is.
            let numbers = hunk.added(&mut lines);
            if let Some(file) = &file {
                added.entry(Utf8PathBuf::from(file)).or_default().extend(numbers);
            }
        }
    }
    added
}

/// `@@ -3,2 +4 @@`: how many lines follow.
struct Hunk {
    old: u32,
    start: u32,
    new: u32,
}

impl Hunk {
    fn read(line: &[u8]) -> Option<Hunk> {
        let line = std::str::from_utf8(line.strip_prefix(b"@@ -")?.split(|&b| b == b'@').next()?);
        let (old, new) = line.ok()?.trim_end().split_once(" +")?;
        let range = |text: &str| {
            let (start, count) = text.split_once(',').unwrap_or((text, "1"));
            Some((start.parse().ok()?, count.parse().ok()?))
        };
        let ((_, old), (start, new)): ((u32, u32), (u32, u32)) = (range(old)?, range(new)?);
        Some(Hunk { old, start, new })
    }

    /// Takes the hunk's lines, and returns the numbers of the new ones.
    fn added<'a>(mut self, lines: &mut impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
        let mut numbers = Vec::new();
        while self.old > 0 || self.new > 0 {
            let Some(line) = lines.next() else { break };
            match line.first() {
                Some(b'+') => {
                    numbers.push(self.start);
                    self.step(0, 1);
                }
                Some(b'-') => self.step(1, 0),
                Some(b'\\') => {} // "No newline at end of file"
                _ => self.step(1, 1),
            }
        }
        numbers
    }

    fn step(&mut self, old: u32, new: u32) {
        self.old = self.old.saturating_sub(old);
        self.new = self.new.saturating_sub(new);
        self.start += new;
    }
}

/// The name after `+++ `. One with spaces ends with a tab; one with quotes, control characters
/// or backslashes is quoted as in C.
fn new_name(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b"\t").unwrap_or(name);
    let name = match name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) {
        Some(quoted) => unquoted(quoted),
        None => name.to_vec(),
    };
    let name = name.strip_prefix(b"b/")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn unquoted(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = quoted;
    while let [first, tail @ ..] = rest {
        (bytes, rest) = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                let byte = ((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0');
                ([bytes, vec![byte]].concat(), after)
            }
            (b'\\', [letter, after @ ..]) => ([bytes, vec![escaped(*letter)]].concat(), after),
            _ => ([bytes, vec![*first]].concat(), tail),
        };
    }
    bytes
}

fn escaped(letter: u8) -> u8 {
    match letter {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(diff: &str) -> Vec<(String, Vec<u32>)> {
        let added = added(diff.as_bytes()).into_iter();
        added.map(|(file, lines)| (file.into_string(), lines.into_iter().collect())).collect()
    }

    #[test]
    fn lines_are_those_of_the_new_file() {
        let diff = "\
diff --git a/x.py b/y.py
similarity index 90%
rename from x.py
rename to y.py
--- a/x.py
+++ b/y.py
@@ -3 +3,2 @@ def f():
-old
+new
+newer
@@ -9,2 +10,0 @@
-gone
-gone
@@ -20,3 +19,3 @@
 around
-old
+new
 around
diff --git a/z.py b/z.py
--- a/z.py
+++ b/z.py
@@ -0,0 +1 @@
+only
\\ No newline at end of file
";
        let wanted = [("y.py".to_owned(), vec![3, 4, 20]), ("z.py".to_owned(), vec![1])];
        assert_eq!(numbers(diff), wanted);
    }

    /// A test of a diff parser is a file like this.
    #[test]
    fn lines_that_look_like_headers_are_lines() {
        let diff = "\
+++ b/a.py
@@ -1,2 +1,3 @@
--- a/other.py
-@@ -7 +7 @@
+++ b/other.py
+@@ -7 +7 @@
+
@@ -9 +10 @@
-x
+y
";
        assert_eq!(numbers(diff), [("a.py".to_owned(), vec![1, 2, 3, 10])]);
    }

    #[test]
    fn names_are_read_as_git_writes_them() {
        let table = [
            ("b/a.py", Some("a.py")),
            ("b/with space.py\t", Some("with space.py")),
            ("b/ä.py", Some("ä.py")),
            (r#""b/q\"t\tb\\\303\244.py""#, Some("q\"t\tb\\ä.py")),
            ("/dev/null", None),
        ];
        for (text, name) in table {
            assert_eq!(new_name(text.as_bytes()).as_deref(), name, "{text}");
        }
    }
}
