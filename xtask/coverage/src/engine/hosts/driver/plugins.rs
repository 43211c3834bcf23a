//! What plugins of pytest hear of tests, in the session of the host that is their controller, and
//! what they make of it.

use serde_json::json;

use super::{Driver, Stage};
use crate::engine::Happening;
use crate::engine::hosts::session::SessionEnd;
use crate::engine::schedule::{Input, Why};

impl Driver<'_> {
    /// How much the controller wants to hear.
    pub(super) fn listens(&mut self, replays: u8) {
        self.session.listens(replays);
        self.hosts.listens(replays);
    }

    /// The controller has been configured: so can be workers.
    pub(super) fn nodes(&mut self, inputs: Vec<String>, replays: u8) {
        self.listens(replays);
        self.session.plugins_know_workers();
        self.hosts.configure(inputs, replays);
    }

    /// Plugins tell workers from the controller: a worker collects, the host hears of tests.
    pub(super) fn worker_collects(&mut self, host: usize, why: &str, replays: u8) {
        self.listens(replays);
        self.session.plugins_know_workers();
        self.hosts.worker_collects(host);
        self.account.show(Happening::Detail(&format!("One worker collects for all: {why}")));
    }

    /// Has plugins hear of a test that ended in a slot.
    pub(super) fn replay(&mut self, slot: usize, test: Option<usize>, calls: String) {
        if self.is_finishing() || self.stage == Stage::Collecting {
            return;
        }
        if let Some(calls) = self.account.replay(slot, test, calls) {
            self.tell_plugins(slot, &calls);
        }
    }

    /// Has plugins hear of a test.
    pub(super) fn tell_plugins(&mut self, slot: usize, calls: &str) {
        let told = json!({"cmd": "replay", "slot": slot, "calls": calls});
        self.hosts.tell_controller(&told);
    }

    /// Has plugins hear of a test whose process died.
    pub(super) fn replay_crash(&mut self, slot: usize, id: &str, text: &str) {
        if self.session.hears() {
            let told = json!({"cmd": "crashed", "slot": slot, "id": id, "text": text});
            self.hosts.tell_controller(&told);
        }
    }

    /// A worker has ended, with what its plugins have for those of the controller.
    pub(super) fn worker_down(&mut self, slot: usize, output: &str, status: Option<i32>) {
        self.hosts.tell_controller(&json!({"cmd": "down", "slot": slot, "output": output}));
        if let Some(status) = status {
            let sentence = format!(
                "a plugin ended the session of worker gw{slot} with exit status {status}, though \
                 no test of it failed"
            );
            self.account.ran().findings.push(sentence);
        }
    }

    /// A worker died.
    pub(super) fn worker_lost(&mut self, slot: usize, how: &str) {
        if self.session.knows_workers() && self.stage == Stage::Running {
            self.hosts.tell_controller(&json!({"cmd": "down", "slot": slot, "error": how}));
        }
    }

    /// A plugin that hears of tests wants no more of them, or broke.
    pub(super) fn session_stopped(&mut self, why: &str, text: &str) {
        self.session.stops();
        if why == "internal-error" {
            let log = self.hosts.log(self.hosts.head());
            let what = format!("a plugin broke when it heard of a test: {text}; see `{log}`");
            self.account.problem(None, what);
        } else if !std::mem::replace(&mut self.account.ran().stopped, true) {
            // A worker whose plugins have heard the same may have said so before.
            let sentence = format!("a plugin stopped the session: {text}");
            self.account.ran().findings.push(sentence);
        }
        if self.stage == Stage::Running {
            self.tell(Input::Stop(Why::Session));
        }
    }

    /// Tests cannot be run from hosts here, as one says: another engine has to.
    pub(super) fn cannot_host(&mut self, why: String) {
        self.account.ran().unsuitable.get_or_insert(why);
        self.hosts.kill(|_| true);
        self.stage = Stage::Done;
    }

    /// A session is over; that of the controller says something about the run.
    pub(super) fn session_ended(&mut self, host: usize, end: SessionEnd) {
        if host == self.hosts.head() {
            let words = self.session.ends(end);
            self.account.ran().closing_words.extend(words);
        }
    }
}
