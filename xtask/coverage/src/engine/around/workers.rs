//! What each worker has of its own: set up once, when it is first asked for, torn down at the
//! end.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::shell::Shell;
use super::steps::Steps;
use super::variables::Variables;
use crate::layout::RunFolder;
use crate::threads;

/// The workers of a run, by number.
#[derive(Debug)]
pub(crate) struct Workers {
    shell: Arc<Shell>,
    setup: Vec<String>,
    teardown: Vec<String>,
    /// In the environment of all their commands.
    given: Variables,
    folder: RunFolder,
    all: Mutex<BTreeMap<usize, State>>,
    changed: Condvar,
}

/// How far a worker has come.
#[derive(Clone, Debug)]
enum State {
    Begun,
    Ready(Variables),
    Failed(String),
}

impl Workers {
    pub(super) fn new(
        shell: Arc<Shell>,
        setup: Vec<String>,
        teardown: Vec<String>,
        given: Variables,
        folder: RunFolder,
    ) -> Workers {
        let (all, changed) = (Mutex::default(), Condvar::new());
        Workers { shell, setup, teardown, given, folder, all, changed }
    }

    /// What a worker has, if it is set up.
    pub(crate) fn ready(&self, worker: usize) -> Option<Variables> {
        match self.lock().get(&worker) {
            Some(State::Ready(variables)) => Some(variables.clone()),
            _ => None,
        }
    }

    /// Why a worker could not be set up, if one could not.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().values().find_map(|state| match state {
            State::Failed(why) => Some(why.clone()),
            State::Begun | State::Ready(_) => None,
        })
    }

    /// Sets a worker up, unless it is, and waits until it is.
    pub(crate) fn set_up(&self, worker: usize) -> Result<Variables, String> {
        let mut all = self.lock();
        loop {
            match all.get(&worker) {
                None => break,
                Some(State::Ready(variables)) => return Ok(variables.clone()),
                Some(State::Failed(why)) => return Err(why.clone()),
                Some(State::Begun) => {
                    all = self.changed.wait(all).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        all.insert(worker, State::Begun);
        drop(all);
        let ended = self.steps(worker, |steps| steps.set_up(&self.setup));
        let state = ended.clone().map_or_else(State::Failed, State::Ready);
        self.lock().insert(worker, state);
        self.changed.notify_all();
        ended
    }

    /// The same aside: what comes of it is told from another thread.
    pub(crate) fn set_up_aside(
        self: &Arc<Self>,
        worker: usize,
        tell: impl FnOnce(Result<Variables, String>) + Send + 'static,
    ) -> anyhow::Result<()> {
        let workers = Arc::clone(self);
        threads::spawn("that sets a worker up", move || tell(workers.set_up(worker)))
    }

    /// Sets the first workers up, side by side.
    pub(super) fn set_up_first(&self, count: usize) -> Result<(), String> {
        each(0..count, |worker| self.set_up(worker).map(drop)).into_iter().collect()
    }

    /// Ends what is being set up.
    pub(super) fn stop(&self) {
        self.shell.stop();
        let mut all = self.lock();
        while all.values().any(|state| matches!(state, State::Begun)) {
            all = self.changed.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tears down whatever was begun, side by side; the answer is what went wrong.
    pub(super) fn tear_down(&self) -> Vec<String> {
        let begun = std::mem::take(&mut *self.lock()).into_keys();
        let tear_down = |worker| self.steps(worker, |steps| steps.tear_down(&self.teardown));
        each(begun, tear_down).concat()
    }

    fn steps<T>(&self, worker: usize, work: impl FnOnce(&Steps<'_>) -> T) -> T {
        let name = format!("gw{worker}");
        let mut given = self.given.clone();
        given.insert("PYTEST_XDIST_WORKER".to_owned(), name.clone());
        given.insert("XTASK_WORKER".to_owned(), worker.to_string());
        let whose = format!("worker {name}");
        work(&Steps { shell: &self.shell, whose: &whose, given, folder: &self.folder })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, State>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something for each worker, all at the same time.
fn each<T: Send>(workers: impl Iterator<Item = usize>, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = workers
            .map(|worker| {
                let work = &work;
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || work(worker));
                // Where there can be no thread it takes longer.
                thread.map_err(|_| work(worker))
            })
            .collect();
        let ended = begun.into_iter().map(|it| match it {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(value) => value,
        });
        ended.collect()
    })
}
