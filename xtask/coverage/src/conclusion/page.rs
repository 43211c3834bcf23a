//! The page of a run: what goes onto it, and where it lies.

use std::collections::HashMap;
use std::time::SystemTime;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use super::summary::versions;
use super::value::{Conclusion, Finished};
use super::words::title;
use crate::engine::samples::{busy_share, limited_by};
use crate::engine::{Limit, Ran};
use crate::files;
use crate::model::format::{one_line, seconds};
use crate::report::coverage::Rendered;
use crate::report::page::{Coverage, Page, Test, Unit, render};
use crate::report::summary::Seconds;
use crate::settings::Workers;

/// Writes it into the folder of the run, also of partial runs, and says where.
pub(super) fn write(run: &Finished<'_>, conclusion: &Conclusion) -> Result<Utf8PathBuf> {
    let path = run.job.folder.page();
    let page = page(run, conclusion);
    files::replace(&path, render(&page)).with_context(|| format!("failed to write `{path}`"))?;
    Ok(path)
}

fn page<'a>(run: &Finished<'a>, conclusion: &'a Conclusion) -> Page<'a> {
    let Finished { project, job, ran, .. } = *run;
    let Conclusion { evidence, verdict, seconds, .. } = conclusion;
    let broken = evidence.broken.iter().map(|broken| broken.what.clone());
    let problems = evidence.problems.iter().map(ToString::to_string);
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
    let coverage = conclusion.rendered.as_ref().and_then(|rendered| {
        let Rendered { totals, files, fail_under, .. } = rendered;
        let totals = totals.as_ref()?;
        Some(Coverage { totals, fail_under: *fail_under, files })
    });
    let reports = conclusion.reports.iter();
    Page {
        folder: job.folder.root().to_owned(),
        project: &project.name,
        facts: facts(run),
        outcome: verdict.outcome,
        sentence: &verdict.sentence,
        partial: verdict.partial,
        problems: broken.chain(problems).collect(),
        tally: evidence.tally,
        counts: evidence.tally.in_words(),
        seconds: seconds.clone(),
        began: conclusion.began,
        slots,
        lanes: &ran.lanes,
        units: ran.units.iter().map(unit).collect(),
        samples: ran.samples.thinned(DRAWN),
        limit: limit(ran, seconds),
        tests: tests(run),
        failures: ran.ledger.failures(),
        again: conclusion.again.clone(),
        flaky: ran.ledger.flaky(),
        coverage,
        reports: reports.map(|(kind, file)| (title(kind), file.clone())).collect(),
    }
}

fn facts(run: &Finished<'_>) -> Vec<(&'static str, String)> {
    let Finished { prepared, job, ran, .. } = *run;
    let versions = versions(&prepared.facts);
    let ended = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let Workers { start, most, fixed } = job.pool;
    let pool = match fixed {
        true => format!("{} in {} × {}", job.splits, job.concurrent, job.workers),
        false if !ran.lanes.is_empty() => {
            format!("{} with {} workers in all", job.splits, ran.lanes.len())
        }
        false => format!("{} with {start} to {most} workers", job.splits),
    };
    let facts = [
        ("Ended", Some(ended.replace('T', " ").replace('Z', " UTC"))),
        ("Engine", Some(run.engine.name().to_owned())),
        (if ran.lanes.is_empty() { "Splits" } else { "Shards" }, Some(pool)),
        ("Core", ran.core.clone()),
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
fn tests<'a>(run: &Finished<'a>) -> Vec<Test<'a>> {
    let ran = run.ran;
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
