//! Which files are to be what. Pure: from what there is, to what there should be.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::survey::{Manifest, Survey};
use super::{edits, package};
use crate::exit;

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: Utf8PathBuf,
    /// None where there is no such file.
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// The package that `cargo xtask` runs, where it is somebody else's: its author adds us.
    pub(super) existing: Option<Utf8PathBuf>,
}

impl Plan {
    fn add(&mut self, path: Utf8PathBuf, before: Option<&str>, after: String) {
        // As the file has them.
        let after = match before.is_some_and(|text| text.contains("\r\n")) {
            true => after.replace("\r\n", "\n").replace('\n', "\r\n"),
            false => after,
        };
        if before != Some(after.as_str()) {
            self.changes.push(Change { path, before: before.map(str::to_owned), after });
        }
    }
}

/// Thinks out all changes; an error changes nothing.
pub(super) fn plan(survey: &Survey, dependency: &str) -> Result<Plan> {
    let mut plan = Plan::default();
    let home = home(survey);
    let existing = existing(survey, &home)?;
    if existing.as_ref().is_none_or(|manifest| manifest.depends_on_us()) {
        let folder = existing.as_ref().map(|it| it.folder.clone());
        let folder = folder.unwrap_or_else(|| home.join("xtask"));
        if existing.is_none() {
            new_package(&mut plan, survey, &folder, dependency)?;
        }
        configuration(&mut plan, survey, &home)?;
        workspace(&mut plan, survey, &home, Some(&folder))?;
    } else {
        plan.existing = existing.map(|manifest| manifest.folder);
        workspace(&mut plan, survey, &home, None)?;
    }
    ignored(&mut plan, survey, &home);
    Ok(plan)
}

/// The folder of the Cargo workspace that is to have the package: the repository's own, or the
/// one nested workspace of a repository whose root is none.
fn home(survey: &Survey) -> Utf8PathBuf {
    let nested: Vec<&Manifest> = survey.manifests.iter().filter(|it| it.is_workspace()).collect();
    match (survey.manifest(&survey.root), nested.as_slice()) {
        (None, [nested]) => nested.folder.clone(),
        _ => survey.root.clone(),
    }
}

/// The package that `cargo xtask` runs already.
fn existing(survey: &Survey, home: &Utf8Path) -> Result<Option<Manifest>> {
    let alias = edits::alias(&survey.config.0, survey.config.1.as_deref())?;
    let run = alias.as_deref().and_then(package_of).unwrap_or("xtask");
    let in_home =
        |manifest: &&Manifest| manifest.package() == Some(run) && manifest.folder.starts_with(home);
    let found = survey.manifests.iter().find(in_home).cloned();
    if found.is_none()
        && let Some(alias) = alias.filter(|alias| package_of(alias) != Some("xtask"))
    {
        let (config, _) = &survey.config;
        bail!(exit::usage(format!(
            "`xtask` in {config} is `{alias}`, none of ours; rename it first"
        )));
    }
    Ok(found)
}

/// The package in `run --package NAME --`.
fn package_of(alias: &str) -> Option<&str> {
    let words: Vec<&str> = alias.split_whitespace().collect();
    let apart = words.windows(2).find(|pair| ["-p", "--package"].contains(&pair[0]));
    let glued = words.iter().find_map(|word| word.strip_prefix("--package="));
    apart.map(|pair| pair[1]).or(glued)
}

fn new_package(
    plan: &mut Plan,
    survey: &Survey,
    folder: &Utf8Path,
    dependency: &str,
) -> Result<()> {
    if let Some(taken) = survey.taken.iter().find(|path| path.starts_with(folder)) {
        bail!(exit::usage(format!(
            "`{taken}` is there, and is none of ours; move it out of the way"
        )));
    }
    plan.add(folder.join("Cargo.toml"), None, package::manifest(dependency));
    plan.add(folder.join("src/main.rs"), None, package::MAIN.to_owned());
    Ok(())
}

/// The alias; in a nested workspace a second one, for whoever stands in it.
fn configuration(plan: &mut Plan, survey: &Survey, home: &Utf8Path) -> Result<()> {
    const RUN: &str = "run --quiet --package xtask --";
    let (path, text) = &survey.config;
    let run = match home.strip_prefix(&survey.root) {
        Ok(nested) if !nested.as_str().is_empty() => {
            let own = home.join(".cargo/config.toml");
            let before = crate::files::read_text(&own).ok();
            let after = edits::with_alias(&own, before.as_deref(), RUN)?;
            plan.add(own, before.as_deref(), after);
            format!("run --quiet --manifest-path {nested}/Cargo.toml --package xtask --")
        }
        _ => RUN.to_owned(),
    };
    let after = edits::with_alias(path, text.as_deref(), &run)?;
    plan.add(path.clone(), text.as_deref(), after);
    Ok(())
}

/// The workspace's `Cargo.toml`, with the package and the Python projects.
fn workspace(
    plan: &mut Plan,
    survey: &Survey,
    home: &Utf8Path,
    package: Option<&Utf8Path>,
) -> Result<()> {
    let before = survey.manifest(home).map(|manifest| manifest.text.as_str());
    let mut document = match survey.manifest(home) {
        Some(manifest) => manifest.document.clone(),
        None => edits::new_workspace(&apart(survey)),
    };
    if let Some(member) = package.and_then(|folder| folder.strip_prefix(home).ok()) {
        edits::add_member(&mut document, member)?;
    }
    let own = [Utf8PathBuf::new()];
    if survey.projects != own {
        let projects: Vec<String> = survey
            .projects
            .iter()
            .map(|project| package::relative(&survey.root.join(project), home).to_string())
            .map(|path| if path.is_empty() { ".".to_owned() } else { path })
            .collect();
        edits::add_projects(&mut document, &projects)?;
    }
    plan.add(home.join("Cargo.toml"), before, document.to_string());
    Ok(())
}

/// Packages that have no workspace: cargo would take the new one for theirs.
fn apart(survey: &Survey) -> Vec<String> {
    let workspaces: Vec<&Manifest> =
        survey.manifests.iter().filter(|it| it.is_workspace()).collect();
    let has_own = |manifest: &&Manifest| {
        workspaces.iter().any(|workspace| manifest.folder.starts_with(&workspace.folder))
    };
    let alone = survey.manifests.iter().filter(|manifest| !has_own(manifest));
    let folders = alone.filter_map(|manifest| manifest.folder.strip_prefix(&survey.root).ok());
    folders.map(|folder| folder.to_string()).filter(|folder| !folder.is_empty()).collect()
}

/// What builds and runs leave behind.
fn ignored(plan: &mut Plan, survey: &Survey, home: &Utf8Path) {
    if !survey.is_ignoring {
        return;
    }
    let nested = home.strip_prefix(&survey.root).unwrap_or(home);
    let target = Utf8Path::new("/").join(nested).join("target");
    let wanted = [target.as_str(), ".coverage", ".coverage.*", "htmlcov/"];
    let before = survey.ignore.as_deref();
    let after = edits::with_ignored(before.unwrap_or_default(), &wanted);
    plan.add(survey.root.join(".gitignore"), before, after);
}
