//! What settings say that contradicts other settings, or what is installed.

use super::Level::{Error, Note, Warning};
use super::{Finding, Invocation};
use crate::history::History;
use crate::prepare;
use crate::project::{CoverageConfig, Facts, Project, PytestConfig, State};

pub(super) fn look(
    invocation: &Invocation<'_>,
    project: &Project,
    facts: Option<&Facts>,
) -> Vec<Finding> {
    let Some(facts) = facts else { return Vec::new() };
    let mut findings = settings(invocation, project, facts);
    if let Some(pytest) = &facts.pytest {
        findings.extend(ini_files(pytest));
        findings.extend(options_without_plugin(pytest, facts));
    }
    if let Some(coverage) = &facts.coverage {
        findings.extend(of_coverage(project, coverage, facts));
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
fn options_without_plugin(pytest: &PytestConfig, facts: &Facts) -> Vec<Finding> {
    const KNOWN: [(&str, &str); 12] = [
        ("--asyncio-mode", "pytest-asyncio"),
        ("--benchmark-", "pytest-benchmark"),
        ("--cov", "pytest-cov"),
        ("--dist", "pytest-xdist"),
        ("--ds", "pytest-django"),
        ("--reruns", "pytest-rerunfailures"),
        ("--reuse-db", "pytest-django"),
        ("--randomly-", "pytest-randomly"),
        ("--snapshot-", "syrupy"),
        ("--splits", "pytest-split"),
        ("--timeout", "pytest-timeout"),
        ("-n", "pytest-xdist"),
    ];
    let asks = |option: &str| {
        pytest.addopts.iter().any(|word| {
            let rest = word.strip_prefix(option);
            let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
            rest.is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with(['=', '-'])
                    || option.ends_with('-')
                    || (option == "-n" && (is_number(rest) || rest == "auto"))
            })
        })
    };
    // What the tool reads itself it takes out of pytest's way.
    let is_ours = |option: &str| ["--cov", "--dist", "-n"].contains(&option);
    let missing = KNOWN.iter().filter(|(_, plugin)| !facts.packages.contains_key(*plugin));
    missing
        .filter(|(option, _)| asks(option))
        .map(|(option, plugin)| {
            let option = option.trim_end_matches('-');
            let what = format!("addopts have `{option}`, and {plugin} is not there");
            let level = if is_ours(option) { Warning } else { Error };
            let fix = format!("{} -m pip install {plugin}", facts.executable);
            Finding::new("plugins", level, what).fix(fix)
        })
        .collect()
}

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
    let greenlets = ["gevent", "eventlet", "greenlet"];
    for kind in coverage.concurrency.iter().filter(|it| greenlets.contains(&it.as_str())) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn facts(addopts: &[&str], packages: &[&str]) -> Facts {
        let packages: BTreeMap<&str, &str> = packages.iter().map(|name| (*name, "1")).collect();
        let facts = serde_json::json!({
            "executable": "/v/bin/python",
            "python": "3.12.1",
            "implementation": "cpython",
            "packages": packages,
            "pytest": {
                "rootdir": "/p",
                "inifile": null,
                "addopts": addopts,
                "testpaths": [],
                "has_timeout": false,
                "shadowed_inifile": null,
            },
            "coverage": null,
        });
        serde_json::from_value(facts).expect("facts")
    }

    #[test]
    fn options_that_no_plugin_knows() {
        let found = |addopts: &[&str], packages: &[&str]| {
            let facts = facts(addopts, packages);
            let pytest = facts.pytest.clone().expect("pytest");
            let found = options_without_plugin(&pytest, &facts);
            found.into_iter().map(|it| (it.level, it.what)).collect::<Vec<_>>()
        };
        let what = |option: &str, plugin: &str| {
            format!("addopts have `{option}`, and {plugin} is not there")
        };
        assert_eq!(
            found(&["--timeout=60", "-ra", "--cov-report=term", "-n4"], &[]),
            [
                (Warning, what("--cov", "pytest-cov")),
                (Error, what("--timeout", "pytest-timeout")),
                (Warning, what("-n", "pytest-xdist")),
            ]
        );
        assert!(found(&["--timeout=60"], &["pytest-timeout"]).is_empty());
        assert!(found(&["--no-header", "--dstx", "--covers"], &[]).is_empty());
    }
}
