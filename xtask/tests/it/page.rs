//! The page of a run, `run.html`, and `--open`.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::Project;

const TEST_A: &str =
    "import shop\n\ndef test_tea():\n    assert shop.PRICE\n\ndef test_jam():\n    pass\n";
const TEST_B: &str = "import pytest\n\n@pytest.mark.parametrize('word', ['</script>'])\ndef test_bad(word):\n    print(word)\n    assert word == '<b>'\n";

fn project() -> Project {
    Project::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = ['src']\n"),
        ("src/shop.py", "PRICE = 3\n"),
        ("tests/test_a.py", TEST_A),
        ("tests/test_b.py", TEST_B),
    ])
}

/// What the script of the page draws.
fn drawn(page: &str) -> Value {
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
    let (data, _) = rest.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

engines! {
    /// Every test is where it ran and when, with its outcome.
    fn every_run_leaves_its_page(engine) {
        let project = project();
        let pool = ["--splits", "2", "--max-concurrent-splits", "1", "--workers-per-split", "2"];
        let output = project.run(&[&["coverage", "--engine", engine], &pool[..]].concat()).exits(1);
        let page = project.root.join(".xtask/runs/1/run.html");
        assert_eq!(output.line("Run page: "), page.as_str());
        let page = project.read(".xtask/runs/last/run.html");
        let data = drawn(&page);
        let name = |list: &str, at: &Value| data[list][at.as_u64().expect("a number") as usize].clone();
        let mut tests: Vec<String> = Vec::new();
        for test in data["tests"].as_array().expect("tests") {
            let [file, rest, slot, start, length, outcome, _] = &test.as_array().expect("a test")[..] else {
                panic!("{test}");
            };
            assert!(slot.as_u64() < data["slots"].as_u64(), "{test}");
            let end = start.as_u64().expect("ticks") + length.as_u64().expect("ticks");
            assert!(start.as_u64() > Some(0) && end <= data["total"].as_u64().expect("ticks"), "{test}");
            let [file, outcome] = [name("files", file), name("outcomes", outcome)];
            tests.push(format!("{}::{} {}", file.as_str().unwrap_or_default(), rest.as_str().unwrap_or_default(), outcome.as_str().unwrap_or_default()));
        }
        tests.sort();
        let wanted = [
            "tests/test_a.py::test_jam passed",
            "tests/test_a.py::test_tea passed",
            "tests/test_b.py::test_bad[</script>] failed",
        ];
        assert_eq!(tests, wanted);
        for wanted in ["1 of 3 tests failed", "shop.py", "test_bad[&lt;/script&gt;]", "href=\"../../../htmlcov/index.html\""] {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
    }
}

/// A program that shows pages, which notes what it is to show.
fn browser(project: &Project) -> String {
    let program = project.root.join("browser");
    project.write("browser", &format!("#!/bin/sh\necho \"$1\" >> '{}/shown'\n", project.root));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a program");
    program.into_string()
}

#[test]
fn open_shows_the_report_or_else_the_page() {
    let project = project();
    let browser = browser(&project);
    let run = |args: &[&str]| project.xtask(args).var("BROWSER", &browser).output().exits(1);
    run(&["coverage", "--open"]);
    run(&["coverage", "--open", "--report", "none"]);
    run(&["test", "--open", "-q"]).never_says("Run page");
    let wanted = "[PROJECT]/htmlcov/index.html\n[PROJECT]/.xtask/runs/2/run.html\n\
                  [PROJECT]/.xtask/test/runs/1/run.html\n";
    assert_eq!(project.normal(&project.read("shown")), wanted);
}

#[test]
fn open_without_a_display_is_a_warning() {
    let project = project();
    let output = project.run(&["test", "--open", "--", "-k", "tea"]).exits(0);
    let output = output.tells("warning: nothing can show a page: there is no display here");
    output.tells("; open `").says("✓ passed: 1 test passed");
    let page = project.read(".xtask/test/runs/last/run.html");
    assert!(page.contains("<span class=\"tag\">partial</span>"), "{page}");
}
