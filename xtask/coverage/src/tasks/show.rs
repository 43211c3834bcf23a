//! Options of pytest that show something and run no test (`--collect-only`, `--fixtures`,
//! `--setup-plan`): its own output is passed on, and its exit status. Nothing is measured, judged
//! or remembered.

use anyhow::{Context, Result};

use crate::engine::child;
use crate::exit::{self, Exit};
use crate::invocation::Invocation;
use crate::prepare::{Prepared, job, stock};
use crate::project::Project;
use crate::settings::Setting;

/// What pytest shows, where that is all that was asked for.
pub(super) fn instead(
    invocation: &Invocation<'_>,
    project: &Project,
    prepared: &Prepared,
) -> Result<Option<Exit>> {
    let Some(Setting { value: option, origin }) = &prepared.settings.only_shows else {
        return Ok(None);
    };
    let general = &invocation.typed.general;
    let runs = [("--last-failed", general.last_failed), ("--rerun", general.rerun.is_some())];
    if let Some((typed, _)) = runs.iter().find(|(_, is_typed)| *is_typed) {
        let why = format!("`{typed}` runs tests, and `{option}` ({origin}) runs none");
        return Err(exit::usage(why).into());
    }
    let mut words = vec![prepared.interpreter.executable.to_string()];
    words.extend(["-m", "pytest"].map(str::to_owned));
    words.extend(job::pytest_args(prepared));
    words.extend(stock::args(prepared));
    if invocation.typed.general.dry_run {
        invocation.screen.say(&shell_words::join(&words));
        return Ok(Some(Exit::Passed));
    }
    let note = format!("note: with `{option}` ({origin}) pytest runs no test; this is its output");
    invocation.screen.note(&note);
    invocation.screen.flush();
    let status = duct::cmd(&words[0], &words[1..]).dir(&project.root).unchecked().run();
    let status = status.with_context(|| format!("failed to start `{}`", words[0]))?.status;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(Some(Exit::Pytest(code))),
        None => anyhow::bail!("pytest was ended by {}", child::describe(status)),
    }
}

/// For tasks that need a run.
pub(super) fn refuse(prepared: &Prepared, what: &str) -> Result<()> {
    match &prepared.settings.only_shows {
        Some(Setting { value: option, origin }) => {
            let why = format!("with `{option}` ({origin}) pytest runs no test, so {what}");
            Err(exit::usage(why).into())
        }
        None => Ok(()),
    }
}
