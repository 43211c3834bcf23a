//! Tests with real interpreters and tools, and of the documents, that look at more than one module.
//! How the program looks to its users is tested in the package `xtask`.

mod help;
mod kept;
mod project;
mod readme;
mod report;
mod schema;
mod split;
mod topics;
mod traces;

use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};

/// The folder of the workspace.
fn repository() -> Utf8PathBuf {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize_utf8().expect("the repository")
}

/// Below cargo's target folder, so that environments are made once. Cargo names one to the tests
/// in `tests/` alone.
fn temporary_folder() -> Utf8PathBuf {
    let target = Utf8Path::new(env!("OUT_DIR")).ancestors().nth(4);
    target.expect("cargo's target folder").join("tmp")
}

/// A Python environment with these packages, made once and kept under `target/`.
fn environment(name: &str, packages: &[&str]) -> Utf8PathBuf {
    let folder = temporary_folder().join(name);
    let python = folder.join("bin/python");
    let done = folder.join("done");
    if !done.exists() {
        succeed(Command::new("python3").args(["-m", "venv", "--clear", folder.as_str()]));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        succeed(Command::new(&python).args(pip).args(packages));
        std::fs::write(done, "").expect("a file in the new environment");
    }
    python
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command starts");
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&text));
    output
}
