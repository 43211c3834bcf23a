//! `cargo xtask coverage combine`: what shards have left becomes one run again, which ends as a
//! run on one machine does.

mod batches;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use camino::Utf8PathBuf;

use self::batches::Delivered;
use super::suite;
use crate::cli::Engine;
use crate::conclusion::{Finished, goals};
use crate::digest;
use crate::engine::record::Record;
use crate::engine::{Happening, Job, Ran};
use crate::exit::{self, Exit};
use crate::history::outstanding::Outstanding;
use crate::invocation::Invocation;
use crate::model::format::{count, seconds};
use crate::model::{Origin, Part, Problem};
use crate::prepare::{self, Prepared, shard};
use crate::project::git::Head;
use crate::project::{Project, runs};
use crate::report::moved::{Moved, move_paths};
use crate::shard::check::{Checked, Found, Here, check};
use crate::shard::manifest::{Manifest, Places, PlanDigest, plain};
use crate::shard::read;
use crate::split::Portion;

/// Combines, and runs what is missing where that is asked for.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let started = Instant::now();
    let asked = goals::Asked::ahead(invocation, project);
    let head = project.head()?;
    let (found, checked) = look(invocation, project, head)?;
    let mut prepared = prepare::prepare(invocation, project)?;
    let first = checked.chosen.first().map(|&at| found[at].manifest.clone());
    prepared.settings.splits.value = checked.total;
    prepared.settings.narrowed |= first.as_ref().is_some_and(|manifest| manifest.narrowed);
    prepared.measures = first.as_ref().is_none_or(|manifest| manifest.measured.is_some());
    let against = goals::read(asked, project, &prepared)?;
    let known = Outstanding::read(&prepared.state);
    let folder = || runs::begin(&prepared.state, &prepared.lock);
    let mut job = prepare::job::job(project, &prepared, folder)?;
    measure_alike(&mut job, first.as_ref());
    let here = shard::places(project, &prepared, head);
    let mut all = All::new(invocation, project, &prepared, here, job, checked);
    all.take(&found)?;
    all.announce(&found);
    let heal = invocation.typed.combining.heal && all.has_gaps();
    let healing = Instant::now();
    let engine = match heal {
        true => all.heal(&mut prepared)?,
        false => engine(first.as_ref()),
    };
    all.settle(&mut prepared);
    let All { job, ran, span, .. } = all;
    if !ran.withheld && ran.interrupted.is_none() {
        let whole = !prepared.settings.narrowed;
        if let Err(error) = known.after(&ran, whole).write(&prepared.state) {
            invocation.screen.warn(&format!("{error:#}"));
        }
    }
    let run_seconds = span + if heal { healing.elapsed().as_secs_f64() } else { 0.0 };
    // As if it had begun when the first shard did.
    let started = started.checked_sub(Duration::from_secs_f64(span)).unwrap_or(started);
    let finished = Finished {
        invocation,
        project,
        prepared: &prepared,
        engine,
        against: &against,
        job: &job,
        ran: &ran,
        delivery: None,
        started,
        run_seconds,
    };
    Ok(finished.conclude(None))
}

/// What is missing is measured as everything else was, whatever is typed here.
fn measure_alike(job: &mut Job, first: Option<&Manifest>) {
    let measured = first.and_then(|manifest| manifest.measured.as_ref());
    if let (Some(measure), Some(measured)) = (&mut job.measure, measured) {
        measure.branch = Some(measured.branches);
        measure.source.clone_from(&measured.sources);
    }
}

/// Finds the shards, and refuses those that are not of one run.
fn look(
    invocation: &Invocation<'_>,
    project: &Project,
    head: &Head,
) -> Result<(Vec<Found>, Checked)> {
    let folders = &invocation.typed.combining.folders;
    // One that is not there is named by its own name.
    let real = |folder: &Utf8PathBuf| {
        let folder = invocation.here.join(folder);
        folder.canonicalize_utf8().unwrap_or(folder)
    };
    let folders: Vec<Utf8PathBuf> = folders.iter().map(real).collect();
    let (found, broken) = read::look(&folders)?;
    if found.is_empty() && broken.is_empty() {
        let folders: Vec<String> = folders.iter().map(|it| format!("`{it}`")).collect();
        bail!(
            "no shard has delivered anything to {}: folders like `shard-01-of-04`, with a manifest \
             in each",
            folders.join(", ")
        );
    }
    let here = Here { project: shard::name(project, head), commit: head.commit.clone() };
    let checked = check(&found, &broken, &here);
    if !checked.disagreements.is_empty() {
        bail!("these shards cannot be combined:\n  {}", checked.disagreements.join("\n  "));
    }
    Ok((found, checked))
}

/// The engine of the shards.
fn engine(manifest: Option<&Manifest>) -> Engine {
    let name = manifest.map_or("", |manifest| manifest.engine.as_str());
    let all = [Engine::Fork, Engine::Spawn, Engine::Stock];
    all.into_iter().find(|engine| engine.name() == name).unwrap_or(Engine::Fork)
}

/// The shards on their way to one run.
struct All<'a> {
    invocation: &'a Invocation<'a>,
    project: &'a Project,
    here: Places,
    python: Utf8PathBuf,
    job: Job,
    ran: Ran,
    checked: Checked,
    /// The plan of all; none where the suite could not be collected.
    plan: Option<PlanDigest>,
    /// Tests that were planned for a shard that is here, and did not run, by shard.
    not_run: BTreeMap<u32, Vec<String>>,
    /// Batches of such a shard that another one has claimed, and nobody has delivered.
    lost: BTreeMap<u32, Vec<u32>>,
    /// The first shard began, and the last one ended: seconds between.
    span: f64,
}

impl<'a> All<'a> {
    fn new(
        invocation: &'a Invocation<'a>,
        project: &'a Project,
        prepared: &Prepared,
        here: Places,
        mut job: Job,
        checked: Checked,
    ) -> All<'a> {
        // What is used are the lanes of the shards.
        job.pool.fixed = false;
        All {
            invocation,
            project,
            here,
            python: prepared.interpreter.executable.clone(),
            ran: Ran::new(0),
            job,
            checked,
            plan: None,
            not_run: BTreeMap::new(),
            lost: BTreeMap::new(),
            span: 0.0,
        }
    }

    /// Takes in all that can be used.
    fn take(&mut self, found: &[Found]) -> Result<()> {
        let chosen: Vec<&Found> = self.checked.chosen.iter().map(|&at| &found[at]).collect();
        self.plan = chosen.iter().find_map(|it| it.manifest.plan.clone());
        let began = |it: &&Found| it.manifest.began;
        let first = chosen.iter().map(began).fold(f64::INFINITY, f64::min);
        let mut delivered = self.read(chosen);
        batches::settle(&mut delivered);
        self.not_run = batches::not_run(&delivered);
        self.lost = batches::lost(&delivered);
        let mut moved = Vec::new();
        for Delivered { manifest, record, parts } in delivered {
            let later = (manifest.began - first).clamp(0.0, MOST_SPAN);
            let ended = (manifest.ended - first).clamp(0.0, MOST_SPAN);
            self.span = self.span.max(ended);
            moved.extend(self.moved(manifest, &parts));
            self.add(manifest, later, record, parts);
        }
        for (file, what) in move_paths(&self.python, &self.project.root, &moved)? {
            self.ran.problems.push(Problem { split: None, file: Some(file), what });
        }
        if let Some(plan) = &self.plan {
            self.ran.ledger.collected(plan.tests as u64);
        }
        Ok(())
    }

    /// Reads what can be believed, and copies its data to our own folder.
    fn read<'f>(&mut self, chosen: Vec<&'f Found>) -> Vec<Delivered<'f>> {
        let mut records = Vec::new();
        for found in chosen {
            match record(found) {
                Ok(record) => records.push((found, record)),
                Err(why) => drop(self.checked.missing.insert(found.manifest.index, why)),
            }
        }
        let of_index = records.iter().map(|(found, record)| (found.manifest.index, record));
        let wrong = batches::wrong(&of_index.collect());
        let mut delivered = Vec::new();
        for (found, record) in records {
            let manifest = &found.manifest;
            let parts = match wrong.get(&manifest.index) {
                Some(why) => Err(why.clone()),
                None => self.stage(found),
            };
            match parts {
                Ok(parts) => delivered.push(Delivered { manifest, record, parts }),
                Err(why) => drop(self.checked.missing.insert(manifest.index, why)),
            }
        }
        delivered
    }

    /// Copies the data of a shard to our own folder.
    fn stage(&self, found: &Found) -> Result<Vec<Part>, String> {
        let manifest = &found.manifest;
        let folder = self.job.folder.shard(&manifest.shard().name());
        let data = manifest.files.iter().filter_map(|file| Some((file, file.origin?)));
        let staged = data.map(|(file, origin)| {
            let target = folder.join(&file.name);
            read::take(found, file, &target).map_err(|why| format!("`{}` {why}", file.name))?;
            let split = (origin != Origin::Host).then_some(manifest.index);
            Ok(Part { split, file: target, origin })
        });
        staged.collect()
    }

    fn moved(&self, manifest: &Manifest, parts: &[Part]) -> Vec<Moved> {
        let folders = manifest.places.mapped_to(&self.here);
        let parts = parts.iter().filter(|_| !folders.is_empty());
        parts.map(|part| Moved { file: part.file.clone(), folders: folders.clone() }).collect()
    }

    fn add(&mut self, manifest: &Manifest, later: f64, mut record: Record, parts: Vec<Part>) {
        let index = manifest.index;
        if manifest.measured.is_some() && record.ledger.has_ended() {
            self.ran.expected.splits.insert(index);
        }
        self.ran.expected.parts.extend(parts);
        record.keep_split(index);
        self.ran.add(&format!("shard {index}"), later, record);
    }

    /// Says what was found.
    fn announce(&self, found: &[Found]) {
        let screen = self.invocation.screen;
        let shards = count(self.checked.total.into(), "shard");
        screen.heading(&format!("Combining {shards} of {}", self.project.name));
        for &at in &self.checked.chosen {
            let manifest = &found[at].manifest;
            if !self.checked.missing.contains_key(&manifest.index) {
                screen.note(&format!("  • {}", line(manifest)));
            }
        }
        for note in &self.checked.notes {
            screen.note(&format!("note: {note}"));
        }
    }

    fn has_gaps(&self) -> bool {
        !self.checked.missing.is_empty() || !self.not_run.is_empty()
    }

    /// What is missing, in sentences.
    fn gaps(&self) -> Vec<String> {
        let total = self.checked.total;
        let missing = self.checked.missing.iter();
        let missing = missing.map(|(index, why)| format!("shard {index} of {total}: {why}"));
        let not_run = self.not_run.iter().map(|(index, tests)| {
            let (n, first) = (count(tests.len() as u64, "test"), plain(&tests[0]));
            let lost = self.lost.get(index).map(|batches| lost(batches)).unwrap_or_default();
            format!("shard {index} of {total}: {n} planned and not run, `{first}` first{lost}")
        });
        missing.chain(not_run).collect()
    }

    /// Runs here what nobody has delivered.
    fn heal(&mut self, prepared: &mut Prepared) -> Result<Engine> {
        let screen = self.invocation.screen;
        for gap in self.gaps() {
            screen.note(&format!("healing: {gap}"));
        }
        let Some(plan) = self.plan.clone() else {
            bail!("nothing can be healed: no shard could collect the suite");
        };
        let engine = suite::engine(self.invocation, self.project, prepared)?;
        if engine == Engine::Stock {
            let why = "`--heal` needs `--engine fork` or `--engine spawn`: the stock engine runs \
                       whole splits";
            return Err(exit::usage(why).into());
        }
        let done: std::collections::HashSet<_> = self.ran.ledger.keys().cloned().collect();
        let delivered = done.len();
        self.job.portion = Portion::AllBut(done);
        self.job.pool = prepared.settings.workers(engine);
        let mut show = |happening: Happening<'_>| screen.show(&happening);
        let doing = screen.doing("Collecting the tests");
        let ran = suite::run_job(engine, &self.job, &mut show)?;
        drop(doing);
        self.job.pool.fixed = false;
        suite::refuse(&ran)?;
        if let Some(why) = &ran.unsuitable {
            return Err(exit::usage(format!(
                "nothing can be healed: {why} needs the stock engine"
            ))
            .into());
        }
        self.take_healed(&plan, delivered, ran);
        Ok(engine)
    }

    fn take_healed(&mut self, plan: &PlanDigest, delivered: usize, healed: Ran) {
        let (tests, here) =
            healed.share.as_ref().map_or((0, 0), |share| (share.plan.tests, share.assigned.len()));
        let problems = healed.problems.clone();
        let record = Record::of(&healed, problems, self.job.hash_seed.value);
        if tests == plan.tests && here + delivered == plan.tests {
            self.checked.missing.clear();
            self.not_run.clear();
            // That shards were stopped does not matter any more.
            (self.ran.aborted, self.ran.stopped) = (false, false);
        } else if healed.interrupted.is_none() && !healed.uncollectable {
            let what = format!(
                "what was run here does not make it whole: there are {tests} tests here and {} in \
                 the plan, and of those that were delivered {} are not here",
                plan.tests,
                (here + delivered).saturating_sub(tests)
            );
            self.ran.problems.push(Problem { split: None, file: None, what });
        }
        self.ran.interrupted = healed.interrupted;
        self.ran.expected.splits.extend(&healed.expected.splits);
        self.ran.expected.parts.extend(healed.expected.parts.iter().cloned());
        self.ran.add("here", self.span, record);
    }

    /// What is still missing is what is wrong with the result, unless it was said that it may be.
    fn settle(&mut self, prepared: &mut Prepared) {
        let gaps = self.gaps();
        if gaps.is_empty() {
            return;
        }
        if self.invocation.typed.combining.allow_missing {
            self.invocation.screen.warn(&format!("left out: {}", gaps.join("; ")));
            prepared.settings.narrowed = true;
            self.ran.ledger.expect_no_more();
            return;
        }
        self.ran.withheld = true;
        let (missing, not_run) = gaps.split_at(self.checked.missing.len());
        let problem = |what: &String| Problem { split: None, file: None, what: what.clone() };
        self.ran.problems.extend(missing.iter().map(problem));
        if !self.ran.aborted {
            return self.ran.problems.extend(not_run.iter().map(problem));
        }
        // Where so many tests failed that a shard was stopped, that is what is wrong.
        let screen = self.invocation.screen;
        not_run.iter().for_each(|what| screen.say(&screen.paint().red(&format!("✗ {what}"))));
    }
}

/// A year: clocks of machines differ, but not by that.
const MOST_SPAN: f64 = 365.0 * 86_400.0;

/// What became of the tests of a shard, if it is what the manifest says.
fn record(found: &Found) -> Result<Record, String> {
    let record = Record::read(&read::tests(found)?)?;
    match against(&found.manifest, &record) {
        Some(why) => Err(why),
        None => Ok(record),
    }
}

/// Why a record cannot be that of its manifest.
fn against(manifest: &Manifest, record: &Record) -> Option<String> {
    let Manifest { plan, tests, index, .. } = manifest;
    let plan = plan.as_ref()?;
    let digest = digest::of_texts(record.assigned.iter().map(String::as_str));
    if plan.shards.get(*index as usize - 1) != Some(&digest) {
        return Some("has other tests than it was planned to have".to_owned());
    }
    if let Some(why) = batches::against(manifest, record) {
        return Some(why);
    }
    let (assigned, planned) = (record.assigned.len() as u64, record.planned.len() as u64);
    let run = record.ledger.keys().count() as u64;
    let is_so = tests.assigned == assigned && assigned == planned && tests.run == run;
    (!is_so).then(|| "counts its tests otherwise than it names them".to_owned())
}

/// Where tests that did not run should have: the end of a sentence.
fn lost(batches: &[u32]) -> String {
    let names: Vec<String> = batches.iter().map(u32::to_string).collect();
    match names.as_slice() {
        [one] => format!("; batch {one} was claimed by a shard that has not delivered it"),
        _ => {
            format!(
                "; batches {} were claimed by shards that have not delivered them",
                names.join(", ")
            )
        }
    }
}

/// A shard, in a line.
fn line(manifest: &Manifest) -> String {
    let Manifest { tests, began, ended, .. } = manifest;
    let failed = match tests.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let attempt = match manifest.attempt {
        0 | 1 => String::new(),
        attempt => format!(", attempt {attempt}"),
    };
    let batches = match &manifest.tail {
        Some(tail) => format!(", {} claimed", count_batches(tail.claimed.len())),
        None => String::new(),
    };
    let took = seconds((ended - began).clamp(0.0, MOST_SPAN));
    let run = count(tests.run, "test");
    format!("Shard {}: {run}{failed}{batches}, {took}{attempt}", manifest.shard())
}

fn count_batches(n: usize) -> String {
    if n == 1 { "1 batch".to_owned() } else { format!("{n} batches") }
}
