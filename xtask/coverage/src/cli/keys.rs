//! Options that stand in the environment or in a configuration table. They are turned into the
//! words one would have typed and parsed as those are, so that every check and every message
//! exists once.

use anyhow::Result;
use camino::Utf8Path;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Args, Command};
use toml::{Table, Value};

use super::Options;
use crate::env::Env;
use crate::exit;

/// One option as a variable or a file has it.
struct Entry {
    /// How to call it in an error.
    place: String,
    words: Vec<String>,
    shown: String,
}

/// A group of options with what its `XTASK_…` variables say.
pub(crate) fn from_env<T: Args>(env: &Env) -> Result<T> {
    let mut words = Vec::new();
    for arg in command::<T>().get_arguments() {
        if let Some((_, entry)) = variable(arg, env, "XTASK_")? {
            check::<T>(&entry)?;
            words.extend(entry.words);
        }
    }
    Ok(parse(&words)?)
}

/// The names of variables that are set, the strongest first, each with its options.
/// `XTASK_PROFILE` comes last: a number given in the same place wins over it.
pub(crate) fn variables(env: &Env) -> Result<Vec<(String, Options)>> {
    const OLD: [&str; 3] = ["max-concurrent-splits", "workers-per-split", "max-failures"];
    let command = command::<Options>();
    let args: Vec<_> = command.get_arguments().collect();
    let profile = |arg: &&&Arg| arg.get_long() == Some("profile");
    let old = |arg: &&&Arg| arg.get_long().is_some_and(|long| OLD.contains(&long));
    let new = args.iter().filter(|arg| !profile(arg)).map(|arg| (arg, "XTASK_"));
    let old = args.iter().filter(old).map(|arg| (arg, ""));
    let last = args.iter().filter(profile).map(|arg| (arg, "XTASK_"));
    let mut found = Vec::new();
    for (arg, prefix) in new.chain(old).chain(last) {
        if let Some((name, entry)) = variable(arg, env, prefix)? {
            check::<Options>(&entry)?;
            found.push((name, parse(&entry.words)?));
        }
    }
    Ok(found)
}

fn variable(arg: &Arg, env: &Env, prefix: &str) -> Result<Option<(String, Entry)>> {
    let Some(long) = arg.get_long() else { return Ok(None) };
    let name = format!("{prefix}{}", long.to_uppercase().replace('-', "_"));
    let Some(value) = env.get(&name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let place = format!("`{name}`");
    let word = match (is_flag(arg), truth(value)) {
        (false, _) => format!("--{long}={value}"),
        (true, Some(true)) => format!("--{long}"),
        (true, Some(false)) => match opposite(long) {
            Some(other) => format!("--{other}"),
            None => return Ok(None),
        },
        (true, None) => {
            return Err(wrong(&place, value, "must be true or false").into());
        }
    };
    Ok(Some((name, Entry { place, words: vec![word], shown: value.clone() })))
}

fn truth(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The options of a table, which is a section of a file.
pub(crate) fn from_table(path: &Utf8Path, section: &str, table: &Table) -> Result<Options> {
    let command = command::<Options>();
    let mut words = Vec::new();
    for (key, value) in table {
        let place = format!("`{key}` in `[{section}]` of {path}");
        let Some(arg) = command.get_arguments().find(|arg| is_key(arg, key)) else {
            return Err(unknown(&place, key, &command).into());
        };
        let entry = entry(arg, key, place, value)?;
        check::<Options>(&entry)?;
        words.extend(entry.words);
    }
    Ok(parse(&words)?)
}

/// Whether a table may have a key of this name, which is that of an option.
pub(crate) fn is_key_name(long: &str) -> bool {
    !is_negation(long)
}

/// What kind of value an option has in a table.
pub(crate) fn kind_of_value(arg: &Arg) -> &'static str {
    expected(arg).words()
}

/// A negation is its option with `false`, not a key of its own.
fn is_key(arg: &Arg, key: &str) -> bool {
    arg.get_long() == Some(key) && !is_negation(key)
}

fn is_negation(long: &str) -> bool {
    long.starts_with("no-") && opposite(long).is_some()
}

fn unknown(place: &str, key: &str, command: &Command) -> exit::Fault {
    let known = command.get_arguments().filter_map(Arg::get_long).filter(|k| !is_negation(k));
    let known: Vec<_> = known.collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
    let hint = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    exit::usage(format!("unknown key {place}{hint} (known: {})", known.join(", ")))
}

fn entry(arg: &Arg, key: &str, place: String, value: &Value) -> Result<Entry> {
    let shown = show(value);
    let word = match (expected(arg), value) {
        (Expected::List, Value::Array(items))
            if items.iter().all(Value::is_str) && arg.get_value_delimiter().is_none() =>
        {
            // A comma is a part of what is listed.
            let words = items.iter().map(|item| format!("--{key}={}", show(item))).collect();
            return Ok(Entry { place, words, shown });
        }
        (Expected::Truth, Value::Boolean(true)) => format!("--{key}"),
        (Expected::Truth, Value::Boolean(false)) => match opposite(key) {
            Some(other) => format!("--{other}"),
            None => String::new(),
        },
        (Expected::Number, Value::Integer(_) | Value::Float(_))
        | (Expected::Text | Expected::List, Value::String(_)) => format!("--{key}={shown}"),
        (Expected::List, Value::Array(items)) if items.iter().all(Value::is_str) => {
            format!("--{key}={shown}")
        }
        (expected, _) => {
            let wanted = expected.words();
            return Err(
                exit::usage(format!("{place} must be {wanted}, not {}", kind(value))).into()
            );
        }
    };
    Ok(Entry { place, words: vec![word], shown })
}

/// What kind of value an option takes in TOML.
#[derive(Clone, Copy)]
enum Expected {
    Truth,
    Number,
    Text,
    List,
}

impl Expected {
    fn words(self) -> &'static str {
        match self {
            Expected::Truth => "true or false",
            Expected::Number => "a number",
            Expected::Text => "a string",
            Expected::List => "a string or a list of strings",
        }
    }
}

fn expected(arg: &Arg) -> Expected {
    let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    match (arg.get_action(), name) {
        (ArgAction::SetTrue, _) => Expected::Truth,
        (ArgAction::Append, _) => Expected::List,
        (_, Some("MIB" | "N" | "PCT" | "POINTS" | "SECS")) => Expected::Number,
        _ => Expected::Text,
    }
}

/// A value as it is written, for the command line and for messages.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(","),
        Value::Datetime(_) | Value::Table(_) => kind(value).to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "such a list",
        Value::Table(_) => "a table",
    }
}

fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The option that says the opposite of a flag, where there is one.
fn opposite(long: &str) -> Option<String> {
    let other = match long.strip_prefix("no-") {
        Some(yes) => yes.to_owned(),
        None => format!("no-{long}"),
    };
    let command = command::<Options>();
    let known = command.get_arguments().any(|arg| arg.get_long() == Some(&other));
    known.then_some(other)
}

/// Parses one option alone, so that an error can name the place it stands in.
fn check<T: Args>(entry: &Entry) -> Result<()> {
    match parse::<T>(&entry.words) {
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(&entry.place, &entry.shown, &reason(&error)).into()),
    }
}

fn wrong(place: &str, value: &str, reason: &str) -> exit::Fault {
    exit::usage(format!("{place} is `{}`: {reason}", shortened(value)))
}

/// Of a number with hundreds of digits (1e308) some say enough.
fn shortened(value: &str) -> String {
    const MOST: usize = 40;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Why clap refuses a value, without the words that speak of the command line.
fn reason(error: &clap::Error) -> String {
    use std::error::Error;
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(reason), _) => reason.to_string(),
        (None, Some(ContextValue::Strings(known))) => format!("known are {}", known.join(", ")),
        _ => error.to_string().trim().to_owned(),
    }
}

fn parse<T: Args>(words: &[String]) -> Result<T, clap::Error> {
    let words = words.iter().filter(|word| !word.is_empty());
    T::from_arg_matches(&command::<T>().try_get_matches_from(words)?)
}

fn command<T: Args>() -> Command {
    let command = Command::new("options").no_binary_name(true).disable_help_flag(true);
    T::augment_args(command)
}
