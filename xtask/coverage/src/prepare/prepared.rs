//! A project that is ready to run, and all that is known of it.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::engine::seed::HashSeed;
use crate::history::History;
use crate::project::{Facts, Interpreter, Lock, Project, State};
use crate::settings::Settings;

/// A project, ready to run.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Where we keep things.
    pub(crate) state: State,
    /// Folders that are ours: nothing in them is the project's source.
    pub(crate) private: Vec<Utf8PathBuf>,
    /// What runs it.
    pub(crate) interpreter: Interpreter,
    /// What it says of itself.
    pub(crate) facts: Facts,
    /// What the user wants.
    pub(crate) settings: Settings,
    /// Coverage has a part in it.
    pub(crate) measures: bool,
    /// The library of the native core, or why coverage's own measures.
    pub(crate) core: Result<Utf8PathBuf, String>,
    /// What the last run left.
    pub(crate) history: History,
    /// Of every Python that runs tests.
    pub(crate) hash_seed: HashSeed,
    /// How long all this took.
    pub(crate) took: Duration,
    /// No other run of this project goes on while this lives.
    pub(crate) lock: Lock,
}

impl Prepared {
    /// How many processes run tests at once.
    pub(crate) fn slots(&self) -> usize {
        self.settings.all_workers() as usize
    }

    /// Where node ids begin.
    pub(crate) fn rootdir(&self, project: &Project) -> Utf8PathBuf {
        let pytest = self.facts.pytest.as_ref();
        pytest.map_or_else(|| project.root.clone(), |pytest| pytest.rootdir.clone())
    }

    /// pytest-xdist is there and not switched off.
    pub(super) fn has_xdist(&self) -> bool {
        self.facts.packages.contains_key("pytest-xdist") && !self.settings.plugins.blocks("xdist")
    }
}
