//! Which engine runs the tests: the one that was asked for, else the fastest that works here.

use anyhow::Result;

use super::prepared::Prepared;
use crate::cli::{Collect, Engine, Isolate};
use crate::exit;
use crate::history::STARTING;
use crate::project::Facts;
use crate::screen::Screen;
use crate::split::order::Known;

/// A collection that takes longer is dear, seconds; so many tests that need fresh processes are few.
const DEAR: f64 = 5.0;
const FEW: usize = 20;

/// The engine, never [`Engine::Auto`]. Says why where it is not the fork engine.
pub(crate) fn choose(screen: &Screen, prepared: &Prepared) -> Result<Engine> {
    let against_forks =
        (!cfg!(target_os = "linux")).then(|| "forks are safe on Linux only".to_owned());
    let against_hosts = against_hosts(&prepared.facts, prepared.measures);
    let asked = prepared.settings.engine.value;
    let parts = prepared.settings.collect.value == Collect::Sharded;
    if parts && matches!(asked, Engine::Stock | Engine::Spawn) {
        let name = asked.name();
        let why = format!("`--collect sharded` needs forks, which the {name} engine does without");
        return Err(exit::usage(why).into());
    }
    let apart = prepared.settings.isolate.value == Isolate::File;
    if apart && matches!(asked, Engine::Stock | Engine::Spawn) {
        let name = asked.name();
        let why = format!("`--isolate file` needs forks, which the {name} engine does without");
        return Err(exit::usage(why).into());
    }
    let collection = &prepared.history.collection;
    let only_fresh = collection.only_fresh.iter().map(|id| format!("`{id}` fails in forks only"));
    // Where collecting takes long, to do it for each worker costs more than to confirm a few.
    let is_dear = collection.seconds.is_some_and(|seconds| seconds > DEAR);
    let only_fresh = only_fresh.filter(|_| !is_dear || collection.only_fresh.len() > FEW);
    let hazards: Vec<String> = collection.hazards.iter().cloned().chain(only_fresh).collect();
    match (asked, against_hosts, against_forks) {
        (Engine::Stock, ..) => stock(prepared),
        (Engine::Spawn, None, _) => Ok(Engine::Spawn),
        (Engine::Auto, None, None) if !(parts || apart || hazards.is_empty()) => {
            let found = hazards.join("; ");
            let why = format!("forks were not safe when last looked at ({found})");
            screen.note(&format!("note: the spawn engine runs the tests: {why}"));
            Ok(Engine::Spawn)
        }
        (Engine::Auto | Engine::Fork, None, None) => Ok(Engine::Fork),
        (Engine::Fork | Engine::Spawn, Some(why), _) | (Engine::Fork, None, Some(why)) => {
            let name = asked.name();
            Err(exit::usage(format!("the {name} engine cannot run here: {why}")).into())
        }
        (Engine::Auto, Some(why), _) => {
            screen.note(&format!("note: the stock engine runs the tests: {why}"));
            stock(prepared)
        }
        (Engine::Auto, None, Some(why)) => {
            screen.note(&format!("note: the spawn engine runs the tests: {why}"));
            Ok(Engine::Spawn)
        }
    }
}

/// Seconds of collecting from which on parts are faster.
const WORTH_IT: f64 = 3.0;

/// What is known of hooks that order tests, and from how many seconds of collecting on that is
/// of use; none where the suite will never be collected in parts.
pub(crate) fn order(prepared: &Prepared) -> Option<(Known, f64)> {
    let known = prepared.history.collection.order.clone();
    // Starting comes on top of what the host measures.
    let after = if collectors(prepared, prepared.slots()) > 0 { 0.0 } else { WORTH_IT - STARTING };
    (prepared.settings.collect.value != Collect::Full).then_some((known, after))
}

/// How many processes collect the suite, with the fork engine and so many workers; 0 where one
/// does it all.
///
/// Parts import what test files share once each, and pytest has to look for the files before it
/// can deal them out: under some seconds that costs more than it saves.
pub(crate) fn collectors(prepared: &Prepared, slots: usize) -> u32 {
    let parts = u32::try_from(slots.clamp(2, 8)).unwrap_or(8);
    match prepared.settings.collect.value {
        Collect::Full => 0,
        Collect::Sharded => parts,
        Collect::Auto if !would_gain(prepared, slots) || against_parts(prepared).is_some() => 0,
        Collect::Auto => parts,
    }
}

fn would_gain(prepared: &Prepared, slots: usize) -> bool {
    let seconds = prepared.history.collection.seconds;
    slots >= 2 && seconds.is_some_and(|seconds| seconds >= WORTH_IT)
}

fn against_parts(prepared: &Prepared) -> Option<&str> {
    prepared.history.collection.unshardable.as_deref()
}

/// Why one process collects the suite, although several would be faster and none forbade it.
pub(crate) fn why_in_one_process(prepared: &Prepared, slots: usize) -> Option<&str> {
    let decides = prepared.settings.collect.value == Collect::Auto && would_gain(prepared, slots);
    against_parts(prepared).filter(|_| decides)
}

/// The stock engine, unless it would measure other things than it was asked to.
pub(crate) fn stock(prepared: &Prepared) -> Result<Engine> {
    if prepared.settings.retries.value > 0 {
        let why = "the stock engine does not take `--retries`; pytest-rerunfailures does the same \
                   there: `-- --reruns N`";
        return Err(exit::usage(why.to_owned()).into());
    }
    let refused = prepared.settings.branch.as_ref().is_some_and(|branch| !branch.value);
    let coverage = prepared.facts.coverage.as_ref();
    match coverage.filter(|coverage| refused && coverage.branch) {
        Some(coverage) => {
            let file = coverage.config_file.as_ref().map_or("the configuration", |it| it.as_str());
            let by_plugin = coverage.changed.iter().any(|name| name == "branch");
            let (who, next) = match by_plugin {
                true => (coverage.configurers.join(", "), ""),
                false => (file.to_owned(), "remove `branch = true` there, or "),
            };
            let why = format!(
                "`coverage run`, which the stock engine uses, cannot leave out the branches that \
                 `{who}` asks for; {next}use `--engine fork`"
            );
            Err(exit::usage(why).into())
        }
        None => Ok(Engine::Stock),
    }
}

/// Why our hosts cannot serve, as the end of a sentence.
fn against_hosts(facts: &Facts, measures: bool) -> Option<String> {
    if facts.implementation != "cpython" {
        return Some(format!("the interpreter is {}, not CPython", facts.implementation));
    }
    let too_old = |name: &str, least: (u32, u32)| {
        let version = facts.packages.get(name)?;
        let found = version_pair(version)?;
        let (major, minor) = least;
        (found < least).then(|| format!("it needs {name} {major}.{minor}, and {version} is here"))
    };
    let coverage = || too_old("coverage", (7, 6)).filter(|_| measures);
    too_old("pytest", (8, 0)).or_else(coverage)
}

/// Major and minor number of a version.
fn version_pair(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_pair("8.0.2"), Some((8, 0)));
        assert_eq!(version_pair("7.17.3"), Some((7, 17)));
        assert_eq!(version_pair("9"), Some((9, 0)));
        assert_eq!(version_pair("9.0rc1"), Some((9, 0)));
        assert_eq!(version_pair("main"), None);
    }
}
