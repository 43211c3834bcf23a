//! The coverage of a parallel run is that of a sequential one: files, lines and arcs.

use camino::Utf8Path;

use crate::shop::shop;
use crate::support::{Env, Project, STOCK, env};

/// What is in a data file, as text: one line for each file, relative to the folder.
const DATA: &str = "
import os, sys
from coverage import CoverageData
data = CoverageData(sys.argv[1])
data.read()
for file in sorted(data.measured_files()):
    arcs = sorted(data.arcs(file)) if data.has_arcs() else None
    print(os.path.relpath(file), sorted(data.lines(file)), arcs)
";

/// `coverage` as in the foreground: what a shell starts in the background ignores SIGINT, and
/// asyncio does without some of its steps then. The tool sees to that itself.
const COVERAGE: &str = "
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, '-m', 'coverage', *sys.argv[1:]])
";

/// The measured facts of a data file.
pub(crate) fn facts(project: &Project, file: &str) -> String {
    project.python_says(DATA, &[file])
}

/// Runs the suite in the usual sequential way, with its data in a folder of its own, and
/// returns the facts and the report.
pub(crate) fn sequential(project: &Project, run: &[&str], pytest: &[&str]) -> (String, String) {
    let aside = project.root.join("../sequential");
    std::fs::create_dir_all(&aside).expect("a folder");
    let file = aside.join(".coverage");
    let coverage = |args: &[&str]| {
        let run = crate::support::Run::of(&project.env().python()).args(&["-c", COVERAGE]);
        let run = run.args(args).cwd(&project.root).active(project.env());
        run.var("COVERAGE_FILE", file.as_str()).output()
    };
    coverage(&[&["run"], run, &["-m", "pytest"], pytest].concat()).exits(0);
    if !file.exists() {
        coverage(&["combine"]).exits(0);
    }
    let report = coverage(&["report"]).stdout;
    (facts(project, file.as_str()), report)
}

/// Runs the suite with an engine, and compares all there is to compare.
#[track_caller]
fn same_as_sequential(project: &Project, run: &[&str], pytest: &[&str], args: &[&str]) {
    same_as(&sequential(project, run, pytest), project, args);
}

/// The same, given the facts and the report of the sequential run.
#[track_caller]
fn same_as((facts, report): &(String, String), project: &Project, args: &[&str]) {
    let _ = std::fs::remove_file(project.root.join(".coverage"));
    let output = project.run(args).exits(0);
    assert_eq!(&self::facts(project, ".coverage"), facts, "{output}");
    assert!(output.stdout.contains(report.trim_end()), "{report}\n{output}");
}

engines! {
    fn small_project(engine) {
        let project = shop("", "");
        let args = crate::shop::coverage(engine, &[]);
        same_as_sequential(&project, &["--source=src/shop"], &[], &args);
    }

    fn small_project_with_branches_and_workers(engine) {
        let project = shop("", "[tool.coverage.run]\nbranch = true\nsource = ['src']");
        let args = ["coverage", "--engine", engine, "--splits", "2", "--workers-per-split", "2"];
        same_as_sequential(&project, &[], &["-n0"], &args);
    }
}

const ENGINES: [&str; 3] = ["stock", "fork", "spawn"];

/// Configured like the project that this tool was written for.
#[test]
#[ignore = "slow: every engine"]
fn inventory_with_every_engine() {
    let project = Project::sample("inventory").with(inventory_env());
    let sequential = sequential(&project, &[], &["-n0", "--no-cov"]);
    let summary = project.root.join("../summary.json");
    for engine in ENGINES {
        let args = ["coverage", "--engine", engine, "--splits", "3"];
        let to = ["--summary-json", summary.as_str()];
        same_as(&sequential, &project, &[&args[..], &to].concat());
        assert!(project.read("htmlcov/index.html").contains("Coverage report"));
        let left = project.names("");
        assert_eq!(left.iter().filter(|name| name.starts_with(".coverage")).count(), 1, "{left:?}");
        let summary = project.json("../summary.json");
        let tests = &summary["tests"];
        let number = |key: &str| tests[key].as_u64().expect("a number");
        let sum: u64 = ["passed", "skipped", "xfailed", "xpassed"].map(number).iter().sum();
        assert!(sum >= 200, "{summary}");
        assert_eq!(tests["collected"], sum, "{summary}");
        assert_eq!(summary["outcome"], "passed");
        assert_eq!(summary["partial"], false);
        assert_eq!(summary["engine"], engine);
        assert_eq!(summary["splits"]["completed"], 3);
        assert_eq!(summary["data_file"], project.root.join(".coverage").as_str());
        assert_eq!(summary["reports"]["html"], project.root.join("htmlcov/index.html").as_str());
    }
}

/// A suite that others wrote.
#[test]
#[ignore = "slow: a real suite, four runs"]
fn jinja2_with_every_engine() {
    let env = env(&[STOCK, &["markupsafe", "trio"]].concat());
    let project = Project::at("jinja2", &[]).with(env);
    unpack(project.env(), "jinja2", "3.1.6", &project.root);
    let pyproject = project.read("pyproject.toml");
    let pytest = "[tool.pytest.ini_options]";
    assert!(pyproject.contains(pytest), "{pyproject}");
    let with_path = format!("{pytest}\npythonpath = ['src']");
    let pyproject = pyproject.replace(pytest, &with_path);
    // Its own configuration measures the tests' folder too, with templates that are no Python.
    let sources = r#"source = ["jinja2", "tests"]"#;
    assert!(pyproject.contains(sources), "{pyproject}");
    project.write("pyproject.toml", &pyproject.replace(sources, r#"source = ["jinja2"]"#));
    let sequential = sequential(&project, &[], &["-n0"]);
    for engine in ENGINES {
        let args = ["coverage", "--engine", engine, "--splits", "2"];
        same_as(&sequential, &project, &args);
    }
}

/// What the group of its lock file for tests has.
pub(crate) fn inventory_env() -> Env {
    env(&[STOCK, &["pytest-asyncio", "pytest-cov", "pytest-timeout"]].concat())
}

/// A source distribution from PyPI, downloaded once.
fn unpack(env: &Env, name: &str, version: &str, to: &Utf8Path) {
    let sdists = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdists").join(name);
    std::fs::create_dir_all(&sdists).expect("a folder");
    let file = sdists.join(format!("{name}-{version}.tar.gz"));
    let lock = std::fs::File::create(sdists.join("lock")).expect("a lock file");
    let _lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).expect("a lock");
    if !file.exists() {
        let requirement = format!("{name}=={version}");
        let download = ["pip", "download", "-q", "--no-deps", "--no-binary", ":all:"];
        let download = [&download[..], &["-d", sdists.as_str(), &requirement]].concat();
        env.module(&sdists, &download).exits(0);
    }
    let extract = "
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    for member in archive.getmembers():
        member.name = member.name.partition('/')[2]
        if member.name:
            archive.extract(member, sys.argv[2])
";
    env.python_says(to, extract, &[file.as_str(), to.as_str()]);
}

/// A flat layout with nothing but Python on the machine: the environment is made, the project
/// installed into it with its test group, and then it serves every engine.
#[test]
#[ignore = "slow: an environment to make"]
fn flat_with_an_environment_of_its_own() {
    let project = Project::sample("flat").without_env();
    let first = project.xtask(&["coverage", "--engine", "fork", "--splits", "3"]);
    // A service is told what may be folded away.
    let first = first.var("GITHUB_ACTIONS", "true").output().exits(0);
    let first = first.tells("::group::Preparing the environment\nCreating an environment in ");
    let first = first.tells("\n::endgroup::\nCoverage of flat in 3 splits\n");
    assert!(project.has(".xtask/venv/bin/python"), "{first}");
    assert_eq!(project.read(".xtask/.gitignore"), "*\n");
    let project = project.with(Env { root: Utf8Path::new("").to_path_buf() });
    let own = Env { root: project.root.join(".xtask/venv") };
    let project = project.with(own);
    let (wanted, report) = sequential(&project, &["--source=recipes"], &[]);
    assert_eq!(facts(&project, ".coverage"), wanted, "{first}");
    let project = project.without_env();
    let mut seen = vec![first];
    for workers in ["1", "2"] {
        let args = ["coverage", "--engine", "stock", "--splits", "2"];
        let args = [&args[..], &["--workers-per-split", workers]].concat();
        seen.push(project.run(&args).exits(0));
        let env = Env { root: project.root.join(".xtask/venv") };
        let data = env.python_says(&project.root, DATA, &[".coverage"]);
        assert_eq!(data, wanted, "{workers} workers");
    }
    for output in seen {
        assert!(output.stdout.contains(report.trim_end()), "{report}\n{output}");
    }
}
