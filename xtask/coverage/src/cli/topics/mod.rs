//! Help that is about no command: `cargo xtask help exit-codes`. The documents have the same
//! text.

use clap::{Arg, ArgAction, Args, Command};

use super::{Options, keys};

/// The topics, by name.
pub(crate) const TOPICS: [&str; 4] = ["exit-codes", "configuration", "environment", "files"];

/// What is said about one, as Markdown; none where there is no such topic.
pub(crate) fn topic(name: &str) -> Option<String> {
    match name {
        "exit-codes" => Some(include_str!("exit-codes.md").to_owned()),
        "configuration" => Some(configuration()),
        "environment" => Some(include_str!("environment.md").to_owned()),
        "files" => Some(include_str!("files.md").to_owned()),
        _ => None,
    }
}

/// Every key that a table of settings may have, under the headings of the help.
fn configuration() -> String {
    let command = Options::augment_args(Command::new("options"));
    let keys = command.get_arguments().filter(|arg| arg.get_long().is_some_and(keys::is_key_name));
    let (mut text, mut heading) = (String::new(), String::new());
    for key in keys {
        let under = key.get_help_heading().unwrap_or_default();
        if under != heading {
            under.clone_into(&mut heading);
            text.push_str(&format!("### {heading}\n\n"));
        }
        text.push_str(&entry(key));
    }
    text.trim_end().to_owned() + "\n"
}

fn entry(key: &Arg) -> String {
    let name = key.get_long().unwrap_or_default();
    let help = key.get_long_help().or(key.get_help()).map(ToString::to_string).unwrap_or_default();
    let values = key.get_possible_values();
    let kind = match key.get_action() {
        ArgAction::SetTrue => "`true` or `false`".to_owned(),
        _ if !values.is_empty() => {
            let names = values.iter().map(|value| format!("`\"{}\"`", value.get_name()));
            names.collect::<Vec<_>>().join(", ")
        }
        _ => keys::kind_of_value(key).to_owned(),
    };
    let meanings: String = values
        .iter()
        .filter_map(|value| Some(format!("\n- `{}`: {}", value.get_name(), value.get_help()?)))
        .collect();
    let meanings = if meanings.is_empty() { meanings } else { format!("\n{meanings}") };
    let (first, rest) = help.split_once('\n').unwrap_or((&help, ""));
    let rest = rest.trim();
    let rest = if rest.is_empty() { String::new() } else { format!("\n\n{rest}") };
    let option = name.to_uppercase().replace('-', "_");
    format!("**`{name}`**: {kind}; `--{name}`, `XTASK_{option}`. {first}.{rest}{meanings}\n\n")
}

/// For a terminal: the columns of tables stand under each other.
pub(super) fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut table = Vec::new();
    for line in markdown.lines().chain(Some("")) {
        if let Some(row) = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |")) {
            table.push(row.split(" | ").collect::<Vec<_>>());
            continue;
        }
        let rows = std::mem::take(&mut table);
        let width = rows.iter().map(|row| row[0].chars().count().min(MOST)).max().unwrap_or(0);
        for row in rows.iter().filter(|row| row[0] != "---") {
            text.push_str(&format!("  {:<width$}  {}\n", row[0], row[1..].join("  ")));
        }
        text.push_str(line.trim_start_matches("### "));
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A cell that is wider than that shifts the ones behind it, and no others.
const MOST: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_columns() {
        let table = "Above:\n\n| code | meaning |\n| --- | --- |\n| 0 | good |\n| 130, 143 | cut |\n\nBelow.\n";
        let wanted = "Above:\n\n  code      meaning\n  0         good\n  130, 143  cut\n\nBelow.";
        assert_eq!(plain(table), wanted);
    }

    #[test]
    fn every_topic_is_there() {
        for name in TOPICS {
            assert!(topic(name).is_some_and(|text| text.len() > 100), "{name}");
        }
    }
}
