//! Rows: the units that follow each other in one process. A process asks for the next unit
//! before the last test of the one it runs, for what the next test shares is not torn down.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;

use super::conductor::{Conductor, Stage};
use super::host::Mode;
use super::slot::{Busy, Next};
use crate::engine::{Happening, Process};
use crate::split::{Isolation, Unit, pick_next};

/// What one process has run so far.
pub(super) struct Row {
    began: Instant,
    /// From the order to start it to its first test, seconds.
    start: Option<f64>,
    /// Seconds that it took to set up fixtures of the session.
    fixtures: f64,
    /// Seconds of CPU that it took in all.
    cpu: f64,
    /// The splits of the units that have ended in it.
    pub(super) splits: BTreeSet<u32>,
}

impl Row {
    /// It has just been asked for.
    pub(super) fn new() -> Row {
        let (began, splits) = (Instant::now(), BTreeSet::new());
        Row { began, start: None, fixtures: 0.0, cpu: 0.0, splits }
    }

    /// A test begins.
    pub(super) fn test_started(&mut self) {
        self.start.get_or_insert(self.began.elapsed().as_secs_f64());
    }

    /// A unit has set up fixtures of the session.
    pub(super) fn set_up(&mut self, seconds: f64) {
        self.fixtures += seconds;
    }

    /// It has ended, and took so many seconds of CPU.
    pub(super) fn took(&mut self, cpu: f64) {
        self.cpu = cpu;
    }

    /// It has gone; the last test ended at this moment.
    fn over(&self, ended: Instant) -> Process {
        let starting = self.start.unwrap_or_default() + ended.elapsed().as_secs_f64();
        Process {
            seconds: self.began.elapsed().as_secs_f64(),
            cpu: self.cpu,
            starting: starting + self.fixtures,
            fixtures: self.fixtures,
        }
    }
}

impl Conductor<'_> {
    /// Whether processes are to ask for more at all.
    pub(super) fn has_rows(&self) -> bool {
        self.isolation() != Isolation::File
    }

    /// The process in a slot is about to end its unit: what comes after it there?
    pub(super) fn asked(&mut self, slot: usize) {
        let Some(Some(busy)) = self.slots.get(slot) else { return };
        let (host, after) = (busy.host, busy.number);
        let Some(unit) = self.following(slot, busy).and_then(|at| self.queue.remove(at)) else {
            self.fleet.send(host, &json!({"cmd": "leave", "after": after}));
            return;
        };
        self.next_unit += 1;
        let number = self.next_unit;
        self.run_unit(host, slot, number, &unit, Some(after));
        let next = Next { number, unit, open_to_others: false };
        self.busy(slot, |busy| busy.next = Some(next));
    }

    /// Puts back what waits behind a test that takes long: a slot that is free, or will be
    /// earlier, takes it.
    pub(super) fn open_to_others(&mut self, now: Instant) {
        let waited = |busy: &&mut Busy| busy.next_waits_until().is_some_and(|due| due <= now);
        for busy in self.slots.iter_mut().flatten().filter(waited) {
            if let Some(next) = &mut busy.next {
                next.open_to_others = true;
                self.queue.push_front(next.unit.clone());
            }
        }
    }

    /// The process in a slot is through with a unit: it begins the next, if no other has.
    pub(super) fn through(&mut self, slot: usize) {
        let Some(Some(busy)) = self.slots.get_mut(slot) else { return };
        let (host, after) = (busy.host, busy.number);
        let is_it = |unit: &Unit, next: &Next| unit.tests == next.unit.tests;
        let kept = match &mut busy.next {
            Some(next) if next.open_to_others => {
                let found = self.queue.iter().position(|unit| is_it(unit, next));
                next.open_to_others = false;
                found.and_then(|at| self.queue.remove(at)).is_some()
            }
            next => next.is_some(),
        };
        if !kept {
            busy.next = None;
        }
        let cmd = if kept && self.stage == Stage::Running { "go" } else { "leave" };
        self.fleet.send(host, &json!({"cmd": cmd, "after": after}));
    }

    /// Where in the queue the unit is that follows in the process of a slot, if one may.
    fn following(&self, slot: usize, busy: &Busy) -> Option<usize> {
        let is_whole_host = self.fleet.peek(busy.host).mode == Mode::Spawn;
        let elapsed = busy.row.began.elapsed().as_secs_f64();
        if self.stage != Stage::Running || !(is_whole_host || self.isolation().goes_on(elapsed)) {
            return None;
        }
        let others: Vec<&Unit> = self.running(Some(slot)).collect();
        let may_follow = |unit: &Unit| {
            self.host_for(slot, unit) == Some(busy.host)
                && !unit.tests.iter().any(|&test| self.attempts.has_begun(test))
                && self.turns.may_run(unit, Some(&busy.unit))
                && !others.iter().any(|other| unit.clashes(other))
        };
        let pick =
            |may: &dyn Fn(&Unit) -> bool| pick_next(&self.queue, self.slots.len(), &busy.unit, may);
        // A process that loses its next unit ends: better what none waits for.
        pick(&|unit| may_follow(unit) && !self.is_awaited(unit)).or_else(|| pick(&may_follow))
    }

    /// Whether a process would go on with this unit, though others may take it.
    fn is_awaited(&self, unit: &Unit) -> bool {
        let next = self.slots.iter().flatten().filter_map(|busy| busy.next.as_ref());
        next.filter(|next| next.open_to_others).any(|next| next.unit.tests == unit.tests)
    }

    /// The process in a slot has ended one unit and begins the next.
    pub(super) fn went_on(&mut self, slot: usize) {
        let Some(mut ended) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        ended.ended = Some(Instant::now());
        let Some(Next { number, unit, .. }) = ended.next.take() else {
            self.broken(ended.host, "went on with a unit that nobody gave it");
            self.slots[slot] = Some(ended);
            return;
        };
        let split = unit.split;
        let row = std::mem::replace(&mut ended.row, Row::new());
        let mut busy = Busy::new(number, unit, ended.host);
        (busy.process, busy.pid, busy.row) = (ended.process, ended.pid, row);
        busy.row.splits.insert(ended.unit.split);
        self.slots[slot] = Some(busy);
        self.begin_split(split);
        self.unit_ended(slot, &ended);
    }

    /// The process in a slot has gone: what it was to run next goes to another one.
    pub(super) fn row_ended(&mut self, busy: &mut Busy) {
        let next = busy.next.take().filter(|next| !next.open_to_others);
        if self.stage == Stage::Running {
            next.into_iter().for_each(|next| self.queue.push_front(next.unit));
        }
        if let (Some(ended), Mode::Fork) = (busy.ended, self.fleet.peek(busy.host).mode) {
            self.ran.processes.push(busy.row.over(ended));
        }
    }

    /// A unit of this split begins.
    pub(super) fn begin_split(&mut self, split: u32) {
        if self.splits.unit_started(split) {
            (self.show)(Happening::SplitStarted { split, of: self.job.splits });
        }
    }

    /// Has the data of complete splits written, now that no process can add to it.
    pub(super) fn close_splits(&mut self) {
        let open = |split: &u32| {
            let mut rows = self.slots.iter().flatten().map(|busy| &busy.row.splits);
            self.lingering.contains(split) || rows.any(|splits| splits.contains(split))
        };
        let closable: Vec<u32> = self.complete.iter().copied().filter(|it| !open(it)).collect();
        if !closable.is_empty() {
            self.complete.retain(|split| !closable.contains(split));
            self.fleet.send(self.fleet.head(), &json!({"cmd": "close", "splits": closable}));
        }
    }
}
