//! `cargo xtask init`: `cargo xtask coverage` in somebody else's repository. All is read and
//! thought out first, then shown, compared or written.

mod diff;
mod edits;
mod package;
mod plan;
mod survey;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use self::plan::{Change, Plan};
use self::survey::Survey;
use crate::cli::Init;
use crate::exit::{self, Exit};
use crate::files;
use crate::model::format::count;
use crate::screen::Screen;

/// Does, or shows, what is missing in the repository.
pub(super) fn run(asked: &Init, here: &Utf8Path, screen: &Screen) -> Result<Exit> {
    let folder = here.join(&asked.folder);
    let folder = folder.canonicalize_utf8().with_context(|| {
        exit::usage(format!("`{folder}` is no folder that can be opened; `mkdir -p` it first"))
    })?;
    let survey = Survey::of(&folder)?;
    let dependency = package::dependency(asked, here, &survey)?;
    let Plan { changes, existing, .. } = plan::plan(&survey, &dependency)?;
    if asked.check || asked.dry_run {
        changes.iter().for_each(|change| screen.say(diff::diff(&folder, change).trim_end()));
    } else {
        changes.iter().try_for_each(write)?;
    }
    say(asked, screen, &folder, &changes);
    if let Some(existing) = &existing {
        screen.say(&package::to_add(existing, &dependency, &folder));
    }
    if asked.check && !changes.is_empty() {
        return Ok(Exit::Usage);
    }
    Ok(Exit::Passed)
}

fn write(change: &Change) -> Result<()> {
    // A link leads to the file that is meant.
    let path = change.path.canonicalize_utf8().unwrap_or_else(|_| change.path.clone());
    files::replace(&path, &change.after)
        .with_context(|| exit::usage(format!("failed to write `{path}`")))
}

fn say(asked: &Init, screen: &Screen, folder: &Utf8Path, changes: &[Change]) {
    let paint = screen.paint();
    if changes.is_empty() {
        return screen.say(&paint.green(&format!("✓ nothing to do in {folder}")));
    }
    let files = count(changes.len() as u64, "file");
    if asked.check {
        let line = format!("✗ {files} to be changed; `cargo xtask init` does it");
        return screen.say(&paint.red(&line));
    }
    if asked.dry_run {
        return screen.say(&format!("{files} would be written"));
    }
    for Change { path, before, .. } in changes {
        let what = if before.is_some() { "changed" } else { "new" };
        let path: Utf8PathBuf = path.strip_prefix(folder).unwrap_or(path).to_path_buf();
        screen.say(&format!("{} {path} ({what})", paint.green("✓")));
    }
    screen.say("Next: `cargo xtask setup`, then `cargo xtask coverage`");
}
