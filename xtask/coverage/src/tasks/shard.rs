//! `--shard`: a run of a part of the suite whose results go to another machine.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::Invocation;
use super::prepare::Prepared;
use crate::cli::Engine;
use crate::engine::record::Record;
use crate::engine::{Job, Ran};
use crate::project::{Project, Steps, git};
use crate::settings::Origin;
use crate::shard::combine::Checked;
use crate::shard::deliver::{Contents, Data, clear, deliver};
use crate::shard::engines::{Identity, identity};
use crate::shard::manifest::{Counts, Manifest, Measured, Places, PlanDigest, SCHEMA, Versions};
use crate::shard::plan::PlanFile;
use crate::split::{Portion, Shard, digest_of};
use crate::{exit, files};

/// A shard at work.
#[derive(Debug)]
pub(super) struct Sharded {
    /// Where its folder goes.
    out: Utf8PathBuf,
    /// What is known of it before it runs.
    manifest: Manifest,
}

/// What a plan can have of tests: a file of hundreds of thousands.
const MOST_PLAN: u64 = 512 << 20;

/// Narrows a job to what was asked for: the shard, and the plan that it is of.
pub(super) fn narrow(
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
    let Some(file) = &typed.general.shards.plan else { return Ok(None) };
    let plan = read_plan(&super::here()?.join(file), project)?;
    if let Some(shard) = typed.shard.filter(|shard| shard.total != plan.total()) {
        let why = format!("`--shard {shard}`, but `{file}` is a plan for {} shards", plan.total());
        return Err(exit::usage(why).into());
    }
    prepared.settings.splits.value = plan.total();
    Ok(Some(plan))
}

/// A plan that was made before.
pub(super) fn read_plan(file: &Utf8Path, project: &Project) -> Result<PlanFile> {
    let what = || exit::usage(format!("failed to read the plan `{file}`"));
    let text = files::read_up_to(file, MOST_PLAN).with_context(what)?;
    let plan = PlanFile::read(&text).map_err(|why| exit::usage(format!("`{file}` {why}")))?;
    if plan.project != project.name {
        let why =
            format!("`{file}` is a plan for `{}`, and this is `{}`", plan.project, project.name);
        return Err(exit::usage(why).into());
    }
    let head = head(project)?;
    if let (Some(there), Some(here)) = (&plan.commit, &head.commit)
        && there != here
    {
        let why = format!("`{file}` is a plan for commit {there}, and here {here} is checked out");
        return Err(exit::usage(why).into());
    }
    Ok(plan)
}

/// Applies both to the job.
pub(super) fn apply(job: &mut Job, shard: Option<Shard>, plan: Option<&PlanFile>) {
    job.portion = shard.map_or(Portion::Whole, Portion::Shard);
    job.planned = plan.map(PlanFile::planned);
}

/// What a shard is asked to report: only what was typed.
pub(super) fn without_reports(prepared: &Prepared) -> bool {
    let settings = &prepared.settings;
    let typed = |origin: &Origin| *origin == Origin::CommandLine;
    let asked = typed(&settings.reports.origin)
        || settings.fail_under_on_command_line
        || settings.goals.typed();
    !asked
}

/// Before the first test: what another run has left goes.
pub(super) fn begin(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
    engine: Engine,
    is_part: bool,
) -> Result<Option<Sharded>> {
    let Some(shard) = invocation.typed.shard else { return Ok(None) };
    let out = match &invocation.typed.general.shards.out {
        Some(out) => super::here()?.join(out),
        None => prepared.house.clone(),
    };
    let head = head(project)?;
    let Identity { run, attempt, attempt_name } = identity(invocation.env);
    let manifest = Manifest {
        schema: SCHEMA,
        project: project.name.clone(),
        index: shard.index,
        total: shard.total,
        run,
        commit: head.commit.clone(),
        dirty: head.dirty,
        plan: None,
        tests: Counts::default(),
        narrowed: is_part,
        versions: versions(prepared),
        engine: engine.name().to_owned(),
        measured: measured(prepared),
        places: places(project, prepared, &head),
        files: Vec::new(),
        attempt,
        attempt_name,
        began: now(),
        ended: 0.0,
        finished: false,
    };
    clear(&out, &manifest)?;
    Ok(Some(Sharded { out, manifest }))
}

impl Sharded {
    /// Leaves what has come of it, whether tests failed or not. A run that a signal ended leaves
    /// nothing: there is no telling what else is not there.
    pub(super) fn deliver(
        self,
        invocation: &Invocation<'_>,
        job: &Job,
        ran: &Ran,
        checked: &Checked,
    ) -> Result<()> {
        let screen = invocation.screen;
        let nothing = match (ran.interrupted, &ran.share) {
            (Some(_), _) => Some("it was interrupted"),
            (None, None) if !ran.uncollectable => Some("it has not run as it was planned"),
            _ => None,
        };
        if let Some(why) = nothing {
            screen.say(&format!("✗ the shard delivers nothing: {why}"));
            return Ok(());
        }
        let record = Record::of(ran, checked.problems.clone());
        let tests = serde_json::to_string(&record).context("failed to describe the tests")?;
        let data = checked.parts.iter().map(|part| Data { file: &part.file, origin: part.origin });
        let data: Vec<Data<'_>> = data.collect();
        let durations = durations(job);
        let plan = ran.share.as_ref().map(|share| PlanDigest::of(&share.plan, durations));
        let mut manifest =
            Manifest { plan, tests: counts(ran), ended: now(), finished: true, ..self.manifest };
        if let Some(measured) = &mut manifest.measured {
            measured.core.clone_from(&ran.core);
        }
        let folder = deliver(&self.out, manifest, &Contents { data: &data, tests: &tests })?;
        screen.say(&format!("Shard: {folder}"));
        Ok(())
    }
}

/// A digest of what decides how the suite is cut, but for the tests themselves.
pub(super) fn durations(job: &Job) -> String {
    match job.committed.is_empty() {
        true => String::new(),
        false => digest_of([job.committed.to_string().as_str()].into_iter()),
    }
}

fn counts(ran: &Ran) -> Counts {
    let assigned = ran.share.as_ref().map_or(0, |share| share.assigned.len());
    let tally = ran.ledger.tally();
    Counts {
        assigned: assigned as u64,
        run: ran.ledger.keys().count() as u64,
        failed: tally.failures(),
    }
}

/// What is checked out.
pub(super) fn head(project: &Project) -> Result<git::Head> {
    // Nothing that git is asked takes long enough to be announced.
    Ok(git::head(&Steps::new(&|_| {})?, &project.root))
}

fn versions(prepared: &Prepared) -> Versions {
    let package = |name: &str| prepared.facts.packages.get(name).cloned();
    Versions {
        xtask: env!("CARGO_PKG_VERSION").to_owned(),
        python: prepared.facts.python.clone(),
        pytest: package("pytest"),
        coverage: package("coverage"),
    }
}

fn measured(prepared: &Prepared) -> Option<Measured> {
    let typed = prepared.settings.branch.as_ref().map(|branch| branch.value);
    let configured = prepared.facts.coverage.as_ref().is_some_and(|coverage| coverage.branch);
    let branches = typed.unwrap_or(configured);
    prepared.measures.then_some(Measured { core: None, branches })
}

/// Where things are on this machine that are elsewhere on others.
pub(super) fn places(project: &Project, prepared: &Prepared, head: &git::Head) -> Places {
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

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    (seconds * 1e3).round() / 1e3
}
