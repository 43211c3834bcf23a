//! What coverage has to reach, beside `fail_under`, and what is asked of a patch.

use anyhow::Result;

use super::layer::Layer;
use super::origin::{Origin, Setting};
use super::{OrDefault, Row, first, optional, row, yes_or_no};
use crate::exit;

/// Goals that coverage itself does not know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goals {
    /// Percent, for each file.
    pub fail_under_file: Option<Setting<f64>>,
    /// How many statements may be missing.
    pub fail_uncovered_lines: Option<Setting<u32>>,
    /// Percentage points by which the total may fall below the baseline.
    pub no_decrease: Option<Setting<f64>>,
    /// The baseline is written, not compared with.
    pub update_baseline: Setting<bool>,
    /// What the changed lines are counted from: a commit or a branch.
    pub diff: Option<Setting<String>>,
    /// Percent of the changed lines.
    pub diff_fail_under: Option<Setting<f64>>,
}

impl Goals {
    pub(super) fn read(layers: &[Layer]) -> Result<Goals> {
        let goals = Goals {
            fail_under_file: first(layers, |it| it.reporting.fail_under_file),
            fail_uncovered_lines: first(layers, |it| it.reporting.fail_uncovered_lines),
            no_decrease: first(layers, |it| it.reporting.no_decrease),
            update_baseline: first(layers, |it| it.reporting.update_baseline.then_some(true))
                .or_default(false),
            diff: first(layers, |it| it.reporting.diff.clone()),
            diff_fail_under: first(layers, |it| it.reporting.diff_fail_under),
        };
        match &goals.diff_fail_under {
            Some(Setting { origin, .. }) if goals.diff.is_none() => {
                Err(exit::usage(format!("`--diff-fail-under` ({origin}) needs `--diff`")).into())
            }
            _ => Ok(goals),
        }
    }

    /// One of them stands on the command line.
    pub(crate) fn typed(&self) -> bool {
        fn typed<T>(setting: Option<&Setting<T>>) -> bool {
            setting.is_some_and(|setting| setting.origin == Origin::CommandLine)
        }
        typed(self.fail_under_file.as_ref())
            || typed(self.fail_uncovered_lines.as_ref())
            || typed(self.no_decrease.as_ref())
            || typed(Some(&self.update_baseline))
            || typed(self.diff.as_ref())
            || typed(self.diff_fail_under.as_ref())
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        vec![
            optional("fail-under-file", self.fail_under_file.as_ref(), "none"),
            optional("fail-uncovered-lines", self.fail_uncovered_lines.as_ref(), "none"),
            optional("no-decrease", self.no_decrease.as_ref(), "none"),
            row("update-baseline", &self.update_baseline.clone().map(yes_or_no)),
            optional("diff", self.diff.as_ref(), "none"),
            optional("diff-fail-under", self.diff_fail_under.as_ref(), "none"),
        ]
    }
}
