//! `plan --simulate --shards N`: when shards would be through, with and without `--tail`.

use std::collections::BTreeMap;

use super::Known;
use crate::model::format::{count, seconds};
use crate::screen::Screen;
use crate::shard::foresee::{Batch, Machine, alone, with_tail};
use crate::shard::plan::batches;
use crate::split::Plan;

/// Machines like this one, and one of half its speed among them.
pub(super) fn show(screen: &Screen, known: &Known<'_>, plan: &Plan, slots: usize) {
    let (machines, batches) = played(known, plan, slots);
    let of = |what, machines: &[Machine]| Row {
        what,
        alone: alone(machines, &batches),
        tail: with_tail(machines, &batches),
    };
    let mut uneven = machines.clone();
    uneven.iter_mut().take(1).for_each(|first| first.speed = 0.5);
    let rows = [of("All alike", &machines), of("One of half the speed", &uneven)];
    let shards = count(machines.len() as u64, "shard");
    let workers = count(slots as u64, "worker");
    screen.say(&format!("{shards} of {workers}: the first and the last are through after"));
    screen.say("Machines               Each its own       With --tail");
    for Row { what, alone, tail } in rows {
        let line = format!("{what:<21}  {:<17}  {}", span(&alone), span(&tail));
        screen.say(line.trim_end());
    }
    if batches.is_empty() {
        screen.say("There are no batches to claim: the shards are too short");
    }
}

/// When the shards are through.
struct Row {
    what: &'static str,
    alone: Vec<f64>,
    tail: Vec<f64>,
}

fn span(ends: &[f64]) -> String {
    let first = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let last = ends.iter().copied().fold(0.0, f64::max);
    format!("{} – {}", seconds(first), seconds(last))
}

/// A machine for each shard, and the batches of all. What a shard takes of its workers is shared
/// out as its tests' seconds are.
fn played(known: &Known<'_>, plan: &Plan, slots: usize) -> (Vec<Machine>, Vec<Batch>) {
    let batch_of = batches(plan);
    let (mut machines, mut all) = (Vec::new(), Vec::new());
    let mut own = plan.clone();
    for split in &plan.splits {
        own.splits = vec![split.clone()];
        let run = known.foresee(&own, slots);
        let rate = run.schedule.seconds / split.seconds.max(f64::MIN_POSITIVE);
        let (mut head, mut batches) = (0.0, BTreeMap::<u32, f64>::new());
        for test in &split.tests {
            let takes = plan.seconds[*test] * rate;
            match batch_of.get(test) {
                Some(batch) => *batches.entry(*batch).or_default() += takes,
                None => head += takes,
            }
        }
        machines.push(Machine { speed: 1.0, before: run.collecting + run.rest, head });
        let shard = split.number;
        all.extend(batches.into_iter().map(|(number, seconds)| Batch { number, shard, seconds }));
    }
    (machines, all)
}
