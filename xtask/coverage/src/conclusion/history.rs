//! What a run leaves for the next ones. That it cannot be kept is no reason to fail; that the
//! project's own file of durations cannot be written is one.

use anyhow::Result;

use super::highlights::percentages;
use super::value::{Conclusion, Finished};
use crate::cli::Engine;
use crate::history::{History, durations};
use crate::prepare::{isolation, job};

/// What tests and processes took. The error is that of the project's own file.
pub(super) fn keep_times(run: &Finished<'_>) -> Result<()> {
    let Finished { project, prepared, ran, .. } = *run;
    let times = ran.ledger.durations();
    let names = &prepared.state.names;
    let kept = [
        durations::record(&names.durations(), &times),
        durations::record_cpu(&names.cpu(), &ran.ledger.cpu()),
        prepared.history.after(ran, &isolation::means(prepared)).write(&prepared.state),
    ];
    for error in kept.into_iter().filter_map(Result::err) {
        run.invocation.screen.warn(&format!("{error:#}"));
    }
    match prepared.settings.store_durations.value {
        true => {
            let file = job::durations_path(project, &prepared.facts);
            durations::record_committed(&file, &times)
        }
        false => Ok(()),
    }
}

/// What a complete run tells the next one.
pub(super) fn keep_result(run: &Finished<'_>, conclusion: &Conclusion) -> Result<()> {
    let Some(rendered) = conclusion.complete() else { return Ok(()) };
    let Some(totals) = &rendered.totals else { return Ok(()) };
    let state = &run.prepared.state;
    let history = History::read(state);
    let seconds = &conclusion.seconds;
    let tests_end = run.ran.units.iter().map(|unit| unit.ended).fold(0.0, f64::max);
    let rest = (seconds.total - seconds.environment - tests_end).max(0.0);
    let rest = if run.engine == Engine::Fork { Some(rest) } else { history.rest };
    let (percent, files) = (Some(totals.percent), percentages(rendered));
    History { percent, files, rest, ..history }.write(state)
}
