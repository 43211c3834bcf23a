//! Which project runs: from where it was typed, or as it was named.

use crate::shop::{LABEL_TESTS, SOURCE, pyproject};
use crate::support::{Output, Project};

/// A Cargo workspace with two Python projects, one of which runs by default.
fn workspace() -> Project {
    let cargo = "[workspace]\n[workspace.metadata.xtask]\n\
                 projects = ['python/*']\ndefault-projects = ['python/shop']\n";
    let project = Project::at("workspace", &[("Cargo.toml", cargo)]);
    for name in ["shop", "store"] {
        project.write(
            &format!("python/{name}/pyproject.toml"),
            &pyproject("", "").replace("name = 'shop'", &format!("name = 'the-{name}'")),
        );
        project.write(&format!("python/{name}/src/shop/__init__.py"), SOURCE);
        project.write(&format!("python/{name}/tests/test_label.py"), LABEL_TESTS);
    }
    project
}

fn run(project: &Project, folder: &str, args: &[&str]) -> Output {
    let args = [&["coverage", "--splits", "1"], args].concat();
    project.xtask(&args).cwd(&project.root.join(folder)).output()
}

/// Even where the root has a `pyproject.toml`, as many have for the settings of a linter.
#[test]
fn the_default_projects_run_at_the_root() {
    let project = workspace();
    project.write("pyproject.toml", "[tool.ruff]\nline-length = 100\n");
    run(&project, "", &[]).exits(0).tells("Coverage of shop in 1 split\n").never_says("of store");
    assert!(project.has("python/shop/.coverage") && !project.has("python/store/.coverage"));
    // All else is in the workspace's target folder.
    assert!(project.has("target/xtask/coverage") && !project.has("python/shop/.xtask"));
}

#[test]
fn the_project_around_a_folder_runs() {
    let project = workspace();
    let output = run(&project, "python/store/src/shop", &[]).exits(0);
    output.tells("Coverage of store in 1 split\n").never_says("of shop ");
    assert!(project.has("python/store/.coverage") && !project.has("python/shop/.coverage"));
}

#[test]
fn projects_are_named() {
    let project = workspace();
    let output = run(&project, "", &["-p", "store"]).exits(0);
    output.tells("Coverage of store in 1 split\n").never_says("Coverage of shop ");
    // By the name in its pyproject.toml.
    run(&project, "", &["-p", "the_store"]).exits(0).tells("Coverage of store in 1 split\n");
    // By folder, from elsewhere.
    let output = run(&project, "python/store", &["-p", "../shop"]).exits(0);
    output.tells("Coverage of shop in 1 split\n").never_says("Coverage of store ");
    // Both, in one go.
    let output = run(&project, "", &["-p", "shop,store"]).exits(0);
    output.tells("Coverage of shop in 1 split\n").tells("Coverage of store in 1 split\n");
}

#[test]
fn several_projects_end_with_the_worst() {
    let project = workspace();
    project.write("python/shop/tests/test_label.py", "def test_fails():\n    assert 0\n");
    let output = run(&project, "", &["-p", "shop,store"]).exits(1);
    output.says("✗ tests failed: 1 of 1 test failed\n").says("✓ passed: 2 tests passed\n");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let project = workspace();
    let output = run(&project, "", &["-p", "shopp"]).exits(4);
    output.tells("shop").tells("store").tells("error: ");
}
