//! The guides, followed to the letter: every command in them runs and ends well.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use crate::support::{BINARY, Project, Run, git, repository};

/// Where a reader is who follows a guide: a clone of this repository, and beside it a project of
/// their own, with the programs that the guide has them install.
struct Reader {
    project: Project,
    programs: Utf8PathBuf,
}

impl Reader {
    fn new() -> Reader {
        let pyproject = "[project]\nname = 'shop'\nversion = '1'\n";
        let project = Project::at("shop", &[("pyproject.toml", pyproject)]);
        project.write_all(&[
            ("src/shop/__init__.py", "def price(n):\n    return n * 2\n"),
            ("tests/conftest.py", "import sys\n\nsys.path.insert(0, 'src')\n"),
            ("tests/test_shop.py", "import shop\n\ndef test_a():\n    assert shop.price(1) == 2\n\ndef test_b():\n    assert shop.price(0) == 0\n"),
            ("tests/test_more.py", "import shop\n\ndef test_c():\n    assert shop.price(3) == 6\n"),
            (".gitignore", ".xtask\n.venv\n__pycache__\nhtmlcov\n.coverage\n.pytest_cache\nout\none\ntwo\n*.xml\n"),
        ]);
        symlink(&project.env().root, project.root.join(".venv")).expect("a link");
        for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "a shop"]] {
            git(&project.root, args);
        }
        let top = project.root.parent().expect("a folder").to_owned();
        symlink(repository(), top.join("clone")).expect("a link");
        let programs = top.join("programs");
        fs::create_dir(&programs).expect("a folder");
        // `cargo xtask` and the installed program without a build: the binary under test. The
        // installed one has `coverage` for its first word.
        write_program(
            &programs.join("cargo"),
            "[ \"$1\" = install ] && exit\nshift\nexec PROGRAM \"$@\"",
        );
        let installed = "case ${1-} in test|help|completions) ;; *) set -- coverage \"$@\" ;; esac\nexec PROGRAM \"$@\"";
        write_program(&programs.join("xtask-coverage"), installed);
        Reader { project, programs }
    }

    /// Types a line, in the clone or in the project.
    fn types(&self, line: &str) {
        let in_clone = line.starts_with("cargo install") || line.starts_with("cargo xtask init");
        let top = self.project.root.parent().expect("a folder");
        let folder = if in_clone { top.join("clone") } else { self.project.root.clone() };
        // As `cd` leaves it in a shell.
        let line =
            format!("cd {folder} && {}", line.replace("../shop", self.project.root.as_str()));
        let path = std::env::var("PATH").unwrap_or_default();
        let run = Run::of("/bin/sh".into()).args(&["-c", &line]).cwd(top);
        let run = run.var("HOME", top.as_str()).var("PATH", &format!("{}:{path}", self.programs));
        let output = run.output();
        assert_eq!(output.code, 0, "{line}: {output}");
    }
}

fn write_program(path: &Utf8Path, text: &str) {
    let text = format!("#!/bin/sh\n{}\n", text.replace("PROGRAM", BINARY));
    fs::write(path, text).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
}

/// The lines of a document's blocks for a shell, one by one.
fn lines(document: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs").join(document)).expect(document);
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<String> = blocks.flat_map(str::lines).map(str::to_owned).collect();
    assert!(lines.len() > 3, "{document}");
    lines
}

#[test]
#[ignore = "slow: all commands of a guide"]
fn the_first_five_minutes_go_well() {
    let reader = Reader::new();
    lines("getting-started.md").iter().for_each(|line| reader.types(line));
    assert!(reader.project.has("xtask/Cargo.toml") && reader.project.has("junit.xml"));
}

#[test]
#[ignore = "slow: all commands of a guide"]
fn whoever_comes_from_something_else_can_type_this() {
    let reader = Reader::new();
    lines("migration.md").iter().for_each(|line| reader.types(line));
    assert!(reader.project.has(".test_durations"));
}
