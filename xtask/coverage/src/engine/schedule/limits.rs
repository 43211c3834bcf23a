//! Limits: tests that run too long, units that do not leave, processes that do nothing.

use super::io::Action;
use super::running::{Limit, Press, Reason};
use super::{Scheduler, Stage};

impl Scheduler {
    /// Time has passed: some test has run too long, some unit does not leave, or an end that was
    /// asked for does not come.
    pub(super) fn overdue(&mut self) {
        if let Stage::Aborting(due) = self.stage
            && due <= self.now
        {
            self.say(Action::KillAll);
            self.stage = Stage::Aborting(self.now + super::FINISHING);
            return;
        }
        self.open_to_others();
        for slot in 0..self.slots.len() {
            let (timeout, now) = (self.rules.timeout, self.now);
            let Some(running) = &mut self.slots[slot] else { continue };
            if running.due(timeout).is_some_and(|due| due <= now) {
                let press = running.press(now);
                self.press(slot, press);
            }
        }
    }

    pub(super) fn press(&mut self, slot: usize, press: Press) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        let (host, unit) = (running.host(), running.number());
        self.say(match press {
            Press::Stacks => Action::Stacks { slot, host, unit },
            Press::Kill => Action::Kill { slot, host, unit },
        });
    }

    /// Ends what runs in a slot at once.
    pub(super) fn kill(&mut self, slot: usize, reason: Reason) {
        self.change(slot, |running| running.killed_for(reason));
        self.press(slot, Press::Kill);
    }

    /// A test that ran too long has written down where it is; now it is ended.
    pub(super) fn stacks_written(&mut self, slot: usize) {
        let Some(Some(running)) = self.slots.get(slot) else { return };
        if matches!(running.limit(), Limit::AskedForStacks(_)) {
            self.kill(slot, Reason::Time);
        }
    }
}
