//! `cargo xtask init` in repositories as they are.

use super::support::{BINARY, Project, Run, repository};
use camino::Utf8Path;

const TEST: &str = "def test_a(): pass\n";
const CONFIG: &str = "# how we build\n[alias] # short\nb = 'build'\n\n[build]\njobs = 2 # two\n";

fn python(name: &str) -> [(String, String); 2] {
    [
        (format!("{name}/pyproject.toml"), format!("[project]\nname = '{name}'\n")),
        (format!("{name}/tests/test_a.py"), TEST.to_owned()),
    ]
}

/// A repository with Python projects and further files.
fn repo(projects: &[&str], files: &[(&str, &str)]) -> Project {
    let project = Project::new(files);
    let python = projects.iter().flat_map(|name| python(name));
    python.for_each(|(path, text)| project.write(&path, &text));
    project
}

/// Everything that is there, with its content.
fn all(project: &Project) -> Vec<(String, String)> {
    fn gather(folder: &Utf8Path, found: &mut Vec<(String, String)>) {
        for entry in folder.read_dir_utf8().expect("a folder").map(|entry| entry.expect("x")) {
            match entry.path().is_dir() {
                true => gather(entry.path(), found),
                false => {
                    let text = std::fs::read_to_string(entry.path()).expect("text");
                    found.push((entry.path().to_string(), text));
                }
            }
        }
    }
    let mut found = Vec::new();
    gather(&project.root, &mut found);
    found.sort();
    found
}

#[test]
fn a_repository_without_cargo() {
    let project = repo(&["services/a", "libs/b"], &[(".gitignore", "*.pyc\n")]);
    let before = all(&project);
    let shown = project.run(&["init", "--dry-run"]).exits(0).says("+++ b/xtask/src/main.rs");
    shown.says("--- a/.gitignore\n+++ b/.gitignore\n@@ -1,1 +1,5 @@\n *.pyc\n+/target\n");
    project.run(&["init", "--check"]).exits(4).says("✗ 5 files to be changed");
    assert_eq!(all(&project), before);
    project.run(&["init"]).exits(0).says("✓ xtask/Cargo.toml (new)");
    assert_eq!(
        project.read("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n\n\
         [workspace.metadata.xtask]\nprojects = [\"libs/b\", \"services/a\"]\n"
    );
    let alias = "[alias]\nxtask = \"run --quiet --package xtask --\"\n";
    assert_eq!(project.read(".cargo/config.toml"), alias);
    let path = repository().join("xtask/coverage");
    let path = path.canonicalize_utf8().expect("a path");
    assert!(project.read("xtask/Cargo.toml").contains(&format!("{{ path = \"{path}\" }}")));
    project.run(&["init"]).exits(0).says("✓ nothing to do in ");
    project.run(&["init", "--check"]).exits(0);
}

#[test]
fn a_workspace_keeps_its_form_and_what_it_builds() {
    let cargo = "# all of it\n[workspace]\nmembers = [\n    \"crates/*\", # ours\n]\n";
    let project = repo(&["py"], &[("Cargo.toml", cargo), (".cargo/config.toml", CONFIG)]);
    project.write("crates/c/Cargo.toml", "[package]\nname = \"c\"\n");
    project.run(&["init", "--version", "1.2"]).exits(0);
    assert_eq!(
        project.read("Cargo.toml"),
        "# all of it\n[workspace]\nmembers = [\n    \"crates/*\", # ours\n    \"xtask\",\n]\n\
         default-members = [\"crates/*\"]\n\n\
         [workspace.metadata.xtask]\nprojects = [\"py\"]\n"
    );
    let config = CONFIG
        .replace("b = 'build'\n", "b = 'build'\nxtask = \"run --quiet --package xtask --\"\n");
    assert_eq!(project.read(".cargo/config.toml"), config);
    assert!(project.read("xtask/Cargo.toml").ends_with("xtask-coverage = \"1.2\"\n"));
    project.run(&["init", "--check"]).exits(0);
}

#[test]
fn a_nested_workspace_gets_the_package() {
    let cargo = "[workspace]\nmembers = [\"c\"]\n";
    let files = [("rust/Cargo.toml", cargo), ("rust/c/Cargo.toml", "[package]\nname = \"c\"\n")];
    let project = repo(&["py"], &files);
    project.run(&["init"]).exits(0);
    assert!(project.has("rust/xtask/Cargo.toml") && !project.has("Cargo.toml"));
    assert!(project.read("rust/Cargo.toml").contains("projects = [\"../py\"]"));
    let alias = "run --quiet --manifest-path rust/Cargo.toml --package xtask --";
    assert!(project.read(".cargo/config.toml").contains(alias));
    assert!(project.read("rust/.cargo/config.toml").contains("\"run --quiet --package xtask --\""));
    project.run(&["init", "--check"]).exits(0);
}

#[test]
fn another_xtask_is_told_what_to_add() {
    let cargo = "[workspace]\nmembers = [\"xtask\"]\n";
    let alias = "[alias]\nxtask = \"run -p xtask --\"\n";
    let own = "[package]\nname = \"xtask\"\n\n[dependencies]\n";
    let files = [("Cargo.toml", cargo), (".cargo/config.toml", alias), ("xtask/Cargo.toml", own)];
    let project = repo(&["py"], &files);
    project.write("xtask/src/main.rs", "fn main() {}\n");
    let said = project.run(&["init", "--version", "1.2"]).exits(0);
    said.says("    xtask-coverage = \"1.2\"\n")
        .says("    #[command(flatten)] Python(xtask_coverage::Tasks),\n")
        .says("    Task::Python(tasks) => return tasks.run(),");
    assert_eq!(project.read("xtask/Cargo.toml"), own);
    assert_eq!(project.read("xtask/src/main.rs"), "fn main() {}\n");
    project.write("xtask/Cargo.toml", &format!("{own}xtask-coverage = \"1.2\"\n"));
    project.run(&["init", "--check"]).exits(0).never_says("Tasks");
}

#[test]
fn what_is_somebody_elses_is_never_overwritten() {
    let table = [
        ("xtask/notes.txt", "mine", "is there, and is none of ours"),
        ("Cargo.toml", "[workspace]\nmembers = 'a'\n", "`members` in Cargo.toml is not what cargo"),
        ("Cargo.toml", "[workspace\n", "/Cargo.toml:1: "),
        (
            ".cargo/config.toml",
            "alias.xtask = 'run -p tasks --'\n",
            "`run -p tasks --`, none of ours",
        ),
    ];
    for (path, text, message) in table {
        let project = repo(&["py"], &[(path, text)]);
        let before = all(&project);
        project.run(&["init"]).exits(4).tells(message);
        assert_eq!(all(&project), before, "{path}");
    }
}

/// What it has written is what cargo takes: from nothing to a run.
#[test]
#[ignore = "slow tier: builds the tool"]
fn what_it_writes_builds_and_runs() {
    let project = repo(&["a", "b"], &[]);
    project.run(&["init"]).exits(0);
    let cargo = std::env::var("CARGO").expect("cargo");
    let run = Run::of(Utf8Path::new(&cargo)).args(&["xtask", "coverage", "-p", "a"]);
    let run =
        run.cwd(&project.root).active(project.env()).limit(std::time::Duration::from_secs(900));
    run.output().exits(0).says("✓ passed: 1 test passed");
    assert!(Utf8Path::new(BINARY).exists());
}
