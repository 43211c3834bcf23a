//! Numbers and names as they are read.

use crate::engine::Sample;
use crate::model::format::{count, gib, one_line};
use crate::split::NotFound;

/// `4 workers, 2 before: 1.3 of 2 cores busy, 5.2 GiB of 7.7 GiB free`.
pub(super) fn machine(sample: &Sample, before: Option<u32>) -> String {
    let before = before.map(|before| format!(", {before} before")).unwrap_or_default();
    let cores = (sample.cores * 100.0).round() / 100.0;
    let free = sample.available.zip(sample.memory);
    let free = free.map(|(free, all)| format!(", {} of {} free", gib(free), gib(all)));
    format!(
        "{}{before}: {:.1} of {cores} cores busy{}",
        count(sample.processes.into(), "worker"),
        sample.busy,
        free.unwrap_or_default()
    )
}

/// The first of some names, and how many more there are.
fn some(names: &[String]) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> =
        names.iter().take(NAMED).map(|name| format!("`{}`", one_line(name))).collect();
    match names.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        rest => format!("{} and {rest} more", named.join(", ")),
    }
}

/// Which tests were not found again, and what runs in their place; nothing where there are none.
pub(super) fn not_found(not_found: &NotFound) -> Option<String> {
    let NotFound { ids, files, whole } = not_found;
    let instead = match files.as_slice() {
        _ if *whole => "all tests run in their place".to_owned(),
        [] => "only a run of the whole suite can tell what became of them".to_owned(),
        files => format!("all tests of {} run in their place", some(files)),
    };
    let tests = count(ids.len() as u64, "test");
    (!ids.is_empty()).then(|| format!("{tests} not found again, {}: {instead}", some(ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found_again_is_named_with_what_runs_instead() {
        let named = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let said = |ids: &[&str], files: &[&str], whole| {
            not_found(&NotFound { ids: named(ids), files: named(files), whole })
        };
        assert_eq!(said(&[], &[], false), None);
        let words = "1 test not found again, `a.py::x[1]`: all tests of `a.py` run in their place";
        assert_eq!(said(&["a.py::x[1]"], &["a.py"], false).as_deref(), Some(words));
        let words = "4 tests not found again, `a`, `b`, `c` and 1 more: \
                     all tests run in their place";
        assert_eq!(said(&["a", "b", "c", "d"], &[], true).as_deref(), Some(words));
    }

    #[test]
    fn the_machine_is_told_in_a_line() {
        let memory = (Some(5 << 30), Some(8 << 30));
        let (busy, cores, processes) = (1.25, 1.5, 4);
        let (available, all) = memory;
        let sample = Sample { at: 1.0, busy, cores, available, memory: all, processes };
        let words = "4 workers, 2 before: 1.2 of 1.5 cores busy, 5.0 GiB of 8.0 GiB free";
        assert_eq!(machine(&sample, Some(2)), words);
        let sample = Sample { busy: 2.0, cores: 2.0, processes: 1, ..Sample::default() };
        assert_eq!(machine(&sample, None), "1 worker: 2.0 of 2 cores busy");
    }
}
