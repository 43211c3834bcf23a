//! The hosts of a run: which there are, which slots they serve, and how far each has come.

use std::process::ExitStatus;
use std::sync::mpsc::Sender;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::Message;
use super::host::{Host, Mode, Setup};
use crate::engine::Job;

/// All hosts of a run, by number, and those that serve slots.
pub(super) struct Fleet<'a> {
    job: &'a Job,
    tell: Sender<Message>,
    members: Vec<Member>,
    /// The host of each slot; none while there is none.
    homes: Vec<Option<usize>>,
}

/// One host.
pub(super) struct Member {
    /// Its process and pipes.
    pub(super) host: Host,
    /// How it runs units.
    pub(super) mode: Mode,
    /// What it has collected, until that was looked at.
    pub(super) ids: Vec<String>,
    /// The plan's number of each of its tests, and the other way round; none where they are equal.
    numbers: Option<(Vec<usize>, Vec<usize>)>,
    /// It has collected as many tests as it will.
    pub(super) collected: bool,
    /// It obeys.
    pub(super) ready: bool,
    /// It has no more to do, and was told to go.
    pub(super) retired: bool,
    /// The signal that has it write down its stacks.
    pub(super) stacks_signal: i32,
    /// pytest's exit status, once the host has said all.
    pub(super) bye: Option<i32>,
    /// How its process ended.
    pub(super) status: Option<ExitStatus>,
    /// It is gone, and all it said has been heard.
    pub(super) gone: bool,
}

impl<'a> Fleet<'a> {
    /// Starts the hosts that a run begins with.
    pub(super) fn start(job: &'a Job, mode: Mode, tell: Sender<Message>) -> Result<Fleet<'a>> {
        let slots = (job.concurrent * job.workers).max(1) as usize;
        let mut fleet = Fleet { job, tell, members: Vec::new(), homes: vec![None; slots] };
        match mode {
            Mode::Fork => {
                fleet.add(Mode::Fork, 0)?;
                fleet.homes.fill(Some(0));
            }
            Mode::Spawn => fleet.settle()?,
            Mode::Gather => {}
        }
        Ok(fleet)
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

    /// A host that was to fork cannot: it runs units itself, and others do beside it.
    pub(super) fn without_forks(&mut self, host: usize) -> Result<()> {
        self.members[host].mode = Mode::Spawn;
        self.homes.fill(None);
        self.homes[0] = Some(host);
        self.settle()
    }

    /// Starts a host that puts together what units of lost hosts have left.
    pub(super) fn gather(&mut self) -> Result<usize> {
        self.add(Mode::Gather, 0)
    }

    fn add(&mut self, mode: Mode, slot: usize) -> Result<usize> {
        let number = self.members.len();
        let setup = Setup { number, mode, slot, slots: self.homes.len() };
        let host = Host::start(self.job, &setup, &self.tell)?;
        self.members.push(Member {
            host,
            mode,
            ids: Vec::new(),
            numbers: None,
            collected: false,
            ready: false,
            retired: false,
            stacks_signal: 0,
            bye: None,
            status: None,
            gone: false,
        });
        Ok(number)
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

    /// Has a host run a unit.
    pub(super) fn run(&mut self, host: usize, slot: usize, unit: u32, split: u32, tests: &[usize]) {
        let member = &mut self.members[host];
        // One that does not fork writes a single file for all its units.
        let split = (member.mode == Mode::Fork).then_some(split);
        let tests: Vec<usize> = tests.iter().map(|&test| member.its_number(test)).collect();
        member.host.send(
            &json!({"cmd": "run", "unit": unit, "slot": slot, "split": split, "tests": tests}),
        );
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
            member.host.child.kill_group();
        }
    }
}

impl Member {
    /// From here on tests go by the plan's numbers: `places` says where each of them is here.
    pub(super) fn number(&mut self, places: Vec<usize>) {
        if places.is_sorted() {
            return;
        }
        let mut plan = vec![0; places.len()];
        places.iter().enumerate().for_each(|(number, &place)| plan[place] = number);
        self.numbers = Some((plan, places));
    }

    /// The plan's number of a test.
    pub(super) fn plans_number(&self, test: usize) -> usize {
        let numbers = self.numbers.as_ref();
        numbers.and_then(|(plan, _)| plan.get(test)).copied().unwrap_or(test)
    }

    /// The host's own number of a test.
    fn its_number(&self, test: usize) -> usize {
        let numbers = self.numbers.as_ref();
        numbers.and_then(|(_, places)| places.get(test)).copied().unwrap_or(test)
    }

    /// Has a host that runs units itself write down its stacks.
    pub(super) fn ask_for_stacks(&self) {
        if let Ok(signal) = Signal::try_from(self.stacks_signal) {
            self.host.child.signal(signal);
        }
    }
}
