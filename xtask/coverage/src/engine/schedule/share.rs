//! Where several runs share the machine: how many processes this one may have of theirs, and what
//! it tells of itself for that.

use super::{Action, Scheduler, Stage};
use crate::engine::jobserver::message::{self, Growths, Needs};

#[derive(Debug, Default)]
pub(super) struct Share {
    number: u64,
    /// Tests that have failed in other runs.
    pub(super) failures: u64,
    /// Some unit could have started in one process more.
    pub(super) has_too_little: bool,
    memory: Growths,
    told: Option<Needs>,
}

impl Scheduler {
    /// The number of processes that this run may have is another one.
    pub(super) fn shared(&mut self, share: message::Share) {
        let before = self.pool.allowed();
        self.pool.share(share.processes);
        self.memory.others(share.others);
        self.share.number = share.number;
        self.share.failures = share.others.failures;
        // Not for fewer: what cannot start for want of memory would ask for more at once, and so
        // on for ever.
        self.may_start |= self.pool.allowed() > before;
    }

    /// Whether a unit could start if there were one process more.
    pub(super) fn could_start(&self) -> bool {
        match self.rules.forks {
            true => self.next_start().is_some(),
            // Hosts are there for those that were to begin with.
            false => self.busy_in_pool() < self.rules.workers.start,
        }
    }

    /// Tells what this run has and could use, where that has changed.
    pub(super) fn tell_needs(&mut self) {
        if !self.rules.shared {
            return;
        }
        let needs = Needs { memory: self.share.memory, ..self.needs() };
        if self.share.told != Some(needs) {
            let memory = self.memory.growths();
            self.share.memory = memory;
            self.share.told = Some(Needs { memory, ..needs });
            self.say(Action::Needs(Needs { memory, ..needs }));
        }
    }

    /// All but the memory: to look at that costs, and it was looked at with the machine.
    fn needs(&self) -> Needs {
        let running = self.busy_in_pool();
        let waits = self.share.has_too_little && !self.queue.is_empty();
        let more = match self.stage {
            Stage::Running if waits => self.queue.len(),
            Stage::Running if self.could_confirm_in_fork() => 1,
            _ => 0,
        };
        Needs {
            heard: self.share.number,
            running,
            wanted: (running + more).min(self.pool.most()),
            keeps: self.suite.knows_workers,
            memory: Growths::default(),
        }
    }

    /// The machine was looked at.
    pub(super) fn note_growths(&mut self) {
        self.share.memory = self.memory.growths();
    }
}
