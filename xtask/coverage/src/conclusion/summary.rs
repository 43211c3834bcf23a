//! `--summary-json`: where the file goes, and what it says.

use anyhow::Result;

use super::answer::called;
use super::value::{Conclusion, Finished};
use crate::engine::{Ran, SplitEnd, SplitState};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::model::Tally;
use crate::prepare::Prepared;
use crate::project::{Facts, Project};
use crate::report::joint::Answer;
use crate::report::summary::{self, Coverage, Outcome, SCHEMA, Seconds, Splits, Summary, Versions};

/// Writes the file that is asked for.
pub(super) fn write(run: &Finished<'_>, conclusion: &Conclusion) -> Result<()> {
    write_to_asked(run.invocation, || of(run, conclusion))
}

/// What it says.
pub(super) fn of(run: &Finished<'_>, conclusion: &Conclusion) -> Summary {
    let Conclusion { verdict, rendered, patch, .. } = conclusion;
    let coverage = rendered.as_ref().and_then(Coverage::of);
    Summary {
        schema: SCHEMA,
        outcome: verdict.outcome,
        exit_code: verdict.exit.code(),
        partial: verdict.partial,
        engine: run.engine.name().to_owned(),
        core: run.ran.core.clone(),
        hash_seed: run.prepared.hash_seed.value,
        versions: versions(&run.prepared.facts),
        splits: splits(run.ran, run.job.splits),
        tests: conclusion.evidence.tally,
        coverage: coverage.map(|coverage| Coverage { diff: patch.clone(), ..coverage }),
        seconds: conclusion.seconds.clone(),
        failed_tests: run.ran.ledger.failed_ids().to_vec(),
        data_file: rendered.as_ref().and_then(|rendered| rendered.data_file.clone()),
        reports: conclusion.reports.clone(),
    }
}

/// Ends a run for which there is nothing: good news, and whoever waits for a summary gets one.
pub(crate) fn nothing_to_run(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
) -> Result<Exit> {
    let total = prepared.settings.splits.value;
    let took = prepared.took.as_secs_f64();
    let summary = || Summary {
        schema: SCHEMA,
        outcome: Outcome::Passed,
        exit_code: Exit::Passed.code(),
        partial: true,
        engine: prepared.settings.engine.value.name().to_owned(),
        core: None,
        hash_seed: prepared.hash_seed.value,
        versions: versions(&prepared.facts),
        splits: Splits { total, not_run: total, ..Splits::default() },
        tests: Tally::default(),
        coverage: None,
        seconds: Seconds { total: took, environment: took, ..Seconds::default() },
        failed_tests: Vec::new(),
        data_file: None,
        reports: [].into(),
    };
    write_to_asked(invocation, summary)?;
    if let Some(answers) = invocation.joint {
        let what = "nothing to run again".to_owned();
        let name = called(answers, project);
        let summary = Some(summary());
        answers.add(Answer { summary, ..Answer::without_run(name, Exit::Passed, what) });
    }
    invocation.screen.say("✓ nothing to run again: no test is known to have failed");
    Ok(Exit::Passed)
}

fn write_to_asked(invocation: &Invocation<'_>, summary: impl FnOnce() -> Summary) -> Result<()> {
    let asked = invocation.typed.general.summary_json.as_ref();
    let Some(path) = asked.filter(|_| invocation.joint.is_none()) else { return Ok(()) };
    summary::write(&invocation.here.join(path), &summary())
}

/// Versions of what runs the tests.
pub(super) fn versions(facts: &Facts) -> Versions {
    let package = |name: &str| facts.packages.get(name).cloned();
    Versions {
        python: Some(facts.python.clone()),
        pytest: package("pytest"),
        coverage: package("coverage"),
    }
}

fn splits(ran: &Ran, total: u32) -> Splits {
    let count = |counts: &dyn Fn(&SplitEnd) -> bool| -> u32 {
        let completed = ran.splits.iter().filter(|end| end.state == SplitState::Completed);
        completed.filter(|end| counts(end)).map(|_| 1).sum()
    };
    let completed = count(&|_| true);
    Splits {
        total,
        completed,
        failed: count(&|end| end.failed > 0),
        not_run: total.saturating_sub(completed),
    }
}
