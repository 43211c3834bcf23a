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
        let own = project.read(&format!("packages/{name}/coverage.lcov"));
        let text = joint("coverage.lcov");
        let ours = text.split(&format!("SF:{}\n", module(name))).nth(1).expect("a record");
        let functions = |text: &str| -> Vec<String> {
            let lines = text.lines().take_while(|line| *line != "end_of_record");
            lines.filter(|it| it.starts_with("FN")).map(str::to_owned).collect()
        };
        assert_eq!(functions(ours), functions(&own));
        assert!(ours.contains("\nFNF:"), "{text}");
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
    let project = workspace(&["broken", "empty", "good", "toml"]);
    project.write("packages/toml/pyproject.toml", "[project\n");
    let broken = pyproject("", "[tool.xtask.coverage]\nsplitz = 3\n");
    project.write("packages/broken/pyproject.toml", &broken);
    fs::remove_file(project.root.join("packages/empty/tests/test_main.py")).expect("a file");
    let output = run(&project, &["--all", "--report", "none", "--junit", "j.xml"]).exits(4);
    output.clone().tells("unknown key `splitz`").says("packages/good: ✓ passed: 2 tests passed\n");
    output.clone().says("✗ packages/toml: ").tells("packages/toml/pyproject.toml:1: ");
    output.clone().says("✗ packages/empty: no tests were found\n");
    let last = output.stdout.lines().last().expect("a line");
    assert!(last.ends_with("(and 1 more project)"), "{output}");
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
    let args = ["coverage", "--all", "--report", "none", "--splits", "1", "--max-failures", "0"];
    let run = project.xtask(&args);
    let run = run.var("GITHUB_ACTIONS", "true").var("GITHUB_STEP_SUMMARY", page.as_str());
    let output = run.output().exits(1);
    assert_eq!(output.stdout.matches("::error ").count(), 10, "{output}");
    assert_eq!(output.stdout.matches("::notice title=Not annotated::4 errors more").count(), 1);
    output.says("::error file=packages/a/tests/test_main.py,line=2,");
    let page = project.read("page.md");
    assert!(page.starts_with("## ✗ tests failed\n\n| Project |"), "{page}");
    assert_eq!(page.matches("## Coverage of ").count(), 2, "{page}");
}

/// `-p` and `--all` know them without a list, and leave out what git ignores.
#[test]
fn projects_are_found_where_none_are_listed() {
    let project = workspace(&["a", "b"]);
    project.write("Cargo.toml", "[workspace]\n");
    project.write(".gitignore", "target\n__pycache__\n.coverage\npackages/b\n");
    let output = run(&project, &["--all", "--report", "none"]).exits(0);
    output.says("packages/a: ✓ passed").never_says("packages/b");
    run(&project, &["-p", "a", "--report", "none"]).exits(0).tells("Coverage of a in 1 split\n");
}

#[test]
fn projects_are_listed_by_globs() {
    let project = workspace(&["a", "b", "c"]);
    project.write("packages/b/deep/er/pyproject.toml", &pyproject("", ""));
    let ends = |projects: &str, wanted: &[&str]| {
        let cargo = format!("[workspace]\n[workspace.metadata.xtask]\nprojects = [{projects}]\n");
        project.write("Cargo.toml", &cargo);
        let output = project.run(&["doctor", "--all", "--json"]);
        let found: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let projects = found["projects"].as_array().expect("a list");
        let roots = projects.iter().map(|it| it["root"].as_str().expect("a path"));
        let roots: Vec<&str> =
            roots.filter_map(|it| it.strip_prefix(project.root.as_str())).collect();
        assert_eq!(roots, wanted, "{projects:?}");
    };
    ends("'packages/{a,c}'", &["/packages/a", "/packages/c"]);
    ends("'packages/[!c]', './packages/c/'", &["/packages/a", "/packages/b", "/packages/c"]);
    ends("'packages/b/**'", &["/packages/b/deep/er"]);
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['packages/{a']\n";
    project.write("Cargo.toml", cargo);
    run(&project, &["--all"]).exits(4).tells("`packages/{a`: ");
}

#[test]
fn what_changes_concern_runs() {
    let project = workspace(&["app", "base", "other"]);
    let needs = pyproject("", "[tool.uv.sources]\nbase = { path = '../base', editable = true }\n");
    project.write("packages/app/pyproject.toml", &needs);
    commit(&project);
    let affected = |more: &[&str]| {
        let args = ["--affected", "HEAD", "--report", "none", "--summary-json", "s.json"];
        project.xtask(&[&["coverage", "--splits", "1"], &args[..], more].concat())
    };
    // What runs leave is no change, nor is what no project has.
    project.write("packages/other/.coverage", "");
    project.write("notes.md", "");
    let output = affected(&[]).output().exits(0).never_says("Coverage of");
    output.says("✓ nothing to do: no project is affected by what has changed\n");
    assert_eq!(project.json("s.json")["projects"].as_array().map(Vec::len), Some(0));

    project.write("packages/base/src/shop/new.py", "");
    // As in a hook, of another repository.
    let run = affected(&[]).var("GIT_DIR", "/nowhere").var("GIT_INDEX_FILE", "/nowhere/index");
    let output = run.output().exits(0).tells("since HEAD: 2 of 3 projects\n");
    output
        .tells("  • packages/app: depends on packages/base, where packages/base/src/shop/new.py has changed\n")
        .tells("  • packages/base: packages/base/src/shop/new.py has changed\n")
        .says("passed in 2 projects\n")
        .never_says("Coverage of other");
    affected(&["-p", "app,other"])
        .output()
        .exits(0)
        .tells("1 of 2 projects\n")
        .never_says("of base ");
    // Deleted and renamed, and in an earlier commit.
    commit(&project);
    git(
        &project.root,
        &["mv", "packages/other/tests/test_main.py", "packages/other/tests/test_x.py"],
    );
    affected(&[]).output().exits(0).tells("  • packages/other: ").tells("1 of 3 projects\n");
    let args = ["test", "--affected", "HEAD~1", "--splits", "1"];
    project.run(&args).exits(0).tells("3 of 3 projects\n");
    let output = project.run(&["test", "--affected", "nonsense"]).exits(4);
    output.tells("`--affected nonsense`: no such commit");
}

/// Activated with `. a/.venv/bin/activate`, or by `PATH` alone: a program that a test of b starts
/// is not one of a's.
#[test]
fn the_active_environment_of_one_project_does_not_reach_another() {
    let project = workspace(&["a", "b"]);
    let tells = "import os, shutil, sys\n\n\ndef test_told():\n    \
                 text = os.environ.get('VIRTUAL_ENV', '') + ' ' + shutil.which('python')\n    \
                 open('told', 'w').write(text + ' ' + sys.prefix)\n";
    project.write("packages/b/tests/test_main.py", tells);
    let (own, other) = (project.env().root.clone(), project.root.join("packages/a/.venv"));
    for (name, target) in [("a", "other"), ("b", "own")] {
        let folder = project.root.join(format!("packages/{name}/.venv"));
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        for file in ["pyvenv.cfg", "lib", "bin/python"] {
            std::os::unix::fs::symlink(own.join(file), folder.join(file)).expect(target);
        }
    }
    let bin = other.join("bin");
    let run = |active: bool| {
        let args = ["coverage", "-p", "b", "--report", "none", "--splits", "1"];
        let run = project.xtask(&args);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("a path"));
        let folder = if active { other.as_str() } else { "" };
        run.var("PATH", &path).var("VIRTUAL_ENV", folder).output().exits(0)
    };
    let wanted = project.root.join("packages/b/.venv");
    run(true).tells("packages/a/.venv` (VIRTUAL_ENV) is not used: it is the environment of");
    let told = project.read("packages/b/told");
    assert_eq!(told, format!("{wanted} {wanted}/bin/python {wanted}"));
    run(false);
    assert_eq!(project.read("packages/b/told"), format!(" {wanted}/bin/python {wanted}"));
}

/// The failures of all projects are counted together.
#[test]
fn the_failure_budget_is_one_for_all() {
    let project = workspace(&["a", "b", "c"]);
    let fails: String = (0..2).map(|n| format!("def test_{n}():\n    assert 0\n\n\n")).collect();
    for name in ["a", "b"] {
        project.write(&format!("packages/{name}/tests/test_main.py"), &fails);
    }
    let args = ["coverage", "--all", "--report", "none", "--max-failures", "3", "--splits", "1"];
    // One after the other it is known which of them count.
    let output = project.run(&[&args[..], &["--max-concurrent-projects", "1"]].concat()).exits(1);
    output
        .says("packages/a: ✗ tests failed: 2 of 2 tests failed\n")
        .says("packages/b: ✗ aborted: stopped after 1 failure; 1 test did not run\n")
        .says("✗ packages/c: not begun: 3 failures in other projects\n")
        .never_says("Coverage of c");
}

/// A project at the top, one whose rootdir is the top, and one in a Cargo workspace within this
/// one: each path is that of the repository.
#[test]
fn paths_are_those_of_the_repository_wherever_projects_lie() {
    let project = workspace(&["a"]);
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['.', 'packages/a', 'in/b']\n";
    project.write("Cargo.toml", cargo);
    project.write("in/Cargo.toml", "[workspace]\n");
    project.write("in/b/setup.cfg", "[metadata]\nname = b\n[tool:pytest]\n");
    project.write("packages/a/pyproject.toml", "[project]\nname = 'a'\nversion = '1'\n");
    project.write("pytest.ini", "[pytest]\ntestpaths = tests\njunit_family = xunit1\n");
    for folder in ["", "packages/a/", "in/b/"] {
        let test = "def test_fails():\n    assert 0\n";
        project.write(&format!("{folder}tests/test_main.py"), test);
    }
    let files = ["--junit", "j.xml", "--summary-json", "s.json"];
    run(&project, &[&["--all", "--report", "none"], &files[..]].concat()).exits(1);
    let wanted = ["in/b/", "packages/a/", ""].map(|it| format!("{it}tests/test_main.py"));
    let junit = project.read("j.xml");
    for path in &wanted {
        let class = path.trim_end_matches(".py").replace('/', ".");
        assert!(junit.contains(&format!("classname=\"{class}\"")), "{class}: {junit}");
    }
    let summary = project.json("s.json");
    let failed = summary["failed_tests"].as_array().expect("a list").iter();
    let mut failed: Vec<&str> = failed.filter_map(Value::as_str).collect();
    failed.sort_unstable();
    let mut wanted = wanted.map(|path| format!("{path}::test_fails"));
    wanted.sort_unstable();
    assert_eq!(failed, wanted);
}
