//! Where everything of ours about one project lives, and the lock that keeps two runs apart.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Project, Workspace, discover, runs};
use crate::digest;
use crate::env;
use crate::layout::{JointFolder, StateFolder};
use crate::{exit, files};

/// The state folder of one project. Its paths are only names until [`State::create`].
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What lies where in it.
    pub names: StateFolder,
    tools: Utf8PathBuf,
    /// The folder that this one is a part of.
    parent: Option<StateFolder>,
    /// True where the folder lies in the project itself and must hide from git.
    hidden: bool,
}

impl State {
    /// `target/xtask/coverage/<project>/` of the Cargo workspace the project lies in, else
    /// `.xtask/` in the project, else a folder where the user keeps caches.
    pub(crate) fn of(project: &Project, workspace: Option<&Workspace>) -> State {
        let can_be_used = |workspace: &&Workspace| {
            project.root.starts_with(&workspace.root) && files::is_writable(&workspace.target)
        };
        match workspace.filter(can_be_used) {
            Some(workspace) => {
                let all = workspace.target.join("xtask");
                let name = folder_name(&project.root, workspace);
                let names = StateFolder::at(all.join("coverage").join(name));
                State { names, tools: all.join("tools"), parent: None, hidden: false }
            }
            None => State::outside_of_cargo(project),
        }
    }

    /// In the project; of one that cannot be written, where caches are.
    fn outside_of_cargo(project: &Project) -> State {
        let root = project.root.join(".xtask");
        match cache().filter(|_| !files::is_writable(&root)) {
            None => {
                let tools = root.join("tools");
                State { names: StateFolder::at(root), tools, parent: None, hidden: true }
            }
            Some(cache) => {
                let hash = short_hash(project.root.as_str());
                let root = cache.join(format!("{}-{hash:08x}", project.name));
                let tools = cache.join("tools");
                State { names: StateFolder::at(root), tools, parent: None, hidden: false }
            }
        }
    }

    /// What `cargo xtask test` keeps, which must leave everything else here as it is.
    pub(crate) fn of_tests(&self) -> State {
        self.part(self.names.of_tests())
    }

    /// What a shard keeps, beside which others may run.
    pub(crate) fn of_shard(&self, name: &str) -> State {
        self.part(self.names.of_shard(name))
    }

    fn part(&self, names: StateFolder) -> State {
        let parent = Some(self.names.clone());
        State { names, tools: self.tools.clone(), parent, hidden: false }
    }

    /// The folder that this one is a part of, or this one.
    pub(crate) fn whole(&self) -> &StateFolder {
        self.parent.as_ref().unwrap_or(&self.names)
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Utf8Path {
        self.names.root()
    }

    /// A file, by the function that names it, in the folder that this one is a part of and then
    /// here: what is there is for want of what is not here.
    pub(crate) fn everywhere(&self, name: fn(&StateFolder) -> Utf8PathBuf) -> Vec<Utf8PathBuf> {
        self.parent.iter().chain([&self.names]).map(name).collect()
    }

    /// Tools of our own, shared by the workspace's projects.
    pub(crate) fn tools(&self) -> Utf8PathBuf {
        self.tools.clone()
    }

    /// Makes a folder of ours (`state.create(&state.names.runs())`), with all above it.
    pub(crate) fn create(&self, folder: &Utf8Path) -> Result<()> {
        make_folder(folder)?;
        if self.hidden && !self.names.gitignore().exists() {
            make_folder(self.dir())?;
            write(&self.names.gitignore(), "*\n")?;
        }
        Ok(())
    }

    /// Keeps other runs out of this project until the lock is dropped or the process dies.
    pub(crate) fn lock(&self) -> Result<Lock> {
        self.create(self.dir())?;
        let path = self.names.lock();
        let mut file = loop {
            match Flock::lock(open(&path)?, FlockArg::LockExclusiveNonblock) {
                // Not where the folder was removed meanwhile, and made anew by another run.
                Ok(file) if is_at(&file, &path) => break file,
                Ok(_) => {}
                Err((mut file, Errno::EWOULDBLOCK)) => bail!(in_use(self.dir(), &mut file)),
                Err((_, errno)) => {
                    let what = exit::usage(format!("failed to lock `{path}`"));
                    return Err(anyhow::Error::from(errno).context(what));
                }
            }
        };
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        note(&mut file).with_context(|| exit::usage(format!("failed to write `{path}`")))?;
        let lock = Lock { _file: file };
        runs::sweep(self, &lock);
        Ok(lock)
    }

    /// Waits until no other run finds or makes the environment: shards may have one checkout.
    pub(crate) fn lock_environment(&self) -> Result<Lock> {
        self.create(self.dir())?;
        wait_for(&self.names.environment_lock())
    }

    /// Waits until no other run of the workspace sets up a shared tool.
    pub(super) fn lock_tools(&self) -> Result<Lock> {
        self.create(&self.tools)?;
        wait_for(&self.tools.join("lock"))
    }
}

/// The folder for what several projects come to together: beside those of the projects in the
/// workspace's target folder, else in that of the first one.
pub(crate) fn joint_folder(
    projects: &[Project],
    workspace: Option<&Workspace>,
) -> Result<JointFolder> {
    let in_target = |it: &&Workspace| files::is_writable(&it.target);
    if let Some(workspace) = workspace.filter(in_target) {
        let folder = workspace.target.join("xtask/joint");
        make_folder(&folder)?;
        return Ok(JointFolder::at(folder));
    }
    let first = projects.first().context("there is no project")?;
    let state = State::of(first, workspace);
    let folder = state.dir().join("joint");
    state.create(&folder)?;
    Ok(JointFolder::at(folder))
}

fn wait_for(path: &Utf8Path) -> Result<Lock> {
    match Flock::lock(open(path)?, FlockArg::LockExclusive) {
        Ok(file) => Ok(Lock { _file: file }),
        Err((_, errno)) => Err(errno).with_context(|| format!("failed to lock `{path}`")),
    }
}

fn cache() -> Option<Utf8PathBuf> {
    let own =
        env::var("XDG_CACHE_HOME").or_else(|| Some(format!("{}/.cache", env::var("HOME")?)))?;
    Some(Utf8PathBuf::from(own).join("xtask-coverage")).filter(|folder| folder.is_absolute())
}

/// Held while a run uses the state folder. The operating system lets go of it when the
/// process ends in whatever way, so a file left behind is no obstacle.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// A name for the project's folder that no other project of the workspace has: the plain
/// one where every entry of the workspace's lists that can mean a project of that name
/// means this one. A target folder elsewhere may be that of other checkouts too.
fn folder_name(root: &Utf8Path, workspace: &Workspace) -> String {
    let path = root.strip_prefix(&workspace.root).unwrap_or(root);
    let name = root.file_name().unwrap_or("root");
    if !real(&workspace.target).starts_with(&workspace.root) {
        return format!("{name}-{:08x}", short_hash(root.as_str()));
    }
    let entries = workspace.projects.iter().chain(&workspace.default_projects);
    let entries = entries.map(|entry| Utf8Path::new(entry.trim_end_matches('/')));
    let is_open = |entry: &Utf8Path| entry.file_name().is_some_and(discover::has_wildcards);
    let mut alike =
        entries.filter(|entry| entry.file_name() == Some(name) || is_open(entry)).peekable();
    // `**` stands for folders of one name in several places.
    let of_one_folder = |entry: &Utf8Path| is_open(entry) && entry.file_name() != Some("**");
    let is_it =
        |entry: &Utf8Path| entry == path || of_one_folder(entry) && entry.parent() == path.parent();
    match alike.peek().is_some() && alike.all(is_it) {
        true => name.to_owned(),
        false => format!("{name}-{:08x}", short_hash(path.as_str())),
    }
}

/// Where a folder lies that may not be there yet, without symbolic links.
fn real(folder: &Utf8Path) -> Utf8PathBuf {
    let there = folder.ancestors().find_map(|above| above.canonicalize_utf8().ok());
    there.unwrap_or_else(|| folder.to_owned())
}

/// Eight digits that tell paths and contents apart.
pub(super) fn short_hash(text: &str) -> u32 {
    digest::number(text) as u32
}

/// True where an open file is what has this name.
fn is_at(file: &File, path: &Utf8Path) -> bool {
    let (ours, there) = (file.metadata(), path.metadata());
    let same = ours.and_then(|ours| Ok((ours, there?)));
    same.is_ok_and(|(ours, there)| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

fn in_use(dir: &Utf8Path, file: &mut File) -> exit::Fault {
    let mut pid = String::new();
    let known = file.read_to_string(&mut pid).is_ok() && !pid.is_empty();
    let pid = if known { pid } else { "unknown".to_owned() };
    exit::usage(format!("another run uses `{dir}` (pid {pid}); wait for it or stop it"))
}

fn open(path: &Utf8Path) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    file.with_context(|| exit::usage(format!("failed to open `{path}`")))
}

fn make_folder(folder: &Utf8Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| exit::usage(format!("failed to create the folder `{folder}`")))
}

/// Writes a file of ours, in place of whatever is there.
pub(super) fn write(path: &Utf8Path, text: &str) -> Result<()> {
    files::replace(path, text).with_context(|| exit::usage(format!("failed to write `{path}`")))
}
