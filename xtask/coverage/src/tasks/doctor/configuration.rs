//! What settings say that contradicts other settings, or what is installed.

use super::Level::{Error, Note, Warning};
use super::{Finding, Invocation, addopts};
use crate::history::History;
use crate::prepare;
use crate::project::{CoverageConfig, Facts, Interpreter, Project, PytestConfig, State};

pub(super) fn look(
    invocation: &Invocation<'_>,
    project: &Project,
    found: Option<&(Interpreter, Facts)>,
) -> Vec<Finding> {
    let Some((python, facts)) = found else { return Vec::new() };
    let install = |package: &str| python.adding(project, &[package]);
    let mut findings = settings(invocation, project, facts);
    if let Some(pytest) = &facts.pytest {
        findings.extend(ini_files(pytest));
        let is_there = |package: &str| facts.packages.contains_key(package);
        findings.extend(addopts::look(&pytest.addopts, is_there, install));
    }
    if let Some(coverage) = &facts.coverage {
        findings.extend(of_coverage(project, coverage, facts));
        findings.extend(without_greenlets(coverage, facts, install));
    }
    findings
}

/// What a run would say of its settings, or refuse.
fn settings(invocation: &Invocation<'_>, project: &Project, facts: &Facts) -> Vec<Finding> {
    let state = State::of(project, invocation.workspace);
    let history = History::read(&state);
    match prepare::read_settings(invocation, project, &[], facts, &history) {
        Err(error) => vec![Finding::new("settings", Error, format!("{error:#}"))],
        Ok(settings) => {
            let warnings = settings.warnings.iter().map(|it| (Warning, it));
            let notices = settings.notices.iter().map(|it| (Note, it));
            warnings.chain(notices).map(|(level, it)| Finding::new("settings", level, it)).collect()
        }
    }
}

fn ini_files(pytest: &PytestConfig) -> Option<Finding> {
    let other = pytest.shadowed_inifile.as_ref()?;
    let taken = pytest.inifile.as_ref().map_or("none", |file| file.as_str());
    let what = format!("pytest takes its settings from {taken}, with other paths from {other}");
    Some(Finding::new("ini-files", Warning, what).fix(format!("git rm {other}")))
}

/// Options in addopts that only a plugin knows, which is not there: pytest refuses to start.
fn of_coverage(project: &Project, coverage: &CoverageConfig, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |level, what: String| findings.push(Finding::new("coverage", level, what));
    for source in &coverage.source {
        let is_folder = project.root.join(source).exists();
        let is_package = !source.contains('/');
        let is_here = facts.packages_here.iter().any(|it| it.file_stem() == Some(source));
        if !is_folder && !is_package {
            add(Warning, format!("`source` names `{source}`, which is not there"));
        } else if !is_folder && !is_here && !facts.packages.contains_key(&source.replace('_', "-"))
        {
            let top = source.split('.').next().unwrap_or_default();
            let is_below = facts.packages_here.iter().any(|it| it.file_stem() == Some(top));
            if !is_below {
                add(Note, format!("`source` names `{source}`, no package that is seen here"));
            }
        }
    }
    if coverage.relative_files {
        let what = "`relative_files`: data has paths relative to the project; those of several \
                    projects cannot be told apart once they are combined by hand";
        add(Note, what.to_owned());
    }
    if !coverage.paths.is_empty() {
        let names = coverage.paths.join(", ");
        add(Note, format!("`[paths]` ({names}) renames files when data is combined"));
    }
    if coverage.parallel {
        let what = "`parallel`: coverage leaves a data file for each of its runs, to be combined; \
                    the tool leaves one, with everything in it";
        add(Note, what.to_owned());
    }
    for kind in coverage.concurrency.iter().filter(|it| GREENLETS.contains(&it.as_str())) {
        add(Note, format!("`concurrency = {kind}`: measured with coverage's slower Python tracer"));
    }
    let forks = coverage.concurrency.iter().any(|kind| kind == "multiprocessing");
    if !forks && !coverage.patch.iter().any(|patch| patch == "subprocess") {
        let what = "what tests start as processes of their own is not measured \
                    (`patch = [\"subprocess\"]` in coverage's `[run]` would)";
        add(Note, what.to_owned());
    }
    if !coverage.configurers.is_empty() && !coverage.changed.is_empty() {
        let (who, what) = (coverage.configurers.join(", "), coverage.changed.join(", "));
        add(Note, format!("the plugin {who} changes coverage's {what}"));
    }
    findings
}

const GREENLETS: [&str; 3] = ["gevent", "eventlet", "greenlet"];

/// coverage does not start without the module.
fn without_greenlets(
    coverage: &CoverageConfig,
    facts: &Facts,
    install: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let kinds = coverage.concurrency.iter().filter(|it| GREENLETS.contains(&it.as_str()));
    let missing = kinds.filter(|kind| !facts.packages.contains_key(*kind));
    missing
        .map(|kind| {
            let what = format!("`concurrency = {kind}`, and {kind} is not there");
            Finding::new("coverage", Error, what).fix(install(kind))
        })
        .collect()
}
