//! Reads what shards have left. It comes from other machines, by ways that lose, mix and cut
//! short: nothing of it is believed that cannot be checked, and nothing outside of the folders
//! that were named is read.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::check::{Broken, Found};
use super::manifest::{Delivered, MANIFEST, Manifest, plain};
use crate::digest;
use crate::exit;

/// A manifest has some KB; with ten thousand shards, a MB.
const MOST_MANIFEST: u64 = 16 << 20;

/// What became of the tests: of hundreds of thousands with long failures.
const MOST_TESTS: u64 = 512 << 20;

/// How deep folders are looked into: artifacts are unpacked into folders of folders.
const DEPTH: usize = 5;

/// How many folders and files there may be.
const ENTRIES: usize = 200_000;

/// All that lies in these folders, and below them.
pub(crate) fn look(folders: &[Utf8PathBuf]) -> Result<(Vec<Found>, Vec<Broken>)> {
    let mut manifests = Vec::new();
    let mut left = ENTRIES;
    for folder in folders {
        if !folder.is_dir() {
            return Err(exit::usage(format!("`{folder}` is no folder")).into());
        }
        walk(folder, DEPTH, &mut left, &mut manifests)?;
    }
    manifests.sort();
    manifests.dedup();
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for place in manifests {
        match manifest(&place) {
            Ok(manifest) => {
                let damage = damage(&place, &manifest);
                found.push(Found { place, manifest, damage });
            }
            Err(why) => broken.push(Broken { place, why }),
        }
    }
    Ok((found, broken))
}

/// Links are not followed: they may lead anywhere, and round and round.
fn walk(
    folder: &Utf8Path,
    depth: usize,
    left: &mut usize,
    manifests: &mut Vec<Utf8PathBuf>,
) -> Result<()> {
    let entries = folder.read_dir_utf8().with_context(|| format!("failed to read `{folder}`"))?;
    // A name that is not UTF-8 is none of ours.
    for entry in entries.flatten() {
        *left = left.checked_sub(1).ok_or_else(|| {
            exit::usage(format!(
                "more than {ENTRIES} files around `{folder}`: name the folders of shards"
            ))
        })?;
        let kind = entry.file_type();
        if entry.file_name().ends_with(MANIFEST) {
            manifests.push(entry.path().to_owned());
        } else if depth > 0 && kind.is_ok_and(|kind| kind.is_dir()) {
            // A draft that its writer did not live to finish.
            let hidden = entry.file_name().starts_with('.');
            if !hidden {
                walk(entry.path(), depth - 1, left, manifests)?;
            }
        }
    }
    Ok(())
}

fn manifest(place: &Utf8Path) -> Result<Manifest, String> {
    let text = text(place, MOST_MANIFEST)?;
    Manifest::read(place.file_name().unwrap_or_default(), &text)
}

/// The text of a file of no more than so many bytes.
fn text(place: &Utf8Path, most: u64) -> Result<String, String> {
    let file = open(place)?;
    let mut text = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > most {
        return Err(format!("is larger than {} MiB", most >> 20));
    }
    String::from_utf8(text).map_err(|_| "is damaged: it is not UTF-8".to_owned())
}

/// A regular file, and no link to one.
fn open(place: &Utf8Path) -> Result<File, String> {
    let what = match fs::symlink_metadata(place) {
        Ok(what) => what,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("is missing".to_owned());
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if what.is_symlink() {
        return Err("is a symbolic link".to_owned());
    }
    if !what.is_file() {
        return Err("is no regular file".to_owned());
    }
    // Should it become a link, or a pipe, meanwhile.
    let flags = O_NOFOLLOW | O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(place);
    file.map_err(|error| format!("cannot be read: {error}"))
}

/// What is not as the manifest has it.
fn damage(place: &Utf8Path, manifest: &Manifest) -> Vec<String> {
    let folder = place.parent().unwrap_or(place);
    let wrong = manifest.files.iter().filter_map(|file| {
        let why = compare(&folder.join(&file.name), file).err()?;
        Some(format!("`{}` {why}", plain(folder.join(&file.name).as_str())))
    });
    wrong.collect()
}

fn compare(path: &Utf8Path, file: &Delivered) -> Result<(), String> {
    let from = open(path)?;
    let size = from.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    let why = match size {
        0 if file.size > 0 => Some("is empty".to_owned()),
        size if size < file.size => Some(format!("is cut short: {size} of {} bytes", file.size)),
        size if size > file.size => Some(format!("has {size} bytes, not {}", file.size)),
        _ => None,
    };
    if let Some(why) = why {
        return Err(why);
    }
    // No more than was announced, should it grow.
    let read = digest::of_reader(from.take(file.size + 1))
        .map_err(|error| format!("cannot be read: {error}"))?;
    match read == (file.size, file.digest.clone()) {
        true => Ok(()),
        false => Err("is not what was written: its digest is another".to_owned()),
    }
}

/// What became of the tests of a shard.
pub(crate) fn tests(found: &Found) -> Result<String, String> {
    let name = format!("{}{}", found.manifest.shard().name(), super::manifest::TESTS);
    let folder = found.place.parent().unwrap_or(&found.place);
    if !found.manifest.files.iter().any(|file| file.name == name) {
        return Err("does not say what became of the tests".to_owned());
    }
    text(&folder.join(name), MOST_TESTS)
}

/// Copies a data file to where nobody changes it any more.
pub(crate) fn take(found: &Found, file: &Delivered, target: &Utf8Path) -> Result<(), String> {
    let folder = found.place.parent().unwrap_or(&found.place);
    let copy = || -> Result<(u64, String)> {
        let from = open(&folder.join(&file.name)).map_err(anyhow::Error::msg)?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut to = File::create(target)?;
        let mut from = Tee { from: from.take(file.size + 1), to: &mut to };
        let read = digest::of_reader(&mut from)?;
        to.flush()?;
        Ok(read)
    };
    match copy() {
        Ok(read) if read == (file.size, file.digest.clone()) => Ok(()),
        Ok(_) => Err("is not what was written: its digest is another".to_owned()),
        Err(error) => Err(format!("cannot be copied: {error:#}")),
    }
}

/// Writes what is read.
struct Tee<'a, R: Read> {
    from: R,
    to: &'a mut File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.to.write_all(&buffer[..read])?;
        Ok(read)
    }
}
