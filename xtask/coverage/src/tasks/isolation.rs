//! Which tests share a process: as asked, else as long as earlier runs make it worth.

use super::history::History;
use super::prepare::Prepared;
use crate::cli::{Engine, Isolate};
use crate::engine::Ran;
use crate::screen::seconds;
use crate::split::{Isolation, Observation, cost, observe, row, worth};

/// What the fork engine is to do.
pub(super) fn choose(prepared: &Prepared) -> Isolation {
    match prepared.settings.isolate.value {
        Isolate::File => Isolation::File,
        Isolate::Worker => Isolation::Worker,
        Isolate::Auto => Isolation::Row(row(&prepared.history.processes)),
    }
}

/// The same for the banner, where it is something to know.
pub(super) fn words(prepared: &Prepared, engine: Engine) -> String {
    if engine != Engine::Fork {
        return String::new();
    }
    let Prepared { history, .. } = prepared;
    match choose(prepared) {
        Isolation::File => ", a process for each test file".to_owned(),
        Isolation::Worker => ", a process for each worker".to_owned(),
        Isolation::Row(length) => of_row(history, length).unwrap_or_default(),
    }
}

/// Nothing where a second of tests is worth a process, or where the length is but a trial.
fn of_row(history: &History, length: f64) -> Option<String> {
    let last = history.processes.last()?;
    let each = cost(&history.processes).unwrap_or(last.starting);
    if length <= row(&[]) || length > worth(each) {
        return None;
    }
    let per_worker = last.seconds / last.slots.max(1) as f64;
    let what = match length < per_worker {
        true => format!("a process for about {} of tests", seconds(length)),
        false => "a process for each worker".to_owned(),
    };
    let fixtures = if last.fixtures > each / 2.0 { ", most of it session fixtures" } else { "" };
    Some(format!(", {what} (a new one costs {}{fixtures})", seconds(each)))
}

/// What a run of the whole suite adds to what is known; nothing where its processes were not
/// counted.
pub(super) fn after(prepared: &Prepared, ran: &Ran) -> Vec<Observation> {
    let earlier = &prepared.history.processes;
    let tests = ran.planned.len() as u64;
    let incomplete = ran.aborted || ran.interrupted.is_some() || !ran.problems.is_empty();
    if ran.processes.is_empty() || incomplete {
        return earlier.clone();
    }
    let count = ran.processes.len() as f64;
    let mean =
        |of: fn(&crate::engine::Process) -> f64| ran.processes.iter().map(of).sum::<f64>() / count;
    let new = Observation {
        tests,
        slots: prepared.slots(),
        processes: ran.processes.len() as u64,
        seconds: ran.processes.iter().map(|it| it.seconds).sum(),
        starting: mean(|it| it.starting),
        fixtures: mean(|it| it.fixtures),
        row: match choose(prepared) {
            Isolation::Row(length) => length,
            Isolation::File | Isolation::Worker => row(earlier),
        },
    };
    observe(earlier, new)
}
