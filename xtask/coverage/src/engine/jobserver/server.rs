//! The end of the process that has started the runs: their processes and pipes. What is to be
//! done is decided by [`Sharing`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{PipeWriter, Write};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::client;
use super::message::{Begin, Order, Told};
use super::sharing::{Action, Input, Sharing};
use crate::engine::child::{Child, Command, Lines};
use crate::engine::{child, clock, orphans, signals};
use crate::machine::Machine;
use crate::machine::meter::{Meter, READING};

/// One of the runs.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub begin: Begin,
    /// Those of one lane are not prepared at the same time.
    pub lane: String,
    /// What it prints without being asked, a panic say.
    pub log: Utf8PathBuf,
}

/// What is heard of the runs.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It has begun.
    Began,
    /// It has something to say.
    Said {
        /// For stderr.
        error: bool,
        /// Whole lines.
        text: String,
    },
    /// What goes on.
    Doing(String),
    Ended(Ended),
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it came to; none where it did not get as far.
    pub value: Option<Value>,
    /// Why not, in words.
    pub why: String,
}

/// Has this program run once more for each run, at most so many at once; tells `show` what is
/// heard of each. Returns the signal that has ended them, if one has.
pub(crate) fn serve(
    runs: &[Run],
    most: usize,
    show: &mut dyn FnMut(usize, Heard),
) -> Result<Option<i32>> {
    let (tell, hear) = channel();
    let to_signals = tell.clone();
    let _listening = signals::listen(move |signal| {
        let _ = to_signals.send(Message::Signal(signal));
    });
    let _reaping = orphans::reap()?;
    let lanes = runs.iter().map(|run| run.lane.clone()).collect();
    let mut server = Server {
        runs,
        sharing: Sharing::new(lanes, most, Machine::here().cores),
        alive: BTreeMap::new(),
        tell,
        show,
        meter: Meter::new(),
        began: clock::now(),
        next_reading: Duration::ZERO,
        signal: None,
    };
    server.work(&hear);
    child::end_descendants();
    Ok(server.signal)
}

enum Message {
    /// A line of a run; none at the end of its pipe.
    Line(usize, Option<String>),
    Exited(usize, ExitStatus),
    Signal(signals::Arrived),
}

struct Server<'a> {
    runs: &'a [Run],
    sharing: Sharing,
    alive: BTreeMap<usize, Alive>,
    tell: Sender<Message>,
    show: &'a mut dyn FnMut(usize, Heard),
    meter: Meter,
    began: Instant,
    next_reading: Duration,
    signal: Option<i32>,
}

/// A run that has begun.
struct Alive {
    child: Child,
    lines: Lines,
    orders: PipeWriter,
    value: Option<Value>,
    /// All that it has said was heard.
    is_silent: bool,
    status: Option<ExitStatus>,
}

impl Server<'_> {
    fn work(&mut self, hear: &Receiver<Message>) {
        self.read_machine();
        while !self.alive.is_empty() {
            let wait = self.next_reading.saturating_sub(clock::since(self.began));
            match hear.recv_timeout(wait) {
                Ok(Message::Line(run, line)) => self.heard(run, line),
                Ok(Message::Exited(run, status)) => self.exited(run, status),
                Ok(Message::Signal(signal)) => self.signalled(signal.hear()),
                Err(_) => {}
            }
            if self.next_reading <= clock::since(self.began) {
                self.read_machine();
            }
        }
    }

    fn read_machine(&mut self) {
        let reading = self.meter.read(&[]);
        self.next_reading = clock::since(self.began) + READING;
        self.take(Input::Machine(reading));
    }

    fn take(&mut self, input: Input) {
        let actions = self.sharing.handle(input, clock::since(self.began));
        actions.into_iter().for_each(|action| self.obey(action));
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Start { run } => self.start(run),
            Action::Share { run, share } => self.order(run, &Order::Share(share)),
            Action::Failures { run, failures } => self.order(run, &Order::Failures(failures)),
            Action::Counted { run, counts, others } => {
                self.order(run, &Order::Counted { counts, others });
            }
            Action::Stop { run } => self.order(run, &Order::Stop),
        }
    }

    /// That a run has ended meanwhile is heard elsewhere.
    fn order(&mut self, run: usize, order: &Order) {
        let Some(alive) = self.alive.get_mut(&run) else { return };
        let Ok(line) = serde_json::to_string(order) else { return };
        let _ = alive.orders.write_all(format!("{line}\n").as_bytes());
    }

    fn start(&mut self, run: usize) {
        match self.begin(run) {
            Ok(alive) => {
                self.alive.insert(run, alive);
                (self.show)(run, Heard::Began);
                self.order(run, &Order::Begin(self.runs[run].begin.clone()));
            }
            Err(error) => {
                let ended = Ended { value: None, why: format!("{error:#}") };
                (self.show)(run, Heard::Ended(ended));
                self.take(Input::Ended { run });
            }
        }
    }

    fn begin(&self, run: usize) -> Result<Alive> {
        let what = || format!("failed to start the run of `{}`", self.runs[run].begin.root);
        let wrap = move |line| Message::Line(run, line);
        let (lines, told) = Lines::open(self.tell.clone(), |_| false, wrap).with_context(what)?;
        let (orders, ours) = std::io::pipe().with_context(what)?;
        let log = File::create(&self.runs[run].log).with_context(what)?;
        let streams = [File::from(std::os::fd::OwnedFd::from(orders)), File::from(told), log];
        let name = client::name(std::process::id());
        let child = Child::start_again(&this_program()?, &name, streams).with_context(what)?;
        let tell = self.tell.clone();
        child.on_exit(move |status| {
            let _ = tell.send(Message::Exited(run, status));
        })?;
        Ok(Alive { child, lines, orders: ours, value: None, is_silent: false, status: None })
    }

    fn heard(&mut self, run: usize, line: Option<String>) {
        match line.map(|line| serde_json::from_str(&line)) {
            Some(Ok(told)) => self.told(run, told),
            // Cut off by its end.
            Some(Err(_)) => {}
            None => {
                self.alive.entry(run).and_modify(|alive| alive.is_silent = true);
                self.end(run);
            }
        }
    }

    fn told(&mut self, run: usize, told: Told) {
        match told {
            Told::Said { error, text } => (self.show)(run, Heard::Said { error, text }),
            Told::Doing(what) => (self.show)(run, Heard::Doing(what)),
            Told::Begins(terms) => self.take(Input::Begins { run, terms }),
            Told::Needs(needs) => self.take(Input::Needs { run, needs }),
            Told::Failed => self.take(Input::Failed { run }),
            Told::Withdrawn => self.take(Input::Withdrawn { run }),
            Told::Over => self.take(Input::Over { run }),
            Told::Ended(value) => {
                self.alive.entry(run).and_modify(|alive| alive.value = Some(value));
            }
        }
    }

    fn exited(&mut self, run: usize, status: ExitStatus) {
        if let Some(alive) = self.alive.get_mut(&run) {
            alive.status = Some(status);
            alive.lines.end();
        }
        self.end(run);
    }

    /// Once a run is gone and all it said was heard. What it has started may be left: it is ours
    /// then.
    fn end(&mut self, run: usize) {
        let is_over = |alive: &Alive| alive.is_silent && alive.status.is_some();
        if !self.alive.get(&run).is_some_and(is_over) {
            return;
        }
        let Some(alive) = self.alive.remove(&run) else { return };
        let living: BTreeSet<i32> = self.alive.values().map(|it| it.child.id()).collect();
        child::end_descendants_but(&living);
        let how = alive.status.map(child::describe).unwrap_or_default();
        let ended = Ended { value: alive.value, why: format!("its process ended early: {how}") };
        (self.show)(run, Heard::Ended(ended));
        self.take(Input::Ended { run });
    }

    /// Ctrl-C and the like are for all of them, the second time too.
    fn signalled(&mut self, number: i32) {
        self.signal = Some(number);
        if let Ok(signal) = Signal::try_from(number) {
            self.alive.values().for_each(|alive| alive.child.signal(signal));
        }
        self.take(Input::NoMore);
    }
}

/// This very program with the same words, also where its file was replaced meanwhile.
fn this_program() -> Result<Command> {
    let own = Utf8PathBuf::from("/proc/self/exe");
    let program = match own.exists() {
        true => own,
        false => std::env::current_exe()?.try_into()?,
    };
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let dir = std::env::current_dir()?.try_into()?;
    Ok(Command { program, args: words.collect(), env: Vec::new(), dir })
}
