//! How the splits end.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};

use super::super::journal::{TestRun, UnitRun};
use super::super::{Happening, Refusal, SplitEnd, SplitState, child, clock, tail};
use super::Supervisor;
use super::running::{Open, Running};
use crate::model::{Origin, Part, Phase, PhaseFailure, Problem, TestOutcome};

/// How many seconds after a test's time limit our plugin ends the whole process, at the least:
/// of the 5 it waits, some may have passed before we heard of the test.
const GRACE: f64 = 4.0;

impl Supervisor<'_> {
    pub(super) fn exited(&mut self, split: u32, status: ExitStatus) {
        self.of(split, |running| {
            running.status = Some(status);
            // What a test left behind must not live on, nor hold the pipe.
            running.child.kill_group();
            running.lines.end();
        });
        self.ended(split);
    }

    /// A split has ended when its process has, and all it told was heard.
    pub(super) fn ended(&mut self, split: u32) {
        let both = |running: &Running| running.status.filter(|_| running.drained);
        let Some(status) = self.running.get(&split).and_then(both) else { return };
        let Some(mut running) = self.running.remove(&split) else { return };
        let state = self.judge(split, &running, status);
        if matches!(state, SplitState::Died(_)) {
            self.bury(&mut running);
        }
        self.keep(split, &mut running, state == SplitState::Completed);
        if state == SplitState::Completed && self.job.measure.is_some() {
            self.expect_data(split, &running);
        }
        let end = SplitEnd {
            split,
            of: self.job.splits,
            tests: running.tests,
            failed: running.failed,
            took: clock::since(running.started),
            state,
            log: self.job.folder.split_log(split),
        };
        (self.show)(Happening::SplitEnded(&end));
        self.ran.splits.push(end);
    }

    /// The tests that a dead process was running have ended with it.
    pub(super) fn bury(&self, running: &mut Running) {
        for Open { id, began, lane } in running.open.drain(..) {
            let (started, seconds) = (self.journal.at(began), clock::since(began).as_secs_f64());
            let outcome = TestOutcome::Crashed;
            running.finished.push((lane, TestRun { id, copy: 0, outcome, started, seconds }));
        }
    }

    /// Keeps what a split has run, a unit for each lane.
    pub(super) fn keep(&mut self, split: u32, running: &mut Running, whole: bool) {
        let first = (running.slot - 1) * self.job.workers;
        for (lane, tests) in running.lanes() {
            let run = UnitRun {
                unit: u32::try_from(self.ran.units.len()).unwrap_or(u32::MAX),
                split,
                slot: (first + lane) as usize,
                started: self.journal.at(running.started),
                ended: self.journal.at(clock::now()),
                whole,
                tests,
            };
            if let Err(error) = self.journal.add(&run) {
                (self.show)(Happening::Warning(format!("{error:#}")));
            }
            self.ran.units.push(run);
        }
    }

    pub(super) fn judge(
        &mut self,
        split: u32,
        running: &Running,
        status: ExitStatus,
    ) -> SplitState {
        if self.ran.uncollectable {
            self.stop("a file cannot be collected");
            return SplitState::Stopped;
        }
        // 0: passed, 1: failures, 5: no tests in this group.
        let share = self.cuts.get(&split).map_or(0, |cut| cut.after.len() as u64);
        let has_run_all = running.tests >= share;
        let ended_well = matches!(running.bye, Some(0 | 1 | 5)) && running.bad_line.is_none();
        if ended_well && (has_run_all || self.stopping.is_some()) {
            return SplitState::Completed;
        }
        if self.stopping.is_some() {
            return SplitState::Stopped;
        }
        if let Some(exit) = running.bye.filter(|exit| running.collected && !matches!(exit, 3 | 4)) {
            return self.stopped_itself(split, exit);
        }
        match running.bye.or(status.code()) {
            Some(exit @ (3 | 4)) if !running.collected => self.refused(split, exit == 4),
            _ => self.died(split, running, status),
        }
    }

    /// `pytest.exit`, a KeyboardInterrupt, a plugin's `shouldstop`: a sequential run ends here.
    pub(super) fn stopped_itself(&mut self, split: u32, exit: i32) -> SplitState {
        let log = self.job.folder.split_log(split);
        let what =
            format!("split {split} was stopped from within, with pytest's exit status {exit}");
        self.ran.findings.push(format!("{what}; see `{log}`"));
        self.ran.stopped = true;
        self.stop("a test or a plugin stopped the session");
        SplitState::Stopped
    }

    pub(super) fn refused(&mut self, split: u32, usage: bool) -> SplitState {
        let text = tail(&self.job.folder.split_log(split), 40);
        self.ran.refused = Some(Refusal::of_pytest(&text, usage));
        self.stop("pytest refused to run");
        SplitState::Died("pytest refused to run".to_owned())
    }

    /// The process is gone, and with it all it had measured: named, never passed over.
    pub(super) fn died(&mut self, split: u32, running: &Running, status: ExitStatus) -> SplitState {
        let how = match (&running.bad_line, running.bye) {
            (Some(bad), _) => bad.clone(),
            (None, Some(3)) => "met an error inside of pytest or a plugin".to_owned(),
            (None, Some(exit)) => format!("ended with pytest's exit status {exit}"),
            (None, None) if status.core_dumped() || status.signal().is_some() => {
                format!("was ended by {}", child::describe(status))
            }
            (None, None) => format!("ended early with {}", child::describe(status)),
        };
        // With workers the controller names the test of a dead worker itself.
        for Open { id, began, .. } in &running.open {
            let (phase, why) = self.reason_of_death(split, Some(*began));
            let text = format!("its process {how} while this test ran{why}");
            let copy = self.copy(split, id, u32::MAX);
            self.failed(
                self.failure(split, id.clone(), PhaseFailure::new(phase, text)).of_copy(copy),
            );
        }
        let lost = if self.job.measure.is_some() { "; its coverage is lost" } else { "" };
        let what = format!("{how}{lost}");
        self.ran.problems.push(Problem { split: Some(split), file: None, what });
        SplitState::Died(how)
    }

    /// Our plugin ends a process whose test does not heed its time limit.
    pub(super) fn reason_of_death(
        &mut self,
        split: u32,
        began: Option<Instant>,
    ) -> (Phase, String) {
        if let Some(why) = self.want_of_memory(split) {
            return (Phase::Crash, format!(": {why}"));
        }
        match (self.job.timeout, began) {
            (Some(limit), Some(began)) if clock::since(began).as_secs_f64() > limit + GRACE => {
                (Phase::Timeout, format!(": it ran longer than {limit} s and could not be stopped"))
            }
            _ => (Phase::Crash, String::new()),
        }
    }

    pub(super) fn expect_data(&mut self, split: u32, running: &Running) {
        self.ran.expected.splits.insert(split);
        let workers = running.workers.iter().filter_map(|worker| worker.file.as_ref());
        let files: Vec<&Utf8PathBuf> = running.data.iter().chain(workers).collect();
        let others = running.saved.iter().filter(|file| !files.contains(file));
        let part =
            |file: &Utf8PathBuf, origin| Part { split: Some(split), file: saved_as(file), origin };
        let own = files.iter().map(|file| part(file, Origin::Tests));
        let others = others.map(|file| part(file, Origin::Begun));
        self.ran.expected.parts.extend(own.chain(others));
    }
}

/// The name that a data file has now. Newer versions of coverage add a hash of the data when
/// they save: `data.host.pid1.Xabc` becomes `data.host.pid1.Xabc.Hdef`.
fn saved_as(announced: &Utf8Path) -> Utf8PathBuf {
    let with_hash = || {
        let prefix = format!("{}.H", announced.file_name()?);
        let files = announced.parent()?.read_dir_utf8().ok()?.flatten();
        let found = files.filter(|file| file.file_name().starts_with(&prefix));
        found.map(|file| file.into_path()).min()
    };
    if announced.exists() {
        announced.to_path_buf()
    } else {
        with_hash().unwrap_or(announced.into())
    }
}
