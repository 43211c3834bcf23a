//! Everything that can be wrong with a suite, a project or a machine: a clear error, the
//! documented exit code, nothing lost, nothing left running.

use crate::support::{BINARY, Output, Project, Run, env, wait_for};

const PYPROJECT: &str = "\
[project]
name = 'shop'
version = '1'
[tool.pytest.ini_options]
pythonpath = ['src']
testpaths = ['tests']
";
const SOURCE: &str = "def price(n):\n    if n > 2:\n        return n * 9\n    return n * 10\n";
const TESTS: &str = "\
import pytest
from shop import price

@pytest.mark.parametrize('n', range(4))
def test_price(n):
    assert price(n) >= 0
";

/// An engine, with what makes its runs small: one split of one worker.
fn small(engine: &str) -> [&str; 6] {
    ["--engine", engine, "--splits", "1", "--workers-per-split", "1"]
}

/// A project with four good tests and these files.
fn shop(files: &[(&str, &str)]) -> Project {
    shop_at("shop", files)
}

fn shop_at(folder: &str, files: &[(&str, &str)]) -> Project {
    let project = Project::at(folder, &[("pyproject.toml", PYPROJECT)]);
    project.write_all(&[("src/shop/__init__.py", SOURCE), ("tests/test_price.py", TESTS)]);
    project.write_all(files);
    project
}

/// `coverage --report term` and these arguments.
fn run(project: &Project, args: &[&str]) -> Output {
    project.run(&[&["coverage", "--report", "term"], args].concat())
}

/// One test of `tests/test_bad.py` ends its process, in one engine after the other. The second
/// field of a row is how.
const DEATHS: [(&str, &str); 5] = [
    ("os._exit(0)", "ended early with exit code 0"),
    ("os._exit(3)", "ended early with exit code 3"),
    ("os._exit(4)", "ended early with exit code 4"),
    ("ctypes.string_at(0)", "was ended by signal SIGSEGV"),
    ("os.kill(os.getpid(), 9)", "was ended by signal SIGKILL"),
];

fn bad_tests(body: &str) -> String {
    format!(
        "import ctypes, os, signal, subprocess, sys, time\n\ndef test_before():\n    pass\n\n\
         def test_bad():\n    {body}\n\ndef test_zafter():\n    pass\n"
    )
}

#[test]
fn stock_names_the_test_that_ends_its_process_and_what_is_lost() {
    let project = shop(&[]);
    for (body, how) in DEATHS {
        project.write("tests/test_bad.py", &bad_tests(body));
        let ran = run(&project, &small("stock")).exits(3);
        ran.clone()
            .says(&format!("tests/test_bad.py::test_bad crashed in split 1\nits process {how}"))
            .says(&format!("✗ split 1 {how}; its coverage is lost\n"))
            .says("-- tests/test_bad.py::test_bad\n")
            .says(&format!("✗ incomplete: coverage data is incomplete: split 1 {how}"))
            .never_says("Traceback");
        // Only the tests that ended before are known.
        assert!(ran.line("Tests: ").contains("1 crashed"), "{ran}");
    }
    assert!(!project.has(".coverage"), "an incomplete result is no result");
}

hosts! {
    fn our_hosts_lose_nothing_but_the_test_that_ends_its_process(engine) {
        let project = shop(&[]);
        for (body, how) in DEATHS {
            project.write("tests/test_bad.py", &bad_tests(body));
            let ran = run(&project, &small(engine)).exits(1);
            assert_eq!(ran.line("Tests: "), "6 passed, 1 crashed");
            ran.says(&format!("tests/test_bad.py::test_bad crashed in split 1\nits process {how}"))
                .says("Coverage: 100%\n");
        }
    }
}

#[test]
fn a_dead_worker_of_xdist_is_replaced_and_its_coverage_is_missed() {
    let project = shop(&[("tests/test_bad.py", &bad_tests("os._exit(0)"))]);
    let stock = ["--engine", "stock", "--splits", "2", "--workers-per-split", "2"];
    let ran = run(&project, &stock).exits(3);
    assert_eq!(ran.line("Tests: "), "6 passed, 1 crashed");
    ran.says("test_bad.py::test_bad crashed")
        .says("lost worker gw")
        .says("and the coverage it had measured (Not properly terminated)\n")
        .never_says("INTERNALERROR");
}

engines! {
    fn files_that_cannot_be_collected_are_each_shown_once_and_nothing_runs(engine) {
        let ran_marker = "open('ran', 'w')\n";
        let project = shop(&[
            ("tests/test_broken.py", "def test_it(: pass\n"),
            ("tests/test_missing.py", "import no_such_module\n"),
            ("tests/test_marks.py", &format!("def test_marks():\n    {ran_marker}")),
        ]);
        for workers in ["1", "2"] {
            let args = ["--engine", engine, "--splits", "2", "--workers-per-split", workers];
            let ran = run(&project, &args).exits(1);
            assert_eq!(ran.line("Tests: "), "2 errors, 5 not run", "{engine} {workers}: {ran}");
            for file in ["tests/test_broken.py", "tests/test_missing.py"] {
                let headings = format!("---- {file} could not be collected");
                assert_eq!(ran.stdout.matches(&headings).count(), 1, "{engine} {workers}: {ran}");
            }
            ran.says("E   SyntaxError: invalid syntax\n")
                .says("E   ModuleNotFoundError: No module named 'no_such_module'\n")
                .never_says("✓");
            assert!(!project.has("ran") && !project.has(".coverage"), "{engine} {workers}");
        }
    }
}

#[test]
#[ignore = "slow: a test that waits"]
fn stock_names_a_test_that_heeds_no_time_limit() {
    let body = "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); \
                ctypes.CDLL(None).sleep(1000)";
    let project = shop(&[("tests/test_bad.py", &bad_tests(body))]);
    let why = ": it ran longer than 0.1 s and could not be stopped\n";
    let ran = run(&project, &[&small("stock")[..], &["--timeout", "0.1"]].concat()).exits(3);
    ran.says("tests/test_bad.py::test_bad timed out in split 1\nits process ended early")
        .says(&format!("while this test ran{why}"));

    let args = ["--engine", "stock", "--splits", "1", "--workers-per-split", "2"];
    let ran = run(&project, &[&args[..], &["--timeout", "0.1"]].concat()).exits(3);
    assert_eq!(ran.line("Tests: "), "6 passed, 1 timed out");
    ran.says("crashed while running 'tests/test_bad.py::test_bad'").says(why);
}

#[test]
fn a_quick_death_is_no_timeout() {
    let project = shop(&[("tests/test_bad.py", &bad_tests("os._exit(1)"))]);
    for (engine, code) in [("stock", 3), ("fork", 1), ("spawn", 1)] {
        let ran = run(&project, &[&small(engine)[..], &["--timeout", "50"]].concat()).exits(code);
        ran.says("tests/test_bad.py::test_bad crashed in split 1\n").never_says("timed out");
    }
}

engines! {
    fn a_test_that_hangs_is_named_and_the_others_run(engine) {
        let sleep = "while True:\n        time.sleep(1000)";
        let project = shop(&[("tests/test_bad.py", &bad_tests(sleep))]);
        let ran = run(&project, &[&small(engine)[..], &["--timeout", "0.5"]].concat()).exits(1);
        assert_eq!(ran.line("Tests: "), "6 passed, 1 timed out");
        ran.says("tests/test_bad.py::test_bad timed out in split 1\n")
            .says("the test ran longer than 0.5 s")
            .says("Coverage: 100%\n");
    }
}

/// A thread of the suite's own is alive where the forks would be: processes that do not fork run
/// the tests, and the reason is said.
#[test]
fn where_threads_are_alive_nothing_is_forked() {
    let thread = "\
import threading
threading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()
";
    let project = shop(&[("tests/conftest.py", thread)]);
    let ran = run(&project, &["--engine", "fork", "--splits", "2"]).exits(0);
    assert!(ran.stderr.contains("2 threads are alive after collection (poller)"), "{ran}");
    assert_eq!(ran.line("Tests: "), "4 passed");
    ran.says("Coverage: 100%\n");

    let sleep = "while True:\n        time.sleep(1000)";
    project.write("tests/test_bad.py", &bad_tests(sleep));
    let ran = run(&project, &["--engine", "fork", "--splits", "2", "--timeout", "0.5"]).exits(1);
    assert_eq!(ran.line("Tests: "), "6 passed, 1 timed out");
    ran.says("tests/test_bad.py::test_bad timed out in split ")
        .says("tests/test_bad.py\", line 8 in test_bad\n")
        .says("Coverage: 100%\n");
}

#[test]
fn a_test_that_closes_every_descriptor_is_named() {
    let body = "os.closerange(0, 5000)";
    let project = shop(&[("tests/test_bad.py", &bad_tests(body))]);
    let ran = run(&project, &small("stock")).exits(3);
    ran.says("---- tests/test_bad.py::test_bad ")
        .says("✗ incomplete: coverage data is incomplete: split 1 ")
        .never_says("INTERNALERROR");
    for engine in ["fork", "spawn"] {
        let ran = run(&project, &small(engine)).exits(1);
        assert_eq!(ran.line("Tests: "), "6 passed, 1 crashed");
        ran.says("---- tests/test_bad.py::test_bad crashed in split 1\n").says("Coverage: 100%\n");
    }
}

engines! {
    fn a_copy_of_the_process_that_a_test_forgets_tells_nothing_twice(engine) {
        let project = shop(&[("tests/test_bad.py", &bad_tests("os.fork()"))]);
        let ran = run(&project, &small(engine)).exits(0);
        assert_eq!(ran.line("Tests: "), "7 passed", "{ran}");
    }
}

engines! {
    /// An orphan has a parent that takes note of its end, as everywhere.
    fn a_daemon_that_has_ended_is_gone(engine) {
        let body = "said = subprocess.run('(sleep 0.1 & echo $!) &', shell=True, stdout=-1)\n    \
                    pid = int(said.stdout)\n    \
                    while os.path.exists(f'/proc/{pid}'):\n        time.sleep(0.01)";
        let project = shop(&[("tests/test_bad.py", &bad_tests(body))]);
        let ran = run(&project, &[&small(engine)[..], &["--timeout", "20"]].concat()).exits(0);
        assert_eq!(ran.line("Tests: "), "7 passed", "{ran}");
    }
}

engines! {
    fn two_hundred_megabytes_of_output_are_cut(engine) {
        let print = "import sys\n\ndef shout():\n    for n in range(200):\n        \
                     sys.stdout.write('x' * 1_000_000)\n\n";
        let tests = "def test_passes():\n    shout()\n\ndef test_fails():\n    shout()\n    assert 0\n";
        let project = shop(&[("tests/test_bad.py", &format!("{print}{tests}"))]);
        let ran = run(&project, &small(engine)).exits(1);
        assert_eq!(ran.line("Tests: "), "5 passed, 1 failed");
        assert!(ran.stdout.len() < 300_000, "{} bytes", ran.stdout.len());
        ran.says("---- tests/test_bad.py::test_fails failed in split 1\n")
            .says(" characters left out …");
    }
}

#[test]
fn an_environment_without_pytest_names_the_line_that_adds_it() {
    let bare = env(&[]);
    let python = bare.python();
    let lines = [
        ("", format!("{python} -m pip install pytest coverage")),
        ("[tool.poetry]\n", "poetry add --group dev pytest coverage".to_owned()),
        ("[tool.pdm]\n", "pdm add -dG test pytest coverage".to_owned()),
    ];
    for (table, line) in lines {
        let pyproject = format!("{PYPROJECT}{table}");
        let project = shop(&[("pyproject.toml", &pyproject)]).with(bare.clone());
        let said = project.run(&["coverage"]).exits(4);
        let wanted =
            format!("error: no `pytest`, `coverage` in {python}; install it with `{line}`\n");
        assert_eq!((said.stdout.as_str(), said.stderr), ("", wanted));
    }
}

#[test]
fn a_machine_without_python_is_told_to_get_one() {
    let project = shop(&[]).without_env();
    let empty = project.root.join("nothing");
    // What pyenv and others keep lies in the home folder.
    let run = project.xtask(&["coverage"]).var("PATH", empty.as_str()).var("HOME", empty.as_str());
    let said = run.output().exits(4);
    let wanted = "error: no Python on PATH; install CPython 3.9 or newer with pip and venv\n";
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", wanted));
}

#[test]
fn a_folder_without_project_says_what_was_looked_for() {
    let project = Project::new(&[("notes.txt", "")]);
    let said = project.run(&["coverage"]).exits(4);
    let wanted = "error: no Python project in `[PROJECT]` or above it, and no tests; looked for \
                  pyproject.toml, setup.py, setup.cfg, pytest.toml, pytest.ini, tox.ini, \
                  .coveragerc\n";
    assert_eq!((said.stdout.as_str(), project.normal(&said.stderr).as_str()), ("", wanted));
}

#[test]
fn a_folder_with_tests_needs_no_configuration() {
    let project = Project::new(&[
        ("app.py", "def answer():\n    return 42\n"),
        ("test_app.py", "import app\n\ndef test_app():\n    assert app.answer() == 42\n"),
    ]);
    project.run(&["coverage", "--splits", "2"]).exits(0).says("Tests: 1 passed\n");
}

#[test]
fn a_current_folder_that_is_gone_is_the_users_affair() {
    let project = shop(&[("gone/x", "")]);
    let sh = "cd gone && rm -r ../gone && exec \"$0\" coverage";
    let shell = Run::of("/bin/sh".into()).args(&["-c", sh, BINARY]);
    let said = shell.cwd(&project.root).output().exits(4);
    assert!(said.stderr.starts_with("error: failed to read the current folder"), "{said}");
}

#[test]
fn values_out_of_range_and_unknown_names_are_refused_before_anything_runs() {
    let project = shop(&[]);
    let table = [
        ("--splits=0", "must be at least 1"),
        ("--splits=4000000000", "must be at most 10000"),
        ("--workers-per-split=99999999999999999999", "must be at most 1000"),
        ("--retries=4294967296", "must be at most 1000"),
        ("--max-failures=1000000001", "must be at most 1000000000"),
        ("--timeout=1e30", "must be at most 31536000, a year"),
        ("--timeout=nan", "must be a number of seconds"),
        ("--slow=inf", "must be at most 31536000, a year"),
        ("--max-concurrent-splits=-1", "must be at least 1"),
        ("--workers-per-split=0", "must be at least 1"),
        ("--max-failures=-1", "must be at least 0"),
        ("--fail-under=101", "must be between 0 and 100"),
        ("--timeout=0", "must be more than 0"),
        (
            "--report=htm",
            "unknown report `htm` (known: term, html, xml, json, lcov, markdown, none)",
        ),
    ];
    for (option, why) in table {
        let (name, value) = option.split_once('=').expect("a value");
        let said = project.run(&["coverage", option]).exits(4);
        assert_eq!(said.stdout, "");
        let start = format!("error: invalid value '{value}' for '{name} <");
        assert!(said.stderr.starts_with(&start), "{said}");
        assert!(said.stderr.contains(&format!(">': {why}\n")), "{said}");
    }
    assert!(!project.has(".xtask"), "nothing was begun");
}

/// The same bounds hold wherever a number stands, and for what is made of two of them.
#[test]
fn values_out_of_range_are_refused_wherever_they_stand() {
    let project = shop(&[]);
    let refused = |run: Run, why: &str| {
        let said = run.output().exits(4);
        assert_eq!(said.stderr.lines().last(), Some(&*format!("error: {why}")), "{said}");
    };
    let env = |name: &str, value: &str| project.xtask(&["coverage"]).var(name, value);
    refused(
        env("XTASK_TIMEOUT", "1e308"),
        "`XTASK_TIMEOUT` is `1e308`: must be at most 31536000, a year",
    );
    refused(
        env("MAX_FAILURES", "9999999999"),
        "`MAX_FAILURES` is `9999999999`: must be at most 1000000000",
    );
    let typed = ["coverage", "--max-concurrent-splits", "1000"];
    refused(
        project.xtask(&typed).var("XTASK_WORKERS_PER_SPLIT", "1000"),
        "`--max-concurrent-splits 1000` (command line) and `--workers-per-split 1000` \
         (XTASK_WORKERS_PER_SPLIT) are 1000000 workers: must be at most 10000 in all",
    );
    refused(
        project.xtask(&["coverage", "--", "--maxfail=9999999999"]),
        "`--maxfail` in `-- PYTEST_ARGS` is `9999999999`: must be at most 1000000000",
    );
}

#[test]
fn broken_configuration_is_named_with_its_place() {
    let table: [(&str, &str, &str); 9] = [
        (
            "pyproject.toml",
            "[tool.xtask.coverage]\ntimeout = 1e308\n",
            "`timeout` in `[tool.xtask.coverage]` of [PROJECT]/pyproject.toml is \
             `1000000000000000000000000000000000000000…`: must be at most 31536000, a year\n",
        ),
        (
            "pyproject.toml",
            "[tool.xtask.coverage]\nspilts = 3\n",
            "unknown key `spilts` in `[tool.xtask.coverage]` of [PROJECT]/pyproject.toml; \
             did you mean `splits`? (known: splits, ",
        ),
        (
            "pyproject.toml",
            "[tool.xtask.coverage]\nfail-under = 300\n",
            "`fail-under` in `[tool.xtask.coverage]` of [PROJECT]/pyproject.toml is `300`: must \
             be between 0 and 100\n",
        ),
        ("pyproject.toml", "[tool\n", "[PROJECT]/pyproject.toml:7: unclosed table, expected `]`\n"),
        (".coveragerc", "[run\n", "coverage cannot read its configuration: Couldn't read config"),
        (
            ".coveragerc",
            "[run]\nbranch = maybe\n",
            "coverage cannot read its configuration: Couldn't read config file .coveragerc: Not \
             a boolean: maybe\n",
        ),
        (
            "pytest.ini",
            "[pytest\n",
            "pytest cannot read its configuration: [PROJECT]/pytest.ini:1: unexpected value \
             continuation\n",
        ),
        (
            "pytest.ini",
            "[pytest]\naddopts = \"half\n",
            "[PROJECT]/pytest.ini: `\"half`: No closing quotation\n",
        ),
        ("pytest.ini", "[pytest]\naddopts = --nosuch\n", "pytest refused to run:\nERROR: usage: "),
    ];
    for (file, text, error) in table {
        let old = if file == "pyproject.toml" { PYPROJECT } else { "" };
        let project = shop(&[(file, &format!("{old}{text}"))]);
        let said = project.run(&["coverage", "-q"]).exits(4);
        let told = project.normal(&said.stderr);
        assert_eq!(said.stdout, "", "{text}");
        assert!(told.starts_with(&format!("error: {error}")), "{text}\n{told}\n{error}");
    }
}

engines! {
    fn a_conftest_that_raises_is_the_error(engine) {
        let project = shop(&[("tests/conftest.py", "raise ValueError('not today')\n")]);
        let said = run(&project, &small(engine)).exits(4);
        assert_eq!(said.stdout, "");
        said.tells("error: pytest refused to run:\nImportError while loading conftest '")
            .tells("tests/conftest.py:1: in <module>\n    raise ValueError('not today')\n");
    }
}

#[test]
fn a_suite_without_tests_ends_with_5_and_empty_splits_with_0() {
    let empty = shop(&[("tests/test_price.py", "")]);
    let small = shop(&[]);
    for engine in ["stock", "fork"] {
        let args = ["--engine", engine, "--splits", "6", "--workers-per-split", "1"];
        run(&empty, &args).exits(5).says("✗ no tests: no tests were found\n");
        let ran = run(&small, &args).exits(0).tells("[Split 6/6] ✓ 0 tests in ");
        assert_eq!(ran.line("Tests: "), "4 passed");
        ran.says("Coverage: 100%\n");
    }
    assert!(!empty.has(".coverage"));
}

#[test]
fn names_may_hold_spaces_and_letters_of_the_world() {
    let project = shop_at(
        "mein Geschäft 日本",
        &[(
            "tests/test_ grüße.py",
            "import pytest\nfrom shop import price\n\n\
                 @pytest.mark.parametrize('x', ['ü', '日本', 'a b', 'x::y', '\\udc80'])\n\
                 def test_ß(x):\n    assert price(3) and x != 'ü'\n",
        )],
    );
    for engine in ["stock", "fork"] {
        for workers in ["1", "2"] {
            let args = ["--engine", engine, "--splits", "2", "--workers-per-split", workers];
            let ran = run(&project, &args).exits(1);
            assert_eq!(ran.line("Tests: "), "8 passed, 1 failed", "{ran}");
            ran.says("-- 'tests/test_ grüße.py::test_ß[\\xfc]'\n").says("Coverage: 100%\n");
        }
    }
}

engines! {
    fn a_link_to_a_project_is_the_project(engine) {
        let project = shop(&[]);
        let link = project.root.with_file_name("link");
        std::os::unix::fs::symlink(&project.root, &link).expect("a link");
        let args = [&["coverage", "--report", "term"], &small(engine)[..]].concat();
        let ran = project.xtask(&args).cwd(&link).output().exits(0);
        ran.says("src/shop/__init__.py       4      0   100%\n").says("Coverage: 100%\n");
        let files = "import coverage; d = coverage.CoverageData('.coverage'); d.read(); \
                     print(*d.measured_files())";
        let files = project.python_says(files, &[]);
        assert_eq!(files.trim(), project.root.join("src/shop/__init__.py"));
    }
}

engines! {
    fn stale_data_is_neither_absorbed_nor_deleted(engine) {
        let project = shop(&[("tests/test_price.py", "def test_nothing():\n    import shop\n")]);
        let full = "import coverage; d = coverage.CoverageData(sys.argv[1]); \
                    d.add_lines({sys.argv[2]: [1, 2, 3, 4]}); d.write()";
        let source = project.root.join("src/shop/__init__.py");
        let write = |file: &str| {
            let file = project.root.join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            project.python_says(&format!("import sys; {full}"), &[file.as_str(), source.as_str()]);
        };
        let theirs = [".coverage.old.123", ".coverage.host.pid1.Xabc", ".coverage"];
        theirs.iter().for_each(|file| write(file));
        let parts =
            ["parts/split-01/data.old.pid1.X", "parts/split-09/data.old", "parts/data/x.coverage"];
        parts.iter().for_each(|file| write(&format!(".xtask/runs/1/{file}")));
        let before = theirs[..2].iter().map(|file| std::fs::read(project.root.join(file)).ok());
        let before: Vec<_> = before.collect();
        run(&project, &small(engine)).exits(0).says("Coverage: 25%\n");
        let after = theirs[..2].iter().map(|file| std::fs::read(project.root.join(file)).ok());
        assert_eq!(before, after.collect::<Vec<_>>(), "{engine}");
    }
}

engines! {
    fn a_second_run_is_refused_and_the_first_is_not_harmed(engine) {
        let waits = "import os, time\nfrom shop import price\n\ndef test_waits():\n    \
                     open('running', 'w').close()\n    assert price(1) and price(3)\n    \
                     while not os.path.exists('go'):\n        time.sleep(0.01)\n";
        let project = shop(&[("tests/test_price.py", waits)]);
        let args = [&["coverage", "--report", "term"], &small(engine)[..]].concat();
        let first = project.xtask(&args).start();
        wait_for(|| project.has("running"));
        let second = project.run(&args).exits(4);
        let wanted = format!(
            "error: another run uses `{}` (pid {}); wait for it or stop it\n",
            project.root.join(".xtask"),
            first.id()
        );
        assert_eq!((second.stdout.as_str(), second.stderr), ("", wanted));
        project.write("go", "");
        first.output().exits(0).says("Coverage: 100%\n");
    }
}

#[test]
fn data_that_is_damaged_after_the_tests_is_named() {
    let spoil = "\
import glob
import os

import coverage

save = coverage.Coverage.save


def save_and_spoil(self):
    save(self)
    for file in glob.glob(os.path.join('.xtask', 'runs', 'last', 'parts', 'split-01', 'data.*')):
        HOW


coverage.Coverage.save = save_and_spoil
";
    let table = [
        ("os.truncate(file, 1000)", "data.", " is damaged: "),
        ("os.remove(file)", "data.", " is missing"),
    ];
    for (how, file, what) in table {
        let project = shop(&[("conftest.py", &spoil.replace("HOW", how))]);
        let ran = run(&project, &small("stock")).exits(3);
        assert!(ran.stdout.contains("✗ split 1: `"), "{ran}");
        assert!(ran.stdout.contains(file) && ran.stdout.contains(what), "{ran}");
        assert!(!project.has(".coverage"), "{ran}");
    }
}

engines! {
    fn what_cannot_be_written_is_named(engine) {
        for name in [".xtask", ".xtask/runs", ".xtask/host", ".xtask/lock"] {
            let project = shop(&[]);
            match name {
                ".xtask/lock" => project.write(".xtask/lock/x", ""),
                _ => project.write(name, "in the way"),
            }
            let said = run(&project, &small(engine)).exits(4);
            assert_eq!(said.stdout, "");
            let place = project.root.join(name);
            assert!(said.stderr.starts_with("error: failed to "), "{said}");
            assert!(said.stderr.contains(&format!("`{place}`: ")), "{said}");
        }
    }
}

#[test]
fn a_history_that_cannot_be_kept_is_a_warning() {
    let project = shop(&[(".xtask/run.json/x", "")]);
    let ran = run(&project, &small("fork")).exits(0);
    ran.says("✓ passed: 4 tests passed\n").tells("warning: failed to write `").tells("run.json`");
}

/// Address space for some threads, not for one that reads what each of 300 workers tells.
#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    let project = shop(&[]);
    let sh = "ulimit -v 131072; exec \"$0\" test --max-concurrent-splits 30 --workers-per-split 10";
    let shell = Run::of("/bin/sh".into()).args(&["-c", sh, BINARY]).cwd(&project.root);
    let said = shell.active(project.env()).output().exits(3).never_says("panicked");
    said.tells("error: failed to start a thread that reads what a process tells: ").tells(
        "; raise the limits on processes and memory (`ulimit -u`, `ulimit -v`), or run fewer",
    );
}

/// Of three splits the last one cannot be started while the first one runs.
#[test]
fn an_error_of_the_stock_engine_leaves_no_pytest_behind() {
    let hangs = "import subprocess, time\n\ndef test_hangs():\n    \
                 it = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n    \
                 open('running', 'w').write(str(it.pid))\n    time.sleep(1000)\n";
    let blocks = "import os, time\n\ndef test_blocks():\n    \
                  while not os.path.exists('running'):\n        time.sleep(0.01)\n    \
                  open('.xtask/runs/last/parts/split-03', 'w').close()\n";
    let project = shop(&[("tests/test_price.py", hangs), ("tests/test_q.py", blocks)]);
    project.write("tests/test_r.py", "def test_r(): pass\n");
    let args = ["--engine", "stock", "--splits", "3", "--max-concurrent-splits", "2"];
    let said = run(&project, &[&args[..], &["--workers-per-split", "1"]].concat()).exits(3);
    assert!(
        said.stderr.contains("error: failed to start split 3 of 3: failed to make `"),
        "{said}"
    );
    let pid = project.read("running");
    wait_for(|| !std::fs::exists(format!("/proc/{pid}")).expect("/proc"));
}

hosts! {
    /// Another host cannot be started then, nor can what was measured be written.
    fn a_state_folder_that_a_test_removes_is_an_error_and_no_panic(engine) {
        let text = "\
    import os
import pathlib
import shutil

def test_it():
    shutil.rmtree(pathlib.Path(__file__).parent / '.xtask')
    os._exit(3)
";
        let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("test_a.py", text)]);
        project.write("test_b.py", "def test_it():\n    pass\n");
        let args = ["coverage", "--engine", engine, "--splits", "1", "--report", "none"];
        project.run(&args).exits(3).says("Crashed: test_a.py::test_it").never_says("panicked");
    }
}
