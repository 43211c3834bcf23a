//! Plays the schedule of the fork engine ahead: how long the tests of a suite would take with so
//! many processes at once. Pure: what is known of an earlier run in, seconds out.

use std::collections::{BTreeMap, VecDeque};

use super::{Isolation, NEXT_WAITS, Plan, Unit, pick_first, pick_next, units};

/// How much runs at once.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Processes at once.
    pub slots: usize,
    /// Cores for them. While more processes than that are busy all run slower by as much: tests
    /// are taken to compute all the time.
    pub cores: usize,
}

/// What tests and processes cost, as an earlier run of the whole suite has measured it.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Seconds that it takes to start and end a process, with the set-up of session fixtures.
    /// What else a process does anew (cold caches) is not in it: the recorded durations have it.
    pub starting: f64,
    /// Seconds that a test takes of its process, on average: more than what was recorded of its
    /// phases, or less where these contain session fixtures.
    pub per_test: f64,
    /// How fast the processes ran that were measured: a core for each is 1.
    pub speed: f64,
}

/// How a run would go.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
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
pub fn simulate(
    plan: &Plan,
    holders: &[usize],
    isolation: Isolation,
    pool: Pool,
    costs: &Costs,
) -> Schedule {
    let grain = isolation.grain(plan.total(), pool.slots);
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
    let mut run = Run {
        seconds,
        holders,
        isolation,
        cores: pool.cores.max(1) as f64,
        starting,
        longest: (Vec::new(), 0.0),
        queue: units.into(),
        slots: (0..pool.slots.max(1)).map(|_| None).collect(),
        idle: vec![0.0; pool.slots.max(1)],
        now: 0.0,
        processes: 0,
    };
    run.longest = run.longest();
    while run.fill() {
        run.pass();
    }
    Schedule { seconds: run.now, idle: run.idle, processes: run.processes, longest: run.longest }
}

/// A run in the making.
struct Run<'a> {
    /// What each test takes.
    seconds: &'a [f64],
    holders: &'a [usize],
    isolation: Isolation,
    cores: f64,
    starting: f64,
    longest: (Vec<usize>, f64),
    queue: VecDeque<Unit>,
    slots: Vec<Option<Busy>>,
    idle: Vec<f64>,
    now: f64,
    processes: usize,
}

/// A process at work.
struct Busy {
    unit: Unit,
    /// When the process began.
    began: f64,
    stage: Stage,
    /// What the unit still takes until the next stage, seconds of its work.
    left: f64,
    /// What it goes on with.
    next: Option<Unit>,
    /// That waited so long that it went back to the queue.
    open_to_others: bool,
}

/// How far a unit has come.
enum Stage {
    /// Before its last test it asks what comes next.
    Asking,
    /// What comes next waits for this test, which takes so much longer than it will wait.
    Waiting(f64),
    /// Nothing happens until it ends.
    Ending,
}

impl Run<'_> {
    /// Starts a process in each free slot that may have one. False where nothing runs any more.
    fn fill(&mut self) -> bool {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_some() {
                continue;
            }
            let at = pick_first(&self.queue, self.slots.len(), self.isolation, |unit| {
                self.may_run(slot, unit)
            });
            if let Some(unit) = at.and_then(|at| self.queue.remove(at)) {
                self.processes += 1;
                self.begin(slot, unit, self.now, self.starting);
            }
        }
        self.slots.iter().any(Option::is_some)
    }

    /// No other slot runs or will next run a test of the same `xdist_group`.
    fn may_run(&self, slot: usize, unit: &Unit) -> bool {
        let mut others = self.slots.iter().enumerate().filter(|(other, _)| *other != slot);
        !others.any(|(_, busy)| {
            let busy = busy.as_ref();
            let next = busy.and_then(|it| it.next.as_ref().filter(|_| !it.open_to_others));
            next.into_iter().chain(busy.map(|it| &it.unit)).any(|it| unit.clashes(it))
        })
    }

    fn begin(&mut self, slot: usize, unit: Unit, began: f64, starting: f64) {
        let (_, before) = unit.tests.split_last().unwrap_or((&0, &[]));
        let (stage, left) = (Stage::Asking, starting + self.sum(before));
        let busy = Busy { unit, began, stage, left, next: None, open_to_others: false };
        self.slots[slot] = Some(busy);
    }

    /// Lets time pass until something happens in a slot.
    fn pass(&mut self) {
        let busy = || self.slots.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
        let speed = (self.cores / busy().count() as f64).min(1.0);
        let soonest = busy().min_by(|a, b| a.1.left.total_cmp(&b.1.left));
        let Some((slot, left)) = soonest.map(|(slot, busy)| (slot, busy.left)) else { return };
        self.now += left / speed;
        self.slots.iter_mut().flatten().for_each(|busy| busy.left -= left);
        self.happen(slot);
    }

    /// The unit in a slot has come to the end of a stage.
    fn happen(&mut self, slot: usize) {
        let Some(mut busy) = self.slots[slot].take() else { return };
        match busy.stage {
            Stage::Asking => {
                busy.next = self.following(slot, &busy).and_then(|at| self.queue.remove(at));
                let last = busy.unit.tests.last().map_or(0.0, |test| self.seconds[*test]);
                let waits = NEXT_WAITS.as_secs_f64();
                (busy.stage, busy.left) = match busy.next.is_some() && last > waits {
                    true => (Stage::Waiting(last - waits), waits),
                    false => (Stage::Ending, last),
                };
            }
            Stage::Waiting(left) => {
                busy.next.iter().for_each(|next| self.queue.push_front(next.clone()));
                busy.open_to_others = true;
                (busy.stage, busy.left) = (Stage::Ending, left);
            }
            Stage::Ending => return self.end(slot, busy),
        }
        self.slots[slot] = Some(busy);
    }

    /// A process has run a unit: it goes on with the next, if no other has.
    fn end(&mut self, slot: usize, busy: Busy) {
        let next = busy.next.filter(|next| {
            let found = self.queue.iter().position(|unit| unit.tests == next.tests);
            !busy.open_to_others || found.and_then(|at| self.queue.remove(at)).is_some()
        });
        match next {
            Some(next) => self.begin(slot, next, busy.began, 0.0),
            None => self.idle[slot] = self.now,
        }
    }

    fn following(&self, slot: usize, busy: &Busy) -> Option<usize> {
        let holder = |unit: &Unit| unit.tests.first().and_then(|&test| self.holders.get(test));
        if !self.isolation.goes_on(self.now - busy.began) {
            return None;
        }
        let may_follow =
            |unit: &Unit| holder(unit) == holder(&busy.unit) && self.may_run(slot, unit);
        let awaiting = || self.slots.iter().flatten().filter(|busy| busy.open_to_others);
        let is_awaited = |unit: &Unit| awaiting().any(|busy| busy.next.as_ref() == Some(unit));
        let pick =
            |may: &dyn Fn(&Unit) -> bool| pick_next(&self.queue, self.slots.len(), &busy.unit, may);
        pick(&|unit| may_follow(unit) && !is_awaited(unit)).or_else(|| pick(&may_follow))
    }

    fn longest(&self) -> (Vec<usize>, f64) {
        let took = |unit: &Unit| (unit.tests.clone(), self.starting + self.sum(&unit.tests));
        let longest = self.queue.iter().map(took).max_by(|a, b| a.1.total_cmp(&b.1));
        longest.unwrap_or_default()
    }

    fn sum(&self, tests: &[usize]) -> f64 {
        tests.iter().map(|&test| self.seconds[test]).sum()
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
        let costs = Costs { starting: 0.5, per_test: 0.0, speed: 1.0 };
        play(units, &seconds, &[], isolation, Pool { slots, cores }, &costs)
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
        let (pool, costs) =
            (Pool { slots: 2, cores: 2 }, Costs { starting: 0.0, per_test: 0.0, speed: 1.0 });
        let played = |isolation| {
            play(vec![unit(0), unit(1)], &[1.0, 1.0], &[], isolation, pool, &costs).idle
        };
        assert_eq!(played(Isolation::File), [2.0, 0.0]);
        assert_eq!(played(Isolation::Worker), [2.0, 0.0]);
    }

    #[test]
    fn a_process_runs_what_its_collector_has_found() {
        let unit = |test| Unit { split: 1, tests: vec![test], seconds: 1.0, groups: [].into() };
        let (pool, costs) =
            (Pool { slots: 1, cores: 1 }, Costs { starting: 1.0, per_test: 0.0, speed: 1.0 });
        let units = vec![unit(0), unit(1), unit(2)];
        let schedule = play(units, &[1.0; 3], &[7, 8, 7], Isolation::Worker, pool, &costs);
        assert_eq!((schedule.processes, schedule.seconds), (2, 5.0));
    }

    #[test]
    fn tests_take_what_they_took_in_their_processes() {
        let costs = |per_test, speed| Costs { starting: 0.0, per_test, speed };
        assert_eq!(taken(&[1.0, 3.0], &costs(2.5, 1.0)), [1.5, 3.5]);
        assert_eq!(taken(&[1.0, 3.0], &costs(1.0, 1.0)), [0.5, 1.5]);
        assert_eq!(taken(&[1.0, 3.0], &costs(2.5, 0.5)), [0.75, 1.75]);
        assert_eq!(taken(&[0.0, 0.0], &costs(0.5, 1.0)), [0.5, 0.5]);
        assert!(taken(&[], &costs(0.5, 1.0)).is_empty());
    }
}
