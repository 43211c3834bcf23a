//! Writes the folder of a shard: complete, or not there at all.

use std::fs::{self, File};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::manifest::{Delivered, MANIFEST, Manifest, RERUN, TESTS};
use crate::digest;
use crate::exit;
use crate::files;
use crate::model::Origin;

/// A data file of a run, and who wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data<'a> {
    /// Where it is.
    pub file: &'a Utf8Path,
    pub origin: Origin,
}

/// What else there is to be delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents<'a> {
    /// Coverage.
    pub data: &'a [Data<'a>],
    /// What became of the tests, as JSON.
    pub tests: &'a str,
    /// What failed, for another machine to run again.
    pub rerun: Option<&'a str>,
}

/// Takes away what another run has left of this shard; what an earlier attempt of the same run has
/// left stays until there is something better.
pub(crate) fn clear(out: &Utf8Path, like: &Manifest) -> Result<()> {
    let folder = out.join(like.shard().name());
    let is_same_run = |known: &Manifest| like.run.is_some() && known.run == like.run;
    match known(&folder, like)? {
        Some(known) if is_same_run(&known) => Ok(()),
        None if !folder.exists() => Ok(()),
        _ => remove(&folder),
    }
}

/// Writes the folder into `out`, and says where it is. The manifest is completed with what there
/// is of files.
pub(crate) fn deliver(
    out: &Utf8Path,
    manifest: Manifest,
    contents: &Contents<'_>,
) -> Result<Utf8PathBuf> {
    let name = manifest.shard().name();
    let (folder, draft) = (out.join(&name), out.join(format!(".{name}.{}", std::process::id())));
    let what = || format!("failed to write the shard to `{folder}`");
    if draft.exists() {
        remove(&draft)?;
    }
    fs::create_dir_all(&draft).with_context(what)?;
    let written = write(&draft, &name, manifest, contents)
        .and_then(|manifest| put(&draft, &folder, &manifest))
        .with_context(what);
    if draft.exists() {
        remove(&draft)?;
    }
    written?;
    Ok(folder.canonicalize_utf8().unwrap_or(folder))
}

fn write(
    draft: &Utf8Path,
    name: &str,
    mut manifest: Manifest,
    contents: &Contents<'_>,
) -> Result<Manifest> {
    manifest.files.clear();
    let mut numbers = std::collections::BTreeMap::<&str, usize>::new();
    for data in contents.data {
        let kind = kind(data.origin);
        let number = numbers.entry(kind).or_default();
        *number += 1;
        let file = format!("{name}.{kind}-{number}.coverage");
        let target = draft.join(&file);
        fs::copy(data.file, &target).with_context(|| format!("failed to copy `{}`", data.file))?;
        manifest.files.push(described(&target, file, Some(data.origin))?);
    }
    let texts = [(TESTS, Some(contents.tests)), (RERUN, contents.rerun)];
    for (kind, text) in texts.into_iter().filter_map(|(kind, text)| Some((kind, text?))) {
        let file = format!("{name}{kind}");
        files::replace(&draft.join(&file), text)?;
        manifest.files.push(described(&draft.join(&file), file, None)?);
    }
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    files::replace(&draft.join(format!("{name}{MANIFEST}")), text)?;
    Ok(manifest)
}

fn kind(origin: Origin) -> &'static str {
    match origin {
        Origin::Tests => "tests",
        Origin::Host => "host",
        Origin::Begun | Origin::Subprocess => "subprocess",
    }
}

/// The copy is what is described: nobody writes to it.
fn described(file: &Utf8Path, name: String, origin: Option<Origin>) -> Result<Delivered> {
    let (size, digest) = digest::of_reader(File::open(file)?)?;
    Ok(Delivered { name, size, digest, origin })
}

/// Takes the place of an earlier attempt. Where a node was lost its job may still run when it was
/// started again elsewhere: whatever ends last, the later attempt is the one that stays.
fn put(draft: &Utf8Path, folder: &Utf8Path, manifest: &Manifest) -> Result<()> {
    for _ in 0..10 {
        match known(folder, manifest)? {
            Some(known) if known.run == manifest.run && known.attempt > manifest.attempt => {
                return Ok(());
            }
            Some(_) => remove(folder)?,
            None if folder.exists() => remove(folder)?,
            None => {}
        }
        match fs::rename(draft, folder) {
            // Somebody else has put his there meanwhile.
            Err(error) if folder.exists() => drop(error),
            done => return Ok(done?),
        }
    }
    bail!("others write there all the time")
}

/// The manifest that a folder of ours has; none where there is no folder, or no manifest in it. A
/// folder with things of somebody else is none of ours.
fn known(folder: &Utf8Path, like: &Manifest) -> Result<Option<Manifest>> {
    let name = like.shard().name();
    let Ok(entries) = folder.read_dir_utf8() else { return Ok(None) };
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read `{folder}`"))?;
        if !entry.file_name().starts_with(&format!("{name}.")) {
            let other = entry.path();
            return Err(exit::usage(format!(
                "`{folder}` is no folder of a shard: there is `{other}`; choose another `--out`"
            ))
            .into());
        }
    }
    let file = format!("{name}{MANIFEST}");
    let text = files::read_text(&folder.join(&file)).ok();
    Ok(text.and_then(|text| Manifest::read(&file, &text).ok()))
}

fn remove(folder: &Utf8Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove `{folder}`"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::manifest::tests::manifest;

    /// A folder for shards; it is there as long as the first of the two.
    fn folder() -> Result<(tempfile::TempDir, Utf8PathBuf)> {
        let temp = tempfile::tempdir()?;
        let out = Utf8Path::from_path(temp.path()).expect("UTF-8").join("out");
        Ok((temp, out))
    }

    fn attempt(out: &Utf8Path, attempt: u64, tests: &str) -> Result<()> {
        let manifest = Manifest { attempt, ..manifest(2, 3) };
        deliver(out, manifest, &Contents { data: &[], tests, rerun: None }).map(drop)
    }

    fn tests_of(out: &Utf8Path) -> String {
        let file = out.join("shard-02-of-03/shard-02-of-03.tests.json");
        fs::read_to_string(file).expect("a shard")
    }

    #[test]
    fn the_later_attempt_stays_whichever_ends_last() -> Result<()> {
        let (_temp, out) = folder()?;
        attempt(&out, 1, "first")?;
        attempt(&out, 2, "second")?;
        attempt(&out, 1, "orphan")?;
        assert_eq!(tests_of(&out), "second");
        let names: Vec<_> = fs::read_dir(&out)?.map(|entry| entry.expect("an entry")).collect();
        assert_eq!(names.len(), 1, "no draft stays");
        fs::write(out.join("shard-02-of-03/notes"), "mine")?;
        let error = attempt(&out, 3, "third").expect_err("somebody else's");
        assert!(format!("{error:#}").contains("is no folder of a shard"), "{error:#}");
        Ok(())
    }

    #[test]
    fn what_another_run_has_left_goes_first() -> Result<()> {
        let (_temp, out) = folder()?;
        attempt(&out, 1, "first")?;
        clear(&out, &manifest(2, 3))?;
        assert_eq!(tests_of(&out), "first");
        clear(&out, &Manifest { run: Some("8".to_owned()), ..manifest(2, 3) })?;
        assert!(!out.join("shard-02-of-03").exists());
        attempt(&out, 1, "first")?;
        clear(&out, &Manifest { run: None, ..manifest(2, 3) })?;
        assert!(!out.join("shard-02-of-03").exists(), "without a name no two runs are one");
        Ok(())
    }
}
