//! What comes before any test: the interpreter, what the configuration says, the settings, and
//! the job that an engine gets.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::history::{self, History};
use super::{Invocation, choose, isolation};
use crate::cli::{Core, Engine};
use crate::engine::seed::{self, HashSeed};
use crate::engine::{Folders, Job, Measure};
use crate::exit;
use crate::files;
use crate::machine::Machine;
use crate::project::probe::Typed;
use crate::project::{
    Facts, Interpreter, Lock, NativeCore, Project, State, Steps, core, kept, python,
};
use crate::screen::Screen;
use crate::settings::{Configured, Inputs, Origin, Setting, Settings, Workers, test_folder};
use crate::split::{Dist, Durations, Portion};

/// Plugins that put the tests into an order of their own, which changes from run to run.
const REORDERING: [&str; 4] =
    ["pytest-randomly", "pytest-random-order", "pytest-reverse", "pytest-xdist-random"];

/// A project, ready to run.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Where we keep things.
    pub(super) state: State,
    /// The project's state folder, of which that may be a room.
    pub(super) house: Utf8PathBuf,
    /// Folders that are ours: nothing in them is the project's source.
    pub(super) private: Vec<Utf8PathBuf>,
    /// What runs it.
    pub(super) interpreter: Interpreter,
    /// What it says of itself.
    pub(super) facts: Facts,
    /// What the user wants.
    pub(super) settings: Settings,
    /// Coverage has a part in it.
    pub(super) measures: bool,
    /// The library of the native core, or why coverage's own measures.
    pub(super) core: Result<Utf8PathBuf, String>,
    /// What the last run left.
    pub(super) history: History,
    /// Of every Python that runs tests.
    pub(super) hash_seed: HashSeed,
    /// How long all this took.
    pub(super) took: Duration,
    /// No other run of this project goes on while this lives.
    _lock: Lock,
}

impl Prepared {
    /// How many processes run tests at once.
    pub(super) fn slots(&self) -> usize {
        self.settings.all_workers() as usize
    }
}

/// Finds out all there is to know before tests run.
pub(super) fn prepare(invocation: &Invocation<'_>, project: &Project) -> Result<Prepared> {
    let started = Instant::now();
    let screen = invocation.screen;
    let measures = invocation.typed.task.measures();
    let mut state = State::of(project, invocation.workspace);
    let target = invocation.workspace.map(|workspace| workspace.target.clone());
    let private = [state.dir().to_owned()].into_iter().chain(target).collect();
    let house = state.dir().to_owned();
    // Shards may run side by side on one checkout: each has a room, and one at a time looks for
    // the environment.
    let room = invocation.typed.shard.map(|shard| state.room(&format!("shards/{}", shard.name())));
    let finding = room.is_some().then(|| state.lock_environment()).transpose()?;
    let lock = room.as_ref().unwrap_or(&state).lock()?;
    let doing = screen.doing("Preparing the environment");
    let announce = |what: &str| doing.step(what);
    let steps = Steps::new(&announce)?;
    let named = invocation.typed.general.chosen.python.as_deref();
    let interpreter = python::find(&steps, project, named, &state)?;
    let typed = with_words_of_files(project, &invocation.typed.pytest_args);
    let mut facts = read_facts(&steps, &interpreter, project, &typed, &state)?;
    let needed = if measures { &["pytest", "coverage"][..] } else { &["pytest"] };
    if python::ensure_packages(&steps, &interpreter, project, &facts.packages, needed)? {
        facts = read_facts(&steps, &interpreter, project, &typed, &state)?;
    }
    drop(finding);
    if let Some(room) = room {
        state = room;
    } else if !measures {
        state = state.room("test");
    }
    let history = History::read(&state);
    let settings = read_settings(invocation, project, &typed, &facts, &history)?;
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
        house,
        private,
        interpreter,
        facts,
        settings,
        measures,
        core,
        history,
        hash_seed: HashSeed::of(std::env::var(seed::VARIABLE).ok().as_deref()),
        took: started.elapsed(),
        _lock: lock,
    })
}

/// `--cov-config` in addopts names another configuration of coverage than the one it finds: it
/// is known only when pytest's configuration has been read.
fn read_facts(
    steps: &Steps<'_>,
    interpreter: &Interpreter,
    project: &Project,
    typed: &[String],
    state: &State,
) -> Result<Facts> {
    let read = crate::settings::addopts::read(typed, &crate::settings::Origin::CommandLine)?;
    let typed = &Typed { paths: read.paths, words: read.rest };
    let facts = kept::facts(steps, interpreter, project, None, typed, state)?;
    let addopts = facts.pytest.as_ref().map(|pytest| pytest.addopts.as_slice()).unwrap_or_default();
    let asked = crate::settings::addopts::read(addopts, &crate::settings::Origin::Addopts)?;
    match asked.cov_config {
        Some(file) => {
            let file = Some(Utf8Path::new(&file));
            kept::facts(steps, interpreter, project, file, typed, state)
        }
        None => Ok(facts),
    }
}

fn read_settings(
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

/// pytest reads words from a file that is named after `@`, one a line: what they say is meant
/// like what was typed. One that cannot be read is left to it.
fn with_words_of_files(project: &Project, typed: &[String]) -> Vec<String> {
    let read = |word: &String| {
        let file = project.root.join(word.strip_prefix('@')?);
        Some(files::read_text(&file).ok()?.lines().map(str::to_owned).collect())
    };
    typed.iter().flat_map(|word| read(word).unwrap_or_else(|| vec![word.clone()])).collect()
}

/// Installs, or asks for, the plugins that the stock engine needs. True where something is new.
pub(super) fn stock_plugins(
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
        let typed = with_words_of_files(project, &invocation.typed.pytest_args);
        prepared.facts = read_facts(&steps, interpreter, project, &typed, state)?;
    }
    Ok(())
}

/// The job, with the folders of this run made and those of the last one emptied.
pub(super) fn job(project: &Project, prepared: &Prepared) -> Result<Job> {
    job_in(&prepared.state, project, prepared)
}

/// The same, for a run that keeps its things elsewhere.
pub(super) fn job_in(room: &State, project: &Project, prepared: &Prepared) -> Result<Job> {
    let Prepared { state, settings, facts, history, .. } = prepared;
    let splits = settings.splits.value;
    let expected = if history.splits == splits { history.split_seconds.clone() } else { [].into() };
    let durations = committed_durations(project, facts);
    let committed = read_durations(durations.as_deref())?;
    Ok(Job {
        project: project.root.clone(),
        python: prepared.interpreter.executable.clone(),
        splits,
        portion: Portion::Whole,
        planned: None,
        concurrent: settings.max_concurrent_splits.value,
        workers: settings.workers_per_split.value,
        pool: settings.workers(settings.engine.value),
        confirms: true,
        memory_per_test: settings.memory_per_test.as_ref().map(|it| u64::from(it.value) << 20),
        memory_growth: prepared.history.memory_growth,
        trace: None,
        budget: settings.max_failures.value,
        retries: settings.retries.value,
        timeout: settings.timeout.as_ref().map(|timeout| timeout.value),
        measure: prepared.measures.then(|| measure(prepared)),
        pytest_args: pytest_args(prepared),
        shows_output: shows_output(prepared)?,
        stock_args: stock_args(prepared),
        python_version: facts.python.clone(),
        recorded: history::durations(state, &committed),
        recorded_cpu: history::cpu(state),
        committed,
        durations,
        expected,
        xdist: has_xdist(prepared),
        reordering: reordering(facts, settings),
        last_failed: None,
        collectors: choose::collectors(prepared, prepared.slots()),
        collection: history.collection.files.clone(),
        order: choose::order(prepared),
        dist: settings.dist.as_ref().and_then(|dist| Dist::of(&dist.value)),
        isolation: isolation::choose(prepared, prepared.slots()),
        force_forks: prepared.settings.engine.value == Engine::Fork,
        continue_on_collection_errors: everything(prepared)
            .any(|word| word == "--continue-on-collection-errors"),
        hash_seed: prepared.hash_seed,
        folders: folders(room)?,
    })
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

/// The library of the native core if that is to measure, else why it does not.
fn native_core(settings: &Settings, facts: &Facts, state: &State) -> Result<Utf8PathBuf, String> {
    let asked = &settings.core;
    let NativeCore { why, rather } = facts.native_core.clone();
    let against = match asked.value {
        Core::Coverage => Some(asked.origin.to_string()),
        Core::Native => why,
        Core::Auto => why.or(rather),
    };
    against.map_or_else(|| core::library(state).map_err(|error| format!("{error:#}")), Err)
}

/// The words of addopts and of the command line.
fn everything(prepared: &Prepared) -> impl Iterator<Item = &str> {
    let addopts = prepared.facts.pytest.iter().flat_map(|pytest| &pytest.addopts);
    addopts.chain(&prepared.settings.pytest_args).map(String::as_str)
}

/// Whether tests print to the screen: the last word on that counts, wherever it stands.
fn shows_output(prepared: &Prepared) -> Result<bool> {
    let words: Vec<String> = everything(prepared).map(str::to_owned).collect();
    Ok(crate::settings::addopts::read(&words, &crate::settings::Origin::Addopts)?.shows_output)
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
pub(super) fn pytest_args(prepared: &Prepared) -> Vec<String> {
    let settings = &prepared.settings;
    let mut args = settings.test_paths.clone();
    args.extend(settings.pytest_args.iter().cloned());
    args.extend(pinned_configuration(prepared));
    args
}

fn has_xdist(prepared: &Prepared) -> bool {
    let Prepared { settings, facts, .. } = prepared;
    facts.packages.contains_key("pytest-xdist") && !settings.plugins.blocks("xdist")
}

/// What takes back those options of addopts that would get in the way of the stock engine.
pub(super) fn stock_args(prepared: &Prepared) -> Vec<String> {
    let Prepared { settings, facts, .. } = prepared;
    let plugins = &settings.plugins;
    let mut args = Vec::new();
    // What is loaded already must not be loaded again under another name.
    let xdist = has_xdist(prepared) && !plugins.loads("xdist", "xdist.plugin");
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
pub(super) fn committed_durations(project: &Project, facts: &Facts) -> Option<Utf8PathBuf> {
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
pub(super) fn durations_path(project: &Project, facts: &Facts) -> Utf8PathBuf {
    let words = facts.pytest.as_ref().map(|pytest| pytest.addopts.as_slice()).unwrap_or_default();
    let glued = words.iter().find_map(|word| word.strip_prefix("--durations-path="));
    let apart = words.windows(2).find(|pair| pair[0] == "--durations-path");
    let named = glued.or(apart.map(|pair| pair[1].as_str()));
    project.root.join(named.unwrap_or(".test_durations"))
}

fn folders(state: &State) -> Result<Folders> {
    let folders = Folders { parts: state.parts(), logs: state.logs(), host: state.host() };
    for folder in [&folders.parts, &folders.logs] {
        match fs::remove_dir_all(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("failed to empty `{folder}`");
                return Err(anyhow::Error::new(error).context(exit::usage(what)));
            }
        }
    }
    for folder in [&folders.parts, &folders.logs, &folders.host] {
        state.create(folder)?;
    }
    Ok(folders)
}

/// Says what will run, in the way of a banner.
pub(super) fn banner(screen: &Screen, project: &Project, prepared: &Prepared, engine: Engine) {
    let Prepared { settings, facts, .. } = prepared;
    let splits = settings.splits.value;
    let what = if prepared.measures { "Coverage" } else { "Tests" };
    let in_splits = crate::screen::count(splits.into(), "split");
    screen.heading(&format!("{what} of {} in {in_splits}", project.name));
    if prepared.measures {
        screen.note(&format!("  • Source: {}", sources(prepared)));
        screen.note(&format!("  • Core: {}", core_words(prepared, engine)));
    }
    workers(settings, engine).iter().for_each(|line| screen.note(&format!("  • {line}")));
    let failures = match settings.max_failures.value {
        0 => "never".to_owned(),
        n => n.to_string(),
    };
    screen.note(&format!("  • Failures before abort: {failures}"));
    if let Some(settings) = ini_files(project, facts) {
        screen.note(&format!("  • Ini file: {settings}"));
    }
    screen.note(&format!("  • Python: {} ({})", versions(facts), prepared.interpreter.origin));
    let how = [in_one_process(prepared, engine), isolation::words(prepared, engine)].concat();
    screen.note(&format!("  • Engine: {}{how}", engine.name()));
    for row in if screen.is_verbose() { settings.rows() } else { Vec::new() } {
        screen.detail(&format!("    {} = {} ({})", row.name, row.value, row.origin));
    }
    let HashSeed { value, .. } = prepared.hash_seed;
    screen.detail(&format!("    hash-seed = {value} ({})", prepared.hash_seed.origin()));
    settings.notices.iter().for_each(|notice| screen.note(&format!("note: {notice}")));
    settings.warnings.iter().for_each(|warning| screen.warn(warning));
}

/// What is to measure.
fn core_words(prepared: &Prepared, engine: Engine) -> String {
    match &prepared.core {
        _ if engine == Engine::Stock => "coverage's".to_owned(),
        Ok(_) => "native".to_owned(),
        Err(why) => format!("coverage's ({why})"),
    }
}

/// How many processes run tests at once.
fn workers(settings: &Settings, engine: Engine) -> Vec<String> {
    let Workers { start, most, fixed } = settings.workers(engine);
    let (splits, each) = (settings.max_concurrent_splits.value, settings.workers_per_split.value);
    match fixed {
        true => vec![
            format!("Concurrent splits: {splits}"),
            format!("Workers per split: {each}"),
            format!("Total concurrent workers: {}", splits.saturating_mul(each)),
        ],
        false if start == most => vec![format!("Workers: up to {most}, as the machine allows")],
        false => vec![format!("Workers: {start} to {most}, as the machine allows")],
    }
}

/// Which file pytest takes its settings from, where it would take another in another way.
fn ini_files(project: &Project, facts: &Facts) -> Option<String> {
    let pytest = facts.pytest.as_ref()?;
    let name = |file: &Utf8PathBuf| file.strip_prefix(&project.root).unwrap_or(file).to_string();
    let other = name(pytest.shadowed_inifile.as_ref()?);
    Some(match &pytest.inifile {
        Some(file) => format!("{}, not {other}", name(file)),
        None => format!("none; pytest would take {other} with other paths"),
    })
}

/// What forbids to collect the suite in parts, where that would be faster. Whether parts are the
/// whole is known only when they have been collected.
fn in_one_process(prepared: &Prepared, engine: Engine) -> String {
    let why = choose::why_in_one_process(prepared, prepared.slots());
    let why = why.filter(|_| engine == Engine::Fork);
    why.map(|why| format!(", collected in one process ({why})")).unwrap_or_default()
}

fn sources(prepared: &Prepared) -> String {
    let decided = &prepared.settings.sources;
    if !decided.value.is_empty() {
        return format!("{} ({})", decided.value.join(", "), decided.origin);
    }
    let coverage = prepared.facts.coverage.as_ref();
    let lists = coverage.into_iter().flat_map(|coverage| [&coverage.source, &coverage.include]);
    match lists.into_iter().find(|list| !list.is_empty()) {
        Some(list) => format!("{} ({})", list.join(", "), who_decides(prepared)),
        None => format!("all that is executed, tests too ({})", decided.origin),
    }
}

/// Where coverage's own settings of what is measured come from.
fn who_decides(prepared: &Prepared) -> String {
    let Setting { origin, .. } = &prepared.settings.sources;
    if matches!(origin, Origin::File(_) | Origin::Plugin(_)) {
        return origin.to_string();
    }
    let coverage = prepared.facts.coverage.as_ref();
    let file = coverage.and_then(|coverage| coverage.config_file.as_ref()?.file_name());
    file.unwrap_or("coverage's configuration").to_owned()
}

fn versions(facts: &Facts) -> String {
    let version = |name: &str| {
        facts.packages.get(name).map(|version| format!(", {name} {version}")).unwrap_or_default()
    };
    format!("{}{}{}", facts.python, version("pytest"), version("coverage"))
}
