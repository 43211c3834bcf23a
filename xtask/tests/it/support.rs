//! The one helper that knows how to try the tool: Python environments from PyPI, projects in
//! temporary folders, the real binary in a clean environment, and outputs made comparable.

#![allow(dead_code)] // not every test file needs all of it

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// What the stock engine needs.
pub(crate) const STOCK: &[&str] = &["pytest", "coverage", "pytest-split", "pytest-xdist"];

/// No run of a small project may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// The binary itself.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_xtask");

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A Python environment, kept between runs.
#[derive(Clone, Debug)]
pub(crate) struct Env {
    /// Its folder.
    pub(crate) root: Utf8PathBuf,
}

/// The environment with these packages, made by whoever wants it first.
///
/// Its folder is named after the packages; a marker written last says that it is whole.
pub(crate) fn env(packages: &[&str]) -> Env {
    env_of(Utf8Path::new("python3"), "", packages)
}

/// The same with another Python than the usual one, of which the folder's name begins with `what`.
pub(crate) fn env_of(python: &Utf8Path, what: &str, packages: &[&str]) -> Env {
    let all = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join("envs");
    fs::create_dir_all(&all).expect("a folder for environments");
    let name = if packages.is_empty() { "bare".to_owned() } else { packages.join("+") };
    let name: String = [what, &name]
        .concat()
        .chars()
        .map(|c| if c.is_alphanumeric() || "+-._".contains(c) { c } else { '_' })
        .collect();
    let root = all.join(&name);
    let lock = File::create(all.join(format!("{name}.lock"))).expect("a lock file");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).expect("a lock");
    let marker = root.join("complete");
    if !marker.exists() {
        make_env(python, what, packages, &root);
        fs::write(marker, "").expect("a marker");
    }
    Env { root }
}

/// Unpacking pip takes longer than anything else: one environment does it. The others begin as
/// copies of one that has some of what they need.
fn make_env(python: &Utf8Path, what: &str, packages: &[&str], root: &Utf8Path) {
    if packages.is_empty() {
        return tool(python.as_str(), &["-m", "venv", "--clear", root.as_str()]);
    }
    tool(python.as_str(), &["-m", "venv", "--without-pip", "--clear", root.as_str()]);
    let is_more = packages.len() > STOCK.len() && packages.starts_with(STOCK);
    let begun = env_of(python, what, if is_more { STOCK } else { &[] });
    link_all(&begun.root.join("lib"), &root.join("lib"));
    copy_scripts(&begun.root, root);
    let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check"];
    tool(root.join("bin/python").as_str(), &[&install[..], packages].concat());
}

/// Bytecode of a file that is linked is valid: its time of change is the same.
fn link_all(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir_utf8().expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => link_all(entry.path(), &target),
            false => fs::hard_link(entry.path(), target).expect("a link"),
        }
    }
}

/// Scripts begin with the path of their interpreter.
fn copy_scripts(from: &Utf8Path, to: &Utf8Path) {
    for entry in from.join("bin").read_dir_utf8().expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join("bin").join(entry.file_name());
        if !target.exists() {
            let text = fs::read_to_string(entry.path()).expect("a script");
            fs::write(&target, text.replace(from.as_str(), to.as_str())).expect("a script");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).expect("a script");
        }
    }
}

/// Runs git in a folder, as somebody, with `main` as the first branch.
pub(crate) fn git(folder: &Utf8Path, args: &[&str]) -> Output {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
    Run::of("git".into()).args(&identity).args(args).cwd(folder).output().exits(0)
}

/// The interpreters of these minor versions that are here, on `PATH` or where pyenv keeps them.
pub(crate) fn pythons(minors: &[u32]) -> Vec<(u32, Utf8PathBuf)> {
    let home = std::env::var("HOME").unwrap_or_default();
    let root = std::env::var("PYENV_ROOT").unwrap_or_else(|_| format!("{home}/.pyenv"));
    let versions = fs::read_dir(format!("{root}/versions")).into_iter().flatten().flatten();
    let kept = versions.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.path()).ok());
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<Utf8PathBuf> =
        path.split(':').map(Utf8PathBuf::from).chain(kept.map(|it| it.join("bin"))).collect();
    let answers = |python: &Utf8PathBuf| {
        let output = Command::new(python).args(["-c", "import venv"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = |minor: &u32| {
        let programs = folders.iter().map(|folder| folder.join(format!("python3.{minor}")));
        Some((*minor, programs.filter(|it| it.is_file()).find(answers)?))
    };
    minors.iter().filter_map(found).collect()
}

/// The environment of the stock engine.
pub(crate) fn stock_env() -> Env {
    env(STOCK)
}

impl Env {
    /// Its interpreter.
    pub(crate) fn python(&self) -> Utf8PathBuf {
        self.root.join("bin/python")
    }

    /// What a Python program prints, run in `folder`.
    pub(crate) fn python_says(&self, folder: &Utf8Path, code: &str, args: &[&str]) -> String {
        let run = Run::of(&self.python()).args(&["-c", code]).args(args).cwd(folder);
        let output = run.output();
        assert_eq!(output.code, 0, "{output:#?}");
        output.stdout
    }

    /// Runs `python -m …` as a user would, in the environment and in `folder`.
    pub(crate) fn module(&self, folder: &Utf8Path, args: &[&str]) -> Output {
        Run::of(&self.python()).args(&["-m"]).args(args).cwd(folder).active(self).output()
    }
}

/// A setup step that must succeed.
fn tool(program: &str, args: &[&str]) {
    let output = Run::of(Utf8Path::new(program)).args(args).limit(LIMIT * 5).output();
    assert_eq!(output.code, 0, "{program} {args:?}: {output:#?}");
}

/// The folder of the repository.
pub(crate) fn repository() -> Utf8PathBuf {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    root.to_path_buf()
}

/// A project in a temporary folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Project {
    /// Its folder.
    pub(crate) root: Utf8PathBuf,
    env: Option<Env>,
    temp: TempDir,
}

impl Project {
    /// A project outside of any Cargo workspace, in an active environment with what the stock
    /// engine needs.
    pub(crate) fn new(files: &[(&str, &str)]) -> Project {
        Project::at("project", files)
    }

    /// The same, in a folder of this name (spaces, letters of the world).
    pub(crate) fn at(name: &str, files: &[(&str, &str)]) -> Project {
        let temp = TempDir::with_prefix("xtask-it-").expect("a temporary folder");
        let top = Utf8Path::from_path(temp.path()).expect("UTF-8").canonicalize_utf8();
        let root = top.expect("a real path").join(name);
        fs::create_dir_all(&root).expect("a folder");
        let project = Project { root, env: Some(stock_env()), temp };
        project.write_all(files);
        project
    }

    /// A copy of a sample project of this repository.
    pub(crate) fn sample(name: &str) -> Project {
        let project = Project::at(name, &[]);
        copy(&repository().join("tests/projects").join(name), &project.root);
        project
    }

    /// With another active environment.
    pub(crate) fn with(mut self, env: Env) -> Project {
        self.env = Some(env);
        self
    }

    /// With no active environment: the tool has to find or make one.
    pub(crate) fn without_env(mut self) -> Project {
        self.env = None;
        self
    }

    /// Writes a file, and the folders it needs.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Writes files.
    pub(crate) fn write_all(&self, files: &[(&str, &str)]) {
        files.iter().for_each(|(path, text)| self.write(path, text));
    }

    /// The text of a file.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether there is such a file or folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// A file of JSON.
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(path)).expect("JSON")
    }

    /// The names in a folder, sorted; none where there is no folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = self.root.join(folder).read_dir_utf8() else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_owned()).collect();
        names.sort();
        names
    }

    /// The active environment.
    pub(crate) fn env(&self) -> &Env {
        self.env.as_ref().expect("an active environment")
    }

    /// `cargo xtask ARGS` in the project's folder.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.xtask(args).output()
    }

    /// The same, before it starts: for another folder, variables, signals.
    pub(crate) fn xtask(&self, args: &[&str]) -> Run {
        let run = xtask(args).cwd(&self.root);
        match &self.env {
            Some(env) => run.active(env),
            None => run,
        }
    }

    /// What the project's Python prints for a program, run in the project's folder.
    pub(crate) fn python_says(&self, code: &str, args: &[&str]) -> String {
        self.env().python_says(&self.root, code, args)
    }

    /// An output with what differs from run to run and machine to machine replaced.
    pub(crate) fn normal(&self, text: &str) -> String {
        let mut text = text.replace(self.root.as_str(), "[PROJECT]");
        if let Some(env) = &self.env {
            text = text.replace(env.root.as_str(), "[ENV]");
        }
        let top = self.temp.path().canonicalize().expect("a real path");
        normal(&text.replace(top.to_str().expect("UTF-8"), "[TMP]"))
    }
}

/// A command of the tool, in the temporary folder until told otherwise.
pub(crate) fn xtask(args: &[&str]) -> Run {
    Run::of(Utf8Path::new(env!("CARGO_BIN_EXE_xtask"))).args(args)
}

/// Copies a folder without what runs leave in it.
fn copy(from: &Utf8Path, to: &Utf8Path) {
    const LEFTOVERS: [&str; 6] =
        ["__pycache__", ".pytest_cache", ".xtask", "htmlcov", ".venv", ".coverage"];
    fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir_utf8().expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if LEFTOVERS.contains(&entry.file_name()) {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() {
            copy(entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A command that is put together.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    program: String,
    args: Vec<String>,
    folder: Utf8PathBuf,
    vars: BTreeMap<String, String>,
    limit: Duration,
}

impl Run {
    /// A program in a clean environment.
    pub(crate) fn of(program: &Utf8Path) -> Run {
        let passes = |name: &str| {
            ["PATH", "HOME", "LANG", "SSL_CERT_FILE"].contains(&name) || name.starts_with("PIP_")
        };
        Run {
            program: program.to_string(),
            args: Vec::new(),
            folder: Utf8PathBuf::try_from(std::env::temp_dir()).expect("UTF-8"),
            vars: std::env::vars().filter(|(name, _)| passes(name)).collect(),
            limit: LIMIT,
        }
    }

    /// More arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Run {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// The folder to start in.
    pub(crate) fn cwd(mut self, folder: &Utf8Path) -> Run {
        self.folder = folder.to_path_buf();
        self
    }

    /// A variable.
    pub(crate) fn var(mut self, name: &str, value: &str) -> Run {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With an option `--env NAME=VALUE`, for a program that hands no variables on.
    pub(crate) fn passing(self, name: &str) -> Run {
        let word = format!("{name}={}", self.vars[name]);
        self.args(&["--env", &word])
    }

    /// As after `. ENV/bin/activate`.
    pub(crate) fn active(self, env: &Env) -> Run {
        let path = format!("{}:{}", env.root.join("bin"), self.vars["PATH"]);
        self.var("PATH", &path).var("VIRTUAL_ENV", env.root.as_str())
    }

    /// With a `cargo` whose `cargo xtask …` is the binary under test.
    pub(crate) fn with_cargo(self, project: &Project) -> Run {
        let folder = Utf8Path::from_path(project.temp.path()).expect("UTF-8").join("bin");
        fs::create_dir_all(&folder).expect("a folder");
        let script = format!("#!/bin/sh\nshift\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_xtask"));
        fs::write(folder.join("cargo"), script).expect("a script");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join("cargo"), executable).expect("a script");
        let path = format!("{folder}:{}", self.vars["PATH"]);
        self.var("PATH", &path)
    }

    /// How long it may take before the test fails.
    pub(crate) fn limit(mut self, limit: Duration) -> Run {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub(crate) fn output(self) -> Output {
        self.start().output()
    }

    /// Starts it, as the leader of a process group of its own.
    pub(crate) fn start(self) -> Running {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.vars)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program));
        let (send, lines) = mpsc::channel();
        let out = child.stdout.take().expect("a pipe");
        let err = child.stderr.take().expect("a pipe");
        read_lines(out, send.clone(), Line::Out);
        read_lines(err, send, Line::Err);
        let what = format!("{} {}", self.program, self.args.join(" "));
        let deadline = Instant::now() + self.limit;
        Running { child, lines, what, deadline, stdout: String::new(), stderr: String::new() }
    }
}

/// A line of one of the streams.
#[derive(Debug)]
enum Line {
    Out(String),
    Err(String),
}

fn read_lines(pipe: impl Read + Send + 'static, to: mpsc::Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes).into_owned();
            if to.send(kind(line)).is_err() {
                break;
            }
            bytes.clear();
        }
    });
}

/// A command that runs. It is killed, with its process group, when the test forgets it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<Line>,
    what: String,
    deadline: Instant,
    stdout: String,
    stderr: String,
}

impl Running {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process alone, as `kill` does.
    pub(crate) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.pid(), signal).expect("a process");
    }

    /// Sends a signal to the whole group, as a terminal does on Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).expect("a process group");
    }

    /// Waits until a line of stdout or stderr contains this, and returns the line.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            let line = self.next_line().unwrap_or_else(|| {
                panic!("{} ended without {text:?}:\n{}{}", self.what, self.stderr, self.stdout)
            });
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn output(mut self) -> Output {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("a status");
        Output {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// The next line; none when both streams are closed, by all who had them.
    fn next_line(&mut self) -> Option<String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(Line::Out(line)) => {
                self.stdout.push_str(&line);
                Some(line)
            }
            Ok(Line::Err(line)) => {
                self.stderr.push_str(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let _ = killpg(self.pid(), Signal::SIGKILL);
                panic!("{} took too long:\n{}{}", self.what, self.stderr, self.stdout);
            }
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// What came of a command. A signal is 128 and its number, as a shell has it.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The exit code.
    pub(crate) code: i32,
    /// What it reported.
    pub(crate) stdout: String,
    /// How it got there.
    pub(crate) stderr: String,
}

impl Output {
    /// Fails with the whole output unless it ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Output {
        assert!(self.code == code, "exit code {}, not {code}:\n{self}", self.code);
        self
    }

    /// Fails with the whole output unless stdout has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Output {
        assert!(self.stdout.contains(text), "no {text:?} on stdout:\n{self}");
        self
    }

    /// Fails with the whole output unless stderr has this text.
    #[track_caller]
    pub(crate) fn tells(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "no {text:?} on stderr:\n{self}");
        self
    }

    /// Fails with the whole output if either stream has this text.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Output {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!said, "{text:?} was said:\n{self}");
        self
    }

    /// The only line of stdout that starts with this, without it.
    #[track_caller]
    pub(crate) fn line(&self, start: &str) -> &str {
        let mut lines = self.stdout.lines().filter_map(|line| line.strip_prefix(start));
        let line = lines.next().unwrap_or_else(|| panic!("no line `{start}…`:\n{self}"));
        assert!(lines.next().is_none(), "several lines `{start}…`:\n{self}");
        line
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output { code, stdout, stderr } = self;
        write!(f, "code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

/// Replaces seconds by `[T]` and version numbers by `[V]`.
pub(crate) fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        out.push_str(before);
        let starts_word = before.chars().next_back().is_some_and(char::is_alphanumeric);
        let length =
            number.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(number.len());
        let (digits, after) = number.split_at(length);
        let trimmed = digits.trim_end_matches('.');
        let after_word = |unit: &str| {
            after.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let dots = trimmed.matches('.').count();
        if starts_word {
            out.push_str(digits);
            rest = after;
        } else if dots == 1 && after_word("s") {
            out.push_str("[T]");
            rest = &after[1..];
        } else if dots == 0 && after_minutes(after).is_some() {
            out.push_str("[T]");
            rest = after_minutes(after).expect("minutes");
        } else if dots >= 2 {
            out.push_str("[V]");
            out.push_str(&digits[trimmed.len()..]);
            rest = after;
        } else {
            out.push_str(digits);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// What follows `3m 05s`, given what follows its first number.
fn after_minutes(text: &str) -> Option<&str> {
    let text = text.strip_prefix("m ")?;
    text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('s')
}

#[test]
fn outputs_become_comparable() {
    let text = "[Split 1/2] ✓ 3 tests in 12.4s; py3.11, 3.11.7 and 0.4s, 3m 05s; 61.25%";
    let wanted = "[Split 1/2] ✓ 3 tests in [T]; py3.11, [V] and [T], [T]; 61.25%";
    assert_eq!(normal(text), wanted);
}
