//! Parts of what is said that a service folds away.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::service::Service;
use super::writer::Stream;
use super::{Progress, one_line};

/// A part of a stream that a service folds away, while this lives. Nothing elsewhere.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    progress: &'a Progress,
    stream: Stream,
    number: usize,
}

impl<'a> Fold<'a> {
    pub(super) fn begin(progress: &'a Progress, stream: Stream, title: &str) -> Fold<'a> {
        let number = progress.folds.fetch_add(1, Ordering::Relaxed) + 1;
        let fold = Fold { progress, stream, number };
        let title = one_line(title);
        fold.write(|service, now| service.begin(number, now, &service.escaped(&title)));
        fold
    }

    fn write(&self, line: impl FnOnce(Service, u64) -> String) {
        let Some(service) = self.progress.service() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.progress.writer.say(self.stream, line(service, now) + "\n");
    }
}

impl Drop for Fold<'_> {
    fn drop(&mut self) {
        self.write(|service, now| service.end(self.number, now));
    }
}
