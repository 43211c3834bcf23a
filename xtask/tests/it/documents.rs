//! The guides, followed to the letter: every command in them runs and ends well.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use crate::support::{BINARY, Project, Run, env, git, repository};

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
        let line = line.replace("../your-repository", "../shop");
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

/// The blocks of one language in a document, at least so many.
fn blocks(document: &str, language: &str, at_least: usize) -> Vec<String> {
    let text = fs::read_to_string(repository().join(document)).expect(document);
    let start = format!("```{language}\n");
    let blocks = text.split(&start).skip(1);
    let blocks: Vec<String> =
        blocks.filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect();
    assert!(blocks.len() >= at_least, "{document}");
    blocks
}

/// The lines of a document's blocks for a shell, one by one.
fn lines(document: &str) -> Vec<String> {
    let blocks = blocks(&format!("docs/{document}"), "sh", 4);
    blocks.iter().flat_map(|block| block.lines()).map(str::to_owned).collect()
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

/// Those of the README, in a project that is called as it is there, when something has failed
/// on CI.
#[test]
#[ignore = "slow: all commands of a guide"]
fn what_the_readme_says_can_be_typed() {
    let reader = Reader::new();
    let project = &reader.project;
    let named = project.read("pyproject.toml").replace("'shop'", "'billing'");
    let test = "import os, shop\n\ndef test_stock():\n    assert shop.price(1) == 2 and 'CI' not in os.environ\n";
    project.write_all(&[("pyproject.toml", &named), ("tests/unit/test_stock.py", test)]);
    git(&project.root, &["add", "."]);
    git(&project.root, &["commit", "-qm", "as on CI"]);
    git(&project.root, &["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    project.xtask(&["coverage", "--report", "none"]).var("CI", "1").output().exits(1);
    project.run(&["coverage", "export", "--out", "rerun.json"]).exits(0);
    let all = blocks("README.md", "console", 4);
    let commands = all.iter().flat_map(|block| block.lines());
    let commands: Vec<&str> = commands
        .filter(|line| line.starts_with("cargo xtask ") && !line.contains("sample"))
        .collect();
    assert!(commands.len() > 14, "{commands:?}");
    for line in commands {
        // What the line begins is the part of several machines: alone it has one of twelve.
        reader.types(line);
    }
    assert!(project.has("junit.xml") && project.has("out"));
}

/// The settings of a document as they stand there, in a project with a test that looks at what
/// they export. Servers are stand-ins that note how they were called.
#[test]
fn settings_in_the_guide_to_setup_work() {
    let table = [
        ("True", "docker compose up -d db\ndocker compose down\n"),
        ("os.environ['SERVER'] == 'http://localhost:8080'", "start-server\n"),
        (
            "os.environ['PGDATABASE'] == 'app_0'",
            "createdb template\npsql -q -d template -f schema.sql\n\
             createdb -T template app_0\ndropdb app_0\ndropdb template\n",
        ),
    ];
    let settings = blocks("docs/setup.md", "toml", table.len());
    assert_eq!(settings.len(), table.len());
    for (settings, (check, calls)) in settings.iter().zip(table) {
        let project = Project::new(&[("pyproject.toml", settings), ("schema.sql", "")]);
        project.write("test_a.py", &format!("import os\n\ndef test_a():\n    assert {check}\n"));
        let (programs, called) = (project.root.join("programs"), project.root.join("called"));
        project.write_all(&[("programs/x", ""), ("scripts/x", "")]);
        for name in ["docker", "createdb", "dropdb", "psql", "start-server"] {
            let folder = if name == "start-server" { "scripts" } else { "programs" };
            let text = format!("echo $(basename $0) \"$@\" >> {called}");
            write_program(&project.root.join(folder).join(name), &text);
        }
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let one = ["test", "--splits", "1", "--workers-per-split", "1"];
        project.xtask(&one).var("PATH", &path).output().exits(0).says("1 test passed");
        assert_eq!(project.read("called"), calls);
    }
}

/// What stands there for tox and nox, with both of them.
#[test]
#[ignore = "slow: tools to install, and environments that they make"]
fn tox_and_nox_run_the_program() {
    let reader = Reader::new();
    let tools = env(&["tox", "nox"]);
    let project = &reader.project;
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = tools.python_says(&project.root, version, &[]).trim().to_owned();
    let extras = "[project.optional-dependencies]\ntest = ['pytest', 'coverage']\n";
    project.write("pyproject.toml", &format!("{}{extras}", project.read("pyproject.toml")));
    project.write("tox.ini", &blocks("docs/migration.md", "ini", 1)[0]);
    // The Python that is here, of those that are named.
    let nox = blocks("docs/migration.md", "python", 1)[0].replace("3.11\", \"3.12", &version);
    project.write("noxfile.py", &nox);
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{path}", reader.programs, tools.root.join("bin"));
    let minutes = std::time::Duration::from_secs(900);
    for words in [&["tox", "-e", "py"][..], &["nox"]] {
        let run = Run::of(&tools.root.join("bin").join(words[0])).args(&words[1..]);
        let output = run.cwd(&project.root).var("PATH", &path).limit(minutes).output().exits(0);
        let said = output.to_string();
        assert!(said.contains("✓ passed: 3 tests passed"), "{said}");
        // Theirs: no other is active.
        assert!(said.contains("(VIRTUAL_ENV)"), "{said}");
    }
}
