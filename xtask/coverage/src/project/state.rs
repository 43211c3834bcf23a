//! Where everything of ours about one project lives, and the lock that keeps two runs apart.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Project, Workspace};
use crate::{exit, files};

/// The state folder of one project. Its paths are only names until [`State::create`].
#[derive(Clone, Debug)]
pub struct State {
    dir: Utf8PathBuf,
    tools: Utf8PathBuf,
    /// The folder that this one is a room of.
    house: Option<Utf8PathBuf>,
    /// True where the folder lies in the project itself and must hide from git.
    hidden: bool,
}

impl State {
    /// `target/xtask/coverage/<project>/` of the Cargo workspace the project lies in, else
    /// `.xtask/` in the project.
    pub fn of(project: &Project, workspace: Option<&Workspace>) -> State {
        match workspace.filter(|workspace| project.root.starts_with(&workspace.root)) {
            Some(workspace) => State {
                dir: workspace
                    .target
                    .join("xtask/coverage")
                    .join(folder_name(&project.root, workspace)),
                tools: workspace.target.join("xtask/tools"),
                house: None,
                hidden: false,
            },
            None => {
                let dir = project.root.join(".xtask");
                State { tools: dir.join("tools"), dir, house: None, hidden: true }
            }
        }
    }

    /// A folder within, for runs that must leave everything else here as it is.
    pub fn room(&self, name: &str) -> State {
        let house = Some(self.dir.clone());
        State { dir: self.dir.join(name), tools: self.tools.clone(), house, hidden: false }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Data files of splits and units.
    pub fn parts(&self) -> Utf8PathBuf {
        self.dir.join("parts")
    }

    /// Logs of splits.
    pub fn logs(&self) -> Utf8PathBuf {
        self.dir.join("logs")
    }

    /// Seconds per test, recorded on this machine.
    pub fn durations(&self) -> Utf8PathBuf {
        self.dir.join("durations.json")
    }

    /// Seconds of CPU per test, recorded on this machine.
    pub fn cpu(&self) -> Utf8PathBuf {
        self.dir.join("cpu.json")
    }

    /// The same file in the folder that this one is a room of: for want of a file here.
    pub fn in_house(&self, file: &Utf8Path) -> Option<Utf8PathBuf> {
        Some(self.house.as_ref()?.join(file.file_name()?))
    }

    /// What the last run was and how it ended.
    pub fn run_json(&self) -> Utf8PathBuf {
        self.dir.join("run.json")
    }

    /// Our Python files, unpacked.
    pub fn host(&self) -> Utf8PathBuf {
        self.dir.join("host")
    }

    /// The environment of our own, where the project has none.
    pub fn venv(&self) -> Utf8PathBuf {
        self.dir.join("venv")
    }

    /// Tools of our own, shared by the workspace's projects.
    pub fn tools(&self) -> Utf8PathBuf {
        self.tools.clone()
    }

    /// Makes a folder of ours (`state.create(&state.parts())`), with all above it.
    pub fn create(&self, folder: &Utf8Path) -> Result<()> {
        make_folder(folder)?;
        if self.hidden && !self.dir.join(".gitignore").exists() {
            make_folder(&self.dir)?;
            write(&self.dir.join(".gitignore"), "*\n")?;
        }
        Ok(())
    }

    /// Keeps other runs out of this project until the lock is dropped or the process dies.
    pub fn lock(&self) -> Result<Lock> {
        self.create(&self.dir)?;
        let path = self.dir.join("lock");
        let mut file = match Flock::lock(open(&path)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((mut file, Errno::EWOULDBLOCK)) => bail!(in_use(&self.dir, &mut file)),
            Err((_, errno)) => {
                return Err(errno).with_context(|| exit::usage(format!("failed to lock `{path}`")));
            }
        };
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        note(&mut file).with_context(|| exit::usage(format!("failed to write `{path}`")))?;
        Ok(Lock { _file: file })
    }

    /// Waits until no other run finds or makes the environment: shards may have one checkout.
    pub fn lock_environment(&self) -> Result<Lock> {
        self.create(&self.dir)?;
        let path = self.dir.join("environment.lock");
        match Flock::lock(open(&path)?, FlockArg::LockExclusive) {
            Ok(file) => Ok(Lock { _file: file }),
            Err((_, errno)) => Err(errno).with_context(|| format!("failed to lock `{path}`")),
        }
    }

    /// Waits until no other run of the workspace sets up a shared tool.
    pub(super) fn lock_tools(&self) -> Result<Lock> {
        self.create(&self.tools)?;
        let path = self.tools.join("lock");
        match Flock::lock(open(&path)?, FlockArg::LockExclusive) {
            Ok(file) => Ok(Lock { _file: file }),
            Err((_, errno)) => Err(errno).with_context(|| format!("failed to lock `{path}`")),
        }
    }
}

/// Held while a run uses the state folder. The operating system lets go of it when the
/// process ends in whatever way, so a file left behind is no obstacle.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    _file: Flock<File>,
}

/// A name for the project's folder that no other project of the workspace has: the plain
/// one where every entry of the workspace's lists that can mean a project of that name
/// means this one.
fn folder_name(root: &Utf8Path, workspace: &Workspace) -> String {
    let path = root.strip_prefix(&workspace.root).unwrap_or(root);
    let name = root.file_name().unwrap_or("root");
    let entries = workspace.projects.iter().chain(&workspace.default_projects);
    let entries = entries.map(|entry| Utf8Path::new(entry.trim_end_matches('/')));
    let has_star = |entry: &Utf8Path| entry.file_name().is_some_and(|last| last.contains('*'));
    let mut alike =
        entries.filter(|entry| entry.file_name() == Some(name) || has_star(entry)).peekable();
    let is_it =
        |entry: &Utf8Path| entry == path || has_star(entry) && entry.parent() == path.parent();
    match alike.peek().is_some() && alike.all(is_it) {
        true => name.to_owned(),
        false => format!("{name}-{:08x}", short_hash(path.as_str())),
    }
}

/// Eight digits that tell paths and contents apart. Should another Rust hash differently,
/// a state folder or an environment is made anew: no harm.
pub(super) fn short_hash(text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() as u32
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
