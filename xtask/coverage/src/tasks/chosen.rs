//! Which projects are meant.

use std::collections::BTreeMap;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::{Chosen, Task, Typed};
use crate::model::format::count;
use crate::project::affected::{Dependencies, Reason};
use crate::project::{Project, Steps, Workspace, discover, git};
use crate::screen::Screen;

/// The projects that are meant, of which only some may be affected.
pub(super) fn chosen(
    typed: &Typed,
    here: &Utf8Path,
    workspace: Option<&Workspace>,
    screen: &Screen,
) -> Result<Vec<Project>> {
    let Chosen { project: wanted, affected, .. } = &typed.general.chosen;
    let Some(base) = affected else { return named(typed, here, workspace) };
    let all = discover::all(here, workspace).unwrap_or_default();
    let candidates = match wanted.is_empty() {
        true => discover::all(here, workspace)?,
        false => discover::find(here, wanted, workspace)?,
    };
    let known = [all, candidates.clone()].concat();
    let top = workspace.map_or(here, |workspace| &workspace.root);
    let changed = git::changed_files(&Steps::new(&|_| {})?, top, base, "--affected")?;
    let roots = candidates.iter().map(|project| &project.root);
    let reasons = Dependencies::of(&known).affected(roots, &changed);
    say(screen, base, &candidates, &reasons, top);
    Ok(candidates.into_iter().filter(|project| reasons.contains_key(&project.root)).collect())
}

/// What looks after environments looks after all that the workspace lists, where it is typed at
/// its root.
fn named(typed: &Typed, here: &Utf8Path, workspace: Option<&Workspace>) -> Result<Vec<Project>> {
    let Chosen { project: wanted, all, .. } = &typed.general.chosen;
    let looks_after = matches!(typed.task, Task::Setup | Task::Doctor { .. });
    let listing = workspace.filter(|workspace| !workspace.projects.is_empty());
    let at_root =
        |workspace: &Workspace| here.canonicalize_utf8().is_ok_and(|it| it == workspace.root);
    match looks_after && wanted.is_empty() && listing.is_some_and(at_root) {
        true => discover::all(here, workspace),
        false if *all => discover::all(here, workspace),
        false => discover::find(here, wanted, workspace),
    }
}

/// Says which are affected, and why.
fn say(
    screen: &Screen,
    base: &str,
    candidates: &[Project],
    reasons: &BTreeMap<Utf8PathBuf, Reason>,
    top: &Utf8Path,
) {
    let (n, all) = (reasons.len(), count(candidates.len() as u64, "project"));
    screen.note(&format!("Affected by what has changed since {base}: {n} of {all}"));
    for project in candidates {
        let name = project.root.strip_prefix(top).unwrap_or(&project.root);
        let name = if name.as_str().is_empty() { Utf8Path::new(&project.name) } else { name };
        match reasons.get(&project.root) {
            Some(reason) => screen.note(&format!("  • {name}: {}", reason.words(top))),
            None => screen.detail(&format!("  • not {name}")),
        }
    }
}
