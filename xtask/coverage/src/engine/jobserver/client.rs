//! The end of a run: tells the server what happens, hears what it wants, and asks whether a
//! failure counts.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use nix::unistd::{dup2_stdin, dup2_stdout, getppid};

use super::message::{Begin, Order, Share, Terms, Told, VERSION};
use crate::engine::child;
use crate::engine::ledger::Ledger;
use crate::exit::Exit;
use crate::model::Failure;
use crate::threads;

/// What the server wants of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// Another number of processes.
    Share(Share),
    /// The failure budget is used up.
    Stop,
}

/// See the module.
pub(crate) struct Client {
    /// What to run.
    pub begin: Begin,
    to_server: Mutex<File>,
    heard: Mutex<Heard>,
    answers: Mutex<Receiver<Option<u64>>>,
}

#[derive(Default)]
struct Heard {
    tell: Option<Box<dyn Fn(News) + Send>>,
    stop: bool,
    failures: u64,
}

/// How such a process is called: its program's name, which it is given as its first word, in place
/// of a variable, which would reach the tests, or of an option, which would be everybody's.
pub(super) fn name(server: u32) -> String {
    format!("xtask-project-of-{server}")
}

/// The server that has started this process, if one has.
fn is_started_by_a_server() -> bool {
    let name_of_server = name(getppid().as_raw().cast_unsigned());
    std::env::args_os().next().is_some_and(|word| word == *name_of_server)
}

impl Client {
    /// The end of this process; none where no server has started it. To be called before anything
    /// is printed or started: the pipes are taken from where stdin and stdout were.
    pub(crate) fn of_this_process() -> Result<Option<Arc<Client>>> {
        if !is_started_by_a_server() {
            return Ok(None);
        }
        let failed = || "failed to take over the pipes of the server";
        let orders = std::io::stdin().as_fd().try_clone_to_owned().with_context(failed)?;
        let told = std::io::stdout().as_fd().try_clone_to_owned().with_context(failed)?;
        // What is started from here on has neither.
        let nothing = File::open("/dev/null").with_context(failed)?;
        dup2_stdin(&nothing).with_context(failed)?;
        dup2_stdout(std::io::stderr()).with_context(failed)?;
        let mut orders = BufReader::new(File::from(orders));
        let begin = match read(&mut orders) {
            Some(Order::Begin(begin)) if begin.version == VERSION => begin,
            _ => bail!("this program was replaced while it ran, by another version"),
        };
        let (answer, answers) = channel();
        let client = Arc::new(Client {
            begin,
            to_server: Mutex::new(File::from(told)),
            heard: Mutex::default(),
            answers: Mutex::new(answers),
        });
        let its = Arc::clone(&client);
        threads::spawn("that hears the server", move || its.hear(orders, &answer))?;
        Ok(Some(client))
    }

    /// Without its server a run ends, with all that it has started.
    fn hear(&self, mut orders: BufReader<File>, answer: &Sender<Option<u64>>) {
        while let Some(order) = read(&mut orders) {
            match order {
                Order::Begin(_) => {}
                Order::Share(share) => self.news(News::Share(share)),
                Order::Stop => self.news(News::Stop),
                Order::Failures(failures) => self.heard().failures = failures,
                Order::Counted { counts, others } => {
                    let _ = answer.send(counts.then_some(others));
                }
            }
        }
        child::end_all();
        #[expect(clippy::disallowed_methods, reason = "all children are ended")]
        std::process::exit(Exit::Incomplete.code().into());
    }

    fn news(&self, news: News) {
        let mut heard = self.heard();
        match news {
            News::Share(share) => heard.failures = share.others.failures,
            News::Stop => heard.stop = true,
        }
        heard.tell.iter().for_each(|tell| tell(news));
    }

    /// Tells the server something. That it is gone is heard elsewhere.
    pub(crate) fn tell(&self, told: &Told) {
        let Ok(mut line) = serde_json::to_string(told) else { return };
        line.push('\n');
        let mut to_server = self.to_server.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = to_server.write_all(line.as_bytes());
    }

    /// How many tests have failed in other runs, as far as was heard.
    pub(crate) fn failures_of_others(&self) -> u64 {
        self.heard().failures
    }

    /// Whether one more failure counts: how many have counted in other runs, or nothing where the
    /// budget was used up before.
    pub(crate) fn counts_one_more(&self) -> Option<u64> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(&Told::Failed);
        answers.recv().ok().flatten()
    }

    /// An engine begins: has `tell` called with what the server wants, until the answer is
    /// dropped.
    pub(crate) fn begin(&self, terms: Terms, tell: impl Fn(News) + Send + 'static) -> Sharing<'_> {
        let mut heard = self.heard();
        if heard.stop {
            tell(News::Stop);
        }
        heard.tell = Some(Box::new(tell));
        self.tell(&Told::Begins(terms));
        Sharing(self)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("begin", &self.begin).finish_non_exhaustive()
    }
}

/// See [`Client::begin`].
#[derive(Debug)]
pub(crate) struct Sharing<'a>(&'a Client);

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.0.heard().tell = None;
        self.0.tell(&Told::Over);
    }
}

/// None at the end, and for what cannot be read: whatever that was, what follows makes no sense.
fn read(orders: &mut BufReader<File>) -> Option<Order> {
    let mut line = String::new();
    orders.read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// Notes a failure of a test, where it counts over all runs. False where it does not.
pub(crate) fn failed(ledger: &mut Ledger, failure: Failure, client: Option<&Client>) -> bool {
    if let Some(client) = client.filter(|_| ledger.would_count(&failure)) {
        match client.counts_one_more() {
            Some(others) => ledger.failed_elsewhere(others),
            None => ledger.close(),
        }
    }
    ledger.failed(failure)
}

/// Sets an attempt aside that is repeated.
pub(crate) fn rerun(ledger: &mut Ledger, attempt: Failure, client: Option<&Client>) {
    if ledger.rerun(attempt) {
        client.into_iter().for_each(|client| client.tell(&Told::Withdrawn));
    }
}
