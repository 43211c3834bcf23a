//! What the machine has, as far as this process may use it: cores and memory, both limited by
//! cgroups of version 1 or 2.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

/// What the machine has for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores: affinity and the cgroups' quotas counted in.
    pub cores: usize,
    /// Bytes of memory, or of the cgroups' limit where that is lower; none where unknown.
    pub memory: Option<u64>,
    /// Bytes of it that are free now.
    pub available: Option<u64>,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Machine::under(Utf8Path::new("/"), cores)
    }

    /// The machine whose `/proc` and `/sys` lie under `root`. `cores` is what the standard
    /// library counts: it knows affinity, and quotas where the group's folder is mounted under
    /// its own name. In a container that shows the host's path there it sees no quota, so quotas
    /// are read here again.
    pub fn under(root: &Utf8Path, cores: usize) -> Machine {
        let groups = groups(root);
        let meminfo = read(&root.join("proc/meminfo")).unwrap_or_default();
        let total = kibibytes(&meminfo, "MemTotal:");
        let free = kibibytes(&meminfo, "MemAvailable:");
        let limits = groups.iter().filter_map(Group::memory);
        let (limits, left): (Vec<_>, Vec<_>) = limits.unzip();
        Machine {
            cores: groups.iter().filter_map(Group::cores).fold(cores, usize::min).max(1),
            memory: total.into_iter().chain(limits).min(),
            available: free.into_iter().chain(left).min(),
        }
    }
}

/// A control group's folder, and which files to look for in it.
struct Group {
    folder: Utf8PathBuf,
    version: Version,
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

/// The groups of this process and all those around them: a limit holds for all below it.
fn groups(root: &Utf8Path) -> Vec<Group> {
    let mine = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    mine.lines().flat_map(|line| groups_of(root, line)).collect()
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
    folders.map(|folder| Group { folder, version }).collect()
}

impl Group {
    /// Whole cores that its quota allows, rounded down as the standard library does.
    fn cores(&self) -> Option<usize> {
        let (quota, period) = match self.version {
            Version::Two => {
                let text = self.text("cpu.max")?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
            Version::One => (self.number("cpu.cfs_quota_us")?, self.number("cpu.cfs_period_us")?),
        };
        let cores = usize::try_from(u64::checked_div(quota, period)?).ok()?;
        Some(cores.max(1))
    }

    /// Bytes it allows, and how many of them are left. Cached files count as used, though the
    /// kernel gives the inactive ones up when asked. No limit is `max`, or in version 1 a number
    /// beyond all memory.
    fn memory(&self) -> Option<(u64, u64)> {
        let (limit, usage, cached) = match self.version {
            Version::Two => ("memory.max", "memory.current", "inactive_file"),
            Version::One => {
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            }
        };
        let limit = self.number(limit).filter(|&bytes| bytes < UNLIMITED)?;
        let stat = self.text("memory.stat").unwrap_or_default();
        let used =
            self.number(usage).unwrap_or(0).saturating_sub(value(&stat, cached).unwrap_or(0));
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

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    value(meminfo, name).map(|number| number.saturating_mul(1024))
}

/// The number after a name at the start of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

fn read(path: &Utf8Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n");

    /// Cores and GiB of a machine of 8 cores and 8 GiB, 4 of them free, with these files.
    fn check(name: &str, files: &[(&str, &str)], cores: usize, memory: u64, available: u64) {
        let root = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("a UTF-8 folder");
        let root = root.join(format!("xtask-machine-{}-{name}", std::process::id()));
        for (path, text) in files.iter().chain([&MEMINFO]) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            fs::write(path, text).expect("the file");
        }
        let machine = Machine::under(&root, 8);
        fs::remove_dir_all(&root).expect("our own folder");
        let memory = Some(memory * GIB / 2);
        let available = Some(available * GIB / 2);
        assert_eq!(machine, Machine { cores, memory, available }, "{name}");
    }

    const V2: &str = "sys/fs/cgroup/a/b/";
    const MINE_V2: (&str, &str) = ("proc/self/cgroup", "0::/a/b\n");

    fn v2(file: &str) -> String {
        format!("{V2}{file}")
    }

    /// Memory in halves of a GiB.
    #[test]
    fn without_groups_the_machine_is_all_ours() {
        check("none", &[], 8, 16, 8);
    }

    #[test]
    fn version_2_without_limits() {
        let (cpu, memory) = (v2("cpu.max"), v2("memory.max"));
        check("v2max", &[MINE_V2, (&cpu, "max 100000\n"), (&memory, "max\n")], 8, 16, 8);
    }

    #[test]
    fn version_2_with_limits() {
        let (cpu, max, current, stat) =
            (v2("cpu.max"), v2("memory.max"), v2("memory.current"), v2("memory.stat"));
        let files = [
            MINE_V2,
            (cpu.as_str(), "250000 100000\n"),
            (&max, "2147483648\n"),
            (&current, "1610612736\n"),
            (&stat, "anon 5\ninactive_file 536870912\n"),
        ];
        check("v2", &files, 2, 4, 2);
    }

    #[test]
    fn the_tightest_of_the_groups_around_counts() {
        let inner = v2("memory.max");
        let files = [
            MINE_V2,
            (inner.as_str(), "max"),
            ("sys/fs/cgroup/a/memory.max", "1073741824"),
            ("sys/fs/cgroup/a/memory.current", "536870912"),
            ("sys/fs/cgroup/a/cpu.max", "50000 100000"),
            ("sys/fs/cgroup/memory.max", "4294967296"),
            ("sys/fs/cgroup/cpu.max", "400000 100000"),
        ];
        check("nested", &files, 1, 2, 1);
    }

    /// A container may see the host's path in `/proc` and only its own group in `/sys`.
    #[test]
    fn a_path_that_is_not_mounted_leaves_the_root() {
        let files = [
            ("proc/self/cgroup", "0::/docker/0123\n"),
            ("sys/fs/cgroup/cpu.max", "300000 100000"),
            ("sys/fs/cgroup/memory.max", "1073741824"),
        ];
        check("docker", &files, 3, 2, 2);
    }

    #[test]
    fn version_1_with_limits() {
        let files = [
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "200000"),
            ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1610612736"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1073741824"),
            ("sys/fs/cgroup/memory/x/memory.stat", "cache 9\ntotal_inactive_file 536870912\n"),
        ];
        check("v1", &files, 2, 3, 2);
    }

    #[test]
    fn version_1_without_limits() {
        let files = [
            ("proc/self/cgroup", "5:cpu:/\n4:memory:/\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
        ];
        check("v1max", &files, 8, 16, 8);
    }
}
