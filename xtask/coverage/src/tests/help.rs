//! The help of every command, kept as files in `help/`.
//! `UPDATE_HELP=1 cargo test -p xtask-coverage --lib tests::help` writes them anew.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli;

fn folder() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/help")
}

/// Every command as it is typed, `xtask` first.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, typed: &[String], all: &mut Vec<Vec<String>>) {
        all.push(typed.to_vec());
        for other in command.get_subcommands() {
            below(other, &[typed, &[other.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = Vec::new();
    below(&cli::command(), &["xtask".to_owned()], &mut all);
    all
}

fn help(typed: &[String], option: &str) -> String {
    let words = typed.iter().map(String::as_str).chain([option]);
    let shown = cli::command().term_width(100).try_get_matches_from(words);
    shown.expect_err("help is no command to run").to_string()
}

#[test]
fn help_is_what_it_was() {
    let update = std::env::var_os("UPDATE_HELP").is_some();
    let mut names = BTreeSet::new();
    for typed in commands() {
        for (option, length) in [("-h", "short"), ("--help", "long")] {
            let name = format!("{}.{length}.txt", typed.join("-"));
            let shown = help(&typed, option);
            if update {
                fs::write(folder().join(&name), &shown).expect("a file");
            }
            let kept = fs::read_to_string(folder().join(&name)).unwrap_or_default();
            let how = "UPDATE_HELP=1 cargo test -p xtask-coverage --lib tests::help";
            assert_eq!(kept, shown, "{name}: {how}");
            names.insert(name);
        }
    }
    let there = folder().read_dir_utf8().expect("a folder");
    let there = there.map(|entry| entry.expect("an entry").file_name().to_owned());
    assert_eq!(there.collect::<BTreeSet<_>>(), names, "files of commands that are gone");
}
