//! The stacks that a host without forks writes when it is asked. Nothing tells when they are
//! complete but their size, and on a busy machine the writer may have to wait for its turn.

use std::fs;
use std::time::Duration;

use camino::Utf8PathBuf;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Those that are being written.
#[derive(Debug, Default)]
pub(super) struct Dumps(Vec<Dump>);

#[derive(Debug)]
struct Dump {
    slot: usize,
    unit: u32,
    file: Utf8PathBuf,
    size: u64,
    due: Duration,
}

impl Dumps {
    /// A unit was asked for its stacks, and writes them to this file.
    pub(super) fn add(&mut self, slot: usize, unit: u32, file: Utf8PathBuf, now: Duration) {
        self.0.push(Dump { slot, unit, file, size: 0, due: now + LOOK });
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.iter().map(|dump| dump.due).min()
    }

    /// Nothing more comes of a slot.
    pub(super) fn forget(&mut self, slot: usize) {
        self.0.retain(|dump| dump.slot != slot);
    }

    /// Those that are complete, for they have stopped growing: the slot, the unit and the text.
    pub(super) fn look(&mut self, now: Duration) -> Vec<(usize, u32, String)> {
        let mut complete = Vec::new();
        for dump in self.0.extract_if(.., |dump| dump.due <= now).collect::<Vec<Dump>>() {
            let size = fs::metadata(&dump.file).map_or(0, |file| file.len());
            if size > 0 && size == dump.size {
                let text = fs::read(&dump.file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                complete.push((dump.slot, dump.unit, text));
            } else {
                self.0.push(Dump { size, due: now + LOOK, ..dump });
            }
        }
        complete
    }
}
