//! `cargo xtask coverage` and `cargo xtask test`: run, combine and report what was measured,
//! judge.

use std::time::Instant;

use anyhow::{Context, Result};
use camino::Utf8Path;

use super::show;
use crate::cli::Engine;
use crate::conclusion::answer::called;
use crate::conclusion::{self, Delivery, Finished, goals, missing, request};
use crate::engine::around::{around, lines};
use crate::engine::{Happening, Job, Ran, child, hosts, keep_for_later, signals, stock, temporary};
use crate::exit::{self, Exit};
use crate::history::outstanding::{Again, Outstanding};
use crate::invocation::Invocation;
use crate::model::format::count;
use crate::prepare::{self, Prepared, banner, job::job, rerun::Rerun};
use crate::project::{Project, State, runs};
use crate::report::coverage::Program;
use crate::report::joint::Answer;
use crate::shard::plan::PlanFile;

/// Runs one project's suite.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let started = Instant::now();
    let asked = goals::Asked::ahead(invocation, project);
    let rerun = prepare::rerun::read(invocation, project)?;
    let mut prepared = prepare::prepare(invocation, project)?;
    if let Some(shown) = show::instead(invocation, project, &prepared)? {
        return Ok(shown);
    }
    if let Some(ended) = left_of_budget(invocation, project, &mut prepared) {
        return Ok(ended);
    }
    let selection = Selection::of(invocation, &prepared, rerun);
    let plan = prepare::shard::narrow(invocation, project, &mut prepared)?;
    if selection.again == Some(Again::Nothing) {
        return conclusion::nothing_to_run(invocation, project, &prepared);
    }
    selection.settle(&mut prepared);
    let mut engine = engine(invocation, project, &mut prepared)?;
    let against = goals::read(asked, project, &prepared)?;
    let mut job = job_of(invocation, project, &prepared, engine, plan.as_ref())?;
    selection.narrow(&mut job, &prepared.rootdir(project))?;
    if invocation.typed.general.dry_run {
        return dry_run(invocation, &job);
    }
    banner::say(invocation.screen, project, &prepared, engine);
    selection.say(invocation, &prepared, engine);

    let shard = Delivery::begin(invocation, project, &prepared, engine, selection.is_part)?;
    let reports = !prepare::shard::goes_without_reports(&job, &prepared);
    let ready = reports.then(|| ready_for_reports(project, &prepared, &job)).flatten();
    let running = Instant::now();
    let mut ran = run_tests(invocation, project, &mut prepared, &mut engine, &mut job)?;
    let run_seconds = running.elapsed().as_secs_f64();
    refuse(&ran).inspect_err(|_| {
        let hints = missing::hints(project, &prepared, &ran);
        hints.iter().for_each(|hint| invocation.screen.say(hint));
    })?;
    selection.conclude(invocation, &mut ran, &prepared.state, shard.is_some());

    let finished = Finished {
        invocation,
        project,
        prepared: &prepared,
        engine,
        against: &against,
        job: &job,
        ran: &ran,
        delivery: shard.as_ref(),
        started,
        run_seconds,
    };
    Ok(finished.conclude(ready))
}

/// Which tests run, where that is not all that pytest would collect.
struct Selection {
    /// What failed or did not run in earlier runs.
    known: Outstanding,
    /// What of that runs again, if that was asked for.
    again: Option<Again>,
    /// What failed on another machine.
    rerun: Option<Rerun>,
    /// Words for pytest leave tests out.
    is_part: bool,
}

impl Selection {
    fn of(invocation: &Invocation<'_>, prepared: &Prepared, rerun: Option<Rerun>) -> Selection {
        let known = Outstanding::read(&prepared.state);
        let again = invocation.typed.general.last_failed.then(|| known.again());
        Selection { known, again, rerun, is_part: prepared.settings.narrowed }
    }

    fn settle(&self, prepared: &mut Prepared) {
        prepared.settings.narrowed |= self.again == Some(Again::Listed);
        self.rerun.iter().for_each(|it| it.settle(prepared));
    }

    fn narrow(&self, job: &mut Job, rootdir: &Utf8Path) -> Result<()> {
        if self.again == Some(Again::Listed) {
            self.known.narrow(job, rootdir, self.is_part)?;
        }
        self.rerun.iter().try_for_each(|rerun| rerun.narrow(job, rootdir))
    }

    fn say(&self, invocation: &Invocation<'_>, prepared: &Prepared, engine: Engine) {
        let note = |text: String| invocation.screen.note(&text);
        if self.again.is_some() {
            note(format!("  • Again: {}", self.known.words()));
        }
        if let Some(rerun) = &self.rerun {
            note(format!("  • Again: {}", rerun.words()));
            let differences = rerun.differences(prepared, engine.name());
            differences.into_iter().for_each(|it| note(format!("note: {it}")));
        }
    }

    /// What was not found is missed, and what is left for the next time is kept: of a shard where
    /// all are combined.
    fn conclude(self, invocation: &Invocation<'_>, ran: &mut Ran, state: &State, is_shard: bool) {
        self.rerun.iter().for_each(|it| it.miss(ran));
        if is_shard {
            return;
        }
        let has_all = self.again != Some(Again::Listed) || ran.not_found.whole;
        let whole = !self.is_part && self.rerun.is_none() && has_all;
        if let Err(error) = self.known.after(ran, whole).write(state) {
            invocation.screen.warn(&format!("{error:#}"));
        }
    }
}

/// What the engine is to do, for the whole suite or a shard of it.
fn job_of(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    engine: Engine,
    plan: Option<&PlanFile>,
) -> Result<Job> {
    let mut job = job(project, prepared, || match invocation.typed.general.dry_run {
        true => runs::emptied(&prepared.state, prepared.state.names.dry_run(), &prepared.lock),
        false => runs::begin(&prepared.state, &prepared.lock),
    })?;
    job.trace = invocation.typed.general.trace.as_ref().map(|path| invocation.here.join(path));
    job.pool = prepared.settings.workers(engine);
    job.jobserver = invocation.jobserver.cloned();
    prepare::shard::apply(&mut job, invocation.typed.shard, plan);
    let (tail, why_static) = prepare::shard::tail(invocation, plan, engine);
    job.tail = tail;
    why_static.into_iter().for_each(|why| invocation.screen.note(why));
    Ok(job)
}

/// Has the engine run the tests, and the stock engine where that cannot.
fn run_tests(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
    engine: &mut Engine,
    job: &mut Job,
) -> Result<Ran> {
    invocation.screen.call_out_after(prepared.settings.slow.value);
    let mut show = |happening: Happening<'_>| invocation.screen.show(&happening);
    let _doing = invocation.screen.doing("Collecting the tests");
    let mut ran = run_job(*engine, job, &mut show)?;
    if let Some(why) = ran.unsuitable.take() {
        (*engine, ran) = with_stock(invocation, project, prepared, job, &why, &mut show)?;
    }
    Ok(ran)
}

/// Several projects have one failure budget: where others have used it up this one does not begin,
/// and where they run one after the other it gets what those before it have left.
fn left_of_budget(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
) -> Option<Exit> {
    let (answers, budget) = (invocation.joint?, &mut prepared.settings.max_failures.value);
    let elsewhere = invocation.jobserver.map(|client| client.failures_of_others());
    let failures = elsewhere.unwrap_or_else(|| answers.failures());
    if *budget == 0 || failures == 0 {
        return None;
    }
    let left = budget.saturating_sub(u32::try_from(failures).unwrap_or(u32::MAX));
    if invocation.jobserver.is_none() {
        *budget = left;
    }
    let exit = Exit::TestsFailed;
    (left == 0).then(|| {
        let why = format!("not begun: {} in other projects", count(failures, "failure"));
        answers.add(Answer::without_run(called(answers, project), exit, why));
        exit
    })
}

/// What makes the reports, started while the tests are collected: that is one process's work
/// at first, so this costs nothing. With more than one process it also parses ahead what the
/// last run reported on. Where it cannot be started, the end of the run says why.
fn ready_for_reports(project: &Project, prepared: &Prepared, job: &Job) -> Option<Program> {
    let branch = job.measure.as_ref()?.branch;
    let mut reporter = request::reporter(project, prepared);
    reporter.options.extend(branch.map(|branch| ("run:branch".to_owned(), branch.into())));
    let parallel = request::processes(&prepared.settings) > 1;
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
    let engine = prepare::engine::choose(invocation.screen, prepared)?;
    if engine == Engine::Stock {
        if invocation.typed.general.trace.is_some() {
            let why = "`--trace` writes what our scheduler does, and the stock engine runs the \
                       tests without it: pytest-xdist decides what runs when; use `--engine fork` \
                       or `spawn`";
            return Err(exit::usage(why.to_owned()).into());
        }
        if invocation.typed.shard.is_some() {
            // One split runs: all workers are its own.
            prepared.settings.workers_per_split.value = prepared.settings.all_workers();
            prepared.settings.max_concurrent_splits.value = 1;
        }
        prepare::stock::plugins(invocation, project, prepared)?;
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
    prepare::engine::stock(prepared)?;
    if let Some(path) = &job.trace {
        show(Happening::Note(&format!("`{path}` ends here: the stock engine has no trace")));
    }
    // xdist has a loop of its own, too, in each of its processes.
    if job.portion.is_whole() {
        prepared.settings.max_concurrent_splits.value = prepared.settings.all_workers();
    }
    prepared.settings.workers_per_split.value = 1;
    prepare::stock::plugins(invocation, project, prepared)
        .with_context(|| format!("{why} needs the stock engine"))?;
    let pool = prepared.settings.workers(Engine::Stock);
    let folder = job.folder.clone();
    let again = prepare::job::job(project, prepared, || {
        runs::emptied(&prepared.state, folder, &prepared.lock)
    })?;
    let (last_failed, planned) = (job.last_failed.take(), job.planned.take());
    let (rerun, portion) = (job.rerun.take(), job.portion.clone());
    let jobserver = job.jobserver.take();
    *job = Job { last_failed, pool, portion, planned, rerun, jobserver, ..again };
    Ok((Engine::Stock, run_job(Engine::Stock, job, show)?))
}

/// Has an engine run a job.
pub(super) fn run_job(
    engine: Engine,
    job: &Job,
    show: &mut dyn FnMut(Happening<'_>),
) -> Result<Ran> {
    let ended = around(job, workers_ahead(engine, job), show, |job, show| {
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
    })?;
    signals::settle();
    let mut ran = ended.value.unwrap_or_else(|| Ran::new(job.budget));
    ran.interrupted = ran.interrupted.or(ended.signal);
    ran.findings.extend(ended.troubles);
    Ok(ran)
}

/// How many workers must be set up before the engine begins: what is imported once knows the
/// first one, and the stock engine knows in advance how many there will be.
fn workers_ahead(engine: Engine, job: &Job) -> usize {
    let splits = job.concurrent.min(job.splits_here().count().try_into().unwrap_or(u32::MAX));
    if engine == Engine::Stock { (splits * job.workers) as usize } else { 1 }
}

/// Prints the commands, with what they need prepared, so that each can be pasted. Every engine
/// runs the same splits; the stock engine's way is the one that a shell can follow.
fn dry_run(invocation: &Invocation<'_>, job: &Job) -> Result<Exit> {
    stock::prepare(job)?;
    let each_worker = !job.commands.worker_setup.is_empty();
    lines(job, |it| &it.setup).iter().for_each(|line| invocation.screen.say(line));
    if each_worker {
        let note = "note: what `worker-setup` does for each worker is not shown";
        invocation.screen.note(note);
    }
    for split in job.splits_here() {
        stock::prepare_split(job, split)?;
        invocation.screen.say(&stock::command(job, split, 1, None).to_string());
    }
    lines(job, |it| &it.teardown).iter().for_each(|line| invocation.screen.say(line));
    Ok(Exit::Passed)
}

/// pytest did not run at all: what it said is the error.
pub(super) fn refuse(ran: &Ran) -> Result<()> {
    let Some(refusal) = ran.refused.as_ref().filter(|_| ran.interrupted.is_none()) else {
        return Ok(());
    };
    let mut what = refusal.text.clone();
    if refusal.usage && refusal.text.contains("xdist") {
        // A plugin that sees workers, and does not work with them.
        what.push_str("\nwithout workers: `--engine stock --splits 1 --workers-per-split 1`");
    }
    if refusal.usage {
        return Err(exit::usage(what).into());
    }
    anyhow::bail!(what)
}
