//! Where a setting's value comes from.

use std::fmt;

use crate::cli::Profile;

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting<T> {
    /// What holds.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value from somewhere.
    pub(crate) fn new(value: T, origin: Origin) -> Setting<T> {
        Setting { value, origin }
    }

    /// The same origin with what the value means.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Typed, before or after `--`.
    CommandLine,
    /// This environment variable.
    Env(String),
    /// `[tool.xtask.coverage]` in the project's `pyproject.toml`.
    Project,
    /// pytest's addopts.
    Addopts,
    /// Another tool's configuration file: coverage's or pytest's. Its name.
    File(String),
    /// A plugin of coverage that configures it. Its name.
    Plugin(String),
    /// `[workspace.metadata.xtask.coverage]` in the workspace's `Cargo.toml`.
    Workspace,
    /// `--profile`.
    Profile(Profile),
    /// What the machine has: `2 cores`, `1.5 GiB of memory`.
    Machine(String),
    /// The folders that are there.
    Layout,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::CommandLine => f.write_str("command line"),
            Origin::Env(name) | Origin::File(name) => f.write_str(name),
            Origin::Plugin(name) => write!(f, "coverage's plugin {name}"),
            Origin::Project => f.write_str("pyproject.toml [tool.xtask.coverage]"),
            Origin::Addopts => f.write_str("addopts"),
            Origin::Workspace => f.write_str("Cargo.toml [workspace.metadata.xtask.coverage]"),
            Origin::Profile(profile) => write!(f, "profile {}", profile.name()),
            Origin::Machine(what) => f.write_str(what),
            Origin::Layout => f.write_str("the project's folders"),
            Origin::Default => f.write_str("default"),
        }
    }
}
