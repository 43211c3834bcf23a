//! The hosts of a run: which there are, which slots they serve, and how far each has come.

use std::collections::HashMap;
use std::ops::Range;
use std::process::ExitStatus;
use std::sync::mpsc::Sender;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::Message;
use super::host::{Host, Mode, Setup, worker_log};
use crate::engine::Job;
use crate::split::{Marks, Unit};

/// All hosts of a run, by number, and those that serve slots.
pub(super) struct Fleet<'a> {
    job: &'a Job,
    tell: Sender<Message>,
    mode: Mode,
    head: usize,
    members: Vec<Member>,
    /// The host of each slot; none while there is none, or where it depends on the unit.
    homes: Vec<Option<usize>>,
    /// What plugins of the controller have for workers that are hosts, once it is known.
    nodes: Option<Nodes>,
}

/// What workers are given before they are configured.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    /// For each slot, packed by the controller; empty where workers are not to look like any.
    pub(super) inputs: Vec<String>,
    /// How much the controller wants to hear of tests.
    pub(super) replays: u8,
}

impl Nodes {
    fn command(&self, slot: usize) -> Value {
        json!({"cmd": "node", "input": self.inputs.get(slot), "replays": self.replays})
    }
}

/// One host.
pub(super) struct Member {
    /// Its process and pipes.
    pub(super) host: Host,
    /// How it runs units.
    pub(super) mode: Mode,
    /// It is a collector of the host before it.
    pub(super) collector: bool,
    /// It was never started, for want of files.
    pub(super) spare: bool,
    /// What it has collected, until that was looked at.
    pub(super) ids: Vec<String>,
    /// What it tells of its tests, by its own numbers.
    pub(super) marks: Marks,
    /// What a collector's test files have imported, until all have told it.
    pub(super) imported: Option<Vec<String>>,
    /// A collector's files, by number and place within, and how many of its tests are in each.
    pub(super) files: Vec<(usize, usize, usize)>,
    /// The plan's number of each of its tests, and the other way round; none where they are equal.
    numbers: Option<(HashMap<usize, usize>, HashMap<usize, usize>)>,
    /// It was told to finish.
    pub(super) told: bool,
    /// It has collected as many tests as it will.
    pub(super) collected: bool,
    /// It obeys.
    pub(super) ready: bool,
    /// We have ended it, or what it belongs to.
    pub(super) retired: bool,
    /// Its process.
    pub(super) pid: i32,
    /// The signal that has it write down its stacks.
    pub(super) stacks_signal: i32,
    /// pytest's exit status, once the host has said all.
    pub(super) bye: Option<i32>,
    /// How its process ended.
    pub(super) status: Option<ExitStatus>,
    /// The same in words, of a collector.
    pub(super) how: Option<String>,
    /// It is gone, and all it said has been heard.
    pub(super) gone: bool,
}

impl<'a> Fleet<'a> {
    /// Starts the hosts that a run begins with.
    pub(super) fn start(job: &'a Job, mode: Mode, tell: Sender<Message>) -> Result<Fleet<'a>> {
        let slots = (job.concurrent * job.workers).max(1) as usize;
        let (members, homes) = (Vec::new(), vec![None; slots]);
        let mut fleet = Fleet { job, tell, mode, head: 0, members, homes, nodes: None };
        fleet.begin()?;
        Ok(fleet)
    }

    fn begin(&mut self) -> Result<()> {
        self.head = self.members.len();
        match self.mode {
            Mode::Fork => {
                let host = self.add(Mode::Fork, 0)?;
                self.homes.fill(Some(host));
            }
            Mode::Shards => {
                self.add(Mode::Shards, 0)?;
            }
            Mode::Spawn => {
                self.add(Mode::Controller, 0)?;
                self.settle()?;
            }
            Mode::Controller | Mode::Gather => {}
        }
        Ok(())
    }

    /// Ends all hosts, and starts those that a run in this mode begins with.
    pub(super) fn start_over(&mut self, mode: Mode) -> Result<()> {
        self.kill(|_| true);
        self.homes.fill(None);
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

    /// How many units can run at once.
    pub(super) fn slots(&self) -> usize {
        self.homes.len()
    }

    /// Starts a host that runs units itself for every slot that has none.
    pub(super) fn settle(&mut self) -> Result<()> {
        for slot in 0..self.homes.len() {
            if self.homes[slot].is_none() {
                self.homes[slot] = Some(self.add(Mode::Spawn, slot)?);
            }
        }
        Ok(())
    }

    /// A host that was to fork cannot: it remains the controller, and others run the tests.
    pub(super) fn without_forks(&mut self, host: usize) -> Result<()> {
        self.mode = Mode::Spawn;
        self.members[host].mode = Mode::Controller;
        self.homes.fill(None);
        self.settle()
    }

    /// A worker of a host collects and forks others in its place.
    pub(super) fn worker_collects(&mut self, host: usize) {
        self.mode = Mode::Shards;
        self.members[host].mode = Mode::Shards;
        self.homes.fill(None);
        self.without_spare_collectors(host, 1);
        for collector in self.collectors_of(host) {
            self.members[collector].host.log = worker_log(self.job);
        }
    }

    /// The host whose session hears of tests; none where it is gone.
    pub(super) fn controller(&self) -> Option<usize> {
        self.members.get(self.head).filter(|member| !member.gone).map(|_| self.head)
    }

    /// Has the controller hear of something.
    pub(super) fn tell_controller(&mut self, command: &Value) {
        if let Some(host) = self.controller() {
            self.send(host, command);
        }
    }

    /// Hosts that wait to be configured are told what they are.
    pub(super) fn configure(&mut self, nodes: Nodes) {
        for slot in 0..self.homes.len() {
            if let Some(host) = self.homes[slot].filter(|&host| !self.members[host].gone) {
                self.send(host, &nodes.command(slot));
            }
        }
        self.nodes = Some(nodes);
    }

    /// A host that was to have collectors has none: it collects and forks itself.
    pub(super) fn without_collectors(&mut self, host: usize) {
        self.mode = Mode::Fork;
        self.homes.fill(Some(host));
        for collector in self.collectors_of(host) {
            let member = &mut self.members[collector];
            (member.retired, member.gone) = (true, true);
            member.host.end_lines();
        }
        self.members[host].mode = Mode::Fork;
    }

    /// There are no more collectors than files: the last ones were never started.
    pub(super) fn without_spare_collectors(&mut self, host: usize, files: usize) {
        for spare in self.collectors_of(host).skip(files) {
            self.members[spare].spare = true;
            self.members[spare].gone = true;
        }
    }

    /// True as long as processes live that collect or run tests, but for the controller.
    pub(super) fn workers_live(&self) -> bool {
        let others = self.members.iter().enumerate().filter(|(host, _)| *host != self.head);
        let mut workers = others.filter(|(_, it)| it.collector || it.mode == Mode::Spawn);
        workers.any(|(_, it)| it.bye.is_none() && !it.gone)
    }

    /// Starts a host that puts together what units of lost hosts have left.
    pub(super) fn gather(&mut self) -> Result<usize> {
        self.add(Mode::Gather, 0)
    }

    fn add(&mut self, mode: Mode, slot: usize) -> Result<usize> {
        let number = self.members.len();
        let collectors = match mode {
            Mode::Shards => self.job.collectors as usize,
            Mode::Fork => 1,
            Mode::Spawn | Mode::Controller | Mode::Gather => 0,
        };
        let setup = Setup { number, mode, slot, slots: self.homes.len(), collectors };
        let mut hosts = Host::start(self.job, &setup, &self.tell)?.into_iter();
        self.members.extend(hosts.next().map(|host| Member::new(host, mode)));
        let collector = |host| Member { collector: true, ..Member::new(host, Mode::Fork) };
        self.members.extend(hosts.map(collector));
        if let Some(nodes) = self.nodes.clone().filter(|_| mode == Mode::Spawn) {
            self.send(number, &nodes.command(slot));
        }
        Ok(number)
    }

    /// The collectors of a host.
    pub(super) fn collectors_of(&self, host: usize) -> Range<usize> {
        let after = self.members.iter().skip(host + 1);
        let is_one = |member: &&Member| member.collector && !member.spare;
        host + 1..host + 1 + after.take_while(is_one).count()
    }

    /// What is known of the host of this number.
    pub(super) fn peek(&self, host: usize) -> &Member {
        &self.members[host]
    }

    /// The host of this number.
    pub(super) fn member(&mut self, host: usize) -> &mut Member {
        &mut self.members[host]
    }

    /// All hosts that are not gone, with their numbers.
    pub(super) fn living(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        self.members.iter_mut().enumerate().filter(|(_, member)| !member.gone)
    }

    /// True when no host is left.
    pub(super) fn all_gone(&self) -> bool {
        self.members.iter().all(|member| member.gone)
    }

    /// The host that serves a slot, if it obeys already.
    pub(super) fn serving(&self, slot: usize) -> Option<usize> {
        self.homes[slot].filter(|&host| self.members[host].ready)
    }

    /// How many slots have a host that is not gone.
    pub(super) fn staffed(&self) -> usize {
        self.homes.iter().flatten().count()
    }

    /// Has a host run a unit, by this command.
    pub(super) fn run(&mut self, host: usize, unit: &Unit, mut command: Value) {
        let member = &mut self.members[host];
        // One that does not fork writes a single file for all its units.
        command["split"] = (member.mode == Mode::Fork).then_some(unit.split).into();
        let tests = unit.tests.iter().map(|&test| member.its_number(test));
        command["tests"] = tests.collect::<Vec<usize>>().into();
        member.host.send(&command);
    }

    /// Sends a command to a host.
    pub(super) fn send(&mut self, host: usize, command: &Value) {
        self.members[host].host.send(command);
    }

    /// Notes that a host is gone, and with it the service of its slots.
    pub(super) fn lost(&mut self, host: usize) {
        self.members[host].gone = true;
        self.vacate(host);
    }

    /// Ends a host in which nothing more should run.
    pub(super) fn retire(&mut self, host: usize) {
        self.members[host].retired = true;
        self.members[host].host.child.kill_group();
        self.vacate(host);
    }

    fn vacate(&mut self, host: usize) {
        for home in &mut self.homes {
            *home = home.filter(|&it| it != host);
        }
    }

    /// Ends hosts at once, with all that they have started.
    pub(super) fn kill(&mut self, which: impl Fn(&Member) -> bool) {
        for (_, member) in self.living().filter(|(_, member)| which(member)) {
            member.retired = true;
            member.host.child.kill_group();
        }
    }
}

impl Member {
    fn new(host: Host, mode: Mode) -> Member {
        Member {
            host,
            mode,
            collector: false,
            spare: false,
            ids: Vec::new(),
            marks: Marks::default(),
            imported: None,
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

    /// From here on tests go by the plan's numbers: `places` says where some of them are here.
    pub(super) fn number(&mut self, places: HashMap<usize, usize>) {
        let plan = places.iter().map(|(&number, &place)| (place, number)).collect();
        self.numbers = Some((plan, places));
    }

    /// The plan's number of a test.
    pub(super) fn plans_number(&self, test: usize) -> usize {
        let numbers = self.numbers.as_ref();
        numbers.and_then(|(plan, _)| plan.get(&test)).copied().unwrap_or(test)
    }

    /// The host's own number of a test.
    fn its_number(&self, test: usize) -> usize {
        let numbers = self.numbers.as_ref();
        numbers.and_then(|(_, places)| places.get(&test)).copied().unwrap_or(test)
    }

    /// Has a host that runs units itself write down its stacks.
    pub(super) fn ask_for_stacks(&self) {
        if let Ok(signal) = Signal::try_from(self.stacks_signal) {
            self.host.child.signal(signal);
        }
    }
}
