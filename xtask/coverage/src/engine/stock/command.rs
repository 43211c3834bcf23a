//! The command of a split, and what it finds when it starts.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::super::around::Variables;
use super::super::child::Command;
use super::super::{Job, LAST_FAILED, Measure, TEMPORARY, TOGETHER, tail};
use crate::{env, files};

/// Our plugin, and the words by which an interpreter compiles it.
const PLUGIN: &str = include_str!("../../../host/stock/xtask_events.py");
const COMPILE: &str = "import importlib.util, json, marshal, os, sys
for name, text in json.load(sys.stdin).items():
    code = compile(text, '<xtask ' + name + '>', 'exec')
    path = os.path.join(sys.argv[1], name + '.pyc')
    with open(path + '.new', 'wb') as file:
        file.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
    os.replace(path + '.new', path)
";

/// What our plugin shares with the hosts of the other engines, a package beside it.
const SHARED: &[(&str, &str)] = &[
    ("xtask_host/__init__", ""),
    ("xtask_host/last_failed", LAST_FAILED),
    ("xtask_host/listeners", include_str!("../../../host/listeners.py")),
    ("xtask_host/event_pipe", include_str!("../../../host/event_pipe.py")),
    ("xtask_host/plugins", include_str!("../../../host/plugins.py")),
    ("xtask_host/replays", include_str!("../../../host/replays.py")),
    ("xtask_host/usage", include_str!("../../../host/usage.py")),
    ("xtask_host/pytest_reports", include_str!("../../../host/pytest_reports.py")),
    ("xtask_host/temporary", TEMPORARY),
    ("xtask_host/text", include_str!("../../../host/text.py")),
    ("xtask_host/worker_names", include_str!("../../../host/worker_names.py")),
    ("xtask_host/together", TOGETHER),
];

/// Installs our plugin where [`command`] expects it: as bytecode of this interpreter, under a
/// file name that coverage does not measure.
pub(crate) fn prepare(job: &Job) -> Result<()> {
    let folder = plugin_folder(job);
    fs::create_dir_all(folder.join("xtask_host"))
        .with_context(|| format!("failed to make `{folder}`"))?;
    let files: BTreeMap<&str, &str> =
        SHARED.iter().copied().chain([("xtask_events", PLUGIN)]).collect();
    // Files, as pipes to and from it would need threads.
    let (source, said) = (folder.join("source.json"), folder.join("compile.log"));
    let text = serde_json::to_vec(&files)?;
    files::replace(&source, text).with_context(|| format!("failed to write `{source}`"))?;
    let compiled = duct::cmd!(job.python.as_std_path(), "-I", "-c", COMPILE, folder.as_str())
        .stdin_path(&source)
        .stderr_to_stdout()
        .stdout_path(&said)
        .unchecked()
        .run()
        .with_context(|| format!("failed to start `{}`", job.python))?;
    if !compiled.status.success() {
        let said = tail(&said, 40);
        anyhow::bail!("`{}` failed to compile our plugin: {said}", job.python);
    }
    Ok(())
}

fn plugin_folder(job: &Job) -> Utf8PathBuf {
    job.code.join("stock")
}

/// The command of one split in one of the `concurrent` slots, both 1-based. It can be pasted:
/// without the descriptor in `XTASK_STOCK` our plugin tells nobody.
pub(crate) fn command(job: &Job, split: u32, slot: u32, pipe: Option<i32>) -> Command {
    let first_worker = (slot - 1) * job.workers;
    let workers: Vec<Variables> = (first_worker as usize..(first_worker + job.workers) as usize)
        .map_while(|worker| job.each_worker.as_ref()?.ready(worker))
        .collect();
    let settings = settings(job, split, slot, &workers, pipe);
    let env = [
        ("COVERAGE_FILE", job.folder.split_data(split).into_string()),
        ("PYTHONPATH", python_path(&plugin_folder(job))),
        ("XTASK_STOCK", settings.to_string()),
        ("XTASK_SPLIT", format!("{split}/{}", job.splits)),
        ("XTASK_SLOT", first_worker.to_string()),
    ];
    Command {
        program: job.python.clone(),
        args: arguments(job, split),
        env: env
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain(job.variables())
            .chain(workers.first().cloned().unwrap_or_default())
            .collect(),
        dir: job.project.clone(),
    }
}

/// What our plugin is to know of its split, and where it tells what happens.
fn settings(job: &Job, split: u32, slot: u32, workers: &[Variables], pipe: Option<i32>) -> Value {
    let mut settings = json!({
        "first_worker": (slot - 1) * job.workers,
        "workers": workers,
        // xdist replaces up to 4 workers for each that it starts with.
        "spare_worker": (job.concurrent + (slot - 1) * 4) * job.workers,
        "timeout": job.timeout,
        "context": job.measure.as_ref().filter(|measure| measure.contexts).map(|_| "test"),
        "cut_file": job.folder.split_cut(split),
        "splits": job.splits,
        "worker": (job.workers < 2 && job.concurrent > 1).then(|| json!({
            "PYTEST_XDIST_WORKER": format!("gw{}", slot - 1),
            "PYTEST_XDIST_WORKER_COUNT": job.concurrent.to_string(),
            "PYTEST_XDIST_TESTRUNUID": format!("{:x}", std::process::id()),
        })),
        "last_failed": job.last_failed,
        "basetemp_file": job.folder.basetemp(),
        // One process has nobody to agree with.
        "order_file": (job.splits * job.workers > 1 && pipe.is_some())
            .then(|| job.folder.order()),
        // A single one has what pytest gives it.
        "folder": (job.splits > 1 && pipe.is_some()).then(|| format!("split-{split:02}")),
    });
    if let Some(descriptor) = pipe {
        settings["events"] = descriptor.into();
    }
    settings
}

fn python_path(ours: &Utf8Path) -> String {
    env::var("PYTHONPATH").map_or(ours.to_string(), |theirs| format!("{ours}:{theirs}"))
}

fn arguments(job: &Job, split: u32) -> Vec<String> {
    let mut args = job.measure.as_ref().map(coverage_run).unwrap_or_default();
    args.extend(words(["-m", "pytest"]));
    args.extend(job.pytest_args.iter().chain(&job.stock_args).cloned());
    args.extend(words(["-p", "xtask_events"]));
    if job.splits > 1 {
        args.extend(words(["--splits", &job.splits.to_string(), "--group", &split.to_string()]));
        // A copy for each split: with `--store-durations` in addopts, one would write it while
        // another reads it.
        // In one word: pytest takes the value of an option it does not know yet for a path, and
        // looks for its configuration there.
        args.push(format!("--durations-path={}", job.folder.split_durations(split)));
    }
    if job.xdist {
        let workers = if job.workers > 1 { job.workers } else { 0 };
        args.extend(words(["-n", &workers.to_string()]));
    }
    args
}

fn coverage_run(measure: &Measure) -> Vec<String> {
    let mut args = words(["-m", "coverage", "run", "--parallel-mode"]);
    args.extend(measure.config_file.iter().map(|file| format!("--rcfile={file}")));
    args.extend((measure.branch == Some(true)).then(|| "--branch".to_owned()));
    if !measure.source.is_empty() {
        args.push(format!("--source={}", measure.source.join(",")));
    }
    args
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// Makes the folder of a split, and in it what pytest-split reads.
pub(crate) fn prepare_split(job: &Job, split: u32) -> Result<()> {
    let folder = job.folder.split(split);
    fs::create_dir_all(&folder).with_context(|| format!("failed to make `{folder}`"))?;
    if let Some(durations) = &job.times.file {
        fs::copy(durations, job.folder.split_durations(split))
            .with_context(|| format!("failed to copy `{durations}`"))?;
    }
    Ok(())
}
