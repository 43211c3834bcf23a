//! `--shard` and `--plan`: what of the suite this machine runs, and where on it things are.

use anyhow::{Context, Result};
use camino::Utf8Path;

use super::prepared::Prepared;
use crate::cli::Engine;
use crate::digest;
use crate::engine::{Job, TailOfJob};
use crate::invocation::Invocation;
use crate::project::{Project, git};
use crate::settings::Origin;
use crate::shard::engines::identity;
use crate::shard::manifest::{Places, Versions};
use crate::shard::plan::PlanFile;
use crate::split::{Portion, Shard};
use crate::{exit, files};

/// What a plan can have of tests: a file of hundreds of thousands.
const MOST_PLAN: u64 = 512 << 20;

/// Narrows a job to what was asked for: the shard, and the plan that it is of.
pub(crate) fn narrow(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
) -> Result<Option<PlanFile>> {
    let typed = invocation.typed;
    if let (Some(shard), true) = (typed.shard, typed.general.last_failed) {
        let why = format!(
            "`--last-failed` runs what is known to have failed on this machine, and `--shard \
             {shard}` what all machines have agreed on; leave one of them out"
        );
        return Err(exit::usage(why).into());
    }
    prepared.settings.narrowed |= typed.shard.is_some();
    let shards = &typed.general.shards;
    if shards.tail.is_some() && (typed.shard.is_none() || shards.plan.is_none()) {
        let why = "`--tail` evens out shards of one plan: it needs `--shard I/N` and `--plan \
                   plan.json`, which `cargo xtask coverage plan --shards N --out plan.json` writes";
        return Err(exit::usage(why).into());
    }
    let Some(file) = &shards.plan else { return Ok(None) };
    let plan = read_plan(&invocation.here.join(file), project)?;
    if let Some(shard) = typed.shard.filter(|shard| shard.total != plan.total()) {
        let why = format!("`--shard {shard}`, but `{file}` is a plan for {} shards", plan.total());
        return Err(exit::usage(why).into());
    }
    prepared.settings.splits.value = plan.total();
    Ok(Some(plan))
}

/// A plan that was made before.
fn read_plan(file: &Utf8Path, project: &Project) -> Result<PlanFile> {
    let what = || exit::usage(format!("failed to read the plan `{file}`"));
    let text = files::read_up_to(file, MOST_PLAN).with_context(what)?;
    let plan = PlanFile::read(&text).map_err(|why| exit::usage(format!("`{file}` {why}")))?;
    let head = project.head()?;
    let name = name(project, head);
    if plan.project != name {
        let why = format!("`{file}` is a plan for `{}`, and this is `{name}`", plan.project);
        return Err(exit::usage(why).into());
    }
    if let (Some(there), Some(here)) = (&plan.commit, &head.commit)
        && there != here
    {
        let why = format!("`{file}` is a plan for commit {there}, and here {here} is checked out");
        return Err(exit::usage(why).into());
    }
    Ok(plan)
}

/// Applies both to the job.
pub(crate) fn apply(job: &mut Job, shard: Option<Shard>, plan: Option<&PlanFile>) {
    job.portion = shard.map_or(Portion::Whole, Portion::Shard);
    job.planned = plan.map(PlanFile::planned);
}

/// What of the plan is claimed, and where; with the line to say where that is nothing.
pub(crate) fn tail(
    invocation: &Invocation<'_>,
    plan: Option<&PlanFile>,
    engine: Engine,
) -> (Option<TailOfJob>, Option<&'static str>) {
    let typed = invocation.typed;
    let (Some(store), Some(shard), Some(plan)) = (&typed.general.shards.tail, typed.shard, plan)
    else {
        return (None, None);
    };
    if engine == Engine::Stock {
        return (None, Some("`--tail` claims nothing: the stock engine runs whole splits"));
    }
    if plan.made.is_empty() || plan.tests.iter().all(|test| test.batch.is_none()) {
        return (None, Some("`--tail` claims nothing: there are no batches in the plan"));
    }
    let run = identity(invocation.env).run.unwrap_or_default();
    let batches = plan.tests.iter().map(|test| test.batch.unwrap_or_default().to_string());
    let batches: Vec<String> = batches.collect();
    let words = [run.as_str(), &plan.digest, &plan.made].into_iter();
    let key = digest::of_texts(words.chain(batches.iter().map(String::as_str)))[..32].to_owned();
    let tests = plan.tests.iter().map(|test| (test.batch, test.seconds)).collect();
    let store = store.clone().seen_from(invocation.here);
    (Some(TailOfJob { store, key, shard: shard.index, tests }), None)
}

/// A shard reports only what was typed.
pub(crate) fn goes_without_reports(job: &Job, prepared: &Prepared) -> bool {
    let settings = &prepared.settings;
    let typed = |origin: &Origin| *origin == Origin::CommandLine;
    let asked = typed(&settings.reports.origin)
        || settings.fail_under_on_command_line
        || settings.goals.typed();
    job.portion.shard().is_some() && !asked
}

/// A digest of what decides how the suite is cut, but for the tests themselves.
pub(crate) fn durations(job: &Job) -> String {
    match job.times.committed.is_empty() {
        true => String::new(),
        false => digest::of_texts([job.times.committed.to_string().as_str()].into_iter()),
    }
}

/// What a project is called on every machine. Services put each job's checkout into a folder of
/// another name, so that of the repository's top says nothing.
pub(crate) fn name(project: &Project, head: &git::Head) -> String {
    match project.pyproject.name() {
        Some(name) => name.to_owned(),
        None if head.top.as_ref() == Some(&project.root) => ".".to_owned(),
        None => project.name.clone(),
    }
}

/// Versions of what runs the tests here.
pub(crate) fn versions(prepared: &Prepared) -> Versions {
    let package = |name: &str| prepared.facts.packages.get(name).cloned();
    Versions {
        xtask: env!("CARGO_PKG_VERSION").to_owned(),
        python: prepared.facts.python.clone(),
        pytest: package("pytest"),
        coverage: package("coverage"),
    }
}

/// Where things are on this machine that are elsewhere on others.
pub(crate) fn places(project: &Project, prepared: &Prepared, head: &git::Head) -> Places {
    let executable = &prepared.interpreter.executable;
    // The environment, by the path that coverage knows it by.
    let prefix = executable.parent().and_then(Utf8Path::parent);
    let prefix = prefix.and_then(|prefix| prefix.canonicalize_utf8().ok());
    Places {
        root: project.root.clone(),
        top: head.top.clone(),
        prefixes: prefix.into_iter().collect(),
    }
}
