//! How a run can end, as an exit code, and the error that carries one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The documented exit codes. pytest's and coverage's own numbers where they have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Exit {
    /// Everything asked for was done and every test passed.
    Passed,
    /// Tests failed, crashed or timed out, or the failure budget was used up.
    TestsFailed,
    /// A file is not what it would be if it were written now.
    Outdated,
    /// A coverage threshold was missed.
    BelowThreshold,
    /// The engine failed, or coverage data is missing or damaged.
    Incomplete,
    /// The command line, the configuration or the environment is wrong.
    Usage,
    /// There was no test to run.
    NoTests,
    /// pytest's own exit status, where nothing was run but what it shows was passed on.
    Pytest(u8),
    /// Stopped by a signal: SIGINT and SIGHUP say 130, SIGTERM says 143.
    Interrupted(i32),
}

impl Exit {
    /// The number the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Passed => 0,
            Exit::TestsFailed | Exit::Outdated => 1,
            Exit::BelowThreshold => 2,
            Exit::Incomplete => 3,
            Exit::Usage => 4,
            Exit::NoTests => 5,
            Exit::Pytest(code) => code,
            Exit::Interrupted(signal) if signal == nix::libc::SIGTERM => 143,
            Exit::Interrupted(_) => 130,
        }
    }

    /// Of two endings that both hold, the one the exit code names:
    /// 130/143, 4, 3, 1, 5, 2, 0.
    pub(crate) fn worse(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::Interrupted(_) => 6,
            Exit::Usage => 5,
            Exit::Incomplete => 4,
            Exit::TestsFailed | Exit::Outdated | Exit::Pytest(1..) => 3,
            Exit::NoTests => 2,
            Exit::BelowThreshold => 1,
            Exit::Passed | Exit::Pytest(0) => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// An error that knows the exit code it ends the process with. Every other error is
/// an [`Exit::Incomplete`]: something of ours broke, so the result cannot be trusted.
#[derive(Debug)]
pub(crate) struct Fault {
    exit: Exit,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// What the user typed, configured or installed is wrong: exit code 4.
/// Usable as an error of its own and as a context around another.
pub(crate) fn usage(message: impl Into<String>) -> Fault {
    Fault { exit: Exit::Usage, message: message.into() }
}

/// There is nothing to run: exit code 5.
pub(crate) fn no_tests(message: impl Into<String>) -> Fault {
    Fault { exit: Exit::NoTests, message: message.into() }
}

/// A signal ended the work before there was a run: exit code 130 or 143.
pub(crate) fn interrupted(signal: i32) -> Fault {
    Fault { exit: Exit::Interrupted(signal), message: "interrupted".to_owned() }
}

/// The exit code that an error asks for.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Fault>().map_or(Exit::Incomplete, |fault| fault.exit)
}
