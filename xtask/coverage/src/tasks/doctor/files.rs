//! Files of the project that are out of date or left over, or cannot be written; its repository.

use camino::Utf8Path;

use super::Finding;
use super::Level::{Error, Note, Warning};
use crate::files;
use crate::model::NodeId;
use crate::model::format::count;
use crate::prepare;
use crate::project::{Facts, Project, Steps, git};
use crate::split::Durations;

pub(super) fn look(project: &Project, facts: Option<&Facts>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        facts.and_then(|facts| durations(project, facts)).into_iter().collect();
    findings.extend(left_over(&project.root));
    findings.extend(unwritable(project));
    findings.extend(repository(&project.root));
    findings
}

/// Entries of tests that are not there any more make splits uneven.
fn durations(project: &Project, facts: &Facts) -> Option<Finding> {
    let file = prepare::job::committed_durations(project, facts)?;
    let store = "cargo xtask coverage --store-durations";
    let what = |error: String| Finding::new("durations", Error, format!("{file}: {error}"));
    let text = match files::read_text(&file) {
        Ok(text) => text,
        Err(error) => return Some(what(error.to_string())),
    };
    if let Err(error) = Durations::parse(&text) {
        return Some(what(format!("{error:#}")).fix(format!("git checkout {file}")));
    }
    let table: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
    let rootdir = facts.pytest.as_ref().map_or(&project.root, |pytest| &pytest.rootdir);
    let is_gone = |id: &&String| !rootdir.join(NodeId(id).file()).exists();
    let gone = table.keys().filter(is_gone).count();
    (gone > 0).then(|| {
        let all = count(table.len() as u64, "test");
        let what = format!("{file}: of {all}, {gone} are in files that are not there");
        Finding::new("durations", Warning, what).fix(store)
    })
}

/// Data of processes that nobody has combined: coverage's own commands take it in.
fn left_over(root: &Utf8Path) -> Option<Finding> {
    let entries = root.read_dir_utf8().into_iter().flatten().flatten();
    let parts = entries.filter(|entry| {
        let name = entry.file_name();
        name.starts_with(".coverage.") && name.matches('.').count() > 3
    });
    let parts = parts.count() as u64;
    (parts > 0).then(|| {
        let what = format!("{} beside `.coverage` from other runs", count(parts, "data file"));
        Finding::new("stale-data", Warning, what).fix(format!("rm {root}/.coverage.*"))
    })
}

fn unwritable(project: &Project) -> Option<Finding> {
    let root = &project.root;
    (!files::is_writable(root)).then(|| {
        let what = format!("{root} cannot be written: reports go to a folder of ours");
        Finding::new("files", Note, what)
    })
}

fn repository(root: &Utf8Path) -> Option<Finding> {
    let quiet = |_: &str| {};
    let steps = Steps::new(&quiet).ok()?;
    match git::condition(&steps, root) {
        git::Condition::Sound => None,
        git::Condition::None => Some(Finding::new(
            "git",
            Note,
            "no git repository: `--diff` has nothing to compare with",
        )),
        git::Condition::Shallow => {
            let what = "the clone is shallow: `--diff` may not find its base";
            Some(Finding::new("git", Note, what).fix("git fetch --unshallow"))
        }
        git::Condition::Refused(said) => {
            let what = format!("git refuses to read the repository: {said}");
            let fix = format!("git config --global --add safe.directory {root}");
            Some(Finding::new("git", Warning, what).fix(fix))
        }
    }
}
