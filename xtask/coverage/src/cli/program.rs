//! The two programs: `cargo xtask`, a workspace's own, and `xtask-coverage`, which is installed
//! and has `coverage` for its first word where no other command is named.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::sync::OnceLock;

/// The name of the installed program.
pub(crate) const INSTALLED: &str = "xtask-coverage";

static IS_INSTALLED: OnceLock<()> = OnceLock::new();

/// This process is the installed program.
pub(crate) fn set_installed() {
    let _ = IS_INSTALLED.set(());
}

/// Whether it is.
pub(crate) fn is_installed() -> bool {
    IS_INSTALLED.get().is_some()
}

/// A task as it is typed.
pub(crate) fn command(task: &str) -> Vec<String> {
    let words: &[&str] = match (is_installed(), task) {
        (true, "coverage") => &[INSTALLED],
        (true, task) => &[INSTALLED, task],
        (false, task) => &["cargo", "xtask", task],
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

/// What we say, with commands as this program has them.
pub(crate) fn as_typed(text: &str) -> Cow<'_, str> {
    if is_installed() { of_installed(text).into() } else { text.into() }
}

/// Prints help, or what is wrong with a command line.
pub(crate) fn print(message: &clap::Error) -> std::io::Result<()> {
    if !is_installed() {
        return message.print();
    }
    let text = message.render();
    let stream: &mut dyn Write = match message.use_stderr() {
        true => &mut std::io::stderr(),
        false => &mut std::io::stdout(),
    };
    stream.write_all(of_installed(&text.to_string()).as_bytes())
}

fn of_installed(text: &str) -> String {
    text.replace("cargo xtask coverage", INSTALLED).replace("cargo xtask", INSTALLED)
}

/// A command line, the program's name first, as the workspace's own program would have it.
pub(crate) fn words(typed: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words = typed.into_iter().collect();
    if is_installed() { with_coverage(words) } else { words }
}

fn with_coverage(mut words: Vec<OsString>) -> Vec<OsString> {
    const OF_ALL: [&str; 5] = ["help", "-h", "--help", "-V", "--version"];
    let command = super::command();
    let first = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    let is_one = |word: &str| OF_ALL.contains(&word) || command.find_subcommand(word).is_some();
    if !is_one(first) {
        words.insert(1.min(words.len()), "coverage".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_what_one_can_type() {
        let said = of_installed("run `cargo xtask coverage -p a` or `cargo xtask setup`");
        assert_eq!(said, "run `xtask-coverage -p a` or `xtask-coverage setup`");
    }

    #[test]
    fn coverage_is_what_the_installed_program_does() {
        let table = [
            ("", "coverage"),
            ("--report xml", "coverage --report xml"),
            ("plan --splits 3", "coverage plan --splits 3"),
            ("-- tests/unit", "coverage -- tests/unit"),
            ("coverage -q", "coverage -q"),
            ("test -q", "test -q"),
            ("--version", "--version"),
            ("help exit-codes", "help exit-codes"),
        ];
        for (typed, meant) in table {
            let words = |text: &str| -> Vec<OsString> {
                ["x"].into_iter().chain(text.split_whitespace()).map(OsString::from).collect()
            };
            assert_eq!(with_coverage(words(typed)), words(meant), "{typed}");
        }
    }
}
