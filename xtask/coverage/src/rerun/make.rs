//! Makes the file out of what a run has left, within bounds. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::file::{FailedTest, RerunFile, SCHEMA, Told, UnitOfRun};
use super::mask::Mask;
use crate::engine::Ran;
use crate::engine::journal::{TestRun, UnitRun};
use crate::env::Env;
use crate::model::Failure;
use crate::shard::manifest::Versions;

/// Bytes of one text.
const TEXT: usize = 16 << 10;
/// Bytes of all texts together; then only names are kept.
const TEXTS: usize = 8 << 20;
/// Bytes of all names of tests that failed, and of those that came before them.
const NAMES: usize = 8 << 20;

/// Which run it was.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) project: String,
    pub(crate) commit: Option<String>,
    pub(crate) dirty: bool,
    pub(crate) versions: Versions,
    pub(crate) engine: &'static str,
    pub(crate) hash_seed: u32,
    pub(crate) splits: u32,
    pub(crate) pytest_args: &'a [String],
    pub(crate) addopts: &'a [String],
}

/// The file of a run; none where nothing failed.
pub(crate) fn make(origin: Origin<'_>, ran: &Ran, env: &Env) -> Option<RerunFile> {
    let failed = ran.ledger.failed_ids();
    if failed.is_empty() {
        return None;
    }
    let mask = Mask::of(env);
    let kept = within(failed.iter().map(String::as_str), NAMES);
    let kept: HashSet<&str> = failed[..kept].iter().map(String::as_str).collect();
    let (units, unit_of) = units(&ran.units, &kept);
    let mut told = texts(ran.ledger.failures(), &mask);
    let split_of = splits(ran);
    let seed_of = |id: &str| ran.hash_seeds.get(id).copied();
    let hash_seed = failed.iter().find_map(|id| seed_of(id)).unwrap_or(origin.hash_seed);
    let tests = failed.iter().take(kept.len()).map(|id| FailedTest {
        id: id.clone(),
        split: split_of.get(id.as_str()).copied().filter(|it| (1..=origin.splits).contains(it)),
        unit: unit_of.get(id.as_str()).copied(),
        hash_seed: seed_of(id).filter(|seed| *seed != hash_seed),
        failures: told.remove(id.as_str()).unwrap_or_default(),
    });
    let masked = |words: &[String]| words.iter().map(|word| mask.text(word, TEXT)).collect();
    Some(RerunFile {
        schema: SCHEMA,
        tests: tests.collect(),
        units,
        left_out: failed.len() - kept.len(),
        core: ran.core.clone(),
        engine: origin.engine.to_owned(),
        pytest_args: masked(origin.pytest_args),
        addopts: masked(origin.addopts),
        project: origin.project,
        commit: origin.commit,
        dirty: origin.dirty,
        versions: origin.versions,
        hash_seed,
        splits: origin.splits,
    })
}

/// How many texts there is room for.
fn within<'a>(texts: impl Iterator<Item = &'a str>, most: usize) -> usize {
    let sums = texts.scan(0, |sum, text| {
        *sum += text.len();
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= most).count()
}

fn splits(ran: &Ran) -> HashMap<&str, u32> {
    let failures = ran.ledger.failures().iter();
    failures.filter_map(|failure| Some((failure.id.as_str(), failure.split?))).collect()
}

/// What was told of each test.
fn texts<'a>(failures: &'a [Failure], mask: &Mask) -> HashMap<&'a str, Vec<Told>> {
    let (mut told, mut left) = (HashMap::<&str, Vec<Told>>::new(), TEXTS);
    let mut kept = |text: &str| match left {
        0 => "… left out: there is no more room".to_owned(),
        _ => {
            let text = mask.text(text, TEXT);
            left = left.saturating_sub(text.len());
            text
        }
    };
    for failure in failures {
        let text = kept(&failure.text);
        let sections = failure.sections.iter();
        let sections = sections.map(|(title, text)| (title.clone(), kept(text))).collect();
        told.entry(&failure.id).or_default().push(Told { phase: failure.phase, text, sections });
    }
    told
}

/// The units in which these tests failed, and which of them each test was in: where it failed
/// first, as it may have been tried again elsewhere.
fn units<'a>(
    runs: &'a [UnitRun],
    failed: &HashSet<&str>,
) -> (Vec<UnitOfRun>, HashMap<&'a str, usize>) {
    let (mut units, mut unit_of) = (Vec::new(), HashMap::new());
    let mut left = NAMES;
    let mut runs: Vec<&UnitRun> = runs.iter().collect();
    runs.sort_by(|a, b| a.started.total_cmp(&b.started));
    for run in runs {
        let here = |id: &str| failed.contains(id) && !unit_of.contains_key(id);
        let is_new = |test: &TestRun| test.outcome.is_failure() && here(&test.id);
        let Some(last) = run.tests.iter().rposition(is_new) else { continue };
        let new: BTreeSet<&str> =
            run.tests.iter().filter(|test| is_new(test)).map(|test| test.id.as_str()).collect();
        let ids = run.tests[..=last].iter().map(|test| test.id.as_str());
        let size: usize = ids.clone().map(str::len).sum();
        let cut = size > left;
        let tests: Vec<String> =
            ids.filter(|id| !cut || new.contains(id)).map(str::to_owned).collect();
        left = left.saturating_sub(if cut { 0 } else { size });
        unit_of.extend(new.into_iter().map(|id| (id, units.len())));
        units.push(UnitOfRun { split: run.split, tests, cut });
    }
    (units, unit_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Details, Phase, PhaseFailure, TestOutcome};

    fn unit(started: f64, tests: &[(&str, TestOutcome)]) -> UnitRun {
        let run = |(id, outcome): &(&str, TestOutcome)| TestRun {
            id: (*id).to_owned(),
            copy: 0,
            outcome: *outcome,
            started,
            seconds: 0.0,
        };
        let tests = tests.iter().map(run).collect();
        UnitRun { unit: 1, split: 2, slot: 0, started, ended: started, whole: true, tests }
    }

    fn ran(texts: &[(&str, String)]) -> Ran {
        let mut ran = Ran::new(0);
        for (id, text) in texts {
            ran.ledger.finished(id, 0, TestOutcome::Failed, Details::default());
            let phase_failure = PhaseFailure::new(Phase::Call, text.clone());
            ran.ledger.failed(Failure::new((*id).to_owned(), Some(2), phase_failure, None));
        }
        ran
    }

    fn made(ran: &Ran, words: &[String]) -> RerunFile {
        let origin = Origin {
            project: "shop".to_owned(),
            commit: None,
            dirty: true,
            versions: Versions::default(),
            engine: "fork",
            hash_seed: 7,
            splits: 3,
            pytest_args: words,
            addopts: &[],
        };
        let env = [("TOKEN".to_owned(), "s3cret-token".to_owned())].into();
        make(origin, ran, &env).expect("failures")
    }

    #[test]
    fn a_test_is_in_the_unit_in_which_it_failed_first() {
        use TestOutcome::{Failed, Passed};
        let mut ran = ran(&[("b", "s3cret-token is wrong".to_owned())]);
        ran.units = vec![
            unit(5.0, &[("b", Failed)]),
            unit(1.0, &[("a", Passed), ("b", Failed), ("c", Passed)]),
            unit(0.0, &[("d", Passed)]),
        ];
        let file = made(&ran, &["--token=s3cret-token".to_owned()]);
        let [unit] = &file.units[..] else { panic!("one unit: {file:?}") };
        assert_eq!((unit.split, &unit.tests[..]), (2, &["a".to_owned(), "b".to_owned()][..]));
        let [test] = &file.tests[..] else { panic!("one test: {file:?}") };
        assert_eq!((test.split, test.unit), (Some(2), Some(0)));
        assert_eq!(test.failures[0].text, "$TOKEN is wrong");
        assert_eq!(file.pytest_args, ["--token=$TOKEN"]);
    }

    #[test]
    fn nothing_failed_and_there_is_no_file() {
        assert!(Ran::new(0).ledger.failed_ids().is_empty());
        let text = "x".repeat(TEXT * 3);
        let ids: Vec<String> = (0..2000).map(|n| format!("a.py::{n}")).collect();
        let many: Vec<(&str, String)> = ids.iter().map(|id| (id.as_str(), text.clone())).collect();
        let file = made(&ran(&many), &[]);
        let size = serde_json::to_string_pretty(&file).expect("JSON").len();
        assert!(size < 2 * TEXTS && file.tests.len() == 2000, "{size}");
        assert!(file.tests[1999].failures[0].text.starts_with("… left out"));
    }
}
