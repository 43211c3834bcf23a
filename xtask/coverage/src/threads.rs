//! Threads that may not be there: a limit on processes or on memory is an error, never a panic.

use std::io::{Error, ErrorKind};
use std::thread::{Builder, JoinHandle};

use anyhow::{Result, anyhow};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Ours read lines or wait. Where address space is limited, small stacks leave room for more.
const STACK: usize = 512 * 1024;
/// Address space that no thread may take: without any the next allocation ends this process.
const RESERVE: u64 = 2 * 1024 * 1024;

/// Starts a thread that nobody waits for. `what` says what it is for, as the end of a sentence.
pub(crate) fn spawn(what: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    start(what, work).map(drop)
}

/// Starts a thread whose result is waited for.
pub(crate) fn start<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let started = match has_room() {
        true => Builder::new().stack_size(STACK).spawn(work),
        false => Err(Error::from(ErrorKind::OutOfMemory)),
    };
    started.map_err(|error| {
        anyhow!(
            "failed to start a thread {what}: {error}; raise the limits on processes and memory \
             (`ulimit -u`, `ulimit -v`), or run fewer workers"
        )
    })
}

/// Whether there is address space for a stack and for what else is needed.
fn has_room() -> bool {
    match getrlimit(Resource::RLIMIT_AS) {
        Ok((limit, _)) if limit != RLIM_INFINITY => {
            let used = used().unwrap_or_default();
            limit.saturating_sub(used) >= RESERVE + STACK as u64
        }
        _ => true,
    }
}

/// Bytes of address space that this process has; none where that is not known.
fn used() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
