//! Collects a suite without running it: one pytest with `--collect-only` and our plugin.

use anyhow::Result;

use super::{Job, stock, tail};
use crate::exit;
use crate::split::Cut;

/// The whole suite in collection order; empty where there are no tests.
pub(crate) fn suite(job: &Job) -> Result<Cut> {
    let job = Job { splits: 1, workers: 1, measure: None, ..job.clone() };
    stock::prepare(&job)?;
    stock::prepare_split(&job, 1)?;
    let mut command = stock::command(&job, 1, 1, None);
    command.args.extend(["--collect-only".to_owned(), "-q".to_owned()]);
    let log = job.folder.collect_log();
    let status = command.expression().stdout_path(&log).run()?.status;
    match status.code() {
        Some(0 | 5) => {
            let text = std::fs::read_to_string(job.folder.split_cut(1)).unwrap_or_default();
            Ok(serde_json::from_str(&text).unwrap_or_default())
        }
        _ => Err(exit::usage(format!("pytest failed to collect:\n{}", tail(&log, 40))).into()),
    }
}
