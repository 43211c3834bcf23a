//! What the scheduler does about memory: whether one more process may start, and which has to end.

use super::io::{Action, Cause};
use super::running::{Limit, Reason, Running};
use super::{Scheduler, confirm};
use crate::engine::limits::Headroom;
use crate::machine::meter::Reading;

impl Scheduler {
    /// A process ended for want of memory: by how much it had grown, and when.
    pub(super) fn out_of_memory(&self, slot: usize) -> Cause {
        let (during, before) = self.memory.grown(slot);
        Cause::OutOfMemory { during, before }
    }

    /// Whether the kernel has ended a process that was killed.
    pub(super) fn kernel_has_ended(&mut self, killed: bool) -> bool {
        killed && self.memory.was_kernel()
    }

    /// Whether there is memory for one more process beside so many. One there always may be.
    pub(super) fn has_room(&mut self, busy: usize) -> bool {
        match self.memory.headroom(1) {
            _ if busy == 0 => true,
            Headroom::Enough => true,
            Headroom::TooLittle { needed, available, is_known } => {
                if !is_known {
                    self.say(Action::WaitsForMemory { needed, available });
                }
                false
            }
        }
    }

    /// Ends a process that is too large, before the kernel ends one.
    pub(super) fn watch_memory(&mut self, reading: Reading) {
        self.memory.take(reading, self.now);
        let is_ending = |limit: Limit| matches!(limit, Limit::Killed(_));
        if self.slots.iter().flatten().any(|running| is_ending(running.limit())) {
            // What that one has will be free soon.
            return;
        }
        if let Some(slot) = self.memory.too_large() {
            self.kill(slot, Reason::Memory);
        }
    }

    /// Whether a test that was running when its process ran out of memory may run again, in a
    /// process of its own: tests before it have left what grew (a thread, a cache), or others
    /// beside it had taken the memory.
    pub(super) fn is_not_to_blame(
        &mut self,
        slot: usize,
        running: &Running,
        test: usize,
        cause: Option<Cause>,
    ) -> bool {
        let Some(Cause::OutOfMemory { during, .. }) = cause else { return false };
        let others = self.memory.grown_elsewhere(slot);
        let is_alone = running.is_in_first_test() && self.memory.is_too_large_alone(during, others);
        self.is_running() && !is_alone && self.attempts.repeat(test)
    }

    /// Looks for processes that do nothing.
    pub(super) fn watch_for_hangs(&mut self) {
        for slot in self.memory.quiet(confirm::QUIET, self.now) {
            self.quiet(slot);
        }
    }
}
