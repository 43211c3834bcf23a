//! Programs of ours that the project's interpreter runs: a request on stdin, the answer on a
//! marked line of stdout.

use anyhow::{Context, Result, anyhow};
use camino::Utf8Path;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Runs the program that comes on stdin, and before it the modules that it imports, under names
/// that coverage never measures.
/// The current folder leaves `sys.path` before anything is imported: a project may well have
/// a `json.py`.
const START: &str = "\
import sys
if sys.path[:1] == ['']: del sys.path[0]
import json
import types
request = json.loads(sys.stdin.buffer.read())
for name, text in request.pop('modules', {}).items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, f'<xtask {name}>', 'exec'), vars(module))
space = {'__name__': '<xtask report>'}
exec(compile(request.pop('program'), '<xtask report>', 'exec'), space)
space['main'](request)
";

/// Opens the line of stdout that holds the answer.
const MARK: &str = "\nxtask-report:";

/// Coverage starts by itself in a process that has one of these: ours must not be measured.
const NOT_FOR_US: [&str; 2] = ["COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"];

/// What a program answers to a request, in the project's folder.
pub(super) fn ask<T: DeserializeOwned>(
    python: &Utf8Path,
    root: &Utf8Path,
    program: &str,
    mut request: Value,
) -> Result<T> {
    request["program"] = program.into();
    let output = run(python, root, &request)
        .with_context(|| format!("failed to start `{python}` for the reports"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let (_, answer) = stdout.rsplit_once(MARK).ok_or_else(|| no_answer(&output))?;
    let line = answer.lines().next().unwrap_or_default();
    serde_json::from_str(line).context("failed to read the answer of the report program")
}

fn run(
    python: &Utf8Path,
    root: &Utf8Path,
    request: &Value,
) -> std::io::Result<std::process::Output> {
    let mut command = duct::cmd(python.as_str(), ["-c", START])
        .dir(root)
        .stdin_bytes(request.to_string())
        .stdout_capture()
        .stderr_capture()
        .unchecked();
    for name in NOT_FOR_US {
        command = command.env_remove(name);
    }
    command.run()
}

fn no_answer(output: &std::process::Output) -> anyhow::Error {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    anyhow!("coverage's report ended without an answer ({}):\n{tail}", output.status)
}
