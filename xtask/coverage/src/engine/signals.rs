//! Ctrl-C, SIGTERM and SIGHUP. While an engine runs, it is told and stops its processes in
//! good order; at any other time everything we started ends at once, and so do we.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::child::end_all;
use crate::exit::Exit;

type Listener = Box<dyn Fn(i32) + Send>;

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// A signal has arrived that nobody has dealt with yet. It is set at once, before anything that
/// the signal ends can be seen to have ended.
static ARRIVED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Takes charge of the signals, once, at the start of the program. Where one ends the process,
/// `leave` is called before.
pub fn watch(leave: impl Fn() + Send + 'static) -> Result<()> {
    const ALL: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];
    for signal in ALL {
        flag::register(signal, Arc::clone(&ARRIVED)).context("failed to watch for signals")?;
    }
    // Registered later, so that it is told later: whoever hears of a signal finds it arrived.
    let mut signals = Signals::new(ALL).context("failed to watch for signals")?;
    thread::spawn(move || signals.forever().for_each(|signal| received(signal, &leave)));
    Ok(())
}

fn received(signal: i32, leave: &dyn Fn()) {
    let listener = LISTENER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match listener.as_ref() {
        Some(tell) => {
            ARRIVED.store(false, Ordering::SeqCst);
            tell(signal);
        }
        None => {
            end_all();
            leave();
            std::process::exit(Exit::Interrupted(signal).code().into());
        }
    }
}

/// Does not return where a signal is ending this process: what failed just now, failed because
/// its processes were killed, and is not worth a word.
pub fn settle() {
    while ARRIVED.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// As long as it lives, signals go to the function it was made with.
#[derive(Debug)]
pub struct Listening(());

/// Has `tell` called with the number of each signal that arrives.
pub fn listen(tell: impl Fn(i32) + Send + 'static) -> Listening {
    set(Some(Box::new(tell)));
    Listening(())
}

impl Drop for Listening {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(listener: Option<Listener>) {
    *LISTENER.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = listener;
}
