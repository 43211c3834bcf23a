//! The scheduler: which unit runs next and where, what becomes of a test that failed, how many
//! processes there are, and when the run is over.
//!
//! It is a state machine. [`Scheduler::handle`] takes what happened and when, and returns what is
//! to be done about it; it has no clock, no process and no disk. Two drivers use it: that of the
//! hosts, with real processes, and [`simulate`], with a clock of its own.

mod attempts;
mod confirm;
mod ends;
mod hosts;
mod io;
mod limits;
mod memory;
mod pace;
mod pool;
mod queue;
mod running;
mod share;
mod simulate;
mod splits;
mod tail;
#[cfg(test)]
mod tests;
mod timeline;
mod trace;

use std::time::Duration;

pub(crate) use self::io::{
    Action, Cause, Ended, Fate, Input, Rules, Suite, UnitOver, Verdict, Why,
};
pub(crate) use self::pool::Follower;
pub(crate) use self::simulate::{Costs, Pool, Schedule, simulate};
pub(crate) use self::timeline::Timeline;
pub(crate) use self::trace::Trace;
pub use self::trace::replay;

use self::attempts::Attempts;
use self::confirm::Confirmations;
use self::hosts::Hosts;
use self::pace::Pace;
use self::queue::Queue;
use self::running::Running;
use self::share::Share;
use self::splits::Splits;
use self::tail::Tail;
use crate::engine::limits::{Budget, Memory};
use crate::machine::meter::Reading;
use crate::split::{Isolation, Place, Unit};

/// How long everything may take to end, once it was told to.
pub(crate) const FINISHING: Duration = Duration::from_secs(4);

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// It is not known what there is to run.
    Collecting,
    /// Units run.
    Running,
    /// All units were told to end, and are killed if they are not gone by then.
    Aborting(Duration),
    /// Nothing runs, and nothing more will.
    Over,
}

#[derive(Debug)]
pub(crate) struct Scheduler {
    rules: Rules,
    stage: Stage,
    suite: Suite,
    queue: Queue,
    /// What runs in each slot; behind those of the pool the one for fresh processes.
    slots: Vec<Option<Running>>,
    hosts: Hosts,
    attempts: Attempts,
    splits: Splits,
    pool: Follower,
    share: Share,
    memory: Memory,
    pace: Pace,
    confirmations: Confirmations,
    budget: Budget,
    tail: Tail,
    deaths: u32,
    next_unit: u32,
    now: Duration,
    /// Something has changed that may let a unit start.
    may_start: bool,
    actions: Vec<Action>,
}

impl Scheduler {
    /// Nothing has happened yet.
    pub(crate) fn new(rules: Rules) -> Scheduler {
        let slots = rules.slots();
        Scheduler {
            stage: Stage::Collecting,
            suite: Suite::default(),
            queue: Queue::default(),
            slots: (0..slots).map(|_| None).collect(),
            hosts: Hosts::new(&rules),
            attempts: Attempts::new(rules.retries),
            splits: Splits::default(),
            pool: Follower::of(&rules),
            share: Share::default(),
            memory: Memory::new(rules.memory_per_test, rules.memory_growth),
            pace: Pace::default(),
            confirmations: Confirmations::default(),
            budget: Budget::new(rules.budget),
            tail: Tail::default(),
            deaths: 0,
            next_unit: 0,
            now: Duration::ZERO,
            may_start: false,
            actions: Vec::new(),
            rules,
        }
    }

    /// Takes what happened at this moment, counted from the start of the run; returns what is to
    /// be done, in this order.
    pub(crate) fn handle(&mut self, input: Input, now: Duration) -> Vec<Action> {
        // In microseconds, which a trace can hold to the last bit.
        let now = Duration::from_micros((now.as_secs_f64() * 1e6).round() as u64);
        self.now = now.max(self.now);
        self.take(input);
        self.go_on();
        self.tell_needs();
        std::mem::take(&mut self.actions)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Collected(suite) => self.collected(suite),
            Input::HostReady { host, slot } => self.host_ready(host, slot),
            Input::HostLost { host } => self.host_lost(host),
            Input::CannotStart { slot } => self.cannot_start(slot),
            Input::ProcessStarted { slot, pid, memory } => {
                self.memory.process_is(slot, pid, memory)
            }
            Input::TestStarted { slot, test } => self.test_started(slot, test),
            Input::TestFailed { slot, test } => self.test_failed(slot, test),
            Input::TestEnded { slot, test, failed } => self.test_ended(slot, test, failed),
            Input::Broken { slot } => self.broken(slot),
            Input::Asked { slot } => self.asked(slot),
            Input::Through { slot } => self.through(slot),
            Input::UnitEnded { slot, goes_on, fixtures } => {
                self.unit_ended(slot, goes_on, fixtures);
            }
            Input::UnitExited { slot, cpu, leftovers, killed } => {
                self.unit_exited(slot, cpu, leftovers, killed);
            }
            Input::StacksWritten { slot } => self.stacks_written(slot),
            Input::OtherFailure => self.count_failure(),
            Input::Machine(reading) => self.machine(reading),
            Input::Share(share) => self.shared(share),
            Input::Claimed { units } => self.claimed(units),
            Input::TailOver => self.tail_over(),
            Input::Stop(why) => self.abort(why),
            Input::Tick => self.overdue(),
        }
    }

    /// The next moment at which [`Input::Tick`] is wanted if nothing else happens before.
    pub(crate) fn due(&self) -> Option<Duration> {
        let timeout = self.rules.timeout;
        let running = || self.slots.iter().flatten();
        let limits = running().filter_map(|running| running.due(timeout));
        let waiting = running().filter_map(Running::next_waits_until);
        let deadline = match self.stage {
            Stage::Aborting(due) => Some(due),
            Stage::Collecting | Stage::Running | Stage::Over => None,
        };
        limits.chain(waiting).chain(deadline).min()
    }

    /// How many processes kept the processors busy in the end; none where that was not looked for.
    pub(crate) fn workers_reached(&self) -> Option<u32> {
        self.pool.reached().and_then(|reached| u32::try_from(reached).ok())
    }

    /// Bytes that most processes have grown by; none where nothing was seen of them.
    pub(crate) fn memory_growth(&self) -> Option<u64> {
        self.memory.need()
    }

    /// How many run units, with what runs to confirm something.
    fn busy(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// The same, of the slots of the pool.
    fn busy_in_pool(&self) -> usize {
        self.slots[..self.pool.most()].iter().flatten().count()
    }

    fn say(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn collected(&mut self, mut suite: Suite) {
        if self.stage != Stage::Collecting {
            return;
        }
        if suite.knows_workers {
            self.pool.fix();
        }
        self.budget.count(suite.failures);
        self.splits = Splits::new(&suite.splits, &suite.units);
        self.queue = Queue::new(std::mem::take(&mut suite.units));
        if suite.tail {
            self.tail = Tail::new(self.queue.is_empty());
        }
        self.suite = suite;
        self.stage = Stage::Running;
        self.may_start = true;
        if self.suite.tail {
            self.splits.open().into_iter().for_each(|split| self.hold_split(split));
        }
        self.splits.empty().into_iter().for_each(|split| self.split_ended(split));
        if self.budget.is_exhausted() {
            self.abort(Why::Budget);
        }
    }

    /// Which tests share a process. A worker that plugins know lives as long as the run: they
    /// look at what it has at its end.
    fn isolation(&self) -> Isolation {
        match self.rules.isolation {
            Isolation::Row(_) if self.suite.knows_workers => Isolation::Worker,
            isolation => isolation,
        }
    }

    /// Fills free slots, and ends when nothing is left.
    fn go_on(&mut self) {
        if self.stage == Stage::Running {
            self.fill();
            self.confirm();
            self.staff();
            self.ask_for_more();
        }
        let idle = self.slots.iter().all(Option::is_none);
        let over = match self.stage {
            Stage::Running => {
                idle && self.queue.is_empty() && self.confirmations.is_over() && self.tail.is_over()
            }
            Stage::Aborting(_) => idle,
            Stage::Collecting | Stage::Over => false,
        };
        if over {
            let hurry = self.stage != Stage::Running;
            self.stage = Stage::Over;
            self.say(Action::Finish { hurry });
        }
    }

    fn fill(&mut self) {
        while std::mem::take(&mut self.may_start) {
            if self.start_one() {
                self.may_start = true;
            }
        }
    }

    /// Starts a unit, if one may.
    fn start_one(&mut self) -> bool {
        let busy = self.busy_in_pool();
        self.share.has_too_little = false;
        if busy >= self.pool.allowed() {
            self.share.has_too_little = self.rules.shared && self.could_start();
            return false;
        }
        if self.is_paused() || !self.has_room(busy) {
            return false;
        }
        let Some((slot, host, at)) = self.next_start() else { return false };
        let Some(unit) = self.queue.remove(at) else { return false };
        self.start(slot, host, unit, None);
        true
    }

    /// A free slot with a host that obeys, and the first unit that may run beside the others.
    fn next_start(&self) -> Option<(usize, usize, Place)> {
        let idle = |slot: &usize| self.slots[*slot].is_none() && self.hosts.serves(*slot);
        let slot = (0..self.pool.most()).find(idle)?;
        let at = self.queue.first(self.pool.allowed().max(1), self.isolation(), |unit| {
            self.host_for(slot, unit).is_some() && self.may_run(unit)
        })?;
        Some((slot, self.host_for(slot, self.queue.get(at)?)?, at))
    }

    fn may_run(&self, unit: &Unit) -> bool {
        self.queue.has_turn(unit, None) && !self.running(None).any(|other| unit.clashes(other))
    }

    /// The host that runs a unit in a slot.
    fn host_for(&self, slot: usize, unit: &Unit) -> Option<usize> {
        let holder = unit.tests.first().and_then(|&test| self.suite.holders.get(test));
        self.hosts.host_for(slot, holder.copied())
    }

    /// All units that run now or will next, but for those in one slot.
    fn running(&self, but: Option<usize>) -> impl Iterator<Item = &Unit> {
        let others = self.slots.iter().enumerate().filter(move |(slot, _)| Some(*slot) != but);
        others.filter_map(|(_, running)| running.as_ref()).flat_map(Running::units)
    }

    /// Has a unit run in a slot that is free, as part of the run or to confirm something.
    fn start(&mut self, slot: usize, host: usize, unit: Unit, trial: Option<usize>) {
        let number = self.number();
        if trial.is_none() {
            self.begin_split(unit.split);
        }
        self.say_run(slot, host, number, &unit, None, trial.is_some());
        self.memory.process_starts(slot);
        self.slots[slot] = Some(Running::new(number, unit, host, trial, self.now));
    }

    fn number(&mut self) -> u32 {
        self.next_unit += 1;
        self.next_unit
    }

    fn say_run(
        &mut self,
        slot: usize,
        host: usize,
        number: u32,
        unit: &Unit,
        after: Option<u32>,
        trial: bool,
    ) {
        let asks = !trial && self.isolation() != Isolation::File;
        let (split, tests) = (unit.split, unit.tests.clone());
        self.say(Action::Run { slot, host, unit: number, split, tests, after, asks, trial });
    }

    /// Tests of a split as a unit.
    fn unit_of(&self, split: u32, tests: Vec<usize>) -> Unit {
        let seconds = tests.iter().filter_map(|&test| self.suite.seconds.get(test)).sum();
        let groups = tests.iter().filter_map(|test| self.suite.groups.get(test)).cloned().collect();
        Unit { split, tests, seconds, groups }
    }

    /// Changes what is known of the unit in a slot.
    fn change(&mut self, slot: usize, change: impl FnOnce(&mut Running)) {
        if let Some(Some(running)) = self.slots.get_mut(slot) {
            change(running);
        }
    }

    /// Takes in what the machine was doing.
    fn machine(&mut self, reading: Reading) {
        if self.stage != Stage::Running {
            return;
        }
        let waits = !self.queue.is_empty() && !self.is_paused();
        let busy = self.busy_in_pool();
        let pays = self.rules.forks || self.queue.seconds() > self.suite.collect_seconds;
        if let Some(allowed) = self.pool.read(&reading, busy, waits && pays, self.now) {
            self.say(Action::Workers { allowed });
        }
        self.may_start = true;
        self.watch_memory(reading);
        self.note_growths();
        self.watch_for_hangs();
    }

    /// Ends all units now. What their finished tests have covered is kept.
    fn abort(&mut self, why: Why) {
        match (self.stage, why) {
            (Stage::Running, _) => {}
            (Stage::Aborting(_) | Stage::Collecting, Why::Lost) => return self.lose_all(),
            _ => return,
        }
        self.settle_all();
        self.queue.clear();
        self.tail.close();
        self.stage = Stage::Aborting(self.now + FINISHING);
        self.say(Action::Abort { why });
        if why == Why::Lost {
            self.lose_all();
        }
        self.splits.open().into_iter().for_each(|split| self.say(Action::SplitStopped { split }));
    }

    /// Units whose host is gone: no test of theirs is to blame, and what they have covered is kept.
    fn lose_all(&mut self) {
        for slot in 0..self.slots.len() {
            if let Some(running) = self.slots[slot].take() {
                self.over(slot, &running);
            }
        }
    }
}
