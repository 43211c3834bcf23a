//! The ends of tests, units and processes, and what follows in a process.

use super::io::{Action, Cause, Ended, Fate, Why};
use super::running::{Limit, Reason, Running};
use super::{Scheduler, Stage};
use crate::split::{Place, Unit};

/// How many units in a row may die outside of any test before no new ones are started.
const DEATHS: u32 = 3;

impl Scheduler {
    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    pub(super) fn test_started(&mut self, slot: usize, test: usize) {
        let now = self.now;
        self.change(slot, |running| running.begin(test, now));
        self.memory.test_starts(slot);
        if matches!(self.slots.get(slot), Some(Some(running)) if running.trial().is_none()) {
            self.say(Action::Started { slot, test });
        }
    }

    /// A phase of a test has failed: if nothing can change that any more, it counts now.
    pub(super) fn test_failed(&mut self, slot: usize, test: usize) {
        let may_change = self.attempts.more(test) || self.may_confirm();
        let Some(Some(running)) = self.slots.get_mut(slot) else { return };
        let Some(is_first) = running.fails(test, may_change) else { return };
        self.say(Action::Failed { slot, test });
        if is_first {
            self.count_failure();
        }
    }

    /// One failure more that counts.
    pub(super) fn count_failure(&mut self) {
        self.budget.count(1);
        if self.budget.is_exhausted() {
            self.abort(Why::Budget);
        }
    }

    /// A test has come to its own end.
    pub(super) fn test_ended(&mut self, slot: usize, test: usize, failed: bool) {
        let Some(mut running) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.conclude(slot, &mut running, test, failed, None);
        self.slots[slot] = Some(running);
    }

    /// The end of a test: it counts, or it is tried again, or held back until it is confirmed.
    fn conclude(
        &mut self,
        slot: usize,
        running: &mut Running,
        test: usize,
        failed: bool,
        cause: Option<Cause>,
    ) {
        let counted = running.test_ends(test, cause.is_none());
        let split = running.unit().split;
        let fate = match cause {
            _ if running.trial().is_some() => {
                self.trial_ended(running.trial(), test, failed);
                Fate::Trial
            }
            _ if counted => Fate::Counts,
            Some(Cause::OutOfMemory { .. }) if self.is_not_to_blame(slot, running, test, cause) => {
                self.run_again(split, vec![test]);
                Fate::Again
            }
            Some(Cause::Hung) if running.settled().is_some() => Fate::Held,
            _ if !failed || !self.is_running() => Fate::Counts,
            _ if self.attempts.more(test) => {
                let (retry, of) = self.attempts.again(test);
                self.run_again(split, vec![test]);
                Fate::Retried(retry, of)
            }
            _ if self.may_confirm() => {
                self.hold(running, test);
                Fate::Held
            }
            _ => Fate::Counts,
        };
        self.say(Action::Ended(Ended { slot, unit: running.number(), test, cause, fate }));
        if let (Some(verdict), Fate::Held) = (running.take_settled(), fate) {
            self.say(Action::Settled { unit: running.number(), test, verdict });
        }
        if failed && fate == Fate::Counts && !counted && self.is_running() {
            self.count_failure();
        }
    }

    /// Puts tests to the front of the queue: in a fresh process they come next.
    pub(super) fn run_again(&mut self, split: u32, tests: Vec<usize>) {
        self.queue.add(self.unit_of(split, tests));
        self.splits.more(split);
        self.may_start = true;
    }

    /// pytest itself could not cope with a test: its process is not to be trusted any more.
    pub(super) fn broken(&mut self, slot: usize) {
        self.change(slot, Running::breaks);
    }

    /// The process in a slot is about to end its unit: what comes after it there?
    pub(super) fn asked(&mut self, slot: usize) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let (host, after) = (running.host(), running.number());
        let at = self.following(slot, running);
        let Some(unit) = at.and_then(|at| self.queue.remove(at)) else {
            return self.say(Action::Leave { host, after });
        };
        let number = self.number();
        self.say_run(slot, host, number, &unit, Some(after), false);
        self.change(slot, |running| running.follow_with(number, unit));
    }

    /// Where in the queue the unit is that follows in the process of a slot, if one may.
    fn following(&self, slot: usize, running: &Running) -> Option<Place> {
        let goes_on = match self.rules.forks {
            true => self.isolation().goes_on(running.age(self.now)),
            false => true,
        };
        let stays = self.is_running()
            && running.trial().is_none()
            && goes_on
            && !self.is_paused()
            && self.busy() <= self.pool.allowed()
            && !self.memory.has_grown(slot)
            && !(running.is_slow() && self.may_replace());
        if !stays {
            return None;
        }
        let may_follow = |unit: &Unit| {
            self.host_for(slot, unit) == Some(running.host())
                && !unit.tests.iter().any(|&test| self.attempts.has_begun(test))
                && self.may_run_beside_others(slot, unit)
        };
        let slots = self.pool.allowed().max(1);
        let pick = |may: &dyn Fn(&Unit) -> bool| self.queue.next(slots, running.unit(), may);
        // A process that loses its next unit ends: better what none waits for.
        pick(&|unit| may_follow(unit) && !self.is_awaited(unit)).or_else(|| pick(&may_follow))
    }

    /// Whether a process may end for another to take its place, for no better reason than speed.
    fn may_replace(&self) -> bool {
        self.rules.forks && self.rules.replaces_slow && !self.suite.knows_workers
    }

    /// Whether a process would go on with this unit, though others may take it.
    fn is_awaited(&self, unit: &Unit) -> bool {
        self.slots.iter().flatten().any(|running| running.awaits(unit))
    }

    /// Puts back what waits behind a test that takes long: a slot that is free, or will be
    /// earlier, takes it.
    pub(super) fn open_to_others(&mut self) {
        for running in self.slots.iter_mut().flatten() {
            if let Some(unit) = running.open_to_others(self.now) {
                self.queue.put_back(unit);
                self.may_start = true;
            }
        }
    }

    /// The process in a slot is through with a unit: it begins the next, if no other has.
    pub(super) fn through(&mut self, slot: usize) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let (host, after, goes_on) = (running.host(), running.number(), running.goes_on());
        let kept = match running.open_unit().cloned() {
            // While it waited in the queue, another one of its group may have begun.
            Some(unit) => self.may_run_beside_others(slot, &unit) && self.queue.take(&unit.tests),
            None => goes_on,
        };
        self.change(slot, |running| running.keep_next(kept));
        self.say(match kept && self.is_running() {
            true => Action::Go { host, after },
            false => Action::Leave { host, after },
        });
    }

    /// Whether a unit can follow in a slot, given what runs elsewhere.
    fn may_run_beside_others(&self, slot: usize, unit: &Unit) -> bool {
        let before = self.slots[slot].as_ref().map(Running::unit);
        self.queue.has_turn(unit, before)
            && !self.running(Some(slot)).any(|other| unit.clashes(other))
    }

    /// All results of the unit in a slot are safe.
    pub(super) fn unit_ended(&mut self, slot: usize, goes_on: bool, fixtures: f64) {
        let Some(Some(running)) = self.slots.get_mut(slot) else { return };
        running.ends(fixtures, &mut self.pace, self.now);
        self.tail.proves_fit();
        if goes_on {
            self.went_on(slot);
        }
    }

    /// The process in a slot begins the unit that it was given to follow.
    fn went_on(&mut self, slot: usize) {
        let Some(mut ended) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        let Some(running) = ended.go_on(self.now) else {
            // Nobody gave it one: what it runs now cannot be accounted for.
            self.slots[slot] = Some(ended);
            return self.abort(Why::Lost);
        };
        let split = running.unit().split;
        self.slots[slot] = Some(running);
        self.begin_split(split);
        self.over(slot, &ended);
    }

    /// A slot is free again. Whatever its unit did not get to goes into another one.
    pub(super) fn unit_exited(&mut self, slot: usize, cpu: f64, leftovers: bool, killed: bool) {
        let Some(mut running) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.may_start = true;
        if leftovers {
            running.splits().for_each(|split| self.splits.linger(split));
        }
        if let (true, Some(host)) = (running.is_broken(), self.hosts.home(slot)) {
            self.end_host(host);
        }
        if let (Some(next), true) = (running.drop_next(), self.is_running()) {
            self.queue.put_back(next);
        }
        if let (Some(over), true) = (running.process_over(cpu, self.now), self.rules.forks) {
            self.say(over);
        }
        if !running.is_whole() && self.is_running() {
            self.cut_short(slot, &mut running, killed);
        }
        self.memory.process_ends(slot);
        self.over(slot, &running);
    }

    /// Ends a host that runs units itself.
    pub(super) fn end_host(&mut self, host: usize) {
        self.hosts.lost(host);
        self.say(Action::EndHost { host });
    }

    /// A unit died: the test that was running is named, and the rest goes on without it.
    fn cut_short(&mut self, slot: usize, running: &mut Running, killed: bool) {
        let (rest, split, trial) = (running.rest(), running.unit().split, running.trial());
        match running.test() {
            Some(test) => {
                let cause = self.cause(slot, running, killed);
                self.conclude(slot, running, test, true, Some(cause));
            }
            None if trial.is_none() => {
                self.say(Action::LostBetweenTests { slot, split: Some(split) });
                self.count_death();
            }
            None => {}
        }
        if trial.is_none() && !rest.is_empty() && self.is_running() {
            self.run_again(split, rest);
        }
    }

    fn cause(&mut self, slot: usize, running: &Running, killed: bool) -> Cause {
        let is_ours = matches!(running.limit(), Limit::Killed(_));
        let is_short = self.kernel_has_ended(killed && !is_ours);
        match running.limit() {
            _ if running.is_broken() => Cause::Broken,
            Limit::Killed(Reason::Hang) => Cause::Hung,
            Limit::Killed(Reason::Memory) => self.out_of_memory(slot),
            _ if is_short => self.out_of_memory(slot),
            Limit::Within | Limit::Killed(Reason::Leaving) => Cause::Died,
            Limit::AskedForStacks(_) | Limit::Killed(Reason::Time) => Cause::TimedOut,
        }
    }

    /// Nothing more comes of a unit.
    pub(super) fn over(&mut self, slot: usize, running: &Running) {
        self.say(Action::Over(running.over(slot)));
        match running.trial() {
            Some(trial) => self.trial_over(trial),
            None => {
                self.queue.ended(running.unit());
                self.part_of_split_ended(running.unit().split);
            }
        }
    }

    /// A unit died outside of a test. Too often, and something is wrong that we cannot know.
    pub(super) fn count_death(&mut self) {
        self.deaths += 1;
        if self.deaths > DEATHS {
            self.abort(Why::Deaths);
        }
    }
}
