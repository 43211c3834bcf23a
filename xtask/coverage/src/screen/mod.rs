//! The only place that prints. Progress goes to stderr; the report, the verdict and what
//! machines read go to stdout. Nothing here fails: a reader that went away is no error.

use std::io::{IsTerminal, Write};

use camino::Utf8Path;

use crate::cli::{self, Color, Env, Output};
use crate::engine::{Happening, SplitEnd, SplitState};

/// Where things are said, and how.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    quiet: bool,
    verbose: bool,
    progress: Paint,
    report: Paint,
}

/// Whether a stream gets colours.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what went well.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what went wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// For what deserves a second look.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For headings.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what may be passed over.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}

impl Screen {
    /// As the options, the environment and the streams of this process want it.
    pub fn new(output: &Output, env: &Env) -> Screen {
        let (no_color, term) = (env.get("NO_COLOR"), env.get("TERM"));
        let choice = output.color.unwrap_or(Color::Auto);
        let paint = |is_tty| {
            let (no_color, term) = (no_color.map(String::as_str), term.map(String::as_str));
            Paint(cli::colour(choice, no_color, term, is_tty))
        };
        Screen {
            quiet: output.quiet,
            verbose: output.verbose,
            progress: paint(std::io::stderr().is_terminal()),
            report: paint(std::io::stdout().is_terminal()),
        }
    }

    /// How to paint on stdout.
    pub fn paint(&self) -> Paint {
        self.report
    }

    /// True with `-v`.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// A line of the report, on stdout.
    pub fn say(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// A line of progress; not with `-q`.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            self.tell(line);
        }
    }

    /// A line only for `-v`.
    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.tell(&self.progress.dim(line));
        }
    }

    /// A heading of progress; not with `-q`.
    pub fn heading(&self, line: &str) {
        self.note(&self.progress.bold(line));
    }

    /// Something the user should reconsider.
    pub fn warn(&self, line: &str) {
        self.tell(&format!("{} {line}", self.progress.yellow("warning:")));
    }

    /// What ended the work, with all its causes.
    pub fn error(&self, error: &anyhow::Error) {
        self.tell(&format!("{} {error:#}", self.progress.red("error:")));
    }

    fn tell(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// What happens while tests run.
    pub fn show(&self, happening: &Happening<'_>) {
        match happening {
            Happening::SplitStarted { split, of } => {
                self.detail(&format!("[Split {split}/{of}] started"));
            }
            Happening::SplitEnded(end) => self.note(&self.split_line(end)),
            Happening::Failed(failure) => {
                let line = format!("{} {}", failure.id, self.progress.dim(failure.phase.words()));
                self.note(&format!("{} {line}", self.progress.red("✗")));
            }
            Happening::Stopping(why) => {
                self.note(&self.progress.yellow(&format!("Stopping: {why}")))
            }
            Happening::Warning(text) => self.warn(text),
            Happening::Planned { .. }
            | Happening::TestStarted(_)
            | Happening::TestEnded { .. } => {}
        }
    }

    fn split_line(&self, end: &SplitEnd) -> String {
        let SplitEnd { split, of, tests, failed, .. } = end;
        let took = seconds(end.took.as_secs_f64());
        let (mark, what) = match &end.state {
            SplitState::Completed if *failed == 0 => {
                (self.progress.green("✓"), format!("{} in {took}", count(*tests, "test")))
            }
            SplitState::Completed => (
                self.progress.red("✗"),
                format!(
                    "{failed} of {} failed in {took}; {}",
                    count(*tests, "test"),
                    log(&end.log)
                ),
            ),
            SplitState::Stopped => {
                (self.progress.yellow("-"), format!("stopped after {}", count(*tests, "test")))
            }
            SplitState::Died(how) => {
                (self.progress.red("✗"), format!("{how} after {took}; {}", log(&end.log)))
            }
        };
        format!("[Split {split}/{of}] {mark} {what}")
    }
}

fn log(path: &Utf8Path) -> String {
    format!("see `{path}`")
}

/// `1 test`, `2 tests`, `11,433 tests`.
pub fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n))
}

/// `11,433`.
pub fn thousands(n: u64) -> String {
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
pub fn seconds(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    format!("{}m {:02}s", whole / 60, whole % 60)
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
    }
}
