//! What is typed means what it says: options with which pytest runs nothing, and lines to paste.

use crate::shop::coverage;
use crate::support::{Project, Run};

const FILES: &[(&str, &str)] = &[
    ("pytest.ini", "[pytest]\npythonpath = .\n"),
    ("app.py", "def f():\n    return 1\n"),
    ("tests/test_app.py", "import app\n\ndef test_f():\n    assert app.f() == 2\n"),
];

/// What a run leaves, but for the interpreter's facts and what hides our folder from git.
fn left(project: &Project) -> Vec<String> {
    let own = ["facts.json", ".gitignore", "lock"];
    let state = project.names(".xtask").into_iter().filter(|name| !own.contains(&name.as_str()));
    let others = ["htmlcov", ".coverage"].into_iter().filter(|name| project.has(name));
    state.chain(others.map(str::to_owned)).collect()
}

/// They show what pytest shows, with its exit status, and are no run.
#[test]
fn options_with_which_pytest_runs_nothing_show_what_it_shows() {
    let project = Project::new(FILES);
    let table: [(&[&str], i32, &str); 10] = [
        (&["--collect-only", "-q"], 0, "tests/test_app.py::test_f"),
        (&["--co", "-q", "-k", "nothing"], 5, "no tests collected (1 deselected)"),
        (&["--setup-plan"], 0, "test_app.py::test_f"),
        (&["--setup-only", "--cov=app", "-n", "2"], 0, "test_app.py::test_f"),
        (&["--fixtures"], 0, "tmp_path"),
        (&["--fixtures-per-test"], 0, "no tests ran"),
        (&["--markers"], 0, "@pytest.mark.skip"),
        (&["-qh"], 0, "usage: "),
        (&["--cache-show", "nothing*"], 0, "cache values for 'nothing*'"),
        (&["--co", "nowhere.py"], 4, "file or directory not found: nowhere.py"),
    ];
    for (words, exit, said) in table {
        let words = [&["coverage", "--"], words].concat();
        let output = project.run(&words).exits(exit);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(all.contains(said), "{words:?}: {output:#?}");
        assert!(!all.contains("✓ passed"), "{words:?}: {output:#?}");
        assert_eq!(left(&project), [""; 0], "{words:?}");
    }
}

/// What is outstanding stays so, and so do the data and the history.
#[test]
fn options_with_which_pytest_runs_nothing_change_nothing() {
    let project = Project::new(FILES);
    project.run(&coverage("fork", &["--report", "none"])).exits(1);
    let files = [".coverage", ".xtask/last-failed.json", ".xtask/run.json"];
    let read = || files.map(|file| std::fs::read(project.root.join(file)).expect(file));
    let before = read();
    project.run(&["coverage", "--", "--setup-plan"]).exits(0);
    project.xtask(&["coverage"]).var("PYTEST_ADDOPTS", "--setup-only").output().exits(0);
    project.write("words.txt", "--setup-plan\n-v\n");
    project.run(&["test", "--", "@words.txt"]).exits(0);
    assert!(read() == before);
    let refused = project.run(&["coverage", "--last-failed", "--", "--co"]).exits(4);
    refused.tells("`--last-failed` runs tests, and `--co` (command line) runs none");
    let refused = project.run(&["coverage", "verify", "--", "--setup-plan"]).exits(4);
    refused.tells("so there is nothing to compare");
}

const ODD: &str = "\
import pytest

class Item(pytest.Item):
    def __init__(self, **more):
        super().__init__(nodeid='::check', **more)

    def runtest(self):
        raise ValueError('no')

class File(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name='check')

def pytest_collect_file(file_path, parent):
    if file_path.suffix == '.odd':
        return File.from_parent(parent, path=file_path)
";

/// The line that is printed runs the test, whatever its id is relative to or begins with.
#[test]
fn lines_to_run_tests_again_work() {
    let project = Project::at("top/project", &[("pyproject.toml", "[project]\nname = 'a'\n")]);
    let above = |name: &str, text: &str| {
        let path = project.root.join("..").join(name);
        std::fs::write(path, text).expect("a file");
    };
    above("pytest.ini", "[pytest]\n");
    above("conftest.py", ODD);
    let fails = "import pytest\n\n@pytest.mark.parametrize('x', ['a b::c [d]'])\ndef test_f(x):\n    assert 0\n";
    project.write("tests/-test_a.py", "");
    project.write("tests/test_a.py", fails);
    project.write("@tests/test_b.py", fails);
    project.write("tests/a.odd", "");
    let paths = ["--report", "none", "--", "tests", "./@tests"];
    let output = project.run(&coverage("fork", &paths)).exits(1);
    let lines = output.stdout.lines().filter_map(|line| line.strip_prefix("rerun: "));
    let lines: Vec<&str> = lines.collect();
    let mut sorted = lines.clone();
    sorted.sort();
    let wanted = [
        "cargo xtask coverage -- './@tests/test_b.py::test_f[a b::c [d]]'",
        "cargo xtask coverage -- 'tests/test_a.py::test_f[a b::c [d]]'",
        "cargo xtask coverage --last-failed",
    ];
    assert_eq!(sorted, wanted, "{output:#?}");
    for line in &wanted[..2] {
        let shell = Run::of("sh".into()).args(&["-c", line]).cwd(&project.root);
        let output = shell.active(project.env()).with_cargo(&project).output();
        output.exits(1).says("Tests: 1 failed");
    }
}
