//! The command that has a shell complete the others.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use super::{TOPICS, Typed, program};

/// Print a script with which a shell completes these commands
///
/// For bash: `cargo xtask completions bash > ~/.local/share/cargo-xtask.bash`, and a line
/// `. ~/.local/share/cargo-xtask.bash` in `~/.bashrc`. For zsh the same with a line in `~/.zshrc`
/// after `compinit`. For fish: `cargo xtask completions fish > ~/.config/fish/conf.d/cargo-xtask.fish`.
/// What cargo itself completes stays. Names of projects are those around the current folder.
#[derive(Args, Clone, Debug, PartialEq)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,

    /// Print what the last of these words may be
    ///
    /// That is what the script asks.
    #[arg(last = true, value_name = "WORDS")]
    pub words: Vec<OsString>,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// Bash, 4 or newer
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

impl Completions {
    pub(super) fn typed(self) -> Typed {
        Typed { completing: Some(self), ..Typed::default() }
    }
}

/// What the last of these words may be, and what each means. `projects` knows the names of
/// projects.
pub(crate) fn candidates(
    words: &[OsString],
    projects: fn() -> Vec<String>,
) -> std::io::Result<Vec<(String, String)>> {
    let typed: Vec<OsString> = [&["xtask".into()], words].concat();
    let mut meant = vec![program::words(typed.clone())];
    // The first word of the installed program may still become that of any command.
    meant.extend((program::is_installed() && words.len() == 1).then_some(typed));
    let mut found = Vec::new();
    for words in meant {
        let (last, here) = (words.len() - 1, std::env::current_dir().ok());
        let mut command = with_projects(super::command(), projects);
        found.extend(complete(&mut command, words, last, here.as_deref())?);
    }
    let shown = found.into_iter().filter(|candidate| !candidate.is_hide_set());
    let candidate = |it: CompletionCandidate| {
        let help = it.get_help().map(ToString::to_string).unwrap_or_default();
        Some((it.get_value().to_str()?.to_owned(), help.lines().next().unwrap_or("").to_owned()))
    };
    let last = words.last().and_then(|word| word.to_str()).unwrap_or_default();
    let topics =
        TOPICS.iter().filter(|it| words.len() == 2 && words[0] == "help" && it.starts_with(last));
    let topics = topics.map(|&it| (it.to_owned(), String::new()));
    let mut seen = std::collections::BTreeSet::new();
    Ok(shown
        .filter_map(candidate)
        .chain(topics)
        .filter(|(value, _)| seen.insert(value.clone()))
        .collect())
}

/// The same command line, which knows what may stand after `--project`.
fn with_projects(command: clap::Command, projects: fn() -> Vec<String>) -> clap::Command {
    let has_projects = command.get_arguments().any(|arg| arg.get_id() == "project");
    let command = match has_projects {
        false => command,
        true => command.mut_arg("project", |arg| {
            let named = move |typed: &std::ffi::OsStr| {
                let typed = typed.to_string_lossy();
                let names = projects().into_iter().filter(|name| name.starts_with(&*typed));
                names.map(CompletionCandidate::new).collect()
            };
            arg.add(ArgValueCompleter::new(named))
        }),
    };
    command.mut_subcommands(|other| with_projects(other, projects))
}
