//! Stopping: tests that run too long, units that do not leave, signals, the end of the budget,
//! and hosts that are lost.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::conductor::{Conductor, FINISHING, Stage};
use super::host::Mode;
use super::slot::{Busy, Exit, Limit, Press};
use crate::engine::{Happening, Refusal, SplitState, child, tail};

/// How many units in a row may die outside of any test before we stop starting new ones.
const DEATHS: u32 = 3;
/// Between two looks at stacks that are being written. Nothing tells when they are complete but
/// their size, and on a busy machine the writer may have to wait for its turn.
const LOOK: Duration = Duration::from_millis(250);

/// Stacks that a host without forks is writing.
pub(super) struct Dump {
    slot: usize,
    size: u64,
    due: Instant,
}

impl Conductor<'_> {
    /// The next moment at which something must be done although nothing is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        let units = self.slots.iter().flatten().filter_map(|busy| busy.due(self.job.timeout));
        let dumps = self.dumps.iter().map(|dump| dump.due);
        let waiting = self.slots.iter().flatten().filter_map(Busy::next_waits_until);
        units.chain(dumps).chain(waiting).chain(self.deadline()).min()
    }

    /// When the hosts are killed, unless they have done what they were told.
    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Aborting(due) => Some(due),
            Stage::Finishing(due) => due,
            Stage::Collecting | Stage::Running | Stage::Done => None,
        }
    }

    /// Some test has run too long, some unit does not leave, or a host does not finish.
    pub(super) fn overdue(&mut self) {
        let now = Instant::now();
        if self.deadline().is_some_and(|due| due <= now) {
            self.fleet.kill(|_| true);
            self.stage = Stage::Finishing(None);
            return;
        }
        self.open_to_others(now);
        for slot in 0..self.slots.len() {
            let timeout = self.job.timeout;
            let Some(busy) = &mut self.slots[slot] else { continue };
            if busy.due(timeout).is_some_and(|due| due <= now) {
                let (press, number, host) = (busy.press(), busy.number, busy.host);
                self.press(slot, host, number, press);
            }
        }
        self.look_at_dumps(now);
    }

    fn press(&mut self, slot: usize, host: usize, unit: u32, press: Press) {
        let forked = self.fleet.member(host).mode == Mode::Fork;
        match press {
            Press::Stacks if forked => {
                self.fleet.send(host, &json!({"cmd": "stacks", "unit": unit}))
            }
            Press::Kill if forked => self.fleet.send(host, &json!({"cmd": "kill", "unit": unit})),
            Press::Stacks => {
                self.fleet.member(host).ask_for_stacks();
                self.dumps.push(Dump { slot, size: 0, due: Instant::now() + LOOK });
            }
            // With the unit goes its host; what it has covered is gathered.
            Press::Kill => self.fleet.member(host).host.child.kill_group(),
        }
    }

    /// Stacks that have stopped growing are complete, and the test can be ended.
    fn look_at_dumps(&mut self, now: Instant) {
        let due: Vec<Dump> = self.dumps.extract_if(.., |dump| dump.due <= now).collect();
        for dump in due {
            let Some(busy) = &self.slots[dump.slot] else { continue };
            let file = self.fleet.peek(busy.host).host.unit_folder(busy.number).join("stacks");
            let size = fs::metadata(&file).map_or(0, |file| file.len());
            if size > 0 && size == dump.size {
                let text = fs::read(&file).unwrap_or_default();
                self.stacks(busy.number, String::from_utf8_lossy(&text).into_owned());
            } else {
                self.dumps.push(Dump { size, due: now + LOOK, ..dump });
            }
        }
    }

    /// A test that ran too long has written down where it is; now it is ended.
    pub(super) fn stacks(&mut self, unit: u32, text: String) {
        let asked =
            |busy: &Busy| busy.number == unit && matches!(busy.limit, Limit::AskedForStacks(_));
        let found = self.slots.iter().position(|busy| busy.as_ref().is_some_and(asked));
        let Some(slot) = found else { return };
        self.busy(slot, |busy| busy.limit = Limit::Killed(text));
        let Some(busy) = &self.slots[slot] else { return };
        self.press(slot, busy.host, unit, Press::Kill);
    }

    /// Ctrl-C and the like: once in good order, twice at once.
    pub(super) fn signalled(&mut self, signal: i32) {
        let again = self.ran.interrupted.replace(signal).is_some();
        if again {
            self.fleet.kill(|_| true);
            self.stage = Stage::Finishing(None);
        } else if self.stage == Stage::Collecting {
            self.ran.ledger.close();
            self.fleet.kill(|_| true);
        } else if self.stage == Stage::Running {
            self.abort("interrupted");
        } else {
            // The tests are over: what is left is to save what they have covered.
            (self.show)(Happening::Stopping("interrupted"));
        }
    }

    /// `pytest.exit`, a KeyboardInterrupt, a plugin's `shouldstop`: a sequential run ends here.
    pub(super) fn stopped_itself(&mut self, slot: usize, why: &str, text: String) {
        if why == "internal-error" {
            // One test has broken pytest in its process; the others get a fresh one.
            self.busy(slot, |busy| busy.broken = Some(text));
        } else if why == "session-end" {
            let what = format!("has a worker whose session broke at its end:\n{}", text.trim());
            self.problem(self.split_in(slot), what);
        } else if self.stage == Stage::Running && !self.is_broken(slot) {
            self.ran.findings.push(self.who_stopped(slot, why, &text));
            self.ran.stopped = true;
            self.abort("a test or a plugin stopped the session");
        }
    }

    fn who_stopped(&self, slot: usize, why: &str, text: &str) -> String {
        // Of a traceback the last line says it; the test that met it shows the others.
        let last = text.trim().lines().last().unwrap_or_default();
        let test = self.slots.get(slot).and_then(Option::as_ref).and_then(Busy::killer);
        let who = test.map_or_else(|| "a plugin".to_owned(), |test| format!("`{}`", self.id(test)));
        match why {
            "exit" => format!("{who} stopped the session by `pytest.exit`: {last}"),
            _ => format!("{who} stopped the session: {last}"),
        }
    }

    fn is_broken(&self, slot: usize) -> bool {
        self.slots[slot].as_ref().is_some_and(|busy| busy.broken.is_some())
    }

    /// Ends all units now. What their finished tests have covered is kept.
    pub(super) fn abort(&mut self, why: &str) {
        if self.stage != Stage::Running {
            return;
        }
        (self.show)(Happening::Stopping(why));
        self.ran.ledger.close();
        self.queue.clear();
        self.stage = Stage::Aborting(Instant::now() + FINISHING);
        for (_, member) in self.fleet.living() {
            match member.mode {
                Mode::Fork => member.host.send(&json!({"cmd": "abort"})),
                // It hears nothing while it runs a unit.
                Mode::Spawn | Mode::Gather => {
                    member.retired = true;
                    member.host.child.kill_group();
                }
                Mode::Shards | Mode::Controller => {}
            }
        }
        let open = self.splits.open();
        open.into_iter().for_each(|split| self.tell_split(split, SplitState::Stopped));
    }

    /// A unit died outside of a test. Too often, and something is wrong that we cannot know.
    pub(super) fn count_death(&mut self) {
        self.deaths += 1;
        if self.deaths > DEATHS {
            self.abort("too many processes died between tests");
        }
    }

    /// A host's process has ended; what it said before is still to be heard.
    pub(super) fn exited(&mut self, host: usize, status: std::process::ExitStatus) {
        let collectors = self.fleet.collectors_of(host);
        let of_host = |busy: &&Busy| busy.host == host || collectors.contains(&busy.host);
        let pids = self.slots.iter().flatten().filter(of_host).filter_map(|busy| busy.pid);
        pids.for_each(child::kill_group);
        let member = self.fleet.member(host);
        member.status = Some(status);
        member.host.end_lines();
        // Without their host collectors do not go on.
        member.host.child.kill_group();
        collectors.for_each(|collector| self.fleet.member(collector).host.end_lines());
    }

    /// All that a host said has been heard: did it end as it should?
    pub(super) fn fell_silent(&mut self, host: usize) {
        if self.fleet.peek(host).gone {
            return;
        }
        self.fleet.lost(host);
        if self.fleet.peek(host).collector {
            return self.collector_fell_silent(host);
        }
        let member = self.fleet.peek(host);
        if member.retired && self.stage == Stage::Collecting {
            return;
        }
        let mode = member.mode;
        let well = member.retired || (member.bye.is_some() && self.is_finishing());
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
        let member = self.fleet.member(host);
        let how = member.status.map_or_else(String::new, child::describe);
        let usage = member.status.and_then(|status| status.code()) == Some(4);
        let log = member.host.log.clone();
        if member.bye.is_none() && !member.retired {
            let text = format!("{}\n({how})", tail(&log, 40));
            self.ran.refused.get_or_insert(Refusal { text, usage });
        }
        self.fleet.kill(|_| true);
    }

    /// A host that ran tests itself: the test that was running has ended it, and the rest goes
    /// to others.
    fn lost_while_running(&mut self, host: usize) {
        let member = self.fleet.member(host);
        let (ready, status, bye, retired) =
            (member.ready, member.status, member.bye, member.retired);
        let slot = self.slots.iter().position(|it| it.as_ref().is_some_and(|it| it.host == host));
        match slot {
            Some(slot) => self.unit_exited(slot, &Exit::of(status, bye)),
            None if retired => {}
            None if self.stage == Stage::Running && (ready || bye.is_none()) => {
                let how = status.map_or_else(String::new, child::describe);
                self.problem(None, format!("lost a process between tests: {how}"));
                self.count_death();
            }
            None if self.stage == Stage::Running => self.broken(host, "collected nothing"),
            None => {}
        }
    }

    /// A host that all depended on, or one that could not write what it had.
    fn lost_for_good(&mut self, host: usize) {
        let member = self.fleet.member(host);
        let how = member.status.map_or_else(String::new, child::describe);
        let what = match member.bye {
            Some(exit) => format!("ended its session early, with pytest's exit status {exit}"),
            None => format!("was ended by {how}"),
        };
        let mode = member.mode;
        self.broken(host, &what);
        if mode != Mode::Gather {
            self.queue.clear();
            let due = self.deadline();
            self.stage = Stage::Finishing(due);
            // They hear nothing while they run a unit.
            self.fleet.kill(|member| member.mode == Mode::Spawn);
            self.lose_units(|_| true);
            let open = self.splits.open();
            open.into_iter().for_each(|split| self.tell_split(split, SplitState::Stopped));
            self.finish(due);
        }
    }

    /// Units whose host is gone: no test of theirs is to blame, and what they have covered is kept.
    pub(super) fn lose_units(&mut self, of: impl Fn(&Busy) -> bool) {
        for slot in 0..self.slots.len() {
            let Some(busy) = self.slots[slot].take_if(|busy| of(busy)) else { continue };
            busy.pid.into_iter().for_each(child::kill_group);
            self.unit_ended(slot, &busy);
        }
    }
}
