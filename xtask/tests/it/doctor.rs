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
        ("pytest.ini", "[pytest]\naddopts = --timeout=60 -n4 --tb=short --tb=long\n"),
        ("tests/one/test_x.py", TEST),
        ("tests/two/test_x.py", TEST),
        (".coverage.host.pid123.Xabcdef", ""),
        (".test_durations", "{\"gone/test_y.py::test_y\": 1.0}"),
    ]);
    let output = project.run(&["doctor", "--json"]).exits(4);
    let error = |fix: &str| ("error".to_owned(), fix.to_owned());
    let clash = "touch ROOT/tests/one/__init__.py ROOT/tests/two/__init__.py";
    let clash = clash.replace("ROOT", project.root.as_str());
    assert_eq!(levels(&output, "names"), [error(&clash)]);
    let plugin = format!("{} -m pip install pytest-timeout", project.env().python());
    assert_eq!(levels(&output, "plugins"), [error(&plugin)]);
    let twice = ("warning".to_owned(), "leave only `--tb=long` in addopts".to_owned());
    assert_eq!(levels(&output, "addopts"), [twice]);
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

/// coverage's own words are what a run ends with, and doctor knows before.
#[test]
fn a_concurrency_that_is_not_installed_is_named() {
    let settings = "[tool.coverage.run]\nconcurrency = ['thread', 'eventlet']\n";
    let project = Project::new(&[("pyproject.toml", settings), ("test_a.py", TEST)]);
    let doctor = project.run(&["doctor"]).exits(4);
    doctor.says("✗ `concurrency = eventlet`, and eventlet is not there");
    let run = project.run(&["coverage", "--report", "none"]).exits(4);
    run.tells("nothing can be run or measured:")
        .tells("concurrency=eventlet, the module isn't installed");
}
