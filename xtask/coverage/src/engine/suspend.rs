//! Ctrl-Z: all that descends from us stops, and then this process does. When it is told to go on,
//! so is all that it has stopped.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;

use super::processes::{Process, all, family, is_orphaned, me, sweep};
use super::{child, clock, orphans};

/// What SIGTSTP does, if all still `stands` when the others have stopped. Returns when this process
/// goes on, at once if nothing could have it go on.
pub(super) fn suspend(stands: impl FnOnce() -> bool) {
    let all = all();
    let ours = all.iter().find(|process| process.pid == me());
    if ours.is_some_and(|process| is_orphaned(&all, process.group)) {
        return;
    }
    clock::stand_still(|| {
        // None starts while we look, or it would run on.
        let _starting = orphans::hold_starts();
        let stopped = stop_descendants(ours);
        if stands() {
            let _ = raise(Signal::SIGSTOP);
        }
        stopped.iter().for_each(|&pid| child::send(Pid::from_raw(pid), Signal::SIGCONT));
    });
}

/// Stops them; those that are to go on with us. What had been stopped before stays so, unless it
/// was by the signal that we have got, too, as part of our process group.
fn stop_descendants(ours: Option<&Process>) -> BTreeSet<i32> {
    let mut stopped = BTreeSet::new();
    let is_ours = |process: &Process| ours.is_some_and(|it| it.group == process.group);
    let mut send = |signal: Signal| {
        sweep(&BTreeSet::new(), |new, _, _| {
            for process in new.iter().filter(|process| !process.ended) {
                if !process.stopped {
                    child::send(Pid::from_raw(process.pid), signal);
                }
                if !process.stopped || is_ours(process) {
                    stopped.insert(process.pid);
                }
            }
        });
    };
    // Some want to know: our plugin in the stock engine stops its time limits, too.
    send(Signal::SIGTSTP);
    wait_until_all_stand_still();
    // Others do not listen to that.
    send(Signal::SIGSTOP);
    stopped
}

/// They have a moment for it.
fn wait_until_all_stand_still() {
    const LOOK: Duration = Duration::from_millis(10);
    let is_still = |process: &Process| process.stopped || process.ended;
    let all_are = || family(&all(), me(), &BTreeSet::new()).iter().all(is_still);
    for _ in 0..20 {
        if all_are() {
            return;
        }
        thread::sleep(LOOK);
    }
}
