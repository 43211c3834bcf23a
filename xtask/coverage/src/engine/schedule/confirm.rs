//! A failure in a fork is confirmed before it counts.
//!
//! What is made while modules are imported (a port, a client, the state of a generator) is shared
//! by all forks, and by nothing in a sequential run. So the tests of the unit, up to the one that
//! failed, run once more in a process that was not forked. First in one that imports their files
//! alone, which costs little: what fails there as well is a failure. What passes there runs
//! in one that has collected everything, as a sequential run would, and in another fork: where it
//! passes here and fails there, the fork was to blame, and what the fresh process says counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::io::{Action, Verdict};
use super::running::{Reason, Running};
use crate::split::Unit;

/// A process that uses no processor for so long, in the middle of a test, is looked at.
pub(super) const QUIET: Duration = Duration::from_secs(60);
/// How many failures are confirmed where no budget says how many there may be.
const MOST: u64 = 50;

#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// Those that are open, by number.
    open: BTreeMap<usize, Confirmation>,
    next: usize,
    trials: Vec<Trial>,
    /// Failures that were held back, ever.
    held: u64,
    /// What the host for fresh processes knows, where there is one.
    fresh: Option<Scope>,
    /// Its tests, where it does not know all.
    known: BTreeSet<usize>,
}

/// The failures of one unit.
#[derive(Debug)]
struct Confirmation {
    unit: u32,
    split: u32,
    /// The tests of the unit, up to the last one that failed.
    tests: Vec<usize>,
    failed: Vec<usize>,
    /// The slot of a test that does nothing and has not ended.
    hangs_in: Option<usize>,
    step: Step,
    /// The last trial of each kind.
    whole: Option<usize>,
    fork: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Failures of the unit are added.
    Open,
    /// It waits for a fresh process that knows its files.
    Narrow,
    /// It waits for one that has collected everything, and for a fork.
    Whole,
}

/// What a host for fresh processes knows of the suite.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scope {
    Narrow,
    Whole,
}

/// A run of tests to confirm something.
#[derive(Debug)]
struct Trial {
    confirmation: usize,
    /// In a fresh process, else in a fork.
    fresh: Option<Scope>,
    unit: u32,
    passed: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    over: bool,
}

impl Confirmation {
    /// A test of a unit has failed; others may follow.
    fn of(running: &Running, test: usize) -> Confirmation {
        Confirmation {
            unit: running.number(),
            split: running.unit().split,
            tests: up_to(&running.unit().tests, test),
            failed: vec![test],
            hangs_in: None,
            step: Step::Open,
            whole: None,
            fork: None,
        }
    }
}

/// The tests that run up to one of them, and that one.
fn up_to(tests: &[usize], last: usize) -> Vec<usize> {
    let at = tests.iter().position(|test| *test == last);
    tests[..=at.unwrap_or_default()].to_vec()
}

impl Confirmations {
    /// Nothing is held back.
    pub(super) fn is_over(&self) -> bool {
        self.open.values().all(|it| it.hangs_in.is_some())
    }

    fn unsettled(&self) -> u64 {
        let held = self.open.values().filter(|it| it.hangs_in.is_none());
        held.map(|it| it.failed.len() as u64).sum()
    }

    fn add(&mut self, confirmation: Confirmation) {
        self.next += 1;
        self.open.insert(self.next, confirmation);
    }

    /// The first confirmation at this step that has no trial of this kind yet.
    fn waiting(&self, step: Step, has: impl Fn(&Confirmation) -> bool) -> Option<usize> {
        self.open.iter().find(|(_, it)| it.step == step && !has(it)).map(|(&at, _)| at)
    }

    /// The first one that waits for a fresh process.
    fn next_fresh(&self, scope: Scope) -> Option<usize> {
        match scope {
            Scope::Narrow => self.waiting(Step::Narrow, |_| false),
            Scope::Whole => self.waiting(Step::Whole, |it| it.whole.is_some()),
        }
    }

    /// The same, of those that the process which is there can run.
    fn next_for_fresh(&self) -> Option<usize> {
        match self.fresh? {
            Scope::Narrow => self
                .waiting(Step::Narrow, |it| !it.tests.iter().all(|test| self.known.contains(test))),
            Scope::Whole => self.next_fresh(Scope::Whole),
        }
    }
}

impl Scheduler {
    /// Whether a failure can be held back.
    pub(super) fn may_confirm(&self) -> bool {
        let most = self.budget.most().unwrap_or(MOST);
        let is_waiting = self.confirmations.unsettled() > 0;
        self.rules.confirms && self.is_running() && (is_waiting || self.confirmations.held < most)
    }

    /// With what is held back the budget would be used up: nothing is started but what confirms.
    pub(super) fn is_paused(&self) -> bool {
        let held = self.confirmations.unsettled();
        held > 0 && self.budget.would_be_exhausted(held + self.share.failures)
    }

    fn fresh_slot(&self) -> usize {
        self.pool.most()
    }

    /// Holds a failure back.
    pub(super) fn hold(&mut self, running: &Running, test: usize) {
        self.confirmations.held += 1;
        self.splits.more(running.unit().split);
        let mut open = self.confirmations.open.values_mut();
        let same = open.find(|it| it.unit == running.number() && it.step == Step::Open);
        match same {
            Some(confirmation) => {
                confirmation.tests = up_to(&running.unit().tests, test);
                confirmation.failed.push(test);
            }
            None => self.confirmations.add(Confirmation::of(running, test)),
        }
    }

    /// Goes on with what is to be confirmed, where there is room for it.
    pub(super) fn confirm(&mut self) {
        if self.confirmations.open.is_empty() {
            return self.end_idle_fresh();
        }
        if self.queue.is_empty() || self.is_paused() || self.pool.has_idle_processors() {
            let open = self.confirmations.open.values_mut();
            open.filter(|it| it.step == Step::Open).for_each(|it| it.step = Step::Narrow);
        }
        self.confirm_in_fresh_process();
        self.confirm_in_fork();
    }

    fn confirm_in_fresh_process(&mut self) {
        let slot = self.fresh_slot();
        if self.slots[slot].is_some() {
            return;
        }
        if let Some(host) = self.hosts.home(slot) {
            match self.confirmations.next_for_fresh() {
                Some(number) => return self.start_fresh_trial(slot, host, number),
                // What it does not know needs another one.
                None => self.end_fresh(host),
            }
        }
        let mut scopes = [Scope::Narrow, Scope::Whole].into_iter();
        let wanted = scopes.find(|scope| self.confirmations.next_fresh(*scope).is_some());
        if let Some(scope) = wanted.filter(|_| self.hosts.is_vacant(slot)) {
            let only = self.tests_for(scope);
            self.confirmations.fresh = Some(scope);
            self.confirmations.known = only.iter().copied().collect();
            self.hosts.starts(slot);
            self.say(Action::StartHost { slot, only });
        }
    }

    /// A fresh process that nothing is left for; its session is nobody's, and has no end.
    fn end_idle_fresh(&mut self) {
        let slot = self.fresh_slot();
        if self.rules.confirms
            && self.slots[slot].is_none()
            && let Some(host) = self.hosts.home(slot)
        {
            self.end_fresh(host);
        }
    }

    fn end_fresh(&mut self, host: usize) {
        self.end_host(host);
        self.confirmations.fresh = None;
    }

    /// The tests whose files a fresh process is to know; none where it is to know all.
    fn tests_for(&self, scope: Scope) -> Vec<usize> {
        let narrow = self.confirmations.open.values().filter(|it| it.step == Step::Narrow);
        match scope {
            Scope::Narrow => {
                let tests: BTreeSet<usize> = narrow.flat_map(|it| it.tests.clone()).collect();
                tests.into_iter().collect()
            }
            Scope::Whole => Vec::new(),
        }
    }

    fn start_fresh_trial(&mut self, slot: usize, host: usize, number: usize) {
        let Some(unit) = self.trial_unit(number) else { return };
        let trial = self.begin_trial(number, self.confirmations.fresh);
        self.start(slot, host, unit, Some(trial));
        self.note_unit(slot, trial);
    }

    /// The first one that waits for a fork.
    fn next_for_fork(&self) -> Option<usize> {
        let has = |it: &Confirmation| it.fork.is_some() || it.hangs_in.is_some();
        self.confirmations.waiting(Step::Whole, has)
    }

    /// Whether something could be confirmed in one more process of the pool.
    pub(super) fn could_confirm_in_fork(&self) -> bool {
        self.next_for_fork().is_some_and(|number| self.trial_unit(number).is_some())
    }

    fn confirm_in_fork(&mut self) {
        let Some(number) = self.next_for_fork() else { return };
        let Some(unit) = self.trial_unit(number) else { return };
        let idle = (0..self.pool.most()).find(|&slot| self.slots[slot].is_none());
        let Some(slot) = idle.filter(|_| self.busy_in_pool() < self.pool.allowed()) else { return };
        let Some(host) = self.host_for(slot, &unit) else { return };
        let trial = self.begin_trial(number, None);
        self.start(slot, host, unit, Some(trial));
        self.note_unit(slot, trial);
    }

    /// What a confirmation runs, if nothing that runs forbids it.
    fn trial_unit(&self, number: usize) -> Option<Unit> {
        let Confirmation { split, tests, .. } = self.confirmations.open.get(&number)?;
        let unit = self.unit_of(*split, tests.clone());
        (!self.running(None).any(|other| unit.clashes(other))).then_some(unit)
    }

    fn begin_trial(&mut self, number: usize, fresh: Option<Scope>) -> usize {
        let at = self.confirmations.trials.len();
        self.confirmations.trials.push(Trial {
            confirmation: number,
            fresh,
            unit: 0,
            passed: BTreeSet::new(),
            failed: BTreeSet::new(),
            over: false,
        });
        if let Some(confirmation) = self.confirmations.open.get_mut(&number) {
            match fresh {
                Some(Scope::Narrow) => {}
                Some(Scope::Whole) => confirmation.whole = Some(at),
                None => confirmation.fork = Some(at),
            }
        }
        at
    }

    fn note_unit(&mut self, slot: usize, trial: usize) {
        let number = self.slots[slot].as_ref().map_or(0, Running::number);
        self.confirmations.trials[trial].unit = number;
    }

    /// A test has ended that ran to confirm something.
    pub(super) fn trial_ended(&mut self, trial: Option<usize>, test: usize, failed: bool) {
        let Some(trial) = trial.and_then(|at| self.confirmations.trials.get_mut(at)) else {
            return;
        };
        match failed {
            true => trial.failed.insert(test),
            false => trial.passed.insert(test),
        };
    }

    /// Nothing more comes of a trial.
    pub(super) fn trial_over(&mut self, at: usize) {
        let trial = &mut self.confirmations.trials[at];
        trial.over = true;
        let (number, fresh) = (trial.confirmation, trial.fresh);
        match fresh {
            Some(Scope::Narrow) => self.judge_narrow(number, at),
            Some(Scope::Whole) | None => self.judge_whole(number),
        }
        self.may_start = true;
    }

    /// What fails in a fresh process is a failure; the rest has to be looked at again.
    fn judge_narrow(&mut self, number: usize, trial: usize) {
        let Some(confirmation) = self.confirmations.open.get_mut(&number) else { return };
        let failed = &self.confirmations.trials[trial].failed;
        let (settled, rest): (Vec<usize>, Vec<usize>) =
            confirmation.failed.iter().partition(|test| failed.contains(test));
        let (unit, split) = (confirmation.unit, confirmation.split);
        let hangs = confirmation.hangs_in.is_some();
        confirmation.step = Step::Whole;
        confirmation.failed = rest;
        match confirmation.failed.last() {
            Some(&last) => confirmation.tests = up_to(&confirmation.tests, last),
            None => drop(self.confirmations.open.remove(&number)),
        }
        if !hangs {
            settled.into_iter().for_each(|test| self.settle(unit, split, test, Verdict::Confirmed));
        }
    }

    /// Both the fresh process and the fork have run.
    fn judge_whole(&mut self, number: usize) {
        let Some(confirmation) = self.confirmations.open.get(&number) else { return };
        let over = |trial: Option<usize>| {
            trial.map(|at| &self.confirmations.trials[at]).filter(|trial| trial.over)
        };
        let (Some(fresh), fork) = (over(confirmation.whole), over(confirmation.fork)) else {
            return;
        };
        if fork.is_none() && confirmation.hangs_in.is_none() {
            return;
        }
        let verdict = |test: &usize| {
            let in_fork = |of: fn(&Trial) -> &BTreeSet<usize>| {
                fork.is_some_and(|fork| of(fork).contains(test))
            };
            let hangs = confirmation.hangs_in.is_some();
            match (fresh.passed.contains(test), fresh.failed.contains(test)) {
                (true, _) if hangs || in_fork(|fork| &fork.failed) => Verdict::Fresh(fresh.unit),
                (true, _) if in_fork(|fork| &fork.passed) => Verdict::Flaky,
                (false, true) => Verdict::Confirmed,
                // It did not come to it, here or there.
                (true | false, _) => Verdict::Unconfirmed,
            }
        };
        let verdicts: Vec<_> =
            confirmation.failed.iter().map(|test| (*test, verdict(test))).collect();
        let Some(confirmation) = self.confirmations.open.remove(&number) else { return };
        let (unit, split) = (confirmation.unit, confirmation.split);
        match confirmation.hangs_in {
            Some(slot) => self.end_hang(slot, &verdicts),
            None => verdicts.into_iter().for_each(|(test, it)| self.settle(unit, split, test, it)),
        }
    }

    /// It is known what counts of a failure.
    fn settle(&mut self, unit: u32, split: u32, test: usize, verdict: Verdict) {
        self.say(Action::Settled { unit, test, verdict });
        if !self.is_running() {
            return;
        }
        if !matches!(verdict, Verdict::Fresh(_)) {
            self.count_failure();
        }
        self.part_of_split_ended(split);
        self.may_start = true;
    }

    /// The run ends: what is held back counts as it is.
    pub(super) fn settle_all(&mut self) {
        let open = std::mem::take(&mut self.confirmations.open);
        for confirmation in open.into_values().filter(|it| it.hangs_in.is_none()) {
            let unit = confirmation.unit;
            for test in confirmation.failed {
                self.say(Action::Settled { unit, test, verdict: Verdict::Unconfirmed });
            }
        }
    }

    /// There is no fresh process to be had.
    pub(super) fn cannot_confirm(&mut self) {
        let scope = self.confirmations.fresh.take();
        let step = if scope == Some(Scope::Narrow) { Step::Narrow } else { Step::Whole };
        let found = self.confirmations.open.iter().filter(|(_, it)| it.step == step);
        let numbers: Vec<usize> = found.map(|(&number, _)| number).collect();
        for number in numbers {
            if scope == Some(Scope::Narrow) {
                self.confirmations.open.entry(number).and_modify(|it| it.step = Step::Whole);
            } else if let Some(it) = self.confirmations.open.remove(&number)
                && it.hangs_in.is_none()
            {
                for test in it.failed {
                    self.settle(it.unit, it.split, test, Verdict::Unconfirmed);
                }
            }
        }
    }

    /// The process in a slot has used no processor for long: it is shown once, and what it runs is
    /// tried in a fresh process, so that a fork that hangs for ever does not keep the run.
    pub(super) fn quiet(&mut self, slot: usize) {
        let now = self.now;
        let Some(Some(running)) = self.slots.get_mut(slot) else { return };
        let Some(test) = running.newly_quiet(QUIET, now) else { return };
        if running.trial().is_some() {
            return self.kill(slot, Reason::Hang);
        }
        let (host, unit) = (running.host(), running.number());
        let confirmation = Confirmation::of(running, test);
        self.say(Action::Quiet { slot, host, unit, test, seconds: QUIET.as_secs() });
        if self.may_confirm() {
            // Its unit has no end to wait for.
            let (hangs_in, step) = (Some(slot), Step::Narrow);
            self.confirmations.add(Confirmation { hangs_in, step, ..confirmation });
        }
    }

    /// A test that did nothing in its fork passes in a fresh process: the fork is ended.
    fn end_hang(&mut self, slot: usize, verdicts: &[(usize, Verdict)]) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let found = verdicts.iter().find(|(it, _)| Some(*it) == running.test());
        if let Some(&(_, verdict @ Verdict::Fresh(_))) = found {
            self.change(slot, |running| running.settle(verdict));
            self.kill(slot, Reason::Hang);
        }
    }
}
