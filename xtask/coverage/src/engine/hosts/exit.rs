//! How processes end that run units or collect: told by their parents, or seen by us.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::engine::child;

/// How a unit's process ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Exit {
    code: Option<i32>,
    /// The signal that ended it.
    signal: Option<i32>,
    /// Why there was no process.
    error: Option<String>,
}

impl Exit {
    /// That of a host which ran a unit itself; pytest's exit status, where it came to that.
    pub(super) fn of(status: Option<ExitStatus>, bye: Option<i32>) -> Exit {
        let code = bye.or_else(|| status?.code());
        Exit { code, signal: status.and_then(|status| status.signal()), ..Exit::default() }
    }

    pub(super) fn how(&self) -> String {
        match (&self.error, self.signal, self.code) {
            (Some(error), ..) => format!("could not be started ({error})"),
            (None, Some(number), _) => format!("was ended by {}", child::signal_name(number)),
            (None, None, Some(code)) => format!("ended early with exit code {code}"),
            (None, None, None) => "ended early, and nobody knows how".to_owned(),
        }
    }

    /// By SIGKILL, which may be the kernel's.
    pub(super) fn is_kill(&self) -> bool {
        self.signal == Some(Signal::SIGKILL as i32)
    }
}
