//! The live form of the screen, on a real pseudo-terminal: what a person sees while a run goes
//! on, and what is left on the terminal at its end.

use std::num::NonZeroU16;

use crate::shop::{ONE_AT_A_TIME, coverage};
use crate::support::{Output, Project, Run};

/// Runs a command on a terminal of its own. Each action waits until its text has been printed,
/// once the one before is done; then it types its keys, or makes its file if they are none.
const TERMINAL: &str = "
import fcntl, json, os, pty, struct, sys, termios
rows, columns = map(int, sys.argv[1].split('x'))
actions, command = json.loads(sys.argv[2]), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    os.execv(command[0], command)
new = b''
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    os.write(1, read)
    new += read
    while actions and actions[0][0].encode() in new:
        _, keys, file = actions.pop(0)
        new = b''
        os.write(terminal, keys.encode()) if keys else open(file, 'w').close()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

const WAITS: &str = "\
import os, time

def test_waits():
    while not os.path.exists('go'):
        time.sleep(0.01)
";

/// One test that fails, then one that waits for the file `go`.
fn waiting() -> Project {
    Project::new(&[
        ("pyproject.toml", "[project]\nname = 'waiting'\nversion = '1'\n"),
        ("waiting.py", "x = 1\n"),
        ("tests/test_a.py", "def test_bad():\n    import waiting\n    assert waiting.x == 2\n"),
        ("tests/test_b.py", WAITS),
    ])
}

/// A window, and what is done in it: a text to wait for, keys, a file.
struct Window<'a> {
    rows: u16,
    columns: u16,
    actions: &'a [(&'a str, &'a str, &'a str)],
    vars: &'a [(&'a str, &'a str)],
}

impl Window<'_> {
    fn run(&self, project: &Project, args: &[&str], code: i32) -> Seen {
        let size = format!("{}x{}", self.rows, self.columns);
        let actions = serde_json::to_string(self.actions).expect("JSON");
        let driver = ["-c", TERMINAL, &size, &actions, env!("CARGO_BIN_EXE_xtask")];
        let run = Run::of(&project.env().python()).args(&driver).args(args).cwd(&project.root);
        let run = run.active(project.env()).var("TERM", "xterm-256color");
        let run = self.vars.iter().fold(run, |run, (name, value)| run.var(name, value));
        Seen::of(run.output().exits(code), self.rows, self.columns)
    }
}

/// What was on the terminal.
struct Seen {
    output: Output,
    /// After each picture that was drawn, the rows of the window.
    pictures: Vec<Vec<String>>,
    /// All that can be read at the end, with what has left the window.
    rows: Vec<String>,
    cursor: (u16, u16),
    cursor_is_hidden: bool,
}

impl Seen {
    fn of(output: Output, rows: u16, columns: u16) -> Seen {
        let mut terminal = emulator(rows, columns);
        let window = |terminal: &vt100::Parser| -> Vec<String> {
            terminal.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
        };
        let mut pictures = Vec::new();
        for piece in output.stdout.split_inclusive("\x1b[J") {
            let upwards = piece.rfind("\r\x1b[").unwrap_or(piece.len());
            terminal.process(&piece.as_bytes()[..upwards]);
            pictures.push(window(&terminal));
            terminal.process(&piece.as_bytes()[upwards..]);
        }
        let mut tall = emulator(500, columns);
        tall.process(output.stdout.as_bytes());
        let (row, column) = tall.screen().cursor_position();
        let mut rows = window(&tall);
        rows.truncate(usize::from(row) + 1);
        let cursor_is_hidden = tall.screen().hide_cursor();
        Seen { output, pictures, rows, cursor: (row, column), cursor_is_hidden }
    }

    /// Nothing of the bars is left, the cursor is there, and the prompt gets a line of its own.
    #[track_caller]
    fn is_clean(&self) -> &Seen {
        let text = self.rows.join("\n");
        assert!(!text.contains(['━', '─', '⠋', '⠙', '⠹', '⠸']), "{text}\n{}", self.output);
        assert!(!self.cursor_is_hidden && self.cursor.1 == 0, "{:?}\n{text}", self.cursor);
        self
    }

    /// Whether these texts stood in the window at once, in this order.
    fn showed(&self, texts: &[&str]) -> bool {
        self.pictures.iter().any(|rows| {
            let mut rows = rows.iter();
            texts.iter().all(|text| rows.any(|row| row.contains(text)))
        })
    }

    /// The last line.
    fn last(&self) -> &str {
        self.rows.iter().rev().find(|row| !row.is_empty()).map_or("", String::as_str)
    }
}

fn emulator(rows: u16, columns: u16) -> vt100::Parser {
    let size = |n| NonZeroU16::new(n).expect("a window");
    vt100::Parser::new(size(rows), size(columns), 0)
}

engines! {
    /// What has happened stands above, what runs below; in the end only the former is left.
    fn bars_stand_under_what_has_happened(engine) {
        let actions = [("test_waits  split 2", "", "go")];
        let window = Window { rows: 24, columns: 80, actions: &actions, vars: &[] };
        let args = coverage(engine, &["--report", "none", "--color", "never", "--slow", "0.1"]);
        let seen = window.run(&waiting(), &args, 1);
        let happened = "✗ tests/test_a.py::test_bad failed";
        let slow = "slow: tests/test_b.py::test_waits still runs after 0.1s";
        let running = "tests/test_b.py::test_waits  split 2";
        // With forks a failure is told when it is confirmed, after the line on the slow test.
        let shown = [happened, "[Split 1/2] ✗ 1 of 1 test failed", "─  1/2  ✗ 1  ", running];
        assert!(seen.showed(&shown), "{:#?}", seen.pictures);
        seen.is_clean();
        let text = seen.rows.join("\n");
        for line in [happened, slow, "[Split 2/2] ✓ 1 test in ", "---- tests/test_a.py::test_bad failed"] {
            assert_eq!(text.matches(line).count(), 1, "{line}\n{text}");
        }
        assert_eq!(seen.last(), "✗ tests failed: 1 of 2 tests failed");
    }

    /// The shell's prompt comes back as if nothing had been drawn.
    fn ctrl_c_leaves_a_clean_terminal(engine) {
        let actions = [("1/2  ", "\x03", "")];
        let window = Window { rows: 24, columns: 80, actions: &actions, vars: &[] };
        let seen = window.run(&waiting(), &coverage(engine, &[]), 130);
        assert_eq!(seen.is_clean().last(), "✗ interrupted: interrupted; 1 test did not run");
    }
}

/// Ctrl-Z stops nothing where no shell is there to have it go on.
#[test]
fn ctrl_z_without_a_shell_does_nothing() {
    let actions = [("1/2  ", "\x1a", ""), ("1/2  ", "", "go")];
    let window = Window { rows: 24, columns: 80, actions: &actions, vars: &[] };
    let seen = window.run(&waiting(), &coverage("fork", &["--report", "none"]), 1);
    assert_eq!(seen.is_clean().last(), "✗ tests failed: 1 of 2 tests failed");
}

/// Before there is a run, a signal ends the process at once, and the spinner with it.
#[test]
fn ctrl_c_before_any_test_leaves_a_clean_terminal() {
    let project = waiting();
    project.write("python", "#!/bin/sh\nsleep 1000\n");
    let chmod = Run::of("chmod".into()).args(&["+x", "python"]).cwd(&project.root);
    chmod.output().exits(0);
    let actions = [("Preparing the environment", "\x03", "")];
    let window = Window { rows: 24, columns: 80, actions: &actions, vars: &[] };
    let seen = window.run(&project, &["coverage", "--python", "./python"], 130);
    assert_eq!(seen.is_clean().rows.join("").trim(), "");
}

/// No picture is wider or higher than its window, so none leaves anything behind.
#[test]
fn a_narrow_window_takes_no_damage() {
    let actions = [("1/2  ✗ 1", "", "go")];
    let window = Window { rows: 6, columns: 30, actions: &actions, vars: &[] };
    let args = coverage("fork", &["--report", "none", "--color", "never"]);
    let seen = window.run(&waiting(), &args, 1);
    let bars = |rows: &Vec<String>| rows.iter().filter(|row| row.contains("1/2  ✗ 1")).count();
    assert!(seen.pictures.iter().all(|rows| bars(rows) <= 1), "{:#?}", seen.pictures);
    assert!(seen.pictures.iter().any(|rows| bars(rows) == 1), "{:#?}", seen.pictures);
    seen.is_clean();
}

/// Where nobody looks at bars, or they would do harm, each thing is a line and no more.
#[test]
fn bars_are_not_for_every_terminal() {
    let project = waiting();
    project.write("go", "");
    let escape = '\x1b';
    let on = |vars: &[(&str, &str)], args: &[&str]| {
        let window = Window { rows: 24, columns: 80, actions: &[], vars };
        window.run(&project, &coverage("fork", args), 1).output.stdout
    };
    assert!(!on(&[("TERM", "dumb")], &[]).contains(escape));
    assert!(!on(&[("CI", "true")], &["--color", "never"]).contains(escape));
    assert!(!on(&[], &["-q", "--color", "never"]).contains(escape));
    assert!(on(&[], &["--color", "never"]).contains(escape));
}

/// Without colours the bars are drawn all the same.
#[test]
fn no_color_is_about_colours_only() {
    let project = waiting();
    let actions = [("test_waits  split 2", "", "go")];
    let window = Window { rows: 24, columns: 80, actions: &actions, vars: &[("NO_COLOR", "1")] };
    let args = [&["test"], &ONE_AT_A_TIME[..]].concat();
    let seen = window.run(&project, &args, 1);
    assert!(seen.showed(&["1/2  ✗ 1", "test_waits"]));
    assert!(!seen.output.stdout.contains("\x1b[3") && !seen.output.stdout.contains("\x1b[2m"));
    seen.is_clean();
}

/// A terminal that is known to understand it is told how far the run is, and that it has ended.
#[test]
fn a_terminal_that_shows_percentages_is_told_one() {
    let actions = [("1/2  ", "", "go")];
    let vars = [("TERM_PROGRAM", "ghostty")];
    let window = Window { rows: 24, columns: 80, actions: &actions, vars: &vars };
    let seen = window.run(&waiting(), &coverage("fork", &["--report", "none"]), 1);
    let told = seen.output.stdout.split("\x1b]9;4;").skip(1);
    let told: Vec<&str> = told.filter_map(|rest| rest.split('\x1b').next()).collect();
    assert!(told.contains(&"2;50"), "{told:?}");
    assert_eq!(told.iter().filter(|word| word.starts_with("0;")).count(), 1, "{told:?}");
    assert_eq!(told.last(), Some(&"0;"), "{told:?}");
}
