//! What a shard leaves, and says of itself: the manifest beside its data, and whether one that
//! comes from another machine can be believed. Pure.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::model::Origin;
use crate::split::{Fingerprint, Shard};

/// Rises when a field changes its meaning or goes away.
pub(crate) const SCHEMA: u32 = 1;

/// The end of the name of a manifest; before it stands the shard's.
pub(crate) const MANIFEST: &str = ".manifest.json";

/// The end of the name of the file that says what became of the tests.
pub(crate) const TESTS: &str = ".tests.json";
/// What failed, for another machine to run again: not there where nothing did.
pub(crate) const RERUN: &str = ".rerun.json";

/// `shard-03-of-12.manifest.json`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub schema: u32,
    pub project: String,
    /// Which shard, from 1.
    pub index: u32,
    /// Of how many.
    pub total: u32,
    /// What the engine calls the run that all shards belong to.
    pub run: Option<String>,
    /// The commit that is checked out; none without git.
    pub commit: Option<String>,
    /// Files that git knows differ from the commit.
    pub dirty: bool,
    /// How the suite was cut; none where it could not be collected.
    pub plan: Option<PlanDigest>,
    /// Counts of tests.
    pub tests: Counts,
    /// What was claimed while it ran; none where nothing was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<TailOfShard>,
    /// Only a part of the suite was asked for, by paths, `-k` and the like.
    pub narrowed: bool,
    /// Of what ran the tests.
    pub versions: Versions,
    /// `fork`, `spawn` or `stock`.
    pub engine: String,
    /// None where nothing was measured.
    pub measured: Option<Measured>,
    /// Folders that are elsewhere on other machines, by what they are.
    pub places: Places,
    /// Every other file of the shard.
    pub files: Vec<Delivered>,
    /// Later attempts at one shard have higher numbers.
    pub attempt: u64,
    /// The engine's own name for the attempt.
    pub attempt_name: Option<String>,
    /// When it began and ended, seconds since 1970.
    pub began: f64,
    pub ended: f64,
    /// It came to its end; there is no manifest of a shard that did not.
    pub finished: bool,
}

/// How the suite was cut.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct PlanDigest {
    /// One digest of all, the same for every shard.
    pub digest: String,
    /// How many tests there are in all.
    pub tests: usize,
    /// A digest of the tests of each shard.
    pub shards: Vec<String>,
    /// A digest of the durations by which it was cut.
    pub durations: String,
}

impl PlanDigest {
    /// That of a plan which was cut by these durations.
    pub(crate) fn of(print: &Fingerprint, durations: String) -> PlanDigest {
        let (digest, shards) = (print.digest(), print.splits.clone());
        PlanDigest { digest, tests: print.tests, shards, durations }
    }
}

/// Batches of the plan, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct TailOfShard {
    /// `folder` or `command`.
    pub store: String,
    /// Those that were to be run here.
    pub claimed: Vec<u32>,
    /// Of these, those of which all tests were.
    pub run: Vec<u32>,
    /// Those of this shard that were left to others.
    pub left: Vec<u32>,
}

/// Counts of tests of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Counts {
    /// What was to be run.
    pub assigned: u64,
    /// What came to an end.
    pub run: u64,
    /// Of these, failures.
    pub failed: u64,
}

/// Versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Versions {
    /// Our own.
    pub xtask: String,
    /// `3.12.1`.
    pub python: String,
    /// `9.2.0`.
    pub pytest: Option<String>,
    /// `7.17.3`.
    pub coverage: Option<String>,
}

/// How coverage was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// `native`, `ctrace`, `sysmon`, …; none where it was not told.
    pub core: Option<String>,
    /// Branches too.
    pub branches: bool,
    /// The folders and packages that were typed or guessed; empty where coverage's own settings say.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Folders as a machine has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Places {
    pub root: Utf8PathBuf,
    /// The top of its repository.
    pub top: Option<Utf8PathBuf>,
    /// The environment's folders, in an order that is that of every machine.
    pub prefixes: Vec<Utf8PathBuf>,
}

impl Places {
    /// What paths of another machine begin with, and what that is here, the longest first: a
    /// folder may lie in another.
    pub(crate) fn mapped_to(&self, here: &Places) -> Vec<(Utf8PathBuf, Utf8PathBuf)> {
        let prefixes = self.prefixes.iter().zip(&here.prefixes);
        let pairs = prefixes
            .chain(self.top.iter().zip(&here.top))
            .chain([(&self.root, &here.root)])
            .filter(|(there, here)| there != here && is_folder(there));
        let known: BTreeMap<&Utf8PathBuf, &Utf8PathBuf> = pairs.collect();
        let mut pairs: Vec<_> = known.into_iter().map(|(a, b)| (a.clone(), b.clone())).collect();
        pairs.sort_by_key(|(there, _)| std::cmp::Reverse(there.as_str().len()));
        pairs
    }
}

/// Absolute, and not the root of everything.
fn is_folder(path: &Utf8Path) -> bool {
    path.is_absolute() && path.parent().is_some()
}

/// A file of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Delivered {
    /// Its name, beside the manifest.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub digest: String,
    /// Who wrote it, of a data file.
    pub origin: Option<Origin>,
}

/// Refuses what another version has written, before fields are missed that it does not have.
/// `unlike` says what is no file of the kind.
pub(crate) fn check_schema(
    text: &str,
    ours: u32,
    unlike: impl FnOnce(serde_json::Error) -> String,
) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    match serde_json::from_str(text).map_err(unlike)? {
        Schema { schema } if schema == ours => Ok(()),
        Schema { schema } => Err(format!("has schema {schema}, this version reads {ours}")),
    }
}

impl Manifest {
    /// Which shard it is.
    pub(crate) fn shard(&self) -> Shard {
        Shard { index: self.index, total: self.total }
    }

    /// Attempts in the order of time.
    pub(crate) fn newer_than(&self, other: &Manifest) -> bool {
        (self.attempt, self.ended) > (other.attempt, other.ended)
    }

    /// Reads one that may be anything, of the file with this name.
    pub(crate) fn read(name: &str, text: &str) -> Result<Manifest, String> {
        check_schema(text, SCHEMA, |error| format!("is damaged: no manifest ({error})"))?;
        let manifest: Manifest =
            serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
        match manifest.against(name) {
            Some(why) => Err(why),
            None => Ok(manifest),
        }
    }

    /// What cannot be.
    fn against(&self, name: &str) -> Option<String> {
        if bounds::splits(&self.total.to_string()).is_err()
            || !(1..=self.total).contains(&self.index)
        {
            return Some(format!("says it is shard {} of {}", self.index, self.total));
        }
        let own = self.shard().name();
        if name.strip_suffix(MANIFEST) != Some(own.as_str()) {
            return Some(format!("is that of `{own}` under another name"));
        }
        if !self.finished {
            return Some("is of a shard that did not come to its end".to_owned());
        }
        let shards = self.plan.as_ref().map(|plan| plan.shards.len());
        if shards.is_some_and(|shards| shards != self.total as usize) {
            return Some("has a plan for another number of shards".to_owned());
        }
        let foreign = self.files.iter().find(|file| !is_plain(&file.name, &own));
        foreign
            .map(|file| format!("names a file `{}`, which is none of its own", plain(&file.name)))
    }
}

/// The name of a file right beside the manifest that begins as that does.
fn is_plain(name: &str, own: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    name.strip_prefix(own).is_some_and(|rest| rest.starts_with('.'))
        && name.len() < 200
        && name.chars().all(allowed)
        && !name.ends_with(MANIFEST)
}

/// Text from elsewhere, fit to be printed.
pub(crate) fn plain(text: &str) -> String {
    const MOST: usize = 200;
    let shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sound one, of a plan of twelve tests.
    pub(crate) fn manifest(index: u32, total: u32) -> Manifest {
        let shards = (1..=total).map(|shard| format!("digest {shard}")).collect();
        Manifest {
            schema: SCHEMA,
            project: "shop".to_owned(),
            index,
            total,
            run: Some("7".to_owned()),
            commit: Some("c0ffee".to_owned()),
            dirty: false,
            plan: Some(PlanDigest {
                digest: "d".to_owned(),
                tests: 12,
                shards,
                durations: String::new(),
            }),
            tests: Counts { assigned: 3, run: 3, failed: 0 },
            tail: None,
            narrowed: false,
            versions: Versions { python: "3.12.1".to_owned(), ..Versions::default() },
            engine: "fork".to_owned(),
            measured: Some(Measured { branches: true, ..Measured::default() }),
            places: Places { root: "/a/shop".into(), ..Places::default() },
            files: Vec::new(),
            attempt: 1,
            attempt_name: None,
            began: 100.0,
            ended: 110.0,
            finished: true,
        }
    }

    fn text(change: impl Fn(&mut Manifest)) -> String {
        let mut manifest = manifest(3, 12);
        change(&mut manifest);
        serde_json::to_string(&manifest).expect("JSON")
    }

    const NAME: &str = "shard-03-of-12.manifest.json";

    #[track_caller]
    fn refused(name: &str, text: &str, why: &str) {
        assert_eq!(Manifest::read(name, text).expect_err(why), why);
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Manifest::read(NAME, &text(|_| ())), Ok(manifest(3, 12)));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let names = |name: &'static str| {
            move |it: &mut Manifest| {
                let digest = String::new();
                let file = Delivered { name: name.to_owned(), size: 0, digest, origin: None };
                it.files.push(file);
            }
        };
        for name in [
            "../shard-03-of-12.x",
            "/etc/passwd",
            "shard-03-of-12./../../x",
            "shard-04-of-12.tests.json",
            "shard-03-of-12",
            "shard-03-of-12.manifest.json",
            "shard-03-of-12.a b",
        ] {
            let why = format!("names a file `{name}`, which is none of its own");
            refused(NAME, &text(names(name)), &why);
        }
        let escape = "names a file `shard-03-of-12.\\u{1b}[31m`, which is none of its own";
        refused(NAME, &text(names("shard-03-of-12.\u{1b}[31m")), escape);
        refused(NAME, &text(|it| it.index = 0), "says it is shard 0 of 12");
        refused(NAME, &text(|it| it.index = 13), "says it is shard 13 of 12");
        let huge = "says it is shard 3 of 4000000000";
        refused(NAME, &text(|it| it.total = 4_000_000_000), huge);
        refused(NAME, &text(|it| it.index = 4), "is that of `shard-04-of-12` under another name");
        let unfinished = "is of a shard that did not come to its end";
        refused(NAME, &text(|it| it.finished = false), unfinished);
        refused(NAME, &text(|it| it.schema = 2), "has schema 2, this version reads 1");
        let other = "has a plan for another number of shards";
        refused(NAME, &text(|it| it.plan.as_mut().expect("a plan").shards = vec![]), other);
        for text in ["", "{", "[]", "{\"schema\": -1}", &"[".repeat(100_000)] {
            let why = Manifest::read(NAME, text).expect_err("nonsense");
            assert!(why.starts_with("is damaged: no manifest ("), "{why}");
        }
    }

    #[test]
    fn folders_of_other_machines_are_found_again() {
        let there = Places {
            root: "/ci/1/repo/shop".into(),
            top: Some("/ci/1/repo".into()),
            prefixes: vec!["/ci/1/repo/shop/.venv".into(), "/opt/py".into()],
        };
        let here = Places {
            root: "/home/me/repo/shop".into(),
            top: Some("/home/me/repo".into()),
            prefixes: vec!["/envs/shop".into(), "/opt/py".into()],
        };
        let pairs = there.mapped_to(&here);
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let wanted = [
            ("/ci/1/repo/shop/.venv", "/envs/shop"),
            ("/ci/1/repo/shop", "/home/me/repo/shop"),
            ("/ci/1/repo", "/home/me/repo"),
        ];
        assert_eq!(pairs, wanted);
        assert!(here.mapped_to(&here).is_empty());
        let root = Places { root: "/".into(), ..Places::default() };
        assert!(root.mapped_to(&here).is_empty(), "everything would be mapped");
    }
}
