//! What to do about modules that tests import and that are not there: what was not installed,
//! and which environments were not used.

use std::collections::BTreeSet;

use crate::engine::Ran;
use crate::prepare::Prepared;
use crate::project::{Interpreter, Project, unread};

/// Lines to say under the failures of a run, where modules were missing.
pub(crate) fn hints(project: &Project, prepared: &Prepared, ran: &Ran) -> Vec<String> {
    let failures = ran.ledger.failures().iter().map(|failure| failure.text.as_str());
    let texts = failures.chain(ran.refused.iter().map(|refusal| refusal.text.as_str()));
    let modules: BTreeSet<&str> = texts.flat_map(modules).collect();
    words(project, &prepared.interpreter, &modules)
}

fn words(project: &Project, python: &Interpreter, modules: &BTreeSet<&str>) -> Vec<String> {
    if modules.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = modules.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if modules.len() > 5 { ", …" } else { "" };
    let (names, place) = (names.join(", "), &python.executable);
    let first = format!("hint: no module {names}{more} in {place} ({})", python.origin);
    let others = python.passed_over.iter().map(ToString::to_string);
    let lists = unread::lists(project, python);
    [first].into_iter().chain(others.chain(lists).map(|line| format!("  {line}"))).collect()
}

/// The modules that Python says it has not found.
fn modules(text: &str) -> impl Iterator<Item = &str> {
    const SAYS: &str = "ModuleNotFoundError: No module named '";
    text.split(SAYS).skip(1).filter_map(|rest| rest.split('\'').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_those_that_python_names() {
        let text = "E   ModuleNotFoundError: No module named 'yaml'\nx\n\
                    E   ModuleNotFoundError: No module named 'a.b'; 'a' is not a package";
        assert_eq!(modules(text).collect::<Vec<_>>(), ["yaml", "a.b"]);
        assert_eq!(modules("ImportError: cannot import name 'x'").count(), 0);
    }
}
