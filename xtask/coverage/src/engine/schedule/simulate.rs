//! Plays a run of the fork engine ahead: how long the tests of a suite would take with so many
//! processes. The scheduler decides, as in a run; the clock is one of our own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Input, Rules, Scheduler, Suite};
use crate::machine::meter::Reading;
use crate::settings::Workers;
use crate::split::{Isolation, Plan, Unit, units};

/// Seconds between two readings of the machine.
const READING: f64 = 0.5;

/// How much runs at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    /// Processes.
    pub workers: Workers,
    /// Cores for them. Where what runs would keep more of them busy, all of it runs slower.
    pub cores: usize,
}

/// What tests and processes cost, as an earlier run of the whole suite has measured it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// Seconds that it takes to start and end a process, with the set-up of session fixtures.
    /// What else a process does anew (cold caches) is not in it: the recorded durations have it.
    pub starting: f64,
    /// Seconds that a test takes of its process, on average: more than what was recorded of its
    /// phases, or less where these contain session fixtures.
    pub per_test: f64,
    /// How fast the processes ran that were measured: a core for each is 1.
    pub speed: f64,
    /// Which share of its time a test computes; it waits for the rest.
    pub computing: f64,
}

/// How a run would go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// Seconds from the first start of a process to the end of the last one.
    pub seconds: f64,
    /// When each slot has run its last test, in seconds.
    pub idle: Vec<f64>,
    /// How many processes are started.
    pub processes: usize,
    /// The unit that takes longest, and its seconds with a start.
    pub longest: (Vec<usize>, f64),
}

/// Plays a run of a plan that expects recorded durations. `holders` says by which process each
/// test was collected; empty where it was but one.
pub(crate) fn simulate(
    plan: &Plan,
    holders: &[usize],
    isolation: Isolation,
    pool: Pool,
    costs: &Costs,
) -> Schedule {
    let grain = isolation.grain(plan.total(), pool.workers.start);
    let units = units(plan, &BTreeMap::new(), holders, grain);
    play(units, &taken(&plan.seconds, costs), holders, isolation, pool, costs)
}

/// What each test takes of its process at full speed, given what was recorded of it. What comes
/// on top is added to each alike; if the average is less than what was recorded, all shrink.
fn taken(recorded: &[f64], costs: &Costs) -> Vec<f64> {
    let mean = recorded.iter().sum::<f64>() / recorded.len().max(1) as f64;
    let above = (costs.per_test - mean).max(0.0);
    let share = if mean > 0.0 { (costs.per_test / mean).min(1.0) } else { 1.0 };
    recorded.iter().map(|seconds| (seconds * share + above) * costs.speed).collect()
}

fn play(
    units: Vec<Unit>,
    seconds: &[f64],
    holders: &[usize],
    isolation: Isolation,
    pool: Pool,
    costs: &Costs,
) -> Schedule {
    let starting = costs.starting * costs.speed;
    let sum = |tests: &[usize]| tests.iter().map(|&test| seconds[test]).sum::<f64>();
    let took = |unit: &Unit| (unit.tests.clone(), starting + sum(&unit.tests));
    let longest = units.iter().map(took).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let mut hosts: Vec<usize> = holders.to_vec();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.extend(holders.is_empty().then_some(0));
    let mut run = Run {
        scheduler: Scheduler::new(rules(isolation, pool.workers)),
        seconds,
        starting,
        computing: costs.computing.clamp(0.01, 1.0),
        cores: pool.cores.max(1) as f64,
        slots: (0..pool.workers.most).map(|_| None).collect(),
        idle: vec![0.0; pool.workers.most],
        now: 0.0,
        next_reading: READING,
        processes: 0,
    };
    hosts.into_iter().for_each(|host| run.tell(Input::HostReady { host, slot: None }));
    let splits = units.iter().map(|unit| unit.split).collect();
    let (seconds, holders) = (seconds.to_vec(), holders.to_vec());
    run.tell(Input::Collected(Suite { units, splits, seconds, holders, ..Suite::default() }));
    while run.pass() {}
    Schedule { seconds: run.now, idle: run.idle, processes: run.processes, longest }
}

fn rules(isolation: Isolation, workers: Workers) -> Rules {
    Rules {
        forks: true,
        isolation,
        replaces_slow: false,
        retries: 0,
        budget: 0,
        timeout: None,
        workers,
        confirms: false,
        memory_per_test: None,
        memory_growth: None,
        shared: false,
    }
}

/// A run in the making.
struct Run<'a> {
    scheduler: Scheduler,
    /// What each test takes.
    seconds: &'a [f64],
    starting: f64,
    computing: f64,
    cores: f64,
    slots: Vec<Option<Work>>,
    idle: Vec<f64>,
    now: f64,
    next_reading: f64,
    processes: usize,
}

/// What a process does.
struct Work {
    tests: Vec<usize>,
    asks: bool,
    /// The place of the test that runs; none while the process starts.
    at: Option<usize>,
    /// What it still takes, seconds of its work.
    left: f64,
    /// What it goes on with.
    next: Option<(Vec<usize>, bool)>,
}

impl Run<'_> {
    fn tell(&mut self, input: Input) {
        let now = Duration::try_from_secs_f64(self.now).unwrap_or_default();
        let actions = self.scheduler.handle(input, now);
        actions.into_iter().for_each(|action| self.obey(action));
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Run { slot, tests, after: None, asks, .. } => {
                self.processes += 1;
                let left = self.starting;
                self.slots[slot] = Some(Work { tests, asks, at: None, left, next: None });
            }
            Action::Run { slot, tests, asks, .. } => {
                if let Some(work) = &mut self.slots[slot] {
                    work.next = Some((tests, asks));
                }
            }
            _ => {}
        }
    }

    /// Lets time pass until something happens. False where nothing runs any more.
    fn pass(&mut self) -> bool {
        let rate = self.rate();
        let working = self.slots.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
        let soonest = working.min_by(|a, b| a.1.left.total_cmp(&b.1.left));
        let Some((slot, left)) = soonest.map(|(slot, work)| (slot, work.left)) else {
            return false;
        };
        let end = self.now + left / rate;
        let due = self.scheduler.due().map_or(f64::INFINITY, |due| due.as_secs_f64());
        let moment = end.min(due.max(self.now)).min(self.next_reading);
        let passed = (moment - self.now) * rate;
        self.slots.iter_mut().flatten().for_each(|work| work.left -= passed);
        self.now = moment;
        if moment == self.next_reading {
            self.read();
        } else if moment < end {
            self.tell(Input::Tick);
        } else {
            self.step_ended(slot);
        }
        true
    }

    /// Cores that would be busy if there were enough.
    fn demand(&self) -> f64 {
        let one = |work: &Work| if work.at.is_some() { self.computing } else { 1.0 };
        self.slots.iter().flatten().map(one).sum()
    }

    /// How fast what runs gets on: what computes has to share the cores.
    fn rate(&self) -> f64 {
        let speed = (self.cores / self.demand().max(0.01)).min(1.0);
        1.0 / (1.0 - self.computing + self.computing / speed)
    }

    fn read(&mut self) {
        self.next_reading += READING;
        let (busy, cores) = (self.demand().min(self.cores), self.cores);
        self.tell(Input::Machine(Reading { busy, cores, ..Reading::default() }));
    }

    /// A process has started, or a test has ended.
    fn step_ended(&mut self, slot: usize) {
        let Some(work) = &mut self.slots[slot] else { return };
        if let Some(&test) = work.at.and_then(|at| work.tests.get(at)) {
            self.tell(Input::TestEnded { slot, test, failed: false });
        }
        let Some(work) = &mut self.slots[slot] else { return };
        let at = work.at.map_or(0, |at| at + 1);
        work.at = Some(at);
        match work.tests.get(at) {
            Some(&test) => self.begin(slot, at, test),
            None => self.through(slot),
        }
    }

    fn begin(&mut self, slot: usize, at: usize, test: usize) {
        let is_last = |work: &Work| work.asks && at + 1 == work.tests.len();
        if self.slots[slot].as_ref().is_some_and(is_last) {
            self.tell(Input::Asked { slot });
        }
        self.tell(Input::TestStarted { slot, test });
        if let Some(work) = &mut self.slots[slot] {
            work.left = self.seconds[test];
        }
    }

    /// A process has run a unit: it goes on with the next, if no other has.
    fn through(&mut self, slot: usize) {
        let Some(work) = &mut self.slots[slot] else { return };
        let next = work.next.take();
        let goes_on = next.is_some() && self.asks_to_go_on(slot);
        if let (Some((tests, asks)), true) = (next, goes_on) {
            let test = tests[0];
            self.slots[slot] = Some(Work { tests, asks, at: Some(0), left: 0.0, next: None });
            self.tell(Input::UnitEnded { slot, goes_on, fixtures: 0.0 });
            return self.begin(slot, 0, test);
        }
        self.idle[slot] = self.now;
        self.slots[slot] = None;
        self.tell(Input::UnitEnded { slot, goes_on: false, fixtures: 0.0 });
        self.tell(Input::UnitExited { slot, cpu: 0.0, leftovers: false, killed: false });
    }

    fn asks_to_go_on(&mut self, slot: usize) -> bool {
        let now = Duration::try_from_secs_f64(self.now).unwrap_or_default();
        let actions = self.scheduler.handle(Input::Through { slot }, now);
        let goes_on = actions.iter().any(|action| matches!(action, Action::Go { .. }));
        actions.into_iter().for_each(|action| self.obey(action));
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One unit for each inner list of seconds, longest first, played at these slots and cores.
    fn played(units: &[&[f64]], isolation: Isolation, slots: usize, cores: usize) -> Schedule {
        let seconds = units.concat();
        let mut tests = 0..seconds.len();
        let unit = |durations: &&[f64]| Unit {
            split: 1,
            tests: tests.by_ref().take(durations.len()).collect(),
            seconds: durations.iter().sum(),
            groups: [].into(),
        };
        let mut units: Vec<Unit> = units.iter().map(unit).collect();
        units.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let costs = Costs { starting: 0.5, per_test: 0.0, speed: 1.0, computing: 1.0 };
        play(
            units,
            &seconds,
            &[],
            isolation,
            Pool { workers: Workers::fixed(slots), cores },
            &costs,
        )
    }

    const UNITS: [&[f64]; 4] = [&[1.0, 1.0], &[4.0], &[3.0], &[1.0]];

    #[track_caller]
    fn check(isolation: Isolation, slots: usize, cores: usize, idle: &[f64], processes: usize) {
        let schedule = played(&UNITS, isolation, slots, cores);
        assert_eq!((schedule.idle.as_slice(), schedule.processes), (idle, processes));
        assert_eq!(schedule.seconds, idle.iter().copied().fold(0.0, f64::max));
        assert_eq!(schedule.longest, (vec![2], 4.5));
    }

    #[test]
    fn a_process_for_each_unit_longest_first() {
        check(Isolation::File, 1, 4, &[12.0], 4);
        check(Isolation::File, 2, 4, &[6.0, 6.0], 4);
        check(Isolation::File, 4, 4, &[4.5, 3.5, 2.5, 1.5], 4);
        check(Isolation::File, 5, 8, &[4.5, 3.5, 2.5, 1.5, 0.0], 4);
    }

    #[test]
    fn a_worker_starts_again_only_for_what_comes_earlier() {
        check(Isolation::Worker, 1, 4, &[10.5], 1);
        // The second asks before its only test, and is given the three seconds, which do not wait
        // for it. The first has been given the last second by then, and comes to its end: what is
        // earlier in the order needs a process of its own.
        check(Isolation::Worker, 2, 4, &[7.0, 4.5], 3);
    }

    #[test]
    fn nothing_waits_long_behind_a_long_test() {
        let schedule = played(&[&[10.0], &[3.0], &[2.0], &[1.0]], Isolation::Worker, 2, 2);
        // The two seconds were to follow the ten. They run after the single second instead, in a
        // process of their own, as they come before it.
        assert_eq!((schedule.idle.as_slice(), schedule.processes), (&[10.5, 7.0][..], 3));
    }

    #[test]
    fn a_row_ends_when_it_is_long_enough() {
        // It asks before its last test: the first unit at 0.5, when only starting has passed.
        check(Isolation::Row(1.0), 1, 4, &[11.5], 3);
        check(Isolation::Row(0.1), 1, 4, &[12.0], 4);
        check(Isolation::Row(100.0), 1, 4, &[10.5], 1);
    }

    #[test]
    fn more_processes_than_cores_share_them() {
        check(Isolation::File, 2, 1, &[12.0, 12.0], 4);
        // All at once until the shortest ends, and so on: 4 × 1.5, 3 × 1, 2 × 1, 1 × 1.
        check(Isolation::File, 4, 1, &[12.0, 11.0, 9.0, 6.0], 4);
        check(Isolation::File, 4, 2, &[6.5, 5.5, 4.5, 3.0], 4);
    }

    #[test]
    fn a_group_does_not_run_beside_itself() {
        let unit = |test| Unit {
            split: 1,
            tests: vec![test],
            seconds: 1.0,
            groups: ["g".to_owned()].into(),
        };
        let (pool, costs) = (
            Pool { workers: Workers::fixed(2), cores: 2 },
            Costs { starting: 0.0, per_test: 0.0, speed: 1.0, computing: 1.0 },
        );
        let played = |isolation| {
            play(vec![unit(0), unit(1)], &[1.0, 1.0], &[], isolation, pool, &costs).idle
        };
        assert_eq!(played(Isolation::File), [2.0, 0.0]);
        assert_eq!(played(Isolation::Worker), [2.0, 0.0]);
    }

    #[test]
    fn a_process_runs_what_its_collector_has_found() {
        let unit = |test| Unit { split: 1, tests: vec![test], seconds: 1.0, groups: [].into() };
        let (pool, costs) = (
            Pool { workers: Workers::fixed(1), cores: 1 },
            Costs { starting: 1.0, per_test: 0.0, speed: 1.0, computing: 1.0 },
        );
        let units = vec![unit(0), unit(1), unit(2)];
        let schedule = play(units, &[1.0; 3], &[7, 8, 7], Isolation::Worker, pool, &costs);
        assert_eq!((schedule.processes, schedule.seconds), (2, 5.0));
    }

    #[test]
    fn tests_take_what_they_took_in_their_processes() {
        let costs = |per_test, speed| Costs { starting: 0.0, per_test, speed, computing: 1.0 };
        assert_eq!(taken(&[1.0, 3.0], &costs(2.5, 1.0)), [1.5, 3.5]);
        assert_eq!(taken(&[1.0, 3.0], &costs(1.0, 1.0)), [0.5, 1.5]);
        assert_eq!(taken(&[1.0, 3.0], &costs(2.5, 0.5)), [0.75, 1.75]);
        assert_eq!(taken(&[0.0, 0.0], &costs(0.5, 1.0)), [0.5, 0.5]);
        assert!(taken(&[], &costs(0.5, 1.0)).is_empty());
    }
}
