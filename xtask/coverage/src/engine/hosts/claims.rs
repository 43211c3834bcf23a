//! The batches of a shard that are claimed while it runs. The store is asked by a thread of its
//! own: it may be slow, or never answer.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Result;

use super::Message;
use crate::engine::child::start_beside;
use crate::engine::{BatchHere, Claimed, Job, TailOfJob};
use crate::shard::stores::PATIENCE;
use crate::shard::tail::{Answer, Name, Step, Tail, Way};
use crate::split::{Grain, Plan, Split, Unit, places, units};
use crate::threads;

pub(super) struct Claims {
    ask: Sender<Name>,
    tail: Option<Tail>,
    batches: BTreeMap<u32, Batch>,
    /// When the answer to the last claim is given up.
    due: Option<Duration>,
    taken: Claimed,
}

/// A batch of the plan.
struct Batch {
    shard: u32,
    tests: Vec<usize>,
    names: Vec<String>,
    units: Vec<Unit>,
}

impl Claims {
    /// None where nothing is claimed.
    pub(super) fn start(job: &Job, tell: Sender<Message>) -> Result<Option<Claims>> {
        let Some(tail) = job.tail.clone() else { return Ok(None) };
        let (ask, asked) = channel();
        threads::spawn("for claims", move || answer(&tail, &asked, &tell))?;
        Ok(Some(Claims {
            ask,
            tail: None,
            batches: BTreeMap::new(),
            due: None,
            taken: Claimed::default(),
        }))
    }

    /// When the answer to the last claim is given up.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The store has not answered: it never may.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Now it is known which tests there are: so is what each batch has. False where nothing is
    /// to be claimed.
    pub(super) fn open(
        &mut self,
        job: &Job,
        plan: &Plan,
        groups: &BTreeMap<usize, String>,
        holders: &[usize],
        grain: Grain,
    ) -> bool {
        let (Some(tail), Some(planned)) = (&job.tail, &job.planned) else { return false };
        let known: Vec<String> = planned.tests.iter().map(|(id, _)| id.clone()).collect();
        let Some(places) = places(&known, &plan.ids) else { return false };
        let mut seconds = plan.seconds.clone();
        self.batches.clear();
        for ((place, (name, shard)), (batch, takes)) in
            places.into_iter().zip(&planned.tests).zip(&tail.tests)
        {
            let Some(number) = batch else { continue };
            let batch = self.batches.entry(*number).or_insert_with(|| Batch::of(*shard));
            seconds[place] = *takes;
            batch.tests.push(place);
            batch.names.push(name.clone());
        }
        let mut whole = Plan { ids: plan.ids.clone(), seconds, splits: Vec::new() };
        for batch in self.batches.values_mut() {
            let mut tests = batch.tests.clone();
            tests.sort_unstable();
            whole.splits = vec![Split { number: batch.shard, tests, seconds: 0.0 }];
            batch.units = units(&whole, groups, holders, grain);
        }
        let shards = self.batches.iter().map(|(number, batch)| (*number, batch.shard));
        let shards: Vec<(u32, u32)> = shards.collect();
        self.tail = (!shards.is_empty()).then(|| Tail::new(tail.shard, &shards));
        self.tail.is_some()
    }

    /// What to do when more is wanted.
    pub(super) fn next_step(&mut self) -> Step {
        self.tail.as_mut().map_or(Step::Over, Tail::next_step)
    }

    /// Asks the store for a batch.
    pub(super) fn ask(&mut self, name: Name, now: Duration) {
        // Somewhat longer than the thread itself waits.
        self.due = Some(now + PATIENCE + Duration::from_secs(5));
        // Where the thread is gone, that moment comes.
        let _ = self.ask.send(name);
    }

    /// An answer is here, or given up. None where none was waited for any more.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<Step> {
        self.due.take()?;
        Some(self.tail.as_mut().map_or(Step::Over, |tail| tail.answered(answer)))
    }

    /// Another attempt at this shard has claimed batches.
    pub(super) fn are_of_another_attempt(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.way() == Way::Again)
    }

    /// Nothing is claimed any more.
    pub(super) fn give_up(&mut self) {
        self.tail.iter_mut().for_each(Tail::give_up);
    }

    /// These batches run here: their units, of tests with these ids.
    pub(super) fn take(&mut self, numbers: Vec<u32>, ids: &[String]) -> Vec<Unit> {
        let mut units = Vec::new();
        for number in numbers {
            let Some(batch) = self.batches.get_mut(&number) else { continue };
            units.append(&mut batch.units);
            self.taken.batches.push(BatchHere {
                batch: number,
                shard: batch.shard,
                tests: batch.names.clone(),
                here: batch.tests.iter().map(|&test| ids[test].clone()).collect(),
            });
        }
        units
    }

    /// What has come of all claims so far, and how many tests there are by that where the shard
    /// itself has so many.
    pub(super) fn account(&mut self, shard: u32, own: usize) -> Option<(Claimed, usize)> {
        self.taken.left = self.tail.as_ref()?.left().to_vec();
        let size = |batch: &u32| self.batches.get(batch).map_or(0, |batch| batch.tests.len());
        let left: usize = self.taken.left.iter().map(size).sum();
        let foreign = self.taken.batches.iter().filter(|batch| batch.shard != shard);
        let more: usize = foreign.map(|batch| batch.tests.len()).sum();
        Some((self.taken.clone(), own + more - left))
    }

    /// A plan without what is in batches.
    pub(super) fn head(&self, plan: &Plan) -> Plan {
        let mut head = plan.clone();
        let in_batches: std::collections::HashSet<usize> =
            self.batches.values().flat_map(|batch| batch.tests.iter().copied()).collect();
        for split in &mut head.splits {
            split.tests.retain(|test| !in_batches.contains(test));
        }
        head
    }
}

impl Batch {
    fn of(shard: u32) -> Batch {
        Batch { shard, tests: Vec::new(), names: Vec::new(), units: Vec::new() }
    }
}

/// Claims what is asked for until nobody asks any more.
fn answer(tail: &TailOfJob, asked: &Receiver<Name>, tell: &Sender<Message>) {
    let who = format!("shard {} process {}", tail.shard, std::process::id());
    while let Ok(name) = asked.recv() {
        let (answer, why) = tail.store.claim(&tail.key, name, &who, start_beside);
        if tell.send(Message::Claimed(answer, why)).is_err() {
            return;
        }
    }
}
