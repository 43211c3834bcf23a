//! What comes before any test: the interpreter, what the configuration says, the settings, the
//! engine, and the job that it gets.

pub(crate) mod banner;
pub(crate) mod engine;
mod facts;
pub(crate) mod isolation;
pub(crate) mod job;
mod prepared;
pub(crate) mod rerun;
pub(crate) mod shard;
pub(crate) mod stock;

use std::time::Instant;

use anyhow::Result;
use camino::Utf8PathBuf;

pub(crate) use self::prepared::Prepared;
use crate::cli::Core;
use crate::engine::seed::{self, HashSeed};
use crate::env;
use crate::exit;
use crate::history::History;
use crate::invocation::Invocation;
use crate::machine::Machine;
use crate::project::{Facts, Lock, NativeCore, Project, State, Steps, locks, native_core, python};
use crate::settings::{Configured, Inputs, Settings, test_folder};

/// Finds out all there is to know before tests run.
pub(crate) fn prepare(invocation: &Invocation<'_>, project: &Project) -> Result<Prepared> {
    let started = Instant::now();
    let screen = invocation.screen;
    let measures = invocation.typed.task.measures();
    let state = State::of(project, invocation.workspace);
    let target = invocation.workspace.map(|workspace| workspace.target.clone());
    let private = [state.dir().to_owned()].into_iter().chain(target).collect();
    let Locked { part, lock, finding } = lock_state(invocation, &state)?;
    let doing = screen.doing("Preparing the environment");
    let announce = |what: &str| doing.step(what);
    let steps = Steps::new(&announce)?;
    let named = invocation.typed.general.chosen.python.as_deref();
    let interpreter = python::find(&steps, project, named, &state)?;
    let typed = facts::with_words_of_files(project, &invocation.typed.pytest_args);
    let (mut facts, mut words) = facts::read(&steps, &interpreter, project, &typed, &state)?;
    let needed = if measures { &["pytest", "coverage"][..] } else { &["pytest"] };
    if python::ensure_packages(&steps, &interpreter, project, &facts.packages, needed)? {
        (facts, words) = facts::read(&steps, &interpreter, project, &typed, &state)?;
    }
    for concern in locks::concerns(&steps, project, &interpreter, &facts, &state) {
        screen.warn(&concern);
    }
    drop(finding);
    let state = part.unwrap_or(state);
    let history = History::read(&state);
    let settings = read_settings(invocation, project, &words, &facts, &history)?;
    let core = match measures {
        true => native_core(&settings, &facts, &state),
        false => Err("nothing is measured".to_owned()),
    };
    if let (true, Core::Native, Err(why)) = (measures, settings.core.value, &core) {
        let what = format!("`--core native` ({}) cannot be had: {why}", settings.core.origin);
        return Err(exit::usage(what).into());
    }
    Ok(Prepared {
        state,
        private,
        interpreter,
        facts,
        settings,
        measures,
        core,
        history,
        hash_seed: HashSeed::of(env::var(seed::VARIABLE).as_deref()),
        took: started.elapsed(),
        lock,
    })
}

/// What keeps other runs out.
struct Locked {
    /// The folder for this run, where it has one of its own.
    part: Option<State>,
    /// Of all that this run writes to.
    lock: Lock,
    /// Of the environment, until that is found.
    finding: Option<Lock>,
}

/// Shards may run side by side on one checkout: each has a folder of its own, and one at a time
/// looks for the environment.
fn lock_state(invocation: &Invocation<'_>, state: &State) -> Result<Locked> {
    if let Some(shard) = invocation.typed.shard {
        let finding = Some(state.lock_environment()?);
        let part = state.of_shard(&shard.name());
        return Ok(Locked { lock: part.lock()?, part: Some(part), finding });
    }
    let part = (!invocation.typed.task.measures()).then(|| state.of_tests());
    Ok(Locked { part, lock: state.lock()?, finding: None })
}

/// The library of the native core if that is to measure, else why it does not.
fn native_core(settings: &Settings, facts: &Facts, state: &State) -> Result<Utf8PathBuf, String> {
    let asked = &settings.core;
    let NativeCore { why, rather } = facts.native_core.clone();
    let against = match asked.value {
        Core::Coverage => Some(asked.origin.to_string()),
        Core::Native => why,
        Core::Auto => why.or(rather),
    };
    against.map_or_else(|| native_core::library(state).map_err(|error| format!("{error:#}")), Err)
}

pub(crate) fn read_settings(
    invocation: &Invocation<'_>,
    project: &Project,
    typed: &[String],
    facts: &Facts,
    history: &History,
) -> Result<Settings> {
    Settings::read(&Inputs {
        options: &invocation.typed.options,
        pytest_args: typed,
        env: invocation.env,
        project: Configured::from(&project.pyproject),
        workspace: Configured::from(invocation.workspace),
        facts,
        root: &project.root,
        test_folder: test_folder(&project.root),
        machine: &Machine::here(),
        measured: history.measured(),
    })
}
