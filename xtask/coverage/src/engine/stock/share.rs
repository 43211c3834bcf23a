//! Where several runs share the machine: how many splits may run, by the processes that this run
//! may have of theirs.

use super::Supervisor;
use crate::engine::jobserver::client::News;
use crate::engine::jobserver::message::{self, Needs, Terms, Told};

#[derive(Debug, Default)]
pub(super) struct Share {
    now: message::Share,
    told: Option<Needs>,
}

impl Supervisor<'_> {
    /// What this run is to be given.
    pub(super) fn terms(&self) -> Terms {
        Terms { workers: self.job.pool, grain: self.workers(), budget: self.job.budget.into() }
    }

    fn workers(&self) -> usize {
        self.job.workers.max(1) as usize
    }

    pub(super) fn news(&mut self, news: News) {
        match news {
            News::Share(share) => {
                self.share.now = share;
                self.watch.others(share.others);
            }
            News::Stop => self.spent(),
        }
    }

    /// Whether one more split may run.
    pub(super) fn is_within_share(&self) -> bool {
        let wanted = (self.running.len() + 1) * self.workers();
        self.job.jobserver.is_none() || wanted <= self.share.now.processes
    }

    /// Nothing runs, and will when there are processes for it.
    pub(super) fn waits_for_share(&self) -> bool {
        let waits = self.stopping.is_none() && !self.waiting.is_empty();
        self.job.jobserver.is_some() && waits
    }

    /// Tells what this run has and could use, where that has changed.
    pub(super) fn tell_needs(&mut self) {
        let Some(client) = &self.job.jobserver else { return };
        let running = self.running.len();
        let could = if self.stopping.is_none() { self.waiting.len() } else { 0 };
        let wanted = (running + could).min(self.job.concurrent as usize);
        let more = self.next_split().is_some() && self.stopping.is_none();
        let workers = self.workers();
        let needs = Needs {
            heard: self.share.now.number,
            running: running * workers,
            wanted: workers * if more { wanted.max(running) } else { running },
            keeps: false,
            memory: self.watch.growths(),
        };
        if self.share.told != Some(needs) {
            self.share.told = Some(needs);
            client.tell(&Told::Needs(needs));
        }
    }
}
