//! `cargo xtask doctor` on projects with something wrong, and with nothing.

use super::support::{Output, Project};

const TEST: &str = "def test_a(): pass\n";

fn levels(output: &Output, check: &str) -> Vec<(String, String)> {
    let said: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let findings = said["projects"][0]["findings"].as_array().expect("findings");
    let found = findings.iter().filter(|finding| finding["check"] == check);
    found.map(|finding| (text(&finding["level"]), text(&finding["fix"]))).collect()
}

#[test]
fn what_may_go_wrong_is_found_before_it_does() {
    let project = Project::new(&[
        ("pyproject.toml", "[project]\nname = 'a'\ndependencies = ['nosuch']\n"),
        ("pytest.ini", "[pytest]\naddopts = --timeout=60 -n4\n"),
        ("tests/one/test_x.py", TEST),
        ("tests/two/test_x.py", TEST),
        (".coverage.host.pid123.Xabcdef", ""),
        (".test_durations", "{\"gone/test_y.py::test_y\": 1.0}"),
    ]);
    let output = project.run(&["doctor", "--json"]).exits(4);
    let error = |fix: &str| ("error".to_owned(), fix.to_owned());
    let clash = "add an `__init__.py` to their folders, or `--import-mode=importlib` to addopts";
    assert_eq!(levels(&output, "names"), [error(clash)]);
    let plugin = format!("{} -m pip install pytest-timeout", project.env().python());
    assert_eq!(levels(&output, "plugins"), [error(&plugin)]);
    assert_eq!(levels(&output, "stale-data")[0].0, "warning");
    assert_eq!(levels(&output, "durations")[0].0, "warning");
    let (level, fix) = levels(&output, "dependencies").remove(0);
    assert!(level == "warning" && fix.contains("pip install nosuch "), "{fix}");
    assert!(!project.has(".xtask"), "nothing is changed");
    let said = project.run(&["doctor"]).exits(4).says("✗ 2 errors, ");
    said.says("  ✗ tests/one/test_x.py, tests/two/test_x.py are all imported as `test_x`");
}

#[test]
fn a_sound_project_passes() {
    let project = Project::new(&[
        ("pyproject.toml", "[tool.coverage.run]\nrelative_files = true\nsource = ['nowhere/src']"),
        ("test_a.py", TEST),
    ]);
    let output = project.xtask(&["doctor"]).var("PYTHONPATH", "/x").output().exits(0);
    output
        .says("· `relative_files`: ")
        .says("! `source` names `nowhere/src`, which is not there")
        .says("! `PYTHONPATH` is set: ")
        .says("      unset PYTHONPATH")
        .says("✓ pytest ");
}
