//! Memory: whether there is room for one more process, and which one has to end before the
//! machine runs out. Pure.
//!
//! What a process has is what it has grown by since it was first looked at: a fork shares the
//! rest with its parent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::jobserver::message::{Growths, Others};
use crate::machine::meter::Reading;
use crate::model::format::mib;

const MIB: u64 = 1 << 20;
/// What is left to the rest of the machine: this share of its memory, within bounds.
const RESERVE: u64 = 16;
const LEAST_RESERVE: u64 = 128 * MIB;
const MOST_RESERVE: u64 = 2048 * MIB;
/// A process is taken to grow by so much at least.
const LEAST_NEED: u64 = 16 * MIB;
/// A process that has grown by more than this ends with its unit, to begin small again.
const GROWN: u64 = 512 * MIB;
/// Of processes that have grown by less none is ended: whoever has the memory, it is not them.
const NOT_WORTH_IT: u64 = 64 * MIB;

/// The processes of a run by slot: any number that names one.
#[derive(Debug)]
pub(crate) struct Memory {
    per_test: Option<u64>,
    /// What a process of this suite is taken to grow by.
    need: u64,
    /// By how much the last processes had grown when they ended.
    ended: VecDeque<u64>,
    last: Option<Reading>,
    /// How much the kernel has ended of which it is known what that was, with what it had ended
    /// before the run. It ends several at once, and each of them is heard of by itself.
    known_kills: Option<u64>,
    slots: BTreeMap<usize, Growth>,
    /// It was said that a start has to wait.
    told: bool,
    /// What other runs have, with which this one shares the machine.
    others: Others,
}

/// Whether there is memory for more processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Headroom {
    /// There is, or it is not known.
    Enough,
    /// They may need more than there is, in bytes.
    TooLittle {
        /// What they may need.
        needed: u64,
        /// What there is, for the rest of the machine as well.
        available: u64,
        /// It was so the last time, too.
        is_known: bool,
    },
}

/// Bytes that are left to the rest of a machine with so many, where that is known.
pub(crate) fn reserve(memory: Option<u64>) -> u64 {
    let all = memory.unwrap_or_default();
    (all / RESERVE).clamp(LEAST_RESERVE, MOST_RESERVE).min(all / 4)
}

/// How many ends are remembered, and how many say enough.
const REMEMBERED: usize = 50;
const ENOUGH: usize = 8;

/// What is known of the process in a slot, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    pid: Option<i32>,
    first: Option<u64>,
    /// When the running test began.
    before_test: u64,
    now: u64,
    /// Seconds of CPU when it last did something, and when that was.
    cpu: f64,
    quiet_since: Duration,
}

impl Growth {
    fn bytes(&self) -> u64 {
        self.now.saturating_sub(self.first.unwrap_or(self.now))
    }

    fn during_test(&self) -> u64 {
        self.now.saturating_sub(self.before_test.max(self.first.unwrap_or(self.now)))
    }
}

impl Memory {
    /// Nothing was read yet; `growth` is what is known from earlier runs.
    pub(crate) fn new(per_test: Option<u64>, growth: Option<u64>) -> Memory {
        Memory {
            per_test,
            need: growth.unwrap_or(LEAST_NEED).max(LEAST_NEED),
            ended: VecDeque::new(),
            last: None,
            known_kills: None,
            slots: BTreeMap::new(),
            told: false,
            others: Others::default(),
        }
    }

    /// What other runs have.
    pub(crate) fn others(&mut self, others: Others) {
        self.others = others;
    }

    /// What the processes of this run have grown by, and will.
    pub(crate) fn growths(&self) -> Growths {
        let bytes = || self.slots.values().map(Growth::bytes);
        Growths {
            need: self.need,
            still: self.still(),
            grown: bytes().sum(),
            largest: bytes().max().unwrap_or_default(),
        }
    }

    /// A process is started in a slot.
    pub(crate) fn process_starts(&mut self, slot: usize) {
        self.slots.insert(slot, Growth::default());
    }

    /// It says who it is.
    pub(crate) fn process_is(&mut self, slot: usize, pid: i32, memory: Option<u64>) {
        if let Some(growth) = self.slots.get_mut(&slot) {
            growth.pid = Some(pid);
            growth.now = memory.unwrap_or(growth.now);
            growth.first = growth.first.or(memory);
        }
    }

    /// It begins a test.
    pub(crate) fn test_starts(&mut self, slot: usize) {
        if let Some(growth) = self.slots.get_mut(&slot) {
            growth.before_test = growth.now;
        }
    }

    /// It is gone.
    pub(crate) fn process_ends(&mut self, slot: usize) {
        let Some(growth) = self.slots.remove(&slot).filter(|it| it.first.is_some()) else { return };
        self.ended.push_back(growth.bytes());
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }

    /// What most processes grow by: one that is much larger than the others must not keep them
    /// from running, and is ended in time if it has to be.
    fn usual_growth(&self) -> Option<u64> {
        let now = self.slots.values().filter(|it| it.first.is_some()).map(Growth::bytes);
        let mut all: Vec<u64> = self.ended.iter().copied().chain(now).collect();
        all.sort_unstable();
        all.get(all.len() * 4 / 5).or(all.last()).copied()
    }

    /// What a process of this suite is taken to grow by; none where nothing was seen of it.
    pub(crate) fn need(&self) -> Option<u64> {
        self.usual_growth().map(|growth| growth.max(LEAST_NEED))
    }

    /// It should begin small again.
    pub(crate) fn has_grown(&self, slot: usize) -> bool {
        let limit =
            self.last.as_ref().and_then(|it| it.memory).map_or(GROWN, |it| (it / 8).min(GROWN));
        self.slots.get(&slot).is_some_and(|growth| growth.bytes() > limit)
    }

    /// Takes in what the machine was doing at this moment of the run.
    pub(crate) fn take(&mut self, reading: Reading, now: Duration) {
        self.known_kills.get_or_insert(reading.oom_kills);
        for growth in self.slots.values_mut() {
            let usage = growth.pid.and_then(|pid| reading.processes.get(&pid));
            // One that has just ended has no memory any more, and what it had is still asked for.
            let Some(usage) = usage.filter(|usage| usage.memory > 0) else { continue };
            growth.first.get_or_insert(usage.memory);
            growth.now = usage.memory;
            if usage.active || usage.cpu > growth.cpu {
                (growth.cpu, growth.quiet_since) = (usage.cpu, now);
            }
        }
        // What is known of earlier runs holds until processes have grown for a while.
        let usual = self.need().unwrap_or_default();
        self.need = if self.ended.len() >= ENOUGH { usual } else { self.need.max(usual) };
        self.last = Some(reading);
    }

    fn reserve(&self) -> u64 {
        reserve(self.last.as_ref().and_then(|reading| reading.memory))
    }

    /// Whether so many more processes have room, when those that run have grown as others have.
    pub(crate) fn headroom(&mut self, more: u64) -> Headroom {
        let needed = self.need.saturating_mul(more);
        if self.free().is_none_or(|free| free >= needed) {
            self.told = false;
            return Headroom::Enough;
        }
        let available = self.last.as_ref().and_then(|it| it.available).unwrap_or_default();
        let is_known = std::mem::replace(&mut self.told, true);
        Headroom::TooLittle { needed, available, is_known }
    }

    /// What is free for processes of ours, when those that run have grown as others have.
    fn free(&self) -> Option<u64> {
        let available = self.last.as_ref()?.available?;
        let still = self.still() + self.others.still;
        Some(available.saturating_sub(self.reserve()).saturating_sub(still))
    }

    /// What those that run are still taken to grow by.
    fn still(&self) -> u64 {
        self.slots.values().map(|it| self.need.saturating_sub(it.bytes())).sum()
    }

    /// A process was killed, and not by us. Whether that was the kernel, for want of memory.
    pub(crate) fn was_kernel(&mut self) -> bool {
        let kills = self.last.as_ref().map(|reading| reading.oom_kills);
        let is_more = kills.zip(self.known_kills).is_some_and(|(kills, known)| kills > known);
        if is_more {
            self.known_kills = self.known_kills.map(|known| known + 1);
        }
        is_more
    }

    /// By how much the process in a slot has grown during the test that it runs, and before it.
    pub(crate) fn grown(&self, slot: usize) -> (u64, u64) {
        let growth = self.slots.get(&slot).copied().unwrap_or_default();
        let during = growth.during_test();
        (during, growth.bytes().saturating_sub(during))
    }

    /// By how much the processes in all other slots have grown, and those of other runs.
    pub(crate) fn grown_elsewhere(&self, slot: usize) -> u64 {
        let others = self.slots.iter().filter(|(it, _)| **it != slot);
        others.map(|(_, growth)| growth.bytes()).sum::<u64>() + self.others.grown
    }

    /// Which process has to end now, if one has.
    pub(crate) fn too_large(&self) -> Option<usize> {
        let over = |it: &Growth| self.per_test.is_some_and(|limit| it.during_test() > limit);
        let found = self.slots.iter().find(|(_, it)| over(it)).map(|(&slot, _)| slot);
        let short = || {
            let available = self.last.as_ref()?.available?;
            let largest = self.slots.iter().max_by_key(|(_, growth)| growth.bytes())?;
            let bytes = largest.1.bytes();
            let is_it = available < self.reserve() && bytes >= NOT_WORTH_IT;
            (is_it && bytes >= self.others.largest).then_some(*largest.0)
        };
        found.or_else(short)
    }

    /// Whether a test alone is too large for this machine, or for what was allowed.
    pub(crate) fn is_too_large_alone(&self, during: u64, others: u64) -> bool {
        let all = self.last.as_ref().and_then(|reading| reading.memory).unwrap_or(u64::MAX);
        let limit = self.per_test.unwrap_or(u64::MAX).min(all.saturating_sub(self.reserve()));
        during > limit || others < during / 4
    }

    /// Slots whose process has used no processor for so long.
    pub(crate) fn quiet(&self, at_least: Duration, now: Duration) -> Vec<usize> {
        let is_quiet =
            |it: &Growth| it.first.is_some() && now.saturating_sub(it.quiet_since) >= at_least;
        self.slots.iter().filter(|(_, it)| is_quiet(it)).map(|(&slot, _)| slot).collect()
    }
}

/// Why a test ended whose process had grown by so many bytes during it, and before it where that is
/// known.
pub(crate) fn out_of_memory(during: u64, before: Option<u64>) -> String {
    let grown = mib(during);
    match before {
        Some(before) => format!(
            "out of memory: its process was ended when it had grown by {grown} during this test, \
             and by {} during the tests before it",
            mib(before)
        ),
        None => format!("out of memory: its process was ended when it had grown by {grown}"),
    }
}

/// Why the next one of something does not start yet.
pub(crate) fn waits_for_memory(next: &str, needed: u64, available: u64) -> String {
    let (needed, available) = (mib(needed), mib(available));
    format!(
        "the next {next} waits for memory: it may need {needed}, and of {available} that are free \
         a reserve is left to the rest of the machine"
    )
}
