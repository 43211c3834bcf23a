//! Builds the native core, a library for the project's Python, which the binary carries.
//!
//! By `rustc` itself and not as a package: there is nothing to depend on, and so it comes along
//! however this package is used: copied, as a dependency, installed. Where it cannot be built
//! there is none, which the runs say, and coverage measures itself.

// The bans are for the library.
#![allow(clippy::disallowed_methods)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=core");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let folder = PathBuf::from(variable("OUT_DIR"));
    let library = folder.join("xtask_core");
    let why = build(&library).err().unwrap_or_default();
    if !why.is_empty() {
        fs::write(&library, "").expect("the build folder takes files");
    }
    fs::write(folder.join("core_failure"), why).expect("the build folder takes files");
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}

/// Compiles `core/lib.rs`; the error is what the compiler said.
fn build(library: &std::path::Path) -> Result<(), String> {
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["core/lib.rs", "--crate-name", "xtask_core", "--crate-type", "cdylib"]);
    rustc.args(["--edition", "2024", "-C", "opt-level=3", "-C", "panic=abort"]);
    rustc.args(["-C", "strip=symbols", "--cap-lints", "allow"]);
    rustc.arg("--target").arg(variable("TARGET")).arg("-o").arg(library);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    if variable("CARGO_CFG_TARGET_VENDOR") == "apple" {
        // CPython's functions are in the process that loads it.
        rustc.args(["-C", "link-arg=-undefined", "-C", "link-arg=dynamic_lookup"]);
    }
    if variable("CARGO_CFG_TARGET_FAMILY") != "unix" {
        return Err("it is for Linux and macOS".to_owned());
    }
    let output = rustc.output().map_err(|error| format!("rustc cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().find(|line| line.starts_with("error")).unwrap_or("rustc failed");
    Err(last.to_owned())
}
