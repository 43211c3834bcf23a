//! Who runs which batch of the tails of all shards. A shard claims its own batches first, in
//! order, then those of others, from the ends. Pure.
//!
//! Nothing is lost as long as the shards live. Each asks for every one of its own batches, and
//! leaves to others only what somebody has claimed. Who claims a batch runs it, and so does who
//! gets no answer to a claim: it may have been made. Without a store a shard runs its own batches,
//! and no others.

use std::collections::VecDeque;

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is ours.
    Claimed,
    /// Somebody has it.
    Taken,
    /// There is no telling: the store cannot be reached, or does not answer.
    Away,
}

/// What is to be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// That this is the first attempt at a shard. A later one runs all that the shard has: what
    /// the first had claimed is lost with it.
    Shard(u32),
    /// A batch, by its number.
    Batch(u32),
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Claim this, and tell what came of it.
    Claim(Name),
    /// Run these batches.
    Run(Vec<u32>),
    /// Nothing more comes.
    Over,
}

/// How a shard comes to its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing was claimed yet.
    Before,
    /// It claims them.
    Dynamic,
    /// It runs its own: the store is away.
    Away,
    /// It runs its own: there was an attempt at this shard before.
    Again,
}

#[derive(Clone, Debug)]
pub(crate) struct Tail {
    shard: u32,
    own: VecDeque<u32>,
    others: VecDeque<u32>,
    way: Way,
    asked: Option<Name>,
    /// Own batches that somebody else has.
    left: Vec<u32>,
}

impl Tail {
    /// That of a shard. `batches` are all there are: their numbers, and whose they are.
    pub(crate) fn new(shard: u32, batches: &[(u32, u32)]) -> Tail {
        let own = batches.iter().filter(|(_, of)| *of == shard).map(|(batch, _)| *batch);
        Tail {
            shard,
            own: own.collect(),
            others: others(shard, batches),
            way: Way::Before,
            asked: None,
            left: Vec::new(),
        }
    }

    /// There is room for a batch.
    pub(crate) fn next_step(&mut self) -> Step {
        let name = match self.way {
            Way::Before => Name::Shard(self.shard),
            Way::Away | Way::Again => return self.run_own(None),
            Way::Dynamic => match self.own.front().or(self.others.front()) {
                Some(&batch) => Name::Batch(batch),
                None => return Step::Over,
            },
        };
        self.asked = Some(name);
        Step::Claim(name)
    }

    /// What came of the last claim.
    pub(crate) fn answered(&mut self, answer: Answer) -> Step {
        match (self.asked.take(), answer) {
            (None, _) => self.next_step(),
            (Some(Name::Shard(_)), Answer::Claimed) => {
                self.way = Way::Dynamic;
                self.next_step()
            }
            (Some(Name::Shard(_)), Answer::Taken) => {
                self.way = Way::Again;
                self.run_own(None)
            }
            (Some(name), Answer::Away) => {
                self.way = Way::Away;
                let in_doubt = match name {
                    Name::Batch(batch) => Some(batch),
                    Name::Shard(_) => None,
                };
                self.run_own(in_doubt)
            }
            (Some(Name::Batch(batch)), answer) => {
                let is_own = self.own.front() == Some(&batch);
                let queue = if is_own { &mut self.own } else { &mut self.others };
                queue.pop_front();
                if answer == Answer::Claimed {
                    return Step::Run(vec![batch]);
                }
                self.left.extend(is_own.then_some(batch));
                self.next_step()
            }
        }
    }

    /// All that is left of the own ones, and one that may have been claimed.
    fn run_own(&mut self, in_doubt: Option<u32>) -> Step {
        self.others.clear();
        let own = std::mem::take(&mut self.own);
        let other = in_doubt.filter(|batch| !own.contains(batch));
        match own.into_iter().chain(other).collect::<Vec<u32>>() {
            none if none.is_empty() => Step::Over,
            batches => Step::Run(batches),
        }
    }

    /// This shard is not fit to run anything: its batches are left to others.
    pub(crate) fn give_up(&mut self) {
        self.others.clear();
        self.left.extend(self.own.drain(..));
    }

    /// How it comes to its batches.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Its own batches that it does not run.
    pub(crate) fn left(&self) -> &[u32] {
        &self.left
    }
}

/// Those of others in the order in which they are asked for: the last of each, beginning with the
/// shard behind this one, then the last but one, and so on. Their owners come from the other end.
fn others(shard: u32, batches: &[(u32, u32)]) -> VecDeque<u32> {
    // A shard that has none of its own may come after all that have.
    let most = batches.iter().map(|(_, of)| *of).max().unwrap_or_default().max(shard);
    let mut found: Vec<(usize, u32, u32)> = Vec::new();
    for owner in (1..=most).filter(|owner| *owner != shard) {
        let distance = (owner + most - shard) % most;
        let own = batches.iter().rev().filter(|(_, of)| *of == owner).enumerate();
        found.extend(own.map(|(place, (batch, _))| (place, distance, *batch)));
    }
    found.sort_unstable();
    found.into_iter().map(|(.., batch)| batch).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const BATCHES: [(u32, u32); 5] = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)];

    #[test]
    fn own_batches_come_first_and_those_of_others_from_the_end() {
        let mut tail = Tail::new(2, &BATCHES);
        assert_eq!(tail.next_step(), Step::Claim(Name::Shard(2)));
        let mut asked = Vec::new();
        let mut step = tail.answered(Answer::Claimed);
        while let Step::Claim(Name::Batch(batch)) = step {
            asked.push(batch);
            step = tail.answered(Answer::Taken);
        }
        assert_eq!((step, asked), (Step::Over, vec![3, 4, 5, 2, 1]));
        assert_eq!(tail.left(), [3, 4]);
    }

    #[test]
    fn without_a_store_a_shard_runs_what_it_has() {
        let mut tail = Tail::new(1, &BATCHES);
        tail.next_step();
        assert_eq!(tail.answered(Answer::Away), Step::Run(vec![1, 2]));
        assert_eq!(tail.next_step(), Step::Over);
    }

    #[test]
    fn a_claim_without_an_answer_may_have_been_made() {
        let mut tail = Tail::new(3, &BATCHES);
        tail.next_step();
        assert_eq!(tail.answered(Answer::Claimed), Step::Claim(Name::Batch(5)));
        assert_eq!(tail.answered(Answer::Claimed), Step::Run(vec![5]));
        assert_eq!(tail.next_step(), Step::Claim(Name::Batch(2)));
        assert_eq!(tail.answered(Answer::Away), Step::Run(vec![2]), "as if it were ours");
        assert_eq!(tail.next_step(), Step::Over);
    }

    #[test]
    fn a_shard_that_runs_again_runs_what_it_has() {
        let mut tail = Tail::new(1, &BATCHES);
        tail.next_step();
        assert_eq!(tail.answered(Answer::Taken), Step::Run(vec![1, 2]));
        assert_eq!((tail.way(), tail.next_step()), (Way::Again, Step::Over));
    }

    /// What a claim does to a store, and what the shard hears of it.
    #[derive(Clone, Copy, Debug)]
    enum Fault {
        None,
        /// It was not made.
        Before,
        /// It was made, and the answer was lost.
        After,
    }

    #[derive(Clone, Debug)]
    struct Move {
        shard: usize,
        fault: Fault,
        dies: bool,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let fault = prop_oneof![
            8 => Just(Fault::None), 1 => Just(Fault::Before), 1 => Just(Fault::After)
        ];
        let one = (0..4usize, fault, prop::bool::weighted(0.05));
        prop::collection::vec(
            one.prop_map(|(shard, fault, dies)| Move { shard, fault, dies }),
            0..200,
        )
    }

    fn claim(
        store: &mut BTreeMap<String, usize>,
        name: &Name,
        fault: Fault,
        shard: usize,
    ) -> Answer {
        let key = format!("{name:?}");
        let is_free = !store.contains_key(&key);
        if is_free && !matches!(fault, Fault::Before) {
            store.insert(key, shard);
        }
        match (fault, is_free) {
            (Fault::None, true) => Answer::Claimed,
            (Fault::None, false) => Answer::Taken,
            _ => Answer::Away,
        }
    }

    /// Shards take turns as the moves say, and then until all that live are through.
    fn play(sizes: &[u32], moves: &[Move]) -> Result<(), TestCaseError> {
        let mut batches = Vec::new();
        for (owner, size) in (1..).zip(sizes) {
            (0..*size).for_each(|_| batches.push((batches.len() as u32 + 1, owner)));
        }
        let mut tails: Vec<Option<Tail>> =
            (1..=sizes.len() as u32).map(|shard| Some(Tail::new(shard, &batches))).collect();
        let mut steps: Vec<Step> = tails.iter_mut().flatten().map(Tail::next_step).collect();
        let mut store: BTreeMap<String, usize> = BTreeMap::new();
        let mut run: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
        let rest = (0..4000).map(|at| Move { shard: at % 4, fault: Fault::None, dies: false });
        for Move { shard, fault, dies } in moves.iter().cloned().chain(rest) {
            let Some(Some(tail)) = tails.get_mut(shard) else { continue };
            if dies {
                tails[shard] = None;
                continue;
            }
            steps[shard] = match steps[shard].clone() {
                Step::Over => Step::Over,
                Step::Run(batches) => {
                    for batch in batches {
                        run.entry(batch).or_default().insert(shard);
                    }
                    tail.next_step()
                }
                Step::Claim(name) => tail.answered(claim(&mut store, &name, fault, shard)),
            };
        }
        for (batch, owner) in batches {
            let by_living =
                run.get(&batch).is_some_and(|by| by.iter().any(|&it| tails[it].is_some()));
            let holder = store.get(&format!("{:?}", Name::Batch(batch)));
            let is_dead = |shard: usize| tails[shard].is_none();
            let excused = is_dead(owner as usize - 1) || holder.is_some_and(|&it| is_dead(it));
            prop_assert!(by_living || excused, "batch {batch} of {owner} is lost: {run:?}");
            let names_it =
                tails[owner as usize - 1].as_ref().is_some_and(|it| it.left().contains(&batch));
            let by_owner = run.get(&batch).is_some_and(|by| by.contains(&(owner as usize - 1)));
            prop_assert!(
                is_dead(owner as usize - 1) || by_owner != names_it,
                "batch {batch} is named"
            );
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever becomes of the store and of shards: each batch is run by one that lives, or was
        /// claimed by one that does not, or is that of one.
        #[test]
        fn no_batch_is_lost(sizes in prop::collection::vec(0..6u32, 1..5), moves in moves()) {
            play(&sizes, &moves)?;
        }
    }
}
