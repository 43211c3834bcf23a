//! What a shard delivers: where shards are combined it becomes one run with the others.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use camino::Utf8PathBuf;

use super::value::Finished;
use crate::cli::Engine;
use crate::engine::record::Record;
use crate::engine::{BatchHere, Ran};
use crate::invocation::Invocation;
use crate::prepare::{Prepared, shard};
use crate::project::Project;
use crate::shard::combine::Checked;
use crate::shard::deliver::{Contents, Data, clear, deliver};
use crate::shard::engines::{Identity, identity};
use crate::shard::manifest::{Counts, Manifest, Measured, PlanDigest, SCHEMA, TailOfShard};

/// What a shard is to deliver.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Where its folder goes.
    out: Utf8PathBuf,
    /// What is known of it before it runs.
    manifest: Manifest,
}

impl Delivery {
    /// Before the first test: what another run has left goes.
    pub(crate) fn begin(
        invocation: &Invocation<'_>,
        project: &Project,
        prepared: &Prepared,
        engine: Engine,
        is_part: bool,
    ) -> Result<Option<Delivery>> {
        let Some(this) = invocation.typed.shard else { return Ok(None) };
        let out = match &invocation.typed.general.shards.out {
            Some(out) => invocation.here.join(out),
            None => prepared.state.whole().delivered().to_owned(),
        };
        let head = project.head()?;
        let Identity { run, attempt, attempt_name } = identity(invocation.env);
        let manifest = Manifest {
            schema: SCHEMA,
            project: shard::name(project, head),
            index: this.index,
            total: this.total,
            run,
            commit: head.commit.clone(),
            dirty: head.dirty,
            plan: None,
            tests: Counts::default(),
            tail: None,
            narrowed: is_part,
            versions: shard::versions(prepared),
            engine: engine.name().to_owned(),
            measured: measured(prepared),
            places: shard::places(project, prepared, head),
            files: Vec::new(),
            attempt,
            attempt_name,
            began: now(),
            ended: 0.0,
            finished: false,
        };
        clear(&out, &manifest)?;
        Ok(Some(Delivery { out, manifest }))
    }
}

impl Finished<'_> {
    /// Leaves what has come of a shard, whether tests failed or not; says where, or why not. A run
    /// that a signal ended leaves nothing: there is no telling what else is not there.
    pub(super) fn deliver(
        &self,
        checked: &Checked,
        rerun: &Result<Option<String>>,
    ) -> Result<Option<String>> {
        let (Some(delivery), ran) = (self.delivery, self.ran) else { return Ok(None) };
        let nothing = match (ran.interrupted, &ran.share) {
            (Some(_), _) => Some("it was interrupted"),
            (None, None) if !ran.uncollectable => Some("it has not run as it was planned"),
            _ => None,
        };
        if let Some(why) = nothing {
            return Ok(Some(format!("✗ the shard delivers nothing: {why}")));
        }
        let seed = self.job.hash_seed.value;
        let record = Record::of(ran, checked.problems.clone(), seed);
        let tests = serde_json::to_string(&record).context("failed to describe the tests")?;
        let data = checked.parts.iter().map(|part| Data { file: &part.file, origin: part.origin });
        let data: Vec<Data<'_>> = data.collect();
        let durations = shard::durations(self.job);
        let plan = ran.share.as_ref().map(|share| PlanDigest::of(&share.plan, durations));
        let mut manifest = Manifest {
            plan,
            tests: counts(ran),
            tail: self.tail(),
            ended: now(),
            finished: true,
            ..delivery.manifest.clone()
        };
        if let Some(measured) = &mut manifest.measured {
            measured.core.clone_from(&ran.core);
        }
        let rerun = rerun.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let contents = Contents { data: &data, tests: &tests, rerun: rerun.as_deref() };
        let folder = deliver(&delivery.out, manifest, &contents)?;
        Ok(Some(format!("Shard: {folder}")))
    }
}

impl Finished<'_> {
    fn tail(&self) -> Option<TailOfShard> {
        let job = self.job.tail.as_ref()?;
        let claims = self.ran.tail.clone().unwrap_or_default();
        let is_run = |it: &&BatchHere| self.ran.ledger.left_of(&it.here).next().is_none();
        Some(TailOfShard {
            store: job.store.kind().to_owned(),
            claimed: claims.batches.iter().map(|it| it.batch).collect(),
            run: claims.batches.iter().filter(is_run).map(|it| it.batch).collect(),
            left: claims.left,
        })
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

fn measured(prepared: &Prepared) -> Option<Measured> {
    let typed = prepared.settings.branch.as_ref().map(|branch| branch.value);
    let configured = prepared.facts.coverage.as_ref().is_some_and(|coverage| coverage.branch);
    let branches = typed.unwrap_or(configured);
    let sources = prepared.settings.sources.value.clone();
    prepared.measures.then_some(Measured { core: None, branches, sources })
}

/// Seconds since 1970.
fn now() -> f64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    (seconds * 1e3).round() / 1e3
}
