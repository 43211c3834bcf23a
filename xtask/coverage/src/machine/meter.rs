//! What the machine is doing while tests run: processors, memory, and what each worker holds.
//! Everything is read from `/proc` and from control groups; elsewhere than on Linux there is
//! nothing to read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::SysconfVar;
use serde::{Deserialize, Serialize};

use super::groups::{self, Group};
use super::processes::{self, Processes};

/// What the machine was doing since the reading before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Cores that were busy on average, whoever kept them so: the machine's that we may run on,
    /// or those of a control group's quota, whichever left less to us.
    pub busy: f64,
    /// Cores there are for us; a quota may allow a part of one.
    pub cores: f64,
    /// Share of the time in which some task waited for a processor, 0 to 1, in our control group
    /// where that is known; none where the kernel does not tell.
    pub pressure: Option<f64>,
    /// Bytes that are free for us now.
    pub available: Option<u64>,
    /// Bytes there are for us.
    pub memory: Option<u64>,
    /// How often the kernel has ended something for want of memory so far, in our control group
    /// where that is known, else on the machine.
    pub oom_kills: u64,
    /// What each worker that was asked for holds, by process id; ended ones are missing.
    pub processes: BTreeMap<i32, Usage>,
}

/// What a worker and its descendants hold and do. A process that descends from several workers
/// counts for the nearest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Bytes of anonymous memory that is resident. A fork shares nearly all of it with its parent
    /// at first and no cheap number tells how much: what it has taken for itself is the growth
    /// since its first reading. Neither counted are shared memory and what is swapped out.
    pub memory: u64,
    /// Seconds of CPU so far, those of children that have been waited for among them.
    pub cpu: f64,
    /// How many processes.
    pub count: u32,
    /// A thread of one of them runs now, or waits for a processor or a disk.
    pub active: bool,
}

/// The machine at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Seconds since the engine began.
    pub at: f64,
    /// Cores that were busy since the sample before.
    pub busy: f64,
    /// Cores there are for us.
    pub cores: f64,
    /// Bytes that are free for us.
    pub available: Option<u64>,
    /// Bytes there are for us.
    pub memory: Option<u64>,
    /// Processes that run tests.
    pub processes: u32,
}

/// Between two readings of the machine, and where memory is short.
pub(crate) const READING: Duration = Duration::from_millis(500);
const SHORT: Duration = Duration::from_millis(100);

impl Reading {
    /// How long the next one can wait.
    pub(crate) fn next_after(&self) -> Duration {
        let is_short = self.available.zip(self.memory).is_some_and(|(free, all)| free < all / 4);
        if is_short { SHORT } else { READING }
    }
}

/// Takes readings. One costs about half a millisecond of CPU and 17 µs for each of our own
/// processes: with 50 of them and a reading every half second a quarter of a percent of a core.
#[derive(Debug)]
pub(crate) struct Meter {
    root: Utf8PathBuf,
    groups: Vec<Group>,
    /// Processors that we may run on; none where that is not known.
    allowed: Option<BTreeSet<u32>>,
    /// Cores, where the kernel does not tell.
    cores: usize,
    processes: Processes,
    per_tick: f64,
    counted: (Instant, Counters),
    /// What is said again where readings follow each other too closely.
    last: Reading,
}

/// Processor time is counted in hundredths of a second: over less time than this it says little.
const SHORTEST: Duration = Duration::from_millis(200);

impl Meter {
    /// Begins to measure.
    pub(crate) fn new() -> Meter {
        Meter::under(Utf8Path::new("/"), std::process::id().cast_signed())
    }

    /// Measures the machine whose `/proc` and `/sys` lie under `root`, where `me` is this process.
    fn under(root: &Utf8Path, me: i32) -> Meter {
        let status = groups::read(&root.join("proc/self/status")).unwrap_or_default();
        let mut meter = Meter {
            root: root.to_owned(),
            groups: groups::groups(root),
            allowed: allowed(&status),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processes: Processes::under(root, me),
            per_tick: 1.0 / processes::number(SysconfVar::CLK_TCK, 100) as f64,
            counted: (Instant::now(), Counters::default()),
            last: Reading::default(),
        };
        meter.processes.look(&[]);
        meter.counted.1 = meter.count();
        meter
    }

    /// What has happened since the last time.
    pub(crate) fn read(&mut self, workers: &[i32]) -> Reading {
        self.read_after(self.counted.0.elapsed(), workers)
    }

    fn read_after(&mut self, passed: Duration, workers: &[i32]) -> Reading {
        self.processes.look(workers);
        if passed >= SHORTEST || self.last == Reading::default() {
            self.use_of_processors(passed.max(Duration::from_millis(1)));
        }
        let (memory, available) = super::memory(&self.root, &self.groups);
        self.last = Reading {
            available,
            memory,
            oom_kills: self.oom_kills(),
            processes: self.usage(),
            ..self.last.clone()
        };
        self.last.clone()
    }

    fn use_of_processors(&mut self, passed: Duration) {
        let now = self.count();
        let before = std::mem::replace(&mut self.counted, (Instant::now(), now)).1;
        let (seconds, now) = (passed.as_secs_f64(), &self.counted.1);
        let (busy, cores) = use_of_processors(&before, now, seconds);
        let pressure = before.pressure.zip(now.pressure).map(|(before, now)| {
            (now.saturating_sub(before) as f64 / 1e6 / seconds).clamp(0.0, 1.0)
        });
        (self.last.busy, self.last.cores, self.last.pressure) = (busy, cores, pressure);
    }

    fn count(&self) -> Counters {
        let stat = groups::read(&self.root.join("proc/stat")).unwrap_or_default();
        Counters {
            machine: machine_ticks(&stat, self.allowed.as_ref()),
            cores: self.cores,
            quotas: self.groups.iter().filter_map(Quota::of).collect(),
            ours: self.processes.ticks() as f64 * self.per_tick,
            pressure: self.pressure(),
        }
    }

    fn pressure(&self) -> Option<u64> {
        let machine = || groups::some_total(&groups::read(&self.root.join("proc/pressure/cpu"))?);
        self.groups.iter().find_map(Group::pressure).or_else(machine)
    }

    fn oom_kills(&self) -> u64 {
        let machine = || groups::value(&groups::read(&self.root.join("proc/vmstat"))?, "oom_kill");
        self.groups.iter().find_map(Group::oom_kills).or_else(machine).unwrap_or(0)
    }

    fn usage(&self) -> BTreeMap<i32, Usage> {
        let mut usage: BTreeMap<i32, Usage> = BTreeMap::new();
        for (worker, pid, process) in self.processes.by_worker() {
            let all = usage.entry(worker).or_default();
            all.cpu += process.ticks as f64 * self.per_tick;
            all.active |= self.processes.is_active(pid, process);
            if !process.has_ended() {
                all.count += 1;
                all.memory += self.processes.anonymous(pid);
            }
        }
        usage
    }
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}

/// What only grows: of two of these the difference tells what happened between them.
#[derive(Debug, Default)]
struct Counters {
    machine: Option<Ticks>,
    /// Where the machine does not tell.
    cores: usize,
    quotas: Vec<Quota>,
    /// Seconds of CPU of all that descends from us.
    ours: f64,
    /// Microseconds.
    pressure: Option<u64>,
}

/// Of all processors that we may use.
#[derive(Debug, PartialEq)]
struct Ticks {
    cores: usize,
    busy: u64,
    all: u64,
}

/// A control group's.
#[derive(Debug)]
struct Quota {
    cores: f64,
    used: Option<f64>,
}

impl Quota {
    fn of(group: &Group) -> Option<Quota> {
        Some(Quota { cores: group.quota()?, used: group.cpu_seconds() })
    }
}

/// Busy cores, and all there are. Where several limits hold, the one that left the least free.
/// What has no counter of its own is taken to be used by nobody but us: in some sandboxes
/// the processors' times are all zero.
fn use_of_processors(before: &Counters, now: &Counters, seconds: f64) -> (f64, f64) {
    let rate = |before: f64, now: f64| (now - before).max(0.0) / seconds;
    let ours = rate(before.ours, now.ours);
    let (machine_cores, busy) = match (&before.machine, &now.machine) {
        (Some(before), Some(now)) => (now.cores as f64, busy_cores(before, now).unwrap_or(ours)),
        _ => (now.cores as f64, ours),
    };
    let quotas = before.quotas.iter().zip(&now.quotas).map(|(before, now)| {
        let used = before.used.zip(now.used).map(|(before, now)| rate(before, now));
        (now.cores, used.unwrap_or(ours))
    });
    let limits: Vec<(f64, f64)> = quotas.chain([(machine_cores, busy)]).collect();
    let cores = limits.iter().map(|(cores, _)| *cores).fold(f64::INFINITY, f64::min);
    let free = limits.iter().map(|(cores, used)| cores - used).fold(cores, f64::min);
    (cores - free.clamp(0.0, cores), cores)
}

/// None where the clock of the processors stands still.
fn busy_cores(before: &Ticks, now: &Ticks) -> Option<f64> {
    let all = now.all.checked_sub(before.all).filter(|&ticks| ticks > 0)?;
    let busy = now.busy.saturating_sub(before.busy).min(all);
    Some(busy as f64 / all as f64 * now.cores as f64)
}

/// Of `/proc/stat`, those of the processors that we may use. Where the file counts them from zero
/// and our list does not, in a container, they cannot be told apart: all are taken.
fn machine_ticks(stat: &str, allowed: Option<&BTreeSet<u32>>) -> Option<Ticks> {
    let lines: Vec<(u32, u64, u64)> = stat.lines().filter_map(processor).collect();
    let is_ours = |number: &u32| allowed.is_none_or(|allowed| allowed.contains(number));
    let ours: Vec<_> = lines.iter().filter(|(number, ..)| is_ours(number)).collect();
    let chosen = if ours.is_empty() { lines.iter().collect() } else { ours };
    let sum = |ticks: fn(&(u32, u64, u64)) -> u64| chosen.iter().map(|it| ticks(it)).sum();
    let ticks = Ticks { cores: chosen.len(), busy: sum(|it| it.1), all: sum(|it| it.2) };
    (ticks.cores > 0).then_some(ticks)
}

/// A processor's number, its busy ticks and all of them: `cpu3 user nice system idle iowait irq
/// softirq steal guest guest_nice`. What was stolen from a virtual machine is not ours to use, and
/// time of guests is in that of users.
fn processor(line: &str) -> Option<(u32, u64, u64)> {
    let mut fields = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let number = fields.next().filter(|_| !line.starts_with("cpu "))?.parse().ok()?;
    let ticks: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Some((number, all - idle, all))
}

/// The list of `/proc/self/status`: `0-3,8`.
fn allowed(status: &str) -> Option<BTreeSet<u32>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let ranges = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    Some(ranges.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::FakeRoot;

    const MIB: u64 = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    /// `/proc/stat` of two processors: hundredths of a second that each was busy and idle.
    fn stat(processors: [(u32, u32); 2]) -> String {
        let line = |(at, (busy, idle)): (usize, &(u32, u32))| {
            format!("cpu{at} {busy} 0 0 {idle} 0 0 0 0 0 0\n")
        };
        let lines: String = processors.iter().enumerate().map(line).collect();
        format!("cpu  1 2 3 4\n{lines}intr 5\n")
    }

    /// Process 10 is ours.
    fn process(pid: i32, parent: i32, state: char, ticks: u32) -> (String, String) {
        let text = format!("{pid} (python) {state} {parent} {pid} 1 0 -1 0 0 0 0 0 {ticks} 0 0 0");
        (format!("proc/{pid}/stat"), text)
    }

    fn write(root: &FakeRoot, files: &[(String, String)]) {
        let files: Vec<_> = files.iter().map(|(path, text)| (&path[..], &text[..])).collect();
        root.write(&files);
    }

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found}, not {wanted}");
    }

    #[test]
    fn busy_processors_are_those_of_the_machine() {
        let root = FakeRoot::new("busy");
        root.write(&[
            ("proc/stat", &stat([(100, 100), (0, 200)])),
            ("proc/pressure/cpu", "some avg10=1.00 avg60=0 avg300=0 total=1000000\nfull total=9"),
            ("proc/vmstat", "nr_free_pages 1\noom_kill 3\n"),
            ("proc/meminfo", "MemTotal: 2048 kB\nMemAvailable: 1024 kB\n"),
        ]);
        let mut meter = Meter::under(&root.0, 10);
        root.write(&[
            ("proc/stat", &stat([(175, 125), (50, 250)])),
            ("proc/pressure/cpu", "some avg10=1.00 avg60=0 avg300=0 total=1250000\nfull total=9"),
        ]);
        let reading = meter.read_after(SECOND, &[]);
        near(reading.busy, 1.25);
        near(reading.cores, 2.0);
        near(reading.pressure.expect("a pressure"), 0.25);
        assert_eq!((reading.available, reading.memory), (Some(MIB), Some(2 * MIB)));
        assert_eq!(reading.oom_kills, 3);
    }

    #[test]
    fn processors_that_are_not_ours_do_not_count() {
        let root = FakeRoot::new("affinity");
        root.write(&[
            ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t1,4-7\n"),
            ("proc/stat", &stat([(0, 0), (0, 0)])),
        ]);
        let mut meter = Meter::under(&root.0, 10);
        root.write(&[("proc/stat", &stat([(100, 0), (25, 75)]))]);
        let reading = meter.read_after(SECOND, &[]);
        near(reading.busy, 0.25);
        near(reading.cores, 1.0);
    }

    /// Half a core of the group's one and a half is used, while others use up the machine.
    #[test]
    fn of_several_limits_the_one_that_leaves_least_counts() {
        let root = FakeRoot::new("quota");
        root.write(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/cpu.stat", "usage_usec 1000000\nuser_usec 5\n"),
            ("sys/fs/cgroup/a/cpu.pressure", "some avg10=0 avg60=0 avg300=0 total=0\n"),
            ("sys/fs/cgroup/a/memory.max", "4194304\n"),
            ("sys/fs/cgroup/a/memory.high", "2097152\n"),
            ("sys/fs/cgroup/a/memory.current", "1048576\n"),
            ("sys/fs/cgroup/a/memory.events", "low 0\noom 9\noom_kill 2\n"),
            ("proc/pressure/cpu", "some avg10=0 avg60=0 avg300=0 total=7\n"),
            ("proc/vmstat", "oom_kill 30\n"),
            ("proc/stat", &stat([(0, 0), (0, 0)])),
        ]);
        let mut meter = Meter::under(&root.0, 10);
        root.write(&[
            ("sys/fs/cgroup/a/cpu.stat", "usage_usec 1500000\n"),
            ("proc/stat", &stat([(50, 50), (0, 100)])),
        ]);
        let reading = meter.read_after(SECOND, &[]);
        near(reading.cores, 1.5);
        near(reading.busy, 0.5);
        assert_eq!(reading.pressure, Some(0.0));
        assert_eq!(reading.oom_kills, 2);
        assert_eq!((reading.available, reading.memory), (Some(MIB), Some(2 * MIB)));
        root.write(&[
            ("sys/fs/cgroup/a/cpu.stat", "usage_usec 2000000\n"),
            ("proc/stat", &stat([(150, 50), (80, 120)])),
        ]);
        // 0.2 of a core is left on the machine, though the quota would allow one.
        near(meter.read_after(SECOND, &[]).busy, 1.3);
    }

    #[test]
    fn without_counters_what_we_use_is_what_is_used() {
        let root = FakeRoot::new("no-counters");
        root.write(&[(
            "proc/stat",
            "cpu  0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n",
        )]);
        write(&root, &[process(10, 1, 'S', 50), process(20, 10, 'R', 100), process(5, 1, 'R', 0)]);
        let mut meter = Meter::under(&root.0, 10);
        write(&root, &[process(20, 10, 'R', 170), process(5, 1, 'R', 100)]);
        let reading = meter.read_after(SECOND, &[20]);
        near(reading.busy, 0.7);
        near(reading.cores, 2.0);
        assert_eq!(reading.pressure, None);
        assert_eq!(reading.available, None);
    }

    #[test]
    fn a_worker_holds_what_its_descendants_hold() {
        let root = FakeRoot::new("usage");
        write(
            &root,
            &[
                process(10, 1, 'R', 1),
                process(20, 10, 'S', 100),
                process(21, 20, 'S', 50),
                process(22, 20, 'Z', 30),
                process(30, 10, 'S', 5),
                process(40, 10, 'D', 5),
            ],
        );
        root.write(&[
            ("proc/20/statm", "900 300 100 0 0 0 0"),
            ("proc/21/statm", "900 80 30 0 0 0 0"),
            ("proc/22/statm", "900 80 30 0 0 0 0"),
        ]);
        let mut meter = Meter::under(&root.0, 10);
        let workers = [20, 30, 40, 50];
        let first = meter.read_after(SECOND, &workers);
        let page = processes::number(SysconfVar::PAGE_SIZE, 4096);
        let wanted = Usage { memory: 250 * page, cpu: 1.8, count: 2, active: false };
        assert_eq!(first.processes[&20], wanted);
        assert!(first.processes[&40].active);
        assert_eq!(first.processes.keys().collect::<Vec<_>>(), [&20, &30, &40]);
    }

    #[test]
    fn a_worker_is_active_when_one_of_its_threads_is() {
        let root = FakeRoot::new("threads");
        let thread = |state, ticks| process(30, 10, state, ticks).1 + " 20 0 2 0";
        let file = "proc/30/stat";
        write(&root, &[process(10, 1, 'S', 1), (file.to_owned(), thread('S', 5))]);
        root.write(&[
            ("proc/30/task/30/stat", &thread('S', 5)),
            ("proc/30/task/31/stat", &thread('R', 5)),
        ]);
        let mut meter = Meter::under(&root.0, 10);
        let mut active = || meter.read_after(SECOND, &[30]).processes[&30].active;
        assert!(!active(), "nothing has used a processor: its threads are not looked at");
        root.write(&[(file, &thread('S', 6))]);
        assert!(active());
        root.write(&[(file, &thread('S', 7)), ("proc/30/task/31/stat", &thread('S', 5))]);
        assert!(!active(), "it has used a processor, and waits now");
        root.write(&[(file, &thread('D', 7))]);
        assert!(active());
    }

    /// A hundredth of a second is all that the clock can tell.
    #[test]
    fn readings_that_follow_each_other_closely_repeat_what_is_known() {
        let root = FakeRoot::new("closely");
        root.write(&[("proc/stat", &stat([(0, 0), (0, 0)]))]);
        let mut meter = Meter::under(&root.0, 10);
        root.write(&[("proc/stat", &stat([(100, 0), (50, 50)]))]);
        near(meter.read_after(SECOND, &[]).busy, 1.5);
        root.write(&[("proc/stat", &stat([(101, 0), (50, 51)]))]);
        near(meter.read_after(SHORTEST / 2, &[]).busy, 1.5);
        root.write(&[("proc/stat", &stat([(120, 80), (50, 150)]))]);
        near(meter.read_after(SECOND, &[]).busy, 0.2);
    }

    #[test]
    fn without_proc_there_is_nothing_to_tell() {
        let root = FakeRoot::new("nothing");
        let mut meter = Meter::under(&root.0, 10);
        let reading = meter.read_after(SECOND, &[20]);
        let Reading { busy, pressure, available, memory, oom_kills, processes, .. } = reading;
        assert_eq!((busy, pressure, available, memory), (0.0, None, None, None));
        assert_eq!((oom_kills, processes.len()), (0, 0));
    }

    /// The real thing: a child that sleeps, with what it holds.
    #[test]
    #[cfg(target_os = "linux")]
    fn reads_this_machine() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        let pid = child.id().cast_signed();
        let mut meter = Meter::new();
        let reading = meter.read(&[pid]);
        child.kill().expect("to end it");
        child.wait().expect("its end");
        assert_eq!(reading.processes[&pid].count, 1);
        assert!(reading.processes[&pid].memory > 0);
        assert!(reading.cores > 0.0 && reading.memory > reading.available);
        assert_eq!(meter.read(&[pid]).processes.get(&pid), None);
    }
}
