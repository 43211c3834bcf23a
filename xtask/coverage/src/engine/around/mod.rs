//! What is run around the tests: commands that set something up (a database, say) and tear it
//! down, once for the run and once for each worker. What was begun is torn down however the run
//! ends, unless this very process is killed.

mod shell;
mod steps;
mod variables;
mod workers;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};

use self::shell::{Line, Shell};
use self::steps::Steps;
pub(crate) use self::variables::Variables;
pub(crate) use self::workers::Workers;
use super::signals::{self, Arrived};
use super::{Happening, Job, clock, orphans};
use crate::exit;
use crate::model::format::seconds;
use crate::split::Portion;

#[derive(Clone, Debug, Default)]
pub(crate) struct Commands {
    /// Before any test.
    pub setup: Vec<String>,
    /// After all tests.
    pub teardown: Vec<String>,
    /// For each worker, before its tests.
    pub worker_setup: Vec<String>,
    /// For each worker, after all tests.
    pub worker_teardown: Vec<String>,
    /// How long each may take.
    pub limit: Duration,
}

impl Commands {
    fn for_workers(&self) -> bool {
        !self.worker_setup.is_empty() || !self.worker_teardown.is_empty()
    }

    /// There are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.setup.is_empty() && self.teardown.is_empty() && !self.for_workers()
    }
}

/// What came of a run with what was around it.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    /// None where a signal came before it could begin.
    pub value: Option<T>,
    /// What could not be torn down, a sentence each.
    pub troubles: Vec<String>,
    /// A signal that came before or after the run.
    pub signal: Option<i32>,
}

/// What the thread that waits hears of.
enum Event {
    Done,
    Signal(Arrived),
}

/// Sets up, runs, tears down. `workers` are set up before the run begins, others when they are
/// asked for.
pub(crate) fn around<T>(
    job: &Job,
    workers: usize,
    show: &mut dyn FnMut(Happening<'_>),
    run: impl FnOnce(&Job, &mut dyn FnMut(Happening<'_>)) -> Result<T>,
) -> Result<Ended<T>> {
    if job.commands.is_empty() {
        return Ok(Ended { value: Some(run(job, show)?), troubles: Vec::new(), signal: None });
    }
    let mut around = Around::new(job)?;
    let (ready, signal) = around.set_up(workers, show)?;
    let value = match (ready, signal) {
        (_, Some(_)) => None,
        (Err(why), None) => Some(Err(exit::usage(format!("{why}\nso no test ran")).into())),
        (Ok(ready), None) => Some(run(&ready, show)),
    };
    // Whatever else went wrong came of it.
    let value = match around.workers.as_ref().and_then(|workers| workers.failure()) {
        Some(why) if value.as_ref().is_some_and(Result::is_ok) => {
            Some(Err(exit::usage(format!("{why}\nso the run was stopped")).into()))
        }
        _ => value,
    };
    let (troubles, late) = around.tear_down(show)?;
    if value.as_ref().is_none_or(Result::is_err) {
        troubles.iter().for_each(|it| show(Happening::Warning(it.clone())));
    }
    Ok(Ended { value: value.transpose()?, troubles, signal: signal.or(late) })
}

/// The commands of a list, each as a line for a shell, with what they find in the environment.
pub(crate) fn lines(job: &Job, of: impl Fn(&Commands) -> &Vec<String>) -> Vec<String> {
    let (shell, log) = (Shell::new(job), job.folder.around_log("setup"));
    let file = job.folder.around_variables("setup").into_string();
    let variables = Variables::from([(shell::FILE.to_owned(), file)]);
    let line = |text: &String| shell.command(&Line { text, variables: &variables, log: &log });
    of(&job.commands).iter().map(|text| line(text).to_string()).collect()
}

/// What there is to be torn down.
struct Around<'a> {
    job: &'a Job,
    shell: Arc<Shell>,
    given: Variables,
    workers: Option<Arc<Workers>>,
    is_over: bool,
    tell: Sender<Event>,
    hear: Receiver<Event>,
    _listening: signals::Listening,
}

impl<'a> Around<'a> {
    fn new(job: &'a Job) -> Result<Around<'a>> {
        let folder = job.folder.around();
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to make `{folder}`"))?;
        let (tell, hear) = channel();
        let to_signals = tell.clone();
        let listening = signals::listen(move |signal| {
            let _ = to_signals.send(Event::Signal(signal));
        });
        let mut given = Variables::new();
        given.insert("PYTEST_XDIST_TESTRUNUID".to_owned(), format!("{:x}", std::process::id()));
        if let Portion::Shard(shard) = &job.portion {
            given.insert("XTASK_SHARD".to_owned(), shard.to_string());
        }
        Ok(Around {
            job,
            shell: Arc::new(Shell::new(job)),
            given,
            workers: None,
            is_over: false,
            tell,
            hear,
            _listening: listening,
        })
    }

    /// The job with what was set up for it, or why it cannot be; or a signal has come.
    fn set_up(
        &mut self,
        first: usize,
        show: &mut dyn FnMut(Happening<'_>),
    ) -> Result<(Result<Job, String>, Option<i32>)> {
        let began = clock::now();
        let Commands { setup, worker_setup, worker_teardown, .. } = &self.job.commands;
        let steps = self.steps();
        let (ready, signal) = self.attended(1, show, || steps.set_up(setup))?;
        let exported = match ready {
            Ok(exported) if signal.is_none() => exported,
            other => return Ok((other.map(|_| self.job.clone()), signal)),
        };
        let mut ready = Job { exported: exported.clone(), ..self.job.clone() };
        if self.job.commands.for_workers() {
            let (setup, teardown) = (worker_setup.clone(), worker_teardown.clone());
            let given = self.given.clone().into_iter().chain(exported).collect();
            let (shell, folder) = (Arc::clone(&self.shell), self.job.folder.clone());
            let workers = Arc::new(Workers::new(shell, setup, teardown, given, folder));
            self.workers = Some(Arc::clone(&workers));
            let (set_up, signal) = self.attended(1, show, || workers.set_up_first(first))?;
            if set_up.is_err() || signal.is_some() {
                return Ok((set_up.map(|()| ready), signal));
            }
            ready.each_worker = Some(workers);
        }
        let lines: Vec<String> =
            setup.iter().chain(worker_setup).map(|line| format!("`{line}`")).collect();
        if !lines.is_empty() {
            let took = seconds(clock::since(began).as_secs_f64());
            show(Happening::Note(&format!("set up in {took}: {}", lines.join(", "))));
        }
        self.show_what_was_printed("setup", show);
        Ok((Ok(ready), None))
    }

    /// Tears down all that was begun; the answer is what went wrong, and a signal that came
    /// meanwhile. The first one waits until all is torn down.
    fn tear_down(
        &mut self,
        show: &mut dyn FnMut(Happening<'_>),
    ) -> Result<(Vec<String>, Option<i32>)> {
        self.is_over = true;
        if let Some(workers) = &self.workers {
            workers.stop();
        }
        self.shell.go_on();
        let teardown = &self.job.commands.teardown;
        let (workers, steps) = (self.workers.as_deref(), self.steps());
        let ended = self.attended(2, show, || {
            let mut troubles = workers.map(Workers::tear_down).unwrap_or_default();
            troubles.extend(steps.tear_down(teardown));
            troubles
        });
        self.shell.end_what_is_left();
        self.show_what_was_printed("teardown", show);
        ended
    }

    fn steps(&self) -> Steps<'_> {
        let (shell, folder) = (&*self.shell, &self.job.folder);
        Steps { shell, whose: "", given: self.given.clone(), folder }
    }

    /// Does work in a thread of its own, and takes care of signals meanwhile: so many of them stop
    /// it.
    fn attended<T: Send>(
        &self,
        enough: usize,
        show: &mut dyn FnMut(Happening<'_>),
        work: impl FnOnce() -> T + Send,
    ) -> Result<(T, Option<i32>)> {
        let _reaping = orphans::reap()?;
        let (done, shell) = (self.tell.clone(), &self.shell);
        std::thread::scope(|scope| {
            let work = move || {
                let value = work();
                let _ = done.send(Event::Done);
                value
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, work);
            let thread = thread.context("failed to start a thread for setup and teardown")?;
            let mut signals = Vec::new();
            while let Ok(Event::Signal(signal)) = self.hear.recv() {
                signals.push(signal.hear());
                if signals.len() == enough {
                    shell.stop();
                } else if signals.len() < enough {
                    show(Happening::Stopping(
                        "interrupted; once more leaves what is not torn down yet",
                    ));
                }
            }
            let value = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((value, signals.first().copied()))
        })
    }

    /// For those who want to know more.
    fn show_what_was_printed(&self, what: &str, show: &mut dyn FnMut(Happening<'_>)) {
        let text = super::tail(&self.job.folder.around_log(what), 1000);
        text.lines().for_each(|line| show(Happening::Detail(&format!("    {line}"))));
    }
}

impl Drop for Around<'_> {
    /// Something has panicked.
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.tear_down(&mut |_| {});
        }
    }
}
