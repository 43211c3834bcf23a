//! The stock engine: for each split one pytest with the well-known plugins, pytest-split for
//! the cut and pytest-xdist for the workers, under `coverage run`. Our plugin only tells.

mod command;
mod ends;
mod events;
mod memory;
mod running;
mod share;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

pub(crate) use self::command::{command, prepare, prepare_split};
use self::memory::Watch;
use self::running::Running;
use self::share::Share;
use super::child::{self, Child, FIRST_PIPE, Lines, Orphaned};
use super::clock;
use super::jobserver::client::News;
use super::journal::Journal;
use super::{Happening, Job, Ran, orphans, signals};
use crate::model::Problem;
use crate::split::{Cut, Plan, Sum, check_union, together, turns_of_splits};

/// pytest's exit status where there were more warnings than `max_warnings` allows.
const MAX_WARNINGS_ERROR: i32 = 6;

/// How long a process that is to stop may take for its teardown, and for saving its data.
const POLITE: Duration = Duration::from_millis(1100);
const SAVING: Duration = Duration::from_millis(600);

/// Runs all splits, and tells `show` what happens.
pub(crate) fn run(job: &Job, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    prepare(job)?;
    let (tell, hear) = channel();
    let (to_signals, to_share) = (tell.clone(), tell.clone());
    let _listening = signals::listen(move |signal| {
        let _ = to_signals.send(Message::Signal(signal));
    });
    let _reaping = orphans::reap()?;
    let journal = Journal::create(&job.folder.results())?;
    if job.shows_output {
        show(Happening::Note(&where_output_is(job)));
    }
    if job.memory_per_test.is_some() && job.workers > 1 {
        let why = "which test a worker of pytest-xdist runs is not known, so `--memory-per-test` \
                   has no meaning there; `--workers-per-split 1` or `--engine fork` heeds it";
        show(Happening::Note(why));
    }
    let mut supervisor = Supervisor::new(job, tell, journal, show);
    let sharing = job.jobserver.as_ref().map(|client| {
        client.begin(supervisor.terms(), move |news| drop(to_share.send(Message::News(news))))
    });
    supervisor.run(&hear)?;
    drop(sharing);
    child::end_descendants();
    Ok(supervisor.finish())
}

/// pytest prints its own progress between the lines of tests, and xdist's workers print nowhere.
fn where_output_is(job: &Job) -> String {
    match job.workers {
        0 | 1 => format!("what tests print is in `{}`, a file for each split", job.folder.logs()),
        _ => {
            "workers of pytest-xdist drop what tests print; `--workers-per-split 1` keeps it in a \
              log, `--engine fork` shows it"
                .to_owned()
        }
    }
}

enum Message {
    Line(u32, Option<String>),
    Exited(u32, ExitStatus),
    /// What the server wants, where several runs share processes.
    News(News),
    Signal(signals::Arrived),
}

/// The two stages after the polite one, when a run is stopped.
enum Next {
    Save(Instant),
    Kill(Instant),
    Nothing,
}

struct Supervisor<'a> {
    job: &'a Job,
    tell: Sender<Message>,
    journal: Journal,
    show: &'a mut dyn FnMut(Happening<'_>),
    waiting: Vec<u32>,
    running: BTreeMap<u32, Running>,
    cuts: BTreeMap<u32, Cut>,
    /// Which splits wait for which, once that is known.
    turns: Option<BTreeMap<u32, BTreeSet<u32>>>,
    /// The ids that several tests have.
    shared: HashSet<String>,
    stopping: Option<Next>,
    ran: Ran,
    /// pytest's limit, where there is one.
    max_warnings: Option<u64>,
    /// The plugins that were named for hearing of a part of the tests only.
    told_parts: BTreeSet<String>,
    watch: Watch,
    share: Share,
}

impl<'a> Supervisor<'a> {
    fn new(
        job: &'a Job,
        tell: Sender<Message>,
        journal: Journal,
        show: &'a mut dyn FnMut(Happening<'_>),
    ) -> Self {
        let ran = Ran::new(job.budget);
        let waiting = order(job);
        Supervisor {
            job,
            tell,
            journal,
            show,
            waiting,
            running: BTreeMap::new(),
            cuts: BTreeMap::new(),
            turns: None,
            shared: HashSet::new(),
            stopping: None,
            ran,
            max_warnings: None,
            told_parts: BTreeSet::new(),
            watch: Watch::new(job),
            share: Share::default(),
        }
    }

    fn run(&mut self, hear: &Receiver<Message>) -> Result<()> {
        loop {
            self.start_what_fits()?;
            if self.running.is_empty() && !self.waits_for_share() {
                return Ok(());
            }
            self.tell_needs();
            match self.next_message(hear) {
                Some(Message::Line(split, line)) => self.heard(split, line),
                Some(Message::Exited(split, status)) => self.exited(split, status),
                Some(Message::News(news)) => self.news(news),
                Some(Message::Signal(signal)) => self.signalled(signal.hear()),
                None => self.next_stage(),
            }
            self.watch_memory();
        }
    }

    /// None when the next stage of stopping is due, or the next look at the machine.
    fn next_message(&self, hear: &Receiver<Message>) -> Option<Message> {
        let due = match self.stopping {
            Some(Next::Save(due) | Next::Kill(due)) => due,
            Some(Next::Nothing) => return hear.recv().ok(),
            None => self.watch.due(),
        };
        hear.recv_timeout(due.saturating_duration_since(clock::now())).ok()
    }

    fn start_what_fits(&mut self) -> Result<()> {
        while self.stopping.is_none() && self.running.len() < self.job.concurrent as usize {
            let Some(at) = self.next_split() else { return Ok(()) };
            if !self.is_within_share() {
                return Ok(());
            }
            if !self.running.is_empty() && !self.has_room() {
                return Ok(());
            }
            let split = self.waiting.remove(at);
            let taken = |slot: &u32| self.running.values().any(|running| running.slot == *slot);
            let slot = (1..=self.job.concurrent).find(|slot| !taken(slot)).unwrap_or(1);
            let running = self.start(split, slot)?;
            self.running.insert(split, running);
            (self.show)(Happening::SplitStarted { split, of: self.job.splits });
        }
        Ok(())
    }

    /// The place of the split to start next, if one may: the last one, unless `--dist` keeps
    /// tests together that the splits have cut apart. Which ones that is known when the first
    /// split has collected.
    fn next_split(&self) -> Option<usize> {
        if self.job.dist.is_none() {
            return self.waiting.len().checked_sub(1);
        }
        let places = 0..self.waiting.len();
        let Some(turns) = &self.turns else {
            return places.min_by_key(|&at| self.waiting[at]).filter(|_| self.running.is_empty());
        };
        let is_over =
            |split: &u32| !self.waiting.contains(split) && !self.running.contains_key(split);
        let may_run =
            |&at: &usize| turns.get(&self.waiting[at]).is_none_or(|it| it.iter().all(is_over));
        places.rev().find(may_run)
    }

    /// Which splits wait for others is known from what the first one has collected.
    fn take_turns(&mut self, cut: &Cut) {
        let Job { splits, dist, times, python_version, .. } = self.job;
        if dist.is_none() {
            return;
        }
        let groups = together(&cut.before, &cut.marks, *dist);
        let plan = Plan::new(
            cut.before.clone(),
            &times.committed,
            *splits,
            Sum::of_python(python_version),
        );
        let turns = turns_of_splits(&plan.with_whole_documents(&cut.marks.documents), &groups);
        let waiting = turns.values().filter(|others| !others.is_empty()).count();
        if waiting > 0 && self.job.concurrent > 1 {
            let why = format!(
                "{waiting} of {splits} splits wait for others, as pytest-split cuts what `--dist` \
                 keeps together"
            );
            (self.show)(Happening::Note(&why));
        }
        self.turns = Some(turns);
    }

    fn start(&self, split: u32, slot: u32) -> Result<Running> {
        let what = || format!("failed to start split {split} of {}", self.job.splits);
        prepare_split(self.job, split).with_context(what)?;
        let wrap = move |line| Message::Line(split, line);
        let (lines, pipe) = Lines::open(self.tell.clone(), |_| false, wrap).with_context(what)?;
        let command = command(self.job, split, slot, Some(FIRST_PIPE));
        let child =
            Child::start(&command, &self.job.folder.split_log(split), vec![pipe], Orphaned::Killed)
                .with_context(what)?;
        // Before it has started anything: workers of xdist inherit it.
        child.raise_oom_score();
        let tell = self.tell.clone();
        let exited = move |status| {
            let _ = tell.send(Message::Exited(split, status));
        };
        child.on_exit(exited).with_context(what)?;
        Ok(Running::new(child, lines, slot))
    }

    fn signalled(&mut self, signal: i32) {
        let again = self.ran.interrupted.is_some();
        self.ran.interrupted = Some(signal);
        self.ran.ledger.close();
        self.stop("interrupted");
        if again {
            self.running.values().for_each(|running| running.child.kill_group());
        }
    }

    /// Ends everything in three stages: a polite word, so that fixtures are torn down and data
    /// is saved; the demand to save and leave; the end.
    fn stop(&mut self, why: &str) {
        if self.stopping.is_some() {
            return;
        }
        self.waiting.clear();
        self.ran.ledger.close();
        (self.show)(Happening::Stopping(why));
        self.running.values().for_each(|running| running.child.signal(Signal::SIGINT));
        self.stopping = Some(Next::Save(clock::now() + POLITE));
    }

    /// The time that it waited for may have been one in which all stood still.
    fn next_stage(&mut self) {
        let now = clock::now();
        match self.stopping {
            Some(Next::Save(due) | Next::Kill(due)) if due > now => {}
            Some(Next::Save(_)) => {
                self.running.values().for_each(save_and_leave);
                self.stopping = Some(Next::Kill(clock::now() + SAVING));
            }
            Some(Next::Kill(_)) => {
                self.running.values().for_each(|running| running.child.kill_group());
                self.stopping = Some(Next::Nothing);
            }
            Some(Next::Nothing) | None => {}
        }
    }

    fn finish(mut self) -> Ran {
        let has_all = self.job.splits > 1 && self.job.portion.is_whole();
        if self.stopping.is_none() && self.ran.problems.is_empty() && has_all {
            self.check_union();
        }
        self.count_warnings();
        if self.cuts.len() == self.job.splits as usize {
            // Each split has its own ids where they change from one collection to the next.
            self.ran.planned = self.cuts.into_values().flat_map(|cut| cut.after).collect();
        }
        self.ran
    }

    /// Every test must have been in exactly one split.
    fn check_union(&mut self) {
        let wrong = check_union(&self.cuts);
        let suspects = match self.job.reordering.as_slice() {
            [] => String::new(),
            names => format!("; the order of {} changes from split to split", names.join(", ")),
        };
        self.ran.problems.extend(wrong.into_iter().map(|what| Problem {
            split: None,
            file: None,
            what: format!("{what}{suspects}"),
        }));
    }
}

#[cfg(target_os = "linux")]
fn save_and_leave(running: &Running) {
    running.workers.iter().for_each(|worker| child::send(worker.pid, Signal::SIGPWR));
    // The controller would start a new worker for each that is gone: it goes too.
    running.child.signal(Signal::SIGPWR);
}

#[cfg(not(target_os = "linux"))]
fn save_and_leave(running: &Running) {
    running.child.signal(Signal::SIGINT);
}

/// The splits, the one to start first last: the longest, and where nothing is known, the first.
fn order(job: &Job) -> Vec<u32> {
    let mut order: Vec<u32> = job.splits_here().rev().collect();
    let seconds = |split: &u32| job.times.splits.get(split).copied().unwrap_or(0.0);
    order.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    order
}
