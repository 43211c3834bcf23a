//! What the stock engine needs besides: plugins, and words that take back what is in its way.

use anyhow::Result;

use super::facts;
use super::prepared::Prepared;
use crate::exit;
use crate::invocation::Invocation;
use crate::project::{Project, Steps, python};
use crate::settings::Origin;

/// Installs, or asks for, the plugins that the stock engine needs. True where something is new.
pub(crate) fn plugins(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &mut Prepared,
) -> Result<()> {
    let mut wanted = Vec::new();
    let settings = &mut prepared.settings;
    if settings.splits.value > 1 {
        if settings.plugins.blocks("pytest-split") {
            let why = "`-p no:pytest-split` switches off what cuts the suite for the stock engine; \
                       use `--splits 1`";
            return Err(exit::usage(why).into());
        }
        wanted.push("pytest-split");
    }
    if settings.workers_per_split.value > 1 && settings.plugins.blocks("xdist") {
        settings.workers_per_split.value = 1;
        let note = "`-p no:xdist` switches off what gives a split of the stock engine its workers: \
                    each has one process";
        settings.notices.push(note.to_owned());
    }
    if prepared.settings.workers_per_split.value > 1 {
        wanted.push("pytest-xdist");
    }
    let doing = invocation.screen.doing("Looking for plugins");
    let announce = |what: &str| doing.step(what);
    let steps = Steps::new(&announce)?;
    let Prepared { interpreter, facts, state, .. } = &*prepared;
    if python::ensure_packages(&steps, interpreter, project, &facts.packages, &wanted)? {
        let typed = facts::with_words_of_files(project, &invocation.typed.pytest_args);
        (prepared.facts, _) = facts::read(&steps, interpreter, project, &typed, state)?;
    }
    Ok(())
}

/// What takes back those options of addopts that would get in the way of the stock engine.
pub(crate) fn args(prepared: &Prepared) -> Vec<String> {
    let Prepared { settings, facts, .. } = prepared;
    let plugins = &settings.plugins;
    let mut args = Vec::new();
    // What is loaded already must not be loaded again under another name.
    let xdist = prepared.has_xdist() && !plugins.loads("xdist", "xdist.plugin");
    let split = settings.splits.value > 1 && !plugins.loads("pytest-split", "pytest_split.plugin");
    let missing = [(xdist, "xdist.plugin"), (split, "pytest_split.plugin")];
    for (_, plugin) in missing.into_iter().filter(|(is_missing, _)| *is_missing) {
        args.extend(["-p".to_owned(), plugin.to_owned()]);
    }
    let cov = plugins.loads("pytest_cov", "pytest_cov.plugin");
    if facts.packages.contains_key("pytest-cov") && cov {
        args.push("--no-cov".to_owned());
    }
    if settings.addopts.max_failures.is_some() {
        args.push("--maxfail=0".to_owned());
    }
    if let Some(dist) = settings.dist.as_ref().filter(|dist| dist.origin == Origin::CommandLine) {
        args.push(format!("--dist={}", dist.value));
    }
    if settings.junit.is_some() {
        args.push("--junitxml=".to_owned());
    }
    args
}
