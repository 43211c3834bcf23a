//! One start of the project's interpreter, for everything it knows: see `host/probe.py`.

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::steps::{Step, last_lines};
use super::{Facts, Interpreter, Project, Steps, packages};
use crate::exit;

/// The program, which is run with `python -c`.
pub(super) const PROBE: &str = include_str!("../../host/probe.py");
/// Asks pytest's parser; run with `python -c`.
const OPTIONS: &str = include_str!("../../host/options.py");
/// Starts its answer.
const OPTIONS_MARK: &str = "\u{1}xtask-options ";
/// Starts the one line of the output that is ours; `sitecustomize` may print others.
const MARK: &str = "\u{1}xtask-facts ";

/// What was typed for pytest and may lead it to other settings than those of the folder.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Typed {
    /// Files, folders and node ids.
    pub paths: Vec<String>,
    /// Options.
    pub words: Vec<String>,
}

/// What the interpreter says in the project's folder. `rcfile` is a coverage configuration
/// to read instead of the one coverage finds itself.
pub(crate) fn read(
    steps: &Steps,
    python: &Interpreter,
    project: &Project,
    rcfile: Option<&Utf8Path>,
    typed: &Typed,
) -> Result<Facts> {
    let typed = serde_json::to_string(typed).context("failed to describe what was typed")?;
    let step = Step::new(&python.executable, &project.root).args(["-c", PROBE]);
    // Without a name it is coverage that looks for its configuration.
    let output = steps.output(&step.args([rcfile.map_or("", Utf8Path::as_str), &typed]))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let Some(line) = printed.lines().find_map(|line| line.split_once(MARK)) else {
        bail!(exit::usage(format!(
            "`{}` is no usable Python{}",
            python.executable,
            last_lines(&output)
        )))
    };
    match serde_json::from_str(line.1)
        .context("failed to read what the interpreter says of itself")?
    {
        Answer::Facts(facts) => {
            Ok(Facts { packages_here: packages::here(&project.root), ..*facts })
        }
        Answer::Error(message) => bail!(exit::usage(message)),
    }
}

/// Which of these options of pytest take a value, by its own parser; none where it cannot be
/// asked, which tests will say more of. `arguments` lead it to plugins and conftests.
pub(crate) fn options_with_value(
    steps: &Steps,
    python: &Interpreter,
    project: &Project,
    names: &[&str],
    arguments: &[String],
) -> Result<Vec<String>> {
    let words = [serde_json::to_string(names), serde_json::to_string(arguments)];
    let [names, arguments] = words.map(|words| words.context("failed to describe options"));
    let step = Step::new(&python.executable, &project.root).args(["-c", OPTIONS]);
    let output = steps.output(&step.args([names?, arguments?]))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed.lines().find_map(|line| line.strip_prefix(OPTIONS_MARK));
    line.map_or(Ok(Vec::new()), serde_json::from_str)
        .context("failed to read what pytest says of its options")
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Facts(Box<Facts>),
    Error(String),
}
