//! What a run and the server say to each other, a line of JSON each. Both are the same program.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::Workers;

/// Both ends must be of one version: a program may be replaced while it runs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a run says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Told {
    /// Whole lines for one of the streams.
    Said {
        /// For stderr.
        error: bool,
        /// With their ends.
        text: String,
    },
    /// What goes on, in a line for people.
    Doing(String),
    /// Tests are about to be collected and run.
    Begins(Terms),
    /// How many processes it has and could use.
    Needs(Needs),
    /// A test has failed: does that count? The run waits for the answer.
    Failed,
    /// A failure that has counted does so no more.
    Withdrawn,
    /// No process of it runs tests any more, nor will.
    Over,
    /// What it came to. It is the last message.
    Ended(Value),
}

/// What a run is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Terms {
    /// How many processes it may have.
    pub workers: Workers,
    /// It can only use so many at a time.
    pub grain: usize,
    /// How many failures end it; 0 means never.
    pub budget: u64,
}

/// What a run has and could use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Needs {
    /// The number of the last share that it has heard of.
    pub heard: u64,
    /// Processes that run tests.
    pub running: usize,
    /// How many it could have run, these included.
    pub wanted: usize,
    /// Those that run cannot end before the run does.
    pub keeps: bool,
    /// Of the processes that run.
    pub memory: Growths,
}

/// Memory in bytes, as far as processes have grown and will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Growths {
    /// What one more process is taken to grow by.
    pub need: u64,
    /// What those that run are still taken to grow by.
    pub still: u64,
    pub grown: u64,
    /// What the one has grown by that has grown most.
    pub largest: u64,
}

/// What the server says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// The first message: what to run.
    Begin(Begin),
    /// How many processes there may be from now on.
    Share(Share),
    /// So many tests have failed in all runs; told before the tests of this one begin.
    Failures(u64),
    /// Whether the failure that was told counts.
    Counted {
        /// It does.
        counts: bool,
        /// How many have counted in other runs.
        others: u64,
    },
    /// The failure budget is used up.
    Stop,
}

/// What to run, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Begin {
    pub version: String,
    pub root: Utf8PathBuf,
    /// The folder that paths of the joint answer begin at.
    pub top: Utf8PathBuf,
    /// Which of the projects it is, from 0.
    pub number: usize,
    /// Colours on stdout and on stderr.
    pub colours: (bool, bool),
    /// Somebody looks at what goes on.
    pub watched: bool,
}

/// How many processes a run may have, and what it must know of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Share {
    /// From 1, one more each time.
    pub number: u64,
    /// Of its own.
    pub processes: usize,
    /// Of all other runs.
    pub others: Others,
}

/// What the other runs have, all in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Others {
    /// Bytes that their processes are still taken to grow by.
    pub still: u64,
    /// Bytes that they have grown by.
    pub grown: u64,
    /// Bytes that the one has grown by that has grown most.
    pub largest: u64,
    /// Failures that count.
    pub failures: u64,
}
