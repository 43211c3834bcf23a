//! What was meant: every setting of a run, with its origin. Everything is read by now; nothing
//! here touches the disk, the clock or a process.

pub(crate) mod addopts;
mod around;
mod goals;
pub(crate) mod layer;
mod origin;
mod plugins;
mod pool;

use self::layer::Layer;
pub(crate) use addopts::Addopts;
pub(crate) use around::Around;
pub(crate) use goals::Goals;
pub(crate) use origin::{Origin, Setting};
pub(crate) use plugins::Plugins;
pub(crate) use pool::{Measured, Workers};

use anyhow::Result;
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use toml::Table;

use crate::cli::{Collect, Core, Engine, Isolate, Options, Wanted, keys};
use crate::env::Env;
use crate::exit;
use crate::machine::Machine;
use crate::model::ReportKind;
use crate::project::{CoverageConfig, Facts, Pyproject, Workspace};

/// All that settings are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// Typed.
    pub options: &'a Options,
    /// Typed after `--`.
    pub pytest_args: &'a [String],
    pub env: &'a Env,
    /// The project's own table.
    pub project: Configured<'a>,
    /// The workspace's table.
    pub workspace: Configured<'a>,
    /// What pytest and coverage are configured to do.
    pub facts: &'a Facts,
    pub root: &'a Utf8Path,
    /// `tests` or `test`, whichever is there.
    pub test_folder: Option<&'a str>,
    pub machine: &'a Machine,
    /// What was measured in earlier runs.
    pub measured: Measured,
}

/// A table of settings, and the folder of the file it stands in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Configured<'a> {
    table: Option<(&'a Utf8Path, &'a Table)>,
}

impl<'a> From<&'a Pyproject> for Configured<'a> {
    fn from(pyproject: &'a Pyproject) -> Self {
        let folder = pyproject.path.parent();
        Configured { table: folder.zip(pyproject.settings()) }
    }
}

impl<'a> From<Option<&'a Workspace>> for Configured<'a> {
    fn from(workspace: Option<&'a Workspace>) -> Self {
        Configured { table: workspace.map(|it| (it.root.as_path(), &it.coverage)) }
    }
}

/// The default test folder of a project: `tests` or `test`, if it exists.
pub(crate) fn test_folder(root: &Utf8Path) -> Option<&'static str> {
    ["tests", "test"].into_iter().find(|name| root.join(name).is_dir())
}

/// Every setting of a run of one project.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Into how many splits the suite is cut.
    pub splits: Setting<u32>,
    /// How many of them run at once.
    pub max_concurrent_splits: Setting<u32>,
    /// Workers of each.
    pub workers_per_split: Setting<u32>,
    /// What bounds the number of workers, where nobody has said it.
    bounds: pool::Bounds,
    /// After how many failures everything stops; 0 means never.
    pub max_failures: Setting<u32>,
    /// How many times a failed test is tried again.
    pub retries: Setting<u32>,
    /// MiB by which a process may grow in a test.
    pub memory_per_test: Option<Setting<u32>>,
    /// Seconds for one test. None where the project limits it with pytest-timeout itself.
    pub timeout: Option<Setting<f64>>,
    /// Seconds after which a test is called slow.
    pub slow: Setting<f64>,
    pub engine: Setting<Engine>,
    /// Whether the suite is collected in parts.
    pub collect: Setting<Collect>,
    /// Which tests share a process.
    pub isolate: Setting<Isolate>,
    /// What is measured; empty where coverage's own configuration decides.
    pub sources: Setting<Vec<String>>,
    /// Whether branches are measured; none where coverage's own configuration decides.
    pub branch: Option<Setting<bool>>,
    pub core: Setting<Core>,
    /// What a plugin of coverage says of branches, which then decides.
    pub branch_by_plugin: Option<Setting<bool>>,
    /// Percent.
    pub fail_under: Option<Setting<f64>>,
    /// The threshold was typed, so that it holds for partial runs too.
    pub fail_under_on_command_line: bool,
    /// Further thresholds, and the patch.
    pub goals: Goals,
    /// Which reports to make.
    pub reports: Setting<Vec<ReportKind>>,
    /// coverage's configuration file, where `--cov-config` names one.
    pub cov_config: Option<Setting<String>>,
    /// `--cov-context`: `test` is all pytest-cov knows.
    pub cov_context: Option<Setting<String>>,
    /// `--junitxml`: a file, relative to the project's folder.
    pub junit: Option<Setting<String>>,
    /// An option with which pytest shows something and runs no test.
    pub only_shows: Option<Setting<String>>,
    /// xdist's `--dist`, as written.
    pub dist: Option<Setting<String>>,
    /// What is run around the tests.
    pub around: Around,
    /// Whether `.test_durations` is written.
    pub store_durations: Setting<bool>,
    /// What addopts ask for, as pytest will read them again.
    pub addopts: Addopts,
    /// Which of pytest's plugins are loaded.
    pub plugins: Plugins,
    /// Words typed after `--` for pytest, without paths and without what became a setting.
    pub pytest_args: Vec<String>,
    /// Only a part of the suite was asked for.
    pub narrowed: bool,
    /// The paths to give to pytest; empty where its own configuration decides.
    pub test_paths: Vec<String>,
    /// What is worth saying once.
    pub notices: Vec<String>,
    /// What the user should reconsider.
    pub warnings: Vec<String>,
}

/// One setting as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The option's name.
    pub name: &'static str,
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

impl Settings {
    /// Weighs all that was said.
    pub(crate) fn read(inputs: &Inputs<'_>) -> Result<Settings> {
        let typed = addopts::read(inputs.pytest_args, &Origin::CommandLine)?;
        let words = inputs.facts.pytest.as_ref().map_or(&[][..], |pytest| &pytest.addopts);
        let addopts = addopts::read(words, &Origin::Addopts)?;
        let layers = layers(inputs, &typed, &addopts)?;
        let splits = first(&layers, |it| it.pool.splits).or_default(12);
        let engine = first(&layers, |it| it.pool.engine).or_default(Engine::Auto);
        let (machine, measured) = (inputs.machine, inputs.measured);
        let numbers = pool::decide(&layers, splits.value, engine.value, machine, measured)?;
        let fail_under = first(&layers, |it| it.reporting.fail_under);
        let (timeout, unused) = timeout(&layers, inputs.facts, &typed);
        Ok(Settings {
            splits,
            max_concurrent_splits: numbers.splits_at_once,
            workers_per_split: numbers.workers,
            bounds: numbers.bounds,
            max_failures: first(&layers, |it| it.limits.max_failures).or_default(10),
            retries: first(&layers, |it| it.limits.retries).or_default(0),
            memory_per_test: first(&layers, |it| it.limits.memory_per_test),
            timeout,
            slow: first(&layers, |it| it.limits.slow).or_default(10.0),
            engine,
            collect: first(&layers, |it| it.pool.collect).or_default(Collect::Auto),
            isolate: first(&layers, |it| it.pool.isolate).or_default(Isolate::Auto),
            sources: sources(&layers, inputs.facts),
            branch: branch(&layers).filter(|setting| !is_coverages(setting)),
            core: first(&layers, |it| it.measure.core).or_default(Core::Auto),
            branch_by_plugin: branch(&layers).filter(|it| matches!(it.origin, Origin::Plugin(_))),
            fail_under_on_command_line: is_typed(fail_under.as_ref()),
            fail_under,
            goals: Goals::read(&layers)?,
            reports: reports(&layers)?,
            cov_config: of_pytest(&typed, &addopts, |it| it.cov_config.clone()),
            cov_context: of_pytest(&typed, &addopts, |it| it.cov_context.clone()),
            junit: of_pytest(&typed, &addopts, |it| it.junit.clone()),
            only_shows: of_pytest(&typed, &addopts, |it| it.only_shows.clone()),
            dist: of_pytest(&typed, &addopts, |it| it.dist.clone()),
            around: Around::read(&layers),
            store_durations: first(&layers, |it| it.limits.stores_durations()).or_default(false),
            plugins: Plugins::of(&addopts, &typed, inputs.env),
            test_paths: test_paths(inputs, &typed, &addopts),
            notices: [&addopts.notices[..], &typed.notices, unused.as_slice()].concat(),
            warnings: numbers.warnings,
            pytest_args: typed.rest,
            narrowed: typed.narrowed || is_a_part(inputs, &typed.paths, &addopts.paths),
            addopts,
        })
    }

    /// How many workers there are at once, in all, where their number does not change.
    pub(crate) fn all_workers(&self) -> u32 {
        self.max_concurrent_splits.value * self.workers_per_split.value
    }

    /// How many processes run tests at once, with this engine.
    pub(crate) fn workers(&self, engine: Engine) -> Workers {
        self.bounds.workers(engine, self.all_workers() as usize)
    }

    /// Every setting, for `-v`.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let own = "as coverage is configured";
        let sources = match self.sources.value.as_slice() {
            [] => own.to_owned(),
            sources => sources.join(", "),
        };
        let reports: Vec<_> = self.reports.value.iter().map(|kind| kind.name()).collect();
        let reports = if reports.is_empty() { "none".to_owned() } else { reports.join(", ") };
        let branch = self.branch.clone().or_else(|| self.branch_by_plugin.clone());
        let branch = branch.map(|it| it.map(yes_or_no));
        let mut rows = vec![
            row("splits", &self.splits),
            row("max-concurrent-splits", &self.max_concurrent_splits),
            row("workers-per-split", &self.workers_per_split),
            row("engine", &self.engine.clone().map(Engine::name)),
            row("collect", &self.collect.clone().map(Collect::name)),
            row("isolate", &self.isolate.clone().map(Isolate::name)),
            row("max-failures", &self.max_failures),
            row("retries", &self.retries),
            optional("memory-per-test", self.memory_per_test.as_ref(), "none"),
            optional("timeout", self.timeout.as_ref(), "none"),
            row("slow", &self.slow),
            row("store-durations", &self.store_durations.clone().map(yes_or_no)),
        ];
        rows.extend(self.around.rows());
        rows.extend([
            row("source", &Setting::new(sources, self.sources.origin.clone())),
            optional("branch", branch.as_ref(), own),
            row("core", &self.core.clone().map(Core::name)),
            optional("fail-under", self.fail_under.as_ref(), "none"),
        ]);
        rows.extend(self.goals.rows());
        rows.push(row("report", &Setting::new(reports, self.reports.origin.clone())));
        rows
    }
}

fn is_typed<T>(setting: Option<&Setting<T>>) -> bool {
    setting.is_some_and(|it| it.origin == Origin::CommandLine)
}

fn row<T: ToString>(name: &'static str, setting: &Setting<T>) -> Row {
    Row { name, value: setting.value.to_string(), origin: setting.origin.to_string() }
}

fn optional<T: ToString>(name: &'static str, setting: Option<&Setting<T>>, absent: &str) -> Row {
    let absent = Setting::new(absent.to_owned(), Origin::Default);
    setting.map_or_else(|| row(name, &absent), |setting| row(name, setting))
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// All places where options are given, the strongest first. What coverage's own file says is the
/// project's word, so it beats what the workspace's projects share.
fn layers(inputs: &Inputs<'_>, typed: &Addopts, addopts: &Addopts) -> Result<Vec<Layer>> {
    let mut layers = vec![
        Layer::new(Origin::CommandLine, inputs.options.clone()),
        pytest_layer(Origin::CommandLine, typed),
    ];
    let variables = keys::variables(inputs.env)?.into_iter();
    layers.extend(variables.map(|(name, options)| Layer::new(Origin::Env(name), options)));
    if let Some((folder, table)) = inputs.project.table {
        let path = folder.join("pyproject.toml");
        let options = keys::from_table(&path, "tool.xtask.coverage", table)?;
        layers.push(Layer::new(Origin::Project, options));
    }
    layers.push(pytest_layer(Origin::Addopts, addopts));
    layers.extend(inputs.facts.coverage.iter().flat_map(coverage_layers));
    if let Some((folder, table)) = inputs.workspace.table {
        let (path, section) = (folder.join("Cargo.toml"), "workspace.metadata.xtask.coverage");
        let options = keys::from_table(&path, section, table)?;
        layers.push(Layer::new(Origin::Workspace, options));
    }
    Ok(layers)
}

/// What pytest's words say, as options of ours.
fn pytest_layer(origin: Origin, addopts: &Addopts) -> Layer {
    let mut layer = Layer::new(origin, Options::default());
    layer.options.limits.max_failures = addopts.max_failures;
    layer.options.limits.store_durations = addopts.store_durations;
    layer.options.measure.source = addopts.sources.clone().unwrap_or_default();
    layer.options.measure.branch = addopts.branch;
    layer.options.reporting.fail_under = addopts.fail_under;
    layer.coverage_decides = addopts.sources.as_ref().is_some_and(Vec::is_empty);
    layer
}

/// What coverage's configuration says, as options of ours: what plugins have made of it, and what
/// the file itself says.
fn coverage_layers(coverage: &CoverageConfig) -> [Layer; 2] {
    let name = coverage.config_file.as_ref().and_then(|path| path.file_name());
    let file = Origin::File(name.unwrap_or("coverage").to_owned());
    let plugins = Origin::Plugin(coverage.configurers.join(", "));
    [(plugins, true), (file, false)].map(|(origin, by_plugin)| {
        let says = |field: &str| by_plugin == coverage.changed.iter().any(|name| name == field);
        let mut layer = Layer::new(origin, Options::default());
        layer.options.measure.branch = coverage.branch && says("branch");
        // A plugin may take back what the file says.
        layer.options.measure.no_branch = by_plugin && !coverage.branch && says("branch");
        let fail_under = Some(coverage.fail_under).filter(|&it| it != 0.0);
        layer.options.reporting.fail_under = fail_under.filter(|_| says("fail_under"));
        layer.coverage_decides = !coverage.source.is_empty() && says("source")
            || !coverage.include.is_empty() && says("include");
        layer
    })
}

/// The value of the strongest layer that has one.
fn first<T>(layers: &[Layer], of: impl Fn(&Options) -> Option<T>) -> Option<Setting<T>> {
    layers.iter().find_map(|layer| Some(Setting::new(of(&layer.options)?, layer.origin.clone())))
}

trait OrDefault<T> {
    fn or_default(self, value: T) -> Setting<T>;
}

impl<T> OrDefault<T> for Option<Setting<T>> {
    fn or_default(self, value: T) -> Setting<T> {
        self.unwrap_or(Setting { value, origin: Origin::Default })
    }
}

/// None, and what to say about it, where the project has time limits of its own.
fn timeout(
    layers: &[Layer],
    facts: &Facts,
    typed: &Addopts,
) -> (Option<Setting<f64>>, Option<String>) {
    let configured = facts.pytest.as_ref().is_some_and(|pytest| pytest.has_timeout);
    let setting = first(layers, |it| it.limits.timeout);
    match setting {
        Some(setting) if configured || typed.has_timeout => {
            let Setting { value, origin } = setting;
            let notice = format!(
                "pytest-timeout is configured to limit each test; `--timeout {value}` ({origin}) is not used"
            );
            (None, Some(notice))
        }
        setting => (setting, None),
    }
}

/// What to measure; empty where coverage's own configuration decides.
fn sources(layers: &[Layer], facts: &Facts) -> Setting<Vec<String>> {
    let said =
        layers.iter().find(|it| it.coverage_decides || !it.options.measure.source.is_empty());
    match said {
        Some(layer) if layer.coverage_decides => Setting::new(Vec::new(), layer.origin.clone()),
        Some(layer) => Setting::new(layer.options.measure.source.clone(), layer.origin.clone()),
        None => Setting::new(facts.packages_here.iter().map(source).collect(), Origin::Layout),
    }
}

/// coverage takes a folder, or a module's name where there is none.
fn source(path: &Utf8PathBuf) -> String {
    match path.extension() {
        Some("py") => path.file_stem().unwrap_or_default().to_owned(),
        _ => path.to_string(),
    }
}

fn branch(layers: &[Layer]) -> Option<Setting<bool>> {
    first(layers, |it| it.measure.branches())
}

/// True for what coverage hears from its own configuration.
fn is_coverages<T>(setting: &Setting<T>) -> bool {
    matches!(setting.origin, Origin::File(_) | Origin::Plugin(_))
}

fn reports(layers: &[Layer]) -> Result<Setting<Vec<ReportKind>>> {
    let wanted = first(layers, |it| Some(it.reporting.report.clone()).filter(|it| !it.is_empty()));
    let wanted =
        wanted.or_default(vec![Wanted::Report(ReportKind::Term), Wanted::Report(ReportKind::Html)]);
    if wanted.value.contains(&Wanted::Nothing) && wanted.value.len() > 1 {
        let origin = wanted.origin;
        return Err(exit::usage(format!("`--report` ({origin}): `none` stands alone")).into());
    }
    let kind = |wanted: &Wanted| match wanted {
        Wanted::Nothing => None,
        Wanted::Report(kind) => Some(*kind),
    };
    Ok(wanted.map(|all| all.iter().filter_map(kind).collect()))
}

/// An option of pytest or pytest-cov, which has no name among ours: what is typed wins over addopts.
fn of_pytest<T>(
    typed: &Addopts,
    addopts: &Addopts,
    of: impl Fn(&Addopts) -> Option<T>,
) -> Option<Setting<T>> {
    let typed = of(typed).map(|value| Setting::new(value, Origin::CommandLine));
    typed.or_else(|| of(addopts).map(|value| Setting::new(value, Origin::Addopts)))
}

/// What is typed; nothing where pytest finds its tests itself; else the usual folder.
fn test_paths(inputs: &Inputs<'_>, typed: &Addopts, addopts: &Addopts) -> Vec<String> {
    if !typed.paths.is_empty() {
        typed.paths.clone()
    } else if !configured_paths(inputs).is_empty() || !addopts.paths.is_empty() {
        Vec::new()
    } else {
        inputs.test_folder.map(str::to_owned).into_iter().collect()
    }
}

/// The ini file's `testpaths`, which pytest takes only where it is started in its rootdir.
fn configured_paths<'a>(inputs: &Inputs<'a>) -> &'a [String] {
    let pytest = inputs.facts.pytest.as_ref().filter(|pytest| pytest.rootdir == inputs.root);
    pytest.map_or(&[], |pytest| &pytest.testpaths)
}

/// Whether these paths, where there are any, are less than what would run without them under
/// the same ini file. Those of addopts run in any case.
fn is_a_part(inputs: &Inputs<'_>, typed: &[String], addopts: &[String]) -> bool {
    let place = |path: &String| normal(&inputs.root.join(path));
    let usual = match (configured_paths(inputs), inputs.test_folder) {
        (paths @ [_, ..], _) => paths.to_vec(),
        (_, Some(folder)) => vec![folder.to_owned()],
        _ => vec![".".to_owned()],
    };
    let typed: Vec<Utf8PathBuf> = typed.iter().map(place).collect();
    let is_asked_for = |path: Utf8PathBuf| typed.iter().any(|typed| path.starts_with(typed));
    !typed.is_empty() && addopts.is_empty() && !usual.iter().map(place).all(is_asked_for)
}

/// Without `.` and `..`.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut found = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                found.pop();
            }
            part => found.push(part),
        }
    }
    found
}

#[cfg(test)]
mod tests;
