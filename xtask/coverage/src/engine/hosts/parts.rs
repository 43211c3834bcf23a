//! Sharded collection: collectors of one host collect a part of the test files each, side by
//! side, and fork the units of these. Here their shares are cut and what they found is joined.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use serde_json::json;

use super::driver::{Driver, Stage};
use super::ends::Exit;
use super::host::{Mode, Took};
use crate::engine::schedule::{Input, Why};
use crate::engine::{Happening, child};
use crate::split::order::Order;
use crate::split::{Deal, FileCost, Marks, deal};

/// What is known of the parts of a collection.
#[derive(Default)]
pub(super) struct Parts {
    /// The test files, in the order of collection.
    files: Vec<String>,
    /// What stands for the names in files that are parted, as the first collector told it.
    names: HashMap<usize, u32>,
    /// Files of the project that collectors have imported, by the names of their modules.
    modules: BTreeMap<String, String>,
    /// What a collector's test files have imported, until all have told it.
    imported: BTreeMap<usize, Vec<String>>,
    /// Tests that collectors have found.
    tests: u64,
    /// What hooks have made of all tests, as the first collector told it.
    order: Option<Order>,
}

impl Driver<'_> {
    /// The test files are known: each collector is told its share.
    pub(super) fn share_files(&mut self, host: usize, files: Vec<(String, u64)>) {
        self.hosts.without_spare_collectors(host, files.len());
        let collectors = self.hosts.collectors_of(host);
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
            self.hosts.send(collector, &told);
        }
        self.parts.files = files.into_iter().map(|(file, _)| file).collect();
    }

    /// A collector has imported its test files, and waits to hear what others have.
    pub(super) fn imported(
        &mut self,
        collector: usize,
        modules: Vec<String>,
        files: BTreeMap<String, String>,
    ) {
        if let Some(why) = clash(&self.parts.modules, &files) {
            return self.reordered(&why, false);
        }
        self.parts.modules.extend(files);
        self.parts.imported.insert(collector, modules);
        self.share_imports();
    }

    /// Once all have told: each collector imports what the others have, so that tests find the
    /// modules that they would find if one process had collected all.
    pub(super) fn share_imports(&mut self) {
        let collectors = self.hosts.collectors_of(self.hosts.head());
        let has_told = |collector: usize| {
            let imported = self.parts.imported.contains_key(&collector);
            imported || self.hosts.bye(collector).is_some() || self.hosts.is_gone(collector)
        };
        if self.stage != Stage::Collecting || !collectors.clone().all(has_told) {
            return;
        }
        let told = std::mem::take(&mut self.parts.imported);
        for (collector, own) in &told {
            let mut known: HashSet<&String> = own.iter().collect();
            let mut others: Vec<&String> = told.values().flatten().collect();
            others.retain(|module| known.insert(module));
            self.hosts.send(*collector, &json!({"cmd": "import", "modules": others}));
        }
    }

    /// One host collects all, as without collectors.
    pub(super) fn cannot_shard(&mut self, host: usize, why: &str) {
        self.account.show(Happening::Note(&format!("collected in one process: {why}")));
        self.hosts.without_collectors(host);
    }

    /// The parts are not the whole: one host collects it all over again. If it is but the parts
    /// of single files, the next run has files in parts, but none that is parted itself.
    pub(super) fn reordered(&mut self, why: &str, parts: bool) {
        self.account.show(Happening::Note(&format!("collected again, in one process: {why}")));
        match parts {
            true => self.account.ran().files_stay_whole = true,
            false => self.account.ran().unshardable = Some(why.to_owned()),
        }
        self.start_over(Mode::Fork);
    }

    /// Ends all hosts, and begins anew with others.
    pub(super) fn start_over(&mut self, mode: Mode) {
        if self.stage != Stage::Collecting {
            return;
        }
        self.parts = Parts::default();
        self.account.ran().collected_files.clear();
        if let Err(error) = self.hosts.start_over(mode) {
            let what = format!("could not start another host: {error:#}");
            self.account.problem(None, what);
        }
        self.new_rules();
    }

    /// What a collector has found so far.
    pub(super) fn collected_part(&mut self, tests: u64, took: &[Took], order: Option<Order>) {
        if let Some(order) = order {
            let known = self.job.order.as_ref().map(|(known, _)| known);
            let known = known.cloned().unwrap_or_default();
            if let Some(why) = known.against(self.parts.order.as_ref(), &order) {
                return self.reordered(&why, false);
            }
            self.parts.order = Some(order);
        }
        self.parts.tests += tests;
        self.counts(self.parts.tests);
        for &(file, seconds, apart, names) in took {
            let Some(id) = self.parts.files.get(file) else { continue };
            if names.is_some_and(|names| *self.parts.names.entry(file).or_insert(names) != names) {
                // Each part has every n-th name: tests would be lost, or there twice.
                let why = format!("`{id}` has other names each time it is imported");
                return self.reordered(&why, true);
            }
            let cost = FileCost { seconds, apart };
            let known = self.account.ran().collected_files.entry(id.clone());
            known.and_modify(|known| *known = known.with_part(cost)).or_insert(cost);
        }
    }

    /// Goes on when no collector is at work any more: with the plan where all can run units.
    pub(super) fn join_parts(&mut self) {
        if self.hosts.mode() != Mode::Shards {
            return;
        }
        let collectors = self.hosts.collectors_of(self.hosts.head());
        let settled = collectors.clone().all(|collector| self.hosts.is_settled(collector));
        if self.stage != Stage::Collecting || !settled {
            return;
        }
        if !collectors.clone().all(|collector| self.hosts.is_ready(collector)) {
            // Errors of collection, each told by now, or worse.
            self.hosts.kill(|_| true);
            return;
        }
        let order = self.parts.order.take();
        let tests = self.parts.tests;
        if let Some(why) = order.as_ref().and_then(|order| order.against_sum(tests)) {
            return self.reordered(&why, false);
        }
        let ran = self.account.ran();
        (ran.parts, ran.order) = (collectors.len(), order);
        if collectors.len() > 1 {
            let said = format!("collected in {} parts", collectors.len());
            self.account.show(Happening::Note(&said));
        }
        let (ids, marks, holders) = self.joined(collectors.clone());
        self.plan(ids, &marks, holders);
        collectors.for_each(|host| self.tell(Input::HostReady { host, slot: None }));
    }

    /// The tests of all collectors in the order of their files, with the collector of each.
    fn joined(&mut self, collectors: Range<usize>) -> (Vec<String>, Marks, Vec<usize>) {
        let mut pieces = Vec::new();
        for collector in collectors {
            let mut first = 0;
            for &(file, name, tests) in self.hosts.files_of(collector) {
                pieces.push(((file, name), collector, first..first + tests));
                first += tests;
            }
        }
        pieces.sort_by_key(|(place, ..)| *place);
        let (mut ids, mut marks, mut holders) = (Vec::new(), Marks::default(), Vec::new());
        let mut places: HashMap<usize, HashMap<usize, usize>> = HashMap::new();
        for (_, collector, tests) in pieces {
            let (its_ids, its_marks) = self.hosts.tests_of(collector);
            for test in tests {
                let number = ids.len();
                places.entry(collector).or_default().insert(number, test);
                let named = |name: Option<&String>| Some((number, name?.clone()));
                marks.groups.extend(named(its_marks.groups.get(&test)));
                marks.documents.extend(named(its_marks.documents.get(&test)));
                ids.push(its_ids.get(test).cloned().unwrap_or_default());
                holders.push(collector);
            }
        }
        for (collector, places) in places {
            self.hosts.renumber(collector, places);
        }
        (ids, marks, holders)
    }

    /// A collector is gone: what it said before is still to be heard.
    pub(super) fn collector_exited(&mut self, host: usize, collector: usize, exit: &Exit) {
        if let Some(number) = self.hosts.collectors_of(host).nth(collector) {
            self.hosts.collector_ended(number, exit.how());
        }
    }

    /// All a collector said has been heard. Its units went with it, unless it had nothing more
    /// to do.
    pub(super) fn collector_fell_silent(&mut self, collector: usize) {
        let bye = self.hosts.bye(collector);
        let over = self.is_finishing() || self.stage == Stage::Collecting;
        let stands_by = self.hosts.mode() == Mode::Fork;
        let with_its_host = self.hosts.is_gone(self.hosts.head());
        let retired = self.hosts.is_retired(collector);
        if !(retired || stands_by || with_its_host || bye.is_some() && over) {
            let how = match (bye, self.hosts.how(collector)) {
                (Some(exit), _) => {
                    format!("ended its session early, with pytest's exit status {exit}")
                }
                (None, how) => how.unwrap_or("went away").to_owned(),
            };
            let log = self.hosts.log(collector);
            let what = format!("a collector {how}; see `{log}`");
            self.account.problem(None, what);
            let lost = self.forked_from(|host| host == collector);
            lost.into_iter().for_each(child::kill_group);
            self.tell(Input::Stop(Why::Lost));
        }
        self.share_imports();
        self.join_parts();
        self.finish_head();
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
