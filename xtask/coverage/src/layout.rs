//! The names of all that lies in the state folder of a project: nobody else knows them. Pure:
//! nothing is made or read here.
//!
//! ```text
//! lock  environment.lock  facts….json  run.json  durations.json  cpu.json  last-failed.json  host/  core/
//! venv/  uv/  environment-unfinished  ready  lock-checked
//! results/           of whole runs, where their usual places cannot be written
//! runs/<n>/          the last three runs: run.html, parts/, logs/, rerun.json where tests failed
//! runs/last          leads to the newest of them; as deep, so that links of its page hold here too
//! partial/           coverage of the last run of a part of the tests
//! test/              of `cargo xtask test`: a state folder of its own
//! shards/<shard>/    of a shard: a state folder of its own
//! <shard>/           what a shard delivers, unless it is told where
//! verify/<run>/      as runs/<n>/, for each run of `verify`
//! dry-run/           as runs/<n>/, for the commands that `--dry-run` prints
//! temporary-…/       as runs/<n>/, for what is gone when the command ends
//! ```
//!
//! What several projects come to together lies beside the folders of the projects:
//!
//! ```text
//! joint/             run.html, and the reports that were asked for; partial/, test/
//! ```

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::ReportKind;

/// The state folder of a project.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(Utf8PathBuf);

/// How the file is called that other machines run again.
pub(crate) const RERUN: &str = "rerun.json";

/// How the name of a temporary folder begins.
pub(crate) const TEMPORARY: &str = "temporary-";

impl StateFolder {
    /// At this place.
    pub(crate) fn at(root: Utf8PathBuf) -> StateFolder {
        StateFolder(root)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Utf8Path {
        &self.0
    }

    /// What `cargo xtask test` keeps for itself.
    pub(crate) fn of_tests(&self) -> StateFolder {
        StateFolder(self.0.join("test"))
    }

    /// What a shard keeps for itself: several may run side by side on one checkout.
    pub(crate) fn of_shard(&self, name: &str) -> StateFolder {
        StateFolder(self.0.join("shards").join(name))
    }

    /// Where shards deliver, each in a folder of its own.
    pub(crate) fn delivered(&self) -> &Utf8Path {
        &self.0
    }

    /// Held while a command uses the folder.
    pub(crate) fn lock(&self) -> Utf8PathBuf {
        self.0.join("lock")
    }

    /// Held by a shard while it finds or makes the environment.
    pub(crate) fn environment_lock(&self) -> Utf8PathBuf {
        self.0.join("environment.lock")
    }

    /// Hides the folder from git.
    pub(crate) fn gitignore(&self) -> Utf8PathBuf {
        self.0.join(".gitignore")
    }

    /// What the interpreter says of itself: for coverage's usual configuration or another, and for
    /// the usual paths or others.
    pub(crate) fn facts(&self, other_config: bool, other_paths: bool) -> Utf8PathBuf {
        let config = if other_config { "-cov-config" } else { "" };
        let paths = if other_paths { "-paths" } else { "" };
        self.0.join(format!("facts{config}{paths}.json"))
    }

    /// What the last run was and how it ended.
    pub(crate) fn history(&self) -> Utf8PathBuf {
        self.0.join("run.json")
    }

    /// Seconds per test, recorded on this machine.
    pub(crate) fn durations(&self) -> Utf8PathBuf {
        self.0.join("durations.json")
    }

    /// Seconds of CPU per test, recorded on this machine.
    pub(crate) fn cpu(&self) -> Utf8PathBuf {
        self.0.join("cpu.json")
    }

    /// Tests that failed or did not run.
    pub(crate) fn last_failed(&self) -> Utf8PathBuf {
        self.0.join("last-failed.json")
    }

    /// Our Python files, unpacked.
    pub(crate) fn host(&self) -> Utf8PathBuf {
        self.0.join("host")
    }

    /// The native core, in a folder that only its owner can write to.
    pub(crate) fn core(&self) -> Utf8PathBuf {
        self.0.join("core")
    }

    /// The environment of our own, where the project has none.
    pub(crate) fn venv(&self) -> Utf8PathBuf {
        self.0.join("venv")
    }

    /// The environment of one member of a uv workspace.
    pub(crate) fn uv_venv(&self) -> Utf8PathBuf {
        self.0.join("uv")
    }

    /// There while a project's tool fills its environment.
    pub(crate) fn unfinished_environment(&self) -> Utf8PathBuf {
        self.0.join("environment-unfinished")
    }

    /// What `setup` came to, and for what.
    pub(crate) fn ready(&self) -> Utf8PathBuf {
        self.0.join("ready")
    }

    /// What a project's tool has said of its lock file, and of which.
    pub(crate) fn checked_lock(&self) -> Utf8PathBuf {
        self.0.join("lock-checked")
    }

    /// Data and reports of whole runs, where those cannot be written to their usual places.
    pub(crate) fn results(&self) -> Utf8PathBuf {
        self.0.join("results")
    }

    /// Data and reports of runs of a part of the tests, so that those of the last whole run stay.
    pub(crate) fn partial(&self) -> Utf8PathBuf {
        self.0.join("partial")
    }

    /// The folders of the last runs, which have numbers for names.
    pub(crate) fn runs(&self) -> Utf8PathBuf {
        self.0.join("runs")
    }

    /// The folder of a run.
    pub(crate) fn run(&self, number: u64) -> RunFolder {
        RunFolder(self.runs().join(number.to_string()))
    }

    /// A symbolic link to the folder of the last run, and where it leads.
    pub(crate) fn last(&self, number: u64) -> (Utf8PathBuf, Utf8PathBuf) {
        (self.runs().join("last"), Utf8PathBuf::from(number.to_string()))
    }

    /// The folder for the commands that `--dry-run` prints.
    pub(crate) fn dry_run(&self) -> RunFolder {
        RunFolder(self.0.join("dry-run"))
    }

    /// All runs of `verify`.
    pub(crate) fn verify(&self) -> Utf8PathBuf {
        self.0.join("verify")
    }

    /// The folder of one run of `verify`.
    pub(crate) fn verify_run(&self, name: &str) -> RunFolder {
        RunFolder(self.verify().join(name))
    }
}

/// The folder for what several projects come to together.
#[derive(Clone, Debug)]
pub(crate) struct JointFolder(Utf8PathBuf);

impl JointFolder {
    /// At this place.
    pub(crate) fn at(root: Utf8PathBuf) -> JointFolder {
        JointFolder(root)
    }

    /// What `cargo xtask test` leaves.
    pub(crate) fn of_tests(&self) -> JointFolder {
        JointFolder(self.0.join("test"))
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Utf8Path {
        &self.0
    }

    /// The page of all projects.
    pub(crate) fn page(&self) -> Utf8PathBuf {
        self.0.join("run.html")
    }

    /// A report on all of them; none of those that are a folder, or are printed. Those on a part
    /// of the tests lie elsewhere, so that the last whole ones stay.
    pub(crate) fn report(&self, kind: ReportKind, partial: bool) -> Option<Utf8PathBuf> {
        let name = match kind {
            ReportKind::Xml => "coverage.xml",
            ReportKind::Json => "coverage.json",
            ReportKind::Lcov => "coverage.lcov",
            ReportKind::Markdown => "coverage.md",
            ReportKind::Term | ReportKind::Html => return None,
        };
        let folder = if partial { self.0.join("partial") } else { self.0.clone() };
        Some(folder.join(name))
    }
}

/// The folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(Utf8PathBuf);

impl RunFolder {
    /// At this place.
    pub(crate) fn at(root: Utf8PathBuf) -> RunFolder {
        RunFolder(root)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Utf8Path {
        &self.0
    }

    /// The page of the run.
    pub(crate) fn page(&self) -> Utf8PathBuf {
        self.0.join("run.html")
    }

    /// The tests that `--last-failed` runs.
    pub(crate) fn selection(&self) -> Utf8PathBuf {
        self.0.join("last-failed.json")
    }

    /// What failed, for another machine to run again.
    pub(crate) fn rerun(&self) -> Utf8PathBuf {
        self.0.join(RERUN)
    }

    /// What a run of `verify` has measured, combined.
    pub(crate) fn data(&self) -> Utf8PathBuf {
        self.0.join("coverage.data")
    }

    /// Data files of splits, and what processes tell each other by files.
    pub(crate) fn parts(&self) -> Utf8PathBuf {
        self.0.join("parts")
    }

    /// What units have run, a line of JSON each.
    pub(crate) fn results(&self) -> Utf8PathBuf {
        self.parts().join("results.jsonl")
    }

    /// Where the first process says which folder the run has for temporary files.
    pub(crate) fn basetemp(&self) -> Utf8PathBuf {
        self.parts().join("basetemp.json")
    }

    /// Where processes of the stock engine agree on an order of the tests.
    pub(crate) fn order(&self) -> Utf8PathBuf {
        self.parts().join("order.json")
    }

    /// The folder of a host, by its number from 0. The first one has it without a number: mostly
    /// it is the only one.
    pub(crate) fn host(&self, number: usize) -> Utf8PathBuf {
        self.parts().join(numbered("host", number, ""))
    }

    /// What a host is told at its start.
    pub(crate) fn host_config(&self, number: usize) -> Utf8PathBuf {
        self.parts().join(numbered("host", number, ".json"))
    }

    /// The tests that a host is to know, where these are but a few.
    pub(crate) fn host_selection(&self, number: usize) -> Utf8PathBuf {
        self.parts().join(numbered("only", number, ".json"))
    }

    /// The data files that a host writes.
    pub(crate) fn host_data(&self, number: usize) -> Utf8PathBuf {
        self.parts().join(numbered("data", number, ""))
    }

    /// The data of a shard, where shards are combined.
    pub(crate) fn shard(&self, name: &str) -> Utf8PathBuf {
        self.parts().join(name)
    }

    /// The folder of a split of the stock engine.
    pub(crate) fn split(&self, split: u32) -> Utf8PathBuf {
        self.parts().join(format!("split-{split:02}"))
    }

    /// How its data files begin.
    pub(crate) fn split_data(&self, split: u32) -> Utf8PathBuf {
        self.split(split).join("data")
    }

    /// Its tests before and after the cut.
    pub(crate) fn split_cut(&self, split: u32) -> Utf8PathBuf {
        self.split(split).join("cut.json")
    }

    /// What pytest-split cuts by.
    pub(crate) fn split_durations(&self, split: u32) -> Utf8PathBuf {
        self.split(split).join("durations.json")
    }

    /// True for a data file in one of the folders of [`RunFolder::parts`].
    pub(crate) fn is_data(name: &str) -> bool {
        (name.starts_with("data.") || name.ends_with(".coverage")) && !name.ends_with("-journal")
    }

    /// What processes print.
    pub(crate) fn logs(&self) -> Utf8PathBuf {
        self.0.join("logs")
    }

    /// What a host prints.
    pub(crate) fn host_log(&self, number: usize) -> Utf8PathBuf {
        self.logs().join(numbered("host", number, ".log"))
    }

    /// What workers print that are not the host itself.
    pub(crate) fn workers_log(&self) -> Utf8PathBuf {
        self.logs().join("workers.log")
    }

    /// What a split of the stock engine prints.
    pub(crate) fn split_log(&self, split: u32) -> Utf8PathBuf {
        self.logs().join(format!("split-{split:02}.log"))
    }

    /// What commands around the tests print and export.
    pub(crate) fn around(&self) -> Utf8PathBuf {
        self.0.join("around")
    }

    /// What one of them prints.
    pub(crate) fn around_log(&self, name: &str) -> Utf8PathBuf {
        self.around().join(format!("{name}.log"))
    }

    /// What it exports.
    pub(crate) fn around_variables(&self, name: &str) -> Utf8PathBuf {
        self.around().join(format!("{name}.env"))
    }

    /// What pytest prints that only collects.
    pub(crate) fn collect_log(&self) -> Utf8PathBuf {
        self.logs().join("collect.log")
    }
}

fn numbered(base: &str, number: usize, extension: &str) -> String {
    match number {
        0 => format!("{base}{extension}"),
        number => format!("{base}-{}{extension}", number + 1),
    }
}
