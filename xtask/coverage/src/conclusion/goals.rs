//! What a run is measured against: read before it begins, weighed at its end.

use std::thread::JoinHandle;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::baseline;
use crate::invocation::Invocation;
use crate::prepare::Prepared;
use crate::project::{Project, Steps, git};
use crate::report::coverage::Rendered;
use crate::report::joint;
use crate::report::patch::{Changed, Lines, Patch, diff};
use crate::report::thresholds::{Baseline, Missed, changed_lines, each_file, uncovered_lines};
use crate::settings::{Goals, Origin, Setting, Settings};
use crate::threads;

/// What coverage was, and what has changed since.
#[derive(Debug, Default)]
pub(crate) struct Against {
    baseline: Option<Baseline>,
    changed: Option<Changed>,
    /// Changed Python files of the source, by absolute path.
    python: Vec<Utf8PathBuf>,
}

/// How the coverage of a run compares.
#[derive(Debug, Default)]
pub(crate) struct Weighed {
    /// None where nobody asked.
    pub(crate) patch: Option<Patch>,
    /// The thresholds that were missed.
    pub(crate) missed: Vec<Missed>,
}

/// git, asked for what has changed since a typed base while the run is prepared.
#[derive(Debug)]
pub(crate) struct Asked(Option<JoinHandle<Result<git::Changes>>>);

impl Asked {
    /// Asks, where that is sure to be wanted: nothing outdoes what is typed.
    pub(crate) fn ahead(invocation: &Invocation<'_>, project: &Project) -> Asked {
        let typed = invocation.typed;
        let base = typed.options.reporting.diff.clone().filter(|_| typed.task.measures());
        let root = project.root.clone();
        Asked(
            base.and_then(|base| {
                threads::start("that asks git", move || changes(&root, &base)).ok()
            }),
        )
    }

    /// What it says; asked now if it was not.
    fn answer(self, project: &Project, base: &str) -> Result<git::Changes> {
        let answer = self.0.and_then(|asked| asked.join().ok());
        answer.unwrap_or_else(|| changes(&project.root, base))
    }
}

fn changes(root: &Utf8Path, base: &str) -> Result<git::Changes> {
    // Nothing that git is asked takes long enough to be announced.
    git::changes(&Steps::new(&|_| {})?, root, base)
}

/// Reads the baseline and what git says. Errors end the run before any test.
pub(crate) fn read(asked: Asked, project: &Project, prepared: &Prepared) -> Result<Against> {
    let Prepared { settings, measures, .. } = prepared;
    let Goals { no_decrease, update_baseline, diff, .. } = &settings.goals;
    let mut against = Against::default();
    if !measures {
        return Ok(against);
    }
    if no_decrease.is_some() && !update_baseline.value && !settings.narrowed {
        against.baseline = Some(baseline::read(project)?);
    }
    if let Some(base) = diff {
        let changed = changed(&asked.answer(project, &base.value)?, &base.value);
        let sources = sources(project, prepared);
        let in_source = |file: &&Utf8PathBuf| {
            file.extension() == Some("py") && sources.iter().any(|it| file.starts_with(it))
        };
        against.python = changed.files.keys().filter(in_source).cloned().collect();
        against.changed = Some(changed);
    }
    Ok(against)
}

impl Against {
    /// The files whose lines are wanted.
    pub(crate) fn files(&self) -> Vec<Utf8PathBuf> {
        let files = self.changed.iter().flat_map(|changed| changed.files.keys());
        files.cloned().collect()
    }

    /// What is asked of changed lines, where several projects have one patch: what was typed for
    /// it is judged over all of them.
    pub(crate) fn asked(&self, settings: &Settings) -> Option<joint::Asked> {
        let wanted = settings.goals.diff_fail_under.as_ref().filter(|it| is_for_all(&it.origin));
        Some(joint::Asked {
            changed: self.changed.clone()?,
            python: self.python.clone(),
            wanted: wanted.map(|it| (it.value, it.origin == Origin::CommandLine)),
        })
    }

    /// Compares.
    pub(crate) fn weigh(
        &self,
        invocation: &Invocation<'_>,
        project: &Project,
        settings: &Settings,
        now: &Rendered,
    ) -> Weighed {
        let goals = &settings.goals;
        let own = |it: &Setting<f64>| invocation.joint.is_none() || !is_for_all(&it.origin);
        let diff_fail_under = goals.diff_fail_under.clone().filter(own);
        let patch = self.changed.as_ref().map(|changed| {
            let measured = |file: &Utf8PathBuf| now.lines.iter().any(|known| known.file == *file);
            let others = self.python.iter().filter(|file| !measured(file));
            let shown =
                |file: &Utf8PathBuf| file.strip_prefix(&project.root).unwrap_or(file).to_path_buf();
            Patch::weigh(changed, &now.lines, others.map(shown).collect())
        });
        let total = now.below.as_ref().map(|sentence| Missed {
            what: format!("coverage {sentence}"),
            even_partial: settings.fail_under_on_command_line,
            ..Missed::default()
        });
        let missed = [
            total,
            judge(&goals.fail_under_file, |wanted| each_file(now, wanted)),
            judge(&goals.fail_uncovered_lines, |most| uncovered_lines(now, most)),
            judge(&diff_fail_under, |wanted| changed_lines(patch.as_ref()?, wanted)),
            self.fallen(goals, now),
        ];
        Weighed { patch, missed: missed.into_iter().flatten().collect() }
    }

    fn fallen(&self, goals: &Goals, now: &Rendered) -> Option<Missed> {
        let (before, points) = (self.baseline.as_ref()?, goals.no_decrease.as_ref()?);
        before.fallen(&Baseline::of(now)?, points.value, now.precision)
    }
}

/// Typed, not configured for a project.
fn is_for_all(origin: &Origin) -> bool {
    matches!(origin, Origin::CommandLine | Origin::Env(_))
}

fn judge<T: Copy>(
    wanted: &Option<Setting<T>>,
    missed: impl FnOnce(T) -> Option<Missed>,
) -> Option<Missed> {
    let Setting { value, origin } = wanted.as_ref()?;
    Some(missed(*value)?.typed(*origin == Origin::CommandLine))
}

fn changed(changes: &git::Changes, base: &str) -> Changed {
    let of_git = diff::added(&changes.diff).into_iter();
    let of_git = of_git.map(|(file, lines)| (changes.top.join(file), Lines::These(lines)));
    let untracked = changes.untracked.iter().map(|file| (changes.top.join(file), Lines::All));
    Changed { base: base.to_owned(), files: of_git.chain(untracked).collect() }
}

/// The folders that are measured; the project's where only coverage knows.
fn sources(project: &Project, prepared: &Prepared) -> Vec<Utf8PathBuf> {
    let configured = prepared.facts.coverage.iter().flat_map(|coverage| &coverage.source);
    let named: Vec<&String> = match prepared.settings.sources.value.as_slice() {
        [] => configured.collect(),
        sources => sources.iter().collect(),
    };
    let root = &project.root;
    let folder = |name: &&String| {
        let module = name.replace('.', "/");
        let places = [root.join(name), root.join("src").join(&module), root.join(&module)];
        places.into_iter().find_map(|place| place.canonicalize_utf8().ok().filter(|it| it.is_dir()))
    };
    let folders: Vec<Utf8PathBuf> = named.iter().filter_map(folder).collect();
    if folders.is_empty() { vec![root.clone()] } else { folders }
}
