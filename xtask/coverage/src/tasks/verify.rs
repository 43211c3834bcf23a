//! `cargo xtask coverage verify`: whether a parallel run measures what sequential ones do.

use std::time::Instant;

use anyhow::{Result, bail};
use camino::Utf8PathBuf;

use super::{check_core, show, suite};
use crate::cli::Engine;
use crate::conclusion::request::{check_parts, reporter, request};
use crate::engine::{Happening, Job, Ran};
use crate::exit::{self, Exit};
use crate::invocation::Invocation;
use crate::layout::RunFolder;
use crate::model::Problem;
use crate::model::format::{count, seconds};
use crate::prepare::{self, Prepared, banner};
use crate::project::{Project, runs};
use crate::report::coverage::{Data, render};
use crate::report::identity::{self, Compared, Differing, Outcomes, Place};
use crate::screen::Screen;
use crate::settings::{Origin, Setting};

/// So many rows of differences are shown, unless `-v` wants all.
const ROWS: usize = 40;

/// Runs the suite twice sequentially and once in parallel, and compares.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let mut prepared = prepare::prepare(invocation, project)?;
    show::refuse(&prepared, "there is nothing to compare")?;
    // A failure says nothing against the comparison, so none ends it.
    prepared.settings.max_failures = Setting::new(0, Origin::Default);
    if let Some(percent) = invocation.typed.check_core {
        return check_core::run(invocation, project, prepared, percent);
    }
    let engine = suite::engine(invocation, project, &mut prepared)?;
    banner::say(invocation.screen, project, &prepared, engine);
    let verify = Verify { screen: invocation.screen, project, prepared: &prepared };
    let sequential = [verify.sequential(1)?, verify.sequential(2)?];
    let parallel = verify.parallel(engine)?;
    verify.say_runs(&sequential, &parallel, engine);
    verify.conclude(&sequential, &parallel)
}

pub(super) struct Verify<'a> {
    pub(super) screen: &'a Screen,
    pub(super) project: &'a Project,
    pub(super) prepared: &'a Prepared,
}

/// What one run has left.
pub(super) struct Measured {
    ran: Ran,
    /// What it measured, combined; none where there was nothing readable.
    data: Option<Utf8PathBuf>,
    problems: Vec<Problem>,
    seconds: f64,
}

impl Verify<'_> {
    /// `coverage run -m pytest` with the settings of the parallel run: the stock engine with one
    /// split and one worker.
    fn sequential(&self, number: u32) -> Result<Measured> {
        self.screen.note(&format!("Sequential run {number} of 2"));
        let job = self.job(&format!("sequential-{number}"))?;
        let job = Job { splits: 1, concurrent: 1, workers: 1, ..job };
        let measured = self.measure(Engine::Stock, &job)?;
        match measured.problems.first() {
            None => Ok(measured),
            Some(problem) => {
                let logs = job.folder.logs();
                bail!("the sequential run is nothing to compare with: {problem}; see `{logs}`")
            }
        }
    }

    fn parallel(&self, engine: Engine) -> Result<Measured> {
        self.screen.note("Parallel run");
        self.measure(engine, &self.job("parallel")?)
    }

    /// Nothing that another task has left is touched.
    pub(super) fn job(&self, name: &str) -> Result<Job> {
        let Prepared { state, lock, .. } = self.prepared;
        let folder =
            || -> Result<RunFolder> { runs::emptied(state, state.names.verify_run(name), lock) };
        prepare::job::job(self.project, self.prepared, folder)
    }

    pub(super) fn measure(&self, engine: Engine, job: &Job) -> Result<Measured> {
        let started = Instant::now();
        let _doing = self.screen.doing("Collecting the tests");
        let ran = suite::run_job(engine, job, &mut |happening| self.show(&happening))?;
        let run_seconds = started.elapsed().as_secs_f64();
        refuse(&ran)?;
        let checked = check_parts(job, &ran)?;
        let data = Data::Combine {
            parts: checked.parts,
            problems: checked.problems,
            into: job.folder.data(),
            incomplete_into: None,
        };
        let rendered = render(&request(self.project, self.prepared, data, Vec::new()))?;
        let combine_seconds = rendered.seconds.get("combine").copied().unwrap_or_default();
        let seconds = run_seconds + combine_seconds;
        Ok(Measured { ran, data: rendered.data_file, problems: rendered.problems, seconds })
    }

    /// What fails is told at the end.
    fn show(&self, happening: &Happening<'_>) {
        match happening {
            Happening::SplitStarted { .. } | Happening::SplitEnded(_) | Happening::Failed(_) => {}
            _ => self.screen.show(happening),
        }
    }

    fn say_runs(&self, sequential: &[Measured], parallel: &Measured, engine: Engine) {
        let row = |name: &str, run: &Measured| {
            let tests = run.ran.ledger.tally().in_words();
            format!("{name:<12} {:>8}  {tests}", seconds(run.seconds))
        };
        sequential.iter().for_each(|run| self.screen.say(&row("sequential", run)));
        self.screen.say(&row(engine.name(), parallel));
        let runs = sequential.len() as f64;
        let usual = sequential.iter().map(|run| run.seconds).sum::<f64>() / runs;
        let times = usual / parallel.seconds.max(0.001);
        self.screen.say(&format!("Speed-up: {times:.1}"));
        let failing = sequential[0].ran.ledger.tally().failures();
        if failing > 0 {
            let tests = count(failing, "test");
            self.screen.say(&format!("{tests} failed sequentially; all is compared all the same"));
        }
        self.screen.say("");
    }

    fn conclude(&self, sequential: &[Measured], parallel: &Measured) -> Result<Exit> {
        let outcomes: Vec<Outcomes> = sequential.iter().map(Measured::outcomes).collect();
        let tests = identity::compare_outcomes(&outcomes, &parallel.outcomes());
        let compared = self.compare(sequential, parallel)?;
        let sections = sections(&compared, tests, &parallel.problems);
        for section in &sections {
            self.say_section(section);
        }
        let size = size(&compared);
        let paint = self.screen.paint();
        let faults: usize = sections.iter().filter(|it| it.fault).map(|it| it.rows.len()).sum();
        let (line, exit) = match (faults, sections.len()) {
            (0, 0) => (paint.green(&format!("✓ identical: {size}")), Exit::Passed),
            (0, _) => {
                let line = format!("✓ identical but for the noise of the suite: {size}");
                (paint.green(&line), Exit::Passed)
            }
            _ => {
                let folder = self.prepared.state.names.verify();
                let faults = count(faults as u64, "difference");
                let line = format!("✗ not identical: {faults} of our making; see `{folder}`");
                (paint.red(&line), Exit::Incomplete)
            }
        };
        self.screen.say(&line);
        Ok(exit)
    }

    pub(super) fn compare(&self, sequential: &[Measured], parallel: &Measured) -> Result<Compared> {
        let data = sequential.iter().map(|run| run.data.as_deref());
        let data: Option<Vec<_>> = data.collect();
        let reporter = reporter(self.project, self.prepared);
        match (data, &parallel.data) {
            (Some(data), Some(file)) => identity::compare(&reporter, &data, file),
            (None, _) => bail!("the sequential runs have measured nothing"),
            (_, None) => bail!("the parallel run has measured nothing"),
        }
    }

    pub(super) fn say_section(&self, section: &Section) {
        let paint = self.screen.paint();
        let title = section.title;
        self.screen.say(&if section.fault { paint.red(title) } else { paint.yellow(title) });
        let shown = if self.screen.is_verbose() { usize::MAX } else { ROWS };
        section.rows.iter().take(shown).for_each(|row| self.screen.say(&format!("  {row}")));
        if section.rows.len() > shown {
            let rest = section.rows.len() - shown;
            self.screen.say(&format!("  … and {rest} more; `-v` shows all"));
        }
        self.screen.say("");
    }
}

impl Measured {
    fn outcomes(&self) -> Outcomes {
        let outcomes = self.ran.ledger.outcomes().into_iter();
        outcomes.map(|(id, outcome)| (id, outcome.word())).collect()
    }
}

/// There is nothing to compare where the suite did not run.
fn refuse(ran: &Ran) -> Result<()> {
    if let Some(signal) = ran.interrupted {
        return Err(exit::interrupted(signal).into());
    }
    suite::refuse(ran)?;
    if ran.uncollectable {
        let errors = ran.ledger.failures().iter().map(|failure| failure.text.as_str());
        let errors: Vec<&str> = errors.collect();
        bail!(exit::usage(format!("the suite cannot be collected:\n{}", errors.join("\n"))));
    }
    if ran.ledger.tally().collected == 0 {
        bail!(exit::no_tests("no tests were found"));
    }
    Ok(())
}

/// Differences of one kind.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) fault: bool,
    pub(super) rows: Vec<String>,
}

/// All that differs; nothing where all is the same.
fn sections(compared: &Compared, tests: Differing, problems: &[Problem]) -> Vec<Section> {
    let rows = |places: &[Place]| places.iter().flat_map(Place::rows).collect();
    let problems = problems.iter().map(ToString::to_string).collect();
    let sections = [
        (
            "Noise of the suite: sequential runs differ here between themselves",
            false,
            rows(&compared.noise),
        ),
        ("Noise of the suite: tests that end differently from run to run", false, tests.noise),
        ("Fault: only the parallel run lacks this", true, rows(&compared.missing)),
        ("Fault: only the parallel run has this", true, rows(&compared.extra)),
        ("Fault: tests that end differently in parallel", true, tests.faults),
        ("Fault: the parallel run is incomplete", true, problems),
    ];
    let section = |(title, fault, rows)| Section { title, fault, rows };
    sections.into_iter().map(section).filter(|section| !section.rows.is_empty()).collect()
}

/// How much was compared.
pub(super) fn size(compared: &Compared) -> String {
    let files = count(compared.files, "file");
    let lines = count(compared.measured_lines, "line");
    match compared.measured_arcs {
        0 => format!("{files}, {lines}"),
        arcs => format!("{files}, {lines}, {}", count(arcs, "arc")),
    }
}
