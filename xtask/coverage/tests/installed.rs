//! The program `xtask-coverage`, which is installed: what it calls itself.

#![allow(clippy::disallowed_methods)] // tests do as they like

use std::process::Command;

/// Exit code, stdout and stderr of the program in an empty folder.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-coverage"));
    command.args(args).current_dir(folder.path()).env_clear();
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_is_called_by_its_name() {
    let help = |args: &[&str]| {
        let (code, out, _) = run(args);
        assert_eq!(code, Some(0), "{args:?}");
        out.lines().find(|line| line.starts_with("Usage: ")).expect("usage").to_owned()
    };
    assert_eq!(help(&["coverage", "-h"]), "Usage: xtask-coverage [OPTIONS] [-- <PYTEST_ARGS>...]");
    assert_eq!(help(&["plan", "-h"]), "Usage: xtask-coverage plan [OPTIONS] [-- <PYTEST_ARGS>...]");
    assert_eq!(help(&["test", "-h"]), "Usage: xtask-coverage test [OPTIONS] [-- <PYTEST_ARGS>...]");
    assert_eq!(help(&["-h"]), "Usage: xtask-coverage <COMMAND>");
    let (code, out, _) = run(&["coverage", "--help"]);
    assert!(code == Some(0) && !out.contains("cargo xtask"), "{out}");
}

#[test]
fn without_a_command_it_measures() {
    let (code, _, told) = run(&["--nonsense"]);
    assert!(code == Some(4) && told.contains("Usage: xtask-coverage [OPTIONS]"), "{told}");
    let (code, _, told) = run(&["--all"]);
    assert_eq!(code, Some(4));
    assert!(told.contains("no Python project in"), "{told}");
}

#[test]
fn its_words_are_completed() {
    let found = |word: &str| {
        let (_, out, _) = run(&["completions", "bash", "--", word]);
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("pla"), ["plan"]);
    assert_eq!(found("doc"), ["doctor"]);
    assert_eq!(found("--engi"), ["--engine"]);
}
