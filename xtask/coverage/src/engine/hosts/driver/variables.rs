//! What each worker has of its own, for the processes that wait for it.

use serde_json::json;

use super::{Driver, Stage};
use crate::engine::around::Variables;
use crate::engine::hosts::Message;
use crate::engine::schedule::{Input, Why};

impl Driver<'_> {
    /// Has a worker set up, if it is not, for the process of a unit or for a host. Meanwhile the
    /// others go on.
    pub(super) fn set_worker_up(&mut self, worker: usize, host: usize, unit: Option<u32>) {
        let Some(workers) = &self.job.each_worker else {
            return self.worker_is_set_up(host, unit, Ok(Variables::new()));
        };
        if let Some(variables) = workers.ready(worker) {
            return self.worker_is_set_up(host, unit, Ok(variables));
        }
        let tell = self.hosts.telling();
        let begun = workers.set_up_aside(worker, move |set_up| {
            let _ = tell.send(Message::Variables { host, unit, set_up });
        });
        if let Err(error) = begun {
            self.worker_is_set_up(host, unit, Err(format!("{error:#}")));
        }
    }

    /// Tells who waits for it; without it nothing goes on.
    pub(super) fn worker_is_set_up(
        &mut self,
        host: usize,
        unit: Option<u32>,
        set_up: Result<Variables, String>,
    ) {
        match set_up {
            Ok(variables) => {
                let command = json!({"cmd": "variables", "after": unit, "variables": variables});
                self.hosts.send(host, &command);
            }
            Err(_) if self.stage == Stage::Collecting => {
                self.account.ran().ledger.close();
                self.hosts.kill(|_| true);
            }
            Err(_) => self.tell(Input::Stop(Why::Setup)),
        }
    }
}
