//! Which engine runs the tests: the one that was asked for, else the fastest that works here.

use anyhow::Result;

use super::prepare::Prepared;
use crate::cli::Engine;
use crate::exit;
use crate::project::Facts;
use crate::screen::Screen;

/// The engine, never [`Engine::Auto`]. Says why where it is not the fork engine.
pub(super) fn engine(screen: &Screen, prepared: &Prepared) -> Result<Engine> {
    let against = against_fork(&prepared.facts, prepared.measures);
    match (prepared.settings.engine.value, against) {
        (Engine::Stock, _) => Ok(Engine::Stock),
        (Engine::Auto | Engine::Fork, None) => Ok(Engine::Fork),
        (Engine::Fork, Some(why)) => {
            Err(exit::usage(format!("the fork engine cannot run here: {why}")).into())
        }
        (Engine::Auto, Some(why)) => {
            screen.note(&format!("note: the stock engine runs the tests: {why}"));
            Ok(Engine::Stock)
        }
    }
}

/// Why the fork engine cannot serve, as the end of a sentence.
fn against_fork(facts: &Facts, measures: bool) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("forks are safe on Linux only".to_owned());
    }
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
