//! What a project's addopts ask for, and what is typed after `--`.

use crate::identity::facts;
use crate::shop::{coverage, shop};
use crate::support::{Env, Project, STOCK, env};

fn with_cov() -> Env {
    env(&[STOCK, &["pytest-cov"]].concat())
}

engines! {
    fn cov_says_what_is_measured(engine) {
        let project = shop("addopts = '--cov=src/extra'", "").with(with_cov());
        project.write("src/extra/__init__.py", "A = 1\n");
        let output = project.run(&coverage(engine, &[])).exits(0).tells("Source: src/extra (addopts)");
        assert!(facts(&project, ".coverage").starts_with("src/extra/__init__.py [] "), "{output}");
        output.never_says("src/shop");
    }

    fn cov_branch_measures_branches(engine) {
        let project = shop("addopts = '--cov=src/shop --cov-branch'", "").with(with_cov());
        project.run(&coverage(engine, &[])).exits(0).says("Coverage: 88%");
    }

    fn cov_config_is_read(engine) {
        let project = shop("addopts = '--cov --cov-config=other.ini'", "").with(with_cov());
        project.write("other.ini", "[run]\nbranch = True\nsource = src/shop\n[report]\nprecision = 1\n");
        project.run(&coverage(engine, &[])).exits(0).says("Coverage: 87.5%");
    }

    fn cov_context_is_that_of_pytest_cov(engine) {
        let project = shop("addopts = '--cov=src/shop --cov-context=test'", "").with(with_cov());
        let pytest = project.env().module(&project.root, &["pytest", "-n0", "--cov-report="]);
        pytest.exits(0);
        let contexts = "
from coverage import CoverageData
data = CoverageData()
data.read()
print(sorted(data.measured_contexts()))
for file in sorted(data.measured_files()):
    print(sorted((line, sorted(names)) for line, names in data.contexts_by_lineno(file).items()))
";
        let wanted = project.python_says(contexts, &[]);
        assert!(wanted.contains("tests/test_label.py::test_first|run"), "{wanted}");
        std::fs::remove_file(project.root.join(".coverage")).expect("data");
        let output = project.run(&coverage(engine, &[])).exits(0);
        assert_eq!(project.python_says(contexts, &[]), wanted, "{output}");
    }

    fn cov_fail_under_is_the_threshold(engine) {
        let project = shop("addopts = '--cov=src/shop --cov-fail-under=95'", "").with(with_cov());
        project.run(&coverage(engine, &[])).exits(2)
            .says("✗ below the threshold: coverage total of 90 is less than fail-under=95");
    }

    fn workers_of_addopts_are_replaced_and_that_is_said_once(engine) {
        let project = shop("addopts = '-n4 --dist=loadfile'", "");
        let output = project.run(&coverage(engine, &[])).exits(0);
        let note = "note: addopts has `-n4 --dist=loadfile`: a file is never in two processes at \
                    once; \
                    `--workers-per-split` decides the number of workers\n";
        assert_eq!(output.stderr.matches(note).count(), 1, "{output}");
        assert!(!log(&project).contains("4 workers"), "{output}");
    }

    fn exitfirst_is_a_budget_of_one(engine) {
        let project = failing("addopts = '-x'");
        let output = project.run(&coverage(engine, &[])).exits(1);
        output.says("Tests: 1 failed, 5 not run\n").tells("Failures before abort: 1\n");
    }

    fn maxfail_is_the_budget(engine) {
        let project = failing("addopts = ['--maxfail', '4']");
        let output = project.run(&coverage(engine, &[])).exits(1);
        output.says("Tests: 4 failed, 2 not run\n").tells("Failures before abort: 4\n");
    }

    /// What is typed wins, in pytest too: no split stops by itself.
    fn a_budget_that_is_typed_beats_maxfail(engine) {
        let project = failing("addopts = '--maxfail=1'");
        let output = project.run(&coverage(engine, &["--max-failures", "0"])).exits(1);
        output.says("Tests: 6 failed\n").tells("Failures before abort: never\n");
    }

    fn the_projects_own_timeout_wins(engine) {
        let env = env(&[STOCK, &["pytest-timeout"]].concat());
        let project = shop("addopts = '--timeout=1 --timeout-method=signal'", "").with(env);
        project.write("tests/test_hang.py", HANGS);
        let output = project.run(&coverage(engine, &["--timeout", "500"])).exits(1);
        output.says("Failed: Timeout").says("Tests: 4 passed, 1 failed\n").tells(
            "note: pytest-timeout is configured to limit each test; \
             `--timeout 500` (command line) is not used");
    }

    fn reruns_stay(engine) {
        let env = env(&[STOCK, &["pytest-rerunfailures"]].concat());
        let project = shop("addopts = '--reruns 2'", "").with(env);
        project.write("tests/test_flaky.py", "\
runs = []


def test_third_time_lucky():
    runs.append(1)
    assert len(runs) == 3
");
        project.run(&coverage(engine, &[])).exits(0).says("Tests: 5 passed, 2 rerun\n");
    }

    fn a_cut_of_its_own_is_an_error(engine) {
        let project = shop("addopts = '--splits 3 --group 1'", "");
        let error = "error: addopts has `--splits`; use `--splits N` of `cargo xtask coverage`, \
                     which cuts the suite itself\n";
        let output = project.run(&coverage(engine, &[])).exits(4);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", error));
    }

    fn a_keyword_makes_the_run_partial(engine) {
        let project = shop("", "");
        project.write(".coverage", "not ours");
        let output = project.run(&coverage(engine, &["--", "-k", "first or few"])).exits(0);
        output.says("Partial: ").says("(partial)\n").says("Tests: 2 passed\n");
        assert_eq!(project.read(".coverage"), "not ours");
        assert!(project.has(".xtask/partial/coverage.data"));
        assert!(!project.has("htmlcov"));
    }

    fn paths_make_the_run_partial(engine) {
        let project = shop("", "");
        let output = project.run(&coverage(engine, &["--", "tests/test_label.py"])).exits(0);
        output.says("Partial: ").says("Tests: 2 passed\n").says("Coverage: 60% (partial)\n");
        assert!(!project.has(".coverage"));
    }

    fn the_value_of_an_option_of_a_conftest_is_no_path(engine) {
        let project = shop("addopts = '--backend sqlite'", "");
        let conftest = "def pytest_addoption(parser):\n    parser.addoption('--backend')\n    \
                        parser.addoption('-D', type=int)\n";
        project.write("conftest.py", conftest);
        let test = "def test_options(pytestconfig):\n    \
                    assert pytestconfig.getoption('--backend') == 'tests'\n    \
                    assert pytestconfig.getoption('-D') == 3\n";
        project.write("tests/test_options.py", test);
        let args = ["--", "--backend", "tests", "-D", "3", "--strict-markers", "tests"];
        let output = project.run(&coverage(engine, &args)).exits(0);
        let output = output.never_says("Partial: ");
        assert!(project.has(".coverage"), "{output}");
    }

    fn node_ids_with_spaces_select_their_tests(engine) {
        let project = shop("", "");
        let id = "tests/test_price.py::test_price[a few]";
        let args = ["coverage", "--engine", engine, "--splits", "1", "--", id];
        project.run(&args).exits(0).says("Tests: 1 passed\n").says("Partial: ");
    }

    fn other_arguments_reach_pytest(engine) {
        let project = shop("", "");
        project.write("tests/conftest.py", "\
def pytest_addoption(parser):
    parser.addoption('--letter')


def pytest_collection_modifyitems(config):
    assert config.getoption('--letter') == 'a b'
");
        let output = project.run(&coverage(engine, &["--", "--letter=a b", "-ra"])).exits(0);
        output.never_says("artial");
    }
}

const HANGS: &str = "import time\n\n\ndef test_hang():\n    time.sleep(600)\n";

/// Six tests that fail, in two files.
fn failing(pytest: &str) -> Project {
    let tests = "def test_a():\n    assert 0\n\n\ndef test_b():\n    assert 0\n\n\n\
                 def test_c():\n    assert 0\n";
    let project = shop(pytest, "");
    project.write_all(&[("tests/test_label.py", tests), ("tests/test_price.py", tests)]);
    project
}

/// All that the splits wrote.
fn log(project: &Project) -> String {
    let names = project.names(".xtask/runs/last/logs");
    names.iter().map(|name| project.read(&format!(".xtask/runs/last/logs/{name}"))).collect()
}
