//! The page of a run: what goes onto it, and where it lies.

use std::collections::HashMap;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use super::ending::{Ending, versions};
use super::words::{again, counts, title};
use crate::engine::samples::{busy_share, limited_by};
use crate::engine::{Limit, Ran};
use crate::report::coverage::Rendered;
use crate::report::page::{Coverage, Page, Test, Unit, render};
use crate::report::summary::{Seconds, replace};
use crate::report::verdict::{Evidence, Verdict};
use crate::screen::{one_line, seconds};
use crate::settings::Workers;

/// What the end of a run has found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// How it is judged.
    pub(super) verdict: &'a Verdict,
    /// Why.
    pub(super) evidence: &'a Evidence<'a>,
    /// What came of the reports.
    pub(super) rendered: Option<&'a Rendered>,
    /// The JUnit file.
    pub(super) junit: Option<&'a Utf8PathBuf>,
    /// Where the time went.
    pub(super) seconds: &'a Seconds,
    /// When the engine began, seconds since the start of the run.
    pub(super) began: f64,
}

/// Writes `run.html` into the state folder, also of partial runs, and says where.
pub(super) fn write(ending: &Ending<'_>, found: &Found<'_>) -> Result<Utf8PathBuf> {
    let path = ending.prepared.state.dir().join("run.html");
    let page = page(ending, found, path.parent().map(Into::into).unwrap_or_default())?;
    replace(&path, render(&page)).with_context(|| format!("failed to write `{path}`"))?;
    Ok(path)
}

fn page<'a>(ending: &Ending<'a>, found: &Found<'a>, folder: Utf8PathBuf) -> Result<Page<'a>> {
    let Ending { project, job, ran, .. } = *ending;
    let problems = found.evidence.problems.iter().map(ToString::to_string);
    let used = ran.units.iter().map(|unit| unit.slot + 1).max();
    let slots = match job.pool.fixed {
        true => (job.concurrent * job.workers) as usize,
        false => used.unwrap_or(job.pool.start),
    };
    let unit = |run: &crate::engine::journal::UnitRun| Unit {
        slot: run.slot,
        started: run.started,
        ended: run.ended,
    };
    let coverage = found.rendered.and_then(|rendered| {
        let Rendered { totals, files, fail_under, .. } = rendered;
        let totals = totals.as_ref()?;
        Some(Coverage { totals, fail_under: *fail_under, files })
    });
    let mut reports: Vec<(String, Utf8PathBuf)> = found
        .rendered
        .map(Rendered::written)
        .unwrap_or_default()
        .into_iter()
        .map(|(kind, file)| (title(&kind), file))
        .collect();
    reports.extend(found.junit.map(|file| ("JUnit".to_owned(), file.clone())));
    Ok(Page {
        folder,
        project: &project.name,
        facts: facts(ending),
        outcome: found.verdict.outcome,
        sentence: &found.verdict.sentence,
        partial: found.verdict.partial,
        problems: problems.collect(),
        tally: found.evidence.tally,
        counts: counts(&found.evidence.tally),
        seconds: found.seconds.clone(),
        began: found.began,
        slots,
        lanes: &ran.lanes,
        units: ran.units.iter().map(unit).collect(),
        samples: ran.samples.thinned(DRAWN),
        limit: limit(ran, found.seconds),
        tests: tests(ending),
        failures: ran.ledger.failures(),
        again: again(ending.invocation, project, ending.prepared, ran)?,
        flaky: ran.ledger.flaky(),
        coverage,
        reports,
    })
}

fn facts(ending: &Ending<'_>) -> Vec<(&'static str, String)> {
    let Ending { prepared, job, .. } = ending;
    let versions = versions(&prepared.facts);
    let ended = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let Workers { start, most, fixed } = job.pool;
    let pool = match fixed {
        true => format!("{} in {} × {}", job.splits, job.concurrent, job.workers),
        false if !ending.ran.lanes.is_empty() => {
            format!("{} with {} workers in all", job.splits, ending.ran.lanes.len())
        }
        false => format!("{} with {start} to {most} workers", job.splits),
    };
    let facts = [
        ("Ended", Some(ended.replace('T', " ").replace('Z', " UTC"))),
        ("Engine", Some(ending.engine.name().to_owned())),
        (if ending.ran.lanes.is_empty() { "Splits" } else { "Shards" }, Some(pool)),
        ("Core", ending.ran.core.clone()),
        ("Python", versions.python),
        ("pytest", versions.pytest),
        ("coverage", versions.coverage.filter(|_| prepared.measures)),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How many samples a chart is drawn from: a few for each of its pixels would be lost.
const DRAWN: usize = 800;

/// What kept the run from ending earlier, in a sentence.
fn limit(ran: &Ran, took: &Seconds) -> Option<String> {
    let (samples, collecting) = (ran.samples.all(), ran.collect_seconds);
    let total = took.collect + took.run;
    let limit = limited_by(&samples, &ran.units, collecting, total)?;
    let busy = 100.0 * busy_share(&samples, collecting).unwrap_or(0.0);
    let cores = samples.last().map_or(0.0, |sample| sample.cores);
    let busy_seconds = busy / 100.0 * cores * (total - collecting);
    let others =
        if others_took_most(ran, busy_seconds) { ", mostly with other programs" } else { "" };
    Some(match limit {
        Limit::Processors => format!(
            "The processors limited this run: they were {busy:.0}% busy while tests ran{others}."
        ),
        Limit::WaitingTests => format!(
            "Tests that wait limited this run: the processors were {busy:.0}% busy while they ran."
        ),
        Limit::Memory => format!(
            "Memory limited this run: there was no room for more processes, and the processors were {busy:.0}% busy."
        ),
        Limit::LongTest(id, took) => format!(
            "One long test limited this run: {} took {} of the {} in which tests ran.",
            one_line(&id),
            seconds(took),
            seconds(total - collecting),
        ),
        Limit::Collection => format!(
            "Collecting the tests limited this run: that took {} of {}.",
            seconds(collecting),
            seconds(total),
        ),
    })
}

/// Whether most of the time in which processors were busy was not that of tests; false where it
/// is not known what these took.
fn others_took_most(ran: &Ran, busy_seconds: f64) -> bool {
    let ours: f64 = ran.processes.iter().map(|process| process.cpu).sum();
    ours > 0.0 && ours < busy_seconds / 2.0
}

/// Every attempt. The last one ended as the account says, which knows more than the process that
/// ran it.
fn tests<'a>(ending: &Ending<'a>) -> Vec<Test<'a>> {
    let ran = ending.ran;
    let all = || ran.units.iter().flat_map(|unit| unit.tests.iter().map(move |test| (unit, test)));
    let mut lasts: HashMap<(&str, u32), f64> = HashMap::new();
    for (_, test) in all() {
        let last = lasts.entry((&test.id, test.copy)).or_default();
        *last = last.max(test.started);
    }
    let word = |test: &crate::engine::journal::TestRun| {
        let is_last =
            lasts.get(&(test.id.as_str(), test.copy)).is_none_or(|last| test.started >= *last);
        match is_last {
            true => ran.ledger.outcome(&test.id, test.copy).unwrap_or(test.outcome).word(),
            false => "retried",
        }
    };
    let tests = all().map(|(unit, test)| Test {
        id: &test.id,
        outcome: word(test),
        split: unit.split,
        slot: unit.slot,
        started: test.started,
        seconds: test.seconds,
    });
    tests.collect()
}

/// When the engine began, given what it took, at the moment it has ended.
pub(super) fn began(started: Instant, run_seconds: f64) -> f64 {
    (started.elapsed().as_secs_f64() - run_seconds).max(0.0)
}
