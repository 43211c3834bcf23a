//! The door to short-lived commands: poetry, uv, pdm, pip, the interpreter itself. They run
//! one after the other, quietly, in our own process group, so that Ctrl-C reaches them too.

use std::cell::OnceCell;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::Shell;

use crate::exit;

/// Runs steps and announces the slow ones.
pub(crate) struct Steps<'a> {
    sh: Shell,
    announce: &'a dyn Fn(&str),
    certificate: OnceCell<Option<String>>,
}

impl<'a> Steps<'a> {
    /// Steps in the environment of this process.
    pub(crate) fn new(announce: &'a dyn Fn(&str)) -> Result<Steps<'a>> {
        let sh = Shell::new().context("failed to read the current folder")?;
        Ok(Steps { sh, announce, certificate: OnceCell::new() })
    }

    #[cfg(test)]
    /// The same, with one variable set to another value (an empty one counts as not set).
    pub(crate) fn with_var(self, name: &str, value: &str) -> Steps<'a> {
        self.sh.set_var(name, value);
        self
    }

    /// The value of an environment variable that is set and not empty.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        self.sh.var(name).ok().filter(|value| !value.is_empty())
    }

    pub(super) fn cwd(&self) -> Result<Utf8PathBuf> {
        let cwd = self.sh.current_dir();
        Utf8PathBuf::from_path_buf(cwd).map_err(|path| {
            exit::usage(format!("the current folder `{}` is not UTF-8", path.display())).into()
        })
    }

    /// Tells the user what is about to take time.
    pub(super) fn announce(&self, message: &str) {
        (self.announce)(message);
    }

    /// A program on `PATH`. pyenv puts a file there for every program that any of its
    /// versions has, so those are only taken when they answer.
    pub(super) fn which(&self, name: &str) -> Option<Utf8PathBuf> {
        let path = self.var("PATH").unwrap_or_default();
        let found = path
            .split(':')
            .map(|folder| Utf8Path::new(folder).join(name))
            .filter(|file| is_program(file));
        let answers = |file: &Utf8PathBuf| {
            !file.as_str().contains("/shims/")
                || self.read(&Step::new(file, "/").args(["--version"])).is_ok()
        };
        found.into_iter().find(answers)
    }

    /// Runs a step; its output is only shown, as part of the error, when it fails.
    pub(super) fn run(&self, step: &Step) -> Result<()> {
        self.read(step).map(drop)
    }

    /// Runs a step for what it prints on stdout.
    pub(super) fn read(&self, step: &Step) -> Result<String> {
        self.read_bytes(step).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same, where it may not be text.
    pub(super) fn read_bytes(&self, step: &Step) -> Result<Vec<u8>> {
        let output = self.output(step)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        if let Some(signal) = output.status.signal().filter(|signal| is_stop(*signal)) {
            return Err(exit::interrupted(signal).into());
        }
        bail!(exit::usage(format!(
            "`{step}` ended with {}{}",
            ending(&output),
            last_lines(&output)
        )))
    }

    pub(super) fn output(&self, step: &Step) -> Result<Output> {
        let _there = self.sh.push_dir(&step.folder);
        let mut command = self.sh.cmd(&step.program).args(&step.args).quiet().ignore_status();
        for (name, value) in &step.env {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.output().with_context(|| exit::usage(format!("failed to run `{step}`")))
    }

    /// A step of a tool that loads from the network. Where pip is told to trust a certificate
    /// (`/etc/pip.conf` on a machine behind a proxy) and the others are not told, they are.
    /// Each by its own variable: cargo sets the first one for all that it runs.
    pub(super) fn download(&self, step: Step, python: &Utf8Path) -> Step {
        let untold = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].into_iter();
        let mut untold = untold.filter(|name| self.var(name).is_none()).peekable();
        if untold.peek().is_none() {
            return step;
        }
        match self.certificate.get_or_init(|| self.pip_setting(python, "cert")) {
            Some(file) => untold.fold(step, |step, name| step.env(name, file)),
            None => step,
        }
    }

    /// A setting of pip, from its environment variables or configuration files.
    pub(super) fn pip_setting(&self, python: &Utf8Path, name: &str) -> Option<String> {
        // `pip config get` finds nothing in /etc/pip.conf; `list` does.
        let list = Step::new(python, "/").args(["-m", "pip", "config", "list"]);
        let list = self.read(&list).ok()?;
        list.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim_matches(['\'', '"']).to_owned();
            (key.rsplit('.').next() == Some(name)).then_some(value)
        })
    }
}

/// A command, to run or to show. It prints as one would paste it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    program: Utf8PathBuf,
    pub(super) args: Vec<String>,
    folder: Utf8PathBuf,
    env: Vec<(String, Option<String>)>,
}

impl Step {
    pub(super) fn new(program: impl Into<Utf8PathBuf>, folder: impl Into<Utf8PathBuf>) -> Step {
        Step { program: program.into(), args: Vec::new(), folder: folder.into(), env: Vec::new() }
    }

    pub(super) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Step {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Program and arguments alone.
    pub(super) fn words(&self) -> String {
        let args = self.args.iter().map(String::as_str);
        shell_words::join(std::iter::once(self.program.as_str()).chain(args))
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<String>) -> Step {
        self.env.push((name.to_owned(), Some(value.into())));
        self
    }

    pub(super) fn unset(mut self, names: &[&str]) -> Step {
        self.env.extend(names.iter().map(|name| ((*name).to_owned(), None)));
        self
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folder != "/" {
            write!(f, "cd {} && ", shell_words::quote(self.folder.as_str()))?;
        }
        let is_set =
            |name: &str| self.env.iter().any(|(other, value)| other == name && value.is_some());
        let unset = self.env.iter().filter(|(name, _)| !is_set(name));
        let unset: String = unset.map(|(name, _)| format!("-u {name} ")).collect();
        if !unset.is_empty() {
            write!(f, "env {unset}")?;
        }
        for (name, value) in &self.env {
            if let Some(value) = value {
                write!(f, "{name}={} ", shell_words::quote(value))?;
            }
        }
        f.write_str(&self.words())
    }
}

fn is_program(file: &Utf8Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn is_stop(signal: i32) -> bool {
    use nix::libc::{SIGHUP, SIGINT, SIGTERM};
    [SIGHUP, SIGINT, SIGTERM].contains(&signal)
}

fn ending(output: &Output) -> String {
    match (output.status.code(), output.status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// The end of what a failed command said; poetry and pip use either stream.
pub(super) fn last_lines(output: &Output) -> String {
    const LINES: usize = 15;
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = text.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty());
    let lines: Vec<_> = lines.map(|line| format!("\n    {}", line.trim_end())).collect();
    lines[lines.len().saturating_sub(LINES)..].concat()
}
