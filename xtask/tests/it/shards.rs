//! `--shard` and `cargo xtask coverage combine`: parts of a suite on several machines, and all
//! that can go wrong between them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::support::{Output, Project, git};

pub(crate) const CONFIGURATION: (&str, &str) = (
    "pyproject.toml",
    "[tool.pytest.ini_options]\npythonpath = ['src']\n\
     [tool.coverage.run]\nbranch = true\nsource = ['shop']\n",
);

/// Each function is called by the tests of one file, and one branch of the last by none.
const SHOP: (&str, &str) = (
    "src/shop/__init__.py",
    "def tea(n):\n    if n > 1:\n        return n * 3\n    return 3\n\n\
     def jam(n):\n    if n > 1:\n        return n * 5\n    return 5\n\n\
     def oil(n):\n    if n > 1:\n        return n * 7\n    return 7\n\n\
     def rye(n):\n    if n > 1:\n        return n * 9\n    return 9\n",
);

const TESTS: [(&str, &str); 4] = [
    (
        "tests/test_a_tea.py",
        "from shop import tea\n\ndef test_one():\n    assert tea(1) == 3\n\n\
         def test_two():\n    assert tea(2) == 6\n",
    ),
    (
        "tests/test_b_jam.py",
        "from shop import jam\n\ndef test_one():\n    assert jam(1) == 5\n\n\
         def test_two():\n    assert jam(2) == 10\n",
    ),
    (
        "tests/test_c_oil.py",
        "from shop import oil\n\ndef test_one():\n    assert oil(1) == 7\n\n\
         def test_two():\n    assert oil(2) == 14\n",
    ),
    (
        "tests/test_d_rye.py",
        "from shop import rye\n\ndef test_one():\n    assert rye(1) == 9\n\n\
         def test_again():\n    assert rye(0) == 9\n",
    ),
];

fn project() -> Project {
    let project = Project::new(&[CONFIGURATION, SHOP]);
    project.write_all(&TESTS);
    project
}

/// What four machines have left, and what one alone comes to. Its project stays where it is: its
/// paths are those of another checkout for everybody else.
struct Four {
    project: Project,
    coverage: String,
    lines: String,
}

fn four() -> &'static Four {
    static FOUR: OnceLock<Four> = OnceLock::new();
    FOUR.get_or_init(|| {
        let project = project();
        let whole = project.run(&["coverage", "--report", "term"]).exits(0);
        let coverage = whole.line("Coverage: ").to_owned();
        let lines = measured(&project);
        for index in 1..=4 {
            let shard = format!("{index}/4");
            project.run(&["coverage", "--shard", &shard, "--out", "out"]).exits(0);
        }
        Four { project, coverage, lines }
    })
}

/// What is in the data of a project: lines and arcs of each file, by its path in the project.
pub(crate) fn measured(project: &Project) -> String {
    const READ: &str = "import coverage, json, os\n\
        data = coverage.CoverageData('.coverage'); data.read()\n\
        print(json.dumps({os.path.relpath(f): [sorted(data.lines(f)), sorted(data.arcs(f))]\n    \
            for f in sorted(data.measured_files())}))\n";
    project.python_says(READ, &[])
}

/// Another checkout of the project, with a copy of what the four have left.
fn elsewhere() -> Project {
    let project = project();
    copy(&four().project.root.join("out"), &project.root.join("in"));
    project
}

fn copy(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir_utf8().expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

fn combine(project: &Project) -> Output {
    project.run(&["coverage", "combine", "in", "--report", "term"])
}

/// It ends red, names the fault, and shows no number that would be a wrong one.
#[track_caller]
fn refused(project: &Project, fault: &str) {
    let output = combine(project);
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains(fault), "no {fault:?}:\n{output}");
    output.exits(3).never_says("Coverage: ");
    assert!(!project.has(".coverage"), "nothing takes the place of good data");
}

fn file(project: &Project, index: u32, kind: &str) -> Utf8PathBuf {
    project.root.join(format!("in/shard-0{index}-of-04/shard-0{index}-of-04.{kind}"))
}

fn change(project: &Project, index: u32, change: impl Fn(&mut Value)) {
    let path = file(project, index, "manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let mut manifest = serde_json::from_str(&text).expect("JSON");
    change(&mut manifest);
    fs::write(path, manifest.to_string()).expect("a manifest");
}

#[test]
fn four_shards_are_the_whole() {
    let project = elsewhere();
    let args = ["--junit", "j.xml", "--summary-json", "s.json", "--store-durations"];
    let run = [&["coverage", "combine", "in", "--report", "term"], &args[..]].concat();
    let output = project.run(&run).exits(0).says("8 tests passed");
    assert_eq!(output.line("Coverage: "), four().coverage);
    assert_eq!(measured(&project), four().lines);
    let summary = project.json("s.json");
    assert_eq!(summary["partial"], json!(false));
    assert_eq!(summary["tests"]["passed"], json!(8));
    assert_eq!(summary["splits"]["completed"], json!(4));
    assert_eq!(project.read("j.xml").matches("<testcase ").count(), 8);
    assert_eq!(project.json(".test_durations").as_object().expect("durations").len(), 8);
    let page = project.read(".xtask/runs/last/run.html");
    assert!(page.contains("shard 1, worker 1") && page.contains("shard 4, worker 1"), "{page}");
    let shards = (1..=4).map(|index| file(&project, index, "manifest.json"));
    let manifests: Vec<Value> = shards
        .map(|path| fs::read_to_string(path).expect("a manifest"))
        .map(|text| serde_json::from_str(&text).expect("JSON"))
        .collect();
    assert!(manifests.iter().all(|it| it["tests"]["assigned"] == json!(2)), "{manifests:?}");
    assert!(manifests.iter().all(|it| it["plan"] == manifests[0]["plan"]));
}

/// The path of the other checkout is still there in the other tests.
#[test]
fn paths_of_a_checkout_that_is_gone_are_found_again() {
    let ci = project();
    for index in 1..=2 {
        ci.run(&["coverage", "--shard", &format!("{index}/2"), "--out", "out"]).exits(0);
    }
    let here = project();
    copy(&ci.root.join("out"), &here.root.join("in"));
    drop(ci);
    assert_eq!(combine(&here).exits(0).line("Coverage: "), four().coverage);
    assert_eq!(measured(&here), four().lines);
}

/// Both checkouts are on the disk: a file of the other one is that of this one, and no file more.
#[test]
fn files_of_another_checkout_that_is_still_there_count_once() {
    let project = elsewhere();
    let output = combine(&project).exits(0);
    assert_eq!(output.line("Coverage: "), four().coverage);
    assert!(four().project.has("src/shop/__init__.py"));
    const FILES: &str = "import coverage\n\
        data = coverage.CoverageData('.coverage'); data.read()\n\
        print(*sorted(data.measured_files()), sep='\\n')\n";
    let own = format!("{}\n", project.root.join("src/shop/__init__.py"));
    assert_eq!(project.python_says(FILES, &[]), own);
    assert_eq!(output.stdout.matches("src/shop/__init__.py").count(), 1, "{output}");
}

/// `coverage combine` looks for `.coverage.*`, and services leave hidden files out. And all of it
/// may come in one folder.
#[test]
fn data_needs_no_name_that_coverage_looks_for() {
    let project = elsewhere();
    let flat = project.root.join("flat");
    fs::create_dir(&flat).expect("a folder");
    for index in 1..=4 {
        let folder = format!("in/shard-0{index}-of-04");
        for name in project.names(&folder) {
            assert!(name.starts_with("shard-"), "{name}");
            fs::rename(project.root.join(&folder).join(&name), flat.join(&name)).expect("a file");
        }
    }
    fs::remove_dir_all(project.root.join("in")).expect("empty folders");
    fs::rename(&flat, project.root.join("in")).expect("a folder");
    assert_eq!(combine(&project).exits(0).line("Coverage: "), four().coverage);
    assert_eq!(measured(&project), four().lines);
}

/// What the plan, the shard and the file of what failed say of the checkout is one answer.
#[test]
fn git_is_asked_once() {
    let project = project();
    git(&project.root, &["init", "-q"]);
    git(&project.root, &["add", "."]);
    git(&project.root, &["commit", "-q", "-m", "all"]);
    let (name, text) = TESTS[1];
    project.write(name, &text.replace("== 10", "== 11"));
    project.run(&["coverage", "plan", "--shards", "2", "--out", "plan.json"]).exits(0);
    let path = std::env::var("PATH").expect("PATH");
    let script = format!("#!/bin/sh\necho \"$@\" >> asked\nPATH='{path}' exec git \"$@\"\n");
    project.write("bin/git", &script);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.root.join("bin/git"), executable).expect("a script");
    let args = ["coverage", "--shard", "1/2", "--plan", "plan.json", "--out", "out"];
    let first = format!("{}:{path}", project.root.join("bin"));
    project.xtask(&args).var("PATH", &first).output().exits(1).says("1 of 4 tests failed");
    let asked = project.read("asked");
    assert_eq!(asked.matches("rev-parse --verify").count(), 1, "{asked}");
}

#[test]
#[ignore = "slow: two more checkouts"]
fn paths_that_are_relative_stay_so() {
    let (name, text) = CONFIGURATION;
    let configuration = format!("{text}relative_files = true\n");
    let make = || {
        let project = project();
        project.write(name, &configuration);
        project
    };
    let (ci, here) = (make(), make());
    for index in 1..=2 {
        ci.run(&["coverage", "--shard", &format!("{index}/2"), "--out", "out"]).exits(0);
    }
    copy(&ci.root.join("out"), &here.root.join("in"));
    assert_eq!(combine(&here).exits(0).line("Coverage: "), four().coverage);
}

/// Hidden files were not uploaded.
#[test]
fn nothing_was_delivered() {
    let project = project();
    fs::create_dir(project.root.join("in")).expect("a folder");
    refused(&project, "no shard has delivered anything to");
    project.run(&["coverage", "combine", "nowhere"]).exits(4).tells("nowhere` is no folder");
}

/// Several jobs had one name for what they uploaded.
#[test]
fn one_shard_of_four_was_delivered() {
    let project = elsewhere();
    for index in [1, 3, 4] {
        fs::remove_dir_all(project.root.join(format!("in/shard-0{index}-of-04"))).expect("a shard");
    }
    for index in [1, 3, 4] {
        refused(&project, &format!("shard {index} of 4: was not delivered"));
    }
}

/// A job failed before it wrote anything.
#[test]
fn one_shard_of_four_is_missing() {
    let project = elsewhere();
    fs::remove_dir_all(project.root.join("in/shard-02-of-04")).expect("a shard");
    refused(&project, "shard 2 of 4: was not delivered");
    let output = project.run(&["coverage", "combine", "in", "--allow-missing", "--fail-under=1"]);
    let output = output.exits(0).tells("shard 2 of 4: was not delivered").says("(partial)");
    output.says("Partial: this is the coverage of a part of the tests").says("6 tests passed");
    assert!(!project.has(".coverage"), "a part takes nobody's place");
}

/// The machine that combines runs what a lost machine was to run.
#[test]
fn a_lost_shard_is_healed() {
    let project = elsewhere();
    fs::remove_dir_all(project.root.join("in/shard-02-of-04")).expect("a shard");
    let cut = file(&project, 3, "tests-1.coverage");
    fs::write(&cut, &fs::read(&cut).expect("data")[..20_000]).expect("data");
    let output = project.run(&["coverage", "combine", "in", "--heal", "--report", "term"]);
    let output = output.exits(0).tells("healing: shard 2 of 4: was not delivered");
    let output = output.tells("healing: shard 3 of 4: ").says("8 tests passed");
    assert_eq!(output.line("Coverage: "), four().coverage);
    assert_eq!(measured(&project), four().lines);
    assert!(project.read(".xtask/runs/last/run.html").contains("here, worker 1"));
}

/// Jobs wrote to one name, and the last one won.
#[test]
fn a_shard_under_the_name_of_another() {
    let project = elsewhere();
    for kind in ["manifest.json", "tests.json", "tests-1.coverage", "host-1.coverage"] {
        fs::copy(file(&project, 2, kind), file(&project, 1, kind)).expect("a copy");
    }
    refused(&project, "is that of `shard-02-of-04` under another name");
}

#[test]
fn data_that_was_cut_short() {
    let project = elsewhere();
    let path = file(&project, 2, "tests-1.coverage");
    let data = fs::read(&path).expect("data");
    assert!(data.len() > 20_000);
    fs::write(&path, &data[..20_000]).expect("data");
    refused(&project, "shard-02-of-04.tests-1.coverage` is cut short: 20000 of ");
    fs::write(&path, "").expect("data");
    refused(&project, "shard-02-of-04.tests-1.coverage` is empty");
    let mut other = data.clone();
    other[9_000] ^= 0xff;
    fs::write(&path, other).expect("data");
    refused(&project, "is not what was written: its digest is another");
    fs::remove_file(&path).expect("data");
    refused(&project, "shard-02-of-04.tests-1.coverage` is missing");
}

#[test]
fn branches_and_lines_cannot_be_mixed() {
    let project = elsewhere();
    let args = ["coverage", "--shard", "3/4", "--no-branch", "--out", "in"];
    project.run(&args).exits(0);
    refused(
        &project,
        "the shards are of different ways to measure: `branches` (shards 1, 2 and 4), `lines` \
         (shard 3)",
    );
}

/// Each shard has restored another cache of durations.
#[test]
fn shards_that_were_cut_by_different_durations() {
    let project = elsewhere();
    let known =
        "{\"tests/test_a_tea.py::test_one\": 100.0, \"tests/test_b_jam.py::test_one\": 1.0}";
    project.write(".test_durations", known);
    project.run(&["coverage", "--shard", "2/4", "--out", "in"]).exits(0);
    refused(&project, "the shards are of different plans: ");
    refused(&project, "they were cut by different durations: make one plan for all");
}

/// The same shard twice: the node was lost, and what it ran came to its end all the same.
#[test]
fn of_two_attempts_the_newest_counts() {
    let project = elsewhere();
    copy(&project.root.join("in/shard-02-of-04"), &project.root.join("in/again/shard-02-of-04"));
    change(&project, 2, |it| it["attempt"] = json!(1));
    let output = combine(&project).exits(0);
    let output = output.tells("shard 2 was delivered 2 times; the newest complete attempt counts");
    assert_eq!(output.line("Coverage: "), four().coverage);
    output.says("8 tests passed");
}

#[test]
fn shards_of_something_else_are_refused() {
    let project = elsewhere();
    change(&project, 2, |it| it["commit"] = json!("c0ffee"));
    refused(&project, "different commits: `c0ffee` (shard 2), `none` (shards 1, 3 and 4)");
    change(&project, 2, |it| (it["commit"], it["run"]) = (Value::Null, json!("other")));
    refused(&project, "different runs: `none` (shards 1, 3 and 4), `other` (shard 2)");
    change(&project, 2, |it| {
        (it["run"], it["total"]) = (Value::Null, json!(5));
    });
    refused(&project, "is that of `shard-02-of-05` under another name");
}

/// It says that it has run what it was to run, and has not.
#[test]
fn tests_that_were_planned_and_not_run() {
    let project = elsewhere();
    project.write("conftest.py", "def pytest_runtest_setup(item):\n    if item.name == 'test_two':\n        import pytest; pytest.exit('enough')\n");
    project.run(&["coverage", "--shard", "2/4", "--out", "in"]);
    let fault = "shard 2 of 4: 1 test planned and not run, `tests/test_b_jam.py::test_two` first";
    refused(&project, fault);
}

#[test]
fn what_comes_from_elsewhere_is_not_believed() {
    let project = elsewhere();
    let fresh = |project: &Project| {
        fs::remove_dir_all(project.root.join("in")).expect("a folder");
        copy(&four().project.root.join("out"), &project.root.join("in"));
    };
    change(&project, 2, |it| it["files"][0]["name"] = json!("../../../.coverage"));
    refused(&project, "names a file `../../../.coverage`, which is none of its own");
    fresh(&project);
    let manifest = file(&project, 2, "manifest.json");
    fs::File::create(&manifest).and_then(|file| file.set_len(1 << 30)).expect("a large file");
    refused(&project, "shard-02-of-04.manifest.json` is larger than 16 MiB");
    fresh(&project);
    let data = file(&project, 2, "tests-1.coverage");
    fs::rename(&data, project.root.join("elsewhere")).expect("data");
    std::os::unix::fs::symlink(project.root.join("elsewhere"), &data).expect("a link");
    refused(&project, "shard-02-of-04.tests-1.coverage` is a symbolic link");
    fresh(&project);
    fs::write(file(&project, 2, "tests.json"), "[".repeat(100_000)).expect("a file");
    refused(&project, "shard-02-of-04.tests.json` has 100000 bytes, not ");
    fresh(&project);
    // With a digest that is right: what is no database is named where it is read.
    let text = "x".repeat(30_000);
    fs::write(file(&project, 2, "tests-1.coverage"), &text).expect("a file");
    let digest = project.python_says(
        "import hashlib; print(hashlib.sha256(b'x' * 30000).hexdigest(), end='')",
        &[],
    );
    change(&project, 2, |it| {
        let files = it["files"].as_array_mut().expect("files");
        for file in files.iter_mut().filter(|it| it["name"] == "shard-02-of-04.tests-1.coverage") {
            (file["size"], file["digest"]) = (json!(30_000), json!(digest));
        }
    });
    let output = combine(&project).exits(3);
    output.says("shard-02-of-04.tests-1.coverage` is damaged: file is not a database");
    assert!(!project.has(".coverage"));
}

/// A red shard delivers what it has, and combining ends with its failures.
#[test]
fn failures_come_with_the_shard() {
    let project = elsewhere();
    let (name, text) = TESTS[1];
    project.write(name, &text.replace("== 10", "== 11"));
    let args = ["coverage", "--shard", "2/4", "--out", "in", "--exit-zero-on-test-failure"];
    project.run(&args).exits(0).says("✗ tests failed: 1 of 2 tests failed");
    project.run(&args[..5]).exits(1).says("Shard: ").never_says("Coverage: ");
    let output = combine(&project).exits(1).says("1 of 8 tests failed").says("assert 10 == 11");
    output.says("Coverage: ").tells("Shard 2/4: 2 tests, 1 failed");
    assert!(project.has(".coverage"), "all tests ran");
    project.run(&["coverage", "--last-failed"]).exits(1).says("1 of 1 test failed");
}

/// A shard ends at the limit on failures; what it has left undone is run where shards are combined.
#[test]
fn a_shard_that_stopped_early_is_healed() {
    let project = elsewhere();
    let (name, text) = TESTS[1];
    project.write(name, &text.replace("== 5", "== 6").replace("== 10", "== 11"));
    let args = ["coverage", "--shard", "2/4", "--out", "in", "--max-failures", "1"];
    project.run(&args).exits(1).says("✗ aborted: stopped after 1 failure; 1 test did not run");
    let output = combine(&project).exits(1).never_says("Coverage: ");
    let output = output.says("✗ shard 2 of 4: 1 test planned and not run, `tests/test_b_jam.py::");
    output.says("✗ aborted: stopped after 1 failure; 1 test did not run");
    let output = project.run(&["coverage", "combine", "in", "--heal", "--report", "term"]);
    let output = output.exits(1).says("✗ tests failed: 2 of 8 tests failed");
    assert_eq!(output.line("Coverage: "), four().coverage);
}

/// A threshold is for the whole.
#[test]
fn thresholds_are_judged_where_shards_are_combined() {
    let (name, text) = CONFIGURATION;
    let text = format!("{text}[tool.coverage.report]\nfail_under = 99\n");
    let project = project();
    project.write(name, &text);
    for index in ["1/2", "2/2"] {
        let output = project.run(&["coverage", "--shard", index, "--out", "in"]).exits(0);
        output.never_says("Coverage: ").never_says("fail-under");
    }
    combine(&project).exits(2).says("is less than fail-under=99");
}

/// The last line says so, and agrees with the summary.
#[test]
fn a_shard_that_cannot_be_delivered() {
    let project = project();
    project.write("in", "a file");
    let args = ["coverage", "--shard", "1/2", "--out", "in", "--summary-json", "s.json"];
    let output = project.run(&args).exits(3);
    let last = output.stdout.lines().last().expect("a verdict");
    assert!(last.starts_with("✗ error: failed to write the shard to `"), "{output}");
    assert_eq!(project.json("s.json")["exit_code"], json!(3));
}

/// More shards than tests: nothing is run in some, and nothing is wrong with that.
#[test]
fn an_empty_shard_runs_nothing() {
    let project = Project::new(&[CONFIGURATION, SHOP, TESTS[0]]);
    for index in 1..=3 {
        let output = project.run(&["coverage", "--shard", &format!("{index}/3"), "--out", "in"]);
        let output = output.exits(0);
        let tests = if index < 3 { "1 test passed" } else { "0 tests passed" };
        output.says(tests);
    }
    combine(&project).exits(0).says("2 tests passed").says("Coverage: ");
}

#[test]
fn a_plan_without_tests_is_no_success() {
    let project = Project::new(&[CONFIGURATION, SHOP, ("tests/test_none.py", "")]);
    for index in ["1/2", "2/2"] {
        project.run(&["coverage", "--shard", index, "--out", "in"]).exits(5).says("no tests");
    }
    combine(&project).exits(5).says("no tests were found");
    let plan = ["coverage", "plan", "--shards", "2", "--out", "plan.json"];
    project.run(&plan).exits(5);
    assert!(!project.has("plan.json"));
}

/// Whatever a cache has restored for one of them.
#[test]
fn with_a_plan_all_shards_split_alike() {
    let project = project();
    let plan = ["coverage", "plan", "--shards", "2", "--out", "plan.json"];
    project.run(&plan).exits(0);
    let args = ["--plan", "plan.json", "--out", "in"];
    project.run(&[&["coverage", "--shard", "1/2"], &args[..]].concat()).exits(0);
    project.write(".test_durations", "{\"tests/test_a_tea.py::test_one\": 100.0}");
    project.run(&[&["coverage", "--shard", "2/2"], &args[..]].concat()).exits(0);
    combine(&project).exits(0).says("8 tests passed");
    let other = [&["coverage", "--shard", "1/3"], &args[..]].concat();
    project.run(&other).exits(4).tells("`plan.json` is a plan for 2 shards");
    project.write("tests/test_new.py", "def test_new():\n    pass\n");
    let output = project.run(&[&["coverage", "--shard", "2/2"], &args[..]].concat()).exits(3);
    output.says("the tests are not those of the plan: 1 are not in the plan, `tests/test_new.py::");
}

#[test]
fn a_plan_is_json_for_other_programs() {
    let project = project();
    let output = project.run(&["coverage", "plan", "--json", "--shards", "4", "-q"]).exits(0);
    let plan: Value = serde_json::from_str(&output.stdout).expect("JSON and nothing else");
    assert_eq!(plan["shards"].as_array().expect("shards").len(), 4);
    let shard =
        |at: usize| (plan["tests"][at]["id"].as_str().expect("an id"), &plan["tests"][at]["shard"]);
    assert_eq!(shard(0), ("tests/test_a_tea.py::test_one", &json!(1)));
    assert_eq!(shard(7), ("tests/test_d_rye.py::test_again", &json!(4)));
}

/// Which shard is whose is what pytest-split says, with every engine.
mod membership {
    use super::*;

    fn check(engine: &str) {
        let project = project();
        project.write(
            ".test_durations",
            "{\"tests/test_a_tea.py::test_one\": 5.0, \"tests/test_d_rye.py::test_one\": 2.5}",
        );
        for index in 1..=3 {
            let (shard, group) = (format!("{index}/3"), index.to_string());
            let args = ["--out", "in", "--engine", engine];
            project.run(&[&["coverage", "--shard", &shard], &args[..]].concat()).exits(0);
            let record = format!("in/shard-0{index}-of-03/shard-0{index}-of-03.tests.json");
            let ran = project.json(&record)["planned"].clone();
            let args = ["pytest", "-q", "--collect-only", "--splits", "3", "--group", &group];
            let listed = project.env().module(&project.root, &args);
            let ids = listed.stdout.lines().filter(|line| line.contains("::"));
            assert_eq!(ran, json!(ids.collect::<Vec<_>>()), "{listed}");
        }
        combine(&project).exits(0).says("8 tests passed");
    }

    #[test]
    fn fork() {
        check("fork");
    }

    #[test]
    #[ignore = "slow: three runs of the stock engine"]
    fn stock() {
        check("stock");
    }
}

/// Arrays of Slurm have one checkout on a disk that all share.
#[test]
fn shards_can_run_at_once_in_one_checkout() {
    let project = project();
    let start = |index: u32| {
        let shard = format!("{index}/2");
        project.xtask(&["coverage", "--shard", &shard, "--out", "in"]).start()
    };
    let both = [start(1), start(2)];
    for running in both {
        running.output().exits(0);
    }
    for shard in ["shard-01-of-02", "shard-02-of-02"] {
        let folder = format!(".xtask/shards/{shard}/runs/last");
        assert_eq!(project.names(&folder), ["logs", "parts", "run.html"]);
    }
    combine(&project).exits(0).says("8 tests passed");
}

/// The total is ours, the index the engine's.
#[test]
fn the_engine_says_which_shard_this_is() {
    let project = project();
    let run = |args: &[&str], vars: &[(&str, &str)]| {
        let run = project.xtask(args);
        vars.iter().fold(run, |run, (name, value)| run.var(name, value)).output()
    };
    let slurm = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_JOB_ID", "7")];
    let args = ["coverage", "--shard", "auto/2", "--out", "in"];
    run(&args, &slurm).exits(0).says("in/shard-02-of-02");
    let matrix = [("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "4")];
    run(&args, &matrix).exits(4).tells("GitLab CI runs 4 jobs (`CI_NODE_TOTAL`)");
    run(&["coverage", "--shard", "/"], &[]).exits(4).tells("lacks a number");
    run(&["coverage", "--shard", "0/2"], &[]).exits(4).tells("shards are counted from 1");
}

/// The commit that is checked out must be that of the shards.
#[test]
fn another_commit_is_checked_out() {
    let project = project();
    let git = |args: &[&str]| crate::support::git(&project.root, args);
    project.write(".gitignore", ".xtask/\nin/\n.coverage\nhtmlcov/\n__pycache__/\n");
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    for index in ["1/2", "2/2"] {
        project.run(&["coverage", "--shard", index, "--out", "in"]).exits(0);
    }
    let manifest = "in/shard-01-of-02/shard-01-of-02.manifest.json";
    assert_eq!(project.json(manifest)["dirty"], json!(false));
    let head = git(&["rev-parse", "HEAD"]).stdout;
    assert_eq!(project.json(manifest)["commit"], json!(head.trim()));
    combine(&project).exits(0);
    fs::remove_file(project.root.join(".coverage")).expect("data");
    git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    refused(&project, &format!("the shards are of commit `{}`, and here", head.trim()));
}
