//! Plays shards ahead: when each would be through, with what is its own alone, and where they claim
//! each other's batches. Who claims what is decided as in a run. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::tail::{Answer, Name, Step, Tail};

/// A machine that runs a shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Machine {
    /// How fast it is; that on which times were measured has 1.
    pub speed: f64,
    /// Seconds until the first test, at speed 1.
    pub before: f64,
    /// Seconds that the head takes, at speed 1.
    pub head: f64,
}

/// A batch of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Batch {
    pub number: u32,
    /// The shard that it was planned for.
    pub shard: u32,
    /// What it takes, at speed 1.
    pub seconds: f64,
}

/// Seconds at whose end each machine is through with its own tests.
pub(crate) fn alone(machines: &[Machine], batches: &[Batch]) -> Vec<f64> {
    let own = |shard: u32| -> f64 {
        batches.iter().filter(|it| it.shard == shard).map(|it| it.seconds).sum()
    };
    let machines = machines.iter().zip(1..);
    machines.map(|(it, shard)| (it.before + it.head + own(shard)) / it.speed).collect()
}

/// The same where each batch goes to whoever claims it first.
pub(crate) fn with_tail(machines: &[Machine], batches: &[Batch]) -> Vec<f64> {
    let seconds: BTreeMap<u32, f64> = batches.iter().map(|it| (it.number, it.seconds)).collect();
    let owners: Vec<(u32, u32)> = batches.iter().map(|it| (it.number, it.shard)).collect();
    let mut ends: Vec<f64> = machines.iter().map(|it| (it.before + it.head) / it.speed).collect();
    let mut tails: Vec<Tail> = (1..).zip(machines).map(|(it, _)| Tail::new(it, &owners)).collect();
    let mut busy: BTreeSet<usize> = (0..machines.len()).collect();
    let mut claimed = BTreeSet::new();
    while let Some(&next) = busy.iter().min_by(|a, b| ends[**a].total_cmp(&ends[**b])) {
        match claim(&mut tails[next], &mut claimed) {
            Some(batch) => ends[next] += seconds[&batch] / machines[next].speed,
            None => drop(busy.remove(&next)),
        }
    }
    ends
}

/// The next batch that a shard gets.
fn claim(tail: &mut Tail, claimed: &mut BTreeSet<u32>) -> Option<u32> {
    let mut step = tail.next_step();
    loop {
        step = match step {
            Step::Claim(Name::Shard(_)) => tail.answered(Answer::Claimed),
            Step::Claim(Name::Batch(batch)) => match claimed.insert(batch) {
                true => tail.answered(Answer::Claimed),
                false => tail.answered(Answer::Taken),
            },
            Step::Run(batches) => return batches.first().copied(),
            Step::Over => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Machines with these speeds; each shard has this head, and batches of these seconds.
    fn suite(speeds: &[f64], head: f64, sizes: &[f64]) -> (Vec<Machine>, Vec<Batch>) {
        let machine = |&speed: &f64| Machine { speed, before: 2.0, head };
        let shards = 1..=speeds.len() as u32;
        let sizes = shards.flat_map(|shard| sizes.iter().map(move |size| (shard, *size)));
        let batch = |(number, (shard, seconds))| Batch { number, shard, seconds };
        (speeds.iter().map(machine).collect(), (1..).zip(sizes).map(batch).collect())
    }

    #[test]
    fn machines_alike_run_what_is_their_own() {
        let (machines, batches) = suite(&[1.0; 3], 10.0, &[4.0, 4.0]);
        assert_eq!(alone(&machines, &batches), [20.0; 3]);
        assert_eq!(with_tail(&machines, &batches), [20.0; 3]);
    }

    #[test]
    fn a_slow_machine_runs_fewer_batches() {
        let (machines, batches) = suite(&[0.5, 1.0, 1.0, 1.0], 50.0, &[10.0; 5]);
        assert_eq!(alone(&machines, &batches), [204.0, 102.0, 102.0, 102.0]);
        assert_eq!(with_tail(&machines, &batches), [124.0, 122.0, 112.0, 112.0]);
    }

    /// Why no more than a half is the head.
    #[test]
    fn a_large_head_is_a_limit() {
        let (machines, batches) = suite(&[0.5, 1.0, 1.0, 1.0], 80.0, &[10.0; 2]);
        assert_eq!(with_tail(&machines, &batches), [164.0, 112.0, 112.0, 102.0]);
    }

    #[test]
    fn without_batches_nothing_is_claimed() {
        let (machines, batches) = suite(&[0.5, 1.0], 10.0, &[]);
        assert_eq!(with_tail(&machines, &batches), alone(&machines, &batches));
    }
}
