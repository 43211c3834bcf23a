//! The driver: tells the scheduler what happens, and does what it wants done.

mod collectors;
mod ends;
mod events;
mod plugins;
mod tail;
mod variables;

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::Message;
use super::account::Account;
use super::claims::Claims;
use super::data::Unwritten;
use super::host::{Mode, Source};
use super::list::Hosts;
use super::parts::Parts;
use super::session::Session;
use super::stacks::Dumps;
use super::trace_file::TraceFile;
use crate::engine::jobserver::client::News;
use crate::engine::jobserver::message::{Share, Terms, Told};
use crate::engine::schedule::{Action, Ended, FINISHING, Input, Rules, Scheduler, Why};
use crate::engine::{Job, Process, Ran, SplitState, clock};
use crate::machine::meter::{Meter, READING};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// No host is ready.
    Collecting,
    /// The scheduler decides.
    Running,
    /// The hosts were told to finish, and must be done by then if that has an end.
    Finishing(Option<Duration>),
    /// Nothing more is to be heard.
    Done,
}

pub(super) struct Driver<'a> {
    job: &'a Job,
    hosts: Hosts<'a>,
    account: Account<'a>,
    session: Session,
    parts: Parts,
    unwritten: Unwritten,
    stage: Stage,
    scheduler: Scheduler,
    trace: Option<TraceFile>,
    /// What runs in each slot.
    slots: Vec<Option<Given>>,
    dumps: Dumps,
    meter: Meter,
    next_reading: Duration,
    began: Instant,
    /// The last host that was started to confirm something, and which tests it is to know.
    wanted: Option<(usize, Vec<(usize, String)>)>,
    claims: Option<Claims>,
    /// What was heard last of the processes that several runs share.
    share: Option<Share>,
    /// The failure budget is used up, here or elsewhere.
    is_spent: bool,
}

/// A unit that was given to a host.
#[derive(Clone, Copy, Debug)]
struct Given {
    unit: u32,
    host: usize,
    split: u32,
    /// What its process goes on with: a unit and its split.
    next: Option<(u32, u32)>,
    process: i32,
    /// A line of it could not be read: right before its death that is one it did not live to end.
    garbled: bool,
}

impl<'a> Driver<'a> {
    /// Everything is before it; the hosts have begun to collect.
    pub(super) fn new(
        job: &'a Job,
        hosts: Hosts<'a>,
        account: Account<'a>,
        claims: Option<Claims>,
    ) -> Result<Driver<'a>> {
        let rules = rules(job, hosts.mode());
        let trace = job.trace.as_ref().map(|path| TraceFile::begin(path, &rules)).transpose()?;
        Ok(Driver {
            slots: vec![None; rules.slots()],
            scheduler: Scheduler::new(rules),
            trace,
            hosts,
            account,
            session: Session::default(),
            parts: Parts::default(),
            unwritten: Unwritten::default(),
            stage: Stage::Collecting,
            dumps: Dumps::default(),
            meter: Meter::new(),
            next_reading: READING,
            began: clock::now(),
            wanted: None,
            claims,
            share: None,
            is_spent: false,
            job,
        })
    }

    /// The hosts are others than before, and so are the rules.
    fn new_rules(&mut self) {
        let rules = rules(self.job, self.hosts.mode());
        let noted = self.trace.as_mut().map(|trace| trace.begin_anew(&rules));
        self.traced(noted.unwrap_or(Ok(())));
        self.slots = vec![None; rules.slots()];
        self.scheduler = Scheduler::new(rules);
        self.share.into_iter().for_each(|share| self.tell(Input::Share(share)));
    }

    /// What this run is to be given where several share processes.
    pub(super) fn terms(&self) -> Terms {
        Terms { workers: self.job.pool, grain: 1, budget: self.job.budget.into() }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Share(share) => {
                self.share = Some(share);
                self.tell(Input::Share(share));
            }
            News::Stop => self.is_spent = true,
        }
    }

    /// Ends a run whose budget others have used up, or its own last failure with theirs. Not while
    /// it collects: it is known then how many tests do not run.
    fn stop_where_spent(&mut self) {
        self.is_spent |= self.account.is_spent();
        if self.stage == Stage::Running && std::mem::take(&mut self.is_spent) {
            self.tell(Input::Stop(Why::Budget));
        }
    }

    /// Half of a trace is of no use: where some cannot be written, nothing more is.
    fn traced(&mut self, written: std::io::Result<()>) {
        if let (Err(error), Some(path)) = (written, &self.job.trace) {
            let what = format!("failed to write the trace to `{path}`: {error}");
            self.account.ran().unwritten_trace = Some(what);
            self.trace = None;
        }
    }

    /// Notes which tests a host is to know that is to confirm something.
    fn note_wanted(&mut self, host: usize, tests: &[usize], ids: Vec<String>) {
        let slot = self.hosts.slot_of(host).unwrap_or_default();
        if slot < self.job.pool.most || !self.forks() {
            return;
        }
        let wanted = tests.iter().copied().zip(ids).collect();
        self.wanted = Some((host, wanted));
    }

    /// It is there to confirm something.
    fn is_wanted(&self, host: usize) -> bool {
        self.hosts.slot_of(host).is_some() && self.forks()
    }

    /// Whether such a host knows the tests that it is to run.
    fn knows_what_is_wanted(&mut self, host: usize, ids: &[String]) -> bool {
        match self.wanted.take().filter(|(it, _)| *it == host) {
            Some((_, wanted)) if !wanted.is_empty() => self.hosts.number_some(host, &wanted, ids),
            _ => self.hosts.number(host, &self.account.plan().ids, ids),
        }
    }

    /// Works until the last host is gone.
    pub(super) fn run(&mut self, hear: &Receiver<Message>) {
        while self.stage != Stage::Done {
            match self.next_message(hear) {
                Some(message) => self.take(message),
                None => self.on_time(),
            }
            let ending = matches!(self.stage, Stage::Collecting | Stage::Finishing(_));
            if ending && self.hosts.all_gone() {
                self.stage = Stage::Done;
            }
        }
        self.session.judge(self.account.ran());
        self.account.check_no_test_is_lost();
        if self.account.so_far().interrupted.is_none() {
            for split in self.unwritten.splits() {
                let what = "has tests whose coverage was not written".to_owned();
                self.account.problem(Some(split), what);
            }
        }
    }

    /// None when something is due.
    fn next_message(&self, hear: &Receiver<Message>) -> Option<Message> {
        let Some(due) = self.due() else { return hear.recv().ok() };
        hear.recv_timeout(due.saturating_sub(self.now())).ok()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line { host, source: Source::Host, line: None } => self.fell_silent(host),
            Message::Line { line: None, .. } => {}
            Message::Line { host, source, line: Some(line) } => self.heard(host, source, &line),
            Message::Exited { host, status } => self.exited(host, status),
            Message::Variables { host, unit, set_up } => self.worker_is_set_up(host, unit, set_up),
            Message::Claimed(answer, why) => self.claim_answered(answer, why),
            Message::News(news) => self.news(news),
            Message::Signal(signal) => self.signalled(signal.hear()),
        }
        if self.job.jobserver.is_some() {
            self.stop_where_spent();
        }
        if self.stage == Stage::Running && self.now() >= self.next_reading {
            self.read_machine();
        }
    }

    /// Since the run began.
    fn now(&self) -> Duration {
        clock::since(self.began)
    }

    fn due(&self) -> Option<Duration> {
        let of_stage = match self.stage {
            Stage::Running => [self.scheduler.due(), Some(self.next_reading)],
            Stage::Finishing(due) => [due, None],
            Stage::Collecting | Stage::Done => [None, None],
        };
        let claims = self.claims.as_ref().and_then(Claims::due);
        of_stage.into_iter().flatten().chain(self.dumps.due()).chain(claims).min()
    }

    fn on_time(&mut self) {
        let now = self.now();
        if let Stage::Finishing(Some(due)) = self.stage
            && due <= now
        {
            self.hosts.kill(|_| true);
            self.stage = Stage::Finishing(None);
        }
        for (slot, unit, text) in self.dumps.look(now) {
            self.stacks(slot, unit, text);
        }
        if self.stage != Stage::Running {
            return;
        }
        if self.next_reading <= now {
            self.read_machine();
        }
        self.claim_is_late(now);
        if self.scheduler.due().is_some_and(|due| due <= now) {
            self.tell(Input::Tick);
        }
    }

    fn read_machine(&mut self) {
        let given = self.slots.iter().flatten();
        let pids: Vec<i32> = given.map(|it| it.process).filter(|&pid| pid > 0).collect();
        let reading = self.meter.read(&pids);
        self.next_reading = self.now() + reading.next_after();
        self.account.machine(&reading, self.forks(), self.now());
        self.tell(Input::Machine(reading));
    }

    /// The memory of the machine, right after a process was killed: was it the kernel?
    fn read_machine_now(&mut self) {
        if self.stage == Stage::Running {
            self.read_machine();
        }
    }

    /// Tells the scheduler what has happened, and does what it wants done.
    fn tell(&mut self, input: Input) {
        let now = self.now();
        let noted = self.trace.is_some().then(|| input.clone());
        let actions = self.scheduler.handle(input, now);
        if let (Some(trace), Some(input)) = (&mut self.trace, noted) {
            let written = trace.note(now, &input, &actions, &self.account.plan().ids);
            self.traced(written);
        }
        actions.into_iter().for_each(|action| self.obey(action));
    }

    fn obey(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::Run { .. } => self.give(action),
            Action::Go { host, after } => {
                self.hosts.send(host, &json!({"cmd": "go", "after": after}))
            }
            Action::Leave { host, after } => {
                self.hosts.send(host, &json!({"cmd": "leave", "after": after}));
            }
            Action::Stacks { slot, host, unit } => self.ask_for_stacks(slot, host, unit),
            Action::Kill { host, unit, .. } => self.kill(host, unit),
            Action::StartHost { slot, only } => self.start_host(slot, &only),
            Action::EndHost { host } => self.hosts.retire(host),
            Action::SplitStarted { split } => self.account.split_begins(split, now),
            Action::SplitEnded { split, ran } => self.split_ended(split, ran),
            Action::SplitStopped { split } => self.tell_split(split, SplitState::Stopped),
            Action::CloseSplits { splits } => self.close_splits(&splits),
            Action::Started { slot, test } => self.account.tell_start(slot, test),
            Action::Failed { slot, test } => self.account.count_failure(slot, test),
            Action::Ended(ended) => self.ended(&ended),
            Action::Settled { unit, test, verdict } => self.settled(unit, test, verdict),
            Action::LostBetweenTests { slot, split } => self.lost_between_tests(slot, split),
            Action::Quiet { slot, host, unit, test, seconds } => {
                self.quiet(slot, test, seconds);
                self.ask_for_stacks(slot, host, unit);
            }
            Action::Over(over) => self.over(&over),
            Action::ProcessOver { seconds, cpu, starting, fixtures } => {
                self.account.process_over(Process { seconds, cpu, starting, fixtures });
            }
            Action::Workers { allowed } => self.workers_changed(allowed),
            Action::Needs(needs) => {
                self.job.jobserver.iter().for_each(|client| client.tell(&Told::Needs(needs)));
            }
            Action::WaitsForMemory { needed, available } => self.waits(needed, available),
            Action::Claim => self.claim(),
            Action::ClaimNothing => self.claim_nothing(),
            Action::Abort { why } => self.abort(why),
            Action::KillAll => self.hosts.kill(|_| true),
            Action::Finish { hurry } => self.nothing_runs(hurry),
        }
    }

    fn close_splits(&mut self, splits: &[u32]) {
        let head = self.hosts.head();
        self.hosts.send(head, &json!({"cmd": "close", "splits": splits}));
    }

    /// A test has ended. Plugins hear of its crash from us: its own process cannot tell them.
    fn ended(&mut self, ended: &Ended) {
        let now = self.now();
        if let Some((id, text)) = self.account.ended(ended, now) {
            self.replay_crash(ended.slot, &id, &text);
        }
    }

    /// What later runs are to know of this one is kept, and the hosts are told to finish.
    fn nothing_runs(&mut self, hurry: bool) {
        self.account.ran().workers_reached = self.scheduler.workers_reached();
        if self.forks() {
            self.account.ran().memory_growth = self.scheduler.memory_growth();
        }
        self.finish(hurry.then(|| self.now() + FINISHING));
    }

    /// Has a host run a unit.
    fn give(&mut self, action: Action) {
        let Action::Run { slot, host, unit, split, tests, after, asks, trial } = action else {
            return;
        };
        let mut command = json!({"cmd": "run", "unit": unit, "slot": slot, "asks": asks});
        match after {
            Some(after) => {
                command["after"] = after.into();
                if let Some(given) = &mut self.slots[slot] {
                    given.next = Some((unit, split));
                }
            }
            None => {
                // One that runs units itself is the process.
                let process =
                    if self.hosts.slot_of(host).is_some() { self.hosts.pid(host) } else { 0 };
                let next = None;
                let given = Given { unit, host, split, next, process, garbled: false };
                self.slots[slot] = Some(given);
                let log = self.hosts.log(host).to_owned();
                self.account.unit_begins(slot, split, &log, trial);
            }
        }
        if trial {
            command["trial"] = true.into();
        }
        self.hosts.run(host, split, &tests, command);
    }

    /// The unit that runs in a slot, and the host it was given to.
    fn given(&self, slot: usize) -> Option<(u32, usize)> {
        self.slots.get(slot).copied().flatten().map(|given| (given.unit, given.host))
    }

    /// The slot in which a host runs a unit itself.
    fn slot_of_unit_in(&self, host: usize) -> Option<usize> {
        self.slots.iter().position(|given| given.is_some_and(|given| given.host == host))
    }

    /// The slot that a unit runs in.
    fn slot_of_unit(&self, unit: u32) -> Option<usize> {
        self.slots.iter().position(|given| given.is_some_and(|given| given.unit == unit))
    }

    /// The process of a unit says who it is.
    fn process_started(&mut self, slot: usize, pid: i32, memory: Option<u64>) {
        let Some(Some(given)) = self.slots.get_mut(slot) else { return };
        given.process = pid;
        self.account.ran().forked |= self.hosts.slot_of(given.host).is_none();
        self.account.process(slot, pid);
        self.account.process_has(pid, memory);
        self.tell(Input::ProcessStarted { slot, pid, memory });
    }

    /// Something was said in a slot that cannot be read.
    fn garbled(&mut self, slot: usize) {
        self.slots[slot].iter_mut().for_each(|given| given.garbled = true);
    }

    /// All results of the unit in a slot are safe.
    fn unit_ended(&mut self, slot: usize, goes_on: bool, fixtures: f64) {
        let Some(Some(given)) = self.slots.get_mut(slot) else { return };
        if given.garbled {
            let split = Some(given.split);
            self.account.problem(split, "said what cannot be read".to_owned());
        }
        let (host, next) = (given.host, given.next);
        if let (true, Some((unit, split))) = (goes_on, next) {
            let log = self.hosts.log(host).to_owned();
            let Some(Some(given)) = self.slots.get_mut(slot) else { return };
            *given = Given { unit, split, next: None, garbled: false, ..*given };
            self.account.unit_goes_on(slot, split, &log);
        } else if goes_on {
            self.broken(host, "went on with a unit that nobody gave it");
        }
        self.tell(Input::UnitEnded { slot, goes_on, fixtures });
    }

    /// The process in a slot is gone. Returns its process group, where it had its own.
    fn slot_is_free(&mut self, slot: usize) -> Option<i32> {
        let given = self.slots.get_mut(slot)?.take()?;
        self.dumps.forget(slot);
        self.hosts.slot_of(given.host).is_none().then_some(given.process)
    }

    /// The processes that were forked from these hosts.
    fn forked_from(&self, hosts: impl Fn(usize) -> bool) -> Vec<i32> {
        let given = self.slots.iter().flatten().filter(|given| hosts(given.host));
        given.filter(|it| self.hosts.slot_of(it.host).is_none()).map(|it| it.process).collect()
    }

    /// A host that runs units itself writes its stacks to a file; a fork tells them.
    fn ask_for_stacks(&mut self, slot: usize, host: usize, unit: u32) {
        if self.hosts.slot_of(host).is_none() {
            return self.hosts.send(host, &json!({"cmd": "stacks", "unit": unit}));
        }
        self.hosts.ask_for_stacks(host);
        let file = self.hosts.unit_folder(host, unit).join("stacks");
        self.dumps.add(slot, unit, file, self.now());
    }

    pub(super) fn ran(mut self) -> Ran {
        let written = self.trace.take().map(TraceFile::finish);
        self.traced(written.unwrap_or(Ok(())));
        self.account.close()
    }
}

/// How the scheduler is to go about a job.
fn rules(job: &Job, mode: Mode) -> Rules {
    let forks = mode != Mode::Spawn;
    Rules {
        forks,
        isolation: job.isolation,
        replaces_slow: job.replaces_slow,
        retries: job.retries,
        budget: job.budget.into(),
        timeout: job.timeout,
        workers: job.pool,
        confirms: forks && job.confirms,
        memory_per_test: job.memory_per_test,
        memory_growth: job.memory_growth,
        shared: job.jobserver.is_some(),
    }
}
