//! Programs of ours that the project's interpreter runs: a request on stdin, the answer on a
//! marked line of stdout.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::Output;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use camino::Utf8Path;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::threads;

/// Runs the program that comes on the first line, and before it the modules that it imports,
/// under names that coverage never measures; then gives it what it can do ahead, the second
/// line, and the request, all that follows.
/// The current folder leaves `sys.path` before anything is imported: a project may well have
/// a `json.py`.
const START: &str = "\
import sys
if sys.path[:1] == ['']: del sys.path[0]
import json
import types
code = json.loads(sys.stdin.buffer.readline())
for name, text in code['modules'].items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, f'<xtask {name}>', 'exec'), vars(module))
space = {'__name__': '<xtask report>'}
exec(compile(code['program'], '<xtask report>', 'exec'), space)
ahead = json.loads(sys.stdin.buffer.readline())
if ahead: space['ahead'](ahead)
request = sys.stdin.buffer.read()
if request: space['main'](json.loads(request))
";

/// What runs there.
pub(super) struct Code {
    /// Defines `main(request)`, and `ahead(known)` where that is used.
    pub(super) program: &'static str,
    /// What it imports, by name, in the order in which these need each other.
    pub(super) modules: &'static [(&'static str, &'static str)],
}

/// Opens the line of stdout that holds the answer.
const MARK: &str = "\nxtask-report:";

/// Coverage starts by itself in a process that has one of these: ours must not be measured.
const NOT_FOR_US: [&str; 2] = ["COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"];

/// An interpreter in the project's folder that has coverage ready and waits for its request.
/// Started early, it has its start behind it when the tests are through. Ended with this value.
#[derive(Debug)]
pub(crate) struct Program {
    handle: duct::Handle,
    request: Option<PipeWriter>,
    output: Option<[Reading; 2]>,
}

/// What a thread reads of a stream.
type Reading = JoinHandle<Vec<u8>>;

impl Program {
    /// Starts it. `ahead` says what it can do before there is a request.
    pub(super) fn start(
        python: &Utf8Path,
        root: &Utf8Path,
        code: &Code,
        ahead: Option<&Value>,
    ) -> Result<Program> {
        let [input, stdout, stderr] = [pipe()?, pipe()?, pipe()?];
        // Not by duct, which panics where a thread cannot be started.
        let output = [reading(stdout.0)?, reading(stderr.0)?];
        let (reader, mut writer) = input;
        let mut command = duct::cmd(python.as_str(), ["-c", START])
            .dir(root)
            .stdin_file(reader)
            .stdout_file(stdout.1)
            .stderr_file(stderr.1)
            .unchecked();
        for name in NOT_FOR_US {
            command = command.env_remove(name);
        }
        let handle = command.start()?;
        let modules: serde_json::Map<_, _> =
            code.modules.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
        let line = json!({ "program": code.program, "modules": modules });
        // That it has ended before it was told all is seen by its output.
        let ahead = ahead.unwrap_or(&Value::Null);
        let _ = writer.write_all(format!("{line}\n{ahead}\n").as_bytes());
        Ok(Program { handle, request: Some(writer), output: Some(output) })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.handle.pids().first().copied().unwrap_or_default()
    }

    /// Whether it still waits: a test may kill what it finds.
    fn waits(&self) -> bool {
        matches!(self.handle.try_wait(), Ok(None))
    }

    fn answer(mut self, request: &Value) -> Result<Output> {
        if let Some(mut writer) = self.request.take() {
            let _ = writer.write_all(request.to_string().as_bytes());
        }
        let status = self.handle.wait()?.status;
        let read = |reading: Reading| reading.join().unwrap_or_default();
        let [stdout, stderr] =
            self.output.take().map(|output| output.map(read)).unwrap_or_default();
        Ok(Output { status, stdout, stderr })
    }
}

/// Reads a stream to its end.
fn reading(mut stream: PipeReader) -> Result<Reading> {
    threads::start("that reads what coverage's report says", move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.handle.kill();
    }
}

/// What a program answers to a request, in the project's folder; `ready` is used if it is there.
pub(super) fn ask<T: DeserializeOwned>(
    python: &Utf8Path,
    root: &Utf8Path,
    code: &Code,
    request: &Value,
    ready: Option<Program>,
) -> Result<T> {
    let start = || Program::start(python, root, code, None);
    let ready = ready.filter(Program::waits).map_or_else(start, Ok);
    let output = ready
        .and_then(|ready| ready.answer(request))
        .with_context(|| format!("failed to start `{python}` for the reports"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let (_, answer) = stdout.rsplit_once(MARK).ok_or_else(|| no_answer(&output))?;
    let line = answer.lines().next().unwrap_or_default();
    serde_json::from_str(line).context("failed to read the answer of the report program")
}

fn no_answer(output: &Output) -> anyhow::Error {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    anyhow!("coverage's report ended without an answer ({}):\n{tail}", output.status)
}
