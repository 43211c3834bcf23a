//! The ends of tests, units and processes, and what follows in a process.

use super::io::{Action, Cause, Ended, Fate, UnitOver, Why};
use super::running::{Limit, Next, Reason, Running};
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
        if self.slots.get(slot).is_some_and(|it| it.as_ref().is_some_and(|it| it.trial.is_none())) {
            self.say(Action::Started { slot, test });
        }
    }

    /// A phase of a test has failed: if nothing can change that any more, it counts now.
    pub(super) fn test_failed(&mut self, slot: usize, test: usize) {
        let may_change = self.attempts.more(test) || self.may_confirm();
        let Some(Some(running)) = self.slots.get_mut(slot) else { return };
        if running.trial.is_some() || may_change && running.counted != Some(test) {
            return;
        }
        let is_first = running.counted.replace(test) != Some(test);
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
        running.told += 1;
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
        running.test = None;
        running.finished.insert(test);
        let counted = running.counted.take() == Some(test);
        let fate = match cause {
            _ if running.trial.is_some() => {
                self.trial_ended(running.trial, test, failed);
                Fate::Trial
            }
            _ if counted => Fate::Counts,
            Some(Cause::OutOfMemory { .. }) if self.is_not_to_blame(slot, running, test, cause) => {
                self.run_again(running.unit.split, vec![test]);
                Fate::Again
            }
            Some(Cause::Hung) if running.settled.is_some() => Fate::Held,
            _ if !failed || !self.is_running() => Fate::Counts,
            _ if self.attempts.more(test) => {
                let (retry, of) = self.attempts.again(test);
                self.run_again(running.unit.split, vec![test]);
                Fate::Retried(retry, of)
            }
            _ if self.may_confirm() => {
                self.hold(running, test);
                Fate::Held
            }
            _ => Fate::Counts,
        };
        self.say(Action::Ended(Ended { slot, unit: running.number, test, cause, fate }));
        if let (Some(verdict), Fate::Held) = (running.settled.take(), fate) {
            self.say(Action::Settled { unit: running.number, test, verdict });
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
        self.change(slot, |running| running.broken = true);
    }

    /// The process in a slot is about to end its unit: what comes after it there?
    pub(super) fn asked(&mut self, slot: usize) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let (host, after) = (running.host, running.number);
        let at = self.following(slot, running);
        let Some(unit) = at.and_then(|at| self.queue.remove(at)) else {
            return self.say(Action::Leave { host, after });
        };
        let number = self.number();
        self.say_run(slot, host, number, &unit, Some(after), false);
        let next = Next { number, unit, open_to_others: false };
        self.change(slot, |running| running.next = Some(next));
    }

    /// Where in the queue the unit is that follows in the process of a slot, if one may.
    fn following(&self, slot: usize, running: &Running) -> Option<Place> {
        let goes_on = match self.rules.forks {
            true => self.isolation().goes_on(running.process.age(self.now)),
            false => true,
        };
        let stays = self.is_running()
            && running.trial.is_none()
            && goes_on
            && !self.is_paused()
            && self.busy() <= self.pool.allowed()
            && !self.memory.has_grown(slot)
            && !(running.process.is_slow && self.may_replace());
        if !stays {
            return None;
        }
        let may_follow = |unit: &Unit| {
            self.host_for(slot, unit) == Some(running.host)
                && !unit.tests.iter().any(|&test| self.attempts.has_begun(test))
                && self.may_run_beside_others(slot, unit)
        };
        let pick =
            |may: &dyn Fn(&Unit) -> bool| self.queue.next(self.pool.allowed(), &running.unit, may);
        // A process that loses its next unit ends: better what none waits for.
        pick(&|unit| may_follow(unit) && !self.is_awaited(unit)).or_else(|| pick(&may_follow))
    }

    /// Whether a process may end for another to take its place, for no better reason than speed.
    fn may_replace(&self) -> bool {
        self.rules.forks && self.rules.replaces_slow && !self.suite.knows_workers
    }

    /// Whether a process would go on with this unit, though others may take it.
    fn is_awaited(&self, unit: &Unit) -> bool {
        let next = self.slots.iter().flatten().filter_map(|running| running.next.as_ref());
        next.filter(|next| next.open_to_others).any(|next| next.unit.tests == unit.tests)
    }

    /// Puts back what waits behind a test that takes long: a slot that is free, or will be
    /// earlier, takes it.
    pub(super) fn open_to_others(&mut self) {
        let now = self.now;
        let waited =
            |running: &&mut Running| running.next_waits_until().is_some_and(|due| due <= now);
        for running in self.slots.iter_mut().flatten().filter(waited) {
            if let Some(next) = &mut running.next {
                next.open_to_others = true;
                self.queue.put_back(next.unit.clone());
                self.may_start = true;
            }
        }
    }

    /// The process in a slot is through with a unit: it begins the next, if no other has.
    pub(super) fn through(&mut self, slot: usize) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let (host, after) = (running.host, running.number);
        let open = running.next.as_ref().filter(|next| next.open_to_others);
        let kept = match open.map(|next| next.unit.clone()) {
            // While it waited in the queue, another one of its group may have begun.
            Some(unit) => self.may_run_beside_others(slot, &unit) && self.queue.take(&unit.tests),
            None => running.next.is_some(),
        };
        self.change(slot, |running| {
            running.next.iter_mut().for_each(|next| next.open_to_others = false);
            running.next.take_if(|_| !kept);
        });
        self.say(match kept && self.is_running() {
            true => Action::Go { host, after },
            false => Action::Leave { host, after },
        });
    }

    /// Whether a unit can follow in a slot, given what runs elsewhere.
    fn may_run_beside_others(&self, slot: usize, unit: &Unit) -> bool {
        let before = self.slots[slot].as_ref().map(|running| &running.unit);
        self.queue.has_turn(unit, before)
            && !self.running(Some(slot)).any(|other| unit.clashes(other))
    }

    /// All results of the unit in a slot are safe.
    pub(super) fn unit_ended(&mut self, slot: usize, goes_on: bool, fixtures: f64) {
        let now = self.now;
        let Some(Some(running)) = self.slots.get_mut(slot) else { return };
        running.ended = Some(now);
        running.process.set_up(fixtures);
        if running.trial.is_none() {
            let (process, expected) = (&mut running.process, running.unit.seconds);
            let took = process.busy_since(running.since, now);
            process.is_slow |= self.pace.is_slow(process.splits.is_empty(), expected, took);
        }
        self.tail.proves_fit();
        if goes_on {
            self.went_on(slot);
        }
    }

    /// The process in a slot begins the unit that it was given to follow.
    fn went_on(&mut self, slot: usize) {
        let Some(mut ended) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        let Some(Next { number, unit, .. }) = ended.next.take() else {
            // Nobody gave it one: what it runs now cannot be accounted for.
            self.slots[slot] = Some(ended);
            return self.abort(Why::Lost);
        };
        let split = unit.split;
        self.slots[slot] = Some(ended.followed_by(number, unit, self.now));
        self.begin_split(split);
        self.over(slot, &ended);
    }

    /// A slot is free again. Whatever its unit did not get to goes into another one.
    pub(super) fn unit_exited(&mut self, slot: usize, cpu: f64, leftovers: bool, killed: bool) {
        let Some(mut running) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.may_start = true;
        if leftovers {
            let splits = running.process.splits.iter().copied().chain([running.unit.split]);
            splits.for_each(|split| self.splits.linger(split));
        }
        if let (true, Some(host)) = (running.broken, self.hosts.home(slot)) {
            self.end_host(host);
        }
        let next = running.next.take().filter(|next| !next.open_to_others);
        if let (Some(next), true) = (next, self.is_running()) {
            self.queue.put_back(next.unit);
        }
        if let (Some(ended), true, None) = (running.ended, self.rules.forks, running.trial) {
            self.say(running.process.over(ended, cpu, self.now));
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
        let (rest, split, trial) = (running.rest(), running.unit.split, running.trial);
        match running.test {
            Some((test, _)) => {
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
        let is_ours = matches!(running.limit, Limit::Killed(_));
        let is_short = self.kernel_has_ended(killed && !is_ours);
        match running.limit {
            _ if running.broken => Cause::Broken,
            Limit::Killed(Reason::Hang) => Cause::Hung,
            Limit::Killed(Reason::Memory) => self.out_of_memory(slot),
            _ if is_short => self.out_of_memory(slot),
            Limit::Within | Limit::Killed(Reason::Leaving) => Cause::Died,
            Limit::AskedForStacks(_) | Limit::Killed(Reason::Time) => Cause::TimedOut,
        }
    }

    /// Nothing more comes of a unit.
    pub(super) fn over(&mut self, slot: usize, running: &Running) {
        let (split, trial) = (running.unit.split, running.trial);
        self.say(Action::Over(UnitOver {
            unit: running.number,
            split,
            slot,
            host: running.host,
            since: running.since.as_secs_f64(),
            whole: running.ended.is_some(),
            trial: trial.is_some(),
            told: running.told,
        }));
        match trial {
            Some(trial) => self.trial_over(trial),
            None => {
                self.queue.ended(&running.unit);
                self.part_of_split_ended(split);
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
