//! The environment, read once and handed on as a value.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Names and values.
pub type Env = BTreeMap<String, String>;

/// That of this process. What is not UTF-8 in it is replaced: none of it is ours.
pub fn env() -> Env {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
