//! What hosts say, and what follows from it.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::conductor::{Conductor, Stage, Unwritten};
use super::host::{HostEvent, Mode, Source, UnitData};
use super::slot::Exit;
use crate::engine::{Happening, Refusal, tail};
use crate::shard::combine::{Origin, Part};
use crate::split::{NotFound, places};

/// The first hazards, and how many more there are.
fn some(hazards: &[String]) -> String {
    const SHOWN: usize = 2;
    let shown = hazards[..SHOWN.min(hazards.len())].join("; ");
    match hazards.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

impl Conductor<'_> {
    /// A line of a host, or of the process in a slot.
    pub(super) fn heard(&mut self, host: usize, source: Source, line: &str) {
        match source {
            Source::Host => match serde_json::from_str(line) {
                Ok(event) => self.host_says(host, event),
                Err(error) => {
                    self.broken(host, &format!("said what cannot be read ({error}): {line}"));
                }
            },
            Source::Output(slot) => (self.show)(Happening::Printed { slot, line }),
            // A line that its unit did not live to end is followed by `unit-exited`.
            Source::Slot(slot) => match serde_json::from_str(line) {
                Ok(event) => self.unit_says(host, slot, event),
                Err(_) => self.busy(slot, |busy| busy.garbled = true),
            },
        }
    }

    fn host_says(&mut self, host: usize, event: HostEvent) {
        if self.stage == Stage::Collecting && self.fleet.peek(host).retired {
            // Others collect in its place.
            return;
        }
        match event {
            HostEvent::Unknown => {}
            HostEvent::CollectorStarted { pid } => self.fleet.member(host).pid = pid,
            HostEvent::Hello { pid, stacks_signal } => {
                let member = self.fleet.member(host);
                (member.pid, member.stacks_signal) = (pid, stacks_signal);
            }
            HostEvent::CollectError { id, text } => {
                self.uncollectable(host, id, text);
            }
            HostEvent::CollectSkip { id, reason } => self.ran.ledger.skipped_file(&id, reason),
            HostEvent::Files { files } => self.share_files(host, files),
            HostEvent::CannotShard { why } => self.cannot_shard(host, &why),
            HostEvent::Imported { modules, files } => self.imported(host, modules, files),
            HostEvent::Reordered { why, parts } => self.reordered(&why, parts),
            HostEvent::CollectorExited { collector, code, signal, error } => {
                self.collector_exited(host, collector, &Exit { code, signal, error });
            }
            HostEvent::NotFound(not_found) => self.not_found(not_found),
            HostEvent::Ids { ids, files, groups, documents } => {
                let member = self.fleet.member(host);
                member.ids.extend(ids);
                member.files.extend(files);
                let index = |(test, group): (String, String)| Some((test.parse().ok()?, group));
                member.marks.groups.extend(groups.into_iter().filter_map(index));
                member.marks.documents.extend(documents.into_iter().filter_map(index));
            }
            HostEvent::Collected { tests, seconds } => {
                self.fleet.member(host).collected = true;
                match self.fleet.peek(host).collector {
                    true => self.collected_part(tests, &seconds),
                    false => self.ran.ledger.collected(tests),
                }
            }
            HostEvent::Looked { hazards, harmless } => self.looked(hazards, &harmless),
            HostEvent::CannotFork { hazards } => self.cannot_fork(host, &hazards),
            HostEvent::HostCollects {} => self.fleet.without_collectors(host),
            HostEvent::WorkerCollects { why, replays } => self.worker_collects(host, &why, replays),
            HostEvent::Nodes { inputs, replays } => self.nodes(inputs, replays),
            HostEvent::WorkerDown { slot, output, status } => {
                self.worker_down(slot, &output, status);
            }
            HostEvent::SessionStop { why, text } => self.session_stopped(&why, &text),
            HostEvent::SessionEnded(end) => self.session_ended(host, end),
            HostEvent::PythonWarning { text, place, times } => {
                self.ran.warnings.add_once(text, place, times);
            }
            HostEvent::CannotHost { why } => self.cannot_host(why),
            HostEvent::Ready { replays } => {
                self.listens(replays);
                self.ready(host);
            }
            HostEvent::Stacks { unit, text } => self.stacks(unit, text),
            HostEvent::Warning { text } => self.warn(text),
            HostEvent::Error { text } => self.broken(host, &format!("reported an error: {text}")),
            HostEvent::Data { split, file, units, damaged } => {
                self.damaged(split, damaged);
                self.data(host, split, file, units);
            }
            HostEvent::Bye { exit } => self.bye(host, exit),
        }
    }

    /// Kept for the next run, which need not find out again.
    fn looked(&mut self, hazards: Vec<String>, harmless: &[String]) {
        if self.stage != Stage::Collecting {
            return;
        }
        let found = if hazards.is_empty() { "nothing".to_owned() } else { some(&hazards) };
        let let_pass = match harmless {
            [] => String::new(),
            _ => format!("; harmless: {}", harmless.join(", ")),
        };
        let known = self.ran.hazards.as_ref();
        if known.is_some_and(|known| hazards.iter().all(|one| known.contains(one))) {
            return;
        }
        (self.show)(Happening::Detail(&format!(
            "Looked for what forks are not safe with (threads, patches, event loops, sockets, \
             pipes, child processes, shared memory): {found}{let_pass}"
        )));
        if self.job.force_forks && !hazards.is_empty() {
            let found = some(&hazards);
            self.warn(format!(
                "{found}, so forks are not safe; `--engine fork` forks all the same"
            ));
        }
        let known = self.ran.hazards.get_or_insert_default();
        known.extend(hazards);
        known.sort();
        known.dedup();
    }

    fn cannot_fork(&mut self, host: usize, hazards: &[String]) {
        let why = format!(
            "{}, so forks are not safe: each worker collects and runs its tests without them, as \
             with `--engine spawn`",
            some(hazards)
        );
        if self.fleet.peek(host).retired {
            return;
        }
        (self.show)(Happening::Note(&why));
        if self.fleet.peek(host).collector {
            self.start_over(Mode::Spawn);
            return;
        }
        if let Err(error) = self.fleet.without_forks(host) {
            self.problem(None, format!("could not start more hosts: {error:#}"));
        }
    }

    /// Every host looks for the same tests.
    fn not_found(&mut self, not_found: NotFound) {
        if self.ran.not_found != not_found {
            (self.show)(Happening::NotFound(&not_found));
        }
        self.ran.not_found = not_found;
    }

    /// A host has collected and obeys from here on. The first one decides what there is to run.
    fn ready(&mut self, host: usize) {
        let member = self.fleet.member(host);
        member.ready = true;
        if member.collector {
            return self.join_parts();
        }
        let ids = std::mem::take(&mut member.ids);
        let marks = std::mem::take(&mut member.marks);
        match self.stage {
            _ if matches!(self.fleet.member(host).mode, Mode::Gather | Mode::Controller) => {}
            Stage::Collecting => self.plan(ids, &marks),
            Stage::Running => self.compare(host, &ids),
            Stage::Aborting(_) | Stage::Finishing(_) | Stage::Done => {}
        }
    }

    /// What another host has planned is what this one is asked to run.
    fn compare(&mut self, host: usize, ids: &[String]) {
        if let Some(places) = places(&self.plan.ids, ids) {
            if !places.is_sorted() {
                self.fleet.member(host).number(places.into_iter().enumerate().collect());
            }
            return;
        }
        let known: BTreeSet<&String> = self.plan.ids.iter().collect();
        let alien = ids.iter().find(|id| !known.contains(id));
        let example = alien.map(|id| format!(", `{id}` among them")).unwrap_or_default();
        let what = format!("collected other tests than the first one{example}");
        self.broken(host, &what);
        self.abort("the hosts do not agree on the tests");
    }

    /// Files of subprocesses that are not what they were. Where a unit was cut short, so were they,
    /// which is no wonder.
    fn damaged(&mut self, split: Option<u32>, damaged: Vec<(Option<u32>, String)>) {
        for (unit, text) in damaged {
            let unit = unit.and_then(|unit| self.unwritten.get(&unit));
            let whole = unit.is_none_or(|unit| unit.whole);
            match (whole, unit.map(|unit| unit.split).or(split)) {
                (false, _) => self.warn(text),
                (true, None) => {
                    let what = "what a process measured that was started before the tests is lost";
                    self.problem(None, format!("{what}: {text}"));
                }
                (true, split) => {
                    let what = format!("has lost what a process of its tests measured: {text}");
                    self.problem(split, what);
                }
            }
        }
    }

    /// A host has written a data file.
    fn data(
        &mut self,
        host: usize,
        split: Option<u32>,
        file: Option<Utf8PathBuf>,
        units: Option<Vec<(u32, UnitData, usize)>>,
    ) {
        let origin = if units.is_some() { Origin::Tests } else { Origin::Host };
        let Some(file) = file else {
            return self.broken(host, "could not write its coverage data");
        };
        self.ran.expected.parts.push(Part { split, file, origin });
        for (unit, state, tests) in units.into_iter().flatten() {
            let Some(unit) = self.unwritten.remove(&unit) else { continue };
            if let Some(what) = unit.lacks(state, tests) {
                self.problem(Some(unit.split), what.to_owned());
            }
        }
    }

    fn bye(&mut self, host: usize, exit: i32) {
        self.fleet.member(host).bye = Some(exit);
        if self.fleet.peek(host).collector {
            self.share_imports();
            self.join_parts();
        }
        self.finish_head();
        if self.stage != Stage::Collecting {
            self.hurry_out(host);
            return;
        }
        if !self.fleet.member(host).collected && self.ran.interrupted.is_none() {
            // 4: pytest's usage error, or a conftest that cannot be imported.
            let text = tail(&self.fleet.member(host).host.log, 40);
            self.ran.refused.get_or_insert(Refusal { text, usage: exit == 4 });
        }
        let member = self.fleet.peek(host);
        let ended = member.retired || self.ran.interrupted.is_some();
        let broke = member.collected && !ended && !matches!(exit, 0 | 5);
        if broke && self.ran.ledger.failures().is_empty() {
            self.broken(host, &format!("ended with pytest's exit status {exit} before any test"));
        }
        self.ran.uncollectable = !self.ran.ledger.failures().is_empty();
    }

    /// A host that forks has nothing to run once it says `bye`: if that comes early, what its
    /// end may still wait for must not keep the run waiting.
    fn hurry_out(&mut self, host: usize) {
        let early = !self.is_finishing();
        let member = self.fleet.member(host);
        if !early || !matches!(member.mode, Mode::Fork | Mode::Shards | Mode::Controller) {
            return;
        }
        match member.collector {
            true => member.host.end_lines(),
            false => member.host.child.kill_group(),
        }
    }
}

impl Unwritten {
    /// What is wrong with what was found of a unit, and of so many tests.
    fn lacks(&self, found: UnitData, tests: usize) -> Option<&'static str> {
        match found {
            UnitData::None => Some("left no coverage data"),
            UnitData::Damaged => Some("left damaged coverage data"),
            UnitData::Partial if self.whole => Some("left damaged coverage data"),
            _ if tests < self.finished => Some("left coverage data of fewer tests than have ended"),
            UnitData::Whole | UnitData::Partial => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_ended_has_left_all_and_another_what_its_tests_have_covered() {
        let unit = |whole, finished| Unwritten { split: 1, host: 0, whole, finished };
        let table = [
            (unit(true, 2), UnitData::Whole, 3, true),
            (unit(true, 2), UnitData::Partial, 2, false),
            (unit(true, 2), UnitData::Whole, 1, false),
            (unit(false, 2), UnitData::Partial, 2, true),
            (unit(false, 2), UnitData::Partial, 1, false),
            (unit(false, 2), UnitData::Damaged, 2, false),
            (unit(false, 2), UnitData::None, 0, false),
        ];
        for (unit, found, tests, is_all) in table {
            assert_eq!(unit.lacks(found, tests).is_none(), is_all, "{unit:?} {found:?} {tests}");
        }
    }
}
