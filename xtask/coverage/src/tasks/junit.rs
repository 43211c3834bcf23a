//! `--junit`: where the file goes, and what it says.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use super::ending::Ending;
use crate::project::PytestConfig;
use crate::report::junit::{Suite, render};
use crate::report::summary::replace;

/// Writes the file that is asked for, and says where. Relative paths are those of the folder
/// where `--junit` was typed, or of the project whose addopts have `--junitxml`.
pub(super) fn write(ending: &Ending<'_>, started: Instant) -> Result<Option<Utf8PathBuf>> {
    let path = match &ending.invocation.typed.general.junit {
        Some(path) => Some(super::here()?.join(path)),
        None => {
            ending.prepared.settings.junit.as_ref().map(|it| ending.project.root.join(&it.value))
        }
    };
    let Some(path) = path else { return Ok(None) };
    let pytest = ending.prepared.facts.pytest.as_ref();
    let word = |of: fn(&PytestConfig) -> Option<&String>| pytest.and_then(of).map(String::as_str);
    let took = started.elapsed();
    let suite = Suite {
        name: word(|it| it.junit_suite_name.as_ref()).unwrap_or("pytest"),
        files: matches!(word(|it| it.junit_family.as_ref()), Some("xunit1" | "legacy")),
        began: SystemTime::now() - took,
        seconds: took.as_secs_f64(),
        properties: properties(ending),
        cases: ending.ran.ledger.cases(),
    };
    replace(&path, &render(&suite)?)
        .with_context(|| format!("failed to write the JUnit file to `{path}`"))?;
    Ok(Some(path))
}

/// What a reader cannot see in the tests that are there.
fn properties(ending: &Ending<'_>) -> Vec<(&'static str, String)> {
    let ran = ending.ran;
    let mut properties = Vec::new();
    if ran.aborted {
        properties.push(("stopped", "too many failures".to_owned()));
    }
    if let Some(signal) = ran.interrupted {
        properties.push(("stopped", format!("signal {signal}")));
    }
    let not_run = ran.ledger.tally().not_run;
    if not_run > 0 {
        properties.push(("not-run", not_run.to_string()));
    }
    properties
}
