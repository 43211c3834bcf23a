//! Claims the batches that the scheduler asks for.

use std::time::Duration;

use super::Driver;
use crate::engine::Happening;
use crate::engine::hosts::claims::Claims;
use crate::engine::schedule::Input;
use crate::shard::stores::PATIENCE;
use crate::shard::tail::{Answer, Step};

impl Driver<'_> {
    /// The scheduler wants more.
    pub(super) fn claim(&mut self) {
        let step = self.claims.as_mut().map_or(Step::Over, Claims::next_step);
        self.take_step(step);
    }

    /// What came of a claim; one that comes after it was given up means nothing.
    pub(super) fn claim_answered(&mut self, answer: Answer, why: Option<String>) {
        let Some(claims) = &mut self.claims else { return };
        let Some(step) = claims.answered(answer) else { return };
        if let Some(why) = why {
            self.account.warn(format!(
                "the store of the tail is away, so this shard runs its own tests, and no others: \
                 {why}"
            ));
        }
        if claims.are_of_another_attempt() {
            let note = "another attempt at this shard has claimed batches, so this one runs all \
                        tests of the shard, and no others";
            self.account.show(Happening::Note(note));
        }
        self.take_step(step);
    }

    /// A store that has not answered in time is given up.
    pub(super) fn claim_is_late(&mut self, now: Duration) {
        if self.claims.as_ref().is_some_and(|claims| claims.is_late(now)) {
            let why = format!("no answer after {} s", PATIENCE.as_secs());
            self.claim_answered(Answer::Away, Some(why));
        }
    }

    /// What dies here may live elsewhere.
    pub(super) fn claim_nothing(&mut self) {
        self.claims.iter_mut().for_each(Claims::give_up);
        let note = "no process of this shard came to its end, so it claims nothing";
        self.account.show(Happening::Note(note));
        self.note_claims();
    }

    fn take_step(&mut self, step: Step) {
        let now = self.now();
        let Some(claims) = &mut self.claims else { return };
        match step {
            Step::Claim(name) => claims.ask(name, now),
            Step::Run(numbers) => {
                let units = claims.take(numbers, &self.account.plan().ids);
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
        let (Some(claims), Some(tail)) = (&mut self.claims, &self.job.tail) else { return };
        let ran = self.account.ran();
        let own = ran.share.as_ref().map_or(0, |share| share.assigned.len());
        if let Some((taken, tests)) = claims.account(tail.shard, own) {
            ran.ledger.expect(tests as u64);
            ran.tail = Some(taken);
        }
    }
}
