//! The lines of the live form, as the board has them, for a window of some size. Pure.

use std::time::{Duration, Instant};

use console::{measure_text_width, truncate_str};

use super::board::{Board, Running, Stage, Tests};
use super::paint::Paint;
use crate::model::format::{count, one_line, thousands, whole_seconds};

/// A test has a line of its own once it takes longer.
const LONG: Duration = Duration::from_secs(1);
/// Columns of the bar, at most and at least: where there is no room for so many there is none.
const BAR: (usize, usize) = (40, 8);
/// Columns kept free: the cursor stands there, and there the terminal writes `^C`.
const MARGIN: usize = 3;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The lines; none when nothing goes on. None fills the width of the window.
pub(super) fn lines(board: &Board, now: Instant, size: Size, paint: Paint) -> Vec<String> {
    let room = size.columns.saturating_sub(MARGIN);
    let size = Size { columns: room, ..size };
    let lines = match &board.stage {
        Stage::Idle => Vec::new(),
        _ if room == 0 => Vec::new(),
        Stage::Doing(what, since) => vec![doing(what, now - *since, paint)],
        Stage::Testing(began) => testing(board, *began, now, size, paint),
        Stage::Runs(runs) => of_runs(runs, size, paint),
    };
    lines.iter().map(|line| truncate_str(line, room, "…").into_owned()).collect()
}

/// What goes on, in one line without a bar; empty where nothing does.
pub(super) fn line(board: &Board, now: Instant, paint: Paint) -> String {
    match &board.stage {
        Stage::Idle | Stage::Runs(_) => String::new(),
        Stage::Doing(what, since) => {
            let age = whole_seconds((now - *since).as_secs_f64().floor());
            format!("{what} {}", paint.dim(&age))
        }
        Stage::Testing(began) => overall(&board.tests, *began, now, 0, paint),
    }
}

/// `packages/shop  123/350  ✓ 120  12s`: a line for each, as many as there is room for.
fn of_runs(runs: &[(String, String)], size: Size, paint: Paint) -> Vec<String> {
    let widest = runs.iter().map(|(name, _)| measure_text_width(name)).max().unwrap_or_default();
    let (shown, rest) = runs.split_at(runs.len().min((size.rows / 3).max(1)));
    let line = |(name, line): &(String, String)| {
        let pad = " ".repeat(widest - measure_text_width(name));
        format!("{}{pad}  {line}", paint.bold(name))
    };
    let mut lines: Vec<String> = shown.iter().map(line).collect();
    if !rest.is_empty() {
        lines.push(paint.dim(&format!("… and {} more", rest.len())));
    }
    lines
}

fn doing(what: &str, age: Duration, paint: Paint) -> String {
    let turn = (age.as_millis() / 100) as usize % SPINNER.len();
    let age = whole_seconds(age.as_secs_f64().floor());
    format!("{} {what} {}", paint.green(SPINNER[turn]), paint.dim(&age))
}

fn testing(board: &Board, began: Instant, now: Instant, size: Size, paint: Paint) -> Vec<String> {
    let slow = board.slow.unwrap_or(Duration::MAX);
    let mut lines = vec![overall(&board.tests, began, now, size.columns, paint)];
    let long = board.tests.running();
    let long: Vec<&Running> = long.into_iter().filter(|running| running.age(now) >= LONG).collect();
    let room = (size.rows / 3).max(1);
    let (shown, rest) = long.split_at(long.len().min(room));
    lines.extend(shown.iter().map(|running| one(running, slow, now, size.columns, paint)));
    if !rest.is_empty() {
        lines.push(paint.dim(&format!("       … and {} more", rest.len())));
    }
    lines
}

/// `━━━━━────  123/350  ✓ 120  ✗ 2  - 1  12s, about 20s left  4 workers`
fn overall(tests: &Tests, began: Instant, now: Instant, columns: usize, paint: Paint) -> String {
    let (done, all) = (tests.done(), tests.forecast.tests);
    let mut text = format!("{}/{}", thousands(done), thousands(all));
    let counts = [
        ("✓", tests.passed, Paint::green as fn(Paint, &str) -> String),
        ("✗", tests.failed, Paint::red),
        ("-", tests.skipped, Paint::yellow),
    ];
    for (mark, n, colour) in counts.into_iter().filter(|(_, n, _)| *n > 0) {
        text.push_str(&format!("  {}", colour(paint, &format!("{mark} {}", thousands(n)))));
    }
    let mut time = time(tests, began, now);
    if let Some(workers) = tests.workers().filter(|&workers| workers > 0) {
        time.push_str(&format!("  {}", count(workers.into(), "worker")));
    }
    text.push_str(&format!("  {}", paint.dim(&time)));
    let room = columns.saturating_sub(measure_text_width(&text) + 2).min(BAR.0);
    if room < BAR.1 {
        return text;
    }
    let full = (room as u64 * done.min(all) / all.max(1)) as usize;
    let colour = if tests.failed > 0 { Paint::red } else { Paint::green };
    let bar = colour(paint, &"━".repeat(full)) + &paint.dim(&"─".repeat(room - full));
    format!("{bar}  {text}")
}

fn time(tests: &Tests, began: Instant, now: Instant) -> String {
    let elapsed = whole_seconds((now - began).as_secs_f64().floor());
    match tests.left(began, now) {
        _ if tests.winds_down() => format!("{elapsed}, finishing"),
        Some(left) if left >= 1.0 => format!("{elapsed}, about {} left", whole_seconds(left)),
        _ => elapsed,
    }
}

/// `    12s  tests/test_stock.py::test_all  split 3`: of a long name the end is worth more.
fn one(running: &Running, slow: Duration, now: Instant, columns: usize, paint: Paint) -> String {
    let age = running.age(now);
    let seconds = format!("{:>7}", whole_seconds(age.as_secs_f64().floor()));
    let colour = if age >= slow { Paint::yellow } else { Paint::dim };
    let split = running.split.map(|split| format!("  split {split}")).unwrap_or_default();
    let room = columns.saturating_sub(seconds.len() + 2 + split.len());
    let id = end_of(&one_line(&running.id), room);
    format!("{}  {id}{}", colour(paint, &seconds), paint.dim(&split))
}

/// The last columns of a text.
fn end_of(text: &str, columns: usize) -> String {
    if measure_text_width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let fits = |c: char| {
        let left = room.checked_sub(measure_text_width(c.encode_utf8(&mut [0; 4])));
        room = left.unwrap_or(0);
        left.is_some()
    };
    let mut kept: Vec<char> =
        text.chars().rev().scan(fits, |fits, c| fits(c).then_some(c)).collect();
    kept.push('…');
    kept.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Happening, Sample, Started};
    use crate::model::TestOutcome;

    const COLUMNS_80: Size = Size { rows: 24, columns: 80 };

    fn board(running: &[&str]) -> Board {
        let mut board = Board::new();
        board.note(&Happening::Planned { tests: 2000, seconds: Some(100.0), slots: 2 });
        for n in 0..1000 {
            let outcome = match n {
                0 => TestOutcome::Failed,
                1 | 2 => TestOutcome::Skipped,
                _ => TestOutcome::Passed,
            };
            let id = n.to_string();
            let started = Started { id: &id, split: Some(1), pid: None, expected: 0.05 };
            board.note(&Happening::TestStarted(started));
            board.note(&Happening::TestEnded { id: &id, outcome });
        }
        for id in running {
            let started = Started { id, split: Some(3), pid: None, expected: 0.05 };
            board.note(&Happening::TestStarted(started));
        }
        board
    }

    fn shown(board: &Board, seconds: u64, size: Size) -> Vec<String> {
        let Stage::Testing(began) = &board.stage else { return Vec::new() };
        let later = *began + Duration::from_millis(seconds * 1000 + 100);
        lines(board, later, size, Paint(false))
    }

    #[test]
    fn the_bar_has_the_counts_and_the_time_left() {
        let wanted = format!(
            "{}{}  1,000/2,000  ✓ 997  ✗ 1  - 2  25s, about 25s left",
            "━".repeat(13),
            "─".repeat(13)
        );
        assert_eq!(shown(&board(&[]), 25, COLUMNS_80), [wanted]);
    }

    #[test]
    fn the_bar_has_the_number_of_workers_where_that_changes() {
        let mut board = board(&[]);
        board.note(&Happening::Machine(&Sample::default()));
        assert!(shown(&board, 25, COLUMNS_80)[0].ends_with(" left"), "none has begun");
        for processes in [2, 1] {
            let sample = Sample { processes, ..Sample::default() };
            board.note(&Happening::Machine(&sample));
            let workers = if processes == 1 { "1 worker" } else { "2 workers" };
            let lines = shown(&board, 25, COLUMNS_80);
            assert!(lines[0].ends_with(&format!(" left  {workers}")), "{lines:?}");
        }
    }

    #[test]
    fn a_test_that_takes_long_has_a_line() {
        let lines = shown(&board(&["tests/test_a.py::test_x[1\n2]"]), 25, COLUMNS_80);
        assert_eq!(lines[1..], ["    25s  tests/test_a.py::test_x[1\\n2]  split 3"]);
        assert_eq!(shown(&board(&["tests/test_a.py::test_x"]), 0, COLUMNS_80).len(), 1);
    }

    /// Whatever the window: no line as wide as it, no more lines than there is room for.
    #[test]
    fn lines_fit_into_every_window() {
        let names: Vec<String> = (0..40).map(|n| format!("tests/日本/test_{n}.py::t")).collect();
        let board = board(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for columns in 1..130 {
            for rows in 1..60 {
                let lines = shown(&board, 5, Size { rows, columns });
                let widest = lines.iter().map(|line| measure_text_width(line)).max();
                assert!(
                    widest.is_none_or(|widest| widest + MARGIN <= columns),
                    "{columns}: {lines:#?}"
                );
                assert!(lines.len() <= (rows / 3).max(1) + 2, "{rows}: {}", lines.len());
            }
        }
    }

    #[test]
    fn of_a_long_name_the_end_is_shown() {
        let id = format!("tests/{}test_a.py::test_x", "deep/".repeat(30));
        let lines = shown(&board(&[&id]), 25, COLUMNS_80);
        assert!(lines[1].starts_with("    25s  …"), "{lines:?}");
        assert!(lines[1].ends_with("deep/test_a.py::test_x  split 3"), "{lines:?}");
    }
}
