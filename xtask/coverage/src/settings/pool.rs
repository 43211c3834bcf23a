//! How many splits at once and how many workers each: what suits the machine where nobody says,
//! how far their number may follow it then, and a word of warning where somebody says too much.
//! Pure.

use serde::{Deserialize, Serialize};

use anyhow::Result;

use super::layer::Layer;
use super::origin::{Origin, Setting};
use crate::bounds::ALL_WORKERS;
use crate::cli::{Engine, Pool, Profile};
use crate::exit;
use crate::machine::Machine;
use crate::model::format::{count, gib};

/// What a worker is taken to need while none has been measured, and of one that shares the
/// collected suite with the process that it was forked from.
const ASSUMED: u64 = 300 * MIB;
const ASSUMED_OF_FORKS: u64 = 100 * MIB;
/// No worker needs less, whatever was measured: its interpreter's tables, its pipes.
const LEAST: u64 = 32 * MIB;
const MIB: u64 = 1 << 20;

/// Where tests wait, so many workers for each core, and so many in all: each has pipes, some eight
/// descriptors while a host is started, and 1024 are what a process may have as a rule.
const MOST_PER_CORE: usize = 12;
const MOST: usize = 96;

/// How many processes run tests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workers {
    /// To begin with.
    pub start: usize,
    /// Never more than so many.
    pub most: usize,
    /// Somebody has said how many, or the engine cannot change it: there are as many as at the
    /// start.
    pub fixed: bool,
}

impl Workers {
    /// Neither more nor less than this.
    pub(crate) fn fixed(number: usize) -> Workers {
        Workers { start: number.max(1), most: number.max(1), fixed: true }
    }
}

/// What was measured in earlier runs of a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Bytes by which the memory of a worker grew at most.
    pub memory_growth: Option<u64>,
    /// With how many workers the processors were busy.
    pub workers: Option<usize>,
}

/// What the number of workers follows from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    machine: Machine,
    measured: Measured,
    /// Somebody has said how many.
    said: bool,
}

impl Bounds {
    /// For an engine, and the number that suits the machine.
    pub(super) fn workers(&self, engine: Engine, suits: usize) -> Workers {
        let fixed = self.said || engine == Engine::Stock;
        if fixed {
            return Workers { start: suits, most: suits, fixed };
        }
        let each = match engine {
            Engine::Spawn => self.measured.memory_growth.unwrap_or(ASSUMED).max(LEAST),
            // Whether there is room for one more is seen before each fork.
            _ => ASSUMED_OF_FORKS,
        };
        let fits = room(&self.machine, each).map_or(MOST, |fits| fits as usize);
        let most = self.machine.cores.saturating_mul(MOST_PER_CORE).min(MOST).min(fits);
        // What suited the suite last time may be more than there is room for now.
        let start = self.measured.workers.map_or(suits, |workers| workers.clamp(1, most));
        Workers { start, most: most.max(start), fixed }
    }
}

/// How many splits at once, and how many workers each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) splits_at_once: Setting<u32>,
    pub(super) workers: Setting<u32>,
    pub(super) bounds: Bounds,
    pub(super) warnings: Vec<String>,
}

/// Decides. `layers` are those with options, the strongest first.
pub(super) fn decide(
    layers: &[Layer],
    splits: u32,
    engine: Engine,
    machine: &Machine,
    measured: Measured,
) -> Result<Numbers> {
    let per_worker = measured.memory_growth.unwrap_or(ASSUMED).max(LEAST);
    let at_once = said(layers, |pool| pool.max_concurrent_splits, |(splits, _)| splits);
    let workers = said(layers, |pool| pool.workers_per_split, |(_, workers)| workers);
    let said = at_once.is_some() || workers.is_some();
    let bounds = Bounds { machine: machine.clone(), measured, said };
    let (at_once, workers) = complete(at_once, workers, splits, engine, machine);
    refuse_too_many(&at_once, &workers)?;
    let (at_once, workers) = within_memory(at_once, workers, machine, per_worker);
    let warnings = warnings(&at_once, &workers, engine, machine, per_worker);
    Ok(Numbers { splits_at_once: at_once, workers, bounds, warnings })
}

/// Each number may be fine while their product is none that any machine has room for.
fn refuse_too_many(at_once: &Setting<u32>, workers: &Setting<u32>) -> Result<()> {
    let total = at_once.value.saturating_mul(workers.value);
    if total <= ALL_WORKERS {
        return Ok(());
    }
    Err(exit::usage(format!(
        "`--max-concurrent-splits {}` ({}) and `--workers-per-split {}` ({}) are {total} workers: \
         must be at most {ALL_WORKERS} in all",
        at_once.value, at_once.origin, workers.value, workers.origin
    ))
    .into())
}

/// The strongest layer that has the number itself or a profile.
fn said(
    layers: &[Layer],
    number: impl Fn(&Pool) -> Option<u32>,
    of: impl Fn((u32, u32)) -> u32,
) -> Option<Setting<u32>> {
    layers.iter().find_map(|Layer { origin, options, .. }| {
        let profile = options.pool.profile;
        let typed = number(&options.pool).map(|value| Setting::new(value, origin.clone()));
        typed.or_else(|| profile.map(|it| Setting::new(of(numbers(it)), Origin::Profile(it))))
    })
}

fn numbers(profile: Profile) -> (u32, u32) {
    match profile {
        Profile::Conservative => (2, 3),
        Profile::Balanced => (3, 4),
        Profile::Aggressive => (4, 6),
    }
}

/// No machine has more cores than there may be workers.
fn cores(machine: &Machine) -> u32 {
    u32::try_from(machine.cores).map_or(ALL_WORKERS, |cores| cores.min(ALL_WORKERS))
}

/// The numbers for so many cores.
fn for_cores(cores: u32, engine: Engine) -> (u32, u32) {
    match cores {
        // The workers of a split of this engine collect the whole suite, each by itself.
        0..4 if engine == Engine::Stock => (cores.max(1), 1),
        0..4 => (1, cores.max(1)),
        4..8 => (2, (cores / 2).min(3)),
        8..12 => numbers(Profile::Balanced),
        12.. => numbers(Profile::Aggressive),
    }
}

/// What nobody said: both from the machine's cores, or one so that it fits them with the other.
fn complete(
    at_once: Option<Setting<u32>>,
    workers: Option<Setting<u32>>,
    splits: u32,
    engine: Engine,
    machine: &Machine,
) -> (Setting<u32>, Setting<u32>) {
    let cores = cores(machine);
    let ours = |value| Setting::new(value, Origin::Machine(count(cores.into(), "core")));
    let rest = |given: u32| (cores / given.max(1)).max(1);
    match (at_once, workers) {
        (Some(at_once), Some(workers)) => (at_once, workers),
        (Some(at_once), None) => {
            let workers = ours(rest(at_once.value));
            (at_once, workers)
        }
        (None, Some(workers)) => (ours(rest(workers.value).min(splits)), workers),
        (None, None) => {
            let (at_once, workers) = for_cores(cores, engine);
            let few = splits < at_once;
            let workers = if few { workers.max(rest(splits)) } else { workers };
            (ours(at_once.min(splits)), ours(workers))
        }
    }
}

/// Takes away what memory does not hold, workers first, from what was not said in so many
/// words.
fn within_memory(
    mut at_once: Setting<u32>,
    mut workers: Setting<u32>,
    machine: &Machine,
    per_worker: u64,
) -> (Setting<u32>, Setting<u32>) {
    let Some(room) = room(machine, per_worker) else { return (at_once, workers) };
    let origin = Origin::Machine(format!("{} of memory", gib(machine.available.unwrap_or(0))));
    let lower = |setting: &mut Setting<u32>, other: u32| {
        let fits = (room / other.max(1)).max(1);
        let ours = matches!(setting.origin, Origin::Machine(_) | Origin::Profile(_));
        if ours && fits < setting.value {
            *setting = Setting::new(fits, origin.clone());
        }
    };
    lower(&mut workers, at_once.value);
    lower(&mut at_once, workers.value);
    (at_once, workers)
}

/// For how many workers there is memory; none where it is not known.
fn room(machine: &Machine, per_worker: u64) -> Option<u32> {
    let room = machine.available? / per_worker;
    Some(u32::try_from(room).map_or(ALL_WORKERS, |room| room.clamp(1, ALL_WORKERS)))
}

fn warnings(
    at_once: &Setting<u32>,
    workers: &Setting<u32>,
    engine: Engine,
    machine: &Machine,
    per_worker: u64,
) -> Vec<String> {
    let total = at_once.value.saturating_mul(workers.value);
    let room = room(machine, per_worker).unwrap_or(ALL_WORKERS);
    let too_many = if total > cores(machine).saturating_mul(2) {
        format!("on {}", count(cores(machine).into(), "core"))
    } else if total > room {
        format!("in {} of free memory", gib(machine.available.unwrap_or(0)))
    } else {
        return Vec::new();
    };
    let (splits, each) = fitting(cores(machine), room, engine);
    vec![format!(
        "{} at once {too_many} slow the machine down; `--max-concurrent-splits {splits} \
         --workers-per-split {each}` fits this machine",
        count(total.into(), "worker")
    )]
}

/// Numbers whose product exceeds neither the cores nor the memory.
fn fitting(cores: u32, room: u32, engine: Engine) -> (u32, u32) {
    let most = cores.min(room).max(1);
    let (splits, workers) = for_cores(most, engine);
    let within = (1..=splits).map(|splits| (splits, workers.min(most / splits)));
    within.max_by_key(|(splits, workers)| splits * workers).unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;

    fn machine(cores: usize) -> Machine {
        Machine { cores, memory: None, available: None }
    }

    fn layer(
        origin: Origin,
        at_once: Option<u32>,
        each: Option<u32>,
        profile: Option<Profile>,
    ) -> Layer {
        let pool = Pool {
            max_concurrent_splits: at_once,
            workers_per_split: each,
            profile,
            ..Pool::default()
        };
        Layer::new(origin, Options { pool, ..Options::default() })
    }

    fn typed(at_once: Option<u32>, each: Option<u32>, profile: Option<Profile>) -> Vec<Layer> {
        vec![layer(Origin::CommandLine, at_once, each, profile)]
    }

    fn growth(bytes: u64) -> Measured {
        Measured { memory_growth: Some(bytes), workers: None }
    }

    fn decided(
        layers: &[Layer],
        splits: u32,
        engine: Engine,
        machine: &Machine,
        measured: Measured,
    ) -> Numbers {
        decide(layers, splits, engine, machine, measured).expect("numbers")
    }

    fn shown(numbers: &Numbers) -> String {
        let Numbers { splits_at_once: c, workers: w, .. } = numbers;
        format!("{} ({}) x {} ({})", c.value, c.origin, w.value, w.origin)
    }

    #[test]
    fn the_table_from_1_to_64_cores() {
        for (cores, engine) in (1..=64).flat_map(|it| [(it, Engine::Auto), (it, Engine::Stock)]) {
            let numbers = decided(&[], 12, engine, &machine(cores as usize), Measured::default());
            let wanted = match (cores, engine) {
                (1..4, Engine::Stock) => (cores, 1),
                (1..4, _) => (1, cores),
                (4 | 5, _) => (2, 2),
                (6 | 7, _) => (2, 3),
                (8..=11, _) => (3, 4),
                _ => (4, 6),
            };
            let found = (numbers.splits_at_once.value, numbers.workers.value);
            assert_eq!(found, wanted, "{cores} {engine:?}");
            assert_eq!(numbers.warnings, [""; 0], "{cores}");
            let origin = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
            assert_eq!(numbers.workers.origin.to_string(), origin);
        }
    }

    #[test]
    fn profiles_and_numbers() {
        use Profile::{Aggressive, Balanced, Conservative};
        let table = [
            (
                typed(None, None, Some(Conservative)),
                "2 (profile conservative) x 3 (profile conservative)",
            ),
            (typed(None, None, Some(Balanced)), "3 (profile balanced) x 4 (profile balanced)"),
            (
                typed(None, None, Some(Aggressive)),
                "4 (profile aggressive) x 6 (profile aggressive)",
            ),
            (typed(Some(1), None, Some(Aggressive)), "1 (command line) x 6 (profile aggressive)"),
            (typed(Some(4), None, None), "4 (command line) x 2 (8 cores)"),
            (typed(Some(9), None, None), "9 (command line) x 1 (8 cores)"),
            (typed(None, Some(1), None), "8 (8 cores) x 1 (command line)"),
            (typed(None, Some(3), None), "2 (8 cores) x 3 (command line)"),
            (typed(None, Some(9), None), "1 (8 cores) x 9 (command line)"),
            (typed(Some(5), Some(7), None), "5 (command line) x 7 (command line)"),
            (
                vec![
                    layer(Origin::CommandLine, None, None, Some(Conservative)),
                    layer(Origin::Project, Some(8), Some(8), None),
                ],
                "2 (profile conservative) x 3 (profile conservative)",
            ),
            (
                vec![
                    layer(Origin::CommandLine, None, Some(1), None),
                    layer(Origin::Workspace, None, None, Some(Aggressive)),
                ],
                "4 (profile aggressive) x 1 (command line)",
            ),
        ];
        for (layers, wanted) in table {
            assert_eq!(
                shown(&decided(&layers, 12, Engine::Auto, &machine(8), Measured::default())),
                wanted
            );
        }
    }

    #[test]
    fn more_workers_than_any_machine_has_room_for_are_refused() {
        let layers = [
            layer(Origin::CommandLine, Some(100), None, None),
            layer(Origin::Project, None, Some(101), None),
        ];
        let refused = decide(&layers, 12, Engine::Auto, &machine(8), Measured::default())
            .expect_err("too many");
        assert_eq!(
            refused.to_string(),
            "`--max-concurrent-splits 100` (command line) and `--workers-per-split 101` \
             (pyproject.toml [tool.xtask.coverage]) are 10100 workers: must be at most 10000 in all"
        );
        let most = typed(Some(100), Some(100), None);
        assert_eq!(
            decided(&most, 12, Engine::Auto, &machine(8), growth(u64::MAX)).workers.value,
            100
        );
    }

    #[test]
    fn no_more_at_once_than_there_are_splits() {
        assert_eq!(
            shown(&decided(&[], 1, Engine::Auto, &machine(8), Measured::default())),
            "1 (8 cores) x 8 (8 cores)"
        );
        assert_eq!(
            shown(&decided(&[], 2, Engine::Auto, &machine(8), Measured::default())),
            "2 (8 cores) x 4 (8 cores)"
        );
        assert_eq!(
            shown(&decided(&[], 3, Engine::Auto, &machine(8), Measured::default())),
            "3 (8 cores) x 4 (8 cores)"
        );
        let one_each = typed(None, Some(1), None);
        assert_eq!(
            shown(&decided(&one_each, 3, Engine::Auto, &machine(8), Measured::default())),
            "3 (8 cores) x 1 (command line)"
        );
    }

    /// On 12 cores, where cores allow 4 x 6.
    #[test]
    fn memory_takes_workers_first_and_then_splits() {
        let none = || typed(None, None, None);
        let cores = "12 cores";
        let table = [
            (none(), 24 * 300, None, format!("4 ({cores}) x 6 ({cores})")),
            (none(), 24 * 300 - 1, None, format!("4 ({cores}) x 5 (7.0 GiB of memory)")),
            (none(), 1536, None, format!("4 ({cores}) x 1 (1.5 GiB of memory)")),
            (none(), 700, None, "2 (0.7 GiB of memory) x 1 (0.7 GiB of memory)".to_owned()),
            (none(), 10, None, "1 (0.0 GiB of memory) x 1 (0.0 GiB of memory)".to_owned()),
            (none(), 1536, Some(64), format!("4 ({cores}) x 6 ({cores})")),
            (
                typed(Some(4), Some(6), None),
                300,
                None,
                "4 (command line) x 6 (command line)".to_owned(),
            ),
            (
                typed(None, Some(2), None),
                1024,
                None,
                "1 (1.0 GiB of memory) x 2 (command line)".to_owned(),
            ),
            (
                typed(None, None, Some(Profile::Balanced)),
                2048,
                None,
                "3 (profile balanced) x 2 (2.0 GiB of memory)".to_owned(),
            ),
        ];
        for (layers, mib, per_worker, wanted) in table {
            let machine = Machine { available: Some(mib * MIB), ..machine(12) };
            assert_eq!(
                shown(&decided(
                    &layers,
                    12,
                    Engine::Auto,
                    &machine,
                    per_worker.map(|it| growth(it * MIB)).unwrap_or_default()
                )),
                wanted
            );
        }
    }

    #[test]
    fn too_much_is_answered_with_what_fits() {
        let table = [
            (
                2,
                None,
                (3, 4),
                "12 workers at once on 2 cores slow the machine down; `--max-concurrent-splits 1 --workers-per-split 2` fits this machine",
            ),
            (
                1,
                None,
                (1, 3),
                "3 workers at once on 1 core slow the machine down; `--max-concurrent-splits 1 --workers-per-split 1` fits this machine",
            ),
            (
                8,
                None,
                (4, 6),
                "24 workers at once on 8 cores slow the machine down; `--max-concurrent-splits 2 --workers-per-split 4` fits this machine",
            ),
            (
                12,
                Some(1024),
                (3, 4),
                "12 workers at once in 1.0 GiB of free memory slow the machine down; `--max-concurrent-splits 1 --workers-per-split 3` fits this machine",
            ),
        ];
        for (cores, mib, (at_once, each), wanted) in table {
            let machine = Machine { available: mib.map(|mib: u64| mib * MIB), ..machine(cores) };
            let layers = typed(Some(at_once), Some(each), None);
            assert_eq!(
                decided(&layers, 12, Engine::Auto, &machine, Measured::default()).warnings,
                [wanted]
            );
        }
        let exactly_twice = typed(Some(2), Some(2), None);
        assert_eq!(
            decided(&exactly_twice, 12, Engine::Auto, &machine(2), Measured::default()).warnings,
            [""; 0]
        );
    }

    /// A recommendation that leads to another warning would be none.
    #[test]
    fn what_fits_really_fits() {
        for cores in 1..=64 {
            for room in 1..=64 {
                let (splits, workers) = fitting(cores, room, Engine::Auto);
                assert!(splits >= 1 && workers >= 1, "{cores} cores, room for {room}");
                assert!(splits * workers <= cores.min(room), "{cores} cores, room for {room}");
            }
        }
    }

    fn workers(layers: &[Layer], engine: Engine, machine: &Machine, measured: Measured) -> Workers {
        let numbers = decided(layers, 12, engine, machine, measured);
        let suits = numbers.splits_at_once.value * numbers.workers.value;
        numbers.bounds.workers(engine, suits as usize)
    }

    /// Workers that nobody has asked for: the first number, and the most.
    fn adaptive(
        cores: usize,
        mib: Option<u64>,
        engine: Engine,
        measured: Measured,
    ) -> (usize, usize) {
        let machine = Machine { available: mib.map(|mib| mib * MIB), ..machine(cores) };
        let workers = workers(&[], engine, &machine, measured);
        assert!(!workers.fixed && workers.start <= workers.most, "{workers:?}");
        (workers.start, workers.most)
    }

    #[test]
    fn workers_that_nobody_asked_for_follow_the_machine_within_bounds() {
        let none = Measured::default();
        let of = |memory_growth, workers| Measured { memory_growth, workers };
        let table = [
            ((2, None, Engine::Fork, none), (2, 24)),
            ((64, None, Engine::Fork, none), (24, 96)),
            ((2, Some(1000), Engine::Fork, none), (2, 10)),
            ((2, Some(1000), Engine::Spawn, none), (2, 3)),
            ((2, Some(100), Engine::Fork, none), (1, 1)),
            ((2, Some(1000), Engine::Fork, of(Some(500 * MIB), None)), (2, 10)),
            ((2, Some(1000), Engine::Spawn, of(Some(500 * MIB), None)), (2, 2)),
            ((2, Some(1000), Engine::Fork, of(Some(1), None)), (2, 10)),
            ((2, None, Engine::Fork, of(None, Some(12))), (12, 24)),
            ((2, Some(1000), Engine::Fork, of(None, Some(12))), (10, 10)),
            ((2, None, Engine::Fork, of(None, Some(0))), (1, 24)),
        ];
        for ((cores, mib, engine, measured), wanted) in table {
            let found = adaptive(cores, mib, engine, measured);
            assert_eq!(found, wanted, "{cores} {mib:?} {engine:?} {measured:?}");
        }
    }

    /// What was said stays what was said, whatever was measured.
    #[test]
    fn workers_that_were_asked_for_are_fixed() {
        let measured = Measured { memory_growth: Some(MIB), workers: Some(20) };
        let fixed = |start| Workers { start, most: start, fixed: true };
        let table = [
            (typed(Some(3), Some(4), None), Engine::Fork, 12),
            (typed(Some(1), None, None), Engine::Fork, 2),
            (typed(None, Some(1), None), Engine::Spawn, 2),
            (typed(None, None, Some(Profile::Balanced)), Engine::Auto, 12),
            (vec![layer(Origin::Workspace, None, Some(5), None)], Engine::Fork, 5),
            (Vec::new(), Engine::Stock, 2),
        ];
        for (layers, engine, wanted) in table {
            assert_eq!(
                workers(&layers, engine, &machine(2), measured),
                fixed(wanted),
                "{layers:?}"
            );
        }
    }
}
