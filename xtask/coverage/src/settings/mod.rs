//! What was meant: every setting of a run, with its origin. Everything is read by now; nothing
//! here touches the disk, the clock or a process.

pub mod addopts;
pub(crate) mod layer;
mod origin;

pub use addopts::Addopts;
pub use origin::{Origin, Setting};

use anyhow::Result;
use camino::Utf8Path;
use toml::Table;

use crate::cli::{Engine, Env, Options};
use crate::machine::Machine;
use crate::project::{Facts, Pyproject, Workspace};
use crate::report::coverage::Kind;

/// All that settings are made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Typed.
    pub options: &'a Options,
    /// Typed after `--`.
    pub pytest_args: &'a [String],
    /// The environment.
    pub env: &'a Env,
    /// The project's own table.
    pub project: Configured<'a>,
    /// The workspace's table.
    pub workspace: Configured<'a>,
    /// What pytest and coverage are configured to do.
    pub facts: &'a Facts,
    /// The project's folder.
    pub root: &'a Utf8Path,
    /// `tests` or `test`, whichever is there.
    pub test_folder: Option<&'a str>,
    /// What the machine has.
    pub machine: &'a Machine,
    /// MiB that a worker needed in an earlier run.
    pub memory_per_worker: Option<u64>,
}

/// A table of settings, and the folder of the file it stands in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configured<'a> {
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
pub fn test_folder(root: &Utf8Path) -> Option<&'static str> {
    ["tests", "test"].into_iter().find(|name| root.join(name).is_dir())
}

/// Every setting of a run of one project.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Into how many splits the suite is cut.
    pub splits: Setting<usize>,
    /// How many of them run at once.
    pub max_concurrent_splits: Setting<usize>,
    /// Workers of each.
    pub workers_per_split: Setting<usize>,
    /// After how many failures everything stops; 0 means never.
    pub max_failures: Setting<usize>,
    /// Seconds for one test. None where the project limits it with pytest-timeout itself.
    pub timeout: Option<Setting<f64>>,
    /// What runs the tests.
    pub engine: Setting<Engine>,
    /// What is measured; empty where coverage's own configuration decides.
    pub sources: Setting<Vec<String>>,
    /// Whether branches are measured; none where coverage's own configuration decides.
    pub branch: Option<Setting<bool>>,
    /// Percent.
    pub fail_under: Option<Setting<f64>>,
    /// The threshold was typed, so that it holds for partial runs too.
    pub fail_under_on_command_line: bool,
    /// Which reports to make.
    pub reports: Setting<Vec<Kind>>,
    /// coverage's configuration file, where `--cov-config` names one.
    pub cov_config: Option<Setting<String>>,
    /// `--cov-context`: `test` is all pytest-cov knows.
    pub cov_context: Option<Setting<String>>,
    /// Whether `.test_durations` is written.
    pub store_durations: Setting<bool>,
    /// What addopts ask for, as pytest will read them again.
    pub addopts: Addopts,
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
pub struct Row {
    /// The option's name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

impl Settings {
    /// Weighs all that was said.
    pub fn read(inputs: &Inputs<'_>) -> Result<Settings> {
        let _ = inputs;
        Err(crate::exit::usage("settings are not read yet").into())
    }

    /// Every setting, for `-v`.
    pub fn rows(&self) -> Vec<Row> {
        Vec::new()
    }
}
