//! `scripts/run-coverage-parallel.sh`, the old script's name, with a cargo that only writes
//! down how it was called.

#![allow(clippy::disallowed_methods)] // tests do as they like

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

const CARGO: &str = "#!/bin/sh
pwd -P
printf '%s|' \"$@\"
printf '\\n%s %s %s\\n' \"$MAX_CONCURRENT_SPLITS\" \"$WORKERS_PER_SPLIT\" \"$MAX_FAILURES\"
exit 7
";

fn root() -> Utf8PathBuf {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize_utf8().expect("the repository")
}

/// A folder of one test outside of any repository, with a `cargo` in `bin`.
struct Lab {
    folder: Utf8PathBuf,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Lab {
    fn new(test: &str) -> Lab {
        let folder = std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        let folder = Utf8PathBuf::try_from(folder).expect("UTF-8");
        let lab = Lab { folder: folder.canonicalize_utf8().expect("a real path") };
        let cargo = lab.path().join("bin/cargo");
        fs::write(&cargo, CARGO).expect("a script");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a program");
        lab
    }

    fn path(&self) -> &Utf8Path {
        &self.folder
    }

    /// Calls a script by some path from a folder; what the cargo wrote down.
    fn call(&self, script: &Utf8Path, from: &Utf8Path, args: &[&str]) -> String {
        let path = format!("{}:/usr/bin:/bin", self.path().join("bin"));
        let output = Command::new(script)
            .args(args)
            .current_dir(from)
            .env("PATH", path)
            .env("MAX_CONCURRENT_SPLITS", "2")
            .env("WORKERS_PER_SPLIT", "3")
            .env("MAX_FAILURES", "4")
            .output()
            .expect("the script starts");
        assert_eq!(output.status.code(), Some(7), "the exit code is cargo's: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

fn script() -> Utf8PathBuf {
    root().join("scripts/run-coverage-parallel.sh")
}

#[test]
fn hands_arguments_and_variables_over() {
    let (lab, root) = (Lab::new("hands-over"), root());
    let told = lab.call(&script(), &root, &["--splits", "3", "--", "-k", "a b"]);
    assert_eq!(told, format!("{root}\nxtask|coverage|--splits|3|--|-k|a b|\n2 3 4\n"));
}

#[test]
fn inside_the_repository_the_current_folder_counts() {
    let (lab, folder) = (Lab::new("inside"), root().join("tests/projects/flat"));
    assert_eq!(lab.call(&script(), &folder, &[]), format!("{folder}\nxtask|coverage|\n2 3 4\n"));
}

#[test]
fn from_outside_it_runs_for_the_repository_it_lies_in() {
    let (lab, root) = (Lab::new("outside"), root());
    let told = lab.call(&script(), lab.path(), &["-q"]);
    assert_eq!(told, format!("{root}\nxtask|coverage|-q|\n2 3 4\n"));
}

#[test]
fn finds_its_repository_through_links() {
    let (lab, root) = (Lab::new("links"), root());
    let (first, second) = (lab.path().join("first link"), lab.path().join("bin/second"));
    symlink(script(), &first).expect("a link");
    symlink("../first link", &second).expect("a link");
    let told = lab.call(&second, lab.path(), &[]);
    assert_eq!(told, format!("{root}\nxtask|coverage|\n2 3 4\n"));
}

#[test]
fn says_that_cargo_is_missing() {
    let lab = Lab::new("no-cargo");
    let tools = lab.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    for tool in ["env", "bash", "dirname", "readlink"] {
        let found = ["/usr/bin", "/bin"].map(|folder| Utf8Path::new(folder).join(tool));
        let found = found.iter().find(|path| path.exists()).expect(tool);
        symlink(found, tools.join(tool)).expect("a link");
    }
    let output = Command::new(script()).env("PATH", &tools).output().expect("the script starts");
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "error: cargo is not on PATH; install Rust from https://rustup.rs\n");
}
