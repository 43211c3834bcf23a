//! `cargo xtask coverage export`: what failed in a run, as one file for another machine.

use std::time::SystemTime;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::exit::{self, Exit};
use crate::files;
use crate::invocation::Invocation;
use crate::layout::RERUN;
use crate::model::format::count;
use crate::prepare::rerun;
use crate::project::{Project, State};
use crate::shard::manifest;

/// Writes the file. It was made when the run ended: nothing is run or collected here.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let exporting = &invocation.typed.exporting;
    let Some(out) = &exporting.out else {
        return Err(exit::usage("`--out FILE` says where the file goes, and is not there").into());
    };
    let folder = match &exporting.folder {
        Some(folder) => invocation.here.join(folder),
        None => last(&State::of(project, invocation.workspace))?,
    };
    let Some(from) = file_in(&folder)? else {
        return Err(exit::no_tests(format!(
            "nothing failed in the run of `{folder}`: there is no `{RERUN}`"
        ))
        .into());
    };
    let (file, text) = rerun::open(&from, from.as_str())?;
    let out = invocation.here.join(out);
    files::write_output(&out, &text)
        .with_context(|| exit::usage(format!("failed to write `{out}`")))?;
    let tests = count(file.tests.len() as u64, "test");
    invocation.screen.say(&format!("What failed, {tests}: {out}"));
    invocation.screen.note("elsewhere, at the same commit: cargo xtask coverage --rerun FILE");
    Ok(Exit::Passed)
}

/// What failed, in the folder of a run or of a shard.
fn file_in(folder: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let what = || exit::usage(format!("failed to read `{folder}`"));
    let (mut found, mut shards) = (Vec::new(), false);
    for entry in folder.read_dir_utf8().with_context(what)? {
        let entry = entry.with_context(what)?;
        let name = entry.file_name();
        if name == RERUN || name.starts_with("shard-") && name.ends_with(manifest::RERUN) {
            found.push(entry.into_path());
        } else {
            shards |= name.starts_with("shard-") && entry.path().is_dir();
        }
    }
    if shards || found.len() > 1 {
        let why = "combine what is in it, then export that run: `cargo xtask coverage combine DIR`";
        return Err(exit::usage(format!("`{folder}` is of several shards; {why}")).into());
    }
    Ok(found.pop())
}

/// The folder of the last run, of `cargo xtask coverage` or `cargo xtask test`.
fn last(state: &State) -> Result<Utf8PathBuf> {
    let folders = [state.clone(), state.of_tests()].map(|it| it.names.last(0).0);
    let newest = folders.into_iter().filter_map(|it| Some((began(&it)?, it))).max();
    let none = || exit::usage("no run has left anything; run `cargo xtask coverage` first");
    newest.map(|(_, folder)| folder).ok_or_else(|| none().into())
}

/// When a run began: its folders are made then, and are not changed after.
fn began(folder: &Utf8Path) -> Option<SystemTime> {
    folder.metadata().and_then(|it| it.modified()).ok()
}
