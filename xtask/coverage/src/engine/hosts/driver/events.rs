//! What hosts and units say, and what follows from it.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::{Driver, Stage};
use crate::engine::hosts::claims::Claims;
use crate::engine::hosts::data::Damage;
use crate::engine::hosts::host::{HostEvent, Mode, Source, UnitData, UnitEvent};
use crate::engine::schedule::{Input, Suite, Why};
use crate::engine::{Happening, Refusal, tail};
use crate::model::{Origin, Part};
use crate::split::{Grain, Isolation, Marks, NotFound, Plan, together, units};

/// The first hazards, and how many more there are.
fn some(hazards: &[String]) -> String {
    const SHOWN: usize = 2;
    let shown = hazards[..SHOWN.min(hazards.len())].join("; ");
    match hazards.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

impl Driver<'_> {
    /// A line of a host, or of the process in a slot.
    pub(super) fn heard(&mut self, host: usize, source: Source, line: &str) {
        match source {
            Source::Host => match serde_json::from_str(line) {
                Ok(event) => self.host_says(host, event),
                Err(error) => {
                    self.broken(host, &format!("said what cannot be read ({error}): {line}"));
                }
            },
            Source::Output(slot) => self.account.show(Happening::Printed { slot, line }),
            // A line that its unit did not live to end is followed by `unit-exited`.
            Source::Slot(slot) => match serde_json::from_str(line) {
                Ok(event) => self.unit_says(host, slot, event),
                Err(_) => self.garbled(slot),
            },
        }
    }

    fn host_says(&mut self, host: usize, event: HostEvent) {
        if let HostEvent::Variables {} = event {
            let worker = self.hosts.slot_of(host).unwrap_or_default();
            return self.set_worker_up(worker, host, None);
        }
        if self.stage == Stage::Collecting && self.hosts.is_retired(host) {
            // Others collect in its place.
            return;
        }
        if self.is_wanted(host) {
            // Others have said what is to be said of the suite.
            return self.wanted_says(host, event);
        }
        match event {
            HostEvent::Unknown => {}
            HostEvent::CollectorStarted { pid } => self.hosts.says_hello(host, pid, 0),
            HostEvent::Hello { pid, stacks_signal, core, refused } => {
                self.hosts.says_hello(host, pid, stacks_signal);
                self.measured_by(core, refused);
            }
            HostEvent::Files { files } => self.share_files(host, files),
            HostEvent::CannotShard { why } => self.cannot_shard(host, &why),
            HostEvent::Imported { modules, files } => self.imported(host, modules, files),
            HostEvent::Reordered { why, parts } => self.reordered(&why, parts),
            HostEvent::CollectorExited { collector, exit } => {
                self.collector_exited(host, collector, &exit);
            }
            HostEvent::HostCollects {} => self.hosts.without_collectors(host),
            HostEvent::WorkerCollects { why, replays } => self.worker_collects(host, &why, replays),
            HostEvent::Nodes { inputs, replays } => self.nodes(inputs, replays),
            HostEvent::WorkerDown { slot, output, status } => {
                self.worker_down(slot, &output, status);
            }
            HostEvent::SessionStop { why, text } => self.session_stopped(&why, &text),
            HostEvent::SessionEnded(end) => self.session_ended(host, end),
            HostEvent::CannotHost { why } => self.cannot_host(why),
            HostEvent::Stacks { unit, text } => {
                if let Some(slot) = self.slot_of_unit(unit) {
                    self.stacks(slot, unit, text);
                }
            }
            HostEvent::Bye { exit, why } => self.bye(host, exit, why),
            event => self.collection_says(host, event),
        }
    }

    /// What a host says of its collection, and of its data.
    fn collection_says(&mut self, host: usize, event: HostEvent) {
        match event {
            HostEvent::CollectError { id, text } => self.uncollectable(host, id, text),
            HostEvent::CollectSkip { id, reason } => {
                self.account.ran().ledger.skipped_file(&id, reason);
            }
            HostEvent::NotFound(not_found) => self.not_found(not_found),
            HostEvent::Ids { ids, files, groups, documents } => {
                self.hosts.found(host, ids, files, groups, documents);
            }
            HostEvent::Collected { tests, seconds, order } => {
                self.hosts.has_found_all(host);
                match self.hosts.is_collector(host) {
                    true => self.collected_part(tests, &seconds, order),
                    false => {
                        self.account.ran().order = order.or(self.account.ran().order.take());
                        self.counts(tests);
                    }
                }
            }
            HostEvent::Looked { hazards, harmless } => self.looked(hazards, &harmless),
            HostEvent::CannotFork { hazards } => self.cannot_fork(host, &hazards),
            HostEvent::PythonWarning { text, place, times } => {
                self.account.ran().warnings.add_once(text, place, times);
            }
            HostEvent::Ready { replays } => {
                self.listens(replays);
                self.ready(host);
            }
            HostEvent::Warning { text } => self.account.warn(text),
            HostEvent::Error { text } => self.broken(host, &format!("reported an error: {text}")),
            HostEvent::Data { split, file, units, damaged } => {
                self.damaged(split, damaged);
                self.data(host, split, file, units);
            }
            _ => {}
        }
    }

    /// What measures is said where it is not what the banner has.
    fn measured_by(&mut self, core: Option<String>, refused: Option<String>) {
        if let (Some(core), Some(why), None) = (&core, refused, &self.account.ran().core) {
            let note = format!("note: the core is {core}, not native: {why}");
            self.account.show(Happening::Note(&note));
        }
        let ran = self.account.ran();
        ran.core = core.or(ran.core.take());
    }

    /// A host that is to confirm something has collected, or says what is of no concern.
    fn wanted_says(&mut self, host: usize, event: HostEvent) {
        match event {
            HostEvent::Hello { pid, stacks_signal, .. } => {
                self.hosts.says_hello(host, pid, stacks_signal);
            }
            HostEvent::Bye { exit, .. } => self.hosts.says_bye(host, exit),
            HostEvent::Ids { ids, files, groups, documents } => {
                self.hosts.found(host, ids, files, groups, documents);
            }
            HostEvent::Ready { .. } => {
                let (ids, _) = self.hosts.gets_ready(host);
                let slot = self.hosts.slot_of(host).unwrap_or_default();
                if self.knows_what_is_wanted(host, &ids) {
                    self.tell(Input::HostReady { host, slot: Some(slot) });
                } else {
                    self.hosts.retire(host);
                    self.tell(Input::CannotStart { slot });
                }
            }
            _ => {}
        }
    }

    /// So many tests were collected. How many of them are to be run is known when they are cut.
    pub(super) fn counts(&mut self, tests: u64) {
        if self.job.portion.is_whole() {
            self.account.ran().ledger.collected(tests);
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
        let known = self.account.so_far().hazards.as_ref();
        if known.is_some_and(|known| hazards.iter().all(|one| known.contains(one))) {
            return;
        }
        self.account.show(Happening::Detail(&format!(
            "Looked for what forks are not safe with (threads, patches, event loops, sockets, \
             pipes, child processes, shared memory): {found}{let_pass}"
        )));
        if self.job.force_forks && !hazards.is_empty() {
            let found = some(&hazards);
            self.account.warn(format!(
                "{found}, so forks are not safe; `--engine fork` forks all the same"
            ));
        }
        let known = self.account.ran().hazards.get_or_insert_default();
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
        if self.hosts.is_retired(host) {
            return;
        }
        self.account.show(Happening::Note(&why));
        if self.hosts.is_collector(host) {
            self.start_over(Mode::Spawn);
            return;
        }
        if let Err(error) = self.hosts.without_forks(host) {
            self.account.problem(None, format!("could not start more hosts: {error:#}"));
        }
        self.new_rules();
    }

    /// Every host looks for the same tests.
    fn not_found(&mut self, not_found: NotFound) {
        if self.account.so_far().not_found != not_found {
            self.account.show(Happening::NotFound(&not_found));
        }
        self.account.ran().not_found = not_found;
    }

    /// A host has collected and obeys from here on. The first one decides what there is to run.
    fn ready(&mut self, host: usize) {
        let (ids, marks) = self.hosts.gets_ready(host);
        if self.hosts.is_collector(host) {
            return self.join_parts();
        }
        let slot = self.hosts.slot_of(host);
        match self.stage {
            _ if matches!(self.hosts.mode_of(host), Mode::Gather | Mode::Controller) => {}
            Stage::Collecting => {
                self.plan(ids, &marks, Vec::new());
                self.tell(Input::HostReady { host, slot });
            }
            Stage::Running => {
                self.compare(host, &ids);
                self.tell(Input::HostReady { host, slot });
            }
            Stage::Finishing(_) | Stage::Done => {}
        }
    }

    /// What another host has planned is what this one is asked to run.
    fn compare(&mut self, host: usize, ids: &[String]) {
        let plan = &self.account.plan().ids;
        if self.hosts.number(host, plan, ids) {
            return;
        }
        let known: BTreeSet<&String> = plan.iter().collect();
        let alien = ids.iter().find(|id| !known.contains(id));
        let example = alien.map(|id| format!(", `{id}` among them")).unwrap_or_default();
        self.broken(host, &format!("collected other tests than the first one{example}"));
        self.tell(Input::Stop(Why::Disagreement));
    }

    /// Now it is known what there is to run. `holders` says which host has collected each test;
    /// empty where any has.
    pub(super) fn plan(&mut self, ids: Vec<String>, marks: &Marks, holders: Vec<usize>) {
        let groups = together(&ids, marks, self.job.dist);
        let collect_seconds = self.now().as_secs_f64();
        self.account.ran().collect_seconds = collect_seconds;
        let mut plan = self.cut(ids, marks);
        plan.predict(&self.job.times.recorded);
        let chosen = plan.chosen();
        let is_known =
            chosen.iter().any(|&test| self.job.times.recorded.get(&plan.ids[test]).is_some());
        let tests = chosen.len() as u64;
        let seconds = is_known.then(|| plan.total());
        let slots = self.job.pool.start;
        self.account.show(Happening::Planned { tests, seconds, slots });
        let grain = self.grain(&plan, is_known);
        let job = self.job;
        let opens = |claims: &mut Claims| claims.open(job, &plan, &groups, &holders, grain);
        let tail = self.claims.as_mut().is_some_and(opens);
        let mut units = match (&self.job.rerun, &self.claims) {
            (Some(recorded), _) => recorded.units(&plan, &groups),
            (None, Some(claims)) if tail => units(&claims.head(&plan), &groups, &holders, grain),
            _ => units(&plan, &groups, &holders, grain),
        };
        if !is_known {
            // None is known to be the tail of the run.
            units.iter_mut().for_each(|unit| unit.seconds = 0.0);
        }
        let suite = Suite {
            units,
            tail,
            splits: plan.splits.iter().map(|split| split.number).collect(),
            seconds: plan.seconds.clone(),
            groups,
            holders,
            collect_seconds,
            failures: self.account.so_far().ledger.failures().len() as u64,
            knows_workers: self.session.knows_workers(),
        };
        self.account.begin(plan);
        self.stage = Stage::Running;
        self.tell(Input::Collected(suite));
    }

    /// Cuts the suite. Where that cannot be done as it was planned, nothing is run.
    fn cut(&mut self, ids: Vec<String>, marks: &Marks) -> Plan {
        let (plan, share) = match self.job.cut(ids, marks) {
            Ok(cut) => cut,
            Err(why) => {
                self.account.problem(None, why);
                (Plan { ids: Vec::new(), seconds: Vec::new(), splits: Vec::new() }, None)
            }
        };
        let ran = self.account.ran();
        if let Some(share) = &share {
            ran.ledger.collected(share.assigned.len() as u64);
        }
        ran.share = share;
        plan
    }

    /// Without any duration a file is a unit: there is nothing to weigh files by.
    fn grain(&self, plan: &Plan, is_known: bool) -> Grain {
        let isolation = match self.job.isolation {
            Isolation::Row(_) if self.session.knows_workers() => Isolation::Worker,
            isolation => isolation,
        };
        match is_known {
            true => isolation.grain(plan.total(), self.job.pool.start),
            false => Grain::FILES,
        }
    }

    /// Files of subprocesses that are not what they were.
    fn damaged(&mut self, split: Option<u32>, damaged: Vec<(Option<u32>, String)>) {
        for (unit, text) in damaged {
            match self.unwritten.damage(unit, split, text) {
                Damage::Expected(text) => self.account.warn(text),
                Damage::Lost(None, text) => {
                    let what = "what a process measured that was started before the tests is lost";
                    self.account.problem(None, format!("{what}: {text}"));
                }
                Damage::Lost(split, text) => {
                    let what = format!("has lost what a process of its tests measured: {text}");
                    self.account.problem(split, what);
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
        self.account.ran().expected.parts.push(Part { split, file, origin });
        for (unit, state, tests) in units.into_iter().flatten() {
            if let Some((split, what)) = self.unwritten.written(unit, state, tests) {
                self.account.problem(Some(split), what.to_owned());
            }
        }
    }

    fn bye(&mut self, host: usize, exit: i32, why: Option<String>) {
        self.hosts.says_bye(host, exit);
        if self.hosts.is_collector(host) {
            self.share_imports();
            self.join_parts();
        }
        self.finish_head();
        if self.stage != Stage::Collecting {
            // A host that forks has nothing to run once it says `bye`: if that comes early, what
            // its end may still wait for must not keep the run waiting.
            if !self.is_finishing() {
                self.hosts.hurry_out(host);
            }
            return;
        }
        let log = self.hosts.log(host).to_owned();
        let has_collected = self.hosts.has_collected(host);
        let is_retired = self.hosts.is_retired(host);
        let ran = self.account.ran();
        if !has_collected && ran.interrupted.is_none() {
            // 4: pytest's usage error, or a conftest that cannot be imported.
            let usage = exit == 4;
            ran.refused.get_or_insert_with(|| match why {
                Some(why) => Refusal::without_pytest(why, usage),
                None => Refusal::of_pytest(&tail(&log, 40), usage),
            });
        }
        let ended = is_retired || ran.interrupted.is_some();
        let broke = has_collected && !ended && !matches!(exit, 0 | 5);
        let has_failures = !ran.ledger.failures().is_empty();
        ran.uncollectable = has_failures;
        if broke && !has_failures {
            self.broken(host, &format!("ended with pytest's exit status {exit} before any test"));
        }
    }

    /// A unit has something to say.
    fn unit_says(&mut self, host: usize, slot: usize, event: UnitEvent) {
        // A slot's pipe is that of all collectors.
        let host = self.given(slot).map_or(host, |(_, host)| host);
        let event = event.renumbered(|test| self.hosts.plans_number(host, test));
        let now = self.now();
        match event {
            UnitEvent::UnitStarted { pid, memory } => self.process_started(slot, pid, memory),
            UnitEvent::Variables { unit } => self.set_worker_up(slot, host, Some(unit)),
            UnitEvent::Start { test } => {
                self.account.test_begins(slot, test, now);
                self.tell(Input::TestStarted { slot, test });
            }
            UnitEvent::Failed { test, phase_failure } => {
                self.account.failed(slot, phase_failure);
                self.tell(Input::TestFailed { slot, test });
            }
            UnitEvent::Rerun { test, phase_failure } => {
                self.account.rerun(slot, test, phase_failure)
            }
            UnitEvent::Finish { test, outcome, details } => {
                self.account.finished(slot, outcome, details);
                let failed = outcome.is_failure();
                self.tell(Input::TestEnded { slot, test, failed });
            }
            UnitEvent::LateError { test, text } => self.left_behind(host, slot, test, text),
            UnitEvent::Stop { why, text } => self.stopped_itself(slot, &why, text),
            UnitEvent::Replay { test, calls } => self.replay(slot, test, calls),
            UnitEvent::WorkerDown { output, status } => {
                if !self.account.is_trial(slot) {
                    self.worker_down(slot, &output, status);
                }
            }
            UnitEvent::Warning { text, place, times } => {
                if !self.account.is_trial(slot) {
                    self.account.ran().warnings.add(text, place, times);
                }
            }
            UnitEvent::Next {} => self.tell(Input::Asked { slot }),
            UnitEvent::Through {} => self.tell(Input::Through { slot }),
            UnitEvent::UnitEnded { goes_on, fixtures } => {
                self.unit_ended(slot, goes_on, fixtures.of_session());
            }
            UnitEvent::UnitBroken { text } => {
                let what = format!("met a fault of ours:\n{text}");
                self.account.problem(self.account.split_in(slot), what);
            }
            UnitEvent::UnitExited { exit, leftovers, cpu } => {
                self.unit_exited(slot, &exit, cpu, leftovers);
            }
            UnitEvent::Unknown => {}
        }
    }
}
