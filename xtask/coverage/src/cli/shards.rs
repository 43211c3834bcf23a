//! What is typed where one machine is not enough.

use camino::Utf8PathBuf;
use clap::Args;

use super::{
    Chosen, General, Limits, Measure, Options, Output, Pool, Pytest, Reporting, Task, Typed,
};
use crate::bounds;
use crate::shard::engines::{self, Wanted};
use crate::shard::stores::{self, Store};

/// One of several machines.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Several machines")]
pub(crate) struct Shards {
    /// Run shard I of N, and no more of the suite
    ///
    /// Counted from 1: `--shard 3/12` runs the tests that are group 3 of 12 for pytest-split. With
    /// `auto/N`, the engine that has started the job says which: GitLab CI, Buildkite, CircleCI,
    /// Azure Pipelines, Slurm arrays, Kubernetes Indexed Jobs, AWS Batch, Google Batch, Cloud Run,
    /// Bazel, Bitbucket or Semaphore. What the shard leaves is for
    /// `cargo xtask coverage combine`; it makes no report unless one is asked for.
    #[arg(long, value_name = "I/N", value_parser = engines::parse, hide_short_help = true)]
    pub shard: Option<Wanted>,

    /// Leave what the shard delivers in DIR
    ///
    /// In a folder of its own, `shard-03-of-12`: its data, what became of its tests, and a manifest.
    /// It is there as a whole or not at all. Default: in the state folder.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub out: Option<Utf8PathBuf>,

    /// Cut the suite as FILE says
    ///
    /// `cargo xtask coverage plan --shards N --out FILE` writes it once, for all shards: then they
    /// split alike, whatever their caches hold.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub plan: Option<Utf8PathBuf>,

    /// Share out the ends of all shards through STORE
    ///
    /// The first half of what a shard was predicted to take is its own. The rest was cut into
    /// batches by `cargo xtask coverage plan --out FILE`, and goes to whichever shard has time for
    /// it: a slow machine runs fewer. STORE is a folder that all shards see, or `command:CMD`, which
    /// gets a name and ends with 0 where it has made an object of that name, with 1 where there was
    /// one, and with anything else where there is no telling. Without the store each shard runs
    /// what is its own. Needs `--shard` and `--plan`.
    #[arg(long, value_name = "STORE", value_parser = stores::parse, hide_short_help = true)]
    pub tail: Option<Store>,

    /// End with 0 where nothing but tests failed
    ///
    /// For engines that would run the job again, or drop what it leaves. The failures are in what
    /// the shard delivers, and combining ends with them.
    #[arg(long, hide_short_help = true)]
    pub exit_zero_on_test_failure: bool,
}

impl Shards {
    /// What is given here, and from `other` what is not.
    pub(super) fn or(self, other: Shards) -> Shards {
        Shards {
            shard: self.shard.or(other.shard),
            out: self.out.or(other.out),
            plan: self.plan.or(other.plan),
            tail: self.tail.or(other.tail),
            exit_zero_on_test_failure: self.exit_zero_on_test_failure
                || other.exit_zero_on_test_failure,
        }
    }
}

/// A plan for other programs, and other machines.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Planning {
    /// Cut the suite into N shards
    #[arg(long, value_name = "N", value_parser = bounds::splits, conflicts_with = "splits", allow_negative_numbers = true)]
    pub shards: Option<u32>,

    /// Write the plan to FILE, for `--plan`
    #[arg(long, value_name = "FILE", conflicts_with = "simulate")]
    pub out: Option<Utf8PathBuf>,

    /// Print the plan as JSON
    #[arg(long, conflicts_with = "simulate")]
    pub json: bool,
}

/// What there is to combine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Combining {
    /// Where shards lie, or folders of them.
    pub folders: Vec<Utf8PathBuf>,
    /// Go on without shards that are not there.
    pub allow_missing: bool,
    /// Run here what nobody delivered.
    pub heal: bool,
}

/// Combine what shards have left, and report on the whole
///
/// Everything must be there: each shard once, of one commit and one plan, with all its tests. What
/// is missing, damaged or foreign is named, and ends with exit code 3 and without a number that
/// would be wrong. Of several attempts at one shard the newest complete one counts. Paths of other
/// checkouts become those of this one.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Combine {
    /// Folders of shards, or folders around them
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<Utf8PathBuf>,

    /// Report without the shards that are missing
    ///
    /// The report is marked as partial, and thresholds count only if they are typed.
    #[arg(long, help_heading = "Several machines", conflicts_with = "heal")]
    allow_missing: bool,

    /// Run here what no shard has delivered
    ///
    /// The tests of shards that are missing or damaged, and those that were not run. The report is
    /// that of the whole.
    #[arg(long, help_heading = "Several machines")]
    heal: bool,

    #[command(flatten)]
    pool: Pool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,

    /// Write a summary of the run to FILE, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    summary_json: Option<Utf8PathBuf>,

    /// Write the tests' outcomes to FILE, as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    junit: Option<Utf8PathBuf>,

    /// Open the HTML report, or the page of the run
    #[arg(long, help_heading = "Output")]
    open: bool,

    #[command(flatten)]
    pytest: Pytest,
}

impl Combine {
    pub(super) fn typed(self) -> Typed {
        let Combine { folders, allow_missing, heal, pool, limits, measure, reporting, .. } = self;
        let Combine { chosen, output, summary_json, junit, open, pytest, .. } = self;
        Typed {
            task: Task::Combine,
            options: Options { pool, limits, measure, reporting, ..Options::default() },
            general: General { chosen, output, summary_json, junit, open, ..General::default() },
            pytest_args: pytest.args,
            combining: Combining { folders, allow_missing, heal },
            ..Typed::default()
        }
    }
}

/// What there is to hand on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exporting {
    /// The folder of a run; none for the last one.
    pub folder: Option<Utf8PathBuf>,
    /// Where the file goes.
    pub out: Option<Utf8PathBuf>,
}

/// Hand on what failed, for another machine to run
///
/// Writes one file of JSON: which tests failed in the last run, in which splits and units they
/// were, with which versions and hash seed, and what was told of them. Where it holds the value of
/// an environment variable, the variable's name stands in its place. `--rerun FILE` runs these
/// tests again.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Export {
    /// Of the run in this folder, not of the last one
    #[arg(value_name = "DIR")]
    folder: Option<Utf8PathBuf>,

    /// Write it to FILE
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<Utf8PathBuf>,

    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
}

impl Export {
    pub(super) fn typed(self) -> Typed {
        let Export { folder, out, chosen, output } = self;
        Typed {
            task: Task::Export,
            general: General { chosen, output, ..General::default() },
            exporting: Exporting { folder, out },
            ..Typed::default()
        }
    }
}
