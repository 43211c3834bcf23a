//! What of the suite a job is to run, once it is known which tests there are.

use super::Job;
use crate::split::{Marks, Plan, Portion, Share, Sum};

impl Job {
    /// Cuts the suite and keeps what is to be run here; with it, where that is not all, what
    /// other machines must come to as well. An error says why these tests are not those that
    /// were planned.
    pub(super) fn cut(
        &self,
        ids: Vec<String>,
        marks: &Marks,
    ) -> Result<(Plan, Option<Share>), String> {
        let (mut plan, names) = match &self.planned {
            Some(planned) => {
                let unlike = planned.unlike(&ids);
                let (plan, names) = Plan::as_planned(ids, planned).ok_or(unlike)?;
                (plan, Some(names))
            }
            None => {
                let sum = Sum::of_python(&self.python_version);
                let plan = Plan::new(ids, &self.times.committed, self.splits, sum);
                let plan = match &self.rerun {
                    Some(recorded) => recorded.applied_to(plan),
                    None => plan,
                };
                (plan.with_whole_documents(&marks.documents), None)
            }
        };
        if self.portion.is_whole() {
            return Ok((plan, None));
        }
        let names = names.unwrap_or_else(|| plan.ids.clone());
        let print = plan.fingerprint(&names);
        plan.narrow(&self.portion);
        let assigned = plan.chosen().into_iter().map(|test| names[test].clone()).collect();
        Ok((plan, Some(Share { plan: print, assigned })))
    }

    /// The numbers of the splits that may run here.
    pub(crate) fn splits_here(&self) -> std::ops::RangeInclusive<u32> {
        match &self.portion {
            Portion::Shard(shard) => shard.index..=shard.index,
            Portion::Whole | Portion::AllBut(_) => 1..=self.splits,
        }
    }
}
