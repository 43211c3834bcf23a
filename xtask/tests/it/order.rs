//! Hooks of a project that order, select and mark tests, where its suite is collected in parts:
//! the splits are those of a collection in one process.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Output, Project};

/// Names in the order that the hook below brings them in, across files.
const FILES: [(&str, [&str; 3]); 3] = [
    ("tests/test_one.py", ["test_a", "test_f", "test_k"]),
    ("tests/test_two.py", ["test_b", "test_e", "test_j"]),
    ("tests/sub/test_three.py", ["test_c", "test_d", "test_i"]),
];

const SORTS: &str = "items.sort(key=lambda item: (item.name, item.module.__name__))";

/// A suite of three files, and a conftest whose hook does this.
fn suite(hook: &str) -> Project {
    let project = Project::new(&[(
        "pyproject.toml",
        "[project]\nname = 'shop'\nversion = '1'\n[tool.pytest.ini_options]\nmarkers = ['odd']\n",
    )]);
    for (file, names) in FILES {
        let tests = names.map(|name| format!("def {name}():\n    pass\n\n\n"));
        project.write(file, &tests.concat());
    }
    hooks(&project, hook);
    project
}

fn hooks(project: &Project, body: &str) {
    let body = body.replace('\n', "\n    ");
    let head = "import sys\nimport pytest\n\n\ndef pytest_collection_modifyitems(config, items):";
    project.write("tests/conftest.py", &format!("{head}\n    {body}\n"));
}

/// Runs it in `collect` parts; what each split has run, with outcomes.
fn run(project: &Project, collect: &str) -> (Output, BTreeMap<u64, BTreeSet<String>>) {
    let args = ["coverage", "--splits", "3", "--workers-per-split", "2", "--report", "none"];
    let output = project.run(&[&args[..], &["--collect", collect]].concat()).exits(0);
    let mut splits: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for line in project.read(".xtask/runs/last/parts/results.jsonl").lines() {
        let unit: Value = serde_json::from_str(line).expect("a line of JSON");
        let tests = unit["tests"].as_array().expect("tests").iter();
        let named = tests.map(|test| format!("{} {}", test["id"], test["outcome"]));
        splits.entry(unit["split"].as_u64().expect("a split")).or_default().extend(named);
    }
    (output, splits)
}

const COMPARES: &str = "collected in one process: `tests/conftest.py` may order or select tests, \
                        so parts are compared with this from now on\n";

/// Moved across files, marked and taken out by their places among all.
#[test]
fn hooks_see_the_whole_in_each_part() {
    let project = suite(&format!(
        "{SORTS}\nitems[4].add_marker(pytest.mark.skip(reason=f'of {{len(items)}}'))\ndel items[7]"
    ));
    let (output, whole) = run(&project, "sharded");
    output.tells(COMPARES).says("Tests: 7 passed, 1 skipped\n");
    assert!(whole[&2].contains(r#""tests/test_two.py::test_e" "skipped""#), "{whole:?}");
    let (output, parts) = run(&project, "sharded");
    output.tells("note: collected in 2 parts\n").says(" in 2 parts, tests ");
    assert_eq!(parts, whole);
    // Compared once, they hold for other tests, too.
    project.write("tests/test_one.py", "def test_c(): pass\ndef test_z(): pass\n");
    let (output, parts) = run(&project, "sharded");
    output.tells("note: collected in 2 parts\n");
    let (output, whole) = run(&project, "full");
    output.never_says("collected in");
    assert_eq!(parts, whole);
}

/// Until they were compared, and where anything but test files has changed, one process collects.
#[test]
fn parts_are_compared_with_the_whole_first() {
    let project = suite(SORTS);
    run(&project, "sharded").0.tells(COMPARES);
    project.write("tests/test_more.py", "def test_a(): pass\n");
    run(&project, "sharded").0.tells("and test files have changed\n").never_says(" in 2 parts");
    run(&project, "sharded").0.tells("collected in 2 parts\n");
    hooks(&project, "items.reverse()");
    run(&project, "sharded").0.tells("and settings or conftests have changed\n");
    let (output, parts) = run(&project, "sharded");
    output.tells("collected in 2 parts\n");
    assert_eq!(parts, run(&project, "full").1);
}

/// What a process has imported is no test that could be shown: here each part has fewer files.
#[test]
fn parts_that_are_not_the_whole_are_noticed() {
    let counts = "names = [name for name in sys.modules if name.startswith('test_')]\n\
                  items.sort(key=lambda item: item.name, reverse=len(names) > 2)";
    let project = suite(counts);
    let (_, whole) = run(&project, "sharded");
    let (output, parts) = run(&project, "sharded");
    let why = "`tests/conftest.py` orders or marks tests in parts otherwise";
    output.tells(&format!("note: collected again, in one process: {why}\n"));
    assert_eq!(parts, whole);
}

/// One line says what it was, and the splits are right all the same.
#[test]
fn a_hook_that_looks_into_a_test_sees_the_tests_themselves() {
    let project = suite("items.sort(key=lambda item: len(item.function.__defaults__ or ()))");
    let (_, whole) = run(&project, "sharded");
    let (output, parts) = run(&project, "sharded");
    output.tells("collected again, in one process: `tests/conftest.py` looks into the function `");
    assert_eq!(parts, whole);
    // By itself the tool does not try it again, as long as the hooks are the same.
    let history = project.read(".xtask/run.json");
    let slow: String = history
        .lines()
        .map(|line| match line.trim_start().starts_with("\"seconds\": ") {
            true => "\"seconds\": 9.0,\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    project.write(".xtask/run.json", &slow);
    let (output, parts) = run(&project, "auto");
    output.tells("collected in one process (`tests/conftest.py` looks into the function `");
    assert_eq!(parts, whole);
}

/// A conftest may tell at the end what it has learnt of the tests at the beginning.
#[test]
fn the_session_s_end_knows_the_tests() {
    let project = suite(SORTS);
    let conftest = project.read("tests/conftest.py");
    project.write(
        "tests/conftest.py",
        &format!(
            "{conftest}    names.extend(item.name for item in items)\n\n\nnames = []\n\n\n\
             def pytest_sessionfinish(session):\n    \
             open('names', 'a').write(f'{{names}} {{len(session.items)}}\\n')\n"
        ),
    );
    run(&project, "sharded");
    run(&project, "sharded").0.tells("collected in 2 parts\n");
    let names = project.read("names");
    let told: Vec<&str> = names.lines().collect();
    assert_eq!(told.len(), 2, "{names}");
    assert_eq!(told[0], told[1]);
}
