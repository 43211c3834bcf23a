//! Commands one after the other, and what they hand on.

use camino::Utf8PathBuf;

use super::shell::{FILE, Line, Shell};
use super::variables::{self, Variables};
use crate::engine::tail;
use crate::files;
use crate::layout::RunFolder;

/// So many lines of what a command printed are shown.
const SHOWN: usize = 40;

/// The commands for the run, or for one of its workers.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    pub(super) shell: &'a Shell,
    /// What is before `setup` and `teardown` in messages: nothing, or `worker gw0`.
    pub(super) whose: &'a str,
    /// In the environment of all.
    pub(super) given: Variables,
    pub(super) folder: &'a RunFolder,
}

impl Steps<'_> {
    /// Runs commands until one fails. The answer is what they have exported, the error what went
    /// wrong.
    pub(super) fn set_up(&self, lines: &[String]) -> Result<Variables, String> {
        let file = self.file();
        let failed = |why: String| format!("the setup{} failed: {why}", self.of());
        let empty = files::replace(&file, "");
        empty.map_err(|error| failed(format!("failed to write `{file}`: {error}")))?;
        for line in lines {
            self.run("setup", line).map_err(failed)?;
            variables::read(&file).map_err(failed)?;
        }
        variables::read(&file).map_err(failed)
    }

    /// Runs all commands; the answer is what went wrong.
    pub(super) fn tear_down(&self, lines: &[String]) -> Vec<String> {
        let failed = |why: String| format!("the teardown{} failed: {why}", self.of());
        lines.iter().filter_map(|line| self.run("teardown", line).err()).map(failed).collect()
    }

    fn run(&self, what: &str, line: &str) -> Result<(), String> {
        let file = self.file();
        let log = self.folder.around_log(&self.name(what));
        // What went before may have exported something although it failed.
        let mut variables = self.given.clone();
        variables.extend(variables::read(&file).unwrap_or_default());
        variables.insert(FILE.to_owned(), file.into_string());
        let ended = self.shell.run(&Line { text: line, variables: &variables, log: &log });
        ended.map_err(|how| {
            let said = tail(&log, SHOWN);
            let said = if said.is_empty() {
                ", and printed nothing".to_owned()
            } else {
                format!("; `{log}`:\n{said}")
            };
            format!("`{line}` {how}{said}")
        })
    }

    /// Where commands write what they export.
    fn file(&self) -> Utf8PathBuf {
        self.folder.around_variables(&self.name("setup"))
    }

    fn name(&self, what: &str) -> String {
        match self.whose.split_once(' ') {
            Some((_, worker)) => format!("{what}-{worker}"),
            None => what.to_owned(),
        }
    }

    fn of(&self) -> String {
        if self.whose.is_empty() { String::new() } else { format!(" of {}", self.whose) }
    }
}
