//! What is typed to have a pipeline written.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{Chosen, General, Output, Typed, text};
use crate::bounds;

/// What runs the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// A workflow of GitHub Actions
    Github,
    /// Jobs of GitLab CI, to be included
    Gitlab,
    /// A script that submits an array of Slurm
    Slurm,
    /// An Indexed Job of Kubernetes
    Kubernetes,
}

/// What the pipeline is to be, as far as it was said.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Pipeline {
    /// Run the suite on N machines
    ///
    /// Default: 4. `cargo xtask coverage plan --simulate` shows what more of them gain.
    #[arg(long, value_name = "N", value_parser = bounds::splits, allow_negative_numbers = true)]
    pub shards: Option<u32>,

    /// Use this version of Python
    ///
    /// Default: 3.12. On Slurm and Kubernetes it is the one that is there.
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub python: Option<String>,

    /// Keep durations of runs of this branch
    ///
    /// Default: main. For GitHub; GitLab knows the default branch.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    pub branch: Option<String>,

    /// Run in this container image
    ///
    /// For Kubernetes it has the checkout, cargo and Python, and must be named; for GitLab it is
    /// one with Python and git. Default there: python:VERSION.
    #[arg(long, value_name = "IMAGE", value_parser = plain)]
    pub image: Option<String>,

    /// Write to FILE
    ///
    /// Default without FILE: `.github/workflows/coverage.yml`, `.gitlab/coverage.yml`,
    /// `scripts/coverage-slurm` or `kubernetes/coverage.yml` at the top of the repository. A file
    /// that this command has not written is left alone.
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "check")]
    pub out: Option<Option<Utf8PathBuf>>,

    /// Tell whether FILE is what would be written
    ///
    /// Exit code 1 where it is not, or is not there. What was typed to write it stands in it, and
    /// holds where nothing else is typed now.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub check: Option<Option<Utf8PathBuf>>,
}

/// A pipeline that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// For what.
    pub service: Service,
    /// What it is to be.
    pub pipeline: Pipeline,
}

/// Write a pipeline that runs the suite on several machines
///
/// One job plans, N jobs run a shard each, and one that always runs combines what they have left
/// and reports. It is printed, written with `--out`, and compared with `--check`. Written again,
/// it is what it was: options that are not typed are taken from the file that is there.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Ci {
    /// What runs the jobs
    #[arg(value_name = "SERVICE", value_enum)]
    service: Service,

    #[command(flatten)]
    pipeline: Pipeline,

    /// Run the suite of this project
    ///
    /// A folder, or the name of a project that the workspace lists.
    #[arg(short, long, value_name = "NAME|DIR", value_parser = text)]
    project: Option<String>,

    #[command(flatten)]
    output: Output,
}

impl Ci {
    pub(super) fn typed(self) -> Typed {
        let Ci { service, pipeline, project, output } = self;
        let chosen = Chosen { project: project.into_iter().collect(), ..Chosen::default() };
        Typed {
            general: General { chosen, output, ..General::default() },
            pipeline: Some(Wanted { service, pipeline }),
            ..Typed::default()
        }
    }
}

/// A version as in `3.12`, `3.12.1` or `3.14t`.
fn version(word: &str) -> Result<String, String> {
    let is_version = word.starts_with("3.")
        && word.len() > 2
        && word.chars().all(|c| c.is_ascii_digit() || ".t".contains(c));
    match is_version {
        true => Ok(word.to_owned()),
        false => Err("must be a version of Python 3, as `3.12`".to_owned()),
    }
}

/// A word that means itself in a shell and in YAML.
fn plain(word: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let begins = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    match begins && word.chars().all(is_plain) && !word.ends_with(':') {
        true => Ok(word.to_owned()),
        false => Err("must be of letters, digits, `.`, `_`, `-`, `/`, `:` and `@`".to_owned()),
    }
}
