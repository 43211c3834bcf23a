//! The commands that run no tests: they set up a repository and its environments, and look for
//! what may go wrong.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{Chosen, General, Options, Output, Task, Typed};

/// Make the projects' environments, or bring them up to date
///
/// With the tool that each project uses: poetry, uv, pdm, or pip in an environment of its own.
/// Lock files stay as they are. At the workspace's root all projects that it lists are set up,
/// elsewhere the one around the current folder. Where all is there, nothing is done.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Setup {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
}

/// Look for what may go wrong, and say how to mend it
///
/// Interpreters, tools and their versions, plugins that are asked for and missing, lock files,
/// settings that contradict each other, names that clash, limits of the machine, stale data.
/// Nothing is changed, and no test is run or imported. An error, not a warning, ends with exit
/// code 4.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Doctor {
    /// Print the findings as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
}

/// Put `cargo xtask coverage` into a repository
///
/// Adds an alias to `.cargo/config.toml`, a small package `xtask` that depends on
/// `xtask-coverage`, the package to the Cargo workspace, the Python projects that are found to
/// its `[workspace.metadata.xtask]`, and lines to `.gitignore`. What is there stays, comments
/// too; what is done already is not done again. Files that are not its own are never
/// overwritten.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(args_override_self = true)]
pub(crate) struct Init {
    /// The repository's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: Utf8PathBuf,

    /// Show what would be changed, change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Fail if anything would be changed
    ///
    /// For CI: exit code 4, with the changes that are missing.
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,

    /// Choose where `xtask-coverage` comes from
    ///
    /// `path`: a folder, by default the one that this program was built from. `git`: a
    /// repository. `version`: crates.io.
    #[arg(long, value_name = "KIND", value_enum)]
    pub source: Option<Source>,

    /// The folder of `xtask-coverage`
    #[arg(long, value_name = "DIR")]
    pub path: Option<Utf8PathBuf>,

    /// The URL of a git repository that holds it
    #[arg(long, value_name = "URL")]
    pub git: Option<String>,

    /// The commit, tag or branch there
    #[arg(long, value_name = "REV", requires = "git")]
    pub rev: Option<String>,

    /// The version on crates.io
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// What is said.
    #[command(flatten)]
    pub output: Output,
}

/// Where the library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// A folder
    Path,
    /// A git repository
    Git,
    /// crates.io
    Version,
}

impl Setup {
    pub(super) fn typed(self) -> Typed {
        typed(Task::Setup, self.chosen, self.output)
    }
}

impl Doctor {
    pub(super) fn typed(self) -> Typed {
        typed(Task::Doctor { json: self.json }, self.chosen, self.output)
    }
}

impl Init {
    pub(super) fn typed(self) -> Typed {
        let output = self.output.clone();
        Typed { init: Some(self), ..typed(Task::Init, Chosen::default(), output) }
    }
}

fn typed(task: Task, chosen: Chosen, output: Output) -> Typed {
    Typed {
        task,
        options: Options::default(),
        general: General { chosen, output, ..General::default() },
        ..Typed::default()
    }
}
