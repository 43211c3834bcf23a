//! What coverage is asked to do with the data of a project, and what there is to combine.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::engine::{Job, Ran};
use crate::layout::RunFolder;
use crate::machine::Machine;
use crate::model::ReportKind;
use crate::prepare::Prepared;
use crate::project::{Project, State, packages};
use crate::report::coverage::{Config, Data, Hidden, Report, Reporter, Request};
use crate::settings::{Origin, Settings};
use crate::shard::combine::{self, Checked};

/// What there is to combine of a run, and what is wrong with it.
pub(crate) fn check_parts(job: &Job, ran: &Ran) -> Result<Checked> {
    let mut checked = combine::check(&ran.expected, &data_files(&job.folder.parts())?);
    checked.problems.extend(ran.problems.iter().cloned());
    Ok(checked)
}

/// Who combines and reports on this project.
pub(crate) fn reporter(project: &Project, prepared: &Prepared) -> Reporter {
    let Prepared { settings, interpreter, .. } = prepared;
    Reporter {
        python: interpreter.executable.clone(),
        root: project.root.clone(),
        config: config(settings),
        source: Some(settings.sources.value.clone()).filter(|source| !source.is_empty()),
        options: [].into(),
        hidden: hidden(project, prepared),
    }
}

/// Without a source coverage walks no folder, and finds nothing there.
fn hidden(project: &Project, prepared: &Prepared) -> Hidden {
    let Prepared { settings, facts, private, .. } = prepared;
    let configured = facts.coverage.iter().flat_map(|coverage| &coverage.source);
    let sources: Vec<String> = match settings.sources.value.as_slice() {
        [] => configured.cloned().collect(),
        sources => sources.to_vec(),
    };
    if sources.is_empty() {
        return Hidden::default();
    }
    let around = |folder: &&Utf8PathBuf| project.root.starts_with(folder);
    let folders = private.iter().chain(&facts.prefixes).filter(|folder| !around(folder));
    let mut folders: Vec<Utf8PathBuf> = folders.cloned().collect();
    if settings.sources.origin == Origin::Layout {
        // Tests are no source that anybody would choose.
        folders.extend(packages::tests(&project.root, &facts.packages_here));
    }
    Hidden { folders, sources }
}

/// All files of the source, where we have chosen it.
fn guessed(project: &Project, prepared: &Prepared) -> Vec<Utf8PathBuf> {
    match prepared.settings.sources.origin {
        Origin::Layout => packages::files(&project.root, &prepared.facts.packages_here),
        _ => Vec::new(),
    }
}

/// What coverage is asked to do with data of this project.
pub(crate) fn request(
    project: &Project,
    prepared: &Prepared,
    data: Data,
    reports: Vec<Report>,
) -> Request {
    let settings = &prepared.settings;
    Request {
        reporter: reporter(project, prepared),
        data,
        guessed: guessed(project, prepared),
        lines_of: Vec::new(),
        analyses: false,
        reports,
        xml_top: None,
        fail_under: settings.fail_under.as_ref().map(|threshold| threshold.value),
        processes: processes(settings),
    }
}

/// The reports asked for: where the configuration puts them, or under the same names in a
/// folder of ours.
pub(crate) fn reports(settings: &Settings, aside: Option<&Utf8Path>) -> Vec<Report> {
    let name = |kind| match kind {
        ReportKind::Term => None,
        ReportKind::Html => Some("htmlcov"),
        ReportKind::Xml => Some("coverage.xml"),
        ReportKind::Json => Some("coverage.json"),
        ReportKind::Lcov => Some("coverage.lcov"),
        ReportKind::Markdown => Some("coverage.md"),
    };
    let path = |kind| Some(aside?.join(name(kind)?));
    settings.reports.value.iter().map(|&kind| Report { kind, path: path(kind) }).collect()
}

/// The folder for the results of partial runs, so that those of the last whole one stay.
pub(crate) fn partial_folder(state: &State) -> Result<Utf8PathBuf> {
    let folder = state.names.partial();
    state.create(&folder)?;
    Ok(folder)
}

/// Where coverage's settings come from.
fn config(settings: &Settings) -> Config {
    match &settings.cov_config {
        Some(file) => Config::File(file.value.clone().into()),
        None => Config::Search,
    }
}

/// How many processes may make reports: no more than ran tests, or than there are cores. More
/// than four gain little, and each copies much of what has been analysed.
pub(crate) fn processes(settings: &Settings) -> usize {
    let slots = settings.all_workers() as usize;
    slots.min(Machine::here().cores).min(4)
}

/// Every data file in the folders of the splits, in order: `split-03/data.HOST.PID.RANDOM` of
/// the stock engine, `data/split-003.coverage` of the host.
fn data_files(parts: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    for folder in entries(parts)? {
        let is_data =
            |file: &Utf8PathBuf| file.file_name().is_some_and(RunFolder::is_data) && file.is_file();
        files.extend(entries(&folder)?.into_iter().filter(is_data));
    }
    Ok(files)
}

fn entries(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = folder.read_dir_utf8().with_context(|| format!("failed to read `{folder}`"))?;
    let mut paths: Vec<Utf8PathBuf> =
        read.flatten().map(|entry| entry.path().to_path_buf()).collect();
    paths.sort();
    Ok(paths)
}
