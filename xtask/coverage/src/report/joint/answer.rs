//! What came of one of several projects, as a value: all that the joint answer is made of.

use std::cell::RefCell;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{FileAnalysis, from_top};
use crate::exit::Exit;
use crate::model::{Annotation, ReportKind, Tally};
use crate::report::coverage::Totals;
use crate::report::patch::Changed;
use crate::report::summary::{Outcome, Summary};

/// What came of one project.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    /// Its folder, from the top of the repository.
    pub name: String,
    /// Where its node ids begin, from the top of the repository; empty at the top.
    pub rootdir: Utf8PathBuf,
    /// The exit code that it asks for.
    pub exit: Exit,
    pub outcome: Outcome,
    /// The same in a sentence, without a full stop.
    pub sentence: String,
    /// Only a part of its tests ran, or of its coverage is there.
    pub partial: bool,
    /// What became of its tests.
    pub tally: Tally,
    /// How long all of it took.
    pub seconds: f64,
    /// Its coverage; none where nothing was measured.
    pub covered: Option<Covered>,
    /// The coverage of what changed, as far as it knows; none where nobody asked.
    pub patch: Option<Asked>,
    /// The reports that were asked for.
    pub reports: Vec<ReportKind>,
    /// Its part of the joint summary; none where it did not run.
    pub summary: Option<Summary>,
    /// Its part of the joint JUnit file; none where nobody asked.
    pub junit: Option<String>,
    /// Marks at lines of the repository.
    pub annotations: Vec<Annotation>,
    /// Its part of the page of a job.
    pub job_page: Option<String>,
    /// Its own pages: names and files.
    pub pages: Vec<(String, Utf8PathBuf)>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Covered {
    /// The TOTAL line, in coverage's words.
    pub totals: Totals,
    /// Percent; 0 where there is no threshold.
    pub fail_under: f64,
    /// Digits after the point of a percentage.
    pub precision: u32,
    /// Each file.
    pub files: Vec<FileAnalysis>,
}

/// What is asked of changed lines.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Asked {
    /// What has changed, in the whole repository.
    pub changed: Changed,
    /// Changed Python files of this project's source; absolute.
    pub python: Vec<Utf8PathBuf>,
    /// What was typed for all: percent, and whether it counts for partial runs too.
    pub wanted: Option<(f64, bool)>,
}

impl Answer {
    /// Of a project that could not be run, or was not.
    pub(crate) fn without_run(name: String, exit: Exit, sentence: String) -> Answer {
        let outcome = match exit {
            Exit::Passed => Outcome::Passed,
            Exit::NoTests => Outcome::NoTests,
            Exit::Interrupted(_) => Outcome::Interrupted,
            Exit::TestsFailed => Outcome::Aborted,
            _ => Outcome::Error,
        };
        Answer {
            name,
            rootdir: Utf8PathBuf::new(),
            exit,
            outcome,
            sentence,
            partial: exit != Exit::NoTests,
            tally: Tally::default(),
            seconds: 0.0,
            covered: None,
            patch: None,
            reports: Vec::new(),
            summary: None,
            junit: None,
            annotations: Vec::new(),
            job_page: None,
            pages: Vec::new(),
        }
    }
}

/// The answers of the projects that have ended.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The top of the repository: paths count from there.
    pub top: Utf8PathBuf,
    all: RefCell<Vec<Answer>>,
}

impl Answers {
    /// None yet.
    pub(crate) fn new(top: Utf8PathBuf) -> Answers {
        Answers { top, all: RefCell::default() }
    }

    /// What a project is called: its folder from the top, or, at the top, its name.
    pub(crate) fn name(&self, root: &Utf8PathBuf, name: &str) -> String {
        match from_top(&self.top, root) {
            path if path.as_str().is_empty() => name.to_owned(),
            path => path.to_string(),
        }
    }

    /// One more.
    pub(crate) fn add(&self, answer: Answer) {
        self.all.borrow_mut().push(answer);
    }

    /// How many tests have failed in all of them.
    pub(crate) fn failures(&self) -> u64 {
        self.all.borrow().iter().map(|answer| answer.tally.failures()).sum()
    }

    /// All of them, in the order of their ends.
    pub(crate) fn take(&self) -> Vec<Answer> {
        self.all.take()
    }
}
