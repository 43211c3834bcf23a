//! What the machine was doing while a run went on, as samples, and what follows from them: what
//! kept the run from ending earlier. Pure.

use std::collections::BTreeMap;

use super::journal::UnitRun;
use crate::machine::meter::Reading;
pub(crate) use crate::machine::meter::Sample;

/// Samples in order, so many at the most that a page can hold them, however long a run takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples {
    kept: Vec<Sample>,
    most: usize,
    /// How many of those that come are made into one.
    step: usize,
    /// Those that are to become the next one.
    open: Vec<Sample>,
}

/// Of a run that takes hours one sample stands for some seconds.
const MOST: usize = 2000;
/// Seconds.
const BETWEEN_SAMPLES: f64 = 0.4;

impl Default for Samples {
    fn default() -> Samples {
        Samples::at_most(MOST)
    }
}

impl Samples {
    /// None yet, and never more than so many.
    pub(crate) fn at_most(most: usize) -> Samples {
        Samples { kept: Vec::new(), most: most.max(2), step: 1, open: Vec::new() }
    }

    /// Takes one more.
    pub(crate) fn add(&mut self, sample: Sample) {
        self.open.push(sample);
        if self.open.len() >= self.step {
            self.kept.extend(one_of(&self.open));
            self.open.clear();
        }
        if self.kept.len() >= self.most {
            self.kept = self.kept.chunks(2).filter_map(one_of).collect();
            self.step *= 2;
        }
    }

    /// Keeps what was read at a moment, and returns it; nothing where the machine is read more often
    /// than is worth drawing.
    pub(crate) fn note(&mut self, reading: &Reading, at: f64) -> Option<Sample> {
        let last = self.open.last().or(self.kept.last()).map_or(0.0, |sample| sample.at);
        if at - last < BETWEEN_SAMPLES {
            return None;
        }
        let Reading { busy, cores, available, memory, .. } = *reading;
        let processes = u32::try_from(reading.processes.len()).unwrap_or(u32::MAX);
        let sample = Sample { at, busy, cores, available, memory, processes };
        self.add(sample);
        Some(sample)
    }

    /// All there are.
    pub(crate) fn all(&self) -> Vec<Sample> {
        self.kept.iter().copied().chain(one_of(&self.open)).collect()
    }

    /// At most so many, each of which stands for several.
    pub(crate) fn thinned(&self, most: usize) -> Vec<Sample> {
        let mut few = Samples::at_most(most);
        self.all().into_iter().for_each(|sample| few.add(sample));
        few.all()
    }
}

/// One in place of several: the mean of what they say of the processors, and of memory and
/// processes the worst.
fn one_of(several: &[Sample]) -> Option<Sample> {
    let last = several.last()?;
    let least = |of: fn(&Sample) -> Option<u64>| several.iter().filter_map(of).min();
    let busy = several.iter().map(|it| it.busy).sum::<f64>() / several.len() as f64;
    let processes = several.iter().map(|it| it.processes).max().unwrap_or(0);
    Some(Sample { busy, processes, available: least(|it| it.available), ..*last })
}

/// By how much the memory of processes has grown since each was first seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Growth {
    first: BTreeMap<i32, u64>,
    most: Option<u64>,
}

impl Growth {
    /// What a process had at its start, which may be before anybody has looked.
    pub(crate) fn begin(&mut self, pid: i32, memory: u64) {
        self.first.entry(pid).or_insert(memory);
    }

    /// Takes the bytes that each process has now. What a fork had at first it shares with its
    /// parent; of a process that shares nothing all it has counts.
    pub(crate) fn note(&mut self, now: impl Iterator<Item = (i32, u64)>, shares: bool) {
        let before = std::mem::take(&mut self.first);
        for (pid, memory) in now {
            let first = before.get(&pid).copied().unwrap_or(memory).min(memory);
            let grown = if shares { memory - first } else { memory };
            self.most = self.most.max(Some(grown));
            self.first.insert(pid, first);
        }
    }

    /// That of the one that has grown most; none where none was seen.
    pub(crate) fn most(&self) -> Option<u64> {
        self.most
    }
}

/// What kept a run from ending earlier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    /// They were busy: only faster tests or more cores help.
    Processors,
    /// Tests wait, and more of them at once would have been possible, or there were not more.
    WaitingTests,
    /// There was no room for more processes.
    Memory,
    /// Its node id, and the seconds it took.
    LongTest(String, f64),
    /// The tests were not known for most of the time.
    Collection,
}

/// Collecting took more than this share of the run.
const MOSTLY: f64 = 0.5;
/// While a test ran alone, or as long as a test took, more than this share of the tests' time
/// went by.
const LONG: f64 = 0.5;
const ALONE: f64 = 0.25;
/// From this share on the processors count as busy: a scheduler cannot use up the rest.
const BUSY: f64 = 0.8;
/// Under this share of free memory nothing is started any more, about.
const SHORT: f64 = 0.15;
/// Shorter runs are limited by nothing that is worth a word, seconds.
const WORTH_IT: f64 = 2.0;

/// What kept a run from ending earlier that took `total` seconds, of which it collected for so
/// many.
pub(crate) fn limited_by(
    samples: &[Sample],
    units: &[UnitRun],
    collect_seconds: f64,
    total: f64,
) -> Option<Limit> {
    if total < WORTH_IT {
        return None;
    }
    if collect_seconds > MOSTLY * total {
        return Some(Limit::Collection);
    }
    if let Some((id, seconds)) = long_test(units, total - collect_seconds) {
        return Some(Limit::LongTest(id, seconds));
    }
    let (busy, short) = shares(samples, collect_seconds)?;
    Some(match () {
        () if busy >= BUSY => Limit::Processors,
        () if short > MOSTLY => Limit::Memory,
        () => Limit::WaitingTests,
    })
}

/// How much of the processors was busy while tests ran.
pub(crate) fn busy_share(samples: &[Sample], collect_seconds: f64) -> Option<f64> {
    Some(shares(samples, collect_seconds)?.0)
}

/// A test without which the others would have been through much earlier.
fn long_test(units: &[UnitRun], tests_took: f64) -> Option<(String, f64)> {
    let tests = || units.iter().flat_map(|unit| &unit.tests);
    let several = tests().nth(1).is_some();
    let end = |test: &&super::journal::TestRun| test.started + test.seconds;
    let last = tests().max_by(|a, b| end(a).total_cmp(&end(b)))?;
    let others = tests().filter(|test| !std::ptr::eq(*test, last)).map(|test| end(&test));
    let alone = (end(&last) - others.fold(last.started, f64::max)).max(0.0);
    let longest = tests().max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    let found = if longest.seconds > LONG * tests_took {
        longest
    } else if alone > ALONE * tests_took {
        last
    } else {
        return None;
    };
    several.then(|| (found.id.clone(), found.seconds))
}

/// Of the time in which tests ran: how much of the processors was busy, and in how much of it
/// memory was short. Samples stand for the time since the one before.
fn shares(samples: &[Sample], collect_seconds: f64) -> Option<(f64, f64)> {
    let (mut all, mut busy, mut short) = (0.0, 0.0, 0.0);
    let mut before = collect_seconds;
    for sample in samples.iter().filter(|sample| sample.at > collect_seconds) {
        let seconds = sample.at - before;
        all += seconds;
        busy += seconds * (sample.busy / sample.cores.max(f64::MIN_POSITIVE)).min(1.0);
        let free = sample.available.zip(sample.memory);
        let is_short = free.is_some_and(|(free, memory)| (free as f64) < SHORT * memory as f64);
        short += if is_short { seconds } else { 0.0 };
        before = sample.at;
    }
    (all > 0.0).then(|| (busy / all, short / all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::TestRun;
    use crate::model::TestOutcome;

    const GIB: u64 = 1 << 30;

    fn sample(at: f64, busy: f64, available: u64) -> Sample {
        let (available, memory) = (Some(available * GIB), Some(16 * GIB));
        Sample { at, busy, cores: 2.0, available, memory, processes: 4 }
    }

    /// A unit in which each test begins at once when the one before has ended.
    fn unit(began: f64, tests: &[(&str, f64)]) -> UnitRun {
        let mut at = began;
        let run = |(id, seconds): &(&str, f64)| {
            at += seconds;
            let (outcome, started) = (TestOutcome::Passed, at - seconds);
            TestRun { id: (*id).to_owned(), copy: 0, outcome, started, seconds: *seconds }
        };
        let tests: Vec<TestRun> = tests.iter().map(run).collect();
        UnitRun { unit: 1, split: 1, slot: 0, started: began, ended: at, whole: true, tests }
    }

    /// Ten seconds from the second on in which tests ran, after two of collecting.
    fn limit(busy: f64, available: u64, units: &[UnitRun]) -> Option<Limit> {
        let samples: Vec<Sample> =
            (1..=12).map(|at| sample(f64::from(at), busy, available)).collect();
        limited_by(&samples, units, 2.0, 12.0)
    }

    fn many() -> Vec<UnitRun> {
        vec![unit(2.0, &[("a", 3.0), ("b", 3.0), ("c", 4.0)]), unit(2.0, &[("d", 4.9), ("e", 4.9)])]
    }

    #[test]
    fn what_was_used_up_limits_a_run() {
        assert_eq!(limit(1.9, 8, &many()), Some(Limit::Processors));
        assert_eq!(limit(0.4, 8, &many()), Some(Limit::WaitingTests));
        assert_eq!(limit(0.4, 1, &many()), Some(Limit::Memory));
        assert_eq!(limit(1.9, 1, &many()), Some(Limit::Processors));
    }

    #[test]
    fn one_test_that_the_others_wait_for_limits_a_run() {
        let long = [unit(2.0, &[("a", 10.0)]), unit(2.0, &[("b", 3.0)])];
        assert_eq!(limit(1.9, 8, &long), Some(Limit::LongTest("a".to_owned(), 10.0)));
        let late = [unit(2.0, &[("a", 5.0), ("b", 5.0)]), unit(2.0, &[("c", 4.0), ("d", 3.0)])];
        assert_eq!(limit(1.9, 8, &late), Some(Limit::LongTest("b".to_owned(), 5.0)));
        // The only one is no surprise.
        assert_eq!(limit(0.1, 8, &[unit(2.0, &[("a", 10.0)])]), Some(Limit::WaitingTests));
    }

    #[test]
    fn collecting_limits_a_run_in_which_it_takes_longest() {
        assert_eq!(limited_by(&[], &many(), 7.0, 12.0), Some(Limit::Collection));
        assert_eq!(limited_by(&[], &many(), 2.0, 12.0), None);
        assert_eq!(limited_by(&[], &[], 1.0, 1.5), None);
    }

    #[test]
    fn growth_is_what_came_after_a_process_was_first_seen() {
        let mut growth = Growth::default();
        assert_eq!(growth.most(), None);
        let readings: [&[(i32, u64)]; 4] =
            [&[(1, 100), (2, 500)], &[(1, 170), (2, 480)], &[(1, 150), (2, 540)], &[(3, 900)]];
        let most = readings.map(|reading| {
            growth.note(reading.iter().copied(), true);
            growth.most()
        });
        assert_eq!(most, [Some(0), Some(70), Some(70), Some(70)]);
        // The number of a process that has gone is another's.
        growth.note([(1, 400)].into_iter(), true);
        assert_eq!(growth.most(), Some(70));
        growth.begin(3, 1000);
        growth.begin(3, 2000);
        growth.note([(3, 1090)].into_iter(), true);
        assert_eq!(growth.most(), Some(90));
        growth.note([(4, 300)].into_iter(), false);
        assert_eq!(growth.most(), Some(300));
    }

    #[test]
    fn samples_become_fewer_and_keep_what_matters() {
        let mut samples = Samples::at_most(8);
        for at in 1..=1001 {
            let busy = if at <= 500 { 2.0 } else { 0.0 };
            let available = if at == 700 { 3 } else { 9 };
            samples.add(sample(f64::from(at), busy, available));
        }
        let all = samples.all();
        assert!(all.len() <= 9, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0].at < pair[1].at), "{all:?}");
        assert_eq!(all.last().map(|last| last.at), Some(1001.0));
        assert_eq!(all.iter().filter_map(|it| it.available).min(), Some(3 * GIB));
        let busy = |it: &&Sample| it.busy > 0.0;
        let busy = all.iter().filter(busy).map(|it| it.at).fold(0.0, f64::max);
        assert!((500.0..700.0).contains(&busy), "{busy}");
        assert!((2..=5).contains(&samples.thinned(4).len()));
    }
}
