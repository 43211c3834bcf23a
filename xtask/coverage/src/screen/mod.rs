//! The only place that prints. Progress goes to stderr; the report, the verdict and what
//! machines read go to stdout. Nothing here fails: a reader that went away is no error.
//!
//! How progress is shown is chosen once, as a [`Form`]: line by line, or with bars that change
//! in place, or in the way of a service that runs jobs. All know what is going on from the
//! [`board`].

mod annotations;
mod board;
mod fold;
mod forecast;
mod frame;
mod paint;
mod service;
mod terminal;
mod words;
mod writer;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::Utf8Path;
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;

use self::board::{Board, Stage};
pub(crate) use self::fold::Fold;
pub(crate) use self::paint::Paint;
pub(crate) use self::service::Service;
use self::terminal::{Percent, Terminal};
use self::writer::{Stream, Writer};
use crate::cli::{self, Color, Output, program};
use crate::engine::jobserver::Client;
use crate::engine::jobserver::message::Told;
use crate::engine::signals::{self, Notice};
use crate::engine::{Happening, SplitEnd, SplitState, clock};
use crate::env::Env;
use crate::model::Annotation;
use crate::model::format::{count, one_line, seconds, thousands};
use crate::threads;

/// How often the bars change at the most, and slow tests are looked for.
const BEAT: Duration = Duration::from_millis(100);

/// Where things are said, and how.
#[derive(Debug)]
pub(crate) struct Screen {
    verbose: bool,
    report: Paint,
    progress: Arc<Progress>,
    annotations: Mutex<annotations::Remaining>,
}

/// What the threads of the screen share with it.
#[derive(Debug)]
struct Progress {
    quiet: bool,
    paint: Paint,
    form: Form,
    writer: Writer,
    /// Who shows what goes on, in the place of bars of our own.
    client: Option<Arc<Client>>,
    /// The last line of that.
    told: Mutex<String>,
    board: Mutex<Board>,
    folds: AtomicUsize,
}

/// Folds are told apart by number, over all runs of one job.
const FOLDS: usize = 1000;

/// How progress is shown.
#[derive(Debug)]
enum Form {
    /// A line for each thing that happens: for files, pipes and simple terminals.
    Plain,
    /// The same lines, and under them bars that change in place.
    Live(Terminal),
    /// The plain lines, some of them folded away, for a service that runs jobs.
    Service(Service),
}

impl Form {
    fn choose(output: &Output, env: &Env, is_tty: bool) -> Form {
        if let Some(service) = Service::of(env) {
            return Form::Service(service);
        }
        let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let simple = env.get("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        match is_tty && !output.quiet && !simple && !set("CI") {
            true => Form::Live(Terminal::new(env)),
            false => Form::Plain,
        }
    }
}

impl Screen {
    /// As the options, the environment and the streams of this process want it.
    ///
    /// Where this is one of several runs, the one that has started it knows what its streams are.
    pub(crate) fn new(output: &Output, env: &Env, client: Option<&Arc<Client>>) -> Screen {
        let (no_color, term) = (env.get("NO_COLOR"), env.get("TERM"));
        let choice = output.color.unwrap_or(Color::Auto);
        let paint = |is_tty| {
            let (no_color, term) = (no_color.map(String::as_str), term.map(String::as_str));
            Paint(cli::colour(choice, no_color, term, is_tty))
        };
        let (is_tty, is_for_people) =
            (std::io::stderr().is_terminal(), std::io::stdout().is_terminal());
        let colours = client.map(|client| client.begin.colours);
        let (report, progress) = colours.map_or_else(
            || (paint(is_for_people), paint(is_tty)),
            |(report, progress)| (Paint(report), Paint(progress)),
        );
        let number = client.map_or(0, |client| client.begin.number);
        let progress = Progress {
            quiet: output.quiet,
            paint: progress,
            form: Form::choose(output, env, is_tty && client.is_none()),
            writer: Writer::new(client),
            client: client.filter(|client| client.begin.watched).cloned(),
            told: Mutex::default(),
            board: Mutex::new(Board::new()),
            folds: AtomicUsize::new(number * FOLDS),
        };
        Screen {
            verbose: output.verbose,
            report,
            progress: Arc::new(progress),
            annotations: Mutex::default(),
        }
    }

    /// Keeps the bars moving, looks for slow tests, and answers SIGUSR1, from here on.
    pub(crate) fn watch(&self) -> Result<()> {
        let mut signals = Signals::new([SIGUSR1]).context("failed to watch for SIGUSR1")?;
        let progress = Arc::clone(&self.progress);
        threads::spawn("that answers SIGUSR1", move || {
            signals.forever().for_each(|_| progress.tell_running());
        })?;
        let progress = Arc::downgrade(&self.progress);
        threads::spawn("that draws", move || {
            while let Some(progress) = progress.upgrade() {
                progress.beat();
                drop(progress);
                thread::sleep(BEAT);
            }
        })
    }

    /// Does what signals want: takes the bars away, from a process that is about to end for good.
    pub(crate) fn attendant(&self) -> impl Fn(Notice) + Send + use<> {
        let progress = Arc::clone(&self.progress);
        move |notice| match notice {
            Notice::Ends | Notice::Suspends => progress.close(|| true),
            Notice::Resumes => progress.open(),
        }
    }

    /// How to paint on stdout, and on stderr.
    pub(crate) fn colours(&self) -> (bool, bool) {
        (self.report.0, self.progress.paint.0)
    }

    /// There are bars, and somebody looks at them.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.progress.form, Form::Live(_))
    }

    /// What another run has said, as it is.
    pub(crate) fn pass_on(&self, error: bool, text: String) {
        let stream = if error { Stream::Err } else { Stream::Out };
        self.progress.as_it_is(stream, text);
    }

    /// What goes on in other runs, by their names.
    pub(crate) fn runs(&self, runs: Vec<(String, String)>) {
        let is_over = runs.is_empty();
        self.progress.board().runs(runs);
        if let (true, Form::Live(terminal)) = (is_over, &self.progress.form) {
            terminal.clear(&self.progress.writer);
        }
    }

    /// Waits until all that was said is written: for another program that is about to write.
    pub(crate) fn flush(&self) {
        self.progress.writer.flush(signals::is_ending);
    }

    /// How to paint on stdout.
    pub(crate) fn paint(&self) -> Paint {
        self.report
    }

    /// True with `-v`.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// True with `-q`.
    pub(crate) fn is_quiet(&self) -> bool {
        self.progress.quiet
    }

    /// The service in whose job this runs.
    pub(crate) fn service(&self) -> Option<Service> {
        self.progress.service()
    }

    /// A line of the report, on stdout.
    pub(crate) fn say(&self, line: &str) {
        self.progress.above(Stream::Out, line);
    }

    /// What is said on stdout until the answer is dropped is folded away under this title, by a
    /// service that can do so.
    pub(crate) fn fold(&self, title: &str) -> Fold<'_> {
        Fold::begin(&self.progress, Stream::Out, title)
    }

    /// Marks places in the repository, as many as there is room for; on GitHub only.
    pub(crate) fn annotate(&self, annotations: &[Annotation]) {
        if self.service() == Some(Service::GitHub) {
            let mut remaining = self.annotations.lock().unwrap_or_else(PoisonError::into_inner);
            let lines = remaining.take(annotations);
            lines.iter().for_each(|it| self.progress.writer.say(Stream::Out, format!("{it}\n")));
        }
    }

    /// A line of progress; not with `-q`.
    pub(crate) fn note(&self, line: &str) {
        self.progress.note(&program::as_typed(line));
    }

    /// A line only for `-v`.
    pub(crate) fn detail(&self, line: &str) {
        if self.verbose {
            self.progress.tell(&self.progress.paint.dim(line));
        }
    }

    /// A heading of progress; not with `-q`.
    pub(crate) fn heading(&self, line: &str) {
        self.note(&self.progress.paint.bold(line));
    }

    /// Something the user should reconsider.
    pub(crate) fn warn(&self, line: &str) {
        let line = program::as_typed(line);
        self.progress.tell(&format!("{} {line}", self.progress.paint.yellow("warning:")));
    }

    /// What ended the work, with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        let error = program::as_typed(&error);
        self.progress.tell(&format!("{} {error}", self.progress.paint.red("error:")));
    }

    /// Something begins that takes a while, and goes on until the answer is dropped.
    pub(crate) fn doing(&self, what: &str) -> Doing<'_> {
        self.progress.board().doing(what);
        Doing { screen: self, what: what.to_owned(), fold: RefCell::default() }
    }

    /// A test that takes longer than so many seconds is called out.
    pub(crate) fn call_out_after(&self, seconds: f64) {
        self.progress.board().slow = Duration::try_from_secs_f64(seconds).ok();
    }

    /// What happens while tests run.
    pub(crate) fn show(&self, happening: &Happening<'_>) {
        let workers = {
            let mut board = self.progress.board();
            let before = board.tests.workers();
            board.note(happening);
            before
        };
        let paint = self.progress.paint;
        match happening {
            Happening::SplitStarted { split, of } => {
                self.detail(&format!("[Split {split}/{of}] started"));
            }
            Happening::SplitEnded(end) => self.note(&split_line(paint, end)),
            Happening::Failed(failure) => {
                let words = paint.dim(failure.phase.words());
                self.note(&format!("{} {} {words}", paint.red("✗"), one_line(&failure.id)));
            }
            Happening::Open { .. } => {}
            Happening::Retried { id, retry, of } => {
                let line = format!("{} failed, is tried again ({retry} of {of})", one_line(id));
                self.note(&paint.yellow(&format!("↻ {line}")));
            }
            Happening::Printed { slot, line } => self.say(&format!("[gw{slot}] {line}")),
            Happening::Note(text) => {
                self.note(&format!("note: {text}"));
            }
            Happening::NotFound(tests) => {
                words::not_found(tests).iter().for_each(|it| self.note(&format!("note: {it}")));
            }
            Happening::Detail(text) => {
                self.detail(text);
            }
            Happening::Machine(sample) if workers != Some(sample.processes) => {
                self.detail(&words::machine(sample, workers));
            }
            Happening::Stopping(why) => self.note(&paint.yellow(&format!("Stopping: {why}"))),
            Happening::Warning(text) => self.warn(text),
            Happening::Planned { .. }
            | Happening::TestStarted(_)
            | Happening::TestEnded { .. }
            | Happening::Machine(_) => {}
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.progress.close(signals::is_ending);
    }
}

/// Something that goes on while this lives.
#[derive(Debug)]
pub(crate) struct Doing<'a> {
    screen: &'a Screen,
    what: String,
    fold: RefCell<Option<Fold<'a>>>,
}

impl Doing<'_> {
    /// The next step of it begins; worth a line.
    pub(crate) fn step(&self, what: &str) {
        let progress = &self.screen.progress;
        if !progress.quiet {
            let begin = || Fold::begin(progress, Stream::Err, &self.what);
            self.fold.borrow_mut().get_or_insert_with(begin);
        }
        progress.note(what);
        progress.board().doing(what);
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        self.screen.progress.board().idle();
        if let Form::Live(terminal) = &self.screen.progress.form {
            terminal.clear(&self.screen.progress.writer);
        }
    }
}

impl Progress {
    fn service(&self) -> Option<Service> {
        match self.form {
            Form::Service(service) => Some(service),
            Form::Plain | Form::Live(_) => None,
        }
    }

    fn escaped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.service().map_or(Cow::Borrowed(text), |service| service.escaped(text))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &str) {
        self.above(Stream::Err, line);
    }

    fn note(&self, line: &str) {
        if !self.quiet {
            self.tell(line);
        }
    }

    fn above(&self, stream: Stream, line: &str) {
        self.as_it_is(stream, format!("{}\n", self.escaped(line)));
    }

    fn as_it_is(&self, stream: Stream, text: String) {
        match &self.form {
            Form::Plain | Form::Service(_) => self.writer.say(stream, text),
            Form::Live(terminal) => terminal.above(&self.writer, stream, text),
        }
    }

    fn beat(&self) {
        let now = clock::now();
        let slow = self.board().newly_slow(now);
        for test in slow {
            let after = self.board().slow.map_or(0.0, |slow| slow.as_secs_f64());
            let line = format!("{} still runs after {}", one_line(&test.id), seconds(after));
            self.note(&format!("{} {line}", self.paint.yellow("slow:")));
        }
        if let Form::Live(terminal) = &self.form {
            terminal.draw(&self.writer, |size| {
                let board = self.board();
                (frame::lines(&board, clock::now(), size, self.paint), percent(&board))
            });
        }
        if let Some(client) = &self.client {
            let line = frame::line(&self.board(), clock::now(), self.paint);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told != line {
                client.tell(&Told::Doing(line.clone()));
                *told = line;
            }
        }
    }

    /// What runs at this moment: for SIGUSR1, whatever the form.
    fn tell_running(&self) {
        let now = clock::now();
        let board = self.board();
        let since = |began: Instant| seconds(now.saturating_duration_since(began).as_secs_f64());
        let mut text = match &board.stage {
            Stage::Idle => "nothing runs".to_owned(),
            Stage::Doing(what, began) => format!("{what}, for {}", since(*began)),
            Stage::Runs(runs) => match runs.as_slice() {
                [] => "nothing runs".to_owned(),
                runs => format!("{} running", count(runs.len() as u64, "project")),
            },
            Stage::Testing(began) => format!(
                "{} of {} done after {}, {} running",
                thousands(board.tests.done()),
                count(board.tests.forecast.tests, "test"),
                since(*began),
                board.tests.running().len(),
            ),
        };
        if let Stage::Runs(runs) = &board.stage {
            runs.iter().for_each(|(name, line)| text.push_str(&format!("\n    {name}: {line}")));
        }
        for test in board.tests.running() {
            let split = test.split.map(|split| format!(", split {split}")).unwrap_or_default();
            let pid = test.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            let memory = test.memory().map(|mib| format!(", {mib} MiB")).unwrap_or_default();
            let (id, age) = (one_line(&test.id), since(test.since));
            text.push_str(&format!("\n    {id} for {age}{split}{pid}{memory}"));
        }
        drop(board);
        self.tell(&format!("now: {text}"));
    }

    /// Takes the bars away, and waits until all is written that was said.
    fn close(&self, is_ending: impl Fn() -> bool) {
        if let Form::Live(terminal) = &self.form {
            terminal.close(&self.writer);
        }
        self.writer.flush(is_ending);
    }

    /// The bars may come back.
    fn open(&self) {
        if let Form::Live(terminal) = &self.form {
            terminal.open();
        }
    }
}

/// How far the tests are.
fn percent(board: &Board) -> Option<Percent> {
    let Stage::Testing(_) = board.stage else { return None };
    let (done, all) = (board.tests.done(), board.tests.forecast.tests.max(1));
    let done = u8::try_from((done * 100 / all).min(100)).unwrap_or(100);
    Some(Percent { done, failed: board.tests.failed > 0 })
}

fn split_line(paint: Paint, end: &SplitEnd) -> String {
    let SplitEnd { split, of, tests, failed, .. } = end;
    let took = seconds(end.took.as_secs_f64());
    let (mark, what) = match &end.state {
        SplitState::Completed if *failed == 0 => {
            (paint.green("✓"), format!("{} in {took}", count(*tests, "test")))
        }
        SplitState::Completed => (
            paint.red("✗"),
            format!("{failed} of {} failed in {took}; {}", count(*tests, "test"), log(&end.log)),
        ),
        SplitState::Stopped => {
            (paint.yellow("-"), format!("stopped after {}", count(*tests, "test")))
        }
        SplitState::Died(how) => (paint.red("✗"), format!("{how} after {took}; {}", log(&end.log))),
    };
    format!("[Split {split}/{of}] {mark} {what}")
}

fn log(path: &Utf8Path) -> String {
    format!("see `{path}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Vars<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn bars_are_for_terminals_that_people_look_at() {
        let table: [(Vars<'_>, bool, bool, bool); 7] = [
            (&[("TERM", "xterm")], true, false, true),
            (&[("TERM", "xterm"), ("NO_COLOR", "1")], true, false, true),
            (&[("TERM", "xterm")], false, false, false),
            (&[("TERM", "xterm")], true, true, false),
            (&[("TERM", "dumb")], true, false, false),
            (&[], true, false, false),
            (&[("TERM", "xterm"), ("CI", "true")], true, false, false),
        ];
        for (env, is_tty, quiet, wanted) in table {
            let pairs = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            let output = Output { quiet, ..Output::default() };
            let form = Form::choose(&output, &pairs.collect(), is_tty);
            assert_eq!(matches!(form, Form::Live(_)), wanted, "{env:?} {is_tty} {quiet}");
        }
    }
}
