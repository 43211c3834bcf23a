//! `--diff`: the coverage of what was changed, from real git histories.

use serde_json::json;

use crate::shop::{LABEL_TESTS, SOURCE, coverage, shop};
use crate::support::{Output, Project, git as git_in};

fn git(project: &Project, args: &[&str]) -> Output {
    git_in(&project.root, args)
}

fn commit(project: &Project) {
    git(project, &["add", "."]);
    git(project, &["commit", "-qm", "a step"]);
}

/// The shop, committed on `main`, and a branch off it.
fn committed() -> Project {
    let project = shop("", "[tool.coverage.run]\nbranch = true");
    project.write(".gitignore", ".xtask\nhtmlcov\n.coverage\n__pycache__\n*.json\n");
    git(&project, &["init", "-q"]);
    commit(&project);
    git(&project, &["checkout", "-qb", "topic"]);
    project
}

const NEVER: &str = "\n\ndef never(a):\n    if a:\n        return 1\n    return 2\n";

/// What was committed, staged, only saved, and what git does not know yet: all of it counts, with
/// the line numbers of the files as they are.
#[test]
fn everything_since_the_base_counts() {
    let project = committed();
    project.write("src/shop/__init__.py", &(SOURCE.to_owned() + NEVER));
    commit(&project);
    project.write("src/shop/staged.py", "A = 1\n");
    git(&project, &["add", "."]);
    let moved = SOURCE.replace("n * 10", "n * (5 + 5)") + NEVER;
    project.write("src/shop/__init__.py", &format!("# one line more\n{moved}"));
    project.write("src/shop/not yet.py", "B = 1\nif B:  # pragma: no cover\n    C = 1\n");
    project.write("src/shop/gone.py", "");
    let options = ["--diff", "main", "--report", "none", "--summary-json", "s.json"];
    let output = project.run(&coverage("fork", &options)).exits(0);
    let wanted = "
File                   Changed lines   Missing   Cover
------------------------------------------------------
src/shop/__init__.py               5         3   40.0%
src/shop/not yet.py                1         1    0.0%
src/shop/staged.py                 1         1    0.0%

src/shop/__init__.py:17-19
src/shop/not yet.py:1
src/shop/staged.py:1
Patch coverage: 28.6% (2 of 7 changed lines; BASE main)
";
    output.says(wanted);
    let diff = &project.json("s.json")["coverage"]["diff"];
    assert_eq!(
        (&diff["percent"], &diff["lines"], &diff["missing"]),
        (&json!(28.6), &json!(7), &json!(5))
    );
    assert_eq!(diff["files"][0]["missing"], json!([17, 18, 19]));
}

/// Hooks of git have variables that lead to their own repository and index, and configuration
/// and attributes may change what a diff looks like: the patch is what it is.
#[test]
fn neither_hooks_nor_configuration_change_what_is_compared() {
    let project = committed();
    project.write("src/shop/__init__.py", &(SOURCE.to_owned() + NEVER));
    project.write(".gitattributes", "*.py -diff\n");
    commit(&project);
    // Of another repository, where nothing has changed.
    let other = Project::new(&[("a.py", "")]);
    git(&other, &["init", "-q"]);
    commit(&other);
    let settings = [
        "diff.noprefix=true",
        "diff.external=true",
        "diff.interHunkContext=9",
        "diff.relative=true",
        "color.ui=always",
        "core.quotePath=true",
    ];
    settings.iter().for_each(|one| {
        let (name, value) = one.split_once('=').expect("a setting");
        git(&project, &["config", name, value]);
    });
    let options = ["--diff", "main", "--diff-fail-under", "90", "--report", "none"];
    let run = project.xtask(&coverage("fork", &options));
    let run = run.var("GIT_DIR", other.root.join(".git").as_str()).var("GIT_PREFIX", "src/");
    let run = run.var("GIT_INDEX_FILE", other.root.join(".git/index").as_str());
    let run = run.var("GIT_WORK_TREE", other.root.as_str()).var("GIT_DIFF_OPTS", "--unified=9");
    let output = run.var("GIT_EXTERNAL_DIFF", "true").output().exits(2);
    output.says("Patch coverage: 25.0% (1 of 4 changed lines; BASE main)");
}

/// A base that went on: its own changes are not ours. A file that was renamed is compared with
/// what it was, and partial branches are told apart.
#[test]
fn renames_are_followed_from_the_common_ancestor() {
    let project = committed();
    project.write("src/shop/__init__.py", "from shop.old import label, price\n");
    project.write("src/shop/old.py", SOURCE);
    commit(&project);
    git(&project, &["checkout", "-qb", "base"]);
    project.write("src/shop/old.py", &SOURCE.replace("n * 9", "n * 8"));
    commit(&project);
    git(&project, &["checkout", "-q", "topic"]);
    git(&project, &["mv", "src/shop/old.py", "src/shop/prices.py"]);
    project.write("src/shop/prices.py", &SOURCE.replace("kind == 'b'", "kind in 'b'"));
    project.write("src/shop/__init__.py", "from shop.prices import label, price\n");
    commit(&project);
    let output = project.run(&coverage("fork", &["--diff", "base", "--report", "none"])).exits(0);
    output.says(
        "src/shop/prices.py:10 branches: 1 of 2\nPatch coverage: 100.0% (2 of 2 changed lines; BASE base)\n",
    );
}

/// The report is made again for another base, and without running anything.
#[test]
fn works_without_a_run_and_in_a_folder_of_the_repository() {
    let project = shop("", "");
    let top = project.root.parent().expect("a folder").to_owned();
    let at_top = |args: &[&str]| git_in(&top, args);
    at_top(&["init", "-q"]);
    at_top(&["add", "shop/pyproject.toml", "shop/src", "shop/tests"]);
    at_top(&["commit", "-qm", "a step"]);
    project.write("src/shop/ü \"x\".py", "A = 1\n");
    at_top(&["add", "shop/src"]);
    project.write("src/shop/other.py", "A = 1\n");
    project.run(&coverage("fork", &["--report", "none"])).exits(0);
    let output =
        project.run(&["coverage", "report", "--diff", "HEAD", "--report", "none"]).exits(0);
    output.says("\nsrc/shop/other.py:1\nsrc/shop/ü \"x\".py:1\nPatch coverage: 0.0% (0 of 2");
    let from_top = ["coverage", "report", "-p", "shop", "--diff", "HEAD", "--report", "none"];
    project.xtask(&from_top).cwd(&top).output().exits(0).says("\nshop/src/shop/other.py:1\n");
}

#[test]
fn a_patch_can_fail() {
    let project = committed();
    project.write("src/shop/__init__.py", &(SOURCE.to_owned() + NEVER));
    let options = ["--diff", "main", "--report", "none", "--diff-fail-under"];
    project.run(&coverage("fork", &[&options[..], &["25"]].concat())).exits(0);
    let output = project.run(&coverage("fork", &[&options[..], &["25.5"]].concat())).exits(2);
    let sentence = "patch coverage of 25.0% is less than 25.5%";
    output
        .says(&format!("{sentence}\n    src/shop/__init__.py 25.0%\n"))
        .says(&format!("✗ below the threshold: {sentence}\n"));
    let report =
        ["coverage", "report", "--report", "none", "--diff", "main", "--diff-fail-under=90"];
    project.run(&report).exits(2).says("✗ below the threshold: patch coverage of 25.0%");
    // Typed, it judges a part of the suite; configured, it does not.
    let part = [&options[..], &["90", "--", "tests/test_label.py"]].concat();
    project.run(&coverage("fork", &part)).exits(2).says("(partial)");
    let config = project.read("pyproject.toml")
        + "\n[tool.xtask.coverage]\ndiff = 'main'\ndiff-fail-under = 90\n";
    project.write("pyproject.toml", &config);
    project.run(&coverage("fork", &["--report", "none", "--", "tests/test_label.py"])).exits(0);
}

/// A change that no test can cover is no failure; a file that coverage was told to leave out is
/// counted.
#[test]
fn what_is_not_measured_is_said() {
    let project = committed();
    let config = project
        .read("pyproject.toml")
        .replace("branch = true", "branch = true\nomit = ['*/omitted.py']");
    project.write("pyproject.toml", &config);
    project.write("src/shop/omitted.py", "A = 1\n");
    project.write("tests/test_label.py", &format!("# longer\n{LABEL_TESTS}"));
    let options = ["--diff", "main", "--report", "none", "--diff-fail-under", "100"];
    let output = project.run(&coverage("fork", &options)).exits(0);
    output.says("\n1 changed Python file is not measured\nPatch coverage: no changed lines to cover (BASE main)\n");
}

/// Before any test runs.
#[test]
fn a_base_that_is_not_there_is_an_error() {
    let project = committed();
    let try_base = |base: &str| project.run(&coverage("fork", &["--diff", base])).exits(4);
    try_base("nowhere")
        .tells("error: `--diff nowhere`: no such commit; `git fetch origin nowhere`");
    let option = project.run(&coverage("fork", &["--diff=--output=x"])).exits(4);
    option.tells("error: `--diff --output=x`: no such commit");
    git(&project, &["checkout", "-q", "--orphan", "alone"]);
    git(&project, &["commit", "-qm", "nothing in common"]);
    try_base("main").tells("no common ancestor with HEAD; choose another base");
    git(&project, &["update-ref", "refs/remotes/origin/next", "HEAD"]);
    try_base("next").tells("no such commit; there is `origin/next`");
    assert!(!project.has(".coverage"));
}

#[test]
fn a_shallow_clone_says_what_to_fetch() {
    let origin = committed();
    origin.write("src/shop/__init__.py", &format!("{SOURCE}\n\ndef never():\n    return 1\n"));
    commit(&origin);
    let clone = Project::at("clone", &[]);
    let url = format!("file://{}", origin.root);
    let depth = ["clone", "-q", "--depth=1", "--branch", "topic", &url, "."];
    git(&clone, &depth);
    let options = ["--report", "none", "--diff", "origin/main"];
    let output = clone.run(&coverage("fork", &options)).exits(4);
    let branches = "+refs/heads/*:refs/remotes/origin/*";
    output.tells(&format!(
        "`--diff origin/main`: no such commit; this clone is shallow: \
         `git fetch --unshallow origin '{branches}'`, then `--diff origin/main`\n"
    ));
    git(&clone, &["fetch", "-q", "--unshallow", "origin", branches]);
    let output = clone.run(&coverage("fork", &options)).exits(0);
    output.says("\nPatch coverage: 50.0% (1 of 2 changed lines; BASE origin/main)\n");
}

#[test]
fn outside_of_a_repository_there_is_no_patch() {
    let project = shop("", "");
    let output = project.run(&coverage("fork", &["--diff", "main"])).exits(4);
    output.tells("`--diff` needs a git repository around");
}

/// Makes a history by chance: edits, renames, new and deleted files, a base that goes on, and
/// what is staged, saved, or unknown to git, each in files that no commit has touched.
const HISTORY: &str = r#"
import pathlib, random, subprocess, sys

chance = random.Random(int(sys.argv[1]))
source = pathlib.Path("src/shop")
touched = set()

def git(*words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *words], check=True)

def function():
    lines = [f"def f{chance.randint(0, 999)}(a):"]
    kinds = [
        [f"    if a > {chance.randint(0, 9)}:", "        a += 1"],
        ["    if a is None:  # pragma: no cover", "        return 1"],
        ["    a = sum([", "        a,", f"        {chance.randint(0, 9)},", "    ])"],
        ["", "    # nothing"],
        [f"    a += {chance.randint(0, 9)}"],
    ]
    lines += [line for kind in chance.choices(kinds, k=4) for line in kind]
    return "\n".join([*lines, "    return a", "", "", ""])

def module(name):
    (source / name).write_text("".join(function() for _ in range(chance.randint(2, 5))))

def edit(file):
    parts = [f"def {part}" for part in file.read_text().split("def ")[1:]]
    place = chance.randrange(len(parts))
    change = chance.random()
    if change < 0.4:
        parts.insert(place, function())
    elif change < 0.6 and len(parts) > 1:
        del parts[place]
    else:
        parts[place] = parts[place].replace("a += ", "a -= ")
    file.write_text("".join(parts))

def files():
    return sorted(source.glob("m*.py"))

for n in range(6):
    module(f"m{n}.py")
git("init", "-q")
git("add", ".")
git("commit", "-qm", "base")
git("checkout", "-qb", "topic")
for n in range(chance.randint(1, 4)):
    file, new = chance.choice(files()), source / f"m1{n}.py"
    change = chance.random()
    if change < 0.5:
        edit(file)
    elif change < 0.7:
        file.rename(new)
        edit(new)
    elif change < 0.9:
        module(new.name)
    else:
        file.unlink()
    touched |= {file, new}
    git("add", "-A")
    git("commit", "-qm", "step", "--allow-empty")
git("checkout", "-q", "main")
edit(files()[0])
git("commit", "-qam", "the base goes on", "--allow-empty")
git("checkout", "-q", "topic")
left = [file for file in files() if file not in touched]
if left:
    edit(left.pop())
    git("add", ".")
if left:
    edit(left.pop())
module("m99.py")
"#;

/// Runs every other function.
const HALF: &str = "\
import importlib
import pathlib


def test_half():
    for path in sorted(pathlib.Path('src/shop').glob('m*.py')):
        functions = vars(importlib.import_module(f'shop.{path.stem}'))
        for name in sorted(functions)[::2]:
            if name[0] == 'f':
                functions[name](3)
";

/// The figures of each file: how many changed statements, and which of them did not run.
const OF_DIFF_COVER: &str = "\
import json
stats = json.load(open('theirs.json'))['src_stats']
lines = {name: (len(it['covered_lines']), it['violation_lines']) for name, it in stats.items()}
print(json.dumps([[n, c + len(v), sorted(v)] for n, (c, v) in sorted(lines.items()) if c or v]))
";

#[test]
#[ignore = "slow: many histories, and another tool to install"]
fn lines_are_those_of_diff_cover() {
    let packages = ["pytest", "coverage", "diff-cover"];
    for seed in 0..8 {
        let project = shop("", "").with(crate::support::env(&packages));
        project.write(".gitignore", ".xtask\n.coverage\n__pycache__\n*.json\n*.xml\n");
        project.write("tests/test_all.py", HALF);
        project.python_says(HISTORY, &[&seed.to_string()]);
        let options = ["--diff", "main", "--report", "xml", "--summary-json", "s.json"];
        project.run(&coverage("fork", &options)).exits(0);
        let compare = ["coverage.xml", "--compare-branch", "main", "--include-untracked"];
        let theirs = ["diff_cover.diff_cover_tool", "--format", "json:theirs.json"];
        project.env().module(&project.root, &[&theirs[..], &compare].concat()).exits(0);
        let theirs: serde_json::Value =
            serde_json::from_str(&project.python_says(OF_DIFF_COVER, &[])).expect("JSON");
        let summary = project.json("s.json");
        let files = summary["coverage"]["diff"]["files"].as_array().expect("files");
        let ours = files.iter().map(|it| json!([it["path"], it["lines"], it["missing"]]));
        assert_eq!(json!(ours.collect::<Vec<_>>()), theirs, "history {seed}");
    }
}
