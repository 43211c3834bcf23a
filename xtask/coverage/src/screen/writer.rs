//! What is said goes to stdout and stderr by a thread of its own, in order: a reader that has
//! stopped, as a pager does or a terminal after Ctrl-S, delays neither time limits nor Ctrl-C.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::write;

use crate::engine::jobserver::Client;
use crate::engine::jobserver::message::Told;
use crate::threads;

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// How long a reader may read nothing when this process is to end by a signal.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes what is said, and never waits for who reads it.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Without a thread of its own, who says something writes it.
    has_thread: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Who prints it in our place: several runs share the streams.
    client: Option<Arc<Client>>,
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Bytes that were written.
    written: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<(Stream, String)>,
    /// The thread writes what it has taken from here.
    is_writing: bool,
    /// Nothing more will be said.
    is_closed: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && !self.is_writing
    }
}

impl Writer {
    /// Writes to the streams of this process, or has the one that started this run print it.
    pub(super) fn new(client: Option<&Arc<Client>>) -> Writer {
        let shared = Arc::new(Shared { client: client.cloned(), ..Shared::default() });
        let its = Arc::clone(&shared);
        let has_thread =
            threads::spawn("that prints", move || its.write_all_that_is_said()).is_ok();
        Writer { shared, has_thread }
    }

    /// Says something.
    pub(super) fn say(&self, stream: Stream, text: String) {
        if text.is_empty() {
            return;
        }
        if !self.has_thread {
            return self.shared.write(stream, &text);
        }
        let mut queue = self.shared.queue();
        match queue.pieces.back_mut() {
            Some((last, said)) if *last == stream => said.push_str(&text),
            _ => queue.pieces.push_back((stream, text)),
        }
        self.shared.changed.notify_all();
    }

    /// Whether something is still to be written: what would be outdated soon need not be said.
    pub(super) fn is_busy(&self) -> bool {
        !self.shared.queue().is_empty()
    }

    /// Waits until all is written. Once `is_ending`, not for a reader that does not read.
    pub(super) fn flush(&self, is_ending: impl Fn() -> bool) {
        const LOOK: Duration = Duration::from_millis(50);
        let mut queue = self.shared.queue();
        let (mut written, mut since) =
            (self.shared.written.load(Ordering::Relaxed), Instant::now());
        while !queue.is_empty() {
            let now = self.shared.written.load(Ordering::Relaxed);
            if now != written || !is_ending() {
                (written, since) = (now, Instant::now());
            } else if since.elapsed() >= PATIENCE {
                return;
            }
            let waited = self.shared.changed.wait_timeout(queue, LOOK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_that_is_said(&self) {
        let mut queue = self.queue();
        loop {
            let pieces = std::mem::take(&mut queue.pieces);
            queue.is_writing = !pieces.is_empty();
            if queue.is_writing {
                drop(queue);
                pieces.iter().for_each(|(stream, text)| self.write(*stream, text));
                queue = self.queue();
                continue;
            }
            self.changed.notify_all();
            if queue.is_closed {
                return;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Not by the standard library's own streams: while one of these waits nobody else can use it,
    /// and it gives up on a stream that does not wait.
    fn write(&self, stream: Stream, text: &str) {
        /// A pipe takes as much as a whole; a larger piece does not show how far it has come.
        const PIECE: usize = 4096;
        if let Some(client) = &self.client {
            let error = stream == Stream::Err;
            client.tell(&Told::Said { error, text: text.to_owned() });
            self.written.fetch_add(text.len() as u64, Ordering::Relaxed);
            return;
        }
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let piece = &left[..left.len().min(PIECE)];
            let written = match stream {
                Stream::Out => write(std::io::stdout(), piece),
                Stream::Err => write(std::io::stderr(), piece),
            };
            match written {
                Ok(count) => {
                    left = &left[count..];
                    self.written.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(Errno::EINTR) => {}
                // Whoever shares the terminal or the pipe with us does not want to wait for it.
                Err(Errno::EAGAIN) => thread::sleep(Duration::from_millis(5)),
                // A reader that went away is no error.
                Err(_) => return,
            }
        }
    }
}
