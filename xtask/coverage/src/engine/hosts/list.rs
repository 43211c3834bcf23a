//! The hosts of a run: which there are, and how far each has come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::process::ExitStatus;
use std::sync::mpsc::Sender;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::Message;
use super::host::{Host, Mode, Setup};
use crate::engine::Job;
use crate::settings::Workers;
use crate::split::{Marks, places};

/// All hosts of a run, by number.
pub(super) struct Hosts<'a> {
    job: &'a Job,
    tell: Sender<Message>,
    mode: Mode,
    workers: Workers,
    head: usize,
    all: Vec<Known>,
    /// What plugins of the controller have for workers that are hosts, once it is known.
    nodes: Option<Nodes>,
    /// How much the controller wants to hear of tests.
    replays: u8,
}

/// What workers are given before they are configured.
#[derive(Clone, Debug)]
struct Nodes {
    /// For each slot, packed by the controller; empty where workers are not to look like any.
    inputs: Vec<String>,
    /// How much the controller wants to hear of tests.
    replays: u8,
}

impl Nodes {
    fn command(&self, slot: usize) -> Value {
        json!({"cmd": "node", "input": self.inputs.get(slot), "replays": self.replays})
    }
}

/// What is known of one host.
struct Known {
    host: Host,
    mode: Mode,
    /// The slot of one that runs units itself.
    slot: Option<usize>,
    /// It is a collector of the host before it.
    collector: bool,
    /// It was never started, for want of files.
    spare: bool,
    ids: Vec<String>,
    marks: Marks,
    /// A collector's files, by number and place within, and how many of its tests are in each.
    files: Vec<(usize, usize, usize)>,
    /// The plan's number of each of its tests, and the other way round; none where they are equal.
    numbers: Option<(HashMap<usize, usize>, HashMap<usize, usize>)>,
    told: bool,
    collected: bool,
    ready: bool,
    /// We have ended it, or what it belongs to.
    retired: bool,
    pid: i32,
    stacks_signal: i32,
    bye: Option<i32>,
    status: Option<ExitStatus>,
    /// How it ended, in words, of a collector.
    how: Option<String>,
    gone: bool,
}

impl<'a> Hosts<'a> {
    /// Starts the hosts that a run begins with.
    pub(super) fn start(
        job: &'a Job,
        mode: Mode,
        workers: Workers,
        tell: Sender<Message>,
    ) -> Result<Hosts<'a>> {
        let all = Vec::new();
        let (head, nodes, replays) = (0, None, 0);
        let mut started = Hosts { job, tell, mode, workers, head, all, nodes, replays };
        started.begin()?;
        Ok(started)
    }

    fn begin(&mut self) -> Result<()> {
        self.head = self.all.len();
        match self.mode {
            Mode::Fork | Mode::Shards => drop(self.add(self.mode, 0, &[])?),
            Mode::Spawn => {
                self.add(Mode::Controller, 0, &[])?;
                self.add_workers()?;
            }
            Mode::Controller | Mode::Gather => {}
        }
        Ok(())
    }

    /// Ends all hosts, and starts those that a run in this mode begins with.
    pub(super) fn start_over(&mut self, mode: Mode) -> Result<()> {
        self.kill(|_| true);
        self.nodes = None;
        self.mode = mode;
        self.begin()
    }

    /// How units are run.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The first host of those that the run is left to.
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// Where hosts tell what happens.
    pub(super) fn telling(&self) -> Sender<Message> {
        self.tell.clone()
    }

    fn add_workers(&mut self) -> Result<()> {
        (0..self.workers.start).try_for_each(|slot| self.add_worker(slot, &[]).map(drop))
    }

    /// Starts a host that runs units itself, in this slot; of tests it is to know only those with
    /// these ids, unless there are none.
    pub(super) fn add_worker(&mut self, slot: usize, only: &[String]) -> Result<usize> {
        let host = self.add(Mode::Spawn, slot, only)?;
        self.all[host].slot = Some(slot);
        let nodes = self.nodes.clone().or_else(|| {
            // Forks are configured by the host; one that is none has nothing to wait for.
            let replays = self.replays;
            (self.mode != Mode::Spawn).then(|| Nodes { inputs: Vec::new(), replays })
        });
        if let Some(nodes) = nodes {
            self.send(host, &nodes.command(slot));
        }
        Ok(host)
    }

    /// A host that was to fork cannot: it remains the controller, and others run the tests.
    pub(super) fn without_forks(&mut self, host: usize) -> Result<()> {
        self.mode = Mode::Spawn;
        self.all[host].mode = Mode::Controller;
        self.add_workers()
    }

    /// A worker of a host collects and forks others in its place.
    pub(super) fn worker_collects(&mut self, host: usize) {
        self.mode = Mode::Shards;
        self.all[host].mode = Mode::Shards;
        self.without_spare_collectors(host, 1);
        for collector in self.collectors_of(host) {
            self.all[collector].host.logs_to(self.job.folder.workers_log());
        }
    }

    /// The host whose session hears of tests; none where it is gone.
    fn controller(&self) -> Option<usize> {
        self.all.get(self.head).filter(|known| !known.gone).map(|_| self.head)
    }

    /// Has the controller hear of something.
    pub(super) fn tell_controller(&mut self, command: &Value) {
        if let Some(host) = self.controller() {
            self.send(host, command);
        }
    }

    /// The controller wants to hear of tests: so much.
    pub(super) fn listens(&mut self, replays: u8) {
        self.replays = self.replays.max(replays);
    }

    /// Hosts that wait to be configured are told what they are.
    pub(super) fn configure(&mut self, inputs: Vec<String>, replays: u8) {
        let nodes = Nodes { inputs, replays };
        for host in 0..self.all.len() {
            let Known { slot, gone, retired, .. } = self.all[host];
            if let (Some(slot), false) = (slot, gone || retired) {
                self.send(host, &nodes.command(slot));
            }
        }
        self.nodes = Some(nodes);
    }

    /// A host that was to have collectors has none: it collects and forks itself.
    pub(super) fn without_collectors(&mut self, host: usize) {
        self.mode = Mode::Fork;
        for collector in self.collectors_of(host) {
            let known = &mut self.all[collector];
            (known.retired, known.gone) = (true, true);
            known.host.end_lines();
        }
        self.all[host].mode = Mode::Fork;
    }

    /// There are no more collectors than files: the last ones were never started.
    pub(super) fn without_spare_collectors(&mut self, host: usize, files: usize) {
        for spare in self.collectors_of(host).skip(files) {
            (self.all[spare].spare, self.all[spare].gone) = (true, true);
        }
    }

    /// True as long as processes live that collect or run tests, but for the controller.
    fn workers_live(&self) -> bool {
        let others = self.all.iter().enumerate().filter(|(host, _)| *host != self.head);
        let mut workers = others.filter(|(_, it)| it.collector || it.mode == Mode::Spawn);
        workers.any(|(_, it)| it.bye.is_none() && !it.gone && !it.retired)
    }

    /// Whether the host that hears of tests is to finish now: all have that run them. True once.
    pub(super) fn head_finishes(&mut self) -> bool {
        let is_last = matches!(self.all[self.head].mode, Mode::Shards | Mode::Controller);
        let finishes = is_last && !self.workers_live();
        finishes && !std::mem::replace(&mut self.all[self.head].told, true)
    }

    /// Starts a host that puts together what units of lost hosts have left.
    pub(super) fn gather(&mut self) -> Result<usize> {
        self.add(Mode::Gather, 0, &[])
    }

    fn add(&mut self, mode: Mode, slot: usize, only: &[String]) -> Result<usize> {
        let number = self.all.len();
        let setup = Setup::new(self.job, self.workers, number, mode, slot, only);
        let started = Host::start(self.job, &setup, &self.tell).inspect_err(|_| {
            let unstarted = || Known::new(Host::unstarted(self.job, &setup), mode);
            let gone = || Known { spare: true, retired: true, gone: true, ..unstarted() };
            self.all.extend(std::iter::repeat_with(gone).take(setup.processes()));
        });
        let mut hosts = started?.into_iter();
        self.all.extend(hosts.next().map(|host| Known::new(host, mode)));
        let collector = |host| Known { collector: true, ..Known::new(host, Mode::Fork) };
        self.all.extend(hosts.map(collector));
        Ok(number)
    }

    /// The collectors of a host.
    pub(super) fn collectors_of(&self, host: usize) -> Range<usize> {
        let after = self.all.iter().skip(host + 1);
        let is_one = |known: &&Known| known.collector && !known.spare;
        host + 1..host + 1 + after.take_while(is_one).count()
    }

    /// Where the output of a host goes.
    pub(super) fn log(&self, host: usize) -> &Utf8Path {
        self.all[host].host.log()
    }

    /// Where a unit leaves what it has covered, and its stacks.
    pub(super) fn unit_folder(&self, host: usize, unit: u32) -> Utf8PathBuf {
        self.all[host].host.unit_folder(unit)
    }

    /// How a host runs units.
    pub(super) fn mode_of(&self, host: usize) -> Mode {
        self.all[host].mode
    }

    /// The slot of a host that runs units itself.
    pub(super) fn slot_of(&self, host: usize) -> Option<usize> {
        self.all[host].slot
    }

    /// It is a collector of the host before it.
    pub(super) fn is_collector(&self, host: usize) -> bool {
        self.all[host].collector
    }

    /// We have ended it, or what it belongs to.
    pub(super) fn is_retired(&self, host: usize) -> bool {
        self.all[host].retired
    }

    /// It is gone, and all it said has been heard.
    pub(super) fn is_gone(&self, host: usize) -> bool {
        self.all[host].gone
    }

    /// It obeys.
    pub(super) fn is_ready(&self, host: usize) -> bool {
        self.all[host].ready
    }

    /// A collector is not at work any more: it has collected, or never will.
    pub(super) fn is_settled(&self, host: usize) -> bool {
        let Known { ready, bye, gone, .. } = &self.all[host];
        *ready || bye.is_some() || *gone
    }

    /// It has collected as many tests as it will.
    pub(super) fn has_collected(&self, host: usize) -> bool {
        self.all[host].collected
    }

    /// pytest's exit status, once the host has said all.
    pub(super) fn bye(&self, host: usize) -> Option<i32> {
        self.all[host].bye
    }

    /// How its process ended.
    pub(super) fn status(&self, host: usize) -> Option<ExitStatus> {
        self.all[host].status
    }

    /// How a collector ended, in words.
    pub(super) fn how(&self, host: usize) -> Option<&str> {
        self.all[host].how.as_deref()
    }

    pub(super) fn pid(&self, host: usize) -> i32 {
        self.all[host].pid
    }

    /// A host says who it is.
    pub(super) fn says_hello(&mut self, host: usize, pid: i32, stacks_signal: i32) {
        (self.all[host].pid, self.all[host].stacks_signal) = (pid, stacks_signal);
    }

    /// A host has found tests.
    pub(super) fn found(
        &mut self,
        host: usize,
        ids: Vec<String>,
        files: Vec<(usize, usize, usize)>,
        groups: BTreeMap<String, String>,
        documents: BTreeMap<String, String>,
    ) {
        let known = &mut self.all[host];
        known.ids.extend(ids);
        known.files.extend(files);
        let index = |(test, group): (String, String)| Some((test.parse().ok()?, group));
        known.marks.groups.extend(groups.into_iter().filter_map(index));
        known.marks.documents.extend(documents.into_iter().filter_map(index));
    }

    /// A host has found all.
    pub(super) fn has_found_all(&mut self, host: usize) {
        self.all[host].collected = true;
    }

    /// A host obeys from here on: what it has collected.
    pub(super) fn gets_ready(&mut self, host: usize) -> (Vec<String>, Marks) {
        let known = &mut self.all[host];
        known.ready = true;
        match known.collector {
            // Parts are put together when all are there.
            true => (Vec::new(), Marks::default()),
            false => (std::mem::take(&mut known.ids), std::mem::take(&mut known.marks)),
        }
    }

    /// The tests of all collectors in the order of their files, with the collector of each.
    pub(super) fn join(&mut self, collectors: Range<usize>) -> (Vec<String>, Marks, Vec<usize>) {
        let mut pieces = Vec::new();
        for collector in collectors {
            let mut first = 0;
            for &(file, name, tests) in &self.all[collector].files {
                pieces.push(((file, name), collector, first..first + tests));
                first += tests;
            }
        }
        pieces.sort_by_key(|(place, ..)| *place);
        let (mut ids, mut marks, mut holders) = (Vec::new(), Marks::default(), Vec::new());
        let mut places: HashMap<usize, HashMap<usize, usize>> = HashMap::new();
        for (_, collector, tests) in pieces {
            let Known { ids: its_ids, marks: its_marks, .. } = &self.all[collector];
            for test in tests {
                let number = ids.len();
                places.entry(collector).or_default().insert(number, test);
                let named = |name: Option<&String>| Some((number, name?.clone()));
                marks.groups.extend(named(its_marks.groups.get(&test)));
                marks.documents.extend(named(its_marks.documents.get(&test)));
                ids.push(its_ids.get(test).cloned().unwrap_or_default());
                holders.push(collector);
            }
        }
        for (collector, places) in places {
            self.renumber(collector, places);
        }
        (ids, marks, holders)
    }

    /// A host has said all.
    pub(super) fn says_bye(&mut self, host: usize, exit: i32) {
        self.all[host].bye = Some(exit);
    }

    /// A collector has ended.
    pub(super) fn collector_ended(&mut self, host: usize, how: String) {
        self.all[host].how = Some(how);
        self.all[host].host.end_lines();
    }

    /// The process of a host has ended; what it said before is still to be heard.
    pub(super) fn ended(&mut self, host: usize, status: ExitStatus) {
        let collectors = self.collectors_of(host);
        let known = &mut self.all[host];
        known.status = Some(status);
        known.host.end_lines();
        // Without their host collectors do not go on.
        known.host.kill_group();
        collectors.for_each(|collector| self.all[collector].host.end_lines());
    }

    /// From here on tests of a host go by the plan's numbers: these are their ids, and it knows
    /// all of them. False where it does not.
    pub(super) fn number(&mut self, host: usize, plan: &[String], ids: &[String]) -> bool {
        let Some(places) = places(plan, ids) else { return false };
        if !places.is_sorted() {
            self.renumber(host, places.into_iter().enumerate().collect());
        }
        true
    }

    /// The same of a host that knows some of the tests: those with these numbers have these ids.
    pub(super) fn number_some(
        &mut self,
        host: usize,
        wanted: &[(usize, String)],
        ids: &[String],
    ) -> bool {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, id) in ids.iter().enumerate().rev() {
            by_id.entry(id).or_default().push(place);
        }
        let place =
            |(number, id): &(usize, String)| Some((*number, by_id.get_mut(id.as_str())?.pop()?));
        let numbers: Option<HashMap<usize, usize>> = wanted.iter().map(place).collect();
        numbers.map(|numbers| self.renumber(host, numbers)).is_some()
    }

    /// `places` says where some of the tests are in a host.
    fn renumber(&mut self, host: usize, places: HashMap<usize, usize>) {
        let plan = places.iter().map(|(&number, &place)| (place, number)).collect();
        self.all[host].numbers = Some((plan, places));
    }

    /// The plan's number of a test.
    pub(super) fn plans_number(&self, host: usize, test: usize) -> usize {
        let numbers = self.all[host].numbers.as_ref();
        numbers.and_then(|(plan, _)| plan.get(&test)).copied().unwrap_or(test)
    }

    /// All hosts that were not ended and are not gone.
    pub(super) fn living(&self) -> BTreeSet<usize> {
        let living = self.all.iter().enumerate().filter(|(_, it)| !it.gone && !it.retired);
        living.map(|(host, _)| host).collect()
    }

    /// True when no host is left.
    pub(super) fn all_gone(&self) -> bool {
        self.all.iter().all(|known| known.gone)
    }

    /// Has a host run a unit, by this command.
    pub(super) fn run(&mut self, host: usize, split: u32, tests: &[usize], mut command: Value) {
        let known = &mut self.all[host];
        // One that does not fork writes a single file for all its units.
        command["split"] = (known.mode == Mode::Fork).then_some(split).into();
        let numbers = known.numbers.as_ref().map(|(_, places)| places);
        let its = |test: &usize| numbers.and_then(|it| it.get(test)).copied().unwrap_or(*test);
        command["tests"] = tests.iter().map(its).collect::<Vec<usize>>().into();
        known.host.send(&command);
    }

    /// Sends a command to a host.
    pub(super) fn send(&mut self, host: usize, command: &Value) {
        self.all[host].host.send(command);
    }

    /// Has all hosts end their units that hear anything while they run them; the others are ended.
    pub(super) fn abort(&mut self) {
        for known in self.all.iter_mut().filter(|known| !known.gone) {
            match known.mode {
                Mode::Fork => known.host.send(&json!({"cmd": "abort"})),
                Mode::Spawn | Mode::Gather => known.retire(),
                Mode::Shards | Mode::Controller => {}
            }
        }
    }

    /// Has hosts write what they have, but for the one that hears of tests: it is the last.
    pub(super) fn finish(&mut self, command: &Value) {
        for known in self.all.iter_mut().filter(|known| !known.gone && !known.retired) {
            if !matches!(known.mode, Mode::Shards | Mode::Controller) {
                known.host.send(command);
            }
        }
    }

    /// Notes that a host is gone. False where that was known.
    pub(super) fn lost(&mut self, host: usize) -> bool {
        !std::mem::replace(&mut self.all[host].gone, true)
    }

    /// Ends a host in which nothing more should run.
    pub(super) fn retire(&mut self, host: usize) {
        self.all[host].retire();
    }

    /// A host has nothing more to run, and what its end may still wait for is not waited for.
    pub(super) fn hurry_out(&mut self, host: usize) {
        let known = &mut self.all[host];
        match (known.mode, known.collector) {
            (_, true) => known.host.end_lines(),
            (Mode::Fork | Mode::Shards | Mode::Controller, false) => known.host.kill_group(),
            (Mode::Spawn | Mode::Gather, false) => {}
        }
    }

    /// Ends hosts at once, with all that they have started.
    pub(super) fn kill(&mut self, which: impl Fn(Mode) -> bool) {
        let living = self.all.iter_mut().filter(|known| !known.gone);
        living.filter(|known| which(known.mode)).for_each(Known::retire);
    }

    /// Ends the process of a host; that is not to be its end for us.
    pub(super) fn kill_process(&mut self, host: usize) {
        self.all[host].host.kill_group();
    }

    /// Has a host that runs units itself write down its stacks.
    pub(super) fn ask_for_stacks(&self, host: usize) {
        if let Ok(signal) = Signal::try_from(self.all[host].stacks_signal) {
            self.all[host].host.signal(signal);
        }
    }
}

impl Known {
    fn new(host: Host, mode: Mode) -> Known {
        Known {
            host,
            mode,
            slot: None,
            collector: false,
            spare: false,
            ids: Vec::new(),
            marks: Marks::default(),
            files: Vec::new(),
            numbers: None,
            told: false,
            collected: false,
            ready: false,
            retired: false,
            pid: 0,
            stacks_signal: 0,
            bye: None,
            status: None,
            how: None,
            gone: false,
        }
    }

    fn retire(&mut self) {
        self.retired = true;
        self.host.kill_group();
    }
}
