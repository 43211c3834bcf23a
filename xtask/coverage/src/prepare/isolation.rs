//! Which tests share a process: as asked, else as long as earlier runs make it worth.

use super::prepared::Prepared;
use crate::cli::{Engine, Isolate};
use crate::history::Means;
use crate::model::format::seconds;
use crate::split::{Because, Isolation, Observation, isolation};

/// What the fork engine is to do with so many slots.
pub(crate) fn choose(prepared: &Prepared, slots: usize) -> Isolation {
    match prepared.settings.isolate.value {
        Isolate::File => Isolation::File,
        Isolate::Worker => Isolation::Worker,
        Isolate::Auto => isolation(&prepared.history.processes, slots).0,
    }
}

/// The same for the banner; nothing where short rows are as good as long ones.
pub(crate) fn words(prepared: &Prepared, engine: Engine) -> String {
    if engine != Engine::Fork {
        return String::new();
    }
    let slots = prepared.slots();
    let (_, because) = isolation(&prepared.history.processes, slots);
    let what = match choose(prepared, slots) {
        Isolation::File => "each test file".to_owned(),
        Isolation::Worker => "each worker".to_owned(),
        Isolation::Row(_) if matches!(because, Because::Seen(a, b) if a == b) => {
            return String::new();
        }
        Isolation::Row(length) => format!("about {} of tests", seconds(length)),
    };
    let why = match prepared.settings.isolate.value {
        Isolate::Auto => why(because).map(|why| format!(" ({why})")).unwrap_or_default(),
        Isolate::File | Isolate::Worker => String::new(),
    };
    format!(", a process for {what}{why}")
}

fn why(because: Because) -> Option<String> {
    match because {
        Because::Trial => None,
        Because::Seen(chosen, shortest) => (chosen != shortest).then(|| {
            let took = |it: Observation| (seconds(it.cpu), it.processes);
            let ((less, few), (more, many)) = (took(chosen), took(shortest));
            format!("{many} processes took {more} of CPU, {few} {less}")
        }),
        Because::Start(last) => {
            let fixtures = last.fixtures > last.starting / 2.0;
            let most = if fixtures { ", most of it session fixtures" } else { "" };
            Some(format!("a new one costs {}{most}", seconds(last.starting)))
        }
    }
}

/// How the tests of a project are run.
pub(crate) fn means(prepared: &Prepared) -> Means {
    let (settings, slots) = (&prepared.settings, prepared.slots());
    let (splits, narrowed) = (settings.splits.value, settings.narrowed);
    Means { splits, narrowed, slots, isolation: choose(prepared, slots) }
}
