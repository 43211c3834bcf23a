//! The processes of the machine: who descends from whom, what each has used, and what it holds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::{SysconfVar, sysconf};

/// A process, as `/proc/PID/stat` describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// `R`, `S`, `D`, `Z`, …: that of its first thread.
    state: u8,
    /// Ticks of CPU that it and all the children that it has waited for have used.
    pub(super) ticks: u64,
    /// How many threads it has.
    threads: u32,
}

impl Process {
    /// Reads the one line of the file.
    pub(crate) fn parse(stat: &[u8]) -> Option<Process> {
        // The name in parentheses may hold anything, also a parenthesis, and no UTF-8.
        let behind = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = std::str::from_utf8(stat.get(behind..)?).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // Of itself in user mode and in the kernel, then of its children.
        let mut fields = fields.skip(7);
        let times = fields.by_ref().take(4);
        let ticks = times.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
        // Behind its priority and how nice it is.
        let threads = fields.nth(2).and_then(|field| field.parse().ok()).unwrap_or(1);
        Some(Process { parent, group, session, state, ticks, threads })
    }

    /// Its first thread runs, waits for a processor, or for a disk.
    fn is_active(&self) -> bool {
        matches!(self.state, b'R' | b'D')
    }

    /// It only waits for its parent to take note of its end.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// A signal or a debugger has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Those of the processes that descend from some of them: what others do is of no interest, and
/// is not looked at twice.
#[derive(Debug)]
pub(super) struct Processes {
    proc: Utf8PathBuf,
    /// This process, or what stands for it.
    me: i32,
    /// What descends from this process or from a worker.
    ours: HashMap<i32, Process>,
    /// Those of them that have used a processor since the look before.
    used: HashSet<i32>,
    /// The worker that each of these belongs to, found out while its parents lived.
    workers: HashMap<i32, i32>,
    others: HashSet<i32>,
    looks: u32,
    page_size: u64,
}

/// Of a process with more threads the first ones have to do.
const MOST_THREADS: usize = 32;

/// Numbers are used again: at each so many looks all processes are looked at.
const LOOKS: u32 = 32;

impl Processes {
    pub(super) fn under(root: &Utf8Path, me: i32) -> Processes {
        Processes {
            proc: root.join("proc"),
            me,
            ours: HashMap::new(),
            used: HashSet::new(),
            workers: HashMap::new(),
            others: HashSet::new(),
            looks: 0,
            page_size: number(SysconfVar::PAGE_SIZE, 4096),
        }
    }

    /// Looks at what there is now.
    pub(super) fn look(&mut self, workers: &[i32]) {
        let all = self.looks.is_multiple_of(LOOKS);
        self.looks = self.looks.wrapping_add(1);
        let (known, new): (Vec<_>, Vec<_>) =
            pids(&self.proc).into_iter().partition(|pid| !all && self.others.contains(pid));
        let mut buffer = [0; 4096];
        let found = new
            .into_iter()
            .filter_map(|pid| Some((pid, Process::parse(self.read(pid, "stat", &mut buffer)?)?)));
        let (ours, others) = apart(found.collect(), self.me, workers);
        let before = std::mem::replace(&mut self.ours, ours);
        let used = |(pid, now): (&i32, &Process)| {
            let ticks = before.get(pid).map_or(0, |before| before.ticks);
            (now.ticks > ticks).then_some(*pid)
        };
        self.used = self.ours.iter().filter_map(used).collect();
        self.others = known.into_iter().chain(others).collect();
        self.workers = belongings(&self.ours, self.me, workers, &self.workers);
    }

    /// What belongs to each worker.
    pub(super) fn by_worker(&self) -> impl Iterator<Item = (i32, i32, &Process)> {
        self.workers.iter().filter_map(|(pid, worker)| Some((*worker, *pid, self.ours.get(pid)?)))
    }

    /// Some thread of it runs, waits for a processor, or for a disk. The state of a process is that
    /// of its first thread; others are looked at only where something has used a processor, for
    /// libraries keep dozens of them in store.
    pub(super) fn is_active(&self, pid: i32, process: &Process) -> bool {
        process.is_active()
            || process.threads > 1 && self.used.contains(&pid) && self.has_active_thread(pid)
    }

    fn has_active_thread(&self, pid: i32) -> bool {
        let mut buffer = [0; 4096];
        let mut is_active = |thread: i32| {
            let stat = self.read(pid, &format!("task/{thread}/stat"), &mut buffer);
            stat.and_then(Process::parse).is_some_and(|thread| thread.is_active())
        };
        pids(&self.proc.join(format!("{pid}/task")))
            .into_iter()
            .take(MOST_THREADS)
            .any(&mut is_active)
    }

    /// Ticks of CPU that all that descends from us has used so far.
    pub(super) fn ticks(&self) -> u64 {
        self.ours.values().map(|process| process.ticks).sum()
    }

    /// Anonymous memory that is resident, of which much may be shared with the process that it
    /// was forked from.
    pub(super) fn anonymous(&self, pid: i32) -> u64 {
        let mut buffer = [0; 256];
        let pages = self.read(pid, "statm", &mut buffer).and_then(anonymous_pages);
        pages.unwrap_or(0).saturating_mul(self.page_size)
    }

    fn read<'a>(&self, pid: i32, file: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        // A path on its own, without `join`: this is most of what a look does beside the kernel.
        let path = format!("{}/{pid}/{file}", self.proc);
        let length = File::open(path).ok()?.read(buffer).ok()?;
        buffer.get(..length)
    }
}

/// Pages of `/proc/PID/statm`: all that is resident, but not files and shared memory.
fn anonymous_pages(statm: &[u8]) -> Option<u64> {
    let mut fields = std::str::from_utf8(statm).ok()?.split_ascii_whitespace().skip(1);
    let resident: u64 = fields.next()?.parse().ok()?;
    Some(resident.saturating_sub(fields.next()?.parse().ok()?))
}

/// Those that descend from us or from a worker, and the numbers of those that do not.
fn apart(
    mut found: HashMap<i32, Process>,
    me: i32,
    workers: &[i32],
) -> (HashMap<i32, Process>, Vec<i32>) {
    let roots: HashSet<i32> = workers.iter().copied().chain([me]).collect();
    let descends = |pid: &i32| ancestors(*pid, &found).any(|it| roots.contains(&it));
    let others: Vec<i32> = found.keys().filter(|pid| !descends(pid)).copied().collect();
    for pid in &others {
        found.remove(pid);
    }
    (found, others)
}

/// The worker that each process belongs to: the nearest among its ancestors, so that nothing is
/// counted twice. What has lost its parents has become our child: it stays with the worker whose
/// process group it is in, or that it was seen under `before`.
fn belongings(
    ours: &HashMap<i32, Process>,
    me: i32,
    workers: &[i32],
    before: &HashMap<i32, i32>,
) -> HashMap<i32, i32> {
    let workers: BTreeSet<i32> = workers.iter().copied().collect();
    let known = |pid: i32| {
        let lost = ours.get(&pid).filter(|process| process.parent == me);
        let of_lost =
            lost.into_iter().flat_map(|process| [Some(process.group), before.get(&pid).copied()]);
        [Some(pid)].into_iter().chain(of_lost).flatten().find(|it| workers.contains(it))
    };
    let worker_of = |pid| ancestors(pid, ours).take_while(|&it| it != me).find_map(known);
    ours.keys().filter_map(|&pid| Some((pid, worker_of(pid)?))).collect()
}

/// A process and those it descends from, as far as they are known. They were not read all at the
/// same moment, so this may be a circle, where numbers are used again: it ends.
fn ancestors(pid: i32, known: &HashMap<i32, Process>) -> impl Iterator<Item = i32> {
    let parent = |pid: &i32| known.get(pid).map(|process| process.parent);
    std::iter::successors(Some(pid), parent).take(known.len() + 1)
}

/// The numbers of all processes; none where there is no such folder.
pub(crate) fn pids(proc: &Utf8Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A constant of the system.
pub(super) fn number(name: SysconfVar, usual: u64) -> u64 {
    let value = sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok());
    value.filter(|&value| value > 0).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Process id, parent and group.
    fn table(rows: &[(i32, i32, i32)]) -> HashMap<i32, Process> {
        let process = |parent, group| {
            let (session, state) = (group, b'S');
            Process { parent, group, session, state, ticks: 0, threads: 1 }
        };
        rows.iter().map(|&(pid, parent, group)| (pid, process(parent, group))).collect()
    }

    fn sorted(found: HashMap<i32, i32>) -> Vec<(i32, i32)> {
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let line = b"42 (a) b (\xff) R 7 9 9 0 -1 4194304 1 2 3 4 100 20 3 1 20 0 5 0 99 0 5 6";
        let (parent, group, session) = (7, 9, 9);
        let wanted = Process { parent, group, session, state: b'R', ticks: 124, threads: 5 };
        assert_eq!(Process::parse(line), Some(wanted));
        for broken in [&b""[..], b"42 (x", b"42 (x)", b"42 (x) R 7", b"42 (x) R a b"] {
            assert_eq!(Process::parse(broken), None);
        }
    }

    #[test]
    fn memory_is_what_is_resident_without_files_and_shared_memory() {
        assert_eq!(anonymous_pages(b"9000 700 300 1 0 5 0\n"), Some(400));
        assert_eq!(anonymous_pages(b"0 0 0 0 0 0 0\n"), Some(0));
        assert_eq!(anonymous_pages(b""), None);
    }

    /// 10 is us, 20 a host, 30 and 31 workers that it has forked.
    #[test]
    fn a_process_belongs_to_the_nearest_worker() {
        let rows = [(1, 0, 1), (10, 1, 10), (20, 10, 20), (30, 20, 30), (31, 20, 31)];
        let more = [(40, 30, 30), (41, 40, 41), (50, 1, 50), (51, 50, 50)];
        let found = table(&[&rows[..], &more[..]].concat());
        let (ours, mut others) = apart(found, 10, &[30, 31]);
        others.sort_unstable();
        assert_eq!(others, [1, 50, 51]);
        let belong = |workers: &[i32]| sorted(belongings(&ours, 10, workers, &HashMap::new()));
        assert_eq!(belong(&[30, 31]), [(30, 30), (31, 31), (40, 30), (41, 30)]);
        let with_host = [(20, 20), (30, 30), (31, 31), (40, 30), (41, 30)];
        assert_eq!(belong(&[20, 30, 31]), with_host);
        assert_eq!(belong(&[]), []);
    }

    /// 40 and 41 were children of the worker 30, and are ours now.
    #[test]
    fn what_has_lost_its_parent_stays_with_its_worker() {
        let ours = table(&[(10, 1, 10), (30, 10, 30), (40, 10, 30), (41, 10, 41), (42, 41, 41)]);
        let unseen = belongings(&ours, 10, &[30], &HashMap::new());
        assert_eq!(sorted(unseen), [(30, 30), (40, 30)]);
        let seen = belongings(&ours, 10, &[30], &HashMap::from([(41, 30)]));
        assert_eq!(sorted(seen), [(30, 30), (40, 30), (41, 30), (42, 30)]);
        // Once that worker is of no interest nobody has them.
        assert_eq!(sorted(belongings(&ours, 10, &[31], &HashMap::from([(41, 30)]))), []);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let (ours, others) = apart(table(&[(2, 3, 2), (3, 2, 3)]), 10, &[]);
        assert_eq!((ours.len(), others.len()), (0, 2));
    }
}
