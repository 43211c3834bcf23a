//! `cargo xtask setup`, as far as it needs no network.

use super::environments::environment;
use super::support::Project;

const CARGO: (&str, &str) =
    ("Cargo.toml", "[workspace]\n[workspace.metadata.xtask]\nprojects = ['py/*']\n");
const GOOD: &str = "[project]\nname = 'good'\n[dependency-groups]\ntest = ['pytest']\n";

#[test]
fn environments_are_ready_and_nothing_is_done_twice() {
    let project = Project::new(&[CARGO, ("py/good/pyproject.toml", GOOD)]).without_env();
    environment(&project.root.join("py/good/.venv"));
    let first = project.run(&["setup"]).exits(0).says("✓ ready: 1 project");
    assert!(first.line("✓ good: Python ").contains("py/good/.venv/bin/python (.venv)"));
    assert!(project.has("target/xtask/coverage/good/ready"));
    let again = project.run(&["setup"]).exits(0);
    assert!(again.line("✓ good: Python ").ends_with("(.venv), as it was"), "{again}");
    // Another group, another answer: it has to look anew.
    let more = GOOD.replace("['pytest']", "['pytest', 'coverage']");
    project.write("py/good/pyproject.toml", &more);
    project.run(&["setup"]).exits(0).says("✓ ready: 1 project");
}

#[test]
fn one_that_cannot_be_made_does_not_keep_others_from_it() {
    let bad = "[project]\nname = 'bad'\nrequires-python = '>=3.98'\n";
    let files = [CARGO, ("py/bad/pyproject.toml", bad), ("py/good/pyproject.toml", GOOD)];
    let project = Project::new(&files).without_env();
    environment(&project.root.join("py/good/.venv"));
    project
        .run(&["setup"])
        .exits(4)
        .says("✓ good: Python ")
        .says("✗ bad: no suitable Python on PATH")
        .says("✗ 1 project not ready, 1 project ready");
    project.run(&["setup", "-p", "good"]).exits(0).never_says("bad");
}

#[test]
fn all_needs_projects() {
    let project = Project::new(&[("pyproject.toml", "")]);
    project.run(&["setup", "--all"]).exits(4).tells("no Python project in").tells(" or below it");
}
