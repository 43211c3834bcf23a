//! The account of a run, whichever engine runs it: what became of each test, the failures in
//! order of arrival, and whether the failure budget is used up. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::Budget;
use crate::model::{Case, Details, Ending, Failure, NodeId, Phase, Tally, TestOutcome};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Ledger {
    #[serde(flatten)]
    budget: Budget,
    collected: u64,
    #[serde(serialize_with = "as_list", deserialize_with = "from_list")]
    tests: HashMap<Key, Test>,
    failures: Vec<Failure>,
    failed_ids: Vec<String>,
    /// How many of the tests with each id have failed; of a ledger that was read nothing is known.
    #[serde(skip)]
    failed_of: HashMap<String, u32>,
    collect_errors: HashSet<String>,
    /// Why, by node id.
    skipped_files: BTreeMap<String, String>,
    /// Failed attempts that were repeated, in order of arrival.
    repeated: Vec<Failure>,
    ended: usize,
    closed: bool,
}

/// A node id, and which of the tests that have it: mostly there is but one.
type Key = (String, u32);

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Test {
    failed_in: Option<Phase>,
    outcome: Option<TestOutcome>,
    details: Option<Details>,
    /// How many tests ended before it did.
    place: usize,
    /// How many of the failures are its own.
    #[serde(skip)]
    failures: usize,
}

impl Ledger {
    /// An empty account; `budget` failed tests end the run, 0 means that nothing does.
    pub(crate) fn new(budget: u32) -> Ledger {
        Ledger { budget: Budget::new(budget.into()), ..Ledger::default() }
    }

    /// How many tests the whole run has.
    pub(crate) fn collected(&mut self, tests: u64) {
        self.collected = self.collected.max(tests);
    }

    /// The same where it is another number than it was: some came on top, or went elsewhere.
    pub(crate) fn expect(&mut self, tests: u64) {
        self.collected = tests;
    }

    /// Nothing more counts from now on: what comes after the end of the budget, or after a
    /// signal, did not run.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// True where nothing more counts.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// True when the failure budget is used up.
    pub(crate) fn exhausted(&self) -> bool {
        self.budget.is_exhausted()
    }

    /// So many tests have failed in other runs that share the budget.
    pub(crate) fn failed_elsewhere(&mut self, failed: u64) {
        self.budget.elsewhere(failed);
    }

    /// Whether a failure would be one more of the budget.
    pub(crate) fn would_count(&self, failure: &Failure) -> bool {
        let is_known = failure.phase == Phase::Collect && self.collect_errors.contains(&failure.id);
        let test = self.tests.get(&(failure.id.clone(), failure.copy));
        !self.closed && !is_known && test.is_none_or(|test| test.failed_in.is_none())
    }

    /// Notes a failure of a test. False where it came after the end and does not count.
    pub(crate) fn failed(&mut self, failure: Failure) -> bool {
        if self.closed || self.repeats_collect_error(&failure) {
            return false;
        }
        let test = self.tests.entry((failure.id.clone(), failure.copy)).or_default();
        if test.failed_in.is_none() {
            self.budget.count(1);
            let failed = self.failed_of.entry(failure.id.clone()).or_default();
            *failed += 1;
            if *failed == 1 {
                self.failed_ids.push(failure.id.clone());
            }
        }
        test.failures += 1;
        test.failed_in = Some(worse(test.failed_in, failure.phase));
        self.failures.push(failure);
        if self.exhausted() {
            self.close();
        }
        true
    }

    /// Every split, and every worker, meets the same broken file.
    fn repeats_collect_error(&mut self, failure: &Failure) -> bool {
        failure.phase == Phase::Collect && !self.collect_errors.insert(failure.id.clone())
    }

    /// Sets an attempt aside that is repeated. True where it had counted as a failure.
    pub(crate) fn rerun(&mut self, attempt: Failure) -> bool {
        if self.closed {
            return false;
        }
        let key = (attempt.id.clone(), attempt.copy);
        let counted = self.tests.remove(&key).filter(|test| test.failed_in.is_some());
        let had_counted = counted.is_some();
        if let Some(test) = counted {
            let is_it = |failure: &Failure| failure.id == key.0 && failure.copy == key.1;
            for _ in 0..test.failures {
                remove_last(&mut self.failures, is_it);
            }
            self.budget.give_back();
            let others = self.failed_of.get(&key.0).map_or(0, |failed| failed.saturating_sub(1));
            match others {
                0 => {
                    self.failed_of.remove(&key.0);
                    remove_last(&mut self.failed_ids, |failed| *failed == key.0);
                }
                _ => drop(self.failed_of.insert(key.0, others)),
            }
        }
        self.repeated.push(attempt);
        had_counted
    }

    /// Notes the end of a test, the `copy`th of those with this id.
    pub(crate) fn finished(&mut self, id: &str, copy: u32, outcome: TestOutcome, details: Details) {
        if self.closed {
            return;
        }
        self.ended += 1;
        let test = self.tests.entry((id.to_owned(), copy)).or_default();
        test.outcome = Some(outcome);
        test.details = Some(details);
        test.place = self.ended;
    }

    /// Notes a module or class that is skipped as a whole; pytest counts it as one test.
    pub(crate) fn skipped_file(&mut self, id: &str, reason: String) {
        self.skipped_files.insert(id.to_owned(), reason);
    }

    /// Whether a test has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.tests.values().any(|test| test.outcome.is_some())
    }

    /// All failures, in order of arrival.
    pub(crate) fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The tests that failed, each once, in order of arrival.
    pub(crate) fn failed_ids(&self) -> &[String] {
        &self.failed_ids
    }

    /// The tests that passed only when they were repeated.
    pub(crate) fn flaky(&self) -> Vec<&str> {
        let passed = |attempt: &&Failure| {
            self.outcome(&attempt.id, attempt.copy) == Some(TestOutcome::Passed)
        };
        let flaky: BTreeSet<&str> =
            self.repeated.iter().filter(passed).map(|it| it.id.as_str()).collect();
        flaky.into_iter().collect()
    }

    /// Seconds per node id, of the tests that ran to their end. Those of several tests with one
    /// id are added up, as pytest-split does it.
    pub(crate) fn durations(&self) -> BTreeMap<String, f64> {
        self.sums(|details| Some(details.seconds.total()))
    }

    /// The same in seconds of CPU, of the tests of which they were told.
    pub(crate) fn cpu(&self) -> BTreeMap<String, f64> {
        self.sums(|details| details.cpu)
    }

    fn sums(&self, of: impl Fn(&Details) -> Option<f64>) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for ((id, _), test) in &self.tests {
            let skipped = test.outcome == Some(TestOutcome::Skipped);
            let details = test.details.as_ref().filter(|_| !skipped);
            if let Some(seconds) = details.and_then(&of) {
                *sums.entry(id.clone()).or_default() += seconds;
            }
        }
        sums
    }

    /// How each test ended, by node id; of several tests with one id, a failure rather than
    /// anything else.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, TestOutcome> {
        let mut outcomes: BTreeMap<String, (bool, u32, TestOutcome)> = BTreeMap::new();
        for ((id, copy), test) in &self.tests {
            let Some(outcome) = test.outcome() else { continue };
            // The first of those that are equally bad, whatever order the map has.
            let this = (!outcome.is_failure(), *copy, outcome);
            let known = outcomes.entry(id.clone()).or_insert(this);
            if (this.0, this.1) < (known.0, known.1) {
                *known = this;
            }
        }
        outcomes.into_iter().map(|(id, (.., outcome))| (id, outcome)).collect()
    }

    /// How one of the tests with this id ended.
    pub(crate) fn outcome(&self, id: &str, copy: u32) -> Option<TestOutcome> {
        self.tests.get(&(id.to_owned(), copy)).and_then(Test::outcome)
    }

    /// How many tests with each id have ended.
    pub(crate) fn ended(&self) -> HashMap<&str, usize> {
        let mut ended = HashMap::new();
        for ((id, _), test) in &self.tests {
            *ended.entry(id.as_str()).or_default() += usize::from(test.outcome().is_some());
        }
        ended
    }

    /// The ids of planned tests that did not end, counted where several have the same.
    pub(crate) fn left_of<'a>(&'a self, planned: &'a [String]) -> impl Iterator<Item = &'a String> {
        let mut ended = self.ended();
        planned.iter().filter(move |id| match ended.get_mut(id.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        })
    }

    /// Every test that ended or failed, each once: file by file, in the order in which a file's
    /// tests ended, and then what was skipped as a whole.
    pub(crate) fn cases(&self) -> Vec<Case<'_>> {
        let failures = by_test(&self.failures);
        let repeated = by_test(&self.repeated);
        let mut tests: Vec<_> =
            self.tests.iter().filter(|(_, it)| it.outcome().is_some()).collect();
        tests.sort_by_key(|((id, copy), test)| (NodeId(id).file(), test.place, id.as_str(), *copy));
        let cases = tests.into_iter().map(|((id, copy), test)| Case {
            id,
            ending: test.ending(),
            failures: failures.get(&(id.as_str(), *copy)).cloned().unwrap_or_default(),
            repeated: repeated.get(&(id.as_str(), *copy)).cloned().unwrap_or_default(),
            seconds: test.details.as_ref().map(|details| details.seconds),
            properties: test.details.as_ref().map_or(&[], |details| &details.properties),
        });
        let skipped = self
            .skipped_files
            .iter()
            .map(|(id, reason)| Case { ending: Ending::SkippedWhole(reason), ..Case::new(id) });
        cases.chain(skipped).collect()
    }

    /// The tests that have ended: node ids, and which of those with it each is.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &(String, u32)> {
        let ended = self.tests.iter().filter(|(_, test)| test.outcome().is_some());
        ended.map(|(key, _)| key).filter(|(id, _)| !self.collect_errors.contains(id))
    }

    /// Nothing is missed that is not there.
    pub(crate) fn expect_no_more(&mut self) {
        self.collected = 0;
    }

    /// Leaves out where logs are.
    pub(crate) fn forget_logs(&mut self) {
        self.failures.iter_mut().chain(&mut self.repeated).for_each(|it| it.log = None);
    }

    /// Takes out what is known of these tests: another machine has run them, and that counts.
    /// Where several have one id there is no telling which of them is meant.
    pub(crate) fn forget(&mut self, ids: &HashSet<&str>) {
        let several: HashSet<String> =
            self.tests.keys().filter(|(_, copy)| *copy > 0).map(|(id, _)| id.clone()).collect();
        let stays = |id: &str| !ids.contains(id) || several.contains(id);
        self.tests.retain(|(id, _), _| stays(id));
        self.failures.retain(|failure| stays(&failure.id));
        self.repeated.retain(|failure| stays(&failure.id));
        self.failed_ids.retain(|id| stays(id));
        self.failed_of.retain(|id, _| stays(id));
        self.count_failed();
    }

    fn count_failed(&mut self) {
        let failed = self.tests.values().filter(|test| test.failed_in.is_some());
        self.budget.recount(failed.count() as u64);
    }

    /// Adds what became of other tests, on another machine. One that was there already keeps
    /// what is known of it.
    pub(crate) fn absorb(&mut self, other: Ledger) {
        let known: HashSet<Key> = self.tests.keys().cloned().collect();
        let known_files: HashSet<String> = self.collect_errors.clone();
        let is_new = |failure: &Failure| match failure.phase {
            Phase::Collect => !known_files.contains(&failure.id),
            _ => !known.contains(&(failure.id.clone(), failure.copy)),
        };
        let last = self.ended;
        for (key, test) in other.tests {
            if !known.contains(&key) {
                self.tests.insert(key, Test { place: last + test.place, ..test });
            }
        }
        self.ended += other.ended;
        self.failures.extend(other.failures.into_iter().filter(is_new));
        self.repeated.extend(other.repeated.into_iter().filter(is_new));
        for id in other.failed_ids {
            if !self.failed_ids.contains(&id) && self.failures.iter().any(|it| it.id == id) {
                self.failed_ids.push(id);
            }
        }
        self.count_failed();
        self.collect_errors.extend(other.collect_errors);
        self.skipped_files.extend(other.skipped_files);
    }

    /// The counts.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally { reruns: self.repeated.len() as u64, ..Tally::default() };
        tally.skipped = self.skipped_files.len() as u64;
        self.tests.values().for_each(|test| test.count(&mut tally));
        let ended = self.tests.values().filter(|test| test.outcome().is_some()).count() as u64;
        let known = ended + self.skipped_files.len() as u64;
        tally.collected = (self.collected + self.extra()).max(known);
        tally.not_run = tally.collected - known;
        tally
    }

    /// What counts although it is no collected test.
    fn extra(&self) -> u64 {
        (self.collect_errors.len() + self.skipped_files.len()) as u64
    }
}

impl Test {
    /// A failure counts from the moment it is told; all else when the test has ended.
    fn outcome(&self) -> Option<TestOutcome> {
        Some(match self.failed_in {
            None => self.outcome?,
            Some(Phase::Crash) => TestOutcome::Crashed,
            Some(Phase::Timeout) => TestOutcome::TimedOut,
            Some(Phase::Call) => TestOutcome::Failed,
            Some(Phase::Setup | Phase::Teardown | Phase::Collect | Phase::Late) => {
                TestOutcome::Error
            }
        })
    }

    /// What a failure does not say.
    fn ending(&self) -> Ending<'_> {
        let reason = || {
            let reason = self.details.as_ref().and_then(|details| details.reason.as_deref());
            reason.unwrap_or_default()
        };
        match self.outcome {
            Some(TestOutcome::Skipped) => Ending::Skipped(reason()),
            Some(TestOutcome::Xfailed) => Ending::Xfailed(reason()),
            _ => Ending::Ran,
        }
    }

    fn count(&self, tally: &mut Tally) {
        let Some(outcome) = self.outcome() else { return };
        *match outcome {
            TestOutcome::Crashed => &mut tally.crashed,
            TestOutcome::TimedOut => &mut tally.timed_out,
            TestOutcome::Failed => &mut tally.failed,
            TestOutcome::Error => &mut tally.errors,
            TestOutcome::Passed => &mut tally.passed,
            TestOutcome::Skipped => &mut tally.skipped,
            TestOutcome::Xfailed => &mut tally.xfailed,
            TestOutcome::Xpassed => &mut tally.xpassed,
        } += 1;
    }
}

fn as_list<S: Serializer>(tests: &HashMap<Key, Test>, to: S) -> Result<S::Ok, S::Error> {
    let mut list: Vec<(&Key, &Test)> = tests.iter().collect();
    list.sort_by_key(|(key, test)| (test.place, *key));
    list.serialize(to)
}

fn from_list<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<Key, Test>, D::Error> {
    Ok(Vec::<(Key, Test)>::deserialize(from)?.into_iter().collect())
}

fn by_test(failures: &[Failure]) -> HashMap<(&str, u32), Vec<&Failure>> {
    let mut map: HashMap<(&str, u32), Vec<&Failure>> = HashMap::new();
    for failure in failures {
        map.entry((&failure.id, failure.copy)).or_default().push(failure);
    }
    map
}

/// Takes the last of those out of a list. What is repeated has just failed: to look from the end
/// on does not take longer the more has failed before.
fn remove_last<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool) {
    if let Some(at) = list.iter().rposition(is_it) {
        list.remove(at);
    }
}

/// Of two phases in which one test failed, the one it counts under.
fn worse(earlier: Option<Phase>, later: Phase) -> Phase {
    match (earlier, later) {
        (_, Phase::Crash | Phase::Timeout) | (None, _) => later,
        (Some(earlier), _) => earlier,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhaseFailure;

    fn failure(id: &str, phase: Phase) -> Failure {
        Failure::new(id.to_owned(), Some(1), PhaseFailure::new(phase, String::new()), None)
    }

    fn finish(ledger: &mut Ledger, id: &str, outcome: TestOutcome) {
        ledger.finished(id, 0, outcome, Details::default());
    }

    /// Two tests with one id: both count, and what one fails with is not the other's.
    #[test]
    fn tests_with_one_id_are_told_apart() {
        let mut ledger = Ledger::new(3);
        ledger.collected(3);
        finish(&mut ledger, "a", TestOutcome::Passed);
        ledger.failed(failure("a", Phase::Call).of_copy(1));
        ledger.finished("a", 1, TestOutcome::Failed, Details::default());
        let tally = Tally { collected: 3, passed: 1, failed: 1, not_run: 1, ..Tally::default() };
        assert_eq!(ledger.tally(), tally);
        let failures: Vec<usize> = ledger.cases().iter().map(|it| it.failures.len()).collect();
        assert_eq!(failures, [0, 1]);
        assert_eq!(ledger.outcomes(), [("a".to_owned(), TestOutcome::Failed)].into());
        ledger.failed(failure("a", Phase::Call).of_copy(2));
        assert_eq!(ledger.failed_ids(), ["a"]);
        ledger.failed(failure("b", Phase::Call));
        assert!(ledger.exhausted());
    }

    #[test]
    fn one_of_two_tests_with_one_id_is_repeated() {
        let mut ledger = Ledger::new(0);
        ledger.failed(failure("a", Phase::Call));
        ledger.failed(failure("a", Phase::Call).of_copy(1));
        ledger.failed(failure("a", Phase::Teardown).of_copy(1));
        ledger.failed(failure("b", Phase::Call));
        ledger.rerun(failure("a", Phase::Call).of_copy(1));
        assert_eq!((ledger.failures().len(), ledger.failed_ids().len()), (2, 2));
        ledger.finished("a", 1, TestOutcome::Passed, Details::default());
        assert_eq!((ledger.flaky(), ledger.tally().failed), (vec!["a"], 2));
        ledger.rerun(failure("a", Phase::Call));
        let ids: Vec<&str> = ledger.failures().iter().map(|failure| failure.id.as_str()).collect();
        assert_eq!((ids, ledger.failed_ids()), (vec!["b"], &["b".to_owned()][..]));
    }

    #[test]
    fn the_budget_counts_tests_over_all_splits_and_nothing_after_it_counts() {
        let mut ledger = Ledger::new(2);
        ledger.collected(10);
        assert!(ledger.failed(failure("a", Phase::Call)));
        finish(&mut ledger, "a", TestOutcome::Failed);
        assert!(ledger.failed(failure("a", Phase::Teardown)), "the same test does not count twice");
        assert!(!ledger.exhausted());
        assert!(ledger.failed(failure("b", Phase::Setup)));
        assert!(ledger.exhausted());
        assert!(!ledger.failed(failure("c", Phase::Call)));
        finish(&mut ledger, "d", TestOutcome::Passed);
        let tally = ledger.tally();
        assert_eq!((tally.failed, tally.errors, tally.passed, tally.not_run), (1, 1, 0, 8));
        assert_eq!(ledger.failed_ids(), ["a", "b"]);
    }

    #[test]
    fn no_budget_means_never() {
        let mut ledger = Ledger::new(0);
        (0..100).for_each(|n| assert!(ledger.failed(failure(&n.to_string(), Phase::Call))));
        assert!(!ledger.exhausted());
    }

    #[test]
    fn a_repeated_attempt_does_not_count_as_a_failure() {
        let mut ledger = Ledger::new(1);
        ledger.collected(1);
        ledger.rerun(failure("a", Phase::Call));
        finish(&mut ledger, "a", TestOutcome::Passed);
        assert_eq!(
            (ledger.tally().passed, ledger.tally().reruns, ledger.exhausted()),
            (1, 1, false)
        );
    }

    #[test]
    fn a_broken_file_that_every_split_meets_counts_once() {
        let mut ledger = Ledger::new(0);
        assert!(ledger.failed(failure("tests/test_x.py", Phase::Collect)));
        assert!(!ledger.failed(failure("tests/test_x.py", Phase::Collect)));
        assert_eq!(ledger.tally(), Tally { collected: 1, errors: 1, ..Tally::default() });
    }

    #[test]
    fn a_test_that_crashes_in_its_teardown_counts_as_crashed_once() {
        let mut ledger = Ledger::new(0);
        ledger.collected(1);
        ledger.failed(failure("a", Phase::Call));
        ledger.failed(failure("a", Phase::Crash));
        assert_eq!(ledger.tally(), Tally { collected: 1, crashed: 1, ..Tally::default() });
    }
}
