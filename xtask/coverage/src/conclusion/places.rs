//! Where the results of a whole run go: where coverage's configuration puts them, and what cannot
//! be written there, as in a read-only checkout, into our own folder.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::request::reports;
use crate::files::is_writable;
use crate::model::ReportKind;
use crate::prepare::Prepared;
use crate::project::Project;
use crate::report::coverage::Report;

/// Places of results.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) data: Utf8PathBuf,
    /// The reports that were asked for.
    pub(crate) reports: Vec<Report>,
    /// What to say where these are not the usual places.
    pub(crate) note: Option<String>,
}

/// The places for a project, as far as they can be written.
pub(crate) fn of(project: &Project, prepared: &Prepared) -> Result<Places> {
    let aside = prepared.state.names.results();
    let usual = usual_data(project, prepared);
    let mut others = Vec::new();
    let data = match usual.parent().is_none_or(is_writable) {
        true => usual,
        false => {
            others.push(usual.clone());
            aside.join("coverage.data")
        }
    };
    let instead = reports(&prepared.settings, Some(&aside));
    let reports =
        instead.into_iter().map(|report| match configured(project, prepared, report.kind) {
            Some(path) if !can_be_written(&path, report.kind) => {
                others.push(path);
                report
            }
            _ => Report { path: None, ..report },
        });
    let reports = reports.collect();
    if others.is_empty() {
        return Ok(Places { data, reports, note: None });
    }
    prepared.state.create(&aside)?;
    let names: Vec<String> = others.iter().map(|path| format!("`{path}`")).collect();
    let note = format!("{} cannot be written; the results go to `{aside}`", names.join(", "));
    Ok(Places { data, reports, note: Some(note) })
}

fn usual_data(project: &Project, prepared: &Prepared) -> Utf8PathBuf {
    let configured = prepared.facts.coverage.as_ref().map(|it| it.data_file.clone());
    configured.unwrap_or_else(|| project.root.join(".coverage"))
}

/// Where the project's configuration puts a report; none where it is printed.
fn configured(project: &Project, prepared: &Prepared, kind: ReportKind) -> Option<Utf8PathBuf> {
    let coverage = prepared.facts.coverage.as_ref()?;
    Some(match kind {
        ReportKind::Term => return None,
        ReportKind::Html => coverage.html_dir.clone(),
        ReportKind::Xml => coverage.xml_output.clone(),
        ReportKind::Json => coverage.json_output.clone(),
        ReportKind::Lcov => coverage.lcov_output.clone(),
        // coverage itself has no file for it.
        ReportKind::Markdown => project.root.join("coverage.md"),
    })
}

/// Whether something can be put there. A file is replaced, which its folder must allow.
fn can_be_written(path: &Utf8Path, kind: ReportKind) -> bool {
    match path.parent() {
        Some(folder) if kind != ReportKind::Html => is_writable(folder),
        _ => is_writable(path),
    }
}
