//! What was typed: the commands, their options, and the doc comments that are their help.
//! What it means is decided in `settings`.

mod around;
mod ci;
mod completions;
pub(crate) mod keys;
pub(crate) mod program;
mod shards;
mod topics;
mod workshop;

use std::ffi::OsString;

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use self::around::Around;
pub(crate) use self::ci::{Pipeline, Service, Wanted as WantedPipeline};
pub(crate) use self::completions::{Completions, Shell, candidates};
pub(crate) use self::shards::{Combining, Exporting, Planning, Shards};
pub(crate) use self::topics::{TOPICS, topic};
pub(crate) use self::workshop::{Init, Source};
use crate::bounds;
use crate::env::Env;
use crate::exit::Exit;
use crate::model::ReportKind;
use crate::shard::engines;
use crate::split::Shard;

/// A command line, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Typed {
    /// What to do.
    pub task: Task,
    /// The options that configuration files may have too.
    pub options: Options,
    /// The others, environment variables included.
    pub general: General,
    /// `-- PYTEST_ARGS`.
    pub pytest_args: Vec<String>,
    /// Which shard this is; none where all of the suite is meant.
    pub shard: Option<Shard>,
    /// What else is to come of a plan.
    pub planning: Planning,
    /// What there is to combine.
    pub combining: Combining,
    /// What is to be handed on.
    pub exporting: Exporting,
    /// What `cargo xtask init` is to do.
    pub init: Option<Init>,
    /// How much of the suite both cores are to measure, in percent.
    pub check_core: Option<f64>,
    /// What is to be said about a topic; then nothing runs.
    pub topic: Option<String>,
    /// What a shell is to know to complete commands; then nothing runs.
    pub completing: Option<Completions>,
    /// Which pipeline to write; then nothing runs.
    pub pipeline: Option<WantedPipeline>,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Task {
    /// `cargo xtask coverage`: run, combine, report.
    #[default]
    Coverage,
    /// `cargo xtask coverage plan`: show the splits.
    Plan,
    /// `cargo xtask coverage plan --simulate`: show what a run would take.
    Simulate,
    /// `cargo xtask coverage combine`: report on what shards have left.
    Combine,
    /// `cargo xtask coverage export`: hand on what failed.
    Export,
    /// `cargo xtask coverage report`: report again on the data that is there.
    Report,
    /// `cargo xtask coverage verify`: compare with sequential runs.
    Verify,
    /// `cargo xtask test`: run, measure nothing.
    Test,
    /// `cargo xtask setup`: make environments, bring them up to date.
    Setup,
    /// `cargo xtask doctor`: look for what may go wrong.
    Doctor {
        /// For a program to read.
        json: bool,
    },
    /// `cargo xtask init`: put `cargo xtask coverage` into a repository.
    Init,
}

impl Task {
    /// True where coverage has a part in it.
    pub(crate) fn measures(self) -> bool {
        self != Task::Test
    }
}

/// Reads a command line, the program's name first, and the `XTASK_…` variables of the options
/// that no configuration file has. An error may be a [`clap::Error`]: see [`said`].
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>, env: &Env) -> Result<Typed> {
    let words = program::words(args);
    if let Some(text) = about_topic(&words) {
        return Ok(Typed { topic: Some(text), ..Typed::default() });
    }
    let matches = command().try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)?.command.typed(env)
}

/// `help` and a topic's name.
fn about_topic(words: &[OsString]) -> Option<String> {
    let [_, help, name] = words else { return None };
    let text = topic(name.to_str()?).filter(|_| help == "help")?;
    Some(topics::plain(&text))
}

/// What the commands mean, with what the variables say.
fn typed(command: Command, env: &Env) -> Result<Typed> {
    let mut typed = match command {
        Command::Coverage(coverage) => coverage.typed(),
        Command::Test(test) => test.typed(),
        Command::Setup(setup) => setup.typed(),
        Command::Doctor(doctor) => doctor.typed(),
        Command::Init(init) => init.typed(),
        Command::Ci(ci) => return Ok(ci.typed()),
        Command::Completions(completions) => return Ok(completions.typed()),
    };
    typed.general = typed.general.or(keys::from_env(env)?);
    if typed.task == Task::Plan && keys::from_env::<Foresight>(env)?.simulate {
        typed.task = Task::Simulate;
    }
    find_shard(&mut typed, env)?;
    Ok(typed)
}

/// Which shard this is. The suite is cut into as many splits as there are shards.
fn find_shard(typed: &mut Typed, env: &Env) -> Result<()> {
    let wanted = typed.general.shards.shard;
    let Some(wanted) = wanted.filter(|_| matches!(typed.task, Task::Coverage | Task::Test)) else {
        return Ok(());
    };
    let shard = engines::shard(wanted, env)
        .map_err(|why| crate::exit::usage(format!("`--shard`: {why}")))?;
    let splits = &mut typed.options.pool.splits;
    if let Some(splits) = splits.filter(|splits| *splits != shard.total) {
        let why = format!(
            "`--shard {shard}` cuts the suite into {} splits, one for each shard, and `--splits` \
             says {splits}",
            shard.total
        );
        return Err(crate::exit::usage(why).into());
    }
    *splits = Some(shard.total);
    typed.shard = Some(shard);
    Ok(())
}

/// What clap has to say itself, and how the process ends after it: help and version are asked
/// for and go to stdout, wrong usage to stderr.
pub(crate) fn said(error: &anyhow::Error) -> Option<(&clap::Error, Exit)> {
    let error = error.downcast_ref::<clap::Error>()?;
    Some((error, if error.use_stderr() { Exit::Usage } else { Exit::Passed }))
}

/// The whole command line, for its help.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// The tasks of this workspace
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(
    after_help = "`help` also knows these topics: exit-codes, configuration, environment, files"
)]
struct Cli {
    #[command(subcommand)]
    command: Tasks,
}

/// Our commands, for the command line of an `xtask` that has others besides: flattened into the
/// enum of its own.
#[derive(Debug)]
pub struct Tasks(Command);

impl Tasks {
    /// What was typed means, with what the variables say.
    pub(crate) fn typed(self, env: &Env) -> Result<Typed> {
        typed(self.0, env)
    }
}

impl FromArgMatches for Tasks {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Command::from_arg_matches(matches).map(Tasks)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for Tasks {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        Command::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Command::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Command::has_subcommand(name)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Coverage(Box<Coverage>),
    Test(Box<Test>),
    Setup(workshop::Setup),
    Doctor(workshop::Doctor),
    Init(Init),
    Ci(Box<ci::Ci>),
    Completions(Completions),
}

/// Run a Python project's tests in parallel splits and report their coverage
///
/// The suite is cut into splits, some of which run at the same time, each with some workers.
/// The coverage is that of one sequential run.
///
/// Every option also reads a variable, `XTASK_SPLITS` for `--splits`, and most can stand in
/// `[tool.xtask.coverage]` of the project's `pyproject.toml` or in
/// `[workspace.metadata.xtask.coverage]` of the workspace's `Cargo.toml`. The command line wins,
/// then the environment, the project, pytest's addopts, the workspace, and last what suits the
/// machine.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
struct Coverage {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    pool: Pool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    general: General,
    #[command(flatten)]
    pytest: Pytest,
}

#[derive(Debug, Subcommand)]
enum Other {
    Plan(Plan),
    Combine(Box<shards::Combine>),
    Export(shards::Export),
    Report(Report),
    Verify(Verify),
}

/// Run a Python project's tests in parallel splits, without coverage
///
/// The same as `cargo xtask coverage`, with the same settings, but nothing is measured and coverage
/// need not be installed. What `cargo xtask coverage` has left is not touched.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
struct Test {
    #[command(flatten)]
    pool: Pool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    general: General,
    #[command(flatten)]
    pytest: Pytest,
}

/// Show which tests each split runs and how long they should take
#[derive(Debug, Args)]
#[command(args_override_self = true)]
struct Plan {
    #[command(flatten)]
    foresight: Foresight,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    pool: Pool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pytest: Pytest,
}

/// Report again on the coverage of the last run, without running a test
#[derive(Debug, Args)]
#[command(args_override_self = true)]
struct Report {
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
}

/// Compare a parallel run's coverage with sequential runs
///
/// Runs the suite twice as `coverage run -m pytest` does and once in parallel, and compares files,
/// lines, arcs and the outcomes of the tests. Where the two sequential runs differ it is the suite
/// that is not the same every time; what the parallel run alone has or lacks is a fault of the
/// tool, and ends with exit code 3.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
struct Verify {
    /// Compare cores, in PERCENT of the test files
    ///
    /// The native core with coverage's own, instead of the whole run.
    ///
    /// Runs their tests once under each core, each file in a process of its own, and compares
    /// files, lines and arcs; a difference ends with exit code 3. How the tests end does not
    /// matter. Which files depends on the commit, so that each has its turn.
    #[arg(long, value_name = "PERCENT", value_parser = bounds::percent)]
    check_core: Option<f64>,
    #[command(flatten)]
    pool: Pool,
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pytest: Pytest,
}

impl Coverage {
    fn typed(self) -> Typed {
        let Coverage { other, pool, limits, around, measure, reporting, general, pytest } = self;
        match other {
            None => Typed {
                task: Task::Coverage,
                options: Options { pool, limits, around, measure, reporting },
                general,
                pytest_args: pytest.args,
                ..Typed::default()
            },
            Some(Other::Plan(plan)) => plan.typed(),
            Some(Other::Combine(combine)) => combine.typed(),
            Some(Other::Export(export)) => export.typed(),
            Some(Other::Report(report)) => report.typed(),
            Some(Other::Verify(verify)) => verify.typed(),
        }
    }
}

impl Plan {
    fn typed(self) -> Typed {
        Typed {
            task: if self.foresight.simulate { Task::Simulate } else { Task::Plan },
            options: Options {
                pool: Pool { splits: self.planning.shards.or(self.pool.splits), ..self.pool },
                ..Options::default()
            },
            general: General { chosen: self.chosen, output: self.output, ..General::default() },
            pytest_args: self.pytest.args,
            planning: self.planning,
            ..Typed::default()
        }
    }
}

impl Report {
    fn typed(self) -> Typed {
        Typed {
            task: Task::Report,
            options: Options { reporting: self.reporting, ..Options::default() },
            general: General { chosen: self.chosen, output: self.output, ..General::default() },
            ..Typed::default()
        }
    }
}

impl Verify {
    fn typed(self) -> Typed {
        Typed {
            task: Task::Verify,
            check_core: self.check_core,
            options: Options { pool: self.pool, measure: self.measure, ..Options::default() },
            general: General { chosen: self.chosen, output: self.output, ..General::default() },
            pytest_args: self.pytest.args,
            ..Typed::default()
        }
    }
}

impl Test {
    fn typed(self) -> Typed {
        Typed {
            task: Task::Test,
            options: Options {
                pool: self.pool,
                limits: self.limits,
                around: self.around,
                ..Options::default()
            },
            general: self.general,
            pytest_args: self.pytest.args,
            ..Typed::default()
        }
    }
}

/// The options that the environment and configuration files may have too.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// How the work is cut and how much of it runs at once.
    #[command(flatten)]
    pub pool: Pool,
    /// When to stop.
    #[command(flatten)]
    pub limits: Limits,
    /// What is run around the tests.
    #[command(flatten)]
    pub around: Around,
    /// What is measured.
    #[command(flatten)]
    pub measure: Measure,
    /// What is reported.
    #[command(flatten)]
    pub reporting: Reporting,
}

/// How the work is cut and how much of it runs at once.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Parallel runs")]
pub(crate) struct Pool {
    /// Cut the suite into N splits
    ///
    /// Default: 12. The cut is that of pytest-split, so split 3 here is group 3 in CI.
    #[arg(long, value_name = "N", value_parser = bounds::splits, allow_negative_numbers = true)]
    pub splits: Option<u32>,

    /// Run at most N splits at once
    ///
    /// The default suits the machine's cores and memory. `MAX_CONCURRENT_SPLITS` is read too.
    #[arg(long, value_name = "N", value_parser = bounds::workers, allow_negative_numbers = true)]
    pub max_concurrent_splits: Option<u32>,

    /// Give each split N worker processes
    ///
    /// The default suits the machine's cores and memory. `WORKERS_PER_SPLIT` is read too.
    #[arg(long, value_name = "N", value_parser = bounds::workers, allow_negative_numbers = true)]
    pub workers_per_split: Option<u32>,

    /// Set both numbers at once
    ///
    /// 2 × 3, 3 × 4 or 4 × 6. A number given in the same place wins, and memory may still lower them.
    #[arg(long, value_name = "PROFILE", value_enum)]
    pub profile: Option<Profile>,

    /// Choose what runs the tests
    ///
    /// `fork` collects the suite once and runs each test file in a fork; it needs Linux, pytest 8
    /// and coverage 7.6. `spawn` is the same without forks: each worker collects. `stock` is one
    /// pytest for each split, with pytest-split and pytest-xdist.
    /// Default: auto, the best that works here: not fork where something is found that forks would
    /// break or share. With `fork` they are made all the same.
    #[arg(long, value_name = "ENGINE", value_enum)]
    pub engine: Option<Engine>,

    /// Choose whether to collect in parts
    ///
    /// With the fork engine, each worker can collect a part of the test files. `auto` does it
    /// where collecting takes some seconds and nothing orders or counts tests across files.
    #[arg(long, value_name = "HOW", value_enum, hide_short_help = true)]
    pub collect: Option<Collect>,

    /// Choose which tests share a process
    ///
    /// `file`: a process runs the tests of one file. `worker`: each worker is one process, so
    /// session fixtures are set up once in each. `auto` is between: a process goes on with
    /// further files until starting it, session fixtures and cold caches included, was a
    /// twentieth of its work, as measured in earlier runs. With the spawn engine it is `worker`.
    #[arg(long, value_name = "HOW", value_enum, hide_short_help = true)]
    pub isolate: Option<Isolate>,
}

/// When to stop.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Running tests")]
pub(crate) struct Limits {
    /// Stop everything after N failures
    ///
    /// Default: 10, counted over all splits together. 0 means never. `MAX_FAILURES` is read too.
    #[arg(long, value_name = "N", value_parser = bounds::count, allow_negative_numbers = true)]
    pub max_failures: Option<u32>,

    /// Try a failed test again, up to N times
    ///
    /// In a process of its own each time, with `fork`. Only a test that fails to the last counts
    /// as a failure; one that passes in the end is named as flaky. Default: 0.
    #[arg(long, value_name = "N", value_parser = bounds::retries, allow_negative_numbers = true)]
    pub retries: Option<u32>,

    /// End a test that takes more than MIB of memory
    ///
    /// By how much its process grows. The run goes on. Default: none, but before the machine runs
    /// out of memory the process that has grown most is ended; a test whose process others have
    /// filled runs again, but not with the stock engine, whose workers of pytest-xdist have no
    /// such limit.
    #[arg(long, value_name = "MIB", value_parser = bounds::mebibytes, allow_negative_numbers = true)]
    pub memory_per_test: Option<u32>,

    /// Stop a test that takes longer than SECS
    ///
    /// The run goes on. The project's own settings of pytest-timeout win.
    #[arg(long, value_name = "SECS", value_parser = bounds::seconds, allow_negative_numbers = true)]
    pub timeout: Option<f64>,

    /// Call out tests that take longer than SECS
    ///
    /// Default: 10. Each once, while it runs; the run goes on.
    #[arg(long, value_name = "SECS", value_parser = bounds::seconds, allow_negative_numbers = true)]
    pub slow: Option<f64>,

    /// Write the tests' durations to `.test_durations`
    ///
    /// The file decides how the suite is cut, here and in CI, so it is meant to be committed.
    #[arg(long, overrides_with = "no_store_durations")]
    pub store_durations: bool,

    /// Leave `.test_durations` as it is
    #[arg(long, overrides_with = "store_durations", hide_short_help = true)]
    pub no_store_durations: bool,
}

/// What is measured.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Measuring")]
pub(crate) struct Measure {
    /// Measure these folders or packages
    ///
    /// Folders are relative to the project. Default: what coverage's configuration or `--cov` in
    /// addopts says, else every package under `src/` or in the project's folder.
    #[arg(long, value_name = "DIR|PKG", value_delimiter = ',', value_parser = text)]
    pub source: Vec<String>,

    /// Measure branches too
    #[arg(long, overrides_with = "no_branch")]
    pub branch: bool,

    /// Measure lines only
    #[arg(long, overrides_with = "branch")]
    pub no_branch: bool,

    /// Choose what measures
    ///
    /// `native` has the numbers of coverage's C tracer at a fraction of its cost: on CPython 3.12
    /// and newer only measured code is looked at. `coverage` is coverage's own core. `auto` takes
    /// the native core where it works and coverage is not told which core to take.
    #[arg(long, value_name = "CORE", value_enum, hide_short_help = true)]
    pub core: Option<Core>,
}

/// What is reported.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Reports")]
pub(crate) struct Reporting {
    /// Fail if less than PCT percent is covered
    ///
    /// Default: coverage's `fail_under`. Runs of a part of the suite are judged only if this
    /// stands on the command line. 0 means never.
    #[arg(long, value_name = "PCT", value_parser = bounds::percent, allow_negative_numbers = true)]
    pub fail_under: Option<f64>,

    /// Fail if a file is covered less than PCT percent
    ///
    /// Each measured file is judged, with coverage's precision. Partial runs as `--fail-under`.
    #[arg(long, value_name = "PCT", value_parser = bounds::percent, allow_negative_numbers = true, hide_short_help = true)]
    pub fail_under_file: Option<f64>,

    /// Fail if more than N lines are not covered
    ///
    /// Counts the statements that coverage reports as missing. Partial runs as `--fail-under`.
    #[arg(long, value_name = "N", value_parser = bounds::count, allow_negative_numbers = true, hide_short_help = true)]
    pub fail_uncovered_lines: Option<u32>,

    /// Fail if coverage falls below the baseline
    ///
    /// The baseline is `.coverage-baseline.json` in the project's folder, which is meant to be
    /// committed. The total may fall by POINTS percentage points, by default 0, as it is
    /// displayed. Partial runs are never compared.
    #[arg(
        long,
        value_name = "POINTS",
        value_parser = bounds::percent,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0"
    )]
    pub no_decrease: Option<f64>,

    /// Write the coverage as the new baseline
    ///
    /// Only of a complete run in which no test failed. Nothing is compared with the old one then.
    #[arg(long, hide_short_help = true)]
    pub update_baseline: bool,

    /// Report the coverage of what changed since BASE
    ///
    /// BASE is a commit or a branch. The lines are those that differ between the commit where
    /// HEAD left BASE and the files as they are, new files included.
    #[arg(long, value_name = "BASE", value_parser = text)]
    pub diff: Option<String>,

    /// Fail if less than PCT percent of that is covered
    ///
    /// Needs `--diff`. Partial runs as `--fail-under`.
    #[arg(long, value_name = "PCT", value_parser = bounds::percent, allow_negative_numbers = true, hide_short_help = true)]
    pub diff_fail_under: Option<f64>,

    /// Make these reports
    ///
    /// Some of term, html, xml, json, lcov and markdown, or none. Default: term,html.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = report)]
    pub report: Vec<Wanted>,
}

/// The options that stand on the command line or in a variable only.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct General {
    /// Which project.
    #[command(flatten)]
    pub chosen: Chosen,

    /// What is said.
    #[command(flatten)]
    pub output: Output,

    /// Which of several machines this is.
    #[command(flatten)]
    pub shards: Shards,

    /// Run at most N projects at once
    ///
    /// Default: as many as keep the machine busy; `max-concurrent-projects` in
    /// `[workspace.metadata.xtask]` is read too. 1 for projects that get into each other's way, by
    /// a port or a database say. Workers, memory and the failure budget are those of all projects
    /// together, whatever this number is.
    #[arg(long, value_name = "N", value_parser = bounds::workers, allow_negative_numbers = true)]
    #[arg(help_heading = "Parallel runs", hide_short_help = true)]
    pub max_concurrent_projects: Option<u32>,

    /// Run only what failed or did not run last time
    ///
    /// What failed in the last runs and has not passed since, and what an abort or Ctrl-C kept
    /// from running. Where there is nothing of the kind nothing runs, and the exit code is 0.
    #[arg(long, help_heading = "Running tests")]
    pub last_failed: bool,

    /// Run only what failed in the run of FILE
    ///
    /// `cargo xtask coverage export` writes such a file, on CI say. The tests are in the splits and
    /// units in which they were, with the same hash seed; nothing else is taken from the file. One
    /// that is not here makes the run incomplete, exit code 3.
    #[arg(long, value_name = "FILE", help_heading = "Running tests")]
    pub rerun: Option<Utf8PathBuf>,

    /// Run also what came before them
    ///
    /// With `--rerun`: the tests that ran before them in their units, for what passes alone.
    #[arg(long, help_heading = "Running tests", hide_short_help = true)]
    pub with_preceding: bool,

    /// Write a summary of the run to FILE, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub summary_json: Option<Utf8PathBuf>,

    /// Write what the scheduler hears and does to FILE
    ///
    /// Where FILE ends in `.json`, as a timeline that Perfetto (ui.perfetto.dev) and
    /// chrome://tracing open: what each worker ran when, beside the use of processors and memory.
    /// Else as JSON Lines: the rules, then every input and every action with the seconds since the
    /// start of the run; these belong to a bug report about what ran when. Not with the stock
    /// engine.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub trace: Option<Utf8PathBuf>,

    /// Write the tests' outcomes to FILE, as JUnit XML
    ///
    /// One file for all splits, as `pytest --junitxml` writes it; `--junitxml` in addopts is read
    /// too. Aborted and interrupted runs write what they have.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub junit: Option<Utf8PathBuf>,

    /// Open the HTML report, or the page of the run
    ///
    /// With `$BROWSER`, or what the desktop has for it. The page of the run, `run.html`, shows
    /// what ran when, the failures and the slowest tests; it is written without this too.
    #[arg(long, help_heading = "Output")]
    pub open: bool,

    /// Print the commands, run none of them
    #[arg(long, help_heading = "Output")]
    pub dry_run: bool,
}

/// What else a plan shows.
#[derive(Args, Clone, Debug, Default, PartialEq)]
struct Foresight {
    /// Show what a run would take, by number of workers
    ///
    /// Plays the schedule of the fork engine with the durations and costs that the last run of
    /// the whole suite has measured. Tests are taken to compute all the time: more workers than
    /// cores gain nothing.
    ///
    /// With `--shards N`: when N machines like this one would be through, each with what is its
    /// own and with `--tail`; and the same if one of them had half the speed.
    #[arg(long)]
    simulate: bool,
}

/// Which project.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Project")]
pub(crate) struct Chosen {
    /// Run these projects
    ///
    /// A folder, or the name of a project that the workspace lists. Default: the project around
    /// the current folder, or the workspace's default projects at its root.
    #[arg(short, long, value_name = "NAME|DIR", value_delimiter = ',', value_parser = text)]
    pub project: Vec<String>,

    /// Run all projects that the workspace lists
    ///
    /// Those under `projects` in `[workspace.metadata.xtask]` of its `Cargo.toml`; where none are
    /// listed, those with tests that no ignore file leaves out.
    #[arg(long, conflicts_with = "project")]
    pub all: bool,

    /// Run only what changes since BASE concern
    ///
    /// BASE is a commit or a branch. Of all projects, or of those named, the ones of which a file
    /// differs from the commit where HEAD left BASE, or a file of what they depend on by its path:
    /// poetry's and uv's sources, members of a uv workspace, editable and `file:` requirements.
    /// Where there are none nothing runs, and the exit code is 0.
    #[arg(long, value_name = "BASE", value_parser = text)]
    pub affected: Option<String>,

    /// Use this Python
    ///
    /// Default: the active environment, or the one that poetry, uv or pdm keep for the project,
    /// or its `.venv`, or one made for it.
    #[arg(long, value_name = "EXE", value_parser = text)]
    pub python: Option<String>,
}

/// What is said.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Use colours
    ///
    /// Default: auto, that is on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", value_enum)]
    pub color: Option<Color>,

    /// Print less
    ///
    /// Failing tests, the reports and the verdict remain.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more, with every setting and its origin
    #[arg(short, long)]
    pub verbose: bool,
}

/// What pytest gets.
#[derive(Args, Clone, Debug, Default, PartialEq)]
struct Pytest {
    /// Arguments for pytest, after `--`
    #[arg(last = true, value_name = "PYTEST_ARGS", help_heading = "Running tests")]
    args: Vec<String>,
}

/// How much of the machine to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// 2 splits at once, 3 workers each
    Conservative,
    /// 3 splits at once, 4 workers each
    Balanced,
    /// 4 splits at once, 6 workers each
    Aggressive,
}

impl Profile {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Profile::Conservative => "conservative",
            Profile::Balanced => "balanced",
            Profile::Aggressive => "aggressive",
        }
    }
}

/// What runs the tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The best that works here
    #[default]
    Auto,
    /// One collection, a fork for each test file
    Fork,
    /// One collection for each worker, no forks
    Spawn,
    /// pytest with its well-known plugins
    Stock,
}

impl Engine {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Fork => "fork",
            Engine::Spawn => "spawn",
            Engine::Stock => "stock",
        }
    }
}

/// Whether the suite is collected in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Collect {
    /// In parts where that is faster and changes nothing
    #[default]
    Auto,
    /// By one process
    Full,
    /// In parts wherever that changes nothing
    Sharded,
}

impl Collect {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Collect::Auto => "auto",
            Collect::Full => "full",
            Collect::Sharded => "sharded",
        }
    }
}

/// What measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Core {
    /// The native core where it measures the same
    #[default]
    Auto,
    /// Ours, which hears of measured code alone
    Native,
    /// coverage's own
    Coverage,
}

impl Core {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Core::Auto => "auto",
            Core::Native => "native",
            Core::Coverage => "coverage",
        }
    }
}

/// Which tests share a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolate {
    /// As many as starting a process is worth
    #[default]
    Auto,
    /// Those of a file
    File,
    /// All that a worker runs
    Worker,
}

impl Isolate {
    /// The name that is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isolate::Auto => "auto",
            Isolate::File => "file",
            Isolate::Worker => "worker",
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Whether to use colours: what is typed wins, then `NO_COLOR` and `TERM`, then the stream.
pub(crate) fn colour(
    choice: Color,
    no_color: Option<&str>,
    term: Option<&str>,
    is_tty: bool,
) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_tty && no_color.is_none_or(str::is_empty) && term != Some("dumb"),
    }
}

/// A word of `--report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No report at all.
    Nothing,
    /// This one.
    Report(ReportKind),
}

impl Limits {
    /// `--store-durations` or `--no-store-durations`.
    pub(crate) fn stores_durations(&self) -> Option<bool> {
        pair(self.store_durations, self.no_store_durations)
    }
}

impl Measure {
    /// `--branch` or `--no-branch`.
    pub(crate) fn branches(&self) -> Option<bool> {
        pair(self.branch, self.no_branch)
    }
}

fn pair(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}

impl General {
    /// What is given here, and from `other` what is not.
    fn or(self, other: General) -> General {
        let loud = if self.output.quiet || self.output.verbose { &self } else { &other };
        General {
            output: Output {
                color: self.output.color.or(other.output.color),
                quiet: loud.output.quiet,
                verbose: loud.output.verbose,
            },
            chosen: Chosen {
                project: match self.chosen.project.is_empty() {
                    true => other.chosen.project,
                    false => self.chosen.project.clone(),
                },
                affected: self.chosen.affected.clone().or(other.chosen.affected),
                all: self.chosen.all || (self.chosen.project.is_empty() && other.chosen.all),
                python: self.chosen.python.clone().or(other.chosen.python),
            },
            summary_json: self.summary_json.clone().or(other.summary_json.clone()),
            trace: self.trace.clone().or(other.trace.clone()),
            junit: self.junit.clone().or(other.junit.clone()),
            open: self.open || other.open,
            dry_run: self.dry_run || other.dry_run,
            last_failed: self.last_failed || other.last_failed,
            rerun: self.rerun.clone().or(other.rerun.clone()),
            with_preceding: self.with_preceding || other.with_preceding,
            max_concurrent_projects: self.max_concurrent_projects.or(other.max_concurrent_projects),
            shards: self.shards.or(other.shards),
        }
    }
}

fn text(word: &str) -> Result<String, String> {
    if word.is_empty() { Err("must not be empty".to_owned()) } else { Ok(word.to_owned()) }
}

fn report(word: &str) -> Result<Wanted, String> {
    if word == "none" {
        return Ok(Wanted::Nothing);
    }
    let kinds = [
        ReportKind::Term,
        ReportKind::Html,
        ReportKind::Xml,
        ReportKind::Json,
        ReportKind::Lcov,
        ReportKind::Markdown,
    ];
    let found = kinds.into_iter().find(|kind| kind.name() == word);
    found.map(Wanted::Report).ok_or_else(|| {
        format!("unknown report `{word}` (known: term, html, xml, json, lcov, markdown, none)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::stores::Store;

    fn read(line: &str, variables: &[(&str, &str)]) -> Result<Typed> {
        let words = shell_words::split(&format!("xtask {line}")).expect("words");
        let env = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        parse(words.into_iter().map(OsString::from), &env.collect())
    }

    fn typed(line: &str) -> Typed {
        read(line, &[]).expect(line)
    }

    fn refused(line: &str) -> String {
        let error = read(line, &[]).expect_err(line);
        let (clap, exit) = said(&error).expect("clap's own");
        assert_eq!(exit, Exit::Usage, "{line}");
        clap.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn tasks() {
        assert_eq!(typed("coverage").task, Task::Coverage);
        assert_eq!(typed("coverage plan --splits 3 -- -q").task, Task::Plan);
        assert_eq!(typed("coverage plan --splits 3 -- -q").options.pool.splits, Some(3));
        assert_eq!(typed("coverage plan --simulate").task, Task::Simulate);
        let variable = [("XTASK_SIMULATE", "1")];
        assert_eq!(read("coverage plan", &variable).expect("a task").task, Task::Simulate);
        assert_eq!(read("coverage", &variable).expect("a task").task, Task::Coverage);
        assert_eq!(typed("coverage report -p a --fail-under 80").task, Task::Report);
        assert_eq!(typed("coverage -- plan -x").pytest_args, ["plan", "-x"]);
        assert_eq!(typed("coverage verify --branch -- -k x").task, Task::Verify);
        assert_eq!(
            typed("coverage verify --branch -- -k x").options.measure.branches(),
            Some(true)
        );
        assert_eq!(typed("test --max-failures 3").task, Task::Test);
        assert_eq!(typed("test --max-failures 3").options.limits.max_failures, Some(3));
    }

    #[test]
    fn a_shard_is_a_split_of_as_many() {
        let typed_shard = typed("coverage --shard 3/12");
        assert_eq!(typed_shard.shard, Some(Shard { index: 3, total: 12 }));
        assert_eq!(typed_shard.options.pool.splits, Some(12));
        let gitlab = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")];
        let found = read("test --shard auto/4", &gitlab).expect("a shard");
        assert_eq!(found.shard, Some(Shard { index: 2, total: 4 }));
        let error = read("coverage --shard auto/2", &gitlab).expect_err("another total");
        assert_eq!(crate::exit::of(&error), Exit::Usage);
        let error = read("coverage --shard 1/2 --splits 3", &[]).expect_err("two numbers");
        assert!(error.to_string().contains("and `--splits` says 3"), "{error}");
        let again = "coverage --shard 1/2 --splits 2";
        assert_eq!(typed(again).options.pool.splits, Some(2));
        // Whoever combines or plans is no shard, whatever is around it.
        let slurm = [("SLURM_ARRAY_TASK_ID", "9"), ("XTASK_SHARD", "auto/4")];
        assert_eq!(read("coverage combine in", &slurm).expect("a task").shard, None);
        assert_eq!(read("coverage plan", &slurm).expect("a task").shard, None);
    }

    #[test]
    fn plans_and_combining() {
        let plan = typed("coverage plan --shards 4 --out plan.json");
        assert_eq!((plan.options.pool.splits, plan.planning.shards), (Some(4), Some(4)));
        let combine = typed("coverage combine a b --heal --junit j.xml -- -k x");
        assert_eq!(combine.task, Task::Combine);
        assert_eq!((combine.combining.folders.len(), combine.combining.heal), (2, true));
        assert_eq!(combine.pytest_args, ["-k", "x"]);
    }

    #[test]
    fn the_last_of_two_wins() {
        assert_eq!(typed("coverage --splits 2 --splits 3").options.pool.splits, Some(3));
        assert_eq!(typed("coverage --branch --no-branch").options.measure.branches(), Some(false));
        assert_eq!(typed("coverage -p a -p b,c").general.chosen.project, ["a", "b", "c"]);
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        let table = [
            (
                "coverage --splits 0",
                "error: invalid value '0' for '--splits <N>': must be at least 1",
            ),
            (
                "coverage --max-concurrent-splits -1",
                "error: invalid value '-1' for '--max-concurrent-splits <N>': must be at least 1",
            ),
            (
                "coverage --workers-per-split x",
                "error: invalid value 'x' for '--workers-per-split <N>': must be a whole number",
            ),
            (
                "coverage --max-failures -1",
                "error: invalid value '-1' for '--max-failures <N>': must be at least 0",
            ),
            (
                "coverage --fail-under 101",
                "error: invalid value '101' for '--fail-under <PCT>': must be between 0 and 100",
            ),
            (
                "coverage --fail-under -1",
                "error: invalid value '-1' for '--fail-under <PCT>': must be between 0 and 100",
            ),
            (
                "coverage --fail-under NaN",
                "error: invalid value 'NaN' for '--fail-under <PCT>': must be between 0 and 100",
            ),
            (
                "coverage --timeout 0",
                "error: invalid value '0' for '--timeout <SECS>': must be more than 0",
            ),
            (
                "coverage --report term,htm",
                "error: invalid value 'htm' for '--report <LIST>': unknown report `htm` (known: term, html, xml, json, lcov, markdown, none)",
            ),
            ("coverage --profile x", "error: invalid value 'x' for '--profile <PROFILE>'"),
            ("coverage -q -v", "error: the argument '--quiet' cannot be used with '--verbose'"),
            ("coverage --split 3", "error: unexpected argument '--split' found"),
            ("coverage tests", "error: unexpected argument 'tests' found"),
            ("nothing", "error: unrecognized subcommand 'nothing'"),
            ("coverage --splits 3 report", "error: unexpected argument 'report' found"),
            (
                "coverage --shard /",
                "error: invalid value '/' for '--shard <I/N>': lacks a number: is a variable of the engine empty?",
            ),
            (
                "coverage --shard 5/4",
                "error: invalid value '5/4' for '--shard <I/N>': there is no shard 5 of 4",
            ),
            ("coverage combine", "error: the following required arguments were not provided:"),
            ("test --branch", "error: unexpected argument '--branch' found"),
            ("test --fail-under 3", "error: unexpected argument '--fail-under' found"),
            ("coverage verify --report xml", "error: unexpected argument '--report' found"),
        ];
        for (line, message) in table {
            assert_eq!(refused(line), message);
        }
    }

    #[test]
    fn help_and_version_are_asked_for() {
        for line in ["--help", "--version", "coverage -h", "coverage plan --help", "help coverage"]
        {
            let error = read(line, &[]).expect_err(line);
            assert_eq!(said(&error).map(|(_, exit)| exit), Some(Exit::Passed), "{line}");
        }
    }

    #[test]
    fn variables_stand_in_for_what_is_not_typed() {
        let variables = [
            ("XTASK_PROJECT", "a,b"),
            ("XTASK_AFFECTED", "main"),
            ("XTASK_PYTHON", "py"),
            ("XTASK_COLOR", "never"),
            ("XTASK_VERBOSE", "1"),
            ("XTASK_QUIET", "0"),
            ("XTASK_OPEN", "1"),
            ("XTASK_DRY_RUN", "true"),
            ("XTASK_LAST_FAILED", "1"),
            ("XTASK_RERUN", "f.json"),
            ("XTASK_WITH_PRECEDING", "1"),
            ("XTASK_MAX_CONCURRENT_PROJECTS", "3"),
            ("XTASK_SUMMARY_JSON", "s.json"),
            ("XTASK_TRACE", "t.jsonl"),
            ("XTASK_JUNIT", "j.xml"),
            ("XTASK_SHARD", "auto/1"),
            ("XTASK_OUT", "o"),
            ("XTASK_PLAN", "p.json"),
            ("XTASK_TAIL", "/c"),
            ("XTASK_EXIT_ZERO_ON_TEST_FAILURE", "1"),
        ];
        let general = General {
            chosen: Chosen {
                project: vec!["a".into(), "b".into()],
                all: false,
                affected: Some("main".into()),
                python: Some("py".into()),
            },
            output: Output { color: Some(Color::Never), quiet: false, verbose: true },
            summary_json: Some("s.json".into()),
            trace: Some("t.jsonl".into()),
            junit: Some("j.xml".into()),
            open: true,
            dry_run: true,
            last_failed: true,
            rerun: Some("f.json".into()),
            with_preceding: true,
            max_concurrent_projects: Some(3),
            shards: Shards {
                shard: Some(engines::Wanted::Auto(1)),
                out: Some("o".into()),
                plan: Some("p.json".into()),
                tail: Some(Store::Folder("/c".into())),
                exit_zero_on_test_failure: true,
            },
        };
        assert_eq!(read("coverage", &variables).expect("a task").general, general);
        let line = "coverage -p c --affected next --python x --color always -q --summary-json t.json --junit k.xml --trace u.jsonl \
                    --open --dry-run --last-failed --rerun g.json --with-preceding --shard 1/1 --out q --plan r.json --tail d \
                    --exit-zero-on-test-failure --max-concurrent-projects 4";
        assert_eq!(read(line, &variables).expect("a task").general, typed(line).general);
        let empty = variables.map(|(name, _)| (name, ""));
        assert_eq!(read("coverage", &empty).expect("a task").general, General::default());
    }

    #[test]
    fn wrong_variables_are_named() {
        let error = read("coverage", &[("XTASK_COLOR", "x")]).expect_err("a wrong colour");
        assert_eq!(crate::exit::of(&error), Exit::Usage);
        assert_eq!(error.to_string(), "`XTASK_COLOR` is `x`: known are auto, always, never");
    }

    /// One line of the short help is a phrase: no full stop, and short enough to be read.
    #[test]
    fn short_help_is_short() {
        let coverage = command().find_subcommand("coverage").cloned().expect("coverage");
        let test = command().find_subcommand("test").cloned().expect("test");
        let commands = coverage.get_subcommands().chain([&coverage, &test]);
        for arg in commands.flat_map(clap::Command::get_arguments) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.ends_with('.') && help.len() <= 48,
                "{}: {help}",
                arg.get_id()
            );
        }
    }

    #[test]
    fn who_decides_about_colour() {
        let table = [
            (Color::Auto, None, None, true, true),
            (Color::Auto, None, Some("xterm"), true, true),
            (Color::Auto, None, Some("dumb"), true, false),
            (Color::Auto, Some("1"), None, true, false),
            (Color::Auto, Some(""), None, true, true),
            (Color::Auto, None, None, false, false),
            (Color::Always, Some("1"), Some("dumb"), false, true),
            (Color::Never, None, None, true, false),
        ];
        for (choice, no_color, term, is_tty, wanted) in table {
            assert_eq!(colour(choice, no_color, term, is_tty), wanted, "{choice:?} {no_color:?}");
        }
    }
}
