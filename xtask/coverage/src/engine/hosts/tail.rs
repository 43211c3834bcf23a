//! Claims the batches that the scheduler asks for. The store is asked by a thread of its own: it
//! may be slow, or never answer.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Result;

use super::Message;
use super::driver::Driver;
use crate::engine::child::start_beside;
use crate::engine::schedule::Input;
use crate::engine::{BatchHere, Claimed, Happening, Job, TailOfJob};
use crate::shard::stores::PATIENCE;
use crate::shard::tail::{Answer, Name, Step, Tail, Way};
use crate::split::{Grain, Plan, Split, Unit, places, units};
use crate::threads;

/// See the module.
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

impl Driver<'_> {
    /// Now it is known which tests there are: so is what each batch has. False where nothing is
    /// to be claimed.
    pub(super) fn open_tail(
        &mut self,
        plan: &Plan,
        groups: &BTreeMap<usize, String>,
        holders: &[usize],
        grain: Grain,
    ) -> bool {
        let (Some(claims), Some(tail)) = (&mut self.claims, &self.job.tail) else { return false };
        let Some(planned) = &self.job.planned else { return false };
        let known: Vec<String> = planned.tests.iter().map(|(id, _)| id.clone()).collect();
        let Some(places) = places(&known, &plan.ids) else { return false };
        let mut seconds = plan.seconds.clone();
        claims.batches.clear();
        for ((place, (name, shard)), (batch, takes)) in
            places.into_iter().zip(&planned.tests).zip(&tail.tests)
        {
            let Some(number) = batch else { continue };
            let batch = claims.batches.entry(*number).or_insert_with(|| Batch {
                shard: *shard,
                tests: Vec::new(),
                names: Vec::new(),
                units: Vec::new(),
            });
            seconds[place] = *takes;
            batch.tests.push(place);
            batch.names.push(name.clone());
        }
        let mut whole = Plan { ids: plan.ids.clone(), seconds, splits: Vec::new() };
        for batch in claims.batches.values_mut() {
            let mut tests = batch.tests.clone();
            tests.sort_unstable();
            whole.splits = vec![Split { number: batch.shard, tests, seconds: 0.0 }];
            batch.units = units(&whole, groups, holders, grain);
        }
        let numbers: Vec<(u32, u32)> =
            claims.batches.iter().map(|(number, batch)| (*number, batch.shard)).collect();
        let is_open = !numbers.is_empty();
        claims.tail = is_open.then(|| Tail::new(tail.shard, &numbers));
        is_open
    }

    /// The scheduler wants more.
    pub(super) fn claim(&mut self) {
        let tail = self.claims.as_mut().and_then(|claims| claims.tail.as_mut());
        let step = tail.map_or(Step::Over, Tail::next_step);
        self.take_step(step);
    }

    /// What came of a claim; one that comes after it was given up means nothing.
    pub(super) fn claim_answered(&mut self, answer: Answer, why: Option<String>) {
        let Some(claims) = &mut self.claims else { return };
        if claims.due.take().is_none() {
            return;
        }
        if let Some(why) = why {
            self.account.warn(format!(
                "the store of the tail is away, so this shard runs its own tests, and no others: \
                 {why}"
            ));
        }
        let Some(claims) = &mut self.claims else { return };
        let step = claims.tail.as_mut().map_or(Step::Over, |tail| tail.answered(answer));
        let is_again = claims.tail.as_ref().is_some_and(|tail| tail.way() == Way::Again);
        if is_again {
            let note = "another attempt at this shard has claimed batches, so this one runs all \
                        tests of the shard, and no others";
            self.account.show(Happening::Note(note));
        }
        self.take_step(step);
    }

    /// The store has not answered: it never may.
    pub(super) fn claim_is_late(&mut self, now: Duration) {
        let due = self.claims.as_ref().and_then(Claims::due);
        if due.is_some_and(|due| due <= now) {
            let why = format!("no answer after {} s", PATIENCE.as_secs());
            self.claim_answered(Answer::Away, Some(why));
        }
    }

    /// What dies here may live elsewhere.
    pub(super) fn claim_nothing(&mut self) {
        if let Some(tail) = self.claims.as_mut().and_then(|claims| claims.tail.as_mut()) {
            tail.give_up();
        }
        let note = "no process of this shard came to its end, so it claims nothing";
        self.account.show(Happening::Note(note));
        self.note_claims();
    }

    fn take_step(&mut self, step: Step) {
        let now = self.now();
        let Some(claims) = &mut self.claims else { return };
        match step {
            Step::Claim(name) => {
                // Somewhat longer than the thread itself waits.
                claims.due = Some(now + PATIENCE + Duration::from_secs(5));
                // Where the thread is gone, that moment comes.
                let _ = claims.ask.send(name);
            }
            Step::Run(numbers) => {
                let mut units = Vec::new();
                for number in numbers {
                    let Some(batch) = claims.batches.get_mut(&number) else { continue };
                    units.append(&mut batch.units);
                    let ids = &self.account.plan().ids;
                    claims.taken.batches.push(BatchHere {
                        batch: number,
                        shard: batch.shard,
                        tests: batch.names.clone(),
                        here: batch.tests.iter().map(|&test| ids[test].clone()).collect(),
                    });
                }
                self.note_claims();
                self.tell(Input::Claimed { units });
            }
            Step::Over => {
                self.note_claims();
                self.tell(Input::TailOver);
            }
        }
    }

    /// How many tests there are here has changed.
    fn note_claims(&mut self) {
        let (Some(claims), Some(job)) = (&mut self.claims, &self.job.tail) else { return };
        let Some(tail) = &claims.tail else { return };
        claims.taken.left = tail.left().to_vec();
        let size = |batch: &u32| claims.batches.get(batch).map_or(0, |batch| batch.tests.len());
        let left: usize = claims.taken.left.iter().map(size).sum();
        let foreign = claims.taken.batches.iter().filter(|batch| batch.shard != job.shard);
        let more: usize = foreign.map(|batch| batch.tests.len()).sum();
        let taken = claims.taken.clone();
        let ran = self.account.ran();
        let own = ran.share.as_ref().map_or(0, |share| share.assigned.len());
        ran.ledger.expect((own + more - left) as u64);
        ran.tail = Some(taken);
    }
}
