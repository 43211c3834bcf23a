//! Sharded collection: collectors of one host collect a part of the test files each, side by
//! side, and fork the units of these. Here they are told their shares, and what follows is done.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Driver, Stage};
use crate::engine::hosts::exit::Exit;
use crate::engine::hosts::host::{Mode, Took};
use crate::engine::hosts::parts::Parts;
use crate::engine::schedule::{Input, Why};
use crate::engine::{Happening, child};
use crate::split::order::Order;

impl Driver<'_> {
    /// The test files are known: each collector is told its share.
    pub(super) fn share_files(&mut self, host: usize, files: Vec<(String, u64)>) {
        self.hosts.without_spare_collectors(host, files.len());
        let collectors = self.hosts.collectors_of(host);
        let shares = self.parts.share(files, collectors.len(), self.job);
        for (collector, share) in collectors.zip(shares) {
            self.hosts.send(collector, &share);
        }
    }

    /// A collector has imported its test files, and waits to hear what others have.
    pub(super) fn imported(
        &mut self,
        collector: usize,
        modules: Vec<String>,
        files: BTreeMap<String, String>,
    ) {
        match self.parts.imported(collector, modules, files) {
            Some(why) => self.reordered(&why, false),
            None => self.share_imports(),
        }
    }

    /// Once all have told: each collector imports what the others have, so that tests find the
    /// modules that they would find if one process had collected all.
    pub(super) fn share_imports(&mut self) {
        let collectors = self.hosts.collectors_of(self.hosts.head());
        let has_told = |collector: usize| {
            let imported = self.parts.has_imported(collector);
            imported || self.hosts.bye(collector).is_some() || self.hosts.is_gone(collector)
        };
        if self.stage != Stage::Collecting || !collectors.clone().all(has_told) {
            return;
        }
        for (collector, modules) in self.parts.imports_of_others() {
            self.hosts.send(collector, &json!({"cmd": "import", "modules": modules}));
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
        let known = self.job.collecting.order.as_ref().map(|(known, _)| known);
        match self.parts.collected(tests, order, known) {
            Ok(tests) => self.counts(tests),
            Err(why) => return self.reordered(&why, false),
        }
        let files = &mut self.account.ran().collected_files;
        if let Err(why) = self.parts.took(took, files) {
            self.reordered(&why, true);
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
        let order = match self.parts.take_order() {
            Ok(order) => order,
            Err(why) => return self.reordered(&why, false),
        };
        let ran = self.account.ran();
        (ran.parts, ran.order) = (collectors.len(), order);
        if collectors.len() > 1 {
            let said = format!("collected in {} parts", collectors.len());
            self.account.show(Happening::Note(&said));
        }
        let (ids, marks, holders) = self.hosts.join(collectors.clone());
        self.plan(ids, &marks, holders);
        collectors.for_each(|host| self.tell(Input::HostReady { host, slot: None }));
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
