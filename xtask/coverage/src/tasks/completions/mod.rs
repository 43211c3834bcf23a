//! `cargo xtask completions`: scripts for shells, and what they ask at each Tab.

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use crate::cli::{Completions, Shell, candidates, program};
use crate::exit::Exit;
use crate::invocation::here;
use crate::project::{Workspace, discover};
use crate::screen::Screen;

const SCRIPTS: [(&str, &str, &str); 2] = [
    (include_str!("cargo.bash"), include_str!("cargo.zsh"), include_str!("cargo.fish")),
    (include_str!("program.bash"), include_str!("program.zsh"), include_str!("program.fish")),
];

/// Prints the script, or what the last word may be.
pub(super) fn run(asked: &Completions, screen: &Screen) -> Result<Exit> {
    if asked.words.is_empty() {
        screen.say(script(asked.shell)?.trim_end());
        return Ok(Exit::Passed);
    }
    let found = candidates(&asked.words, projects).context("failed to complete the words")?;
    for (value, help) in found {
        let line = match asked.shell {
            Shell::Bash => value,
            Shell::Zsh => format!("{}:{help}", value.replace(':', "\\:")),
            Shell::Fish => format!("{value}\t{help}"),
        };
        screen.say(&line);
    }
    Ok(Exit::Passed)
}

/// The script asks this very program, which need not be the one of the folder it is asked in.
fn script(shell: Shell) -> Result<String> {
    let (bash, zsh, fish) = SCRIPTS[usize::from(program::is_installed())];
    let text = match shell {
        Shell::Bash => bash,
        Shell::Zsh => zsh,
        Shell::Fish => fish,
    };
    let program = std::env::current_exe().context("failed to find this program")?;
    let program = Utf8PathBuf::try_from(program).context("this program's name is not UTF-8")?;
    Ok(text.replace("@PROGRAM@", &shell_words::quote(program.as_str())))
}

/// The names of the projects around the current folder; none where there is something wrong.
fn projects() -> Vec<String> {
    let all = || {
        let here = here()?;
        // Without one every folder below would have to be looked at, while a person waits.
        match Workspace::find(&here)? {
            Some(workspace) => discover::all(&here, Some(&workspace)),
            None => Ok(Vec::new()),
        }
    };
    all().unwrap_or_default().into_iter().map(|project| project.name).collect()
}
