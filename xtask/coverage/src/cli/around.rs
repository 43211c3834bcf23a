//! The options for what is run around the tests.

use clap::Args;

use super::text;
use crate::bounds;

/// Commands that are run before and after the tests.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Setup and teardown")]
pub(crate) struct Around {
    /// Run this command before any test
    ///
    /// A line for `sh`, in the project's folder, with the environment's programs in `PATH`. Several
    /// are run one after the other. What a command writes to the file named by `XTASK_ENV`, lines
    /// of `NAME=value`, is in the environment of all that runs later. If one fails no test runs,
    /// and the exit code is 4.
    #[arg(long, value_name = "COMMAND", value_parser = text, hide_short_help = true)]
    pub setup: Vec<String>,

    /// Run this command after all tests
    ///
    /// Whenever a command of `--setup` has begun, also after Ctrl-C. All of them are run; the run
    /// is red if one fails.
    #[arg(long, value_name = "COMMAND", value_parser = text, hide_short_help = true)]
    pub teardown: Vec<String>,

    /// Run this command before a worker's tests
    ///
    /// Once for each worker. `PYTEST_XDIST_WORKER` is the worker's name, `XTASK_WORKER` its number from 0; several
    /// workers may be set up at the same time. What is written to the file of `XTASK_ENV` is for
    /// this worker's tests alone.
    #[arg(long, value_name = "COMMAND", value_parser = text, hide_short_help = true)]
    pub worker_setup: Vec<String>,

    /// Run this command for each worker, at the end
    #[arg(long, value_name = "COMMAND", value_parser = text, hide_short_help = true)]
    pub worker_teardown: Vec<String>,

    /// End such a command after SECS
    ///
    /// Default: 300.
    #[arg(long, value_name = "SECS", value_parser = bounds::seconds, allow_negative_numbers = true, hide_short_help = true)]
    pub setup_timeout: Option<f64>,
}
