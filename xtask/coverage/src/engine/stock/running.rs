//! What is known of a split that runs.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Instant;

use camino::Utf8PathBuf;
use nix::unistd::Pid;

use super::super::child::{Child, Lines};
use super::super::clock;
use super::super::journal::TestRun;

/// A split that runs.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) lines: Lines,
    pub(super) slot: u32,
    pub(super) started: Instant,
    pub(super) status: Option<ExitStatus>,
    pub(super) drained: bool,
    /// The session told its end: pytest's exit status.
    pub(super) bye: Option<i32>,
    /// From here on, what goes wrong is no refusal of pytest.
    pub(super) collected: bool,
    pub(super) tests: u64,
    pub(super) failed: u64,
    /// Tests that began and did not end.
    pub(super) open: Vec<Open>,
    /// Tests that ended, and the lane of each.
    pub(super) finished: Vec<(u32, TestRun)>,
    pub(super) workers: Vec<Worker>,
    pub(super) data: Vec<Utf8PathBuf>,
    /// What processes of tests have begun.
    pub(super) saved: Vec<Utf8PathBuf>,
    pub(super) bad_line: Option<String>,
}

/// A test that runs. Which worker of xdist has it is not told: it is given the first lane that
/// is free, of as many as there are workers.
pub(super) struct Open {
    pub(super) id: String,
    pub(super) began: Instant,
    pub(super) lane: u32,
}

impl Running {
    pub(super) fn began(&self, id: &str) -> Option<Instant> {
        self.open.iter().find(|open| open.id == id).map(|open| open.began)
    }

    /// A split that has just been started.
    pub(super) fn new(child: Child, lines: Lines, slot: u32) -> Running {
        Running {
            child,
            lines,
            slot,
            started: clock::now(),
            status: None,
            drained: false,
            bye: None,
            collected: false,
            tests: 0,
            failed: 0,
            open: Vec::new(),
            finished: Vec::new(),
            workers: Vec::new(),
            data: Vec::new(),
            saved: Vec::new(),
            bad_line: None,
        }
    }

    /// The processes that run its tests.
    pub(super) fn pids(&self) -> Vec<i32> {
        match self.workers.as_slice() {
            [] => vec![self.child.id()],
            workers => workers.iter().map(|worker| worker.pid.as_raw()).collect(),
        }
    }

    /// A test begins. One that is repeated goes on.
    /// Where several tests have its id, it may be another one of them.
    pub(super) fn begin(&mut self, id: String, is_shared: bool) {
        if is_shared || self.began(&id).is_none() {
            let taken = |lane: &u32| self.open.iter().any(|open| open.lane == *lane);
            let lane = (0..).find(|lane| !taken(lane)).unwrap_or_default();
            self.open.push(Open { id, began: clock::now(), lane });
        }
    }

    /// What ran in each lane, in order.
    pub(super) fn lanes(&mut self) -> BTreeMap<u32, Vec<TestRun>> {
        let mut lanes: BTreeMap<u32, Vec<TestRun>> = BTreeMap::new();
        for (lane, test) in self.finished.drain(..) {
            lanes.entry(lane).or_default().push(test);
        }
        lanes
    }
}

/// A worker of xdist.
pub(super) struct Worker {
    pub(super) id: String,
    pub(super) pid: Pid,
    pub(super) file: Option<Utf8PathBuf>,
}
