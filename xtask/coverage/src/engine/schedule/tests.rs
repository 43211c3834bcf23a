//! The scheduler in a world of chance: processes that start late, die, hang, ask and fail in any
//! order, readings of any machine, signals at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::jobserver::message;
use crate::machine::meter::{Reading, Usage};
use crate::settings::Workers;
use crate::split::Unit;

/// What each test does wherever it runs, and how the world goes on.
#[derive(Clone, Debug)]
struct Script {
    rules: Rules,
    /// The split, the group and the tests of each unit, as what each test does.
    units: Vec<(u32, Option<u8>, Vec<Does>)>,
    holders: bool,
    /// Which of the things that can happen next happens.
    choices: Vec<u16>,
    interrupted_at: Option<usize>,
    /// There may be too little memory.
    is_small: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Passes,
    Fails,
    FailsInForks,
    /// The process dies with it.
    Dies,
    DiesInForks,
    /// It fails, or its process dies, the first time only.
    FailsOnce,
    DiesOnce,
}

/// A process that runs units.
#[derive(Clone, Debug)]
struct Process {
    unit: u32,
    tests: Vec<usize>,
    at: usize,
    state: State,
    asks: bool,
    next: Option<(u32, Vec<usize>, bool)>,
    killed: bool,
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Between,
    InTest { failed: bool },
    Through,
    Ended,
}

struct World {
    script: Script,
    scheduler: Scheduler,
    does: Vec<Does>,
    groups: BTreeMap<usize, String>,
    tries: Vec<u32>,
    processes: BTreeMap<usize, Process>,
    starting: Vec<usize>,
    hosts: BTreeMap<usize, usize>,
    next_host: usize,
    now: Duration,
    /// How often the end of each test counted, and whether it was a failure.
    ends: BTreeMap<usize, Vec<bool>>,
    early: BTreeSet<usize>,
    failures: u64,
    held: BTreeSet<(u32, usize)>,
    failing: bool,
    aborted: Option<Why>,
    finished: u32,
    ended_splits: BTreeMap<u32, u32>,
    trace: Trace<Vec<u8>>,
    timeline: Timeline<Vec<u8>>,
    /// Processes that have started and did not say so yet.
    pids: Vec<(usize, i32)>,
    /// Where it shares processes with others: its share, and what it has told of its needs.
    share: message::Share,
    needs: message::Needs,
}

impl World {
    fn new(script: Script) -> World {
        let (mut does, mut groups) = (Vec::new(), BTreeMap::new());
        for (_, group, tests) in &script.units {
            for test in tests {
                groups.extend(group.map(|group| (does.len(), format!("g{group}"))));
                does.push(*test);
            }
        }
        let trace = Trace::begin(Vec::new(), &script.rules).expect("a line in memory");
        World {
            scheduler: Scheduler::new(script.rules.clone()),
            tries: vec![0; does.len()],
            does,
            groups,
            script,
            processes: BTreeMap::new(),
            starting: Vec::new(),
            hosts: BTreeMap::new(),
            next_host: 0,
            now: Duration::ZERO,
            ends: BTreeMap::new(),
            early: BTreeSet::new(),
            failures: 0,
            held: BTreeSet::new(),
            failing: false,
            aborted: None,
            finished: 0,
            ended_splits: BTreeMap::new(),
            trace,
            timeline: Timeline::begin(Vec::new()).expect("in memory"),
            pids: Vec::new(),
            share: message::Share::default(),
            needs: message::Needs::default(),
        }
    }

    fn suite(&self) -> Suite {
        let mut test = 0;
        let mut units: Vec<Unit> = Vec::new();
        for (split, group, tests) in &self.script.units {
            let tests: Vec<usize> = (test..test + tests.len()).collect();
            test += tests.len();
            let groups = group.iter().map(|group| format!("g{group}")).collect();
            units.push(Unit { split: *split, seconds: tests.len() as f64, tests, groups });
        }
        let holders = match self.script.holders && self.script.rules.forks {
            true => {
                units.iter().enumerate().flat_map(|(at, it)| vec![at % 2; it.tests.len()]).collect()
            }
            false => Vec::new(),
        };
        Suite {
            seconds: vec![1.0; test],
            splits: vec![1, 2, 3],
            groups: self.groups.clone(),
            holders,
            units,
            collect_seconds: 1.0,
            ..Suite::default()
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Action> {
        let actions = self.scheduler.handle(input.clone(), self.now);
        self.trace.note(self.now, &input, &actions).expect("a line in memory");
        self.timeline.note(self.now, &input, &actions, &[]).expect("events in memory");
        actions
    }

    fn tell(&mut self, input: Input) {
        let actions = self.handle(input);
        actions.into_iter().for_each(|action| self.obey(action));
        self.check();
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Run { slot, unit, tests, after: None, asks, .. } => {
                assert!(!self.processes.contains_key(&slot), "the slot is taken");
                let fresh = slot >= self.script.rules.workers.most || !self.script.rules.forks;
                let state = State::Between;
                let process =
                    Process { unit, tests, at: 0, state, asks, next: None, killed: false, fresh };
                self.processes.insert(slot, process);
                let pid = i32::try_from(slot).expect("few slots");
                self.pids.push((slot, pid));
                let most = self.script.rules.workers.most;
                let running = self.processes.keys().filter(|slot| **slot < most).count();
                let is_within = running <= self.share.processes || slot >= most;
                assert!(is_within || !self.script.rules.shared, "more than its share");
            }
            Action::Run { slot, unit, tests, after: Some(after), asks, .. } => {
                let process = self.processes.get_mut(&slot).expect("a process to follow in");
                assert_eq!(process.unit, after);
                process.next = Some((unit, tests, asks));
            }
            Action::Kill { slot, .. } => {
                self.processes.get_mut(&slot).expect("a process").killed = true;
            }
            Action::StartHost { slot, .. } => self.starting.push(slot),
            Action::EndHost { host } => {
                self.hosts.remove(&host);
            }
            Action::Failed { test, .. } => {
                self.failures += u64::from(self.early.insert(test));
            }
            Action::Ended(ended) => self.ended(&ended),
            Action::Settled { unit, test, verdict } => {
                assert!(self.held.remove(&(unit, test)), "it was held");
                let failed = !matches!(verdict, Verdict::Fresh(_));
                let budget = self.script.rules.budget;
                let is_closed = budget > 0 && self.failures >= budget;
                if self.aborted.is_none() && !is_closed {
                    self.failures += u64::from(failed);
                    self.ends.entry(test).or_default().push(failed);
                }
            }
            Action::SplitEnded { split, .. } => *self.ended_splits.entry(split).or_default() += 1,
            Action::Abort { why } => {
                self.aborted = Some(why);
                self.processes.values_mut().for_each(|process| process.killed = true);
            }
            Action::KillAll => {
                self.processes.values_mut().for_each(|process| process.killed = true);
            }
            Action::Finish { .. } => self.finished += 1,
            Action::Needs(needs) => self.needs = needs,
            _ => {}
        }
    }

    fn ended(&mut self, ended: &Ended) {
        match ended.fate {
            Fate::Held => {
                self.held.insert((ended.unit, ended.test));
            }
            Fate::Counts if self.aborted.is_none() => {
                let failed = self.failing || ended.cause.is_some();
                self.failures += u64::from(failed && !self.early.contains(&ended.test));
                self.ends.entry(ended.test).or_default().push(failed);
            }
            _ => {}
        }
    }

    fn check(&self) {
        let rules = &self.script.rules;
        let most = rules.workers.most + usize::from(rules.confirms);
        assert!(self.processes.len() <= most);
        if rules.budget > 0 && self.aborted.is_none() {
            assert!(self.failures < rules.budget, "the budget is used up, and nothing stops");
        }
        if self.aborted == Some(Why::Budget) {
            assert_eq!(self.failures, rules.budget, "not one more than the budget");
        }
        let mut taken = BTreeSet::new();
        for process in self.processes.values() {
            let own: BTreeSet<&String> =
                process.tests.iter().filter_map(|test| self.groups.get(test)).collect();
            assert!(own.iter().all(|group| taken.insert(*group)), "a group runs twice at once");
        }
    }

    /// Something happens; `choice` says what. False where nothing can.
    fn step(&mut self, choice: usize) -> bool {
        self.now += Duration::from_millis(100 + choice as u64 % 700);
        for (slot, pid) in std::mem::take(&mut self.pids) {
            self.tell(Input::ProcessStarted { slot, pid, memory: None });
        }
        if choice.is_multiple_of(7) {
            self.read(choice);
            return true;
        }
        if let Some(due) =
            self.scheduler.due().filter(|due| *due <= self.now || choice.is_multiple_of(5))
        {
            self.now = self.now.max(due);
            self.tell(Input::Tick);
            return true;
        }
        if choice.is_multiple_of(6) && self.script.rules.shared {
            self.give(choice % 4);
            return true;
        }
        let hosts = self.starting.len();
        let slots: Vec<usize> = self.processes.keys().copied().collect();
        if hosts + slots.len() == 0 {
            let could_run = self.script.rules.shared
                && self.share.processes < self.needs.wanted
                && self.needs.heard == self.share.number;
            if could_run {
                self.give(self.needs.wanted);
            }
            return could_run;
        }
        match choice % (hosts + slots.len()) {
            at if at < hosts => self.host_started(at, choice),
            at => self.go_on(slots[at - hosts], choice),
        }
        true
    }

    /// Its share is another one; what it says to that has an end.
    fn give(&mut self, processes: usize) {
        let number = self.share.number + 1;
        self.share = message::Share { number, processes, ..message::Share::default() };
        self.tell(Input::Share(self.share));
        assert_eq!(self.needs.heard, number, "it says that it has heard");
    }

    fn read(&mut self, choice: usize) {
        let usage = |slot: usize| Usage {
            memory: (choice as u64 % 97) << 20,
            cpu: (choice % 3) as f64,
            count: 1,
            active: (choice + slot).is_multiple_of(2),
        };
        let pid = |slot: usize| i32::try_from(slot).expect("few slots");
        let processes = self.processes.keys().map(|&slot| (pid(slot), usage(slot))).collect();
        let short = self.script.is_small && choice.is_multiple_of(11);
        self.tell(Input::Machine(Reading {
            busy: (choice % 5) as f64 / 2.0,
            cores: 2.0,
            available: Some(if short { 1 << 20 } else { 1 << 33 }),
            memory: Some(1 << 34),
            oom_kills: 0,
            pressure: Some((choice % 4) as f64 / 3.0),
            processes,
        }));
    }

    fn host_started(&mut self, at: usize, choice: usize) {
        let slot = self.starting.remove(at);
        if choice.is_multiple_of(13) {
            return self.tell(Input::CannotStart { slot });
        }
        self.next_host += 1;
        let host = 100 + self.next_host;
        self.hosts.insert(host, slot);
        self.tell(Input::HostReady { host, slot: Some(slot) });
    }

    /// The process in a slot takes its next step.
    fn go_on(&mut self, slot: usize, choice: usize) {
        let process = self.processes[&slot].clone();
        if process.killed {
            return self.exit(slot, true);
        }
        match process.state {
            State::Between if process.at == process.tests.len() => {
                self.set(slot, |it| it.state = State::Through);
                if process.next.is_some() {
                    self.ask_through(slot);
                } else {
                    self.unit_over(slot);
                }
            }
            State::Between => {
                if process.asks && process.at + 1 == process.tests.len() {
                    self.tell(Input::Asked { slot });
                }
                let test = process.tests[process.at];
                self.set(slot, |it| it.state = State::InTest { failed: false });
                self.tell(Input::TestStarted { slot, test });
            }
            State::InTest { failed } => self.in_test(slot, failed, choice),
            State::Through | State::Ended => self.exit(slot, false),
        }
    }

    fn in_test(&mut self, slot: usize, failed: bool, choice: usize) {
        let process = self.processes[&slot].clone();
        let test = process.tests[process.at];
        let first = self.tries[test] == 0;
        let (fails, dies) = match self.does[test] {
            Does::Passes => (false, false),
            Does::Fails => (true, false),
            Does::FailsInForks => (!process.fresh, false),
            Does::Dies => (false, true),
            Does::DiesInForks => (false, !process.fresh),
            Does::FailsOnce => (first, false),
            Does::DiesOnce => (false, first),
        };
        if dies {
            self.tries[test] += 1;
            return self.exit(slot, true);
        }
        if fails && !failed && choice.is_multiple_of(2) {
            self.set(slot, |it| it.state = State::InTest { failed: true });
            return self.tell(Input::TestFailed { slot, test });
        }
        self.tries[test] += 1;
        self.set(slot, |it| (it.at, it.state) = (it.at + 1, State::Between));
        self.failing = fails;
        self.tell(Input::TestEnded { slot, test, failed: fails });
        self.failing = false;
    }

    fn ask_through(&mut self, slot: usize) {
        let actions = self.handle(Input::Through { slot });
        let goes = actions.iter().any(|action| matches!(action, Action::Go { .. }));
        actions.into_iter().for_each(|action| self.obey(action));
        let next = self.processes.get_mut(&slot).and_then(|process| process.next.take());
        match next.filter(|_| goes) {
            Some((unit, tests, asks)) => {
                self.set(slot, |it| {
                    (it.unit, it.tests, it.asks) = (unit, tests, asks);
                    (it.at, it.state) = (0, State::Between);
                });
                self.tell(Input::UnitEnded { slot, goes_on: true, fixtures: 0.0 });
            }
            None => self.unit_over(slot),
        }
    }

    fn unit_over(&mut self, slot: usize) {
        self.set(slot, |it| it.state = State::Ended);
        self.tell(Input::UnitEnded { slot, goes_on: false, fixtures: 0.0 });
    }

    fn exit(&mut self, slot: usize, killed: bool) {
        let process = self.processes.remove(&slot).expect("a process");
        let host = self.hosts.iter().find(|(_, home)| **home == slot).map(|(&host, _)| host);
        match host {
            // What has ended its unit serves on.
            Some(host) if process.state != State::Ended || killed => {
                self.hosts.remove(&host);
                self.tell(Input::HostLost { host });
            }
            _ => self.tell(Input::UnitExited { slot, cpu: 0.1, leftovers: false, killed }),
        }
    }

    fn set(&mut self, slot: usize, change: impl FnOnce(&mut Process)) {
        change(self.processes.get_mut(&slot).expect("a process"));
    }

    fn play(mut self) {
        let rules = self.script.rules.clone();
        for slot in 0..rules.workers.start {
            if rules.forks {
                continue;
            }
            self.next_host += 1;
            self.hosts.insert(slot, slot);
            self.tell(Input::HostReady { host: slot, slot: Some(slot) });
        }
        if rules.forks {
            self.tell(Input::HostReady { host: 0, slot: None });
            self.tell(Input::HostReady { host: 1, slot: None });
        }
        let suite = self.suite();
        self.tell(Input::Collected(suite));
        let choices = std::mem::take(&mut self.script.choices);
        for step in 0..40_000 {
            if self.finished > 0 {
                break;
            }
            if self.script.interrupted_at == Some(step) {
                self.tell(Input::Stop(Why::Signal));
            }
            let choice = usize::from(choices[step % choices.len()]) + step;
            if !self.step(choice) {
                self.read(choice);
            }
        }
        self.check_end();
        let trace = self.trace.finish().expect("lines in memory");
        assert_eq!(replay(trace.as_slice()), Ok(()), "a trace can be replayed");
        timeline::check(&self.timeline.finish().expect("events in memory"));
    }

    fn check_end(&self) {
        assert_eq!(self.finished, 1, "the run has one end: {:?}", self.scheduler);
        assert!(self.processes.is_empty(), "nothing runs any more");
        assert!(self.held.is_empty(), "nothing is held back any more");
        for (test, ends) in &self.ends {
            assert_eq!(ends.len(), 1, "test {test} counts once");
        }
        if self.aborted.is_some() {
            return;
        }
        for (test, does) in self.does.iter().enumerate() {
            let ends = self.ends.get(&test).unwrap_or_else(|| panic!("test {test} is lost"));
            let failed = ends[0];
            let rules = &self.script.rules;
            let is_ended_by_us = rules.timeout.is_some() || self.script.is_small;
            match does {
                Does::Passes => assert!(!failed || is_ended_by_us),
                Does::Fails | Does::Dies => assert!(failed),
                Does::FailsInForks | Does::DiesInForks if !rules.forks => {
                    assert!(!failed || is_ended_by_us);
                }
                Does::FailsOnce | Does::DiesOnce => {
                    let is_clear = rules.retries == 0 && !is_ended_by_us;
                    assert!(!is_clear || failed, "nothing is green for being tried twice");
                }
                Does::FailsInForks | Does::DiesInForks => {}
            }
        }
        let ended: BTreeSet<u32> = self.ended_splits.keys().copied().collect();
        assert_eq!(ended, [1, 2, 3].into(), "every split ends");
        assert!(self.ended_splits.values().all(|times| *times == 1), "and once");
    }
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        12 => Just(Does::Passes),
        2 => Just(Does::Fails),
        2 => Just(Does::FailsInForks),
        1 => Just(Does::Dies),
        1 => Just(Does::DiesInForks),
        1 => Just(Does::FailsOnce),
        1 => Just(Does::DiesOnce),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let isolation =
        prop_oneof![Just(Isolation::File), Just(Isolation::Worker), Just(Isolation::Row(1.0)),];
    let workers = (1..4_usize, 0..5_usize).prop_map(|(start, more)| Workers {
        start,
        most: start + more,
        fixed: more == 0,
    });
    let timeout = prop_oneof![Just(None), Just(Some(0.4))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, isolation, 0..3_u32, 0..5_u64, timeout, workers).prop_map(
        |((forks, confirms, shared), isolation, retries, budget, timeout, workers)| Rules {
            forks,
            isolation,
            replaces_slow: true,
            retries,
            budget,
            timeout,
            workers,
            confirms: confirms && forks,
            memory_per_test: None,
            memory_growth: None,
            shared,
        },
    )
}

fn script() -> impl Strategy<Value = Script> {
    let group = prop_oneof![4 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let unit = (1..3_u32, group, prop::collection::vec(does(), 1..6));
    let units = prop::collection::vec(unit, 0..12);
    let choices = prop::collection::vec(any::<u16>(), 1..60);
    let interrupted = prop_oneof![4 => Just(None), 1 => (0..200_usize).prop_map(Some)];
    (rules(), units, any::<bool>(), choices, interrupted, any::<bool>()).prop_map(
        |(rules, units, holders, choices, interrupted_at, is_small)| Script {
            rules,
            units,
            holders,
            choices,
            interrupted_at,
            is_small,
        },
    )
}

/// Five processes of which one gets slower from unit to unit: it ends, and the others go on.
#[test]
fn a_process_that_gets_slower_ends_with_its_unit() {
    let rules = Rules {
        forks: true,
        isolation: Isolation::Worker,
        replaces_slow: true,
        retries: 0,
        budget: 0,
        timeout: None,
        workers: Workers { start: 5, most: 5, fixed: true },
        confirms: false,
        memory_per_test: None,
        memory_growth: None,
        shared: false,
    };
    let mut scheduler = Scheduler::new(rules);
    let unit = |test| Unit { split: 1, tests: vec![test], seconds: 2.0, groups: BTreeSet::new() };
    let suite = Suite {
        units: (0..40).map(unit).collect(),
        splits: vec![1],
        seconds: vec![2.0; 40],
        ..Suite::default()
    };
    scheduler.handle(Input::Collected(suite), Duration::ZERO);
    let ready = scheduler.handle(Input::HostReady { host: 0, slot: None }, Duration::ZERO);
    assert_eq!(ready.iter().filter(|it| matches!(it, Action::Run { after: None, .. })).count(), 5);
    let mut left = Vec::new();
    let mut began = Duration::ZERO;
    for round in 0..3_u64 {
        let test = |slot| 5 * usize::try_from(round).expect("few") + slot;
        for slot in 0..5 {
            scheduler.handle(Input::TestStarted { slot, test: test(slot) }, began);
            let asked = scheduler.handle(Input::Asked { slot }, began);
            left.extend(
                asked.iter().any(|it| matches!(it, Action::Leave { .. })).then_some((round, slot)),
            );
        }
        for slot in [1, 2, 3, 4, 0] {
            let lasts = if slot == 0 { 2 * (round + 1) } else { 2 };
            let ended = began + Duration::from_secs(lasts);
            scheduler.handle(Input::TestEnded { slot, test: test(slot), failed: false }, ended);
            scheduler.handle(Input::Through { slot }, ended);
            scheduler.handle(Input::UnitEnded { slot, goes_on: true, fixtures: 0.0 }, ended);
        }
        began += Duration::from_secs(2 * (round + 1));
    }
    assert_eq!(left, [(2, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No test is lost, none counts twice, the budget is exact, groups are exclusive, and there is
    /// always an end with nothing running.
    #[test]
    fn any_world_comes_to_a_good_end(script in script()) {
        World::new(script).play();
    }
}
