//! Memory: a split waits where there is none for it, and the process that has grown most is ended
//! before the kernel ends one.
//!
//! What is ended is lost with all that it has measured: for the split that is an error, for a
//! worker of pytest-xdist too. Both would have been lost as well if the kernel had chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::limits::{Headroom, Memory, out_of_memory, waits_for_memory};
use super::super::{Happening, Job, child, clock};
use super::Supervisor;
use crate::engine::jobserver::message::{Growths, Others};
use crate::machine::meter::{Meter, READING, Reading};

/// What is known of the memory of the processes that run tests; a process is its own slot.
pub(super) struct Watch {
    meter: Meter,
    memory: Memory,
    began: Instant,
    due: Instant,
    known: BTreeSet<i32>,
    /// The process that was ended and is not gone yet.
    ending: Option<i32>,
    /// Why, for the splits whose processes have run out of memory.
    reasons: BTreeMap<u32, String>,
}

impl Watch {
    /// Which test a worker of pytest-xdist runs is not told, so the limit of a test has no meaning
    /// there.
    pub(super) fn new(job: &Job) -> Watch {
        let per_test = job.memory_per_test.filter(|_| job.workers < 2);
        let now = clock::now();
        Watch {
            meter: Meter::new(),
            memory: Memory::new(per_test, job.memory_growth),
            began: now,
            due: now + READING,
            known: BTreeSet::new(),
            ending: None,
            reasons: BTreeMap::new(),
        }
    }

    /// When the machine is looked at again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What other runs have.
    pub(super) fn others(&mut self, others: Others) {
        self.memory.others(others);
    }

    /// What the processes have grown by, and will.
    pub(super) fn growths(&self) -> Growths {
        self.memory.growths()
    }

    fn read(&mut self, pids: &BTreeSet<i32>) -> Reading {
        for &pid in pids.difference(&self.known) {
            self.memory.process_starts(slot(pid));
            self.memory.process_is(slot(pid), pid, None);
        }
        self.known.difference(pids).for_each(|&pid| self.memory.process_ends(slot(pid)));
        self.known.clone_from(pids);
        self.ending = self.ending.filter(|pid| pids.contains(pid));
        let reading = self.meter.read(&pids.iter().copied().collect::<Vec<_>>());
        self.memory.take(reading.clone(), clock::since(self.began));
        self.due = clock::now() + reading.next_after();
        reading
    }
}

fn slot(pid: i32) -> usize {
    usize::try_from(pid).unwrap_or_default()
}

impl Supervisor<'_> {
    /// A test begins in a process. What it has before the first one is not what that one takes.
    pub(super) fn test_starts(&mut self, pid: i32) {
        if !self.watch.known.contains(&pid) {
            self.read_machine();
        }
        self.watch.memory.test_starts(slot(pid));
    }

    /// Looks at the machine where it is time.
    pub(super) fn watch_memory(&mut self) {
        if self.stopping.is_some() || clock::now() < self.watch.due {
            return;
        }
        let reading = self.read_machine();
        let at = clock::since(self.watch.began).as_secs_f64();
        if let Some(sample) = self.ran.samples.note(&reading, at) {
            (self.show)(Happening::Machine(&sample));
        }
        if self.watch.ending.is_none()
            && let Some(slot) = self.watch.memory.too_large()
            && let Ok(pid) = i32::try_from(slot)
        {
            self.end_for_memory(pid);
        }
    }

    fn read_machine(&mut self) -> Reading {
        let pids = self.running.values().flat_map(|running| running.pids()).collect();
        self.watch.read(&pids)
    }

    /// Whether there is memory for the workers of one more split. For one there always is.
    pub(super) fn has_room(&mut self) -> bool {
        match self.watch.memory.headroom(self.job.workers.max(1).into()) {
            Headroom::Enough => true,
            Headroom::TooLittle { needed, available, is_known } => {
                if !is_known {
                    let words = waits_for_memory("split", needed, available);
                    (self.show)(Happening::Note(&words));
                }
                false
            }
        }
    }

    fn end_for_memory(&mut self, pid: i32) {
        let of = |running: &super::Running| running.pids().contains(&pid);
        let Some((&split, _)) = self.running.iter().find(|(_, running)| of(running)) else {
            return;
        };
        let (during, before) = self.watch.memory.grown(slot(pid));
        // Of a worker of pytest-xdist it is not known when its test began.
        let before = (self.job.workers < 2).then_some(before);
        self.watch.reasons.insert(split, out_of_memory(during, before));
        self.watch.ending = Some(pid);
        child::send(Pid::from_raw(pid), Signal::SIGKILL);
    }

    /// Why a process of a split was ended, if that was for want of memory.
    pub(super) fn want_of_memory(&mut self, split: u32) -> Option<String> {
        let ours = self.watch.reasons.remove(&split);
        ours.or_else(|| {
            self.read_machine();
            let words = || "out of memory: the kernel ended its process".to_owned();
            self.watch.memory.was_kernel().then(words)
        })
    }
}
