//! Combined data and coverage's own reports, made by the project's interpreter in one process
//! that runs `host/coverage_reports.py`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::joint::FileAnalysis;
use super::patch::FileLines;
pub(crate) use super::program::Program;
use super::program::{Code, ask};
use crate::exit;
use crate::model::{Part, Problem, ReportKind};

/// Who combines and reports: an interpreter that has coverage, and coverage's settings there.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    /// The project's interpreter.
    pub python: Utf8PathBuf,
    /// The project's folder: where `coverage report` would be typed.
    pub root: Utf8PathBuf,
    /// Where coverage's settings come from.
    pub config: Config,
    /// `[run] source`, where the command line or addopts say otherwise.
    pub source: Option<Vec<String>>,
    /// Further settings that differ from the configuration, by coverage's names
    /// (`report:precision`).
    pub options: BTreeMap<String, Value>,
    /// What is not of the source.
    pub hidden: Hidden,
}

/// Folders of which nothing is reported, though the source may be around them: our own, and the
/// environment's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// Absolute.
    pub folders: Vec<Utf8PathBuf>,
    /// The source, folders and packages: what of it lies in one of the folders itself is
    /// reported all the same.
    pub sources: Vec<String>,
}

impl Reporter {
    /// Starts what [`render_with`] can use later: the start of an interpreter, with coverage,
    /// is most of what small reports take. Until then it parses `files`, relative to `root`,
    /// which is most of what other reports take.
    pub(crate) fn ready(&self, files: &[&str]) -> anyhow::Result<Program> {
        let ahead = (!files.is_empty()).then(|| self.message(json!({ "files": files })));
        Program::start(&self.python, &self.root, &CODE, ahead.as_ref())
    }

    /// A message to the program, with the settings in it.
    fn message(&self, mut message: Value) -> Value {
        message["config_file"] = match &self.config {
            Config::Search => json!(true),
            Config::File(path) => json!(path),
        };
        message["source"] = json!(self.source);
        message["options"] = json!(self.options);
        message["hidden"] = json!(self.hidden.folders);
        message["sources"] = json!(self.hidden.sources);
        message
    }
}

/// What to combine and which reports to make.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Who does it.
    pub reporter: Reporter,
    /// What is reported on.
    pub data: Data,
    /// All files of the source, absolute, where nobody but us has said what it is: they count
    /// though no test imports them. With parts only.
    pub guessed: Vec<Utf8PathBuf>,
    /// Files whose lines are wanted too; absolute, without symbolic links.
    pub lines_of: Vec<Utf8PathBuf>,
    /// The lines of all files are wanted.
    pub analyses: bool,
    /// Which reports, in the order in which they are made.
    pub reports: Vec<Report>,
    /// From where the XML report counts paths; none means as coverage does.
    pub xml_top: Option<Utf8PathBuf>,
    /// Percent; none means what the configuration says.
    pub fail_under: Option<f64>,
    /// How many processes may work at once.
    pub processes: usize,
}

/// Where coverage's settings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Config {
    /// Coverage's own search, from the project's folder.
    #[default]
    Search,
    File(Utf8PathBuf),
}

/// The data that is reported on.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// A data file that is there already.
    Existing(Utf8PathBuf),
    /// Parts that are combined first.
    Combine {
        /// What [`crate::shard::combine::check`] returned.
        parts: Vec<Part>,
        /// What it found wrong: the result is incomplete before any file is opened.
        problems: Vec<Problem>,
        /// Where the combined data goes; replaced as a whole.
        into: Utf8PathBuf,
        /// Where it goes instead if something is missing, so that good data of an earlier run
        /// stays.
        incomplete_into: Option<Utf8PathBuf>,
    },
}

/// One report, and where it goes: without a path, where the project's configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub kind: ReportKind,
    /// A file, or a folder for HTML.
    pub path: Option<Utf8PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Rendered {
    /// Of the interpreter and of coverage.
    pub versions: Versions,
    /// What was reported on; none where there was nothing readable.
    pub data_file: Option<Utf8PathBuf>,
    /// How many parts were combined.
    pub combined: usize,
    /// What keeps the data from being complete; empty where it is complete.
    pub problems: Vec<Problem>,
    /// Coverage's own warnings, each once.
    pub warnings: Vec<String>,
    /// None where there is nothing to report; then `no_totals` says why.
    pub totals: Option<Totals>,
    /// Coverage's own error, "No data to report." for example.
    pub no_totals: Option<String>,
    /// The threshold, percent; 0 where there is none.
    pub fail_under: f64,
    /// The threshold was missed: coverage's sentence.
    pub below: Option<String>,
    /// The totals of each file, in coverage's order.
    pub files: Vec<FileTotals>,
    /// Digits after the point of a percentage: coverage's `precision`.
    pub precision: u32,
    /// The lines of the files that were asked for, where they are measured.
    pub lines: Vec<FileLines>,
    /// The lines of all files, where they were wanted.
    #[serde(default)]
    pub analyses: Vec<FileAnalysis>,
    /// The table, exactly as `coverage report` prints it.
    pub term: Option<String>,
    /// What became of each report.
    pub reports: BTreeMap<ReportKind, Made>,
    /// How long the steps took (`combine`, `report`), seconds.
    pub seconds: BTreeMap<String, f64>,
}

impl Rendered {
    /// Why something that was asked for is not there, though the data may be complete: nothing
    /// to report, a source file that is gone, a folder that cannot be written.
    pub(crate) fn broken(&self) -> Option<String> {
        let failed = || {
            self.reports.iter().find_map(|(kind, made)| {
                let error = made.error.as_ref()?;
                Some(format!("failed to make the `{}` report: {error}", kind.name()))
            })
        };
        self.no_totals.clone().or_else(failed)
    }

    /// Where each finished report lies, by its name; for HTML, the page to open.
    pub(crate) fn written(&self) -> BTreeMap<String, Utf8PathBuf> {
        let finished = self.reports.iter().filter(|(_, made)| made.error.is_none());
        finished
            .filter_map(|(&kind, made)| {
                let path = made.path.as_ref()?;
                let page =
                    if kind == ReportKind::Html { path.join("index.html") } else { path.clone() };
                Some((kind.name().to_owned(), page))
            })
            .collect()
    }
}

/// Versions of what made the reports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Versions {
    /// `3.12.1`.
    pub python: String,
    /// `7.17.3`.
    pub coverage: String,
}

/// The TOTAL line.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Totals {
    /// 0 to 100, not rounded.
    pub percent: f64,
    /// As coverage writes it with the configured precision; no percent sign.
    pub percent_text: String,
    pub statements: u64,
    /// Statements that did not run.
    pub missing: u64,
    /// Statements excluded by pragma or configuration.
    pub excluded: u64,
    /// Branch destinations; 0 where only lines were measured.
    pub branches: u64,
    /// Branches taken one way only.
    pub partial_branches: u64,
    /// Source files.
    pub files: u64,
}

/// The line of one file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct FileTotals {
    /// As coverage shows it, relative to the project's folder where it lies in it.
    pub path: Utf8PathBuf,
    /// 0 to 100, not rounded.
    pub percent: f64,
    pub statements: u64,
    /// Statements that did not run.
    pub missing: u64,
    /// Branch destinations; 0 where only lines were measured.
    pub branches: u64,
    /// Of these, the ones that were never taken.
    pub missing_branches: u64,
}

/// What became of one report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Made {
    /// Absolute; none for the table.
    pub path: Option<Utf8PathBuf>,
    /// Coverage's own error, if it could not be made.
    pub error: Option<String>,
}

/// Combines and reports. An error means that nothing can be said about the data: the
/// configuration is wrong (exit code 4) or the interpreter broke down (3). Everything else,
/// damaged parts and failed reports included, is in the answer.
pub(crate) fn render(request: &Request) -> Result<Rendered> {
    render_with(request, None)
}

/// As [`render`]; what is ready need not be started.
pub(crate) fn render_with(request: &Request, ready: Option<Program>) -> Result<Rendered> {
    let Reporter { python, root, .. } = &request.reporter;
    let answer: Answer = ask(python, root, &CODE, &message(request), ready)?;
    let mut rendered = match answer.fatal {
        None => answer.rendered,
        Some(Fatal::Config(message)) => return Err(exit::usage(message).into()),
        Some(Fatal::Crash(message)) => bail!("coverage's report broke down: {message}"),
    };
    if let Data::Combine { problems, .. } = &request.data {
        rendered.problems.splice(0..0, problems.iter().cloned());
    }
    Ok(rendered)
}

const CODE: Code = Code {
    program: include_str!("../../host/coverage_reports.py"),
    modules: &[
        ("xtask_cobertura", include_str!("../../host/xtask_cobertura.py")),
        ("xtask_files", include_str!("../../host/xtask_files.py")),
        ("xtask_forks", include_str!("../../host/xtask_forks.py")),
        ("xtask_lines", include_str!("../../host/xtask_lines.py")),
        ("xtask_shared", include_str!("../../host/xtask_shared.py")),
    ],
};

fn message(request: &Request) -> Value {
    let (parts, into, incomplete_into) = match &request.data {
        Data::Existing(file) => (None, file, None),
        Data::Combine { parts, into, incomplete_into, .. } => {
            let parts: Vec<Value> = parts.iter().map(part_message).collect();
            (Some(parts), into, incomplete_into.as_ref())
        }
    };
    let reports: serde_json::Map<String, Value> = request
        .reports
        .iter()
        .map(|report| (report.kind.name().to_owned(), json!(report.path)))
        .collect();
    request.reporter.message(json!({
        "parts": parts,
        "complete": is_complete(&request.data),
        "data_file": into,
        "incomplete_data_file": incomplete_into,
        "guessed": request.guessed,
        "lines_of": request.lines_of,
        "analyses": request.analyses,
        "reports": reports,
        "xml_top": request.xml_top,
        "fail_under": request.fail_under,
        "processes": request.processes,
    }))
}

fn part_message(part: &Part) -> Value {
    json!({ "split": part.split, "file": part.file, "required": part.required() })
}

fn is_complete(data: &Data) -> bool {
    !matches!(data, Data::Combine { problems, .. } if !problems.is_empty())
}

#[derive(Deserialize)]
struct Answer {
    fatal: Option<Fatal>,
    #[serde(flatten)]
    rendered: Rendered,
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "message", rename_all = "lowercase")]
enum Fatal {
    Config(String),
    Crash(String),
}
