//! Suites that use well-known plugins for what they are for: whatever the engine, their tests
//! end as in a sequential run, with the same coverage, and the same files are left behind.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::identity::{facts, inventory_env};
use crate::support::{Env, Output, Project, Run, STOCK, env};

const ENGINES: [&str; 3] = ["fork", "spawn", "stock"];

/// Forks are asked for by name here: where a plugin has connected to a server while it was
/// configured, as pytest-retry does, they would not have been chosen.
const FORCED: &str = "warning: a socket is open (connected to ";

/// A sample project, and how it is run.
#[derive(Clone, Debug)]
struct Suite {
    name: &'static str,
    env: Env,
    vars: &'static [(&'static str, &'static str)],
    /// Arguments for pytest in all runs.
    pytest: &'static [&'static str],
    /// More of them, in the sequential run alone.
    sequential: &'static [&'static str],
    splits: &'static str,
    workers: &'static str,
}

/// All there is to compare.
#[derive(Debug, PartialEq)]
struct Ending {
    code: i32,
    counts: BTreeMap<String, u64>,
    failed: Vec<String>,
    left: Vec<String>,
    facts: String,
}

/// The suite of `tests/projects/plugins/NAME` in an environment with these plugins.
fn suite_with(name: &'static str, env: Env) -> Suite {
    let (vars, pytest, sequential): (&[_], &[_], &[_]) = (&[], &[], &[]);
    Suite { name, env, vars, pytest, sequential, splits: "3", workers: "2" }
}

/// The same, in the environment that most of them share.
fn suite(name: &'static str) -> Suite {
    let plugins = [
        "anyio",
        "hypothesis",
        "pytest-benchmark",
        "pytest-cov",
        "pytest-mock",
        "pytest-order",
        "pytest-rerunfailures",
        "pytest-sugar",
        "pytest-timeout",
        "trio",
    ];
    suite_with(name, env(&[STOCK, &plugins].concat()))
}

impl Suite {
    fn project(&self) -> Project {
        Project::sample(&format!("plugins/{}", self.name)).with(self.env.clone())
    }

    fn with_vars(&self, run: Run) -> Run {
        self.vars.iter().fold(run, |run, (name, value)| run.var(name, value))
    }

    /// `coverage run -m pytest`.
    fn sequential(&self) -> Ending {
        let project = self.project();
        let words = ["-m", "coverage", "run", "-m", "pytest", "-rfE"];
        let run = Run::of(&self.env.python()).args(&words).args(self.pytest).args(self.sequential);
        let output = self.with_vars(run.cwd(&project.root).active(&self.env)).output();
        let id = |line: &str| {
            let rest = line.strip_prefix("FAILED ").or(line.strip_prefix("ERROR "))?;
            rest.split(' ').next().map(str::to_owned)
        };
        let failed = output.stdout.lines().filter_map(id).collect();
        ending(&project, output.code, counts(&output.stdout), failed)
    }

    fn run(&self, engine: &str) -> (Output, Ending) {
        let project = self.project();
        let summary = project.root.join("../summary.json");
        let args = ["coverage", "--engine", engine, "--summary-json", summary.as_str()];
        let args = [&args[..], &["--splits", self.splits, "--max-concurrent-splits", "1"]].concat();
        let args =
            [&args[..], &["--workers-per-split", self.workers, "--max-failures", "0"]].concat();
        let run = project.xtask(&args).args(&["--"]).args(self.pytest);
        let output = self.with_vars(run).output();
        let summary = project.json("../summary.json");
        assert_eq!(summary["engine"], engine, "{output}");
        let mut counts: BTreeMap<String, u64> =
            serde_json::from_value(summary["tests"].clone()).expect("counts");
        counts.retain(|name, count| name != "collected" && *count > 0);
        let failed = serde_json::from_value(summary["failed_tests"].clone()).expect("node ids");
        let ending = ending(&project, output.code, counts, failed);
        (output, ending)
    }

    /// Runs it with every engine, and compares.
    fn is_the_same(&self) {
        let wanted = self.sequential();
        ENGINES.iter().for_each(|engine| drop(self.ends_like(engine, &wanted)));
    }

    #[track_caller]
    fn ends_like(&self, engine: &str, wanted: &Ending) -> Output {
        let (output, ending) = self.run(engine);
        assert_eq!(&ending, wanted, "{} with {engine}: {output}", self.name);
        let known = ["Coverage of ", "  • ", "[Split ", "✗ tests/", "note: addopts has ", FORCED];
        let noise = |line: &&str| !known.iter().any(|start| line.starts_with(start));
        assert_eq!(
            output.stderr.lines().find(noise),
            None,
            "{} with {engine}: {output}",
            self.name
        );
        output
    }
}

fn ending(
    project: &Project,
    code: i32,
    counts: BTreeMap<String, u64>,
    mut failed: Vec<String>,
) -> Ending {
    failed.sort();
    failed.dedup();
    let mut left = Vec::new();
    list(&project.root, &project.root, &mut left);
    left.sort();
    Ending { code, counts, failed, left, facts: facts(project, ".coverage") }
}

/// The counts in pytest's last line, `=== 1 failed, 2 passed, 1 error in 0.12s ===`, by the names
/// that the summary has for them.
fn counts(stdout: &str) -> BTreeMap<String, u64> {
    let line = stdout.lines().last().expect("a last line").trim_matches(['=', ' ']);
    let line = line.split(" in ").next().unwrap_or_default();
    let pair = |part: &str| {
        let (count, name) = part.split_once(' ')?;
        let name = match name {
            "error" => "errors",
            "rerun" => "reruns",
            "warning" | "warnings" => return None,
            name => name,
        };
        Some((name.to_owned(), count.parse().ok()?))
    };
    line.split(", ").filter_map(pair).collect()
}

/// What there is in a folder, without what every run leaves; of folders that plugins keep only
/// the names.
fn list(root: &Utf8Path, folder: &Utf8Path, found: &mut Vec<String>) {
    const USUAL: [&str; 5] = ["__pycache__", ".pytest_cache", ".xtask", "htmlcov", ".coverage"];
    for entry in folder.read_dir_utf8().expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if USUAL.contains(&name) {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() && !name.starts_with('.') {
            list(root, entry.path(), found);
        } else {
            found.push(entry.path().strip_prefix(root).expect("a path in it").to_string());
        }
    }
}

/// Event loops for a test, a class and the session; a server that lives as long as the session.
#[test]
fn asyncio() {
    suite_with("asyncio", inventory_env()).is_the_same();
}

#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn anyio() {
    suite("anyio").is_the_same();
}

#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn timeout() {
    suite("timeout").is_the_same();
}

/// The method `thread` ends the process: of a sequential run that is the end.
#[test]
#[ignore = "slow: plugins to install, and two runs"]
fn timeout_that_ends_the_process() {
    let suite = suite("timeout");
    for engine in ["fork", "spawn"] {
        let project = suite.project();
        let args = ["coverage", "--engine", engine, "--splits", "1", "--max-failures", "0"];
        let run = project.xtask(&args).args(&["--", "--timeout-method=thread"]);
        let output = run.output().exits(1).says("Tests: 3 passed, 3 crashed\n");
        output.tells("✗ tests/test_forever.py::test_its_own_limit crashed\n");
    }
}

#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn rerunfailures() {
    let suite = suite("rerunfailures");
    let wanted = suite.sequential();
    for engine in ENGINES {
        let output = suite.ends_like(engine, &wanted);
        output
            .says("Flaky, passed when repeated (4):\n")
            .says("    tests/test_luck.py::test_third_time_lucky\n");
    }
}

/// The first attempt of a test counts as a rerun, as pytest-retry reports it.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn retry() {
    let suite = suite_with("retry", env(&[STOCK, &["pytest-retry"]].concat()));
    let mut wanted = suite.sequential();
    let retried = wanted.counts.remove("retried").expect("a count");
    wanted.counts.insert("reruns".to_owned(), retried);
    for engine in ENGINES {
        let output = suite.ends_like(engine, &wanted);
        output.says("Flaky, passed when repeated (2):\n").says("the following tests were retried");
    }
}

/// Variables, clocks, servers and sockets that tests find, and files that they are compared with.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn surroundings() {
    let plugins = ["env", "freezer", "httpserver", "regressions", "socket"];
    let plugins = plugins.map(|name| format!("pytest-{name}"));
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    suite_with("surroundings", env(&[STOCK, &plugins].concat())).is_the_same();
}

/// What a test draws depends on the seed and its name, so which of them fail shows whether the
/// seed is the same in every process.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn randomly() {
    let env = env(&[STOCK, &["pytest-randomly"]].concat());
    suite_with("randomly", env).is_the_same();
}

/// What is ours is nothing to warn of, whoever hears of tests.
#[test]
fn warnings_may_be_errors() {
    for engine in ["fork", "spawn"] {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\nfilterwarnings = error\n"),
            ("conftest.py", "def pytest_runtest_logreport(report): pass\n"),
            ("test_one.py", "def test_it(): pass\n"),
        ]);
        project.run(&["coverage", "--engine", engine, "--report", "none"]).exits(0);
    }
}

/// What pytest and a conftest keep for the next run is where a sequential run keeps it, and the
/// session's end knows how many tests there were.
#[test]
fn the_cache_is_that_of_a_sequential_run() {
    let conftest = "
def pytest_sessionfinish(session):
    cache = session.config.cache
    if not hasattr(session.config, 'workerinput'):
        cache.set('runs/count', cache.get('runs/count', 0) + 1)

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f'of {terminalreporter._numcollected} tests')
";
    for engine in ["fork", "spawn"] {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            ("conftest.py", conftest),
            ("test_one.py", "def test_good(): pass\ndef test_bad(): assert 0\n"),
            (".pytest_cache/v/runs/count", "41"),
        ]);
        let more = ["--splits", "1", "--workers-per-split", "1", "--", "--stepwise"];
        let output = project.run(&[&["test", "--engine", engine], &more[..]].concat()).exits(1);
        let output = output.says("of 2 tests\n");
        let said = "✗ a plugin stopped the session: Test failed, continuing from this test";
        assert_eq!(output.stdout.matches(said).count(), 1, "{output}");
        assert_eq!(project.read(".pytest_cache/v/runs/count"), "42", "{engine}");
        let kept = project.json(".pytest_cache/v/cache/stepwise");
        assert_eq!(kept["last_failed"], "test_one.py::test_bad", "{engine}");
    }
}

/// Tests replace what our own code calls too: `os.write`, `os._exit`, `os.fork`, clocks.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn mock() {
    suite("mock").is_the_same();
}

/// As under xdist, what would be measured is called once.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn benchmark() {
    Suite { sequential: &["--benchmark-disable"], ..suite("benchmark") }.is_the_same();
}

/// Examples, a state machine, a deadline that is missed, failures that go into the database.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn hypothesis() {
    suite("hypothesis").is_the_same();
}

/// Addopts like `-n 2 --cov=src`, and fixtures of pytest-cov and pytest-xdist.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn cov_xdist_and_split() {
    Suite { sequential: &["-o", "addopts="], ..suite("present") }.is_the_same();
}

#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn sugar() {
    suite("sugar").is_the_same();
}

/// Tests that need others to have run before, and say so: one split, and with the stock engine
/// one worker.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn order() {
    let suite = Suite { splits: "1", ..suite("order") };
    let wanted = suite.sequential();
    suite.ends_like("fork", &wanted);
    suite.ends_like("spawn", &wanted);
    Suite { workers: "1", ..suite }.ends_like("stock", &wanted);
}

/// A database in memory.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn django() {
    site().is_the_same();
}

/// One in a file, for each worker a file of its own, which is gone in the end.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn django_with_a_file() {
    Suite { vars: &[("LIBRARY_TEST_NAME", "test_library.sqlite3")], ..site() }.is_the_same();
}

/// The files stay, named after the workers. Spawn sets the session's fixtures up for each unit
/// anew, and so makes more of them.
#[test]
#[ignore = "slow: plugins to install, and three runs"]
fn django_keeps_its_files_on_request() {
    let vars = &[("LIBRARY_TEST_NAME", "test_library.sqlite3")];
    let suite = Suite { vars, pytest: &["--reuse-db"], ..site() };
    let mut wanted = suite.sequential();
    let at = wanted.left.iter().position(|name| name == "test_library.sqlite3").expect("a file");
    let files = ["test_library.sqlite3_gw0", "test_library.sqlite3_gw1"].map(str::to_owned);
    wanted.left.splice(at..=at, files);
    suite.ends_like("stock", &wanted);
    // What fails in a fork is confirmed by one worker more.
    wanted.left.insert(at + 2, "test_library.sqlite3_gw2".to_owned());
    suite.ends_like("fork", &wanted);
}

fn site() -> Suite {
    suite_with("django", env(&[STOCK, &["django", "pytest-django"]].concat()))
}

/// Those of pytest itself, since version 9.
#[test]
fn subtests() {
    subtests_are_told_once(env(STOCK));
}

/// Those of the plugin, for the pytest before.
#[test]
#[ignore = "slow: plugins to install, and four runs"]
fn subtests_of_the_plugin() {
    subtests_are_told_once(env(&[&["pytest<9", "pytest-subtests"], &STOCK[1..]].concat()));
}

/// pytest counts subtests among the tests, differently from version to version. We count tests.
fn subtests_are_told_once(env: Env) {
    let suite = suite_with("subtests", env);
    let mut wanted = suite.sequential();
    wanted.counts = [("failed", 3), ("passed", 3)].map(|(name, n)| (name.to_owned(), n)).into();
    wanted.failed = [
        "case.py::TestUnits::test_each",
        "units.py::test_two_are_wrong",
        "units.py::test_wrong_behind_them",
    ]
    .map(|name| format!("tests/test_{name}"))
    .into();
    for engine in ENGINES {
        let output = suite.ends_like(engine, &wanted);
        for unit in ["foot", "yard"] {
            let lines = output.stdout.lines();
            let named = lines.filter(|line| {
                line.starts_with("test_two_are_wrong [more than a little]") && line.contains(unit)
            });
            assert_eq!(named.count(), 1, "{engine}: {output}");
        }
        output.says("measuring a yard\n").never_says("contains 2 failed subtests");
    }
}
