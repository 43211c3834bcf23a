//! What the scheduler is told, and what it wants done. All of it can be written down and read
//! back, which is what a trace is.
//!
//! Everything is a number: a `slot` in which one process runs at a time, from 0, those of the pool
//! first; a `host`, in the order of their start; a `unit`, never used twice in a run; a `split`,
//! from 1; a `test`, its place in the order of collection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::jobserver::message::{Needs, Share};
use crate::machine::meter::Reading;
use crate::settings::Workers;
use crate::split::{Isolation, Unit};

/// What does not change during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rules {
    /// Units run in forks of what has collected them; else each slot has a host of its own.
    pub forks: bool,
    /// Which tests share a process.
    pub isolation: Isolation,
    /// Nobody has said which tests share one: a process that gets slower may end.
    #[serde(default)]
    pub replaces_slow: bool,
    /// How many times a failed test is tried again.
    pub retries: u32,
    /// How many failures end the run; 0 means never.
    pub budget: u64,
    /// Seconds for one test.
    pub timeout: Option<f64>,
    /// How many processes there may be.
    pub workers: Workers,
    /// A failure in a fork is confirmed before it counts.
    pub confirms: bool,
    /// Bytes that a process may grow by.
    pub memory_per_test: Option<u64>,
    /// Bytes that processes of this suite have grown by, from earlier runs.
    pub memory_growth: Option<u64>,
    /// Other runs have a part in the processes: it is told how many this one may have, and may
    /// have none before.
    #[serde(default)]
    pub shared: bool,
}

impl Rules {
    /// How many units can run at once, with the one that runs in a fresh process to confirm
    /// something.
    pub(crate) fn slots(&self) -> usize {
        self.workers.most + usize::from(self.confirms)
    }
}

/// What there is to run. Tests are numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suite {
    /// In the order in which they are to run where nothing speaks against it.
    pub units: Vec<Unit>,
    /// The numbers of the splits, also of empty ones.
    pub splits: Vec<u32>,
    /// What each test is expected to take.
    pub seconds: Vec<f64>,
    /// The group of each test that is in one.
    pub groups: BTreeMap<usize, String>,
    /// The host that has collected each test; empty where every host has them all.
    pub holders: Vec<usize>,
    /// What it took to collect.
    pub collect_seconds: f64,
    /// Failures that were told before: of files that cannot be collected.
    pub failures: u64,
    /// Plugins know each worker, from its start to its end.
    pub knows_workers: bool,
    /// More may be claimed while it runs.
    #[serde(default)]
    pub tail: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Input {
    Collected(Suite),
    /// A host obeys: it serves this slot, or all of them.
    HostReady {
        host: usize,
        /// Its slot, where it runs units itself.
        slot: Option<usize>,
    },
    /// A host that runs units itself is gone, and all it said was heard.
    HostLost {
        host: usize,
    },
    /// No host could be started for a slot, or it does not know the tests.
    CannotStart {
        slot: usize,
    },
    /// The process of a unit says who it is.
    ProcessStarted {
        slot: usize,
        pid: i32,
        /// Bytes that it has; a fork shares them with its parent.
        memory: Option<u64>,
    },
    TestStarted {
        slot: usize,
        test: usize,
    },
    /// A phase of a test has failed.
    TestFailed {
        slot: usize,
        test: usize,
    },
    /// A test has come to its end.
    TestEnded {
        slot: usize,
        test: usize,
        /// Some phase has failed.
        failed: bool,
    },
    /// pytest itself could not cope with the test that runs in a slot.
    Broken {
        slot: usize,
    },
    /// A process is about to run the last test of its unit: what follows?
    Asked {
        slot: usize,
    },
    /// A process has run all tests of its unit: may it begin what was to follow?
    Through {
        slot: usize,
    },
    /// All results of a unit are safe.
    UnitEnded {
        slot: usize,
        /// Its process begins the next one.
        goes_on: bool,
        /// Seconds that it took to set up fixtures of the session.
        fixtures: f64,
    },
    /// The process of a unit is gone.
    UnitExited {
        slot: usize,
        /// Seconds of CPU that it took.
        cpu: f64,
        /// Its tests have left processes running.
        leftovers: bool,
        /// By SIGKILL.
        killed: bool,
    },
    /// The stacks of a unit are there, or will not come.
    StacksWritten {
        slot: usize,
    },
    /// A failure that is no test's.
    OtherFailure,
    /// What the machine is doing.
    Machine(Reading),
    /// What this run may have of what several share.
    Share(Share),
    /// What was claimed is to be run here as well.
    Claimed {
        units: Vec<Unit>,
    },
    /// There is nothing more to claim.
    TailOver,
    /// The run has to end.
    Stop(Why),
    /// Time has passed.
    Tick,
}

/// Why a run ends before all tests have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// The failure budget is used up.
    Budget,
    Signal,
    /// A test or a plugin stopped the session.
    Session,
    /// Too many processes died between tests.
    Deaths,
    /// A worker cannot be set up.
    Setup,
    /// A host that all depend on is gone, or cannot be trusted.
    Lost,
    /// The hosts do not agree on the tests.
    Disagreement,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Have a host run a unit.
    Run {
        slot: usize,
        host: usize,
        /// The number of the unit, never used twice.
        unit: u32,
        /// The split of its tests.
        split: u32,
        /// What to run, in this order.
        tests: Vec<usize>,
        /// In the process of this unit, when that has ended; else in a new one.
        after: Option<u32>,
        /// It asks what follows.
        asks: bool,
        /// It confirms something: what it covers is not part of the run.
        trial: bool,
    },
    /// A process goes on with what it was given to follow this unit.
    Go {
        host: usize,
        /// The unit that it is through with.
        after: u32,
    },
    /// A process ends with this unit.
    Leave { host: usize, after: u32 },
    /// Have a unit write down its stacks.
    Stacks { slot: usize, host: usize, unit: u32 },
    /// End a unit at once.
    Kill { slot: usize, host: usize, unit: u32 },
    /// Start a host that runs units itself.
    StartHost {
        slot: usize,
        /// It is to know only the files of these tests; empty: all.
        only: Vec<usize>,
    },
    /// End a host that runs units itself: nothing more is to run in it.
    EndHost { host: usize },
    /// The first unit of a split begins.
    SplitStarted { split: u32 },
    /// A split has run.
    SplitEnded {
        split: u32,
        /// It had tests.
        ran: bool,
    },
    /// A split does not run to its end.
    SplitStopped { split: u32 },
    /// No process can add to the data of these splits any more.
    CloseSplits { splits: Vec<u32> },
    /// A test runs.
    Started { slot: usize, test: usize },
    /// What was said of the failure of a test counts, before the test has ended.
    Failed { slot: usize, test: usize },
    /// A test has ended, or its process has with it.
    Ended(Ended),
    /// What becomes of a failure that was held back.
    Settled {
        /// The unit in which it failed.
        unit: u32,
        test: usize,
        /// What counts.
        verdict: Verdict,
    },
    /// A process was lost, and no test is to blame.
    LostBetweenTests {
        slot: usize,
        /// The split of its unit.
        split: Option<u32>,
    },
    /// A test uses no processor and says nothing: shown, with its stacks.
    Quiet {
        slot: usize,
        host: usize,
        unit: u32,
        test: usize,
        /// For so many seconds.
        seconds: u64,
    },
    /// Nothing more comes of a unit.
    Over(UnitOver),
    /// A process is gone.
    ProcessOver {
        /// Seconds that it took of its slot.
        seconds: f64,
        cpu: f64,
        /// To start, to end and to set up fixtures of the session.
        starting: f64,
        /// Of these for the fixtures.
        fixtures: f64,
    },
    /// So many processes may run at once from now on.
    Workers { allowed: usize },
    /// Tell what this run has and could use.
    Needs(Needs),
    /// No process is started until there is more memory.
    WaitsForMemory {
        /// Bytes that a process is taken to need.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Claim more: what is there does not last.
    Claim,
    /// All units have died: nothing is claimed here.
    ClaimNothing,
    /// End all units now; nothing more is started.
    Abort { why: Why },
    /// Kill whatever is left: it was told to end, and did not.
    KillAll,
    /// Nothing runs any more: what was measured can be put together.
    Finish {
        /// It is not to take long.
        hurry: bool,
    },
}

/// The end of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub slot: usize,
    /// The unit that it ran in.
    pub unit: u32,
    pub test: usize,
    /// Why its process ended with it; none where it came to its own end.
    pub cause: Option<Cause>,
    /// What that means for the run.
    pub fate: Fate,
}

/// Why a process ended with a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// pytest itself could not cope with it.
    Broken,
    /// By itself, or by somebody else.
    Died,
    /// By us: the test ran too long.
    TimedOut,
    /// By us, or by the kernel: there was no memory left.
    OutOfMemory {
        /// Bytes by which it grew during this test.
        during: u64,
        before: u64,
    },
    /// By us: it did nothing, and passes in a fresh process.
    Hung,
}

/// What the end of a test means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    Counts,
    /// It failed and is tried again: the how manyth time, of how many.
    Retried(u32, u32),
    /// It is not to blame for the end of its process, and runs again.
    Again,
    /// It failed, and that is held back until it is confirmed.
    Held,
    /// It ran to confirm something.
    Trial,
}

/// What counts of a test whose failure was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The failure: it fails in a fresh process as well.
    Confirmed,
    /// The failure, though it passed whenever it was repeated.
    Flaky,
    /// The failure: there was no time to repeat it, or no way.
    Unconfirmed,
    /// What it did in the fresh process of this unit: it fails in forks only.
    Fresh(u32),
}

/// What is known of a unit of which nothing more comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitOver {
    pub unit: u32,
    /// The split of its tests.
    pub split: u32,
    pub slot: usize,
    pub host: usize,
    /// When it was given away, in seconds since the run began.
    pub since: f64,
    /// It came to its end.
    pub whole: bool,
    /// It ran to confirm something.
    pub trial: bool,
    /// How many tests told their own end.
    pub told: usize,
}
