//! The documents against the program: what they say can be typed, and leads somewhere.
//! `UPDATE_README=1 cargo test -p xtask-coverage --lib tests::readme` writes the help block anew.

use std::collections::BTreeSet;
use std::fs;

use camino::Utf8Path;

use super::repository;
use crate::cli;

const DOCUMENTS: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/troubleshooting.md",
    "docs/scaling.md",
    "docs/setup.md",
    "docs/configuration.md",
    "docs/getting-started.md",
    "docs/migration.md",
];
const BEGIN: &str = "<!-- help -->\n";
const END: &str = "<!-- /help -->";

/// Options of other programs that the documents name.
const FOREIGN: &[&str] = &[
    "--bucket",
    "--if-none-match",
    "--key",
    "--basetemp",
    "--cov-branch",
    "--cov-config",
    "--cov-context",
    "--cov-fail-under",
    "--cov-report",
    "--disable-plugin-autoload",
    "--durations-path",
    "--dist",
    "--group",
    "--ignored",
    "--lf",
    "--lib",
    "--lost-node",
    "--maxfail",
    "--package",
    "--partition",
    "--step",
    "--stepwise",
    "--test",
    "--workspace",
];

fn read(document: &str) -> String {
    fs::read_to_string(repository().join(document)).expect(document)
}

fn help(words: &[&str]) -> String {
    let command = cli::command().term_width(100);
    let shown = command.try_get_matches_from([&["xtask"], words].concat());
    shown.expect_err("help is no command to run").to_string()
}

#[test]
fn the_readme_shows_the_help() {
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("the help's beginning");
    let (block, after) = rest.split_once(END).expect("the help's end");
    let current = format!("```text\n{}\n```\n", help(&["coverage", "-h"]).trim_end());
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{before}{BEGIN}{current}{END}{after}");
        fs::write(repository().join("README.md"), text).expect("the README");
    } else {
        assert_eq!(
            block, current,
            "UPDATE_README=1 cargo test -p xtask-coverage --lib tests::readme"
        );
    }
}

#[test]
fn the_readme_can_be_read_at_one_go() {
    let lines = read("README.md").lines().count();
    assert!(lines < 200, "{lines} lines");
}

#[test]
fn options_in_the_documents_are_options_of_the_program() {
    let helps: Vec<String> = [
        &["coverage"][..],
        &["coverage", "plan"],
        &["coverage", "combine"],
        &["coverage", "report"],
        &["coverage", "verify"],
        &["init"],
        &["doctor"],
        &["ci"],
        &[],
    ]
    .into_iter()
    .map(|words| help(&[words, &["--help"]].concat()))
    .collect();
    let known: BTreeSet<&str> = helps.iter().flat_map(|text| options(text)).collect();
    for document in DOCUMENTS {
        for option in options(&read(document)) {
            assert!(known.contains(option) || FOREIGN.contains(&option), "{document}: {option}");
        }
    }
}

/// Every `--word` of a text.
fn options(text: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = text.split(|c: char| !(is_of_name(c) || c.is_ascii_digit()));
    words
        .filter(|word| word.strip_prefix("--").is_some_and(|name| name.starts_with(is_letter)))
        .collect()
}

fn is_letter(c: char) -> bool {
    c.is_ascii_lowercase()
}

#[test]
fn links_lead_to_files() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Utf8Path::new(document).parent().expect("a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.starts_with("http") || file.is_empty();
            assert!(
                elsewhere || repository().join(folder).join(file).exists(),
                "{document}: {target}"
            );
        }
    }
}

#[test]
fn the_changelog_begins_with_what_is_not_released() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## Unreleased"));
}
