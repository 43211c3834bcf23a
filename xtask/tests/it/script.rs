//! `scripts/run-coverage-parallel.sh`: the old name, the same variables, from any folder.

use camino::Utf8Path;

use crate::shop::{LABEL_TESTS, SOURCE, pyproject};
use crate::support::{Output, Project, Run, repository};

const SCRIPT: &str = "scripts/run-coverage-parallel.sh";

/// A repository that has the script, with two Python projects.
fn repository_with_script() -> Project {
    let cargo = "[workspace]\n[workspace.metadata.xtask]\n\
                 projects = ['shop', 'store']\ndefault-projects = ['shop']\n";
    let project = Project::at("repository", &[("Cargo.toml", cargo)]);
    for name in ["shop", "store"] {
        project.write(&format!("{name}/pyproject.toml"), &pyproject("", ""));
        project.write(&format!("{name}/src/shop/__init__.py"), SOURCE);
        project.write(&format!("{name}/tests/test_label.py"), LABEL_TESTS);
    }
    project.write(SCRIPT, "");
    std::fs::copy(repository().join(SCRIPT), project.root.join(SCRIPT)).expect("the script");
    project
}

fn run(project: &Project, script: &Utf8Path, folder: &Utf8Path, args: &[&str]) -> Output {
    let run = Run::of("bash".into()).args(&[script.as_str()]).args(args).cwd(folder);
    let run = run.var("MAX_CONCURRENT_SPLITS", "2").var("WORKERS_PER_SPLIT", "1");
    let run = run.var("MAX_FAILURES", "7").active(project.env());
    run.with_cargo(project).output()
}

#[test]
fn the_variables_hold_and_the_exit_code_comes_through() {
    let project = repository_with_script();
    project.write("shop/tests/test_fails.py", "def test_fails():\n    assert 0\n");
    let script = project.root.join(SCRIPT);
    let output = run(&project, &script, &project.root, &["--report", "none"]).exits(1);
    output
        .tells("Coverage of shop in 12 splits\n")
        .tells("Concurrent splits: 2\n")
        .tells("Workers per split: 1\n")
        .tells("Failures before abort: 7\n")
        .says("✗ tests failed: 1 of 3 tests failed\n");
}

#[test]
fn the_project_around_the_folder_is_meant() {
    let project = repository_with_script();
    let script = project.root.join(SCRIPT);
    let folder = project.root.join("store/tests");
    let output = run(&project, &script, &folder, &["--splits", "1"]).exits(0);
    output.tells("Coverage of store in 1 split\n").never_says("Coverage of shop");
}

#[test]
fn from_elsewhere_and_through_a_link_the_default_project_is_meant() {
    let project = repository_with_script();
    let elsewhere = project.root.parent().expect("a folder");
    let link = elsewhere.join("cover");
    std::os::unix::fs::symlink(project.root.join(SCRIPT), &link).expect("a link");
    let output = run(&project, &link, elsewhere, &["--splits", "1"]).exits(0);
    output.tells("Coverage of shop in 1 split\n").never_says("Coverage of store");
}
