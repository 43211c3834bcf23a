//! Orphans: processes that tests have started and whose parents are gone. We are their parent
//! then (`adopt_orphans`), so that none outlives the run; and like init we have to take note of
//! their ends, or a test that waits for the end of a daemon would wait for ever.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::{Handle, Signals};

use super::processes;
use crate::threads;

/// The children that somebody here waits for.
static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Starts a child that somebody here will wait for: `start` returns it with its process id.
pub(super) fn keep_from_reaping<T>(start: impl FnOnce() -> Result<(T, i32)>) -> Result<T> {
    let mut ours = ours();
    let (child, pid) = start()?;
    ours.insert(pid);
    Ok(child)
}

/// No child that somebody here waits for is started while the answer lives.
pub(super) fn hold_starts() -> impl Drop {
    ours()
}

/// Children that belong to no engine and outlive its run.
static FOR_LATER: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Has no engine end or reap a child of ours that is needed after its run.
pub(crate) fn keep_for_later(pid: u32) {
    let mut kept = FOR_LATER.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend(i32::try_from(pid));
}

pub(super) fn for_later() -> BTreeSet<i32> {
    FOR_LATER.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What commands before the tests have left running: no engine ends it.
static SPARED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Spares what a command has left running: what is in its process group, or has this mark in its
/// environment. Returns it.
pub(super) fn spare(group: i32, mark: &str) -> Vec<i32> {
    let all = processes::all();
    let is_its = |process: &&processes::Process| {
        process.group == group || has_in_environment(process.pid, mark)
    };
    let family = processes::family(&all, processes::me(), &for_later());
    let left: Vec<i32> = family.iter().filter(is_its).map(|process| process.pid).collect();
    spared_now().extend(&left);
    left
}

fn has_in_environment(pid: i32, mark: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes())
}

/// They are as all others again.
pub(super) fn spare_no_more(pids: &[i32]) {
    spared_now().retain(|pid| !pids.contains(pid));
}

pub(super) fn spared() -> BTreeSet<i32> {
    spared_now().clone()
}

fn spared_now() -> MutexGuard<'static, BTreeSet<i32>> {
    SPARED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ours() -> MutexGuard<'static, BTreeSet<i32>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, orphans that have ended disappear. Meanwhile children are only started
/// with [`Child::start`](super::child::Child::start).
#[derive(Debug)]
pub(super) struct Reaping(Handle);

/// Begins to reap orphans.
pub(super) fn reap() -> Result<Reaping> {
    let mut signals = Signals::new([SIGCHLD]).context("failed to watch for ended processes")?;
    let handle = signals.handle();
    threads::spawn("that looks for ended processes", move || {
        signals.forever().for_each(|_| reap_ended());
    })?;
    Ok(Reaping(handle))
}

impl Drop for Reaping {
    fn drop(&mut self) {
        self.0.close();
        // Whoever is reaping at this moment has the lock.
        ours().clear();
    }
}

fn reap_ended() {
    let (ours, later) = (ours(), for_later());
    let me = processes::me();
    let ended = |process: &processes::Process| process.parent == me && process.ended;
    for process in processes::all().into_iter().filter(ended) {
        if !ours.contains(&process.pid) && !later.contains(&process.pid) {
            let _ = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}
