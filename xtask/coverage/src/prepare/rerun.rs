//! `--rerun FILE`: what failed elsewhere, run again here.

use anyhow::{Context, Result};
use camino::Utf8Path;

use super::prepared::Prepared;
use super::shard::{name, versions};
use crate::cli::Engine;
use crate::engine::{Job, Ran};
use crate::history::outstanding::narrow_to;
use crate::invocation::Invocation;
use crate::model::Problem;
use crate::model::format::{count, one_line};
use crate::project::Project;
use crate::rerun::{MOST_BYTES, RerunFile};
use crate::shard::manifest::plain;
use crate::{exit, files};

/// What is to run again.
#[derive(Debug)]
pub(crate) struct Rerun {
    /// As it was typed.
    name: String,
    file: RerunFile,
    with_preceding: bool,
    /// What is checked out here.
    commit: Option<String>,
}

/// What was typed; none where nothing of the kind was.
pub(crate) fn read(invocation: &Invocation<'_>, project: &Project) -> Result<Option<Rerun>> {
    let general = &invocation.typed.general;
    let with_preceding = general.with_preceding;
    let Some(path) = &general.rerun else {
        let why = "`--with-preceding` adds to what `--rerun FILE` runs, which is not there";
        return if with_preceding { Err(exit::usage(why).into()) } else { Ok(None) };
    };
    let others = [
        ("--shard", general.shards.shard.is_some()),
        ("--plan", general.shards.plan.is_some()),
        ("--tail", general.shards.tail.is_some()),
        ("--last-failed", general.last_failed),
    ];
    if let Some((other, _)) = others.iter().find(|(_, is_typed)| *is_typed) {
        let why = format!(
            "`--rerun` runs what failed in one run, under its own split; leave it or `{other}` out"
        );
        return Err(exit::usage(why).into());
    }
    let (file, _) = open(&invocation.here.join(path), path.as_str())?;
    let head = project.head()?;
    let here = name(project, head);
    if file.project != here {
        let there = plain(&file.project);
        let why = format!("`{path}` is of the project `{there}`, and this is `{here}`");
        return Err(exit::usage(why).into());
    }
    Ok(Some(Rerun { name: path.to_string(), file, with_preceding, commit: head.commit.clone() }))
}

/// What failed in a run, and the text of the file. `named` is how messages call that.
pub(crate) fn open(path: &Utf8Path, named: &str) -> Result<(RerunFile, String)> {
    let what = || exit::usage(format!("failed to read `{named}`"));
    let text = files::read_up_to(path, MOST_BYTES).with_context(what)?;
    let file = RerunFile::read(&text).map_err(|why| exit::usage(format!("`{named}` {why}")))?;
    Ok((file, text))
}

impl Rerun {
    /// The split and the hash seed are those of that run. A seed that was set here wins.
    pub(crate) fn settle(&self, prepared: &mut Prepared) {
        prepared.settings.narrowed = true;
        prepared.settings.splits.value = self.file.splits;
        if !prepared.hash_seed.is_set {
            prepared.hash_seed.value = self.file.hash_seed;
        }
    }

    /// Has a job run these tests, where they were.
    pub(crate) fn narrow(&self, job: &mut Job, rootdir: &Utf8Path) -> Result<()> {
        let ids: Vec<&String> = self.file.ids(self.with_preceding).into_iter().collect();
        job.rerun = Some(self.file.recorded());
        narrow_to(job, &ids, rootdir)
    }

    /// What runs, in words.
    pub(crate) fn words(&self) -> String {
        let failed = count(self.file.tests.len() as u64, "test");
        let before = self.file.ids(self.with_preceding).len() - self.file.ids(false).len();
        let before = match before {
            0 => String::new(),
            before => format!(", and {} before them", count(before as u64, "test")),
        };
        format!("{failed} that failed, of `{}`{before}", one_line(&self.name))
    }

    /// What is not as it was.
    pub(crate) fn differences(&self, prepared: &Prepared, engine: &str) -> Vec<String> {
        let (there, here) = (&self.file.versions, versions(prepared));
        let short = |commit: &Option<String>| {
            commit.as_ref().map(|commit| commit.chars().take(10).collect::<String>())
        };
        let seed = prepared.hash_seed.value.to_string();
        let pairs = [
            ("commit", short(&self.file.commit), short(&self.commit)),
            ("engine", Some(self.file.engine.clone()), Some(engine.to_owned())),
            ("Python", Some(there.python.clone()), Some(here.python)),
            ("pytest", there.pytest.clone(), here.pytest),
            ("hash seed", Some(self.file.hash_seed.to_string()), Some(seed)),
        ];
        let differ = |(what, there, here): (&str, Option<String>, Option<String>)| {
            let (there, here) = (there?, here?);
            let line = format!("{what} {} there, {here} here", plain(&there));
            (there != here).then_some(line)
        };
        let differing: Vec<String> = pairs.into_iter().filter_map(differ).collect();
        let mut lines = Vec::new();
        if !differing.is_empty() {
            lines.push(format!("not as in `{}`: {}", one_line(&self.name), differing.join("; ")));
        }
        if engine == Engine::Stock.name() {
            lines.push("the stock engine runs these tests, but cuts the splits anew".to_owned());
        }
        if self.file.dirty {
            lines.push("files differed from that commit there".to_owned());
        }
        let words = &self.file.pytest_args;
        if *words != prepared.settings.pytest_args && !words.is_empty() {
            let words = shell_words::join(words.iter().map(|word| plain(word)));
            lines.push(format!("typed for pytest there, and taken from here alone: -- {words}"));
        }
        let seeds = self.file.tests.iter().filter(|test| test.hash_seed.is_some()).count();
        if seeds > 0 {
            let tests = count(seeds as u64, "test");
            lines.push(format!("{tests} had another hash seed there, as shards have one each"));
        }
        if self.file.left_out > 0 {
            let tests = count(self.file.left_out as u64, "test");
            lines.push(format!("{tests} more failed there than the file has room for"));
        }
        lines
    }

    /// That a test is not there is no good news: the run is not what was asked for.
    pub(crate) fn miss(&self, ran: &mut Ran) {
        let missing = std::mem::take(&mut ran.not_found).ids;
        // Nothing could be collected, or nothing was to be: that says more.
        let Some(first) = missing.first().filter(|_| !ran.uncollectable) else { return };
        let (tests, first) = (count(missing.len() as u64, "test"), one_line(first));
        let what = format!(
            "{tests} of `{}` not here, or not chosen here, `{first}` first",
            one_line(&self.name)
        );
        ran.problems.push(Problem { split: None, file: None, what });
    }
}
