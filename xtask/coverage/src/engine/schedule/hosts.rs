//! Which hosts obey, and which slots they serve.

use std::collections::BTreeSet;

use super::{Action, Rules, Scheduler};

#[derive(Debug)]
pub(super) struct Hosts {
    forks: bool,
    /// Those that run units in forks, in any slot.
    forking: BTreeSet<usize>,
    /// The host of each slot, where each has its own.
    homes: Vec<Home>,
    /// One of the pool could not be started: nor could others.
    no_more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Home {
    None,
    /// It was started, and does not obey yet.
    Starting,
    Ready(usize),
}

impl Hosts {
    /// Those of the pool are on their way; there is none for fresh processes.
    pub(super) fn new(rules: &Rules) -> Hosts {
        let start = if rules.forks { 0 } else { rules.workers.start };
        let home = |slot| if slot < start { Home::Starting } else { Home::None };
        let homes = (0..rules.slots()).map(home).collect();
        Hosts { forks: rules.forks, forking: BTreeSet::new(), homes, no_more: false }
    }

    /// A host obeys.
    pub(super) fn ready(&mut self, host: usize, slot: Option<usize>) {
        match slot {
            None => {
                self.forking.insert(host);
            }
            Some(slot) => self.homes[slot] = Home::Ready(host),
        }
    }

    /// A host obeys no more. Its slot, where it had one.
    pub(super) fn lost(&mut self, host: usize) -> Option<usize> {
        self.forking.remove(&host);
        let slot = self.homes.iter().position(|home| *home == Home::Ready(host))?;
        self.homes[slot] = Home::None;
        Some(slot)
    }

    /// A slot gets a host.
    pub(super) fn starts(&mut self, slot: usize) {
        self.homes[slot] = Home::Starting;
    }

    /// It does not.
    pub(super) fn failed(&mut self, slot: usize) {
        self.homes[slot] = Home::None;
    }

    /// The slot has no host, nor will have.
    pub(super) fn is_vacant(&self, slot: usize) -> bool {
        self.homes[slot] == Home::None
    }

    /// The host of a slot that has its own.
    pub(super) fn home(&self, slot: usize) -> Option<usize> {
        match self.homes[slot] {
            Home::Ready(host) => Some(host),
            Home::None | Home::Starting => None,
        }
    }

    /// Some host obeys that may run a unit in this slot.
    pub(super) fn serves(&self, slot: usize) -> bool {
        if self.forks { !self.forking.is_empty() } else { self.home(slot).is_some() }
    }

    /// The host that runs a unit in a slot: the one that has collected its tests, else any.
    pub(super) fn host_for(&self, slot: usize, holder: Option<usize>) -> Option<usize> {
        match (self.forks, holder) {
            (true, Some(host)) => self.forking.get(&host).copied(),
            (true, None) => self.forking.first().copied(),
            (false, _) => self.home(slot),
        }
    }
}

impl Scheduler {
    /// A host obeys.
    pub(super) fn host_ready(&mut self, host: usize, slot: Option<usize>) {
        self.hosts.ready(host, slot);
        self.may_start = true;
    }

    /// A host that runs units itself is gone: its unit ends with it, and the test that was
    /// running has ended it.
    pub(super) fn host_lost(&mut self, host: usize) {
        let slot = self.slots.iter().position(|it| it.as_ref().is_some_and(|it| it.host() == host));
        let home = self.hosts.lost(host);
        match (slot, home) {
            (Some(slot), _) => self.unit_exited(slot, 0.0, false, false),
            (None, Some(slot)) if self.is_running() && slot < self.pool.most() => {
                self.say(Action::LostBetweenTests { slot, split: None });
                self.count_death();
            }
            (None, _) => {}
        }
        self.may_start = true;
        self.end_without_hosts();
    }

    /// Ends a run in which no host is left, and none can be started.
    fn end_without_hosts(&mut self) {
        let is_vacant = (0..self.pool.most()).all(|slot| self.hosts.is_vacant(slot));
        if self.hosts.no_more && is_vacant && self.is_running() {
            self.abort(super::Why::Lost);
        }
    }

    /// There is no host for a slot: others go on without it.
    pub(super) fn cannot_start(&mut self, slot: usize) {
        self.hosts.failed(slot);
        if slot >= self.pool.most() {
            return self.cannot_confirm();
        }
        self.hosts.no_more = true;
        self.end_without_hosts();
    }

    /// Starts hosts for slots that have none and could use one, where that is worth another
    /// collection.
    pub(super) fn staff(&mut self) {
        let is_settled = self.rules.forks || self.hosts.no_more;
        if is_settled || self.queue.is_empty() || self.is_paused() {
            return;
        }
        let slots = 0..self.pool.allowed();
        let slots: Vec<usize> = slots.filter(|&slot| self.hosts.is_vacant(slot)).collect();
        let none_left = slots.len() == self.pool.allowed();
        let waiting = self.queue.seconds();
        let worth_it = none_left || waiting == 0.0 || waiting > self.suite.collect_seconds;
        for slot in slots.into_iter().filter(|_| worth_it) {
            self.hosts.starts(slot);
            self.say(Action::StartHost { slot, only: Vec::new() });
        }
    }
}
