//! Ctrl-C, SIGTERM and SIGHUP: while an engine runs, it is told and stops its processes in good
//! order; at any other time everything we started ends at once, and so do we. Ctrl-Z stops
//! everything, at any time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, raise};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::child::end_all;
use super::clock;
use super::suspend::suspend;
use crate::exit::Exit;
use crate::threads;

type Listener = Box<dyn Fn(Arrived) + Send>;

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// A signal has arrived that nobody has dealt with yet. It is set at once, before anything that
/// the signal ends can be seen to have ended.
static ARRIVED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// A signal has arrived that ends this process, sooner or later.
static ENDING: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// What is told to whoever draws on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A signal ends this process now.
    Ends,
    /// This process is about to be suspended.
    Suspends,
    /// It goes on.
    Resumes,
}

/// Takes charge of the signals, once, at the start of the program. What that does to this process
/// is told to `notify`.
pub(crate) fn watch(notify: impl Fn(Notice) + Send + 'static) -> Result<()> {
    let failed = || "failed to watch for signals";
    let ends: Vec<i32> = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_for_us).collect();
    for signal in &ends {
        flag::register(*signal, Arc::clone(&ARRIVED)).with_context(failed)?;
        flag::register(*signal, Arc::clone(&ENDING)).with_context(failed)?;
    }
    // Registered later, so that it is told later: whoever hears of a signal finds it arrived.
    let mut signals = Signals::new(&ends).with_context(failed)?;
    if is_for_us(&SIGTSTP) {
        signals.add_signal(SIGTSTP).with_context(failed)?;
    }
    threads::spawn("that waits for signals", move || {
        loop {
            let arrived: Vec<i32> = signals.wait().collect();
            arrived.into_iter().for_each(|signal| match signal {
                SIGTSTP => suspended(&mut signals, &notify),
                _ => received(signal, &notify),
            });
        }
    })
}

/// `nohup` has its program ignore SIGHUP, and a shell may ignore Ctrl-Z: that is meant to stay so.
/// A shell without job control has what it starts in the background ignore Ctrl-C, which such
/// jobs get all the same when somebody sends it to them.
fn is_for_us(signal: &i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    *signal == SIGINT || ignored.unwrap_or_default() & (1 << (signal - 1)) == 0
}

fn received(signal: i32, notify: &dyn Fn(Notice)) {
    let listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
    match listener.as_ref() {
        Some(tell) => {
            ARRIVED.store(false, Ordering::SeqCst);
            tell(Arrived(Some(signal)));
        }
        None => {
            end_all();
            notify(Notice::Ends);
            #[expect(clippy::disallowed_methods, reason = "all children are ended")]
            std::process::exit(Exit::Interrupted(signal).code().into());
        }
    }
}

/// This process is one of several runs: the one that has started it stops them all, with all that
/// descends from them, and has them go on.
static IS_STOPPED_BY_ANOTHER: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Leaves Ctrl-Z to the process that has started this one.
pub(crate) fn leave_suspending_to_another() -> Result<()> {
    // What came last decides, and the kernel delivers these two in the order in which they were
    // sent.
    let last = Arc::<AtomicUsize>::default();
    let failed = || "failed to watch for signals";
    flag::register_usize(SIGTSTP, Arc::clone(&last), 1).with_context(failed)?;
    flag::register_usize(SIGCONT, Arc::clone(&last), 0).with_context(failed)?;
    let _ = IS_STOPPED_BY_ANOTHER.set(last);
    Ok(())
}

fn suspended(signals: &mut Signals, notify: &dyn Fn(Notice)) {
    if let Some(last) = IS_STOPPED_BY_ANOTHER.get() {
        return clock::stand_still(|| {
            while last.load(Ordering::SeqCst) == 1 {
                thread::sleep(Duration::from_millis(5));
            }
        });
    }
    let mut others = Vec::new();
    notify(Notice::Suspends);
    suspend(|| {
        // Of Ctrl-Z pressed twice the second one comes before we stop: as to any other program it
        // has nothing more to say. What ends us does not wait until we go on.
        others.extend(signals.pending().filter(|&signal| signal != SIGTSTP));
        others.is_empty()
    });
    notify(Notice::Resumes);
    others.into_iter().for_each(|signal| received(signal, notify));
}

/// Does not return where a signal is ending this process: what failed just now, failed because
/// its processes were killed, and is not worth a word.
pub(crate) fn settle() {
    while ARRIVED.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a signal has arrived that ends this process, at once or after the run.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// A signal that an engine is told. If nobody hears of it, for it came when the engine listened
/// no more, it is sent once more: it ends this process then.
#[derive(Debug)]
pub(crate) struct Arrived(Option<i32>);

impl Arrived {
    /// The signal; it is taken care of.
    pub(crate) fn hear(mut self) -> i32 {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let signal = self.0.and_then(|signal| Signal::try_from(signal).ok());
        let _ = signal.map(raise);
    }
}

/// As long as it lives, signals go to the function it was made with. It must be gone before what
/// that function tells them to.
pub(crate) struct Listening(Option<Listener>);

/// Has `tell` called with each signal that arrives, in the place of whoever has listened before.
pub(crate) fn listen(tell: impl Fn(Arrived) + Send + 'static) -> Listening {
    Listening(set(Some(Box::new(tell))))
}

impl Drop for Listening {
    fn drop(&mut self) {
        set(self.0.take());
    }
}

/// Returns who has listened before.
fn set(listener: Option<Listener>) -> Option<Listener> {
    let mut now = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut now, listener)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use signal_hook::consts::SIGURG;

    use super::*;

    /// With a signal that ends nothing.
    #[test]
    fn a_signal_that_no_engine_hears_of_is_sent_once_more() {
        let again = Arc::<AtomicBool>::default();
        flag::register(SIGURG, Arc::clone(&again)).expect("a handler");
        let (tell, hear) = channel();
        let arrives = || tell.send(Arrived(Some(SIGURG)));
        arrives().expect("somebody who listens");
        assert_eq!(hear.recv().expect("a signal").hear(), SIGURG);
        assert!(!again.load(Ordering::SeqCst), "it was heard");
        arrives().expect("somebody who listens");
        drop(hear);
        assert!(again.swap(false, Ordering::SeqCst), "nobody heard of it");
        drop(arrives());
        assert!(again.load(Ordering::SeqCst), "nobody listens");
    }
}
