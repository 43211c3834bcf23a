//! What the machine has, as far as this process may use it: cores and memory, both limited by
//! cgroups of version 1 or 2; and what it is doing while a run goes on.

mod groups;
pub(crate) mod meter;
pub(crate) mod processes;

use camino::Utf8Path;

use self::groups::Group;

/// What the machine has for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Cores: affinity and the cgroups' quotas counted in.
    pub cores: usize,
    /// Bytes of memory, or of the cgroups' limit where that is lower; none where unknown.
    pub memory: Option<u64>,
    /// Bytes of it that are free now.
    pub available: Option<u64>,
}

impl Machine {
    pub(crate) fn here() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Machine::under(Utf8Path::new("/"), cores)
    }

    /// The machine whose `/proc` and `/sys` lie under `root`. `cores` is what the standard
    /// library counts: it knows affinity, and quotas where the group's folder is mounted under
    /// its own name. In a container that shows the host's path there it sees no quota, so quotas
    /// are read here again.
    pub(crate) fn under(root: &Utf8Path, cores: usize) -> Machine {
        let groups = groups::groups(root);
        // Rounded down, as the standard library does.
        let quotas = groups.iter().filter_map(Group::quota).map(|cores| cores as usize);
        let (memory, available) = memory(root, &groups);
        Machine { cores: quotas.fold(cores, usize::min).max(1), memory, available }
    }
}

/// Bytes of memory there are for us, and how many of them are free.
fn memory(root: &Utf8Path, groups: &[Group]) -> (Option<u64>, Option<u64>) {
    let meminfo = groups::read(&root.join("proc/meminfo")).unwrap_or_default();
    let limits = groups.iter().filter_map(Group::memory);
    let (limits, left): (Vec<_>, Vec<_>) = limits.unzip();
    let memory = kibibytes(&meminfo, "MemTotal:").into_iter().chain(limits).min();
    (memory, kibibytes(&meminfo, "MemAvailable:").into_iter().chain(left).min())
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    groups::value(text, name).map(|number| number.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use camino::Utf8PathBuf;

    use super::*;

    const GIB: u64 = 1 << 30;
    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n");

    /// A folder that stands for `/`, until it is dropped.
    pub(super) struct FakeRoot(pub(super) Utf8PathBuf);

    impl FakeRoot {
        pub(super) fn new(name: &str) -> FakeRoot {
            let root = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("a UTF-8 folder");
            FakeRoot(root.join(format!("xtask-machine-{}-{name}", std::process::id())))
        }

        pub(super) fn write(&self, files: &[(&str, &str)]) {
            for (path, text) in files {
                let path = self.0.join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
                fs::write(path, text).expect("the file");
            }
        }
    }

    impl Drop for FakeRoot {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Cores and GiB of a machine of 8 cores and 8 GiB, 4 of them free, with these files.
    fn check(name: &str, files: &[(&str, &str)], cores: usize, memory: u64, available: u64) {
        let root = FakeRoot::new(name);
        root.write(&[MEMINFO]);
        root.write(files);
        let machine = Machine::under(&root.0, 8);
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
            (
                "sys/fs/cgroup/memory/x/memory.stat",
                "cache 9\ntotal_inactive_file 268435456\ntotal_active_file 268435456\n",
            ),
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
