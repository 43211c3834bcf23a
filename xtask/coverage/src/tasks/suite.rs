//! `cargo xtask coverage` and `cargo xtask test`: run, combine and report what was measured,
//! judge.

use std::time::Instant;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use super::ending::Ending;
use super::history::{self, History};
use super::outstanding::{self, Again, Outstanding};
use super::prepare::{self, Prepared};
use super::request::{check_parts, processes, reporter};
use super::{Invocation, choose, goals, isolation, shard, show};
use crate::cli::Engine;
use crate::engine::{Happening, Job, Ran, child, hosts, keep_for_later, signals, stock, temporary};
use crate::exit::{self, Exit};
use crate::project::Project;
use crate::report::coverage::Program;

/// Runs one project's suite.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let started = Instant::now();
    let asked = goals::Asked::ahead(invocation, project);
    let mut prepared = prepare::prepare(invocation, project)?;
    if let Some(shown) = show::instead(invocation, project, &prepared)? {
        return Ok(shown);
    }
    let known = Outstanding::read(&prepared.state);
    let is_part = prepared.settings.narrowed;
    let plan = shard::narrow(invocation, project, &mut prepared)?;
    let again = outstanding::asked_for(invocation, &mut prepared, &known);
    if again == Some(Again::Nothing) {
        return outstanding::nothing(invocation, &prepared);
    }
    let mut engine = engine(invocation, project, &mut prepared)?;
    let against = goals::read(asked, project, &prepared)?;
    let mut job = prepare::job(project, &prepared)?;
    let trace = invocation.typed.general.trace.as_ref();
    job.trace = trace.map(|path| Ok::<_, anyhow::Error>(super::here()?.join(path))).transpose()?;
    job.pool = prepared.settings.workers(engine);
    shard::apply(&mut job, invocation.typed.shard, plan.as_ref());
    if again == Some(Again::Listed) {
        known.narrow(&mut job, &rootdir(project, &prepared), is_part)?;
    }
    if invocation.typed.general.dry_run {
        return dry_run(invocation, &job);
    }
    prepare::banner(invocation.screen, project, &prepared, engine);
    if again.is_some() {
        invocation.screen.note(&format!("  • Again: {}", known.words()));
    }

    let sharded = shard::begin(invocation, project, &prepared, engine, is_part)?;
    let reports = sharded.is_none() || !shard::without_reports(&prepared);
    let ready = reports.then(|| ready_for_reports(project, &prepared, &job)).flatten();
    let running = Instant::now();
    invocation.screen.call_out_after(prepared.settings.slow.value);
    let mut show = |happening: Happening<'_>| invocation.screen.show(&happening);
    let doing = invocation.screen.doing("Collecting the tests");
    let mut ran = run_job(engine, &job, &mut show)?;
    if let Some(why) = ran.unsuitable.take() {
        let job = &mut job;
        (engine, ran) = with_stock(invocation, project, &mut prepared, job, &why, &mut show)?;
    }
    drop(doing);
    let run_seconds = running.elapsed().as_secs_f64();
    remember(invocation, project, &prepared, &ran);
    refuse(&ran)?;
    let whole = !is_part && (again != Some(Again::Listed) || ran.not_found.whole);
    if let Some(sharded) = sharded {
        // What is outstanding is known where shards are combined.
        sharded.deliver(invocation, &job, &ran, &check_parts(&job, &ran)?)?;
    } else if let Err(error) = known.after(&ran, whole).write(&prepared.state) {
        invocation.screen.warn(&format!("{error:#}"));
    }

    let prepared = &prepared;
    let (job, ran, against) = (&job, &ran, &against);
    let ending = Ending { invocation, project, prepared, engine, against, job, ran };
    ending.conclude(started, run_seconds, ready)
}

/// Where node ids begin.
fn rootdir(project: &Project, prepared: &Prepared) -> Utf8PathBuf {
    let pytest = prepared.facts.pytest.as_ref();
    pytest.map_or_else(|| project.root.clone(), |pytest| pytest.rootdir.clone())
}

/// What makes the reports, started while the tests are collected: that is one process's work
/// at first, so this costs nothing. With more than one process it also parses ahead what the
/// last run reported on. Where it cannot be started, the end of the run says why.
fn ready_for_reports(project: &Project, prepared: &Prepared, job: &Job) -> Option<Program> {
    let branch = job.measure.as_ref()?.branch;
    let mut reporter = reporter(project, prepared);
    reporter.options.extend(branch.map(|branch| ("run:branch".to_owned(), branch.into())));
    let parallel = processes(&prepared.settings) > 1;
    let files = prepared.history.files.keys().map(String::as_str).filter(|_| parallel);
    let program = reporter.ready(&files.collect::<Vec<_>>()).ok()?;
    keep_for_later(program.pid());
    Some(program)
}

/// The engine, with the plugins that it needs.
pub(super) fn engine(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
) -> Result<Engine> {
    let engine = choose::engine(invocation.screen, prepared)?;
    if engine == Engine::Stock {
        if invocation.typed.shard.is_some() {
            // One split runs: all workers are its own.
            prepared.settings.workers_per_split.value = prepared.settings.all_workers();
            prepared.settings.max_concurrent_splits.value = 1;
        }
        prepare::stock_plugins(invocation, project, prepared)?;
    }
    Ok(engine)
}

/// Runs the suite with the plugins that everybody knows, for something in it has a way of its own
/// to run tests.
fn with_stock(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
    job: &mut Job,
    why: &str,
    show: &mut dyn FnMut(Happening<'_>),
) -> Result<(Engine, Ran)> {
    show(Happening::Note(&format!("the stock engine runs the tests: {why} runs them its own way")));
    choose::stock(prepared)?;
    // xdist has a loop of its own, too, in each of its processes.
    if job.portion.is_whole() {
        prepared.settings.max_concurrent_splits.value = prepared.settings.all_workers();
    }
    prepared.settings.workers_per_split.value = 1;
    prepare::stock_plugins(invocation, project, prepared)
        .with_context(|| format!("{why} needs the stock engine"))?;
    let pool = prepared.settings.workers(Engine::Stock);
    let (portion, planned) = (job.portion.clone(), job.planned.take());
    let last_failed = job.last_failed.clone();
    *job = Job { last_failed, pool, portion, planned, ..prepare::job(project, prepared)? };
    Ok((Engine::Stock, run_job(Engine::Stock, job, show)?))
}

/// Has an engine run a job.
pub(super) fn run_job(
    engine: Engine,
    job: &Job,
    show: &mut dyn FnMut(Happening<'_>),
) -> Result<Ran> {
    let ran = match engine {
        Engine::Stock => stock::run(job, show),
        Engine::Spawn => hosts::spawn(job, show),
        Engine::Auto | Engine::Fork => hosts::fork(job, show),
    };
    // A signal that came too late for the engine ends us now.
    signals::settle();
    // An engine that cannot go on leaves what it has started.
    let ran = ran.inspect_err(|_| child::end_descendants())?;
    temporary::release(job, &ran);
    Ok(ran)
}

/// Prints the commands, with what they need prepared, so that each can be pasted. Every engine
/// runs the same splits; the stock engine's way is the one that a shell can follow.
fn dry_run(invocation: &Invocation<'_>, job: &Job) -> Result<Exit> {
    stock::prepare(job)?;
    for split in job.splits_here() {
        stock::prepare_split(job, split)?;
        invocation.screen.say(&stock::command(job, split, 1, None).to_string());
    }
    Ok(Exit::Passed)
}

/// Durations and sizes for the next run. That they cannot be kept is no reason to fail.
pub(super) fn remember(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    ran: &Ran,
) {
    let kept = keep(project, prepared, ran);
    if let Err(error) = kept {
        invocation.screen.warn(&format!("{error:#}"));
    }
}

fn keep(project: &Project, prepared: &Prepared, ran: &Ran) -> Result<()> {
    let durations = ran.ledger.durations();
    history::record(&prepared.state.durations(), &durations)?;
    if prepared.settings.store_durations.value {
        history::record(&prepare::durations_path(project, &prepared.facts), &durations)?;
    }
    history::record_cpu(&prepared.state.cpu(), &ran.ledger.cpu())?;
    let split_seconds = ran.splits.iter().map(|end| (end.split, end.took.as_secs_f64())).collect();
    let splits = prepared.settings.splits.value;
    let narrowed = prepared.settings.narrowed || ran.collect_seconds == 0.0;
    // A part of the tests says little of what the whole needs.
    let whole = Some(ran).filter(|_| !narrowed);
    let memory_growth = whole.and_then(|ran| ran.memory_growth);
    let workers_reached = whole.and_then(|ran| ran.workers_reached);
    let before = &prepared.history.collection;
    let collection = if narrowed { before.clone() } else { before.after(ran) };
    let before = &prepared.history.processes;
    let processes = if narrowed { before.clone() } else { isolation::after(prepared, ran) };
    History {
        memory_growth: memory_growth.or(prepared.history.memory_growth),
        workers_reached: workers_reached.or(prepared.history.workers_reached),
        splits,
        split_seconds,
        collection,
        processes,
        ..prepared.history.clone()
    }
    .write(&prepared.state)
}

/// pytest did not run at all: what it said is the error.
pub(super) fn refuse(ran: &Ran) -> Result<()> {
    let Some(refusal) = ran.refused.as_ref().filter(|_| ran.interrupted.is_none()) else {
        return Ok(());
    };
    let mut what = format!("pytest refused to run:\n{}", refusal.text);
    if refusal.usage && refusal.text.contains("xdist") {
        // A plugin that sees workers, and does not work with them.
        what.push_str("\nwithout workers: `--engine stock --splits 1 --workers-per-split 1`");
    }
    if refusal.usage {
        return Err(exit::usage(what).into());
    }
    anyhow::bail!(what)
}
