//! `--junit`: where the file goes, and what it says.

use std::time::SystemTime;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::value::Finished;
use crate::files;
use crate::project::PytestConfig;
use crate::report::junit::{Suite, Within, element, render};

/// Writes the file that is asked for, and says where. Relative paths are those of the folder
/// where `--junit` was typed, or of the project whose addopts have `--junitxml`.
pub(super) fn write(run: &Finished<'_>) -> Result<Option<Utf8PathBuf>> {
    let typed = run.invocation.typed.general.junit.as_ref();
    let typed = typed.filter(|_| run.invocation.joint.is_none());
    let configured = run.prepared.settings.junit.as_ref();
    let path = match typed {
        Some(path) => Some(run.invocation.here.join(path)),
        None => configured.map(|it| run.project.root.join(&it.value)),
    };
    let Some(path) = path else { return Ok(None) };
    files::write_output(&path, &render(&suite(run, None))?)
        .with_context(|| format!("failed to write the JUnit file to `{path}`"))?;
    Ok(Some(path))
}

/// The part of a project in the file of several, where one was typed.
pub(super) fn part(
    run: &Finished<'_>,
    project: &str,
    rootdir: &Utf8Path,
) -> Result<Option<String>> {
    let asked = run.invocation.typed.general.junit.as_ref();
    let within = Within { project, rootdir: rootdir.as_str() };
    asked.map(|_| element(&suite(run, Some(within)))).transpose()
}

fn suite<'a>(run: &Finished<'a>, within: Option<Within<'a>>) -> Suite<'a> {
    let pytest = run.prepared.facts.pytest.as_ref();
    let word = |of: fn(&PytestConfig) -> Option<&String>| pytest.and_then(of).map(String::as_str);
    let took = run.started.elapsed();
    Suite {
        within,
        name: word(|it| it.junit_suite_name.as_ref()).unwrap_or("pytest"),
        files: matches!(word(|it| it.junit_family.as_ref()), Some("xunit1" | "legacy")),
        began: SystemTime::now() - took,
        seconds: took.as_secs_f64(),
        properties: properties(run),
        cases: run.ran.ledger.cases(),
    }
}

/// What a reader cannot see in the tests that are there.
fn properties(run: &Finished<'_>) -> Vec<(&'static str, String)> {
    let ran = run.ran;
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
