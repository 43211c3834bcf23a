//! The job that an engine gets.

use std::time::Duration;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::prepared::Prepared;
use super::{engine, isolation, stock};
use crate::cli::{Core, Engine, Isolate};
use crate::engine::around::{Commands, Variables};
use crate::engine::{Collecting, Job, Measure, Times};
use crate::exit;
use crate::files;
use crate::history::durations;
use crate::layout::RunFolder;
use crate::project::{Facts, Project, State};
use crate::settings::{Origin, Settings, addopts};
use crate::split::{Dist, Durations, Portion};

/// Plugins that put the tests into an order of their own, which changes from run to run.
const REORDERING: [&str; 4] =
    ["pytest-randomly", "pytest-random-order", "pytest-reverse", "pytest-xdist-random"];

/// The job of a run, for which this makes a folder.
pub(crate) fn job(
    project: &Project,
    prepared: &Prepared,
    folder: impl FnOnce() -> Result<RunFolder>,
) -> Result<Job> {
    let Prepared { state, settings, facts, history, .. } = prepared;
    let times = times(project, prepared)?;
    Ok(Job {
        project: project.root.clone(),
        python: prepared.interpreter.executable.clone(),
        of_interpreter: prepared.interpreter.variables.clone(),
        splits: settings.splits.value,
        portion: Portion::Whole,
        planned: None,
        rerun: None,
        tail: None,
        concurrent: settings.max_concurrent_splits.value,
        workers: settings.workers_per_split.value,
        pool: settings.workers(settings.engine.value),
        confirms: true,
        memory_per_test: settings.memory_per_test.as_ref().map(|it| u64::from(it.value) << 20),
        memory_growth: history.memory_growth,
        jobserver: None,
        trace: None,
        budget: settings.max_failures.value,
        retries: settings.retries.value,
        timeout: settings.timeout.as_ref().map(|timeout| timeout.value),
        measure: prepared.measures.then(|| measure(prepared)),
        pytest_args: pytest_args(prepared),
        shows_output: shows_output(prepared)?,
        stock_args: stock::args(prepared),
        python_version: facts.python.clone(),
        times,
        xdist: prepared.has_xdist(),
        reordering: reordering(facts, settings),
        last_failed: None,
        collecting: collecting(prepared),
        dist: settings.dist.as_ref().and_then(|dist| Dist::of(&dist.value)),
        isolation: isolation::choose(prepared, prepared.slots()),
        replaces_slow: settings.isolate.value == Isolate::Auto,
        force_forks: settings.engine.value == Engine::Fork,
        continue_on_collection_errors: goes_on_after_errors(prepared),
        hash_seed: prepared.hash_seed,
        commands: commands(settings),
        exported: Variables::new(),
        each_worker: None,
        code: code(state)?,
        // Last: what is wrong before leaves the folders of other runs as they are.
        folder: folder()?,
    })
}

/// The folder for our own Python, made.
fn code(state: &State) -> Result<Utf8PathBuf> {
    state.create(&state.names.host())?;
    Ok(state.names.host())
}

fn collecting(prepared: &Prepared) -> Collecting {
    Collecting {
        collectors: engine::collectors(prepared, prepared.slots()),
        files: prepared.history.collection.files.clone(),
        order: engine::order(prepared),
    }
}

fn times(project: &Project, prepared: &Prepared) -> Result<Times> {
    let Prepared { state, settings, facts, history, .. } = prepared;
    let file = committed_durations(project, facts);
    let committed = read_durations(file.as_deref())?;
    let recorded = durations::expected(state, &committed);
    let is_same = history.splits == settings.splits.value;
    let splits = if is_same { history.split_seconds.clone() } else { [].into() };
    Ok(Times { file, committed, recorded, splits })
}

fn goes_on_after_errors(prepared: &Prepared) -> bool {
    everything(prepared).any(|word| word == "--continue-on-collection-errors")
}

fn commands(settings: &Settings) -> Commands {
    let around = &settings.around;
    Commands {
        setup: around.setup.value.clone(),
        teardown: around.teardown.value.clone(),
        worker_setup: around.worker_setup.value.clone(),
        worker_teardown: around.worker_teardown.value.clone(),
        limit: Duration::from_secs_f64(around.timeout.value),
    }
}

fn measure(prepared: &Prepared) -> Measure {
    let settings = &prepared.settings;
    Measure {
        source: settings.sources.value.clone(),
        branch: settings.branch.as_ref().map(|branch| branch.value),
        config_file: settings.cov_config.as_ref().map(|file| file.value.clone().into()),
        contexts: settings.cov_context.is_some(),
        core: prepared.core.as_ref().ok().cloned(),
        insist: settings.core.value == Core::Native,
    }
}

/// The words of addopts and of the command line.
fn everything(prepared: &Prepared) -> impl Iterator<Item = &str> {
    let addopts = prepared.facts.pytest.iter().flat_map(|pytest| &pytest.addopts);
    addopts.chain(&prepared.settings.pytest_args).map(String::as_str)
}

/// Whether tests print to the screen: the last word on that counts, wherever it stands.
fn shows_output(prepared: &Prepared) -> Result<bool> {
    let words: Vec<String> = everything(prepared).map(str::to_owned).collect();
    Ok(addopts::read(&words, &Origin::Addopts)?.shows_output)
}

fn reordering(facts: &Facts, settings: &Settings) -> Vec<String> {
    let active = |name: &&str| {
        let plugin = name.trim_start_matches("pytest-").replace('-', "_");
        let module = name.replace('-', "_");
        facts.packages.contains_key(*name) && settings.plugins.loads(&plugin, &module)
    };
    REORDERING.iter().filter(|name| active(name)).map(|&name| name.to_owned()).collect()
}

/// What pytest gets whatever the engine: paths, and what was typed.
pub(crate) fn pytest_args(prepared: &Prepared) -> Vec<String> {
    let settings = &prepared.settings;
    let mut args = settings.test_paths.clone();
    args.extend(settings.pytest_args.iter().cloned());
    args.extend(pinned_configuration(prepared));
    args
}

/// pytest looks for its configuration from the paths it is given, and takes any word that names
/// a file for one: it may find another one than it would without them.
fn pinned_configuration(prepared: &Prepared) -> Vec<String> {
    let Some(pytest) = &prepared.facts.pytest else { return Vec::new() };
    let given =
        |option: &str| prepared.settings.pytest_args.iter().any(|arg| arg.starts_with(option));
    let mut args = Vec::new();
    if !given("--rootdir") {
        args.push(format!("--rootdir={}", pytest.rootdir));
    }
    if let Some(file) = pytest.inifile.as_ref().filter(|_| !given("-c") && !given("--config-file"))
    {
        args.extend(["-c".to_owned(), file.to_string()]);
    }
    args
}

/// The file that decides how the suite is cut: `--durations-path` in addopts, else
/// `.test_durations`.
pub(crate) fn committed_durations(project: &Project, facts: &Facts) -> Option<Utf8PathBuf> {
    let path = durations_path(project, facts);
    path.exists().then_some(path)
}

fn read_durations(file: Option<&Utf8Path>) -> Result<Durations> {
    let Some(file) = file else { return Ok(Durations::default()) };
    let what = || exit::usage(format!("`{file}` decides how the suite is cut, but it is broken"));
    let text = files::read_text(file).with_context(what)?;
    Durations::parse(&text).with_context(what)
}

/// Where that file is or would be.
pub(crate) fn durations_path(project: &Project, facts: &Facts) -> Utf8PathBuf {
    let words = facts.pytest.as_ref().map(|pytest| pytest.addopts.as_slice()).unwrap_or_default();
    let glued = words.iter().find_map(|word| word.strip_prefix("--durations-path="));
    let apart = words.windows(2).find(|pair| pair[0] == "--durations-path");
    let named = glued.or(apart.map(|pair| pair[1].as_str()));
    project.root.join(named.unwrap_or(".test_durations"))
}
