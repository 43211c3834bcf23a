//! `plan.json`: how the suite is cut, made once and given to each shard, so that all split alike
//! whatever their caches hold. Pure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::batches;
use super::manifest::check_schema;
use crate::bounds;
use crate::split::{Plan, Planned};

/// Rises when a field changes its meaning or goes away.
pub(crate) const SCHEMA: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct PlanFile {
    pub schema: u32,
    pub project: String,
    /// The commit that was checked out; none without git.
    pub commit: Option<String>,
    /// Of all that decides which test is where.
    pub digest: String,
    /// Of the durations by which the suite was cut.
    pub durations: String,
    /// Each shard, in order.
    pub shards: Vec<ShardOfPlan>,
    /// This plan and no other: two runs do not claim each other's batches.
    #[serde(default)]
    pub made: String,
    /// Each test, in the order of collection.
    pub tests: Vec<TestOfPlan>,
}

/// What a shard comes to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct ShardOfPlan {
    /// From 1.
    pub index: u32,
    /// How many tests it has.
    pub tests: usize,
    /// Seconds that they should take one after the other.
    pub seconds: f64,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct TestOfPlan {
    pub id: String,
    /// The shard that runs it.
    pub shard: u32,
    /// Seconds that it should take.
    pub seconds: f64,
    /// With `--tail`, the batch that it is in; none where its own shard runs it in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

impl PlanFile {
    /// The plan of a project, to be written.
    pub(crate) fn of(
        project: &str,
        commit: Option<String>,
        plan: &Plan,
        durations: String,
        made: String,
    ) -> PlanFile {
        let mut of: HashMap<usize, u32> = HashMap::new();
        for split in &plan.splits {
            of.extend(split.tests.iter().map(|&test| (test, split.number)));
        }
        let shards = plan.splits.iter().map(|split| ShardOfPlan {
            index: split.number,
            tests: split.tests.len(),
            seconds: rounded(split.seconds),
        });
        let tests = plan.ids.iter().zip(&plan.seconds).enumerate();
        let batches = batches(plan);
        let tests = tests.map(|(test, (id, &seconds))| TestOfPlan {
            id: id.clone(),
            shard: of.get(&test).copied().unwrap_or_default(),
            seconds: rounded(seconds),
            batch: batches.get(&test).copied(),
        });
        PlanFile {
            schema: SCHEMA,
            project: project.to_owned(),
            commit,
            digest: plan.fingerprint(&plan.ids).digest(),
            durations,
            made,
            shards: shards.collect(),
            tests: tests.collect(),
        }
    }

    /// Reads one that may be anything. The error is the end of a sentence that begins with its
    /// name.
    pub(crate) fn read(text: &str) -> Result<PlanFile, String> {
        let unlike = |error| format!("is no plan: {error}");
        check_schema(text, SCHEMA, unlike)?;
        let plan: PlanFile = serde_json::from_str(text).map_err(unlike)?;
        let total = u32::try_from(plan.shards.len()).unwrap_or(u32::MAX);
        bounds::splits(&total.to_string()).map_err(|why| format!("is damaged: shards {why}"))?;
        if plan.tests.iter().any(|test| !(1..=total).contains(&test.shard)) {
            return Err("is damaged: a test is in no shard".to_owned());
        }
        let mut owners = HashMap::new();
        let is_torn = |test: &TestOfPlan| {
            let batch = test.batch.map(|batch| *owners.entry(batch).or_insert(test.shard));
            batch.is_some_and(|owner| owner != test.shard)
        };
        if plan.tests.iter().any(is_torn) {
            return Err("is damaged: a batch is in two shards".to_owned());
        }
        let planned = plan.planned();
        let ids: Vec<String> = planned.tests.iter().map(|(id, _)| id.clone()).collect();
        let cut = Plan::as_planned(ids, &planned).map(|(cut, names)| cut.fingerprint(&names));
        match cut.is_some_and(|print| print.digest() == plan.digest) {
            true => Ok(plan),
            false => Err("is damaged: its digest is another".to_owned()),
        }
    }

    /// How many shards there are.
    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// What decides which test is where.
    pub(crate) fn planned(&self) -> Planned {
        let tests = self.tests.iter().map(|test| (test.id.clone(), test.shard));
        Planned { tests: tests.collect(), splits: self.total() }
    }
}

/// The batch of each test that is in one.
pub(crate) fn batches(plan: &Plan) -> HashMap<usize, u32> {
    let (mut all, mut first) = (HashMap::new(), 1);
    for split in &plan.splits {
        let tests: Vec<(&str, f64)> =
            split.tests.iter().map(|&test| (plan.ids[test].as_str(), plan.seconds[test])).collect();
        let cut = batches::cut(&tests, first);
        first = cut.iter().flatten().max().map_or(first, |last| last + 1);
        let known = split.tests.iter().zip(cut);
        all.extend(known.filter_map(|(&test, batch)| Some((test, batch?))));
    }
    all
}

/// Seconds for people.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Durations, Sum};

    fn plan(ids: &str, splits: u32) -> PlanFile {
        let ids = ids.split(' ').map(str::to_owned).collect();
        let plan = Plan::new(ids, &Durations::default(), splits, Sum::Compensated);
        PlanFile::of("shop", None, &plan, "d".to_owned(), "m".to_owned())
    }

    #[test]
    fn what_was_written_is_read() {
        for file in [plan("a b c a", 3), plan("a", 4)] {
            let text = serde_json::to_string(&file).expect("JSON");
            assert_eq!(PlanFile::read(&text), Ok(file));
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let changed = |change: fn(&mut PlanFile)| {
            let mut file = plan("a b c", 2);
            change(&mut file);
            PlanFile::read(&serde_json::to_string(&file).expect("JSON")).expect_err("a fault")
        };
        assert_eq!(changed(|it| it.schema = 9), "has schema 9, this version reads 1");
        let newer = "{\"schema\": 2, \"suites\": []}";
        assert_eq!(PlanFile::read(newer).expect_err("newer"), "has schema 2, this version reads 1");
        assert_eq!(changed(|it| it.shards.clear()), "is damaged: shards must be at least 1");
        assert_eq!(changed(|it| it.tests[0].shard = 3), "is damaged: a test is in no shard");
        assert_eq!(changed(|it| it.tests[0].shard = 2), "is damaged: its digest is another");
        assert_eq!(changed(|it| drop(it.tests.pop())), "is damaged: its digest is another");
        assert!(PlanFile::read("{}").expect_err("no plan").starts_with("is no plan: "));
    }
}
