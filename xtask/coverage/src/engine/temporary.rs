//! The folder of a run for temporary files, where several processes share it: pytest's rules of
//! retention are kept when the last of them has ended.

use std::fs;

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::{Job, Ran};

/// What the process that has made the folder says of it.
#[derive(Debug, Deserialize)]
struct Shared {
    base: Utf8PathBuf,
    remove: Remove,
}

/// When pytest would remove the folder at the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Remove {
    Always,
    Passed,
    Never,
}

impl Remove {
    fn is_due(self, passed: bool) -> bool {
        self == Remove::Always || self == Remove::Passed && passed
    }
}

/// Unlocks the folder, or removes it if nothing of it is to be kept. A folder that the user has
/// named stays.
pub(crate) fn release(job: &Job, ran: &Ran) {
    let text = fs::read_to_string(job.folder.basetemp()).unwrap_or_default();
    let Ok(shared) = serde_json::from_str::<Shared>(&text) else { return };
    // Made by a process that was not the last one, so that process has left it.
    let _ = fs::remove_file(shared.base.join(".lock"));
    let passed = ran.ledger.tally().failures() == 0 && ran.interrupted.is_none();
    if shared.remove.is_due(passed) {
        // What is left is pytest's to remove, after a few more sessions.
        let _ = fs::remove_dir_all(shared.base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pytest_keeps_is_kept() {
        let due = |remove: Remove| [true, false].map(|passed| remove.is_due(passed));
        assert_eq!(due(Remove::Always), [true, true]);
        assert_eq!(due(Remove::Passed), [true, false]);
        assert_eq!(due(Remove::Never), [false, false]);
    }
}
