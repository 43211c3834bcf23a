//! `cargo xtask doctor`: what may go wrong, found before it does, each with its fix as a line to
//! paste. Nothing is changed, no test is run or imported.

mod addopts;
mod configuration;
mod environment;
mod files;
mod machine;
mod names;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::model::format::count;
use crate::project::Project;
use crate::screen::Screen;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// It is as it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It may go wrong, or makes a difference that nobody may have meant.
    Warning,
    /// Tests will not run.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What kind of check it comes from, for programs: `lock`, `disk`, …
    check: &'static str,
    level: Level,
    what: String,
    /// What to do, as a command where there is one.
    fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, level: Level, what: impl Into<String>) -> Finding {
        Finding { check, level, what: what.into(), fix: None }
    }

    fn fix(self, fix: impl Into<String>) -> Finding {
        Finding { fix: Some(fix.into()), ..self }
    }
}

/// The findings about one project.
#[derive(Debug, Serialize)]
struct Examined {
    name: String,
    root: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Goes up when a field changes its meaning.
    schema: u32,
    machine: Vec<Finding>,
    projects: Vec<Examined>,
}

/// Looks at the machine and at each of these projects.
pub(super) fn run(invocation: &Invocation<'_>, projects: &[Project], json: bool) -> Result<Exit> {
    let screen = invocation.screen;
    let doing = screen.doing("Looking");
    let machine = machine::look(invocation);
    let projects = projects.iter().map(|project| examine(invocation, project)).collect();
    drop(doing);
    let report = Report { schema: 1, machine, projects };
    match json {
        true => {
            let text = serde_json::to_string_pretty(&report).context("failed to write JSON")?;
            screen.say(&text);
        }
        false => say(screen, &report),
    }
    let all = report.projects.iter().flat_map(|it| &it.findings).chain(&report.machine);
    let worst = all.map(|finding| finding.level).max();
    Ok(if worst == Some(Level::Error) { Exit::Usage } else { Exit::Passed })
}

fn examine(invocation: &Invocation<'_>, project: &Project) -> Examined {
    let (mut findings, found) = environment::look(invocation, project);
    findings.extend(configuration::look(invocation, project, found.as_ref()));
    let facts = found.as_ref().map(|(_, facts)| facts);
    findings.extend(names::look(project, facts));
    findings.extend(files::look(project, facts));
    Examined { name: project.name.clone(), root: project.root.to_string(), findings }
}

fn say(screen: &Screen, report: &Report) {
    say_findings(screen, "Machine", &report.machine);
    for Examined { name, root, findings } in &report.projects {
        say_findings(screen, &format!("{name} ({root})"), findings);
    }
    let all = || report.projects.iter().flat_map(|it| &it.findings).chain(&report.machine);
    let number = |level| all().filter(|finding| finding.level == level).count() as u64;
    let (errors, warnings) = (number(Level::Error), number(Level::Warning));
    let words = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    screen.say(&match (errors, warnings) {
        (0, 0) => screen.paint().green("✓ nothing found that may go wrong"),
        (0, _) => screen.paint().yellow(&format!("! {words}")),
        _ => screen.paint().red(&format!("✗ {words}")),
    });
}

/// What is good is one line less with `-q`, and so is what is only worth knowing.
fn say_findings(screen: &Screen, title: &str, findings: &[Finding]) {
    screen.say(&screen.paint().bold(title));
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    for Finding { level, what, fix, .. } in findings {
        if screen.is_quiet() && *level < Level::Warning {
            continue;
        }
        let paint = screen.paint();
        let mark = match level {
            Level::Good => paint.green("✓"),
            Level::Note => paint.dim("·"),
            Level::Warning => paint.yellow("!"),
            Level::Error => paint.red("✗"),
        };
        screen.say(&format!("  {mark} {what}"));
        if let Some(fix) = fix {
            screen.say(&format!("      {fix}"));
        }
    }
}
