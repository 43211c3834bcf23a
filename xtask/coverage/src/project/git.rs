//! What git says has changed in the files around a project.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::steps::{Step, Steps};
use crate::env::env;
use crate::exit;

/// What differs between the commit where `HEAD` left a base, and the files as they are.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    /// The folder of the working tree, without symbolic links in its path.
    pub top: Utf8PathBuf,
    /// The output of `git diff`, for files that git knows.
    pub diff: Vec<u8>,
    /// The others, relative to `top`; none that is ignored.
    pub untracked: Vec<Utf8PathBuf>,
}

/// How to compare, whatever the user's configuration and attributes say: `-diff` in
/// `.gitattributes` would make a changed file one without lines. Deleted files are left out, and
/// a renamed file is compared with what it was.
const DIFF: [&str; 14] = [
    "-c",
    "core.quotePath=false",
    "diff",
    "--text",
    "--no-relative",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--unified=0",
    "--find-renames",
    "--diff-filter=d",
    "--ignore-submodules=all",
];

/// A clone of CI often has one commit of one branch.
const SHALLOW: &str = "this clone is shallow: \
                       `git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'`";

/// Asks git. The commands run in `folder`, or above.
pub(crate) fn changes(steps: &Steps<'_>, folder: &Utf8Path, base: &str) -> Result<Changes> {
    let top = top(steps, folder, "--diff")?;
    let from = merge_base(steps, &top, base, "--diff")?;
    let diff = [&DIFF[..], &[from.as_str(), "--"]].concat();
    let untracked = steps.read(&git(&top, &OTHERS))?;
    let untracked = untracked.split('\0').filter(|name| !name.is_empty());
    Ok(Changes {
        diff: steps.read_bytes(&git(&top, &diff))?,
        untracked: untracked.map(Utf8PathBuf::from).collect(),
        top,
    })
}

/// The names of all files that differ from where `HEAD` left a base, deleted ones and both names
/// of renamed ones among them; absolute. Asked for by `option`. A changed submodule is its folder.
pub(crate) fn changed_files(
    steps: &Steps<'_>,
    folder: &Utf8Path,
    base: &str,
    option: &str,
) -> Result<Vec<Utf8PathBuf>> {
    const NAMES: [&str; 8] = [
        "-c",
        "core.quotePath=false",
        "diff",
        "--name-only",
        "-z",
        "--no-relative",
        "--no-renames",
        "--no-ext-diff",
    ];
    let top = top(steps, folder, option)?;
    let from = merge_base(steps, &top, base, option)?;
    let known = steps.read(&git(&top, &[&NAMES[..], &[from.as_str(), "--"]].concat()))?;
    let others = steps.read(&git(&top, &OTHERS))?;
    let names = known.split('\0').chain(others.split('\0')).filter(|name| !name.is_empty());
    Ok(names.map(|name| top.join(name)).collect())
}

/// Files that git does not know and does not ignore.
const OTHERS: [&str; 4] = ["ls-files", "-z", "--others", "--exclude-standard"];

/// The folder of the working tree.
fn top(steps: &Steps<'_>, folder: &Utf8Path, option: &str) -> Result<Utf8PathBuf> {
    if steps.which("git").is_none() {
        return Err(exit::usage(format!("`{option}` needs git, which is not on `PATH`")).into());
    }
    let top = steps.read(&git(folder, &["rev-parse", "--show-toplevel"])).with_context(|| {
        exit::usage(format!("`{option}` needs a git repository around `{folder}`"))
    })?;
    Ok(Utf8PathBuf::from(top.trim_end_matches('\n')))
}

/// What is checked out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub commit: Option<String>,
    /// The folder of the working tree, without symbolic links in its path.
    pub top: Option<Utf8PathBuf>,
    /// Files that git knows are not as they are there.
    pub dirty: bool,
}

/// What is checked out around a folder; nothing where there is no git, or no repository.
pub(crate) fn head(steps: &Steps<'_>, folder: &Utf8Path) -> Head {
    if steps.which("git").is_none() {
        return Head::default();
    }
    let ask = |args: &[&str]| {
        let answer = steps.read(&git(folder, args)).ok()?;
        Some(answer.trim_end_matches('\n').to_owned()).filter(|answer| !answer.is_empty())
    };
    let changed = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"];
    Head {
        commit: ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
        top: ask(&["rev-parse", "--show-toplevel"]).map(Utf8PathBuf::from),
        dirty: ask(&changed).is_some(),
    }
}

/// What git says of the repository around a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It can be read.
    Sound,
    /// There is none, or no git.
    None,
    /// It has not all commits.
    Shallow,
    /// git refuses to read it, in its own words: it is somebody else's.
    Refused(String),
}

/// Asks git about the repository around a folder.
pub(crate) fn condition(steps: &Steps<'_>, folder: &Utf8Path) -> Condition {
    let ask = git(folder, &["rev-parse", "--is-shallow-repository"]);
    let Some(output) = steps.which("git").and_then(|_| steps.output(&ask).ok()) else {
        return Condition::None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().find(|line| line.contains("dubious ownership")) {
        Some(line) => Condition::Refused(line.trim_start_matches("fatal: ").to_owned()),
        None if !output.status.success() => Condition::None,
        None if output.stdout.starts_with(b"true") => Condition::Shallow,
        None => Condition::Sound,
    }
}

/// The files in a folder that git does not ignore, relative to it, those in submodules too; none
/// where git cannot say.
pub(crate) fn files(steps: &Steps<'_>, folder: &Utf8Path) -> Option<Vec<Utf8PathBuf>> {
    steps.which("git")?;
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let names = steps.read(&git(folder, &list)).ok()?;
    let mut found = Vec::new();
    // With a `/` at its end it is another checkout, perhaps of the same files.
    for name in names.split('\0').filter(|name| !name.is_empty() && !name.ends_with('/')) {
        let path = folder.join(name);
        match is_submodule(&path) {
            true => {
                let inside = files(steps, &path).unwrap_or_default();
                found.extend(inside.into_iter().map(|file| Utf8Path::new(name).join(file)));
            }
            // What is deleted stays in the index.
            false if path.exists() => found.push(name.into()),
            false => {}
        }
    }
    Some(found)
}

/// A folder that git lists is a submodule. Without a `.git` it has not been cloned, and git would
/// answer for the repository around it.
fn is_submodule(path: &Utf8Path) -> bool {
    path.is_dir() && !path.is_symlink() && path.join(".git").exists()
}

/// The commit where `HEAD` left the base.
fn merge_base(steps: &Steps<'_>, top: &Utf8Path, base: &str, option: &str) -> Result<String> {
    let commit = |name: &str| {
        let name = format!("{name}^{{commit}}");
        let find = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let found = steps.read(&git(top, &find)).ok()?;
        Some(found.trim().to_owned())
    };
    let is_shallow = || {
        let ask = git(top, &["rev-parse", "--is-shallow-repository"]);
        steps.read(&ask).is_ok_and(|answer| answer.trim() == "true")
    };
    let branch = base.strip_prefix("origin/").unwrap_or(base);
    let remote = format!("origin/{branch}");
    let Some(found) = commit(base) else {
        let next = match commit(&remote) {
            Some(_) => format!("there is `{remote}`"),
            None if is_shallow() => format!("{SHALLOW}, then `{option} {remote}`"),
            None => format!("`git fetch origin {branch}`, if it is a branch there"),
        };
        return Err(exit::usage(format!("`{option} {base}`: no such commit; {next}")).into());
    };
    let common = steps.read(&git(top, &["merge-base", &found, "HEAD"])).map_err(|_| {
        let next = match is_shallow() {
            true => SHALLOW,
            false => "choose another base",
        };
        exit::usage(format!("`{option} {base}`: no common ancestor with HEAD; {next}"))
    })?;
    Ok(common.trim().to_owned())
}

/// What is asked is which repository the project lies in, and git answers for another one, or
/// with another index, where a hook has passed on its own `GIT_DIR` or `GIT_INDEX_FILE`.
fn git(folder: &Utf8Path, args: &[&str]) -> Step {
    let misleading: Vec<String> = env().into_keys().filter(|name| misleads(name)).collect();
    let misleading: Vec<&str> = misleading.iter().map(String::as_str).collect();
    let step = Step::new("git", folder).args(args.iter().copied()).unset(&misleading);
    // The index is locked where a hook runs, and ours to read only.
    step.env("GIT_OPTIONAL_LOCKS", "0")
}

/// Whether a variable of git changes which repository is meant or what a diff looks like. Those
/// of its configuration do not: CI allows by them that git reads a folder of somebody else.
fn misleads(name: &str) -> bool {
    const HARMLESS: [&str; 4] = ["GIT_CONFIG_", "GIT_TRACE", "GIT_EXEC_PATH", "GIT_CEILING_"];
    let harmless = || HARMLESS.iter().any(|start| name.starts_with(start));
    name.starts_with("GIT_") && !harmless()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_point_elsewhere_are_taken_away() {
        let taken = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"];
        let taken = taken.iter().chain(&["GIT_OBJECT_DIRECTORY", "GIT_DIFF_OPTS", "GIT_NAMESPACE"]);
        let kept = ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_TRACE", "GITHUB_SHA", "PATH"];
        assert!(taken.into_iter().all(|name| misleads(name)));
        assert!(!kept.iter().any(|name| misleads(name)));
    }

    #[test]
    fn files_of_submodules_are_listed_and_of_other_checkouts_not() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        let steps = Steps::new(&|_| {}).expect("steps");
        let make = |folder: &str| {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("setup.py"), "").expect("a file");
            let who = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"];
            for words in [&["init", "-q"][..], &["add", "."], &who] {
                steps.read(&git(&folder, words)).expect("git");
            }
        };
        make("libs/shop");
        make("");
        make("elsewhere");
        std::fs::write(root.join("libs/shop/new.py"), "").expect("a file");
        let mut found = files(&steps, root).expect("files");
        found.sort();
        assert_eq!(found, ["libs/shop/new.py", "libs/shop/setup.py", "setup.py"]);
    }
}
