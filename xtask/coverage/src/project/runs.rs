//! The folders of runs: a new one for each run, of which the last three stay, and others for what
//! is no run, which leave these alone. Whoever makes one holds the lock of the state folder.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::{Lock, State};
use crate::exit;
use crate::layout::{RunFolder, TEMPORARY};

/// How many runs keep their folders.
const KEPT: usize = 3;

/// The folder of a new run, to which `runs/last` leads from now on. Of the earlier ones two stay: their
/// logs, which messages have named, are there until then.
pub(crate) fn begin(state: &State, lock: &Lock) -> Result<RunFolder> {
    let runs = state.names.runs();
    state.create(&runs)?;
    let earlier = numbers(&runs)?;
    let number = earlier.last().map_or(1, |last| last.saturating_add(1));
    let folder = state.names.run(number);
    let folder = emptied(state, folder, lock)?;
    let too_many = (earlier.len() + 1).saturating_sub(KEPT);
    for old in &earlier[..too_many] {
        // Files of somebody else, perhaps of root in a container: the next run tries again.
        let _ = fs::remove_dir_all(state.names.run(*old).root());
    }
    let (link, target) = state.names.last(number);
    point(&link, &target);
    Ok(folder)
}

/// Makes a folder of a run, and takes from it what is there of an earlier one.
pub(crate) fn emptied(state: &State, folder: RunFolder, _lock: &Lock) -> Result<RunFolder> {
    for part in [folder.parts(), folder.logs()] {
        match fs::remove_dir_all(&part) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let what = exit::usage(format!("failed to empty `{part}`"));
                return Err(anyhow::Error::new(error).context(what));
            }
        }
        state.create(&part)?;
    }
    Ok(folder)
}

/// A folder for what is to be gone when it is dropped.
pub(crate) fn temporary(state: &State, lock: &Lock) -> Result<(TempDir, RunFolder)> {
    state.create(state.dir())?;
    let made = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(state.dir())
        .with_context(|| exit::usage(format!("failed to make a folder in `{}`", state.dir())))?;
    let folder = RunFolder::at(Utf8PathBuf::try_from(made.path().to_owned())?);
    Ok((made, emptied(state, folder, lock)?))
}

/// Removes what commands that were killed have left of these.
pub(super) fn sweep(state: &State, _lock: &Lock) {
    let entries = state.dir().read_dir_utf8().into_iter().flatten().flatten();
    for left in entries.filter(|entry| entry.file_name().starts_with(TEMPORARY)) {
        let _ = fs::remove_dir_all(left.path());
    }
}

/// The numbers of the runs that have folders, in order.
fn numbers(runs: &Utf8Path) -> Result<Vec<u64>> {
    let what = || exit::usage(format!("failed to read `{runs}`"));
    let mut numbers = Vec::new();
    for entry in runs.read_dir_utf8().with_context(what)? {
        numbers.extend(entry.with_context(what)?.file_name().parse::<u64>());
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Has a symbolic link lead to this place. Where there can be none there is none: it is for people.
fn point(link: &Utf8Path, target: &Utf8Path) {
    let new = link.with_extension("new");
    let _ = fs::remove_file(&new);
    if symlink(target, &new).and_then(|()| fs::rename(&new, link)).is_err() {
        let _ = fs::remove_file(&new);
        let _ = fs::remove_file(link);
    }
}
