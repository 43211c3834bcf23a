//! What of the machine and its settings may get into a run's way.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::Level::{Good, Note, Warning};
use super::{Finding, Invocation};
use crate::machine::Machine;
use crate::model::format::gib;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) fn look(invocation: &Invocation<'_>) -> Vec<Finding> {
    let mut findings = vec![size(&Machine::here(), &whole())];
    findings.extend(memory(&Machine::here()));
    findings.extend(invocation.workspace.and_then(|it| disk("the target folder", &it.target)));
    let temporary = Utf8PathBuf::from_path_buf(std::env::temp_dir()).ok();
    findings.extend(temporary.and_then(|folder| disk("the folder for temporary files", &folder)));
    findings.extend(limits());
    findings.extend(variables(|name| invocation.env.get(name).is_some_and(|it| !it.is_empty())));
    findings
}

/// The machine as if no cgroup had a say in it.
fn whole() -> Machine {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Machine { cores, memory: kib.map(|kib| kib * 1024), available: None }
}

fn size(ours: &Machine, whole: &Machine) -> Finding {
    let memory = |bytes: Option<u64>| match bytes {
        Some(bytes) => gib(bytes),
        None => "unknown memory".to_owned(),
    };
    let what = format!("{} cores, {}", ours.cores, memory(ours.memory));
    let is_limited = ours.cores < whole.cores || ours.memory < whole.memory;
    let of = format!(" of {} and {}: a cgroup or affinity", whole.cores, memory(whole.memory));
    let of = if is_limited && whole.cores > 0 { of } else { String::new() };
    Finding::new("machine", if of.is_empty() { Good } else { Note }, what + &of)
}

/// A worker of a usual suite takes 200 to 500 MB.
fn memory(machine: &Machine) -> Option<Finding> {
    let free = machine.available?;
    let enough = 512 * MIB * machine.cores as u64;
    let what = format!("{} MiB of memory are free, for {} cores", free / MIB, machine.cores);
    (free < enough).then(|| {
        let fix = "close what takes it, or set `memory-per-test` and fewer `workers-per-split`";
        Finding::new("memory", Warning, what).fix(fix)
    })
}

fn disk(what: &str, folder: &Utf8Path) -> Option<Finding> {
    let there = folder.ancestors().find(|path| path.exists())?;
    let found = statvfs(there.as_std_path()).ok()?;
    let bytes = found.blocks_available() as u64 * found.fragment_size() as u64;
    let said = format!("{} MiB are free in {what}, `{folder}`", bytes / MIB);
    (bytes < GIB).then(|| Finding::new("disk", Warning, said).fix(format!("du -xsh {folder}/*")))
}

fn limits() -> Option<Finding> {
    let (files, most) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let what = format!("a process may have {files} files open; each worker takes some");
    (files < 512)
        .then(|| Finding::new("limits", Warning, what).fix(format!("ulimit -n {}", most.min(4096))))
}

/// Variables that change what tests or coverage do, and are easily forgotten.
fn variables(is_set: impl Fn(&str) -> bool) -> Vec<Finding> {
    let known = [
        ("COVERAGE_FILE", "is where coverage's data goes, whatever the configuration says"),
        ("COVERAGE_PROCESS_START", "starts coverage in every Python, also where it is not meant"),
        ("COVERAGE_RCFILE", "is coverage's configuration, not the project's own"),
        ("PYTEST_ADDOPTS", "adds to the options of every pytest"),
        ("PYTEST_PLUGINS", "loads plugins in every pytest"),
        ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "keeps installed plugins from being loaded"),
        ("PYTHONDONTWRITEBYTECODE", "has every process compile every module anew, which is slow"),
        ("PYTHONPATH", "has Python find modules that the environment does not have"),
        ("PYTHONHOME", "has Python look for its library elsewhere"),
        ("PYTHONOPTIMIZE", "takes `assert` out of what is not a test"),
    ];
    let set = known.into_iter().filter(|(name, _)| is_set(name));
    set.map(|(name, what)| {
        Finding::new("variables", Warning, format!("`{name}` is set: it {what}"))
            .fix(format!("unset {name}"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_container_are_named() {
        let machine = |cores, gib: u64| Machine {
            cores,
            memory: Some(gib * GIB),
            available: Some(gib * GIB / 4),
        };
        assert_eq!(size(&machine(8, 16), &machine(8, 16)).what, "8 cores, 16.0 GiB");
        let small = size(&machine(2, 4), &machine(8, 16));
        assert_eq!(small.what, "2 cores, 4.0 GiB of 8 and 16.0 GiB: a cgroup or affinity");
        assert!(memory(&machine(2, 4)).is_none() && memory(&machine(8, 8)).is_some());
    }

    #[test]
    fn variables_that_matter_are_named() {
        let found = variables(|name| name == "PYTHONPATH");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].fix.as_deref(), Some("unset PYTHONPATH"));
    }
}
