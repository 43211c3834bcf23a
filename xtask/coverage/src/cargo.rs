//! What `cargo run` and rustup add to the environment, taken off before anything starts: tests
//! see what they would see if pytest had been typed.

use std::os::unix::process::CommandExt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::env::Env;

/// Where cargo has started this program, it begins anew without what cargo has added. To begin
/// anew is the one way that holds for every process that we start, whoever starts it: a variable
/// of the own process cannot be removed safely. The process stays the same one.
pub(crate) fn shed(env: &Env) {
    let changes = changes(env);
    if changes.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    #[expect(clippy::disallowed_methods, reason = "it replaces this process")]
    let mut command = Command::new(program);
    command.arg0(words.next().unwrap_or_default()).args(words);
    for (name, value) in &changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Where that cannot be had, tests see a few variables more.
    let _ = command.exec();
}

/// Variables that cargo sets for a program that it runs.
const OF_CARGO: [&str; 11] = [
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_RUSTC_CURRENT_DIR",
    "OUT_DIR",
    "RUSTUP_TOOLCHAIN_SOURCE",
    "RUST_RECURSION_COUNT",
];
/// Those whose names begin so.
const KINDS_OF_CARGO: [&str; 4] = ["CARGO_PKG_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_BIN_EXE_"];
/// Where the dynamic linker looks.
const LIBRARIES: [&str; 2] = ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

/// The variables that are to have another value, or none. Nothing where cargo has not started
/// us: then they are the user's.
fn changes(env: &Env) -> Vec<(String, Option<String>)> {
    let is_there = |name: &str| env.contains_key(name);
    if !is_there("CARGO") || !is_there("CARGO_PKG_NAME") {
        return Vec::new();
    }
    let removed = env.keys().filter(|name| is_added(env, name));
    let mut changes: Vec<_> = removed.map(|name| (name.clone(), None)).collect();
    for name in LIBRARIES {
        let Some(value) = env.get(name) else { continue };
        let left = without_builds(value, env);
        if left != *value {
            changes.push((name.to_owned(), Some(left).filter(|left| !left.is_empty())));
        }
    }
    changes
}

/// What the user has set by the same name stays, as far as it can be told: rustup says whether a
/// toolchain was chosen by variable, and sets the homes that are the default ones anyway.
fn is_added(env: &Env, name: &str) -> bool {
    let default_home = |folder: &str| {
        let home = env.get("HOME").map(|home| Utf8Path::new(home).join(folder));
        home.is_some_and(|home| env.get(name).is_some_and(|value| home == *value))
    };
    match name {
        "CARGO_HOME" => default_home(".cargo"),
        "RUSTUP_HOME" => default_home(".rustup"),
        "RUSTUP_TOOLCHAIN" => {
            env.get("RUSTUP_TOOLCHAIN_SOURCE").is_none_or(|source| source != "env")
        }
        _ => OF_CARGO.contains(&name) || KINDS_OF_CARGO.iter().any(|start| name.starts_with(start)),
    }
}

/// A search path without the folders of builds and of the toolchain.
fn without_builds(value: &str, env: &Env) -> String {
    let homes = [("RUSTUP_HOME", "toolchains"), ("HOME", ".rustup/toolchains")];
    let toolchains = homes.map(|(home, folder)| Some(Utf8Path::new(env.get(home)?).join(folder)));
    let toolchains: Vec<Utf8PathBuf> = toolchains.into_iter().flatten().collect();
    let is_built = |folder: &Utf8Path| {
        folder.ends_with("deps")
            || folder.join(".fingerprint").exists()
            || (folder.ends_with("out") && folder.as_str().contains("/build/"))
    };
    let is_rusts = |folder: &Utf8Path| {
        folder.as_str().contains("/lib/rustlib/")
            || toolchains.iter().any(|toolchains| folder.starts_with(toolchains))
    };
    let kept = value.split(':').filter(|folder| !folder.is_empty());
    let kept = kept.map(Utf8Path::new).filter(|folder| !is_built(folder) && !is_rusts(folder));
    kept.map(Utf8Path::as_str).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(words: &[(&str, &str)]) -> Env {
        words.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    const RUN: [(&str, &str); 6] = [
        ("CARGO", "/c/bin/cargo"),
        ("CARGO_PKG_NAME", "xtask"),
        ("CARGO_HOME", "/home/u/.cargo"),
        ("RUSTUP_TOOLCHAIN", "stable"),
        ("RUST_RECURSION_COUNT", "1"),
        ("HOME", "/home/u"),
    ];

    #[test]
    fn what_cargo_adds_is_taken_off() {
        let names: Vec<_> = changes(&env(&RUN)).into_iter().map(|(name, _)| name).collect();
        let gone =
            ["CARGO", "CARGO_HOME", "CARGO_PKG_NAME", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];
        assert_eq!(names, gone);
    }

    #[test]
    fn what_the_user_has_set_stays() {
        let own = [
            ("CARGO_HOME", "/srv/cargo"),
            ("CARGO_TARGET_DIR", "/t"),
            ("CARGO_TERM_COLOR", "always"),
            ("RUSTFLAGS", "-g"),
            ("RUST_BACKTRACE", "1"),
            ("RUST_LOG", "debug"),
            ("RUSTUP_TOOLCHAIN", "nightly"),
            ("RUSTUP_TOOLCHAIN_SOURCE", "env"),
        ];
        let changes = changes(&env(&[&RUN[..], &own].concat()));
        for (name, _) in own.iter().filter(|(name, _)| *name != "RUSTUP_TOOLCHAIN_SOURCE") {
            assert!(!changes.iter().any(|(other, _)| other == name), "{name}");
        }
        assert!(super::changes(&env(&own)).is_empty(), "started by hand");
    }

    #[test]
    fn of_a_search_path_the_users_part_stays() {
        let toolchain = "/home/u/.rustup/toolchains/stable/lib";
        let table = [
            (format!("/w/target/debug/deps:{toolchain}"), ""),
            (format!("/w/target/debug/build/a-1/out:{toolchain}:/opt/oracle"), "/opt/oracle"),
            ("/opt/a:/opt/b/lib".to_owned(), "/opt/a:/opt/b/lib"),
        ];
        for (value, left) in table {
            assert_eq!(without_builds(&value, &env(&RUN)), left, "{value}");
        }
    }
}
