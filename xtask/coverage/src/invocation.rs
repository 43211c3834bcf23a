//! What was typed, and where: the same for every task and each project of one invocation.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::Typed;
use crate::engine::jobserver::Client;
use crate::env::Env;
use crate::exit;
use crate::project::Workspace;
use crate::report::joint::Answers;
use crate::screen::Screen;

/// What every task of one invocation shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) typed: &'a Typed,
    /// The folder in which it was typed.
    pub(crate) here: &'a Utf8Path,
    /// The environment variables.
    pub(crate) env: &'a Env,
    /// Where things are said.
    pub(crate) screen: &'a Screen,
    /// The Cargo workspace that this was typed in.
    pub(crate) workspace: Option<&'a Workspace>,
    /// What `--open` is to show.
    pub(crate) pages: &'a RefCell<Vec<Utf8PathBuf>>,
    /// Where several projects are to have one answer: what came of each.
    pub(crate) joint: Option<&'a Answers>,
    /// Where this is one of several runs that share processes and the failure budget.
    pub(crate) jobserver: Option<&'a Arc<Client>>,
}

pub(crate) fn here() -> Result<Utf8PathBuf> {
    let here = std::env::current_dir().context(exit::usage("failed to read the current folder"))?;
    Utf8PathBuf::try_from(here).map_err(|error| {
        exit::usage(format!("the current folder's name is not UTF-8: {error}")).into()
    })
}
