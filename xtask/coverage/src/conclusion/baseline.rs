//! The baseline, `.coverage-baseline.json`: what coverage was, for `--no-decrease`.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use crate::project::Project;
use crate::report::coverage::Rendered;
use crate::report::thresholds::Baseline;
use crate::settings::Settings;
use crate::{exit, files};

/// Writes the new baseline, where that is asked for, of a run that is whole and in which no test
/// failed; what there is to say of that.
pub(crate) fn update(
    project: &Project,
    settings: &Settings,
    sound: Option<&Rendered>,
) -> Result<Option<String>> {
    if !settings.goals.update_baseline.value {
        return Ok(None);
    }
    let file = file(project);
    let Some(baseline) = sound.and_then(Baseline::of) else {
        let why = "only a complete run in which no test failed writes it";
        return Ok(Some(format!("Baseline not written: {why}")));
    };
    let text = serde_json::to_string_pretty(&baseline).context("failed to write the baseline")?;
    files::write_output(&file, &(text + "\n"))
        .with_context(|| format!("failed to write the baseline to `{file}`"))?;
    Ok(Some(format!("Baseline: {file}")))
}

/// What coverage was.
pub(super) fn read(project: &Project) -> Result<Baseline> {
    let file = &file(project);
    let next = "write it with `--update-baseline` and commit it";
    let text = match files::read_text(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(exit::usage(format!("`--no-decrease` needs `{file}`; {next}")).into());
        }
        Err(error) => {
            let what = exit::usage(format!("failed to read the baseline in `{file}`"));
            return Err(anyhow::Error::from(error).context(what));
        }
    };
    let baseline: Baseline = serde_json::from_str(&text)
        .with_context(|| exit::usage(format!("the baseline in `{file}` is broken; {next}")))?;
    if baseline.schema != Baseline::SCHEMA {
        let what =
            format!("the baseline in `{file}` has schema {}, not 1; {next}", baseline.schema);
        return Err(exit::usage(what).into());
    }
    Ok(baseline)
}

fn file(project: &Project) -> Utf8PathBuf {
    project.root.join(".coverage-baseline.json")
}
