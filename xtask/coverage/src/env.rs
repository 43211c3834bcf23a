//! The environment, read once and handed on as a value.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Names and values.
pub(crate) type Env = BTreeMap<String, String>;

/// That of this process. What is not UTF-8 in it is replaced: none of it is ours.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn env() -> Env {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// A variable of this process that is set and not empty, where no [`Env`] is at hand.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
