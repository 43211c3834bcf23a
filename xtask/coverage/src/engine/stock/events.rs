//! What the splits say.

use std::fs;

use nix::unistd::Pid;

use super::super::event::Event;
use super::super::{Happening, Started};
use super::running::{Open, Running, Worker};
use super::{MAX_WARNINGS_ERROR, Supervisor};
use crate::engine::jobserver::client::{failed, rerun};
use crate::engine::journal::TestRun;
use crate::model::{Failure, Phase, PhaseFailure, Problem, TestOutcome};
use crate::split::{Cut, copies};

impl Supervisor<'_> {
    pub(super) fn heard(&mut self, split: u32, line: Option<String>) {
        match line.as_deref().map(serde_json::from_str::<Event>) {
            Some(Ok(event)) => self.happened(split, event),
            Some(Err(error)) => {
                let bad = format!("sent an event that cannot be read: {error}");
                self.of(split, |running| running.bad_line = Some(bad));
            }
            None => {
                self.of(split, |running| running.drained = true);
                self.ended(split);
            }
        }
    }

    pub(super) fn of(&mut self, split: u32, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.running.get_mut(&split) {
            change(running);
        }
    }

    pub(super) fn happened(&mut self, split: u32, event: Event) {
        match event {
            Event::Worker { id, pid, file } => {
                let worker = Worker { id, pid: Pid::from_raw(pid), file };
                self.of(split, |running| running.workers.push(worker));
            }
            Event::WorkerLost { id, text } => self.worker_lost(split, &id, &text),
            Event::CollectError { id, text } => {
                self.failed(self.failure(split, id, PhaseFailure::new(Phase::Collect, text)));
                if !self.job.continue_on_collection_errors {
                    // There may be more of them: pytest goes on until it has seen every file.
                    self.ran.uncollectable = true;
                    self.waiting.clear();
                }
            }
            Event::CollectSkip { id, reason } => self.ran.ledger.skipped_file(&id, reason),
            Event::Collected => {
                self.of(split, |running| running.collected = true);
                self.read_cut(split);
            }
            Event::Data { file } => self.of(split, |running| running.data.push(file)),
            Event::Saved { files } => self.of(split, |running| running.saved.extend(files)),
            Event::Warning { text, place, once: true } => {
                self.ran.warnings.add_once(text, place, 1);
            }
            Event::Warning { text, place, once: false } => self.ran.warnings.add(text, place, 1),
            Event::HearsAPart { name } => self.hears_a_part(&name),
            Event::ClosingWords { text } => self.ran.closing_words.push(text),
            Event::Bye { exit, was, max_warnings } => {
                self.max_warnings = max_warnings.or(self.max_warnings);
                self.session_ended(split, exit, was);
            }
            event => self.test_happened(split, event),
        }
    }

    /// Something that a test did.
    fn test_happened(&mut self, split: u32, event: Event) {
        match event {
            Event::Start { id } => {
                self.tell_start(split, &id);
                let is_shared = self.shared.contains(&id);
                self.of(split, |running| running.begin(id, is_shared));
            }
            Event::Failed { id, copy, phase_failure } if phase_failure.phase == Phase::Crash => {
                let began = self.running.get(&split).and_then(|running| running.began(&id));
                let (phase, why) = self.reason_of_death(split, began);
                let text = format!("{}{why}", phase_failure.text);
                let copy = self.copy(split, &id, copy);
                self.failed(
                    self.failure(split, id, PhaseFailure { phase, text, ..phase_failure })
                        .of_copy(copy),
                );
            }
            Event::Failed { id, copy, phase_failure } => {
                let copy = self.copy(split, &id, copy);
                self.failed(self.failure(split, id, phase_failure).of_copy(copy));
            }
            Event::Rerun { id, copy, phase_failure } => {
                let copy = self.copy(split, &id, copy);
                let attempt = self.failure(split, id, phase_failure).of_copy(copy);
                rerun(&mut self.ran.ledger, attempt, self.job.jobserver.as_deref());
            }
            Event::Finish { id, copy, outcome, details } => {
                let copy = self.copy(split, &id, copy);
                self.test_ended(split, &id, copy, outcome, details.seconds.total());
                self.ran.ledger.finished(&id, copy, outcome, details);
                (self.show)(Happening::TestEnded { id: &id, outcome });
            }
            _ => {}
        }
    }

    /// A plugin writes down what it hears at the end of a session, and there are several.
    pub(super) fn hears_a_part(&mut self, name: &str) {
        if self.told_parts.insert(name.to_owned()) {
            let text = format!(
                "{name} hears of the tests of one split at a time, so what it writes at the end is \
                 that of one; `--engine fork`, or `--splits 1`, has it hear of all"
            );
            (self.show)(Happening::Note(&text));
        }
    }

    /// The status of a split's session, and what it was before plugins had their say. Too many
    /// warnings are counted over all splits.
    pub(super) fn session_ended(&mut self, split: u32, exit: i32, was: Option<i32>) {
        let own = was.filter(|&was| was != exit && exit != MAX_WARNINGS_ERROR);
        if own == Some(0) {
            let what = format!("pytest's session of split {split} ended with exit status {exit}");
            self.ran.findings.push(format!("{what}, which a plugin set, though no test failed"));
        }
        let exit =
            if own == Some(0) || exit == MAX_WARNINGS_ERROR { 0 } else { was.unwrap_or(exit) };
        self.of(split, |running| running.bye = Some(exit));
    }

    /// What pytest would say of the warnings of all splits.
    pub(super) fn count_warnings(&mut self) {
        let total = self.ran.warnings.total();
        let Some(most) = self.max_warnings.filter(|&most| total > most) else { return };
        if self.stopping.is_none() && self.ran.ledger.failures().is_empty() {
            let what = format!("{total} warnings are more than `max_warnings = {most}` allows");
            self.ran.findings.push(format!("pytest would end with exit status 6: {what}"));
        }
    }

    /// Which of the tests with its id a test is, over all splits; `copy` is that of its split.
    pub(super) fn copy(&self, split: u32, id: &str, copy: u32) -> u32 {
        const MOST: u32 = 1 << 16;
        if self.shared.contains(id) { split.saturating_mul(MOST) + copy.min(MOST - 1) } else { 0 }
    }

    pub(super) fn test_ended(
        &mut self,
        split: u32,
        id: &str,
        copy: u32,
        outcome: TestOutcome,
        seconds: f64,
    ) {
        let Some(running) = self.running.get_mut(&split) else { return };
        running.tests += 1;
        running.failed += u64::from(outcome.is_failure());
        let Some(at) = running.open.iter().position(|open| open.id == id) else { return };
        let Open { id, began, lane } = running.open.remove(at);
        let run = TestRun { id, copy, outcome, started: self.journal.at(began), seconds };
        running.finished.push((lane, run));
    }

    pub(super) fn failure(&self, split: u32, id: String, phase_failure: PhaseFailure) -> Failure {
        Failure::new(id, Some(split), phase_failure, Some(self.job.folder.split_log(split)))
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        let jobserver = self.job.jobserver.as_deref();
        if failed(&mut self.ran.ledger, failure.clone(), jobserver) {
            (self.show)(Happening::Failed(&failure));
            if self.ran.ledger.exhausted() {
                self.spent();
            }
        } else if jobserver.is_some() && self.stopping.is_none() && self.ran.ledger.is_closed() {
            self.spent();
        }
    }

    /// The failure budget is used up.
    pub(super) fn spent(&mut self) {
        if self.stopping.is_none() {
            self.ran.aborted = true;
            self.stop("the failure budget is used up");
        }
    }

    /// A crash of a worker is a failed test for xdist; what the worker had measured is gone.
    pub(super) fn worker_lost(&mut self, split: u32, id: &str, text: &str) {
        let Some(running) = self.running.get_mut(&split) else { return };
        let Some(at) = running.workers.iter().position(|worker| worker.id == id) else { return };
        running.workers.remove(at);
        // Its data file may be there: coverage makes it long before there is anything in it.
        if self.stopping.is_none() && self.job.measure.is_some() {
            let what = format!("lost worker {id} and the coverage it had measured ({text})");
            self.ran.problems.push(Problem { split: Some(split), file: None, what });
        }
    }

    pub(super) fn read_cut(&mut self, split: u32) {
        let read = fs::read_to_string(self.job.folder.split_cut(split)).ok();
        if let Some(cut) = read.and_then(|text| serde_json::from_str::<Cut>(&text).ok()) {
            let is_whole = self.job.portion.is_whole();
            let tests = if is_whole { &cut.before } else { &cut.after };
            self.ran.ledger.collected(tests.len() as u64);
            if self.cuts.is_empty() {
                self.tell_plan(tests);
                (self.show)(Happening::NotFound(&cut.not_found));
                self.ran.not_found.clone_from(&cut.not_found);
                self.ran.planned.clone_from(tests);
                self.check_share(split, &cut);
                let repeated = copies(&cut.before).into_keys();
                self.take_turns(&cut);
                self.shared = repeated.map(|test| cut.before[test].clone()).collect();
            }
            self.cuts.insert(split, cut);
        }
    }

    /// What pytest-split gives a shard must be what every other machine takes for its share.
    pub(super) fn check_share(&mut self, split: u32, cut: &Cut) {
        if self.job.portion.is_whole() && self.job.planned.is_none() {
            return;
        }
        let mut problem = |what| {
            self.ran.problems.push(Problem { split: Some(split), file: None, what });
        };
        match self.job.cut(cut.before.clone(), &cut.marks) {
            Ok((plan, share)) => {
                let ours: Vec<&String> = plan
                    .splits
                    .iter()
                    .filter(|it| it.number == split)
                    .flat_map(|it| &it.tests)
                    .map(|&test| &plan.ids[test])
                    .collect();
                if ours != cut.after.iter().collect::<Vec<_>>() {
                    let why = "has other tests of pytest-split than it was planned to have; use \
                               `--engine fork`";
                    problem(why.to_owned());
                }
                self.ran.share = share;
            }
            Err(why) => problem(why),
        }
    }

    pub(super) fn tell_plan(&mut self, ids: &[String]) {
        let known: Vec<f64> = ids.iter().filter_map(|id| self.job.times.recorded.get(id)).collect();
        // A test that is not known is taken for one like the others.
        let share = known.len() as f64 / ids.len() as f64;
        let seconds = (!known.is_empty()).then(|| known.iter().sum::<f64>() / share);
        let slots = (self.job.concurrent * self.job.workers) as usize;
        (self.show)(Happening::Planned { tests: ids.len() as u64, seconds, slots });
    }

    /// Which worker of xdist runs it is not told, so the process is known only without them.
    pub(super) fn tell_start(&mut self, split: u32, id: &str) {
        let Some(running) = self.running.get(&split) else { return };
        let pid = running.workers.is_empty().then(|| running.child.id());
        let expected = self.job.times.recorded.get(id).unwrap_or(0.0);
        pid.into_iter().for_each(|pid| self.test_starts(pid));
        (self.show)(Happening::TestStarted(Started { id, split: Some(split), pid, expected }));
    }
}
