//! Batches that shards have claimed from each other: what can be believed of them, whose run of
//! one counts, and what nobody has run. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::engine::BatchHere;
use crate::engine::record::Record;
use crate::model::Part;
use crate::shard::manifest::{Manifest, plain};

/// What a shard has delivered.
pub(super) struct Delivered<'a> {
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// What became of its tests.
    pub record: Record,
    /// Its data.
    pub parts: Vec<Part>,
}

/// Why what a record says of tests and batches cannot be.
pub(super) fn against(manifest: &Manifest, record: &Record) -> Option<String> {
    let numbers: Vec<u32> = record.batches().iter().map(|it| it.batch).collect();
    let claimed = manifest.tail.as_ref().map_or(&[][..], |tail| &tail.claimed);
    let left = manifest.tail.as_ref().map_or(&[][..], |tail| &tail.left);
    let left_of_record = record.tail.as_ref().map_or(&[][..], |tail| &tail.left);
    if numbers != claimed || left != left_of_record || !are_distinct(numbers.iter().chain(left)) {
        return Some("names other batches than it has".to_owned());
    }
    let assigned: HashSet<&String> = record.assigned.iter().collect();
    let is_wrong = |it: &&BatchHere| {
        let is_own = it.shard == manifest.index;
        !(1..=manifest.total).contains(&it.shard)
            || it.tests.len() != it.here.len()
            || (is_own && it.tests.iter().any(|test| !assigned.contains(test)))
    };
    if let Some(batch) = record.batches().iter().find(is_wrong) {
        return Some(format!("has a batch {} that cannot be one of the plan", batch.batch));
    }
    let batches = record.batches().iter().flat_map(|batch| &batch.here);
    let known: HashSet<&String> = record.planned.iter().chain(batches).collect();
    let alien = record.ledger.keys().find(|(id, _)| !known.contains(id));
    alien.map(|(id, _)| format!("has run `{}`, which is not in its plan", plain(id)))
}

fn are_distinct<'a>(mut numbers: impl Iterator<Item = &'a u32>) -> bool {
    let mut seen = HashSet::new();
    numbers.all(|number| seen.insert(number))
}

/// The shards whose batches are not those of the shard that they were planned for, and why.
pub(super) fn wrong(records: &BTreeMap<u32, &Record>) -> BTreeMap<u32, String> {
    let assigned: BTreeMap<u32, HashSet<&String>> =
        records.iter().map(|(index, record)| (*index, record.assigned.iter().collect())).collect();
    let mut wrong = BTreeMap::new();
    for (index, record) in records {
        for batch in record.batches() {
            let Some(planned) = assigned.get(&batch.shard) else { continue };
            if let Some(alien) = batch.tests.iter().find(|test| !planned.contains(test)) {
                let why = format!(
                    "has `{}` in batch {} of shard {}, which has no such test",
                    plain(alien),
                    batch.batch,
                    batch.shard
                );
                wrong.insert(*index, why);
            }
        }
    }
    wrong
}

/// A batch that several have run counts once: the newest run of all its tests. What the others
/// know of it is forgotten; what they have measured is the same.
pub(super) fn settle(delivered: &mut [Delivered<'_>]) {
    let batches: Vec<BatchHere> =
        delivered.iter().flat_map(|it| it.record.batches()).cloned().collect();
    let mut settled = BTreeSet::new();
    for batch in batches {
        if settled.insert(batch.batch) {
            settle_batch(delivered, &batch);
        }
    }
}

fn settle_batch(delivered: &mut [Delivered<'_>], batch: &BatchHere) {
    let runs: Vec<(usize, Vec<String>)> = delivered
        .iter()
        .enumerate()
        .filter_map(|(at, it)| Some((at, names_there(it, batch)?)))
        .collect();
    let rank = |(at, names): &&(usize, Vec<String>)| {
        let Delivered { manifest, record, .. } = &delivered[*at];
        (record.ledger.left_of(names).next().is_none(), manifest.ended)
    };
    let best = runs.iter().max_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let Some(&(best, _)) = best else { return };
    for (at, names) in runs.iter().filter(|(at, _)| *at != best) {
        delivered[*at].record.ledger.forget(&names.iter().map(String::as_str).collect());
    }
}

/// What a shard calls the tests of a batch, if it was to run them: because it has claimed them, or
/// because it is theirs and has claimed nothing at all.
fn names_there(it: &Delivered<'_>, batch: &BatchHere) -> Option<Vec<String>> {
    let Delivered { manifest, record, .. } = it;
    if let Some(here) = record.batches().iter().find(|here| here.batch == batch.batch) {
        return Some(here.here.clone());
    }
    let is_left = record.tail.as_ref().is_some_and(|tail| tail.left.contains(&batch.batch));
    if manifest.index != batch.shard || is_left {
        return None;
    }
    let tests: HashSet<&String> = batch.tests.iter().collect();
    let pairs = record.assigned.iter().zip(&record.planned);
    Some(pairs.filter(|(name, _)| tests.contains(name)).map(|(_, here)| here.clone()).collect())
}

/// The tests of each shard that nobody has run, as the plan calls them.
pub(super) fn not_run(delivered: &[Delivered<'_>]) -> BTreeMap<u32, Vec<String>> {
    let mut run: HashMap<&str, usize> = HashMap::new();
    for Delivered { manifest, record, .. } in delivered {
        let mut ended = record.ledger.ended();
        let foreign = record.batches().iter().filter(|batch| batch.shard != manifest.index);
        let foreign = foreign.flat_map(|batch| batch.tests.iter().zip(&batch.here));
        for (name, here) in record.assigned.iter().zip(&record.planned).chain(foreign) {
            if let Some(count) = ended.get_mut(here.as_str()).filter(|count| **count > 0) {
                *count -= 1;
                *run.entry(name).or_default() += 1;
            }
        }
    }
    let mut all = BTreeMap::new();
    for Delivered { manifest, record, .. } in delivered {
        let is_left = |name: &&String| match run.get_mut(name.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
        let left: Vec<String> = record.assigned.iter().filter(is_left).cloned().collect();
        if !left.is_empty() {
            all.insert(manifest.index, left);
        }
    }
    all
}

/// The batches of each shard that it has left to others, and that nobody has delivered.
pub(super) fn lost(delivered: &[Delivered<'_>]) -> BTreeMap<u32, Vec<u32>> {
    let records = || delivered.iter().map(|it| &it.record);
    let here: HashSet<u32> =
        records().flat_map(|record| record.batches()).map(|it| it.batch).collect();
    let mut all = BTreeMap::new();
    for Delivered { manifest, record, .. } in delivered {
        let left = record.tail.iter().flat_map(|tail| &tail.left);
        let lost: Vec<u32> = left.filter(|batch| !here.contains(batch)).copied().collect();
        if !lost.is_empty() {
            all.insert(manifest.index, lost);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Claimed, Ran};
    use crate::model::{Details, TestOutcome};
    use crate::shard::manifest::TailOfShard;
    use crate::shard::manifest::tests::manifest;
    use crate::split::Share;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn batch(text: &str) -> BatchHere {
        let (numbers, tests) = text.split_once(':').expect("a batch");
        let (batch, shard) = numbers.split_once(" of ").expect("of a shard");
        let number = |text: &str| text.parse().expect("a number");
        let tests = words(tests);
        BatchHere { batch: number(batch), shard: number(shard), here: tests.clone(), tests }
    }

    /// The shard with these tests, batches and ended tests, and batches that it has left.
    fn record(assigned: &str, batches: &[&str], ended: &str, left: &[u32]) -> Record {
        let mut ran = Ran::new(0);
        ran.planned = words(assigned);
        ran.share = Some(Share { assigned: words(assigned), ..Share::default() });
        let batches = batches.iter().map(|text| batch(text)).collect();
        ran.tail = Some(Claimed { batches, left: left.to_vec() });
        for id in words(ended) {
            ran.ledger.finished(&id, 0, TestOutcome::Passed, Details::default());
        }
        Record::of(&ran, Vec::new(), 0)
    }

    fn names(record: &Record) -> String {
        let mut ids: Vec<&str> = record.ledger.keys().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids.join(" ")
    }

    /// Settles records of shards 1, 2 and so on, of which each ended later than the one before.
    fn settled(records: Vec<Record>) -> (Vec<String>, BTreeMap<u32, Vec<String>>) {
        let manifests: Vec<Manifest> = (1..=records.len() as u32)
            .map(|index| Manifest { ended: f64::from(index), ..manifest(index, 4) })
            .collect();
        let pairs = manifests.iter().zip(records);
        let mut delivered: Vec<_> = pairs
            .map(|(manifest, record)| Delivered { manifest, record, parts: Vec::new() })
            .collect();
        settle(&mut delivered);
        let kept = delivered.iter().map(|it| names(&it.record)).collect();
        (kept, not_run(&delivered))
    }

    #[test]
    fn of_two_runs_of_a_batch_the_newest_whole_one_counts() {
        let one = |ended| record("a b c", &["1 of 1: b c"], ended, &[]);
        let two = |ended| record("x", &["1 of 1: b c"], ended, &[]);
        let (kept, left) = settled(vec![one("a b c"), two("x b c")]);
        assert_eq!((kept, left), (vec!["a".to_owned(), "b c x".to_owned()], [].into()));
        let (kept, left) = settled(vec![one("a b c"), two("x b")]);
        assert_eq!((kept, left), (vec!["a b c".to_owned(), "x".to_owned()], [].into()));
    }

    /// One of them was started without `--tail`.
    #[test]
    fn a_shard_that_claims_nothing_has_run_all_it_has() {
        let mut one = record("a b c", &[], "a b c", &[]);
        one.tail = None;
        let (kept, left) = settled(vec![one, record("x", &["1 of 1: b c"], "x b c", &[])]);
        assert_eq!((kept, left), (vec!["a".to_owned(), "b c x".to_owned()], [].into()));
    }

    #[test]
    fn what_nobody_has_run_is_that_of_the_shard_it_was_planned_for() {
        let one = record("a b c", &[], "a", &[1]);
        let two = record("x y", &["1 of 1: b c"], "x b", &[2]);
        let (_, left) = settled(vec![one, two]);
        assert_eq!(left, [(1, words("c")), (2, words("y"))].into());
    }

    #[test]
    fn batches_that_nobody_has_delivered_are_named() {
        let manifest = manifest(1, 4);
        let of = |record| Delivered { manifest: &manifest, record, parts: Vec::new() };
        let delivered = [of(record("a", &["4 of 2: x"], "a x", &[1, 2]))];
        assert_eq!(lost(&delivered), [(1, vec![1, 2])].into());
        let delivered = [of(record("a", &["2 of 2: x"], "a x", &[1, 2]))];
        assert_eq!(lost(&delivered), [(1, vec![1])].into());
    }

    #[test]
    fn batches_that_cannot_be_are_refused() {
        let said = |claimed: &[u32], record: &Record| {
            let left = record.tail.as_ref().map(|it| it.left.clone()).unwrap_or_default();
            let tail = TailOfShard { claimed: claimed.to_vec(), left, ..TailOfShard::default() };
            against(&Manifest { tail: Some(tail), ..manifest(1, 4) }, record).unwrap_or_default()
        };
        let sound = record("a b", &["1 of 1: b", "2 of 2: x"], "a b x", &[3]);
        assert_eq!(said(&[1, 2], &sound), "");
        assert_eq!(said(&[1], &sound), "names other batches than it has");
        let twice = record("a b", &["3 of 1: b"], "a b", &[3]);
        assert_eq!(said(&[3], &twice), "names other batches than it has");
        let far = record("a", &["2 of 5: x"], "a x", &[]);
        assert_eq!(said(&[2], &far), "has a batch 2 that cannot be one of the plan");
        let alien = record("a", &["1 of 1: x"], "a x", &[]);
        assert_eq!(said(&[1], &alien), "has a batch 1 that cannot be one of the plan");
        let more = record("a", &["2 of 2: x"], "a x y", &[]);
        assert_eq!(said(&[2], &more), "has run `y`, which is not in its plan");
    }

    #[test]
    fn a_batch_has_the_tests_of_its_shard() {
        let one = record("a b", &[], "a b", &[]);
        let two = record("x", &["1 of 1: b y"], "x b y", &[]);
        let why = "has `y` in batch 1 of shard 1, which has no such test".to_owned();
        assert_eq!(wrong(&[(1, &one), (2, &two)].into()), [(2, why)].into());
        assert_eq!(wrong(&[(2, &two)].into()), [].into(), "there is no telling");
    }
}
