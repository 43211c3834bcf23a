//! What an environment holds, by the names of folders alone, and what a project lists that is
//! not in it.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::pyproject::normal;
use super::{Pyproject, Tool};
use crate::files;

/// The distributions in an environment, by normalised name.
pub(super) fn distributions(environment: &Utf8Path) -> BTreeSet<String> {
    let found = site_packages(environment);
    let entries = found.iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten();
    entries.flatten().filter_map(|entry| distribution(entry.file_name())).collect()
}

/// Where an environment keeps what is installed in it.
pub(super) fn site_packages(environment: &Utf8Path) -> Vec<Utf8PathBuf> {
    let pythons = ["lib", "lib64"].into_iter().flat_map(|lib| {
        let entries = environment.join(lib).read_dir_utf8().into_iter().flatten().flatten();
        entries.map(|entry| entry.into_path().join("site-packages"))
    });
    let mut found: Vec<_> = pythons.filter_map(|folder| folder.canonicalize_utf8().ok()).collect();
    found.sort();
    found.dedup();
    found
}

fn distribution(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info"))?;
    Some(normal(stem.split('-').next()?))
}

/// Whether there is nothing in an environment but what makes one: `uv venv`, `python -m venv`
/// and an installation that was cut off at its start leave it so.
pub(super) fn is_empty(environment: &Utf8Path) -> bool {
    const BARE: [&str; 5] = ["pip", "setuptools", "wheel", "distribute", "pkg-resources"];
    let config = files::read_text(&environment.join("pyvenv.cfg")).unwrap_or_default();
    let sees_more = |line: &str| {
        let setting = line.split_once('=');
        setting.is_some_and(|(key, value)| {
            key.trim() == "include-system-site-packages" && value.trim() == "true"
        })
    };
    if config.lines().any(sees_more) {
        return false;
    }
    distributions(environment).iter().all(|name| BARE.contains(&name.as_str()))
}

/// What a project lists, and its tool installs unasked, that is not among the installed
/// distributions. What a marker decides about is left to the tool.
pub(super) fn missing(
    pyproject: &Pyproject,
    tool: Tool,
    installed: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut names = pyproject.unconditional(tool);
    names.retain(|name| !installed.contains_key(name));
    names
}

/// The extras of a project that is installed from its folder, as its metadata lists them.
pub(super) fn extras_of(environment: &Utf8Path, root: &Utf8Path) -> Vec<String> {
    let entries = site_packages(environment).into_iter().filter_map(|it| it.read_dir_utf8().ok());
    let infos = entries.flatten().flatten().map(|entry| entry.into_path());
    let of_root = |info: &Utf8PathBuf| {
        let origin = files::read_text(&info.join("direct_url.json")).ok();
        origin.is_some_and(|text| is_from(&text, root))
    };
    let metadata = infos.filter(of_root).map(|info| files::read_text(&info.join("METADATA")));
    let metadata = metadata.flatten().next().unwrap_or_default();
    let head = metadata.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| line.strip_prefix("Provides-Extra:"))
        .map(|extra| extra.trim().to_owned())
        .collect()
}

/// Whether a `direct_url.json` names this folder.
fn is_from(text: &str, root: &Utf8Path) -> bool {
    let origin: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let url = origin.as_ref().and_then(|it| it.get("url")?.as_str());
    let path = url.and_then(|url| url.strip_prefix("file://")).map(unquoted);
    path.is_some_and(|path| Utf8Path::new(&path).canonicalize_utf8().is_ok_and(|it| it == root))
}

/// A path out of a URL: `%20` is a space.
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]),
            None => (bytes.push(first), rest = after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_urls() {
        assert_eq!(unquoted("/a%20b/%C3%BC/100%/%zz"), "/a b/ü/100%/%zz");
    }
}
