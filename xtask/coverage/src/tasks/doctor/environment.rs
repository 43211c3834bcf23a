//! The interpreter, its environment, the project's tool and its lock file.

use super::Level::{Error, Good, Note, Warning};
use super::{Finding, Invocation};
use crate::project::{Facts, Interpreter, Project, State, Steps, Tool};
use crate::project::{locks, probe, python, pythons};

/// What there is to say, and what the interpreter says of itself.
pub(super) fn look(
    invocation: &Invocation<'_>,
    project: &Project,
) -> (Vec<Finding>, Option<(Interpreter, Facts)>) {
    let quiet = |_: &str| {};
    match Steps::new(&quiet) {
        Ok(steps) => look_with(&steps, invocation, project),
        Err(error) => (vec![Finding::new("interpreter", Error, format!("{error:#}"))], None),
    }
}

fn look_with(
    steps: &Steps,
    invocation: &Invocation<'_>,
    project: &Project,
) -> (Vec<Finding>, Option<(Interpreter, Facts)>) {
    let state = State::of(project, invocation.workspace);
    let mut findings = vec![tool(steps, project)];
    let named = invocation.typed.general.chosen.python.as_deref();
    let found = match python::existing(steps, project, named, &state) {
        Ok(Some(found)) => found,
        Ok(None) => {
            findings.push(none_yet(steps, project));
            return (findings, None);
        }
        Err(error) => {
            findings.push(Finding::new("interpreter", Error, format!("{error:#}")));
            return (findings, None);
        }
    };
    findings.extend(found.passed_over.iter().map(|other| {
        let level = if other.is_notable { Warning } else { Note };
        Finding::new("environment", level, other.to_string())
    }));
    match probe::read(steps, &found, project, None, &probe::Typed::default()) {
        Ok(facts) => {
            findings.extend(judge(project, &found, &facts));
            let concerns = locks::concerns(steps, project, &found, &facts, &state);
            findings.extend(concerns.iter().map(|it| concern(it)));
            (findings, Some((found, facts)))
        }
        Err(error) => {
            findings.push(Finding::new("interpreter", Error, format!("{error:#}")));
            (findings, None)
        }
    }
}

/// The last words of a concern are the line that mends it, where there is one.
fn concern(line: &str) -> Finding {
    let split =
        line.rsplit_once("; `").and_then(|(what, fix)| Some((what, fix.strip_suffix('`')?)));
    match split {
        Some((what, fix)) => Finding::new("dependencies", Warning, what).fix(fix),
        None => Finding::new("dependencies", Warning, line),
    }
}

fn tool(steps: &Steps, project: &Project) -> Finding {
    let name = project.tool.name();
    if project.tool == Tool::Pip || python::has_tool(steps, project) {
        return Finding::new("tool", Good, format!("{name} manages its environment"));
    }
    let instead = match project.tool {
        Tool::Poetry => "one is installed for it",
        _ => "pip installs what is listed instead, not what is locked",
    };
    let what = format!("{name} manages its environment, and is not on PATH: {instead}");
    Finding::new("tool", Note, what).fix(format!("pipx install {name}"))
}

fn none_yet(steps: &Steps, project: &Project) -> Finding {
    match pythons::base(steps, project) {
        Ok(base) => {
            let what = format!("it has no environment yet; the first run makes one, with {base}");
            Finding::new("environment", Note, what).fix("cargo xtask setup")
        }
        Err(error) => {
            let there = pythons::words(steps);
            let what = format!("{error:#}; there are: {there}");
            Finding::new("interpreter", Error, what)
        }
    }
}

fn judge(project: &Project, python: &Interpreter, facts: &Facts) -> Vec<Finding> {
    let Facts { executable, implementation, .. } = facts;
    let what = format!("{implementation} {}, {executable} ({})", facts.python, python.origin);
    let mut findings = vec![Finding::new("interpreter", Good, what)];
    for (name, oldest) in [("pytest", [8, 0]), ("coverage", [7, 6])] {
        findings.push(match facts.packages.get(name) {
            None if python.owned => Finding::new("packages", Note, format!("{name} is not there"))
                .fix("cargo xtask setup"),
            None => Finding::new("packages", Error, format!("{name} is not there"))
                .fix(python.adding(project, &[name])),
            Some(version) if pythons::is_older(version, oldest) => {
                let [major, minor] = oldest;
                let what = format!(
                    "{name} {version} is older than {major}.{minor}: the stock engine runs the tests"
                );
                Finding::new("packages", Warning, what)
                    .fix(python.adding(project, &[&format!("{name}>={major}.{minor}")]))
            }
            Some(version) => Finding::new("packages", Good, format!("{name} {version}")),
        });
    }
    if implementation != "cpython" {
        let what = format!("{implementation} is no CPython: the stock engine runs the tests");
        findings.push(Finding::new("interpreter", Note, what));
    }
    findings.extend(hazards(facts));
    findings
}

/// Packages that start threads, patch Python or hold what forks would share, some as soon as they
/// are imported.
fn hazards(facts: &Facts) -> Option<Finding> {
    const KNOWN: [&str; 7] =
        ["gevent", "eventlet", "grpcio", "tensorflow", "jax", "ray", "pyspark"];
    let there: Vec<&str> =
        KNOWN.into_iter().filter(|name| facts.packages.contains_key(*name)).collect();
    (!there.is_empty()).then(|| {
        let what = format!(
            "{} may not survive forks if the suite uses it while it is collected; the run looks, \
             and takes the spawn engine then",
            there.join(", ")
        );
        Finding::new("forks", Note, what).fix("cargo xtask coverage -v")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_mends_it_is_the_fix() {
        let found = concern("a lists `b`, not there in /v; `cd /a && uv sync`");
        assert_eq!(found.what, "a lists `b`, not there in /v");
        assert_eq!(found.fix.as_deref(), Some("cd /a && uv sync"));
        assert_eq!(concern("a asks for Python `>=3.12`; /v is 3.11.7").fix, None);
    }
}
