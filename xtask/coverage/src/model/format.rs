//! Numbers, names and lists as all that is read has them.

/// `1 test`, `2 tests`, `11,433 tests`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n))
}

/// `11,433`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.4s`, `12.4s`, `3m 05s`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1}s") } else { whole_seconds(seconds) }
}

/// `0s`, `12s`, `3m 05s`: for what changes while it is read.
pub(crate) fn whole_seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole < 100 { format!("{whole}s") } else { format!("{}m {:02}s", whole / 60, whole % 60) }
}

/// `512 MiB`, rounded down.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// `5.2 GiB`.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// `4 ms`, `0.25 s`, `12.3 s`, `3 min 05 s`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..0.1 => format!("{:.0} ms", 1000.0 * seconds),
        ..1.0 => format!("{seconds:.2} s"),
        ..100.0 => format!("{seconds:.1} s"),
        _ => {
            let whole = seconds.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
    }
}

/// `3-5, 9`.
pub(crate) fn ranges(lines: &[u32]) -> String {
    let runs = lines.chunk_by(|a, b| a + 1 == *b);
    let words = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run[0].to_string(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The first bytes of a text, at most so many and up to the end of a character.
pub(crate) fn start(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// A name on one line: pytest lets a custom id hold line breaks and worse.
pub(crate) fn one_line(id: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    id.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [count(0, "test"), count(1, "split"), count(999, "test"), count(1000, "test")];
        assert_eq!(counts, ["0 tests", "1 split", "999 tests", "1,000 tests"]);
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!([seconds(0.04), seconds(12.35), seconds(185.2)], ["0.0s", "12.3s", "3m 05s"]);
        assert_eq!([0.4, 99.4, 185.2].map(whole_seconds), ["0s", "99s", "3m 05s"]);
        let finer = [0.004, 0.25, 12.34, 185.2].map(duration);
        assert_eq!(finer, ["4 ms", "0.25 s", "12.3 s", "3 min 05 s"]);
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(one_line("t.py::é[a\nb\x1b[2J]"), "t.py::é[a\\nb\\u{1b}[2J]");
    }

    #[test]
    fn a_start_ends_with_a_character() {
        assert_eq!([0, 1, 2, 3, 9].map(|most| start("aé", most)), ["", "a", "a", "aé", "aé"]);
    }

    #[test]
    fn runs_of_lines_are_joined() {
        assert_eq!(ranges(&[3, 4, 5, 9, 11, 12]), "3-5, 9, 11-12");
        assert_eq!(ranges(&[]), "");
    }
}
