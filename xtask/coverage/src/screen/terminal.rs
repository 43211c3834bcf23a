//! Lines at the lower end of a terminal that change in place, with other lines above them that
//! stay. The cursor is never hidden, so that nothing, SIGKILL included, can leave it so.

use std::sync::{Mutex, MutexGuard, PoisonError};

use console::{Term, measure_text_width};

use super::frame::Size;
use super::writer::{Stream, Writer};
use crate::env::Env;

/// The terminal behind stderr.
#[derive(Debug)]
pub(super) struct Terminal {
    drawn: Mutex<Drawn>,
    tells_percent: bool,
}

/// What stands at the lower end now.
#[derive(Debug, Default)]
struct Drawn {
    lines: Vec<String>,
    columns: usize,
    percent: Option<Percent>,
    closed: bool,
}

/// What a terminal may show in its title or on its icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent {
    pub(super) done: u8,
    pub(super) failed: bool,
}

impl Terminal {
    /// Nothing is drawn yet.
    pub(super) fn new(env: &Env) -> Terminal {
        Terminal { drawn: Mutex::default(), tells_percent: understands_percent(env) }
    }

    /// Says something that stays, above the lines, on whichever stream.
    pub(super) fn above(&self, writer: &Writer, stream: Stream, text: String) {
        let drawn = self.drawn();
        writer.say(Stream::Err, erase(&drawn.lines, size().columns));
        writer.say(stream, text);
        writer.say(Stream::Err, drawn.lines.join("\r\n"));
    }

    /// Draws what `lines` has for this window, if that is anything new. It is asked when the
    /// terminal is free: whatever [`Terminal::clear`] follows is never drawn after it. While
    /// there is something to be written nothing is drawn: there will be other lines then.
    pub(super) fn draw(
        &self,
        writer: &Writer,
        lines: impl FnOnce(Size) -> (Vec<String>, Option<Percent>),
    ) {
        let drawn = self.drawn();
        if !drawn.closed && !writer.is_busy() {
            self.put(drawn, writer, lines);
        }
    }

    /// Removes the lines.
    pub(super) fn clear(&self, writer: &Writer) {
        self.put(self.drawn(), writer, |_| (Vec::new(), None));
    }

    /// Removes the lines, and draws nothing more, or nothing until it is opened again.
    pub(super) fn close(&self, writer: &Writer) {
        let mut drawn = self.drawn();
        drawn.closed = true;
        self.put(drawn, writer, |_| (Vec::new(), None));
    }

    /// Draws again.
    pub(super) fn open(&self) {
        self.drawn().closed = false;
    }

    /// One piece for each picture: a terminal never shows half of it.
    fn put(
        &self,
        mut drawn: MutexGuard<'_, Drawn>,
        writer: &Writer,
        lines: impl FnOnce(Size) -> (Vec<String>, Option<Percent>),
    ) {
        let size = size();
        let (lines, percent) = lines(size);
        if drawn.lines == lines && drawn.columns == size.columns {
            return;
        }
        let mut text = erase(&drawn.lines, size.columns);
        text.push_str(&lines.join("\r\n"));
        text.push_str(&self.percent(&mut drawn, percent));
        writer.say(Stream::Err, text);
        (drawn.lines, drawn.columns) = (lines, size.columns);
    }

    /// OSC 9;4, where it is understood and says something new.
    fn percent(&self, drawn: &mut Drawn, percent: Option<Percent>) -> String {
        if !self.tells_percent || drawn.percent == percent {
            return String::new();
        }
        drawn.percent = percent;
        match percent {
            Some(Percent { done, failed: false }) => format!("\x1b]9;4;1;{done}\x1b\\"),
            Some(Percent { done, failed: true }) => format!("\x1b]9;4;2;{done}\x1b\\"),
            None => "\x1b]9;4;0;\x1b\\".to_owned(),
        }
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size() -> Size {
    let (rows, columns) = Term::stderr().size();
    Size { rows: usize::from(rows).max(1), columns: usize::from(columns).max(1) }
}

/// What takes the lines away in a window of this width. One that has become narrower has broken
/// each line into several, as most terminals do.
fn erase(lines: &[String], columns: usize) -> String {
    let rows = |line: &String| measure_text_width(line).div_ceil(columns).max(1);
    match lines.iter().map(rows).sum::<usize>() {
        0 => String::new(),
        1 => "\r\x1b[J".to_owned(),
        rows => format!("\r\x1b[{}A\x1b[J", rows - 1),
    }
}

/// Terminals known to show a percentage, by what they say of themselves. To others the words
/// are noise: some pop up a message for each. What sits between a terminal and us keeps them.
fn understands_percent(env: &Env) -> bool {
    let is = |name: &str, wanted: &str| env.get(name).is_some_and(|value| value == wanted);
    let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
    let iterm = is("TERM_PROGRAM", "iTerm.app")
        && env.get("TERM_FEATURES").is_some_and(|features| features.contains('P'));
    let known = set("WT_SESSION")
        || is("ConEmuANSI", "ON")
        || is("TERM_PROGRAM", "WezTerm")
        || is("TERM_PROGRAM", "ghostty")
        || iterm;
    known && !set("TMUX") && !set("STY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_narrower_window_has_broken_are_erased_whole() {
        let lines = ["a".repeat(79), "日本".to_owned()];
        assert_eq!(erase(&lines, 80), "\r\x1b[1A\x1b[J");
        assert_eq!(erase(&lines, 40), "\r\x1b[2A\x1b[J");
        assert_eq!(erase(&lines, 3), "\r\x1b[28A\x1b[J");
        assert_eq!(erase(&lines[1..], 80), "\r\x1b[J");
        assert_eq!(erase(&[], 80), "");
    }

    #[test]
    fn only_terminals_that_are_known_to_cope_are_told_a_percentage() {
        let table: [(&[(&str, &str)], bool); 7] = [
            (&[], false),
            (&[("TERM_PROGRAM", "ghostty")], true),
            (&[("TERM_PROGRAM", "Apple_Terminal")], false),
            (&[("WT_SESSION", "1")], true),
            (&[("WT_SESSION", "1"), ("TMUX", "/tmp/x")], false),
            (&[("TERM_PROGRAM", "iTerm.app")], false),
            (&[("TERM_PROGRAM", "iTerm.app"), ("TERM_FEATURES", "T3CwLrMSc7P")], true),
        ];
        for (env, wanted) in table {
            let pairs = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            assert_eq!(understands_percent(&pairs.collect()), wanted, "{env:?}");
        }
    }
}
