//! Several projects, one answer.

use std::fs;

use serde_json::Value;

use crate::shop::{LABEL_TESTS, PRICE_TESTS, SOURCE, pyproject};
use crate::support::{Output, Project, env, git, repository};

/// A Cargo workspace in a git repository with these Python projects, all of them with a module
/// `shop` and a file `tests/test_main.py`.
fn workspace(names: &[&str]) -> Project {
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['packages/*']\n";
    let project = Project::at("workspace", &[("Cargo.toml", cargo)]);
    project.write(".gitignore", "target\n__pycache__\n.coverage\nhtmlcov\n.pytest_cache\n");
    for name in names {
        let branches = "[tool.coverage.run]\nbranch = true\nsource = ['src']\n";
        let text = pyproject("", branches).replace("name = 'shop'", &format!("name = '{name}'"));
        project.write(&format!("packages/{name}/pyproject.toml"), &text);
        project.write(&format!("packages/{name}/src/shop/__init__.py"), SOURCE);
        project.write(&format!("packages/{name}/tests/test_main.py"), LABEL_TESTS);
    }
    git(&project.root, &["init", "-q"]);
    project
}

fn commit(project: &Project) {
    for args in [&["add", "."][..], &["commit", "-qm", "a step"]] {
        git(&project.root, args);
    }
}

fn run(project: &Project, args: &[&str]) -> Output {
    project.run(&[&["coverage", "--splits", "1"], args].concat())
}

/// The statements of a Cobertura file, how many of them ran, by the paths of the files.
fn cobertura(text: &str) -> Vec<(String, usize, usize)> {
    let classes = text.split("filename=\"").skip(1);
    let class = |text: &str| {
        let (name, rest) = text.split_once('"').expect("a name");
        let lines = rest.split("</class>").next().expect("lines");
        let (all, ran) = (lines.matches("<line ").count(), lines.matches("hits=\"1\"").count());
        (name.to_owned(), all, ran)
    };
    classes.map(class).collect()
}

#[test]
fn several_projects_have_one_answer() {
    let project = workspace(&["a", "b"]);
    project.write("packages/b/tests/test_price.py", PRICE_TESTS);
    let fails = "\n\ndef test_third():\n    assert label('c') == 'third'\n";
    project.write("packages/a/tests/test_main.py", &[LABEL_TESTS, fails].concat());
    let files = ["--junit", "j.xml", "--summary-json", "s.json"];
    let reports = ["--report", "html,xml,json,lcov,markdown"];
    let output = run(&project, &[&["--all", "--fail-under", "80"], &files[..], &reports].concat());
    let output = output.exits(1).says("packages/b: ✓ passed: 4 tests passed\n");
    let row = |name: &str| -> Vec<String> {
        let line =
            output.stdout.lines().find(|line| line.starts_with(name) && line.contains("s  ✗"));
        let line =
            line.or(output.stdout.lines().find(|line| line.starts_with(&format!("{name} "))));
        line.expect(name).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("packages/a")[1..5], ["10", "3", "69%", "80%"]);
    assert_eq!(row("packages/b")[1..5], ["10", "1", "88%", "80%"]);
    assert_eq!(row("TOTAL")[1..4], ["20", "4", "78%"]);
    let last = output.stdout.lines().last();
    assert_eq!(last, Some("✗ tests failed: packages/a: 1 of 3 tests failed"), "{output}");

    // Equal names stay apart.
    let junit = project.read("j.xml");
    for name in ["packages.a.tests.test_main", "packages.b.tests.test_main"] {
        assert!(junit.contains(&format!("classname=\"{name}\" name=\"test_first\"")), "{junit}");
    }
    let joint = |name: &str| project.read(&format!("target/xtask/joint/{name}"));
    let files = cobertura(&joint("coverage.xml"));
    let files: Vec<_> = files.iter().map(|(name, all, ran)| (name.as_str(), *all, *ran)).collect();
    let module = |name: &str| format!("packages/{name}/src/shop/__init__.py");
    let (a, b) = (module("a"), module("b"));
    assert_eq!(files, [(a.as_str(), 10, 7), (b.as_str(), 10, 9)]);
    // Line by line as coverage has it for each project.
    for name in ["a", "b"] {
        let lines = |text: &str| -> Vec<String> {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let lines = words.split("<line ").skip(1).map(|it| it.split('>').next());
            lines.map(|line| line.expect("a line").to_owned()).collect()
        };
        let own = project.read(&format!("packages/{name}/coverage.xml"));
        let text = joint("coverage.xml");
        let ours = text.split(&module(name)).nth(1).expect("a class");
        assert_eq!(lines(ours.split("</class>").next().expect("a class")), lines(&own));
        assert!(joint("coverage.lcov").contains(&format!("SF:{}\n", module(name))));
        assert!(joint("coverage.md").contains(&format!("packages/{name}/src/shop/")));
        let own: Value = project.json(&format!("packages/{name}/coverage.json"));
        let ours: Value = serde_json::from_str(&joint("coverage.json")).expect("JSON");
        let (own, ours) = (&own["files"]["src/shop/__init__.py"], &ours["files"][module(name)]);
        for key in ["missing_lines", "executed_lines", "missing_branches"] {
            assert_eq!(own[key], ours[key], "{key}");
        }
    }

    // One page, with links that lead somewhere.
    let page = joint("run.html");
    let links: Vec<&str> =
        page.split("href=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    assert!(links.iter().filter(|link| link.ends_with("htmlcov/index.html")).count() == 2);
    for link in links.iter().filter(|link| !link.starts_with("data:")) {
        assert!(project.has(&format!("target/xtask/joint/{link}")), "{link}");
    }
    summary_is_as_its_schema_says(&project);
    let summary = project.json("s.json");
    assert_eq!(summary["failed_tests"][0], "packages/a/tests/test_main.py::test_third");
    assert_eq!(summary["projects"][1]["summary"]["tests"]["passed"], 4);
    // The same again, without a test; on the same data.
    let again = project.run(&["coverage", "report", "--all", "--report", "term"]).exits(0);
    assert!(again.stdout.contains("\nTOTAL "), "{again}");
    again.says("Coverage: 78%\n");
}

fn summary_is_as_its_schema_says(project: &Project) {
    const CODE: &str = "\
import json, sys
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
docs, instance = sys.argv[1:]
own, other = (json.load(open(f'{docs}/{name}')) for name in ('joint-summary.schema.json', 'summary.schema.json'))
resource = Resource.from_contents(other, default_specification=DRAFT202012)
registry = Registry().with_resource('summary.schema.json', resource)
for error in Draft202012Validator(own, registry=registry).iter_errors(json.load(open(instance))):
    print(error.json_path, error.message)
";
    let docs = repository().join("docs");
    let said = env(&["jsonschema"]).python_says(&project.root, CODE, &[docs.as_str(), "s.json"]);
    assert_eq!(said, "");
}

/// The environment, the configuration, the tests: whatever one lacks, the others run.
#[test]
fn what_is_wrong_with_one_is_named_and_the_others_run() {
    let project = workspace(&["broken", "empty", "good"]);
    let broken = pyproject("", "[tool.xtask.coverage]\nsplitz = 3\n");
    project.write("packages/broken/pyproject.toml", &broken);
    fs::remove_file(project.root.join("packages/empty/tests/test_main.py")).expect("a file");
    let output = run(&project, &["--all", "--report", "none", "--junit", "j.xml"]).exits(4);
    output.clone().tells("unknown key `splitz`").says("packages/good: ✓ passed: 2 tests passed\n");
    output.clone().says("✗ packages/empty: no tests were found\n");
    let last = output.stdout.lines().last().expect("a line");
    assert!(last.starts_with("✗ error: packages/broken: unknown key `splitz`"), "{output}");
    assert!(project.read("j.xml").contains("packages.good.tests.test_main"));
    // Without it, that there are no tests in one decides.
    let output = run(&project, &["-p", "empty,good", "--report", "none"]).exits(5);
    assert_eq!(
        output.stdout.lines().last(),
        Some("✗ no tests: packages/empty: no tests were found")
    );
}

#[test]
fn what_changed_is_one_patch() {
    let project = workspace(&["a", "b"]);
    commit(&project);
    let late = "\n\ndef late():\n    return 1\n";
    project.write("packages/a/src/shop/__init__.py", &[SOURCE, late].concat());
    project.write("packages/b/src/shop/__init__.py", &[SOURCE, "\n\nLATE = 1\n"].concat());
    let args = ["--all", "--report", "none", "--diff", "HEAD", "--diff-fail-under", "80"];
    let output = run(&project, &args).exits(2);
    assert_eq!(output.stdout.matches("Patch coverage: ").count(), 1, "{output}");
    let output = output.says("packages/a: ✓ passed: 2 tests passed\n");
    output.says("\n✗ below the threshold: patch coverage of 66.7% is less than 80%\n");
}

/// As many as GitHub shows, for all projects together, and one page.
#[test]
fn annotations_and_the_page_of_a_job_are_made_once() {
    let project = workspace(&["a", "b"]);
    let fails: String =
        (0..7).map(|n| format!("def test_{n}():\n    assert {n} > 9\n\n\n")).collect();
    for name in ["a", "b"] {
        project.write(&format!("packages/{name}/tests/test_main.py"), &fails);
    }
    let page = project.root.join("page.md");
    let run = project.xtask(&["coverage", "--all", "--report", "none", "--splits", "1"]);
    let run = run.var("GITHUB_ACTIONS", "true").var("GITHUB_STEP_SUMMARY", page.as_str());
    let output = run.output().exits(1);
    assert_eq!(output.stdout.matches("::error ").count(), 10, "{output}");
    assert_eq!(output.stdout.matches("::notice title=Not annotated::4 errors more").count(), 1);
    output.says("::error file=packages/a/tests/test_main.py,line=2,");
    let page = project.read("page.md");
    assert!(page.starts_with("## ✗ tests failed\n\n| Project |"), "{page}");
    assert_eq!(page.matches("## Coverage of ").count(), 2, "{page}");
}
