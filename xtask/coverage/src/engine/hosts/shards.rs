//! Sharded collection: collectors of one host collect a part of the test files each, side by
//! side, and fork the units of these. Here their shares are cut and what they found is joined.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use super::conductor::{Conductor, Stage};
use super::host::{Mode, Took};
use super::slot::Exit;
use crate::engine::Happening;
use crate::split::{Deal, FileCost, Marks, deal};

/// What is known of the parts of a collection.
#[derive(Default)]
pub(super) struct Shards {
    /// The test files, in the order of collection.
    files: Vec<String>,
    /// What stands for the names in files that are parted, as the first collector told it.
    names: HashMap<usize, u32>,
    /// Files of the project that collectors have imported, by the names of their modules.
    modules: BTreeMap<String, String>,
    /// Tests that collectors have found.
    tests: u64,
    /// The host of each test of the plan; empty where the collection is not parted.
    holders: Vec<usize>,
}

impl Shards {
    /// The only host that can run a test, if not any can.
    pub(super) fn holder(&self, test: usize) -> Option<usize> {
        self.holders.get(test).copied()
    }

    /// The host of each test; empty where any can run any.
    pub(super) fn holders(&self) -> &[usize] {
        &self.holders
    }
}

impl Conductor<'_> {
    /// The test files are known: each collector is told its share.
    pub(super) fn share_files(&mut self, host: usize, files: Vec<(String, u64)>) {
        self.fleet.without_spare_collectors(host, files.len());
        let collectors = self.fleet.collectors_of(host);
        let count = collectors.len();
        let mut costs = costs(&files, &self.job.collection);
        // An error in one part would leave the tests of the others; and what is to be in one
        // process must be collected by one.
        if self.job.continue_on_collection_errors || self.job.dist.is_some() {
            costs.iter_mut().for_each(|cost| cost.apart = None);
        }
        let Deal { shares, parted, .. } = deal(&costs, count);
        for (number, (collector, share)) in collectors.zip(shares).enumerate() {
            let parts: BTreeMap<String, [usize; 2]> =
                parted.iter().map(|file| (file.to_string(), [number, count])).collect();
            let told = json!({"cmd": "collect", "files": share, "parts": parts});
            self.fleet.send(collector, &told);
        }
        self.shards.files = files.into_iter().map(|(file, _)| file).collect();
    }

    /// A collector has imported its test files, and waits to hear what others have.
    pub(super) fn imported(
        &mut self,
        collector: usize,
        modules: Vec<String>,
        files: BTreeMap<String, String>,
    ) {
        if let Some(why) = clash(&self.shards.modules, &files) {
            return self.reordered(&why, false);
        }
        self.shards.modules.extend(files);
        self.fleet.member(collector).imported = Some(modules);
        self.share_imports();
    }

    /// Once all have told: each collector imports what the others have, so that tests find the
    /// modules that they would find if one process had collected all.
    pub(super) fn share_imports(&mut self) {
        let collectors = self.fleet.collectors_of(self.fleet.head());
        let has_told = |collector: usize| {
            let member = self.fleet.peek(collector);
            member.imported.is_some() || member.bye.is_some() || member.gone
        };
        if self.stage != Stage::Collecting || !collectors.clone().all(has_told) {
            return;
        }
        let told: Vec<(usize, Vec<String>)> = collectors
            .filter_map(|it| Some((it, self.fleet.member(it).imported.take()?)))
            .collect();
        for (collector, own) in &told {
            let mut known: HashSet<&String> = own.iter().collect();
            let mut others: Vec<&String> = told.iter().flat_map(|(_, modules)| modules).collect();
            others.retain(|module| known.insert(module));
            self.fleet.send(*collector, &json!({"cmd": "import", "modules": others}));
        }
    }

    /// One host collects all, as without collectors.
    pub(super) fn cannot_shard(&mut self, host: usize, why: &str) {
        (self.show)(Happening::Detail(&format!("One collection for all tests: {why}")));
        self.fleet.without_collectors(host);
    }

    /// The parts are not the whole: one host collects it all over again. If it is but the parts
    /// of single files, the next run has files in parts, but none that is parted itself.
    pub(super) fn reordered(&mut self, why: &str, parts: bool) {
        (self.show)(Happening::Note(&format!("the suite is collected again, in one part: {why}")));
        match parts {
            true => self.ran.files_stay_whole = true,
            false => self.ran.unshardable = Some(why.to_owned()),
        }
        self.start_over(Mode::Fork);
    }

    /// Ends all hosts, and begins anew with others.
    pub(super) fn start_over(&mut self, mode: Mode) {
        if self.stage != Stage::Collecting {
            return;
        }
        self.shards = Shards::default();
        self.ran.collected_files.clear();
        if let Err(error) = self.fleet.start_over(mode) {
            self.problem(None, format!("could not start another host: {error:#}"));
        }
    }

    /// What a collector has found so far.
    pub(super) fn collected_part(&mut self, tests: u64, took: &[Took]) {
        self.shards.tests += tests;
        self.ran.ledger.collected(self.shards.tests);
        for &(file, seconds, apart, names) in took {
            let Some(id) = self.shards.files.get(file) else { continue };
            if names.is_some_and(|names| *self.shards.names.entry(file).or_insert(names) != names) {
                // Each part has every n-th name: tests would be lost, or there twice.
                let why = format!("`{id}` has other names each time it is imported");
                return self.reordered(&why, true);
            }
            let cost = FileCost { seconds, apart };
            let known = self.ran.collected_files.entry(id.clone());
            known.and_modify(|known| *known = known.with_part(cost)).or_insert(cost);
        }
    }

    /// Goes on when no collector is at work any more: with the plan where all can run units.
    pub(super) fn join_parts(&mut self) {
        if self.fleet.mode() != Mode::Shards {
            return;
        }
        let collectors = self.fleet.collectors_of(self.fleet.head());
        let settled = |collector: usize| {
            let member = self.fleet.peek(collector);
            member.ready || member.bye.is_some() || member.gone
        };
        if self.stage != Stage::Collecting || !collectors.clone().all(settled) {
            return;
        }
        if !collectors.clone().all(|collector| self.fleet.peek(collector).ready) {
            // Errors of collection, each told by now, or worse.
            self.fleet.kill(|_| true);
            return;
        }
        let (ids, marks) = self.joined(collectors);
        self.plan(ids, &marks);
    }

    /// The tests of all collectors in the order of their files.
    fn joined(&mut self, collectors: std::ops::Range<usize>) -> (Vec<String>, Marks) {
        let mut pieces = Vec::new();
        for collector in collectors.clone() {
            let mut first = 0;
            for &(file, name, tests) in &self.fleet.peek(collector).files {
                pieces.push(((file, name), collector, first..first + tests));
                first += tests;
            }
        }
        pieces.sort_by_key(|(place, ..)| *place);
        let (mut ids, mut marks, mut holders) = (Vec::new(), Marks::default(), Vec::new());
        let mut places: HashMap<usize, HashMap<usize, usize>> = HashMap::new();
        for (_, collector, tests) in pieces {
            let member = self.fleet.peek(collector);
            for test in tests {
                let number = ids.len();
                places.entry(collector).or_default().insert(number, test);
                let named = |name: Option<&String>| Some((number, name?.clone()));
                marks.groups.extend(named(member.marks.groups.get(&test)));
                marks.documents.extend(named(member.marks.documents.get(&test)));
                ids.push(member.ids.get(test).cloned().unwrap_or_default());
                holders.push(collector);
            }
        }
        for (collector, places) in places {
            self.fleet.member(collector).number(places);
        }
        self.shards.holders = holders;
        (ids, marks)
    }

    /// A collector is gone: what it said before is still to be heard.
    pub(super) fn collector_exited(&mut self, host: usize, collector: usize, exit: &Exit) {
        let Some(number) = self.fleet.collectors_of(host).nth(collector) else { return };
        let member = self.fleet.member(number);
        member.how = Some(exit.how());
        member.host.end_lines();
    }

    /// All a collector said has been heard. Its units went with it, unless it had nothing more
    /// to do.
    pub(super) fn collector_fell_silent(&mut self, collector: usize) {
        let member = self.fleet.peek(collector);
        let (bye, how) = (member.bye, member.how.clone());
        let over = self.is_finishing() || self.stage == Stage::Collecting;
        let stands_by = self.fleet.mode() == Mode::Fork;
        let with_its_host = self.fleet.peek(self.fleet.head()).gone;
        if !(member.retired || stands_by || with_its_host || bye.is_some() && over) {
            let how = match bye {
                Some(exit) => {
                    format!("ended its session early, with pytest's exit status {exit}")
                }
                None => how.unwrap_or_else(|| "went away".to_owned()),
            };
            let log = self.fleet.peek(collector).host.log.clone();
            self.problem(None, format!("a collector {how}; see `{log}`"));
            self.lose_units(|busy| busy.host == collector);
            self.abort("a part of the collection is lost");
        }
        self.share_imports();
        self.join_parts();
        self.finish_head();
    }

    /// The host that hears of tests finishes when all have that run them.
    pub(super) fn finish_head(&mut self) {
        let head = self.fleet.head();
        let is_finishing = matches!(self.stage, Stage::Finishing(_));
        let is_last = matches!(self.fleet.peek(head).mode, Mode::Shards | Mode::Controller);
        if !is_finishing || !is_last || self.fleet.workers_live() || self.fleet.peek(head).told {
            return;
        }
        self.fleet.member(head).told = true;
        let failed = self.ran.ledger.failed_ids().len();
        let collected = self.plan.ids.len();
        self.fleet.send(head, &json!({"cmd": "finish", "failed": failed, "collected": collected}));
    }
}

/// What would be one module for a collection of the whole, and an error as a rule.
fn clash(known: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<String> {
    let other = |(name, file): &(&String, &String)| known.get(*name).is_some_and(|it| it != *file);
    let (name, file) = new.iter().find(other)?;
    let (first, second) = (file.min(&known[name]), file.max(&known[name]));
    Some(format!("`{first}` and `{second}` are both imported as `{name}`"))
}

/// What collecting each file may take: as it did last time; where that is not known, by its size.
fn costs(files: &[(String, u64)], known: &BTreeMap<String, FileCost>) -> Vec<FileCost> {
    let measured: Vec<(u64, f64)> =
        files.iter().filter_map(|(file, size)| Some((*size, known.get(file)?.seconds))).collect();
    let (bytes, took) =
        measured.iter().fold((0, 0.0), |(bytes, took), (size, it)| (bytes + size, took + it));
    let per_byte = if bytes > 0 && took > 0.0 { took / bytes as f64 } else { 1e-6 };
    let by_size = |size: u64| FileCost { seconds: size as f64 * per_byte, apart: None };
    let cost =
        |(file, size): &(String, u64)| known.get(file).copied().unwrap_or_else(|| by_size(*size));
    files.iter().map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_module_name_clash() {
        let modules = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(name, file)| ((*name).to_owned(), (*file).to_owned())).collect()
        };
        let known = modules(&[("test_a", "a/test_a.py"), ("help", "help.py")]);
        assert_eq!(clash(&known, &modules(&[("help", "help.py"), ("test_b", "b.py")])), None);
        assert_eq!(
            clash(&known, &modules(&[("test_a", "b/test_a.py")])).as_deref(),
            Some("`a/test_a.py` and `b/test_a.py` are both imported as `test_a`")
        );
    }

    #[test]
    fn a_file_weighs_what_it_took_or_what_others_of_its_size_did() {
        let files = [("a".to_owned(), 10), ("b".to_owned(), 20), ("c".to_owned(), 40)];
        let weights = |known: &BTreeMap<String, FileCost>| {
            costs(&files, known).iter().map(|cost| cost.seconds).collect::<Vec<_>>()
        };
        let known = FileCost { seconds: 2.0, apart: Some(1.0) };
        assert_eq!(weights(&[("a".to_owned(), known)].into()), [2.0, 4.0, 8.0]);
        let unknown = weights(&BTreeMap::new());
        assert!(unknown.is_sorted() && unknown[0] > 0.0);
    }
}
