//! Threads that may not be there: a limit on processes or on memory is an error, never a panic.

use std::thread::{Builder, JoinHandle};

use anyhow::{Result, anyhow};

/// Ours read lines or wait. Where address space is limited, small stacks leave room for more.
const STACK: usize = 512 * 1024;

/// Starts a thread that nobody waits for. `what` says what it is for, as the end of a sentence.
pub(crate) fn spawn(what: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    start(what, work).map(drop)
}

/// Starts a thread whose result is waited for.
pub(crate) fn start<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    Builder::new().stack_size(STACK).spawn(work).map_err(|error| {
        anyhow!(
            "failed to start a thread {what}: {error}; raise the limits on processes and memory \
             (`ulimit -u`, `ulimit -v`), or run fewer workers"
        )
    })
}
