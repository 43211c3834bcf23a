//! `--summary-json`: what happened, for machines. The fields are a promise; see `SCHEMA`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::model::Tally;
use crate::report::coverage::Rendered;
use crate::report::patch::Patch;

/// Rises when a field changes its meaning or goes away, not when one is added.
pub(crate) const SCHEMA: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Summary {
    pub schema: u32,
    pub outcome: Outcome,
    /// What the process ends with.
    pub exit_code: u8,
    /// True where only some of the tests ran.
    pub partial: bool,
    /// `fork`, `spawn` or `stock`.
    pub engine: String,
    /// What measured: `native`, or coverage's name of its core; none where nothing did, or with the
    /// stock engine.
    #[serde(default)]
    pub core: Option<String>,
    /// Python's hash seed, of all processes that ran tests.
    #[serde(default)]
    pub hash_seed: u32,
    /// Of the project's environment.
    pub versions: Versions,
    /// What became of the splits.
    pub splits: Splits,
    /// What became of the tests.
    pub tests: Tally,
    /// None where nothing was measured.
    pub coverage: Option<Coverage>,
    pub seconds: Seconds,
    /// Node ids, each once, in order of arrival.
    pub failed_tests: Vec<String>,
    pub data_file: Option<Utf8PathBuf>,
    /// Where each report lies, by its name (`html`, `xml`, …).
    pub reports: BTreeMap<String, Utf8PathBuf>,
}

/// How a run ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Every test passed.
    Passed,
    /// Tests failed, crashed or timed out.
    TestsFailed,
    /// Tests passed, a coverage threshold was missed.
    BelowThreshold,
    /// The failure budget was used up.
    Aborted,
    /// A signal ended it.
    Interrupted,
    /// There was no test.
    NoTests,
    /// Coverage data is missing or damaged.
    Incomplete,
    /// The engine, the configuration or the environment failed.
    Error,
}

/// Versions in the project's environment; none where not installed or never asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Versions {
    /// `3.12.1`.
    pub python: Option<String>,
    /// `9.2.0`.
    pub pytest: Option<String>,
    /// `7.17.3`.
    pub coverage: Option<String>,
}

/// What became of the splits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Splits {
    /// All of them.
    pub total: u32,
    /// Ran to their end, with or without failing tests.
    pub completed: u32,
    /// Of these, the ones with failing tests.
    pub failed: u32,
    /// Stopped on the way or never started.
    pub not_run: u32,
}

/// The coverage of the run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Coverage {
    /// 0 to 100, not rounded.
    pub percent: f64,
    pub statements: u64,
    /// Statements that did not run.
    pub missing: u64,
    /// Branch destinations; 0 where only lines were measured.
    pub branches: u64,
    /// Branches taken one way only.
    pub partial_branches: u64,
    /// Percent; none where there is no threshold.
    pub fail_under: Option<f64>,
    /// Of what changed; left out where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Patch>,
}

impl Coverage {
    /// The totals of a report; none where there are none.
    pub(crate) fn of(rendered: &Rendered) -> Option<Coverage> {
        rendered.totals.as_ref().map(|totals| Coverage {
            percent: totals.percent,
            statements: totals.statements,
            missing: totals.missing,
            branches: totals.branches,
            partial_branches: totals.partial_branches,
            fail_under: (rendered.fail_under > 0.0).then_some(rendered.fail_under),
            diff: None,
        })
    }
}

/// Where the time went, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Seconds {
    /// Everything, reporting included.
    pub total: f64,
    /// Finding and preparing the environment.
    pub environment: f64,
    /// Finding the tests.
    pub collect: f64,
    pub run: f64,
    /// Combining the data.
    pub combine: f64,
    /// Making the reports.
    pub report: f64,
}

/// The file of several projects: what is there of each, and of all.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JointSummary {
    pub schema: u32,
    /// How all of it ended.
    pub outcome: Outcome,
    /// What the process ends with.
    pub exit_code: u8,
    /// True where only some of the tests ran, or the coverage of a project is not there.
    pub partial: bool,
    /// What became of the tests.
    pub tests: Tally,
    /// None where nothing was measured.
    pub coverage: Option<Coverage>,
    /// How long all of it took.
    pub seconds: f64,
    /// Node ids, with paths from the top of the repository.
    pub failed_tests: Vec<String>,
    /// Where each joint report lies, by its name.
    pub reports: BTreeMap<String, Utf8PathBuf>,
    /// Each project.
    pub projects: Vec<ProjectSummary>,
}

/// What came of one project.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProjectSummary {
    /// Its folder, from the top of the repository.
    pub project: String,
    pub outcome: Outcome,
    /// The exit code that it asks for.
    pub exit_code: u8,
    /// How it ended, in a sentence.
    pub sentence: String,
    /// None where it did not run.
    pub summary: Option<Summary>,
}

/// Writes the summary: the whole file or none, first under another name beside it.
pub(crate) fn write(path: &Utf8Path, summary: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(summary).context("failed to write the summary")?;
    text.push('\n');
    files::write_output(path, &text)
        .with_context(|| format!("failed to write the summary to `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            schema: SCHEMA,
            outcome: Outcome::BelowThreshold,
            exit_code: 2,
            partial: false,
            engine: "stock".to_owned(),
            core: None,
            hash_seed: 7,
            versions: Versions { python: Some("3.12.1".to_owned()), ..Versions::default() },
            splits: Splits { total: 3, completed: 3, ..Splits::default() },
            tests: Tally { collected: 4, passed: 4, ..Tally::default() },
            coverage: Some(Coverage {
                percent: 89.5,
                statements: 200,
                missing: 21,
                branches: 0,
                partial_branches: 0,
                fail_under: Some(90.0),
                diff: None,
            }),
            seconds: Seconds { total: 1.5, ..Seconds::default() },
            failed_tests: vec![],
            data_file: Some("/p/.coverage".into()),
            reports: [("html".to_owned(), "/p/htmlcov/index.html".into())].into(),
        }
    }

    /// The promise, word for word: whoever changes this breaks somebody's script.
    const TEXT: &str = r#"{"schema":1,"outcome":"below-threshold","exit_code":2,"partial":false,"engine":"stock","core":null,"hash_seed":7,"versions":{"python":"3.12.1","pytest":null,"coverage":null},"splits":{"total":3,"completed":3,"failed":0,"not_run":0},"tests":{"collected":4,"passed":4,"failed":0,"errors":0,"skipped":0,"xfailed":0,"xpassed":0,"reruns":0,"crashed":0,"timed_out":0,"not_run":0},"coverage":{"percent":89.5,"statements":200,"missing":21,"branches":0,"partial_branches":0,"fail_under":90.0},"seconds":{"total":1.5,"environment":0.0,"collect":0.0,"run":0.0,"combine":0.0,"report":0.0},"failed_tests":[],"data_file":"/p/.coverage","reports":{"html":"/p/htmlcov/index.html"}}"#;

    #[test]
    fn has_the_promised_fields_in_their_order() -> Result<()> {
        assert_eq!(serde_json::to_string(&summary())?, TEXT);
        Ok(())
    }

    #[test]
    fn outcomes_have_the_promised_words() -> Result<()> {
        use Outcome::*;
        let all =
            [Passed, TestsFailed, BelowThreshold, Aborted, Interrupted, NoTests, Incomplete, Error];
        let words =
            "passed tests-failed below-threshold aborted interrupted no-tests incomplete error";
        for (outcome, word) in all.into_iter().zip(words.split(' ')) {
            assert_eq!(serde_json::to_value(outcome)?, *word);
        }
        Ok(())
    }

    #[test]
    fn is_written_whole_and_leaves_nothing_beside_it() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-summary-{}", std::process::id()));
        let folder = Utf8PathBuf::try_from(folder)?;
        let path = folder.join("deep/summary.json");
        write(&path, &summary())?;
        write(&path, &Summary { exit_code: 1, ..summary() })?;
        let read: Summary = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        assert_eq!(read, Summary { exit_code: 1, ..summary() });
        assert_eq!(std::fs::read_dir(folder.join("deep"))?.count(), 1);
        let error =
            write(&path.join("below-a-file"), &summary()).map_err(|error| error.to_string());
        assert_eq!(error, Err(format!("failed to write the summary to `{path}/below-a-file`")));
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}
