//! `--tail`: the end of each shard's tests goes to whichever shard has time for it.

use std::fs;

use serde_json::{Value, json};

use crate::shards::{CONFIGURATION, measured};
use crate::support::{Output, Project};

/// Eight files of two tests. By the durations that are committed each takes ten seconds, so that
/// two shards have a head of two files and two batches each. Really they take no time.
fn project() -> Project {
    let project = Project::new(&[CONFIGURATION]);
    let mut source = String::new();
    let mut durations = serde_json::Map::new();
    for n in 0..8 {
        source += &format!(
            "def f{n}(it):\n    if it:\n        return {n}\n    return -1\n\n\
             def g{n}():\n    return {n}\n\n"
        );
        let file = format!("tests/test_{n}.py");
        let test = format!(
            "import shop\n\ndef test_f():\n    assert shop.f{n}(1) == {n}\n\n\
             def test_g():\n    assert shop.g{n}() == {n}\n"
        );
        project.write(&file, &test);
        for name in ["test_f", "test_g"] {
            durations.insert(format!("{file}::{name}"), json!(5.0));
        }
    }
    project.write("src/shop/__init__.py", &source);
    project.write(".test_durations", &Value::Object(durations).to_string());
    fs::create_dir(project.root.join("claims")).expect("a folder");
    project.run(&["coverage", "plan", "--shards", "2", "--out", "plan.json"]).exits(0);
    project
}

fn shard(project: &Project, index: u32, store: &str) -> Output {
    let shard = format!("{index}/2");
    let args = ["--plan", "plan.json", "--out", "in", "--tail", store];
    project.run(&[&["coverage", "--shard", &shard][..], &args].concat())
}

fn combine(project: &Project, more: &[&str]) -> Output {
    project.run(&[&["coverage", "combine", "in", "--report", "term"], more].concat())
}

/// Batches that a shard was to run, and those that it has left to others.
fn batches(project: &Project, index: u32) -> (Value, Value) {
    let tail = manifest(project, index)["tail"].clone();
    assert_eq!(tail["claimed"], tail["run"], "{tail}");
    (tail["claimed"].clone(), tail["left"].clone())
}

fn manifest(project: &Project, index: u32) -> Value {
    project.json(&format!("in/shard-0{index}-of-02/shard-0{index}-of-02.manifest.json"))
}

/// What a run of the whole suite on one machine comes to.
fn whole(project: &Project) -> (String, String) {
    let output = project.run(&["coverage", "--report", "term"]).exits(0);
    (output.line("Coverage: ").to_owned(), measured(project))
}

/// One is through before the other begins: it has run all batches of both.
#[test]
fn what_a_slow_shard_does_not_come_to_goes_to_a_fast_one() {
    let project = project();
    let sequential = whole(&project);
    shard(&project, 1, "claims").exits(0).says("12 tests passed");
    shard(&project, 2, "claims").exits(0).says("4 tests passed");
    assert_eq!(batches(&project, 1), (json!([1, 2, 4, 3]), json!([])));
    assert_eq!(batches(&project, 2), (json!([]), json!([3, 4])));
    let output = combine(&project, &["--summary-json", "s.json", "--junit", "j.xml"]).exits(0);
    let output = output.says("16 tests passed").tells("Shard 1/2: 12 tests, 4 batches claimed");
    assert_eq!((output.line("Coverage: ").to_owned(), measured(&project)), sequential);
    let summary = project.json("s.json");
    assert_eq!(summary["tests"]["not_run"], json!(0));
    assert_eq!(summary["splits"]["completed"], json!(2));
    assert_eq!(project.read("j.xml").matches("<testcase ").count(), 16);
}

/// What it has run is lost with it, and so is what it has claimed of others.
#[test]
fn batches_of_a_shard_that_died_are_named_and_healed() {
    let project = project();
    let sequential = whole(&project);
    fs::remove_file(project.root.join(".coverage")).expect("data");
    shard(&project, 1, "claims").exits(0);
    shard(&project, 2, "claims").exits(0);
    fs::remove_dir_all(project.root.join("in/shard-01-of-02")).expect("a shard");
    let output = combine(&project, &[]).exits(3).never_says("Coverage: ");
    let output = output.says("shard 1 of 2: was not delivered");
    output.says(
        "shard 2 of 2: 4 tests planned and not run, `tests/test_6.py::test_f` first; batches 3, 4 \
         were claimed by shards that have not delivered them",
    );
    assert!(!project.has(".coverage"));
    let output = combine(&project, &["--heal"]).exits(0).says("16 tests passed");
    assert_eq!((output.line("Coverage: ").to_owned(), measured(&project)), sequential);
}

#[test]
fn without_its_store_a_shard_runs_what_is_its_own() {
    let project = project();
    for index in [1, 2] {
        let output = shard(&project, index, "nowhere").exits(0).says("8 tests passed");
        let line = "the store of the tail is away, so this shard runs its own tests, and no others";
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(said.matches(line).count(), 1, "{output}");
    }
    combine(&project, &[]).exits(0).says("16 tests passed");
}

/// The next shard that asks gets them.
#[test]
fn a_shard_whose_processes_all_die_claims_nothing() {
    let project = project();
    let dies = "import os\n\ndef pytest_runtest_call(item):\n    os._exit(1)\n";
    project.write("conftest.py", dies);
    let output = shard(&project, 1, "claims").exits(1);
    output.tells("no process of this shard came to its end, so it claims nothing");
    assert_eq!(batches(&project, 1), (json!([]), json!([1, 2])));
    project.write("conftest.py", "");
    shard(&project, 2, "claims").exits(0).says("12 tests passed");
    let output = combine(&project, &[]).exits(1);
    output.says("4 of 16 tests failed").says("Coverage: ");
}

/// What the first attempt had claimed is lost with it, or both have run it: then once is enough,
/// and the later one counts.
#[test]
fn a_shard_that_runs_again_runs_all_it_has() {
    let project = project();
    let fails =
        "import os\n\ndef pytest_runtest_call(item):\n    assert 'test_6' not in item.nodeid\n";
    project.write("conftest.py", fails);
    shard(&project, 1, "claims").exits(1).says("2 of 12 tests failed");
    project.write("conftest.py", "");
    shard(&project, 2, "claims").exits(0);
    let output = shard(&project, 2, "claims").exits(0).says("8 tests passed");
    output.tells("another attempt at this shard has claimed batches, so this one runs all tests");
    assert_eq!(batches(&project, 2), (json!([3, 4]), json!([])));
    let output = combine(&project, &["--junit", "j.xml"]).exits(0).says("16 tests passed");
    output.says("✓ passed");
    assert_eq!(project.read("j.xml").matches("<testcase ").count(), 16);
}

/// Whatever can make an object that is not there yet.
#[test]
fn a_command_claims() {
    let project = project();
    let script = "case $1 in */*) ;; *) exit 9;; esac\n\
                  mkdir -p \"claims/$(dirname \"$1\")\" && mkdir \"claims/$1\" 2>/dev/null || exit 1\n";
    project.write("claim.sh", script);
    let store = format!("command:sh {}/claim.sh", project.root);
    shard(&project, 2, &store).exits(0).says("12 tests passed");
    shard(&project, 1, &store).exits(0).says("4 tests passed");
    combine(&project, &[]).exits(0).says("16 tests passed");
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let project = project();
    shard(&project, 1, "claims").exits(0);
    shard(&project, 2, "claims").exits(0);
    let path = project.root.join("in/shard-02-of-02/shard-02-of-02.manifest.json");
    let mut changed = manifest(&project, 2);
    changed["tail"]["left"] = json!([3]);
    fs::write(&path, changed.to_string()).expect("a manifest");
    let output = combine(&project, &[]).exits(3).never_says("Coverage: ");
    output.says("shard 2 of 2: names other batches than it has");
}

#[test]
fn a_tail_needs_a_shard_of_a_plan() {
    let project = project();
    let output = project.run(&["coverage", "--shard", "1/2", "--tail", "claims"]).exits(4);
    output.tells("`--tail` evens out shards of one plan: it needs `--shard I/N` and `--plan");
}

#[test]
fn a_simulation_says_what_a_tail_would_gain() {
    let project = project();
    project.run(&["coverage", "--engine", "fork", "--report", "none"]).exits(0);
    let pool = ["--max-concurrent-splits", "1", "--workers-per-split", "1"];
    let simulate = ["coverage", "plan", "--simulate", "--shards", "2", "--engine", "fork"];
    let output = project.run(&[&simulate[..], &pool].concat()).exits(0);
    output.line("2 shards of 1 worker: the first and the last are through after");
    for machines in ["All alike ", "One of half the speed "] {
        let line = output.line(machines);
        assert_eq!(line.matches(" – ").count(), 2, "{output}");
    }
}
