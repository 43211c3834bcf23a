//! Ends: of units, of hosts, of the run; in good order, and after signals and losses.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::json;

use super::{Driver, Stage};
use crate::engine::hosts::exit::Exit;
use crate::engine::hosts::host::Mode;
use crate::engine::limits::waits_for_memory;
use crate::engine::schedule::{FINISHING, Input, UnitOver, Verdict, Why};
use crate::engine::{Happening, Refusal, SplitState, child, tail};
use crate::model::{Failure, NodeId, Phase, PhaseFailure};

impl Driver<'_> {
    /// The process of a unit is gone.
    pub(super) fn unit_exited(&mut self, slot: usize, exit: &Exit, cpu: f64, leftovers: bool) {
        self.process_is_gone(slot, exit);
        self.tell(Input::UnitExited { slot, cpu, leftovers, killed: exit.is_kill() });
    }

    /// Notes how the process in a slot has ended, and ends what it has left in its group.
    fn process_is_gone(&mut self, slot: usize, exit: &Exit) {
        if exit.is_kill() {
            self.read_machine_now();
        }
        self.account.exited(slot, exit.how());
        if let Some(group) = self.slot_is_free(slot) {
            child::kill_group(group);
        }
    }

    /// Nothing more comes of a unit: what it has left is noted.
    pub(super) fn over(&mut self, over: &UnitOver) {
        let now = self.now();
        self.account.unit_over(over, now);
        if !over.whole && self.given(over.slot).is_none() && !over.trial {
            let how = self.account.how_ended(over.slot).to_owned();
            self.worker_lost(over.slot, &how);
        }
        if over.trial {
            self.unwritten.add_trial(over);
        } else {
            self.keep_data(over);
        }
    }

    fn keep_data(&mut self, over: &UnitOver) {
        if self.job.measure.is_some() && (over.whole || over.told > 0) {
            let host = self.hand_over(over);
            self.unwritten.add(over, host);
        }
    }

    /// Which host writes what a unit has covered: for a collector the one that it belongs to.
    fn hand_over(&mut self, over: &UnitOver) -> usize {
        if !self.hosts.is_collector(over.host) && !over.trial {
            return over.host;
        }
        let head = self.hosts.head();
        self.adopt(head, over.unit, over.split, over.host);
        head
    }

    /// Has a host write what a unit of another one has left.
    fn adopt(&mut self, host: usize, unit: u32, split: u32, of: usize) {
        let folder = self.hosts.unit_folder(of, unit);
        let command = json!({"cmd": "adopt", "unit": unit, "split": split, "folder": folder});
        self.hosts.send(host, &command);
    }

    /// It is known what becomes of a failure that was held back.
    pub(super) fn settled(&mut self, unit: u32, test: usize, verdict: Verdict) {
        if let Some((slot, calls)) = self.account.settled(unit, test, verdict) {
            self.tell_plugins(slot, &calls);
        }
        // What the test did in the fork stays as well: what later tests of that process have
        // executed again was not noted again.
        if let Verdict::Fresh(unit) = verdict
            && let Some(over) = self.unwritten.trial_counts(unit)
        {
            self.keep_data(&over);
        }
    }

    pub(super) fn split_ended(&mut self, split: u32, ran: bool) {
        if ran && self.forks() && self.job.measure.is_some() {
            self.account.ran().expected.splits.insert(split);
        }
        self.tell_split(split, SplitState::Completed);
    }

    /// Units run in forks.
    pub(super) fn forks(&self) -> bool {
        matches!(self.hosts.mode(), Mode::Fork | Mode::Shards)
    }

    /// Tells how a split has ended.
    pub(super) fn tell_split(&mut self, split: u32, state: SplitState) {
        let log = self.hosts.log(self.hosts.head()).to_owned();
        let now = self.now();
        self.account.split_ends(split, state, &log, now);
    }

    /// A process was lost, and no test is to blame.
    pub(super) fn lost_between_tests(&mut self, slot: usize, split: Option<u32>) {
        let how = self.account.how_ended(slot);
        let what = format!("lost a process between tests: its process {how}");
        self.account.problem(split, what);
    }

    /// A host that is to run units itself is wanted.
    pub(super) fn start_host(&mut self, slot: usize, only: &[usize]) {
        let ids: Vec<String> = only.iter().map(|&test| self.account.id(test)).collect();
        match self.hosts.add_worker(slot, &ids) {
            Ok(host) => self.note_wanted(host, only, ids),
            Err(error) => {
                self.account.warn(format!("could not start another host: {error:#}"));
                self.tell(Input::CannotStart { slot });
            }
        }
    }

    /// Ends a unit at once.
    pub(super) fn kill(&mut self, host: usize, unit: u32) {
        match self.hosts.slot_of(host) {
            None => self.hosts.send(host, &json!({"cmd": "kill", "unit": unit})),
            // With the unit goes its host; what it has covered is gathered.
            Some(_) => self.hosts.kill_process(host),
        }
    }

    /// A unit has written down where it is.
    pub(super) fn stacks(&mut self, slot: usize, unit: u32, text: String) {
        if self.given(slot).is_some_and(|(running, _)| running == unit) {
            self.show_quiet(slot, &text);
            self.account.stacks(slot, text);
            self.tell(Input::StacksWritten { slot });
        }
    }

    /// A test does nothing: its stacks are on their way.
    pub(super) fn quiet(&mut self, slot: usize, test: usize, seconds: u64) {
        self.account.is_quiet(slot, test);
        let id = self.account.id(test);
        let what = format!("`{id}` has used no processor and said nothing for {seconds} s");
        self.account.show(Happening::Note(&what));
    }

    fn show_quiet(&mut self, slot: usize, text: &str) {
        if let Some(words) = self.account.words_of_quiet(slot, text) {
            self.account.show(Happening::Note(&words));
        }
    }

    /// The number of processes that may run has changed.
    pub(super) fn workers_changed(&mut self, allowed: usize) {
        self.account.show(Happening::Detail(&format!("{allowed} workers may run at once now")));
    }

    /// No process is started until there is more memory.
    pub(super) fn waits(&mut self, needed: u64, available: u64) {
        let words = waits_for_memory("worker", needed, available);
        self.account.show(Happening::Note(&words));
    }

    /// Ends all units now. What their finished tests have covered is kept.
    pub(super) fn abort(&mut self, why: Why) {
        let words = match why {
            Why::Budget => "the failure budget is used up",
            Why::Signal => "interrupted",
            Why::Session => "a test or a plugin stopped the session",
            Why::Deaths => "too many processes died between tests",
            Why::Setup => "a worker cannot be set up",
            Why::Lost => "a process that all depend on is lost",
            Why::Disagreement => "the hosts do not agree on the tests",
        };
        self.account.ran().aborted |= why == Why::Budget;
        self.account.show(Happening::Stopping(words));
        self.account.ran().ledger.close();
        self.hosts.abort();
    }

    /// Has hosts write what they have, and another one what lost hosts have left.
    pub(super) fn finish(&mut self, due: Option<Duration>) {
        self.stage = Stage::Finishing(due);
        let orphans = self.unwritten.orphans(&self.hosts.living());
        let failed = self.account.so_far().ledger.failed_ids().len();
        self.hosts.finish(&json!({"cmd": "finish", "failed": failed}));
        self.finish_head();
        if orphans.is_empty() {
            return;
        }
        match self.hosts.gather() {
            Ok(host) => {
                for (unit, split, dead) in orphans {
                    self.adopt(host, unit, split, dead);
                }
                self.hosts.send(host, &json!({"cmd": "finish"}));
            }
            Err(error) => {
                self.account.problem(None, format!("could not start a host: {error:#}"));
            }
        }
    }

    /// The host that hears of tests finishes when all have that run them.
    pub(super) fn finish_head(&mut self) {
        if self.is_finishing() && self.hosts.head_finishes() {
            let failed = self.account.so_far().ledger.failed_ids().len();
            let collected = self.account.plan().ids.len();
            let told = json!({"cmd": "finish", "failed": failed, "collected": collected});
            let head = self.hosts.head();
            self.hosts.send(head, &told);
        }
    }

    /// Ctrl-C and the like: once in good order, twice at once.
    pub(super) fn signalled(&mut self, signal: i32) {
        let again = self.account.ran().interrupted.replace(signal).is_some();
        if again {
            self.hosts.kill(|_| true);
            self.stage = Stage::Finishing(None);
        } else if self.stage == Stage::Collecting {
            self.account.ran().ledger.close();
            self.hosts.kill(|_| true);
        } else if self.stage == Stage::Running {
            self.tell(Input::Stop(Why::Signal));
        } else {
            // The tests are over: what is left is to save what they have covered.
            self.account.show(Happening::Stopping("interrupted"));
        }
    }

    /// `pytest.exit`, a KeyboardInterrupt, a plugin's `shouldstop`: a sequential run ends here.
    pub(super) fn stopped_itself(&mut self, slot: usize, why: &str, text: String) {
        if why == "internal-error" {
            // One test has broken pytest in its process; the others get a fresh one.
            self.account.broke(slot, text);
            self.tell(Input::Broken { slot });
        } else if self.account.is_trial(slot) {
            // What it was to confirm is not reached.
        } else if why == "session-end" {
            let what = format!("has a worker whose session broke at its end:\n{}", text.trim());
            self.account.problem(self.account.split_in(slot), what);
        } else if self.stage == Stage::Running && !self.account.is_broken(slot) {
            let who = self.who_stopped(slot, why, &text);
            // Its controller may have said so before.
            if !std::mem::replace(&mut self.account.ran().stopped, true) {
                self.account.ran().findings.push(who);
            }
            self.tell(Input::Stop(Why::Session));
        }
    }

    fn who_stopped(&self, slot: usize, why: &str, text: &str) -> String {
        // Of a traceback the last line says it; the test that met it shows the others.
        let last = text.trim().lines().last().unwrap_or_default();
        let test = self.account.test_in(slot);
        let who = test
            .map_or_else(|| "a plugin".to_owned(), |test| format!("`{}`", self.account.id(test)));
        match why {
            "exit" => format!("{who} stopped the session by `pytest.exit`: {last}"),
            _ => format!("{who} stopped the session: {last}"),
        }
    }

    /// A host did what it must not: its results cannot be trusted.
    pub(super) fn broken(&mut self, host: usize, what: &str) {
        let log = self.hosts.log(host);
        let what = format!("the host {what}; see `{log}`");
        self.account.problem(None, what);
    }

    /// What is known of a failure in a host that is no test's.
    pub(super) fn failure_outside(
        &mut self,
        host: usize,
        id: String,
        split: Option<u32>,
        phase_failure: PhaseFailure,
    ) {
        let log = self.hosts.log(host).to_owned();
        let counts = self.account.other_failure(Failure::new(id, split, phase_failure, Some(log)));
        if counts && self.stage == Stage::Running {
            self.tell(Input::OtherFailure);
        }
    }

    /// A file cannot be collected.
    pub(super) fn uncollectable(&mut self, host: usize, id: String, text: String) {
        self.failure_outside(host, id, None, PhaseFailure::new(Phase::Collect, text));
    }

    /// An error came to light when the tests of a unit were over; `test` was its last one.
    pub(super) fn left_behind(&mut self, host: usize, slot: usize, test: usize, text: String) {
        if self.account.is_trial(slot) {
            return;
        }
        let file = NodeId(&self.account.id(test)).file().to_owned();
        let split = self.account.split_in(slot);
        self.failure_outside(host, file, split, PhaseFailure::new(Phase::Late, text));
    }

    /// A host's process has ended; what it said before is still to be heard.
    pub(super) fn exited(&mut self, host: usize, status: ExitStatus) {
        let collectors = self.hosts.collectors_of(host);
        let of_host = |it: usize| it == host || collectors.contains(&it);
        self.forked_from(of_host).into_iter().for_each(child::kill_group);
        self.hosts.ended(host, status);
    }

    /// All that a host said has been heard: did it end as it should?
    pub(super) fn fell_silent(&mut self, host: usize) {
        if !self.hosts.lost(host) {
            return;
        }
        if self.hosts.is_collector(host) {
            return self.collector_fell_silent(host);
        }
        let (mode, retired) = (self.hosts.mode_of(host), self.hosts.is_retired(host));
        if retired && self.stage == Stage::Collecting {
            return;
        }
        let well = retired || (self.hosts.bye(host).is_some() && self.is_finishing());
        if self.stage == Stage::Collecting {
            self.lost_while_collecting(host);
        } else if mode == Mode::Spawn && !self.is_finishing() {
            self.lost_while_running(host);
        } else if !well {
            self.lost_for_good(host);
        }
        // It may have been the last one that the controller waits for.
        self.finish_head();
    }

    /// Hosts may say `bye`: they were told to finish.
    pub(super) fn is_finishing(&self) -> bool {
        matches!(self.stage, Stage::Finishing(_) | Stage::Done)
    }

    /// Nothing has run: pytest refused, could not collect, or its process died.
    fn lost_while_collecting(&mut self, host: usize) {
        let status = self.hosts.status(host);
        let how = status.map_or_else(String::new, child::describe);
        let usage = status.and_then(|status| status.code()) == Some(4);
        if self.hosts.bye(host).is_none() && !self.hosts.is_retired(host) {
            let text = format!("{}\n({how})", tail(self.hosts.log(host), 40));
            self.account.ran().refused.get_or_insert(Refusal::of_pytest(&text, usage));
        }
        self.hosts.kill(|_| true);
    }

    /// A host that ran tests itself: the test that was running has ended it, and the rest goes
    /// to others.
    fn lost_while_running(&mut self, host: usize) {
        let exit = Exit::of(self.hosts.status(host), self.hosts.bye(host));
        if let Some(slot) = self.slot_of_unit_in(host) {
            self.process_is_gone(slot, &exit);
            return self.tell(Input::HostLost { host });
        }
        let Some(slot) = self.hosts.slot_of(host) else { return };
        if self.hosts.is_retired(host) {
            return self.tell(Input::HostLost { host });
        }
        self.account.exited(slot, exit.how());
        match self.hosts.is_ready(host) {
            true => self.tell(Input::HostLost { host }),
            false => self.host_did_not_start(host, slot),
        }
    }

    fn host_did_not_start(&mut self, host: usize, slot: usize) {
        if slot < self.job.pool.most && self.hosts.bye(host).is_some() {
            self.broken(host, "collected nothing");
        } else if slot < self.job.pool.most {
            let how = self.account.how_ended(slot).to_owned();
            self.broken(host, &how);
        }
        self.tell(Input::CannotStart { slot });
    }

    /// A host that all depended on, or one that could not write what it had.
    fn lost_for_good(&mut self, host: usize) {
        let how = self.hosts.status(host).map_or_else(String::new, child::describe);
        let what = match self.hosts.bye(host) {
            Some(exit) => format!("ended its session early, with pytest's exit status {exit}"),
            None => format!("was ended by {how}"),
        };
        let mode = self.hosts.mode_of(host);
        self.broken(host, &what);
        if mode == Mode::Gather {
            return;
        }
        // They hear nothing while they run a unit.
        self.hosts.kill(|mode| mode == Mode::Spawn);
        self.forked_from(|_| true).into_iter().for_each(child::kill_group);
        self.tell(Input::Stop(Why::Lost));
        if !self.is_finishing() {
            self.finish(Some(self.now() + FINISHING));
        }
    }
}
