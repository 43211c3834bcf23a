//! `cargo xtask coverage plan --simulate`: what a run would take, by number of workers; with
//! `--shards N`, what shards would.

mod shards;

use std::collections::BTreeMap;

use anyhow::Result;

use super::{plan, show};
use crate::cli::Engine;
use crate::engine::Job;
use crate::engine::schedule::{Costs, Pool, Schedule, simulate};
use crate::exit::{self, Exit, Fault};
use crate::history::{Collection, STARTING, durations};
use crate::invocation::Invocation;
use crate::machine::Machine;
use crate::model::NodeId;
use crate::model::format::{count, one_line, seconds, thousands};
use crate::prepare::{self, Prepared, banner, isolation};
use crate::project::{Project, runs};
use crate::screen::Screen;
use crate::settings::Workers;
use crate::split::{Assignment, FileCost, Observation, Plan, assign, share_of_cpu};

/// Under this share of the time, doubling the workers gains little.
const LITTLE: f64 = 0.1;

/// Collects the suite and plays it with more and more workers.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let prepared = prepare::prepare(invocation, project)?;
    show::refuse(&prepared, "there is nothing to plan")?;
    let engine = prepare::engine::choose(invocation.screen, &prepared)?;
    if engine != Engine::Fork {
        let name = engine.name();
        let why = format!("`--simulate` knows the fork engine only, not the {name} engine");
        return Err(exit::usage(why).into());
    }
    let (_temporary, folder) = runs::temporary(&prepared.state, &prepared.lock)?;
    let job = prepare::job::job(project, &prepared, || Ok(folder))?;
    let known = Known::of(&prepared, &job).ok_or_else(nothing_is_known)?;
    banner::say(invocation.screen, project, &prepared, engine);
    let plan = plan::collect(invocation, &prepared, &job)?;
    let start = job.pool.start;
    if invocation.typed.planning.shards.is_some() {
        shards::show(invocation.screen, &known, &plan, start);
        return Ok(Exit::Passed);
    }
    let foreseen: Vec<Foreseen> =
        numbers(&known, start).map(|slots| known.foresee(&plan, slots)).collect();
    show(invocation.screen, &foreseen, start);
    if let Some(limit) = limit(&foreseen, &known, &plan) {
        invocation.screen.say(&limit);
    }
    Ok(Exit::Passed)
}

fn nothing_is_known() -> Fault {
    exit::usage(
        "nothing is known yet of what this suite takes: run `cargo xtask coverage` once first, \
         with the fork engine and the whole suite",
    )
}

/// What earlier runs have measured.
struct Known<'a> {
    prepared: &'a Prepared,
    collection: &'a Collection,
    /// Seconds that collecting takes in one process.
    collecting: f64,
    last: Observation,
    /// Which share of their time tests compute.
    computing: f64,
    /// Seconds besides collecting and tests.
    rest: f64,
    cores: usize,
}

impl<'a> Known<'a> {
    /// Nothing where a part of it is missing.
    fn of(prepared: &'a Prepared, job: &Job) -> Option<Known<'a>> {
        let history = &prepared.history;
        let last = *history.processes.last().filter(|last| last.tests > 0)?;
        (!job.times.recorded.is_empty()).then_some(())?;
        Some(Known {
            prepared,
            collection: &history.collection,
            collecting: history.collection.seconds?,
            last,
            computing: share_of_cpu(&job.times.recorded, &durations::cpu(&prepared.state)).min(1.0),
            rest: prepared.took.as_secs_f64() + history.rest?,
            cores: Machine::here().cores,
        })
    }

    fn foresee(&self, plan: &Plan, slots: usize) -> Foreseen {
        let (collecting, holders) = self.collect(plan, slots);
        let (isolation, costs) = (isolation::choose(self.prepared, slots), self.costs());
        let pool = Pool { workers: Workers::fixed(slots), cores: self.cores };
        let schedule = simulate(plan, &holders, isolation, pool, &costs);
        Foreseen { slots, collecting, schedule, rest: self.rest }
    }

    /// Of the last run. More processes than cores have measured how they waited for each other.
    fn costs(&self) -> Costs {
        let Observation { tests, processes, seconds, starting, slots, .. } = self.last;
        Costs {
            starting,
            per_test: (seconds - processes as f64 * starting).max(0.0) / tests as f64,
            computing: self.computing,
            speed: (self.cores as f64 / slots.max(1) as f64).min(1.0),
        }
    }

    /// Seconds that collecting takes with so many workers, and which collector has each test;
    /// none where one process collects them all.
    fn collect(&self, plan: &Plan, slots: usize) -> (f64, Vec<usize>) {
        let parts = prepare::engine::collectors(self.prepared, slots) as usize;
        if parts < 2 {
            return (self.collecting, Vec::new());
        }
        let (files, places) = files(plan);
        let usual = (self.collecting - STARTING).max(0.0) / files.len().max(1) as f64;
        let usual = FileCost { seconds: usual, apart: None };
        let cost = |file: &&str| self.collection.files.get(*file).copied().unwrap_or(usual);
        let costs: Vec<FileCost> = files.iter().map(cost).collect();
        let Assignment { shares, seconds, .. } = assign(&costs, parts);
        let longest = seconds.iter().copied().fold(0.0, f64::max);
        let all = seconds.iter().sum::<f64>() / self.cores as f64;
        // Of a file that all share, which test is whose is not known: they take turns.
        let mut holders = vec![None; files.len()];
        for (part, share) in shares.iter().enumerate() {
            share.iter().for_each(|&file| holders[file] = Some(part));
        }
        let tests = places.iter().enumerate();
        let holders = tests.map(|(test, &file)| holders[file].unwrap_or(test % parts)).collect();
        (STARTING + longest.max(all), holders)
    }
}

/// The test files in order, and the place of each test's file among them.
fn files(plan: &Plan) -> (Vec<&str>, Vec<usize>) {
    let (mut files, mut places) = (Vec::new(), BTreeMap::new());
    let places = plan.ids.iter().map(|id| NodeId(id).file()).map(|file| {
        *places.entry(file).or_insert_with(|| {
            files.push(file);
            files.len() - 1
        })
    });
    let places = places.collect();
    (files, places)
}

/// A run with so many workers.
struct Foreseen {
    slots: usize,
    collecting: f64,
    schedule: Schedule,
    rest: f64,
}

impl Foreseen {
    fn total(&self) -> f64 {
        self.collecting + self.schedule.seconds + self.rest
    }
}

/// The numbers of workers that are worth a look, and the one that is set.
fn numbers(known: &Known<'_>, set: usize) -> impl Iterator<Item = usize> + use<> {
    // Where tests wait, more of them than that keep the cores busy.
    let busy = known.cores as f64 / known.computing.max(0.05);
    let most = (2 * known.cores).max(4).max(busy as usize);
    let mut numbers: Vec<usize> =
        [1, 2, 4, 8, 16, 32, 64].into_iter().filter(|&it| it <= most).chain([set]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter()
}

fn show(screen: &Screen, foreseen: &[Foreseen], set: usize) {
    screen.say("Workers  Time     Collection  Tests    The rest  Processes");
    for it in foreseen {
        let [total, collecting, tests, rest] =
            [it.total(), it.collecting, it.schedule.seconds, it.rest].map(seconds);
        let processes = thousands(it.schedule.processes as u64);
        let slots = it.slots;
        let line = format!("{slots:>7}  {total:<7}  {collecting:<10}  {tests:<7}  {rest:<8}");
        let mark = if slots == set { "  ← as set here" } else { "" };
        let line = format!("{line}  {processes:<9}{mark}");
        screen.say(line.trim_end());
        let idle: Vec<String> = it.schedule.idle.iter().copied().map(seconds).collect();
        screen.detail(&format!("    of the tests' time, slots are busy for {}", idle.join(", ")));
    }
}

/// What keeps more workers from being faster, from the number on where doubling them gains
/// little.
fn limit(foreseen: &[Foreseen], known: &Known<'_>, plan: &Plan) -> Option<String> {
    let double = |few: &Foreseen| foreseen.iter().find(|many| many.slots == 2 * few.slots);
    let gains_little =
        |few: &Foreseen, many: &Foreseen| few.total() - many.total() < LITTLE * few.total();
    let pairs = foreseen.iter().filter_map(|few| Some((few, double(few)?)));
    let (few, many) = pairs.into_iter().find(|(few, many)| gains_little(few, many))?;
    let workers = count(few.slots as u64, "worker");
    let why = if few.slots >= known.cores {
        format!("this machine has {}", count(known.cores as u64, "core"))
    } else {
        bottleneck(many, plan)
    };
    Some(format!("More than {workers} would gain little: {why}"))
}

/// What takes most of the time of a run, as the end of a sentence.
fn bottleneck(run: &Foreseen, plan: &Plan) -> String {
    let Schedule { seconds: tests, longest: (unit, longest), .. } = &run.schedule;
    if run.collecting > *tests && run.collecting > run.rest {
        return format!("collecting takes {}", seconds(run.collecting));
    }
    if run.rest > *tests {
        return format!("what comes before and after takes {}", seconds(run.rest));
    }
    let slowest = unit.iter().max_by(|a, b| plan.seconds[**a].total_cmp(&plan.seconds[**b]));
    let slowest = slowest.filter(|_| *longest > (1.0 - LITTLE) * tests);
    let Some(&test) = slowest else { return "too much of it does not run side by side".to_owned() };
    let (id, took) = (one_line(&plan.ids[test]), seconds(*longest));
    match unit.len() {
        1 => format!("the longest test, {id}, takes {took} with the start of its process"),
        n => format!("{} that stay together take {took}, {id} among them", count(n as u64, "test")),
    }
}
