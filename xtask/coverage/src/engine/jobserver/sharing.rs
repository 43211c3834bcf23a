//! Which run starts when, how many processes each may have, and whether a failure counts. Pure.
//!
//! The number of processes of all runs follows the machine as that of one run does, or is the one
//! that was typed. It is dealt out evenly, to those that could use more. What was given counts as
//! taken until the run has said that it has less: the number holds at every moment.

use std::time::Duration;

use super::message::{Needs, Others, Share, Terms};
use crate::engine::limits::reserve;
use crate::engine::schedule::Follower;
use crate::machine::meter::Reading;

/// What there must be of memory for one more project to begin beside others.
const ROOM: u64 = 256 << 20;
/// So many readings in a row with idle processors let one more project begin.
const IDLE: u32 = 2;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Begins {
        run: usize,
        terms: Terms,
    },
    Needs {
        run: usize,
        needs: Needs,
    },
    Failed {
        run: usize,
    },
    Withdrawn {
        run: usize,
    },
    Over {
        run: usize,
    },
    Ended {
        run: usize,
    },
    Machine(Reading),
    /// No other run is to start.
    NoMore,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Start { run: usize },
    Share { run: usize, share: Share },
    Failures { run: usize, failures: u64 },
    Counted { run: usize, counts: bool, others: u64 },
    Stop { run: usize },
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Preparing,
    Testing,
    Concluding,
    Ended,
}

#[derive(Debug)]
struct Run {
    /// Runs of one lane are not prepared at the same time.
    lane: String,
    stage: Stage,
    terms: Terms,
    share: Share,
    needs: Needs,
    /// Processes that it may have at this moment, whatever it was told.
    held: usize,
    failures: u64,
    stopped: bool,
}

impl Run {
    fn new(lane: String) -> Run {
        Run {
            lane,
            stage: Stage::Waiting,
            terms: Terms { workers: crate::settings::Workers::fixed(1), grain: 1, budget: 0 },
            share: Share::default(),
            needs: Needs::default(),
            held: 0,
            failures: 0,
            stopped: false,
        }
    }

    /// It has heard of all that it was told.
    fn is_heard(&self) -> bool {
        self.needs.heard == self.share.number
    }

    fn is_alive(&self) -> bool {
        !matches!(self.stage, Stage::Waiting | Stage::Ended)
    }

    /// How many processes it keeps busy, or could.
    fn load(&self) -> usize {
        match self.stage {
            Stage::Waiting | Stage::Ended => 0,
            Stage::Preparing | Stage::Concluding => 1,
            Stage::Testing => self.needs.wanted.max(1),
        }
    }

    /// Bytes that its processes are still taken to grow by, those among them that it may start.
    fn still(&self) -> u64 {
        let more = self.held.saturating_sub(self.needs.running) as u64;
        self.needs.memory.still + self.needs.memory.need * more
    }
}

#[derive(Debug)]
pub(crate) struct Sharing {
    runs: Vec<Run>,
    /// So many at once at the most.
    most: usize,
    cores: usize,
    follower: Option<Follower>,
    reading: Reading,
    idle: u32,
    failures: u64,
    ends: bool,
    actions: Vec<Action>,
}

impl Sharing {
    /// Nothing has started. `lanes` has one for each run, in the order in which they are to start.
    pub(crate) fn new(lanes: Vec<String>, most: usize, cores: usize) -> Sharing {
        Sharing {
            runs: lanes.into_iter().map(Run::new).collect(),
            most: most.max(1),
            cores: cores.max(1),
            follower: None,
            reading: Reading::default(),
            idle: 0,
            failures: 0,
            ends: false,
            actions: Vec::new(),
        }
    }

    /// Takes what happened at this moment; returns what is to be done, in this order.
    pub(crate) fn handle(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Begins { run, terms } => self.begins(run, terms),
            Input::Needs { run, needs } => self.needs(run, needs),
            Input::Failed { run } => self.failed(run),
            Input::Withdrawn { run } => self.withdrawn(run),
            Input::Over { run } => self.leaves(run, Stage::Concluding),
            Input::Ended { run } => self.leaves(run, Stage::Ended),
            Input::Machine(reading) => self.machine(reading, now),
            Input::NoMore => self.ends = true,
        }
        self.start_what_may();
        self.deal();
        std::mem::take(&mut self.actions)
    }

    /// How many processes run tests, in all runs.
    fn running(&self) -> usize {
        self.runs.iter().map(|run| run.needs.running).sum()
    }

    fn begins(&mut self, run: usize, terms: Terms) {
        let most = terms.workers.most.max(1);
        let terms = Terms { grain: terms.grain.clamp(1, most), ..terms };
        (self.runs[run].stage, self.runs[run].terms) = (Stage::Testing, terms);
        // Where another engine begins, what the one before had is gone.
        self.tell(run, 0);
        match &mut self.follower {
            Some(follower) => follower.widen(terms.workers),
            None => self.follower = Some(Follower::new(terms.workers)),
        }
        self.stop_where_exhausted();
    }

    fn needs(&mut self, run: usize, needs: Needs) {
        let run = &mut self.runs[run];
        run.needs = needs;
        if run.is_heard() {
            run.held = run.share.processes.max(needs.running);
        }
    }

    /// A run has nothing more to do with tests.
    fn leaves(&mut self, run: usize, stage: Stage) {
        let run = &mut self.runs[run];
        (run.stage, run.held) = (stage, 0);
        run.needs = Needs { heard: run.share.number, ..Needs::default() };
    }

    fn machine(&mut self, reading: Reading, now: Duration) {
        let running = self.running();
        let waits = self.testing().any(|run| run.needs.wanted > run.share.processes);
        if let Some(follower) = &mut self.follower {
            follower.read(&reading, running, waits, now);
        }
        let is_idle = self.follower.as_ref().is_some_and(Follower::has_idle_processors);
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        self.reading = reading;
        for at in 0..self.runs.len() {
            let (run, others) = (&self.runs[at], self.others(at));
            if run.stage == Stage::Testing && run.is_heard() && run.share.others != others {
                self.tell(at, run.share.processes);
            }
        }
    }

    fn testing(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.stage == Stage::Testing)
    }

    fn others(&self, but: usize) -> Others {
        let others = || self.runs.iter().enumerate().filter(|(at, _)| *at != but).map(|(_, it)| it);
        Others {
            still: others().map(Run::still).sum(),
            grown: others().map(|run| run.needs.memory.grown).sum(),
            largest: others().map(|run| run.needs.memory.largest).max().unwrap_or_default(),
            failures: others().map(|run| run.failures).sum(),
        }
    }

    /// The first N failures count, in the order in which they are told.
    fn failed(&mut self, run: usize) {
        let budget = self.runs[run].terms.budget;
        let counts = budget == 0 || self.failures < budget;
        if counts {
            self.failures += 1;
            self.runs[run].failures += 1;
        }
        let others = self.failures - self.runs[run].failures;
        self.actions.push(Action::Counted { run, counts, others });
        let failures = self.failures;
        let preparing = |run: &usize| self.runs[*run].stage == Stage::Preparing;
        let told = (0..self.runs.len()).filter(preparing);
        self.actions.extend(told.map(|run| Action::Failures { run, failures }));
        self.stop_where_exhausted();
    }

    fn withdrawn(&mut self, run: usize) {
        self.failures = self.failures.saturating_sub(1);
        self.runs[run].failures = self.runs[run].failures.saturating_sub(1);
    }

    fn stop_where_exhausted(&mut self) {
        let failures = self.failures;
        for (at, run) in self.runs.iter_mut().enumerate() {
            let is_over = run.terms.budget > 0 && failures >= run.terms.budget;
            if is_over && run.stage == Stage::Testing && !std::mem::replace(&mut run.stopped, true)
            {
                self.actions.push(Action::Stop { run: at });
            }
        }
    }

    fn start_what_may(&mut self) {
        while let Some(run) = self.next_run().filter(|_| self.may_start()) {
            self.runs[run].stage = Stage::Preparing;
            self.idle = 0;
            self.actions.push(Action::Start { run });
        }
    }

    /// The first one that waits for nobody of its lane.
    fn next_run(&self) -> Option<usize> {
        let is_preparing = |lane: &str| {
            self.runs.iter().any(|run| run.stage == Stage::Preparing && run.lane == lane)
        };
        let waits = |run: &Run| run.stage == Stage::Waiting && !is_preparing(&run.lane);
        self.runs.iter().position(waits)
    }

    /// One more project begins while those that run leave processes to be used: its preparation
    /// and collection then cost nothing.
    fn may_start(&self) -> bool {
        let alive = self.runs.iter().filter(|run| run.is_alive()).count();
        if self.ends || alive >= self.most {
            return false;
        }
        let preparing = self.runs.iter().filter(|run| run.stage == Stage::Preparing).count();
        let load: usize = self.runs.iter().map(Run::load).sum();
        let allowed = self.follower.as_ref().map_or(self.cores, Follower::allowed);
        let is_free = load < allowed && preparing < self.cores;
        let is_idle = self.idle >= IDLE && preparing == 0;
        alive == 0 || (is_free || is_idle) && self.free().is_none_or(|free| free >= ROOM)
    }

    /// Bytes that are free when all processes have grown as others have.
    fn free(&self) -> Option<u64> {
        let still: u64 = self.runs.iter().map(Run::still).sum();
        let left = self.reading.available?.saturating_sub(reserve(self.reading.memory));
        Some(left.saturating_sub(still))
    }

    /// Gives processes, and asks for some back.
    fn deal(&mut self) {
        let Some(allowed) = self.follower.as_ref().map(Follower::allowed) else { return };
        let targets = self.targets(allowed);
        for (at, &target) in targets.iter().enumerate() {
            let run = &self.runs[at];
            if run.stage == Stage::Testing && run.is_heard() && target < run.share.processes {
                self.tell(at, target);
            }
        }
        for (at, &target) in targets.iter().enumerate() {
            let taken: usize = self.runs.iter().map(|run| run.held).sum();
            let run = &self.runs[at];
            let more = target.saturating_sub(run.share.processes);
            if run.stage != Stage::Testing || !run.is_heard() || more == 0 {
                continue;
            }
            let from = run.share.processes;
            let room = allowed.saturating_sub(taken - run.held).max(from) - from;
            let fits = more.min(room).min(self.fitting(at, taken == 0));
            let more = fits / run.terms.grain * run.terms.grain;
            if more > 0 {
                self.tell(at, from + more);
            }
        }
    }

    /// How many processes more of a run there is memory for. One there always may be.
    fn fitting(&self, at: usize, none_runs: bool) -> usize {
        let Run { needs, terms, .. } = &self.runs[at];
        let least = if none_runs { terms.grain } else { 0 };
        match self.free() {
            Some(free) if needs.memory.need > 0 => {
                usize::try_from(free / needs.memory.need).unwrap_or(usize::MAX).max(least)
            }
            _ => usize::MAX,
        }
    }

    /// How many each is to have: as many for each as for any other that could use them.
    fn targets(&self, allowed: usize) -> Vec<usize> {
        let least = |run: &Run| match run.stage {
            // It is on its way there.
            Stage::Testing if !run.is_heard() => run.share.processes,
            Stage::Testing if run.needs.keeps => run.needs.running,
            _ => 0,
        };
        let mut targets: Vec<usize> = self.runs.iter().map(least).collect();
        let mut left = allowed.saturating_sub(targets.iter().sum());
        let most = |run: &Run| {
            let could = run.needs.wanted.min(run.terms.workers.most);
            if run.stage == Stage::Testing && run.is_heard() { could } else { 0 }
        };
        loop {
            let could = |at: &usize| {
                targets[*at] < most(&self.runs[*at]) && self.runs[*at].terms.grain <= left
            };
            let next = (0..self.runs.len()).filter(could).min_by_key(|at| targets[*at]);
            let Some(next) = next else { return targets };
            targets[next] += self.runs[next].terms.grain;
            left -= self.runs[next].terms.grain;
        }
    }

    fn tell(&mut self, at: usize, processes: usize) {
        let others = self.others(at);
        let run = &mut self.runs[at];
        run.share = Share { number: run.share.number + 1, processes, others };
        run.held = run.held.max(processes);
        self.actions.push(Action::Share { run: at, share: run.share });
    }
}

#[cfg(test)]
mod tests;
