//! `cargo xtask ci`: a pipeline that runs the suite on several machines, written, printed, or
//! compared with the one that is there.

mod render;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use self::render::{AGAIN, Facts, Places, WRITTEN, from, render};
use crate::cli::{Pipeline, Service, Typed, WantedPipeline};
use crate::env::Env;
use crate::exit::{self, Exit};
use crate::files;
use crate::project::{Project, Workspace, canonical, discover};
use crate::screen::Screen;

const SHARDS: u32 = 4;
const PYTHON: &str = "3.12";
const BRANCH: &str = "main";

/// Prints, writes or compares it.
pub(super) fn run(
    typed: &Typed,
    wanted: &WantedPipeline,
    screen: &Screen,
    workspace: Option<&Workspace>,
    here: &Utf8Path,
) -> Result<Exit> {
    let WantedPipeline { service, pipeline } = wanted;
    let named = pipeline.out.as_ref().or(pipeline.check.as_ref());
    let top = top(workspace, here)?;
    let path = match named.and_then(Option::as_ref) {
        Some(file) => real(&here.join(file))?,
        None => top.join(service.file()),
    };
    let there = named.map(|_| read(&path)).transpose()?.flatten();
    let before = there.as_deref().and_then(|text| written(text, *service));
    let project = project(typed, before.as_ref(), workspace, here)?;
    let root = workspace.map_or(&project.root, |workspace| &workspace.root);
    let places = Places {
        workspace: inside(&top, root)?,
        project: inside(&top, &project.root)?,
        file: inside(&top, &path)?,
    };
    let facts = facts(*service, pipeline, before.as_ref(), places);
    let text = render(&facts).map_err(exit::usage)?;
    match (&pipeline.check, &pipeline.out) {
        (Some(_), _) => Ok(compare(screen, &facts, there.as_deref(), &text)),
        (None, Some(_)) => write(screen, &facts, &path, there.as_deref(), &text),
        (None, None) => {
            screen.say(text.trim_end());
            Ok(Exit::Passed)
        }
    }
}

/// The folder of the repository: what services check out.
fn top(workspace: Option<&Workspace>, here: &Utf8Path) -> Result<Utf8PathBuf> {
    let here = canonical(here)?;
    let top = here.ancestors().find(|folder| folder.join(".git").exists());
    let root = || workspace.map_or(here.as_path(), |workspace| &workspace.root);
    Ok(top.unwrap_or_else(root).to_owned())
}

/// A path without links on its way, of a file that may not be there.
fn real(path: &Utf8Path) -> Result<Utf8PathBuf> {
    let known = path.ancestors().find(|folder| folder.exists());
    let known = known.unwrap_or(path);
    let rest = path.strip_prefix(known).unwrap_or(Utf8Path::new(""));
    let real = canonical(known)?;
    Ok(if rest.as_str().is_empty() { real } else { real.join(rest) })
}

fn inside(top: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf> {
    let way = from(top, path);
    if way.starts_with("..") {
        let why =
            format!("`{path}` is not in the repository `{top}`, which is what jobs check out");
        return Err(exit::usage(why).into());
    }
    Ok(if way == "." { Utf8PathBuf::new() } else { way })
}

fn read(path: &Utf8Path) -> Result<Option<String>> {
    match fs::read(path) {
        // A file of something else may be anything.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(exit::usage(format!("failed to read `{path}`"))),
    }
}

/// What was typed to have the file written; none where something else has written it.
fn written(text: &str, service: Service) -> Option<Typed> {
    // A script begins with the line that says what runs it.
    let head: Vec<&str> = text.lines().take(3).collect();
    let first = format!("# {WRITTEN}{}`", service.name());
    let at = head.iter().position(|line| line.starts_with(&first))?;
    let line = head.get(at + 1)?.strip_prefix(AGAIN)?;
    let words = shell_words::split(line).ok()?;
    let words = ["xtask", "ci"].map(str::to_owned).into_iter().chain(words);
    crate::cli::parse(words.map(Into::into), &Env::new()).ok()
}

/// The project that was typed, or that of the file that is there, or the one that is meant here.
fn project(
    typed: &Typed,
    before: Option<&Typed>,
    workspace: Option<&Workspace>,
    here: &Utf8Path,
) -> Result<Project> {
    let wanted = &typed.general.chosen.project;
    let found = match (before, workspace) {
        (Some(before), Some(workspace)) if wanted.is_empty() => {
            discover::find(&workspace.root, &before.general.chosen.project, Some(workspace))
        }
        _ => discover::find(here, wanted, workspace),
    };
    let mut found = found?;
    match (found.pop(), found.is_empty()) {
        (Some(project), true) => Ok(project),
        _ => Err(exit::usage("a pipeline is for one project; choose it with `-p`").into()),
    }
}

fn facts(service: Service, typed: &Pipeline, before: Option<&Typed>, places: Places) -> Facts {
    let before = before.and_then(|before| before.pipeline.as_ref());
    let before = before.map(|wanted| wanted.pipeline.clone()).unwrap_or_default();
    let typed = typed.clone();
    Facts {
        service,
        shards: typed.shards.or(before.shards).unwrap_or(SHARDS),
        python: typed.python.or(before.python).unwrap_or_else(|| PYTHON.to_owned()),
        branch: typed.branch.or(before.branch).unwrap_or_else(|| BRANCH.to_owned()),
        image: typed.image.or(before.image),
        places,
    }
}

/// Leaves alone what is not its own, and what is what it would be.
fn write(
    screen: &Screen,
    facts: &Facts,
    path: &Utf8Path,
    there: Option<&str>,
    text: &str,
) -> Result<Exit> {
    if there == Some(text) {
        screen.say(&format!("✓ {path} is what it would be"));
        return Ok(Exit::Passed);
    }
    if there.is_some_and(|there| written(there, facts.service).is_none()) {
        let why = format!(
            "`{path}` was not written by `cargo xtask ci {}`, and is left alone; name another file \
             with `--out`, or remove it",
            facts.service.name()
        );
        return Err(exit::usage(why).into());
    }
    let failed = || exit::usage(format!("failed to write `{path}`"));
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(failed)?;
    files::replace(path, text).with_context(failed)?;
    if facts.service == Service::Slurm {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(failed)?;
    }
    screen.say(&format!("✓ {path} is written"));
    Ok(Exit::Passed)
}

/// Says where it begins to differ, and how to have it written.
fn compare(screen: &Screen, facts: &Facts, there: Option<&str>, text: &str) -> Exit {
    let file = &facts.places.file;
    let Some(why) = difference(there, text, facts.service) else {
        screen.say(&format!("✓ {file} is current"));
        return Exit::Passed;
    };
    let red = |line: &str| screen.say(&screen.paint().red(line));
    red(&format!("✗ outdated: {file} {why}"));
    let command = text.lines().find_map(|line| line.strip_prefix(AGAIN)).unwrap_or_default();
    let root = match facts.places.workspace.as_str() {
        "" => "the top of the repository",
        workspace => workspace,
    };
    screen.say(&format!("To write it, in {root}: cargo xtask ci {command}"));
    Exit::Outdated
}

/// What a file has that it should not have; none where it is current.
fn difference(there: Option<&str>, text: &str, service: Service) -> Option<String> {
    let Some(there) = there else { return Some("is not there".to_owned()) };
    if there == text {
        return None;
    }
    if written(there, service).is_none() {
        return Some(format!("was not written by `cargo xtask ci {}`", service.name()));
    }
    let same = there.lines().zip(text.lines()).take_while(|(there, text)| there == text).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(no such line)").trim().to_owned();
    Some(format!(
        "is not what it would be from line {} on: {}, not {}",
        same + 1,
        line(there),
        line(text)
    ))
}
