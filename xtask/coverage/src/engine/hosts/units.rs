//! Units: what they say while they run, what became of their tests, and what is left to do when
//! one has gone.

use std::time::Instant;

use serde_json::json;

use super::conductor::{Conductor, Stage, Unwritten};
use super::host::{Mode, UnitEvent};
use super::slot::{Busy, Exit, Limit};
use crate::engine::event::{Details, PhaseSeconds, TestOutcome};
use crate::engine::journal::{TestRun, UnitRun};
use crate::engine::{Happening, Started, child};
use crate::report::failures::{Blow, Phase};
use crate::split::Unit;

/// The stacks without the frames of pytest and of our own that lead to every test.
fn of_the_test(stacks: &str) -> String {
    let ours = |line: &&str| {
        let file = line.trim_start().strip_prefix("File \"");
        file.is_some_and(|file| {
            file.starts_with("<xtask ") || file.contains("/_pytest/") || file.contains("/pluggy/")
        })
    };
    stacks.lines().filter(|line| !ours(line)).collect::<Vec<_>>().join("\n")
}

impl Conductor<'_> {
    /// A unit has something to say.
    pub(super) fn unit_says(&mut self, host: usize, slot: usize, event: UnitEvent) {
        // A slot's pipe is that of all collectors.
        let host = self.slots.get(slot).and_then(Option::as_ref).map_or(host, |busy| busy.host);
        let member = self.fleet.peek(host);
        let event = event.renumbered(|test| member.plans_number(test));
        match event {
            UnitEvent::UnitStarted { pid } => self.unit_started(slot, pid),
            UnitEvent::Start { test } => {
                self.busy(slot, |busy| {
                    busy.test = Some((test, Instant::now()));
                    busy.row.test_started();
                });
                self.tell_start(slot, test);
            }
            UnitEvent::Failed { test, blow } => self.test_failed(slot, test, blow),
            UnitEvent::Rerun { test, blow } => {
                let attempt = self.test_failure(host, test, self.split_in(slot), blow);
                self.ran.ledger.rerun(attempt);
            }
            UnitEvent::Finish { test, outcome, details } => {
                self.note_run(slot, test, outcome, details.seconds.total());
                self.test_ended(slot, test, outcome, details);
            }
            UnitEvent::LateError { test, text } => {
                self.left_behind(host, test, self.split_in(slot), text);
            }
            UnitEvent::Stop { why, text } => self.stopped_itself(slot, &why, text),
            UnitEvent::Replay { test, calls } => self.replay(slot, test, &calls),
            UnitEvent::WorkerDown { output, status } => self.worker_down(slot, &output, status),
            UnitEvent::Warning { text, place, times } => self.ran.warnings.add(text, place, times),
            UnitEvent::Next {} => self.asked(slot),
            UnitEvent::Through {} => self.through(slot),
            UnitEvent::UnitEnded { goes_on, fixtures } => {
                self.busy(slot, |busy| {
                    busy.ended = Some(Instant::now());
                    busy.row.set_up(fixtures.session);
                });
                if goes_on {
                    self.went_on(slot);
                }
            }
            UnitEvent::UnitBroken { text } => {
                self.problem(self.split_in(slot), format!("met a fault of ours:\n{text}"));
            }
            UnitEvent::UnitExited { code, signal, error, leftovers, cpu } => {
                self.busy(slot, |busy| busy.row.took(cpu));
                if leftovers && let Some(Some(busy)) = self.slots.get(slot) {
                    let splits = busy.row.splits.iter().copied();
                    self.lingering.extend(splits.chain([busy.unit.split]));
                }
                self.unit_exited(slot, &Exit { code, signal, error });
            }
            UnitEvent::Unknown => {}
        }
    }

    fn unit_started(&mut self, slot: usize, pid: i32) {
        let Some(Some(busy)) = self.slots.get_mut(slot) else { return };
        busy.process = pid;
        // Without forks it is the host's process, which is not to be killed with the unit.
        let member = self.fleet.peek(busy.host);
        if member.mode == Mode::Fork {
            busy.pid = Some(pid);
            self.ran.forked_from.insert(member.pid);
        }
    }

    fn tell_start(&mut self, slot: usize, test: usize) {
        let Some(Some(busy)) = self.slots.get(slot) else { return };
        let expected = self.plan.seconds.get(test).copied().unwrap_or(0.0);
        let (split, pid) = (Some(busy.unit.split), Some(busy.process));
        let id = self.id(test);
        (self.show)(Happening::TestStarted(Started { id: &id, split, pid, expected }));
    }

    fn test_failed(&mut self, slot: usize, test: usize, blow: Blow) {
        let Some(Some(busy)) = self.slots.get_mut(slot) else { return };
        if self.attempts.more(test) {
            busy.blow.get_or_insert(blow);
            return;
        }
        let (host, split) = (busy.host, busy.unit.split);
        self.last_failed = Some(test);
        let failure = self.test_failure(host, test, Some(split), blow);
        self.failed(failure);
    }

    /// A test has come to an end: for good, or it is tried again in a fresh unit.
    fn test_ended(&mut self, slot: usize, test: usize, outcome: TestOutcome, details: Details) {
        let Some(Some(busy)) = self.slots.get_mut(slot) else { return };
        let (host, split, blow) = (busy.host, busy.unit.split, busy.blow.take());
        let failed = outcome.is_failure();
        let retried = failed && self.stage == Stage::Running && self.attempts.more(test);
        if let Some(blow) = blow.filter(|_| retried) {
            self.busy(slot, |busy| busy.repeated = Some(test));
            self.try_again(host, split, test, blow);
            return;
        }
        let id = self.id(test);
        self.ran.ledger.finished(&id, self.copy(test), outcome, details);
        (self.show)(Happening::TestEnded { id: &id, outcome });
        self.splits.test_ended(split, failed);
    }

    fn try_again(&mut self, host: usize, split: u32, test: usize, blow: Blow) {
        let (retry, of) = self.attempts.again(test);
        let id = self.id(test);
        let attempt = self.test_failure(host, test, Some(split), blow);
        self.ran.ledger.rerun(attempt);
        (self.show)(Happening::Retried { id: &id, retry, of });
        self.enqueue(split, vec![test]);
    }

    /// Puts tests that are left over to the front of the queue.
    fn enqueue(&mut self, split: u32, tests: Vec<usize>) {
        let seconds = tests.iter().filter_map(|&test| self.plan.seconds.get(test)).sum();
        let groups = tests.iter().filter_map(|test| self.groups.get(test)).cloned().collect();
        let unit = Unit { split, tests, seconds, groups };
        self.turns.add(&unit);
        self.queue.push_front(unit);
        self.splits.unit_added(split);
    }

    fn note_run(&mut self, slot: usize, test: usize, outcome: TestOutcome, seconds: f64) {
        let (id, copy) = (self.id(test), self.copy(test));
        let Some(Some(busy)) = self.slots.get_mut(slot) else { return };
        let began = busy.test.take().map_or(busy.since, |(_, began)| began);
        let run = TestRun { id, copy, outcome, started: self.journal.at(began), seconds };
        busy.finished.push((test, run));
    }

    /// A slot is free again. Whatever its unit did not get to goes into another one.
    pub(super) fn unit_exited(&mut self, slot: usize, exit: &Exit) {
        let Some(mut busy) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        if let Some(pid) = busy.pid {
            child::kill_group(pid);
        }
        if busy.broken.is_some() && self.fleet.member(busy.host).mode == Mode::Spawn {
            self.fleet.retire(busy.host);
        }
        self.row_ended(&mut busy);
        if !busy.is_whole() && self.stage == Stage::Running {
            self.bury(slot, &mut busy, exit);
            self.worker_lost(slot, &exit.how());
        }
        self.unit_ended(slot, &busy);
    }

    /// Nothing more comes of a unit: what it has left is noted.
    pub(super) fn unit_ended(&mut self, slot: usize, busy: &Busy) {
        let split = busy.unit.split;
        if self.job.measure.is_some() && (busy.is_whole() || !busy.finished.is_empty()) {
            let host = self.hand_over(busy);
            let (whole, finished) = (busy.ended.is_some(), busy.told());
            let unwritten = Unwritten { split, host, whole, finished };
            self.unwritten.insert(busy.number, unwritten);
        }
        self.keep(slot, busy);
        if busy.garbled && busy.ended.is_some() {
            self.problem(Some(split), "said what cannot be read".to_owned());
        }
        self.turns.ended(&busy.unit);
        if self.splits.unit_ended(split) && self.stage == Stage::Running {
            self.split_ended(split);
        }
        self.close_splits();
    }

    /// Which host writes what a unit has covered: for a collector the one that it belongs to.
    fn hand_over(&mut self, busy: &Busy) -> usize {
        if !self.fleet.peek(busy.host).collector {
            return busy.host;
        }
        let head = self.fleet.head();
        let folder = self.fleet.peek(head).host.unit_folder(busy.number);
        let (unit, split) = (busy.number, busy.unit.split);
        self.fleet
            .send(head, &json!({"cmd": "adopt", "unit": unit, "split": split, "folder": folder}));
        head
    }

    /// Keeps what a unit has run.
    fn keep(&mut self, slot: usize, busy: &Busy) {
        let run = UnitRun {
            unit: busy.number,
            split: busy.unit.split,
            slot,
            started: self.journal.at(busy.since),
            ended: self.journal.at(Instant::now()),
            whole: busy.ended.is_some(),
            tests: busy.finished.iter().map(|(_, run)| run.clone()).collect(),
        };
        if let Err(error) = self.journal.add(&run) {
            self.warn(format!("{error:#}"));
        }
        self.ran.units.push(run);
    }

    /// A unit died: the test that was running is named, and the rest goes on without it.
    fn bury(&mut self, slot: usize, busy: &mut Busy, exit: &Exit) {
        let split = busy.unit.split;
        let rest = busy.rest();
        match busy.killer() {
            Some(test) => self.bury_test(slot, busy, test, exit),
            None => {
                let how = exit.how();
                self.problem(Some(split), format!("lost a process between tests: {how}"));
                self.count_death();
            }
        }
        if !rest.is_empty() && self.stage == Stage::Running {
            self.enqueue(split, rest);
        }
    }

    fn bury_test(&mut self, slot: usize, busy: &mut Busy, test: usize, exit: &Exit) {
        let (phase, outcome, text) = match (&busy.broken, &busy.limit) {
            (Some(text), _) => {
                let text = format!("pytest broke down while this test ran:\n{text}");
                (Phase::Crash, TestOutcome::Crashed, text)
            }
            (None, Limit::Within) => {
                let text = format!("its process {} while this test ran", exit.how());
                (Phase::Crash, TestOutcome::Crashed, text)
            }
            (None, Limit::AskedForStacks(_)) => {
                (Phase::Timeout, TestOutcome::TimedOut, self.too_long(""))
            }
            (None, Limit::Killed(stacks)) => {
                (Phase::Timeout, TestOutcome::TimedOut, self.too_long(stacks))
            }
        };
        let split = busy.unit.split;
        let id = self.id(test);
        let began = busy.test.take().map_or(busy.since, |(_, began)| began);
        let seconds = PhaseSeconds { call: began.elapsed().as_secs_f64(), ..Default::default() };
        let started = self.journal.at(began);
        let copy = self.copy(test);
        let run = TestRun { id: id.clone(), copy, outcome, started, seconds: seconds.total() };
        busy.finished.push((test, run));
        if self.attempts.more(test) {
            self.try_again(busy.host, split, test, Blow::new(phase, text));
            return;
        }
        self.replay_crash(slot, &id, &text);
        let blow = Blow::new(phase, text);
        let failure = self.test_failure(busy.host, test, Some(split), blow);
        self.failed(failure);
        self.ran.ledger.finished(&id, copy, outcome, seconds.into());
        (self.show)(Happening::TestEnded { id: &id, outcome });
        self.splits.test_ended(split, true);
    }

    fn too_long(&self, stacks: &str) -> String {
        let limit = self.job.timeout.unwrap_or_default();
        let stacks = of_the_test(stacks);
        format!("the test ran longer than {limit} s\n{stacks}").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::of_the_test;

    #[test]
    fn stacks_are_those_of_the_test() {
        let stacks = "Current thread 0x1 (most recent call first):\n  \
            File \"/p/tests/test_a.py\", line 3 in test_a\n  \
            File \"/v/site-packages/_pytest/python.py\", line 187 in pytest_pyfunc_call\n  \
            File \"/v/site-packages/pluggy/_callers.py\", line 1 in _multicall\n  \
            File \"<xtask unit.py>\", line 37 in run_tests\n";
        let wanted = "Current thread 0x1 (most recent call first):\n  \
            File \"/p/tests/test_a.py\", line 3 in test_a";
        assert_eq!(of_the_test(stacks), wanted);
    }
}
