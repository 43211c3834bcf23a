//! Control groups of version 1 and 2: what they allow, and what their processes have used.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

/// The groups of this process and all those around them: a limit holds for all below it. The
/// innermost comes first.
pub(super) fn groups(root: &Utf8Path) -> Vec<Group> {
    let mine = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    mine.lines().flat_map(|line| groups_of(root, line)).collect()
}

/// A control group's folder, and which files to look for in it.
#[derive(Debug)]
pub(super) struct Group {
    folder: Utf8PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    One,
    Two,
}

/// The groups that one line of `/proc/self/cgroup` names: `0::/path`, `4:cpu,cpuacct:/path`.
fn groups_of(root: &Utf8Path, line: &str) -> Vec<Group> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (mounts, version) = match controllers {
        "" => (vec![String::new(), "unified".to_owned()], Version::Two),
        // Both `cpu` and `cpu,cpuacct` are in use as names, one often a link to the other.
        all => (all.split(',').chain([all]).map(str::to_owned).collect(), Version::One),
    };
    let within = Utf8Path::new(path.trim_start_matches('/'));
    let folders = mounts.iter().map(|mount| root.join("sys/fs/cgroup").join(mount));
    let folders = folders.flat_map(|mount| within.ancestors().map(move |path| mount.join(path)));
    let folders = folders.filter(|folder| folder.is_dir());
    folders.map(|folder| Group { folder, version }).collect()
}

impl Group {
    /// Cores that its quota allows.
    pub(super) fn quota(&self) -> Option<f64> {
        let (quota, period): (u64, u64) = match self.version {
            Version::Two => {
                let text = self.text("cpu.max")?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
            Version::One => (self.number("cpu.cfs_quota_us")?, self.number("cpu.cfs_period_us")?),
        };
        (period > 0).then(|| quota as f64 / period as f64)
    }

    /// Seconds of CPU that its processes have used. Of version 1 only where the controllers `cpu`
    /// and `cpuacct` share a folder, as they usually do.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        match self.version {
            Version::Two => Some(value(&self.text("cpu.stat")?, "usage_usec")? as f64 / 1e6),
            Version::One => Some(self.number("cpuacct.usage")? as f64 / 1e9),
        }
    }

    /// Microseconds in which some task of it waited for a processor.
    pub(super) fn pressure(&self) -> Option<u64> {
        match self.version {
            Version::Two => some_total(&self.text("cpu.pressure")?),
            Version::One => None,
        }
    }

    /// How often the kernel has ended a process of it for want of memory.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        let file = match self.version {
            Version::Two => "memory.events",
            Version::One => "memory.oom_control",
        };
        value(&self.text(file)?, "oom_kill")
    }

    /// Bytes it allows, and how many of them are left. What is cached of files is: the kernel gives
    /// it up when asked, as it says of the machine's in `MemAvailable`. No limit is `max`, or in
    /// version 1 a number beyond all memory.
    pub(super) fn memory(&self) -> Option<(u64, u64)> {
        let (limits, usage, before): (&[_], _, _) = match self.version {
            // Beyond `memory.high` nothing is ended, but all of the group is slowed down.
            Version::Two => (&["memory.max", "memory.high"], "memory.current", ""),
            Version::One => (&["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_"),
        };
        let limits = limits.iter().filter_map(|file| self.number(file));
        let limit = limits.min().filter(|&bytes| bytes < UNLIMITED)?;
        let stat = self.text("memory.stat").unwrap_or_default();
        let cached = ["inactive_file", "active_file"].map(|name| format!("{before}{name}"));
        let cached = cached.iter().filter_map(|name| value(&stat, name)).sum();
        let used = self.number(usage).unwrap_or(0).saturating_sub(cached);
        Some((limit, limit.saturating_sub(used)))
    }

    fn text(&self, file: &str) -> Option<String> {
        read(&self.folder.join(file))
    }

    /// None for words, as `max`, and for numbers below zero, as -1: both mean no limit.
    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }
}

/// Version 1 says a page less than `i64::MAX` where nothing is limited.
const UNLIMITED: u64 = 1 << 60;

/// The microseconds of the line `some avg10=0.00 … total=123` of a file of pressure.
pub(super) fn some_total(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

/// The number after a name at the start of a line.
pub(super) fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

pub(super) fn read(path: &Utf8Path) -> Option<String> {
    fs::read_to_string(path).ok()
}
