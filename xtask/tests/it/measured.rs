//! What is measured: the source, all of it, and nothing of ours or the environment's.

use camino::Utf8Path;

use crate::shop::coverage;
use crate::support::{Env, Output, Project, Run, STOCK, env, repository};

const WALKED: &str = "\
[project]
name = 'walked'
version = '1'
[tool.pytest.ini_options]
pythonpath = ['.']
[tool.coverage.run]
source = ['.']
[tool.coverage.report]
include_namespace_packages = true
";
const TESTED: &str = "from acme.core import api\n\ndef test_f():\n    assert api.f() == 1\n";

/// A project whose source is all around: packages without `__init__.py` count.
fn walked() -> Project {
    Project::new(&[
        ("pyproject.toml", WALKED),
        ("acme/core/api.py", "def f():\n    return 1\n"),
        ("tests/test_api.py", TESTED),
    ])
}

/// An environment in the folder of the project that has what another one has, and a package more.
fn environment_within(project: &Project) {
    let (folder, whole) = (project.root.join(".venv"), project.env().clone());
    let make = ["-m", "venv", "--without-pip", folder.as_str()];
    Run::of("python3".into()).args(&make).output().exits(0);
    let purelib = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = |env: &Env| env.python_says(&project.root, purelib, &[]).trim().to_owned();
    let (own, others) = (packages(&Env { root: folder }), packages(&whole));
    std::fs::write(format!("{own}/others.pth"), others).expect("a file");
    std::fs::create_dir_all(format!("{own}/more")).expect("a folder");
    std::fs::write(format!("{own}/more/of_it.py"), "A = 1\n").expect("a file");
}

/// The table of a run, without lines and heading.
fn table(output: &Output) -> Vec<&str> {
    let rows = output.stdout.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    rows.take_while(|line| !line.starts_with("TOTAL")).filter(|it| !it.starts_with("---")).collect()
}

fn measured_files(project: &Project) -> Vec<String> {
    let code = "import coverage, os
data = coverage.CoverageData('.coverage')
data.read()
print(*sorted(map(os.path.relpath, data.measured_files())), sep='\\n')";
    project.python_says(code, &[]).lines().map(str::to_owned).collect()
}

engines! {
    /// Not the state folder, nor a workspace's `target`, nor the environment, should they lie in
    /// the source; in no report and not in the data.
    fn neither_our_folders_nor_the_environment(engine) {
        let project = walked();
        environment_within(&project);
        project.write(".xtask/left/over.py", "A = 1\n");
        project.write("target/xtask/coverage/left/over.py", "A = 1\n");
        project.write("Cargo.toml", "[workspace]\n");
        let project = project.without_env();
        let output = project.run(&coverage(engine, &["--report", "term"])).exits(0);
        let files = ["acme/core/api.py", "tests/test_api.py"];
        let named: Vec<&str> =
            table(&output).iter().filter_map(|row| row.split_whitespace().next()).collect();
        assert_eq!(named, files, "{output:#?}");
        let project = project.with(crate::support::stock_env());
        assert_eq!(measured_files(&project), files);
    }

    /// A module that no test imports is of the source as well.
    fn every_module_of_a_source_that_nobody_names(engine) {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\npythonpath = .\n"),
            ("used.py", "A = 1\n"),
            ("unused.py", "A = 1\nB = 2\nC = 3\n"),
            ("template.py", "{{ name }} = 1\n"),
            ("tests/test_used.py", "import used\n\ndef test_a():\n    assert used.A\n"),
        ]);
        let options = ["--report", "term", "--fail-under", "60"];
        let output = project.run(&coverage(engine, &options)).exits(2);
        let output = output.tells("Source: template, unused, used (the project's folders)");
        assert_eq!(
            table(&output),
            ["unused.py       3      3     0%", "used.py         1      0   100%"]
        );
    }

    /// It is no lack of data that no test imports anything.
    fn a_source_that_no_test_imports(engine) {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            ("unused.py", "A = 1\n"),
            ("tests/test_a.py", "def test_a():\n    pass\n"),
        ]);
        let output = project.run(&coverage(engine, &["--report", "term"])).exits(0);
        assert_eq!(table(&output), ["unused.py       1      1     0%"]);
    }
}

/// Reports on data that somebody else has measured, with more in it.
#[test]
fn reports_leave_out_what_others_have_measured_of_the_environment() {
    let project = walked();
    environment_within(&project);
    let run = ["coverage", "run", "-m", "pytest", "-q"];
    project.env().module(&project.root, &run).exits(0);
    assert!(measured_files(&project).iter().any(|file| file.starts_with(".venv")));
    let project = project.without_env();
    let output = project.run(&["coverage", "report", "--report", "term"]).exits(0);
    assert_eq!(table(&output).len(), 2, "{output:#?}");
}

/// Where Python lies elsewhere than in `src` or the root, and where tests lie beside it.
#[test]
fn layouts_of_other_kinds_are_found() {
    let project = Project::new(&[
        ("pytest.ini", "[pytest]\npythonpath = backend\n"),
        ("src/main.ts", ""),
        ("backend/app/main.py", "def f():\n    return 1\n"),
        ("backend/app/routes/users.py", "A = 1\n"),
        ("backend/app/tests/test_more.py", "def test_more():\n    pass\n"),
        ("backend/tests/test_main.py", "from app import main\n\ndef test_f():\n    main.f()\n"),
    ]);
    let options = ["--report", "term", "--", "backend"];
    let output = project.run(&coverage("fork", &options)).exits(0);
    let output = output.tells("Source: backend/app (the project's folders)");
    let rows = [
        "backend/app/main.py               2      0   100%",
        "backend/app/routes/users.py       1      1     0%",
    ];
    assert_eq!(table(&output), rows);
}

#[test]
fn the_banner_names_what_is_measured_where_nobody_says() {
    let project = Project::new(&[
        ("pytest.ini", "[pytest]\n"),
        ("tests/test_a.py", "def test_a():\n    pass\n"),
    ]);
    let output = project.run(&coverage("fork", &["--report", "none"])).exits(0);
    let output = output.tells("Source: all that is executed, tests too (the project's folders)");
    assert!(!output.stderr.contains("Source:  ("), "{output:#?}");
}

fn defaults() -> Env {
    env(&[STOCK, &["covdefaults"]].concat())
}

fn with_defaults() -> Project {
    let project = Project::new(&[
        (".coveragerc", "[run]\nplugins = covdefaults\nsource = app\n"),
        ("pytest.ini", "[pytest]\npythonpath = .\n"),
        ("app/__init__.py", "def f(x):\n    if x:\n        return 1\n    return 2\n"),
        ("tests/test_app.py", "from app import f\n\ndef test_f():\n    assert f(1) == 1\n"),
    ]);
    project.with(defaults())
}

/// Plugins of coverage that configure it: their branches and thresholds are in force, and what
/// is typed outdoes them.
#[test]
fn plugins_that_configure_coverage_are_heard() {
    let project = with_defaults();
    for engine in ["fork", "spawn", "stock"] {
        let output = project.run(&coverage(engine, &["-v", "--report", "term"])).exits(2);
        let output = output.says("coverage total of 67 is less than fail-under=100");
        let output = output.tells("    fail-under = 100 (coverage's plugin covdefaults)\n");
        output.tells("    branch = yes (coverage's plugin covdefaults)\n").says("BrPart");
    }
    let options = ["--report", "term", "--no-branch", "--fail-under", "70"];
    for engine in ["fork", "spawn"] {
        project.run(&coverage(engine, &options)).exits(0).never_says("BrPart").says("75%");
    }
    let refused = project.run(&coverage("stock", &options)).exits(4);
    refused.tells("cannot leave out the branches that `covdefaults` asks for; use `--engine fork`");
}

/// One that lies in the project: what it says is asked anew each time.
#[test]
fn a_plugin_of_the_project_is_asked_each_time() {
    let project = with_defaults();
    project.write(".coveragerc", "[run]\nplugins = own\nsource = app\n");
    let own = |percent: u32| {
        format!(
            "from coverage import CoveragePlugin\n\n\nclass Own(CoveragePlugin):\n    def \
             configure(self, config):\n        config.set_option('report:fail_under', \
             {percent})\n\n\ndef coverage_init(reg, options):\n    reg.add_configurer(Own())\n"
        )
    };
    // Of another size: by that Python sees a change within a second.
    for (percent, exit) in [(80, 2), (7, 0)] {
        project.write("own.py", &own(percent));
        let output = project.run(&coverage("fork", &["-v", "--report", "none"])).exits(exit);
        output.tells(&format!("    fail-under = {percent} (coverage's plugin own)\n"));
    }
}

/// A parallel run that measures folders of ours differs from a sequential one.
#[test]
fn verify_sees_what_only_a_parallel_run_finds_of_ours() {
    let project = walked();
    project.write(".xtask/left/over.py", "A = 1\n");
    let output = project.run(&["coverage", "verify", "--splits", "1"]).exits(0);
    output.says("✓ identical: 2 files, 5 lines");
    let compare = repository().join("xtask/coverage/host");
    let seen = compared(&project, &compare);
    assert_eq!(seen, ".xtask/left/over.py\n");
}

/// What the comparison says of data with a file of ours in it.
fn compared(project: &Project, host: &Utf8Path) -> String {
    let code = format!(
        "import os, sys, coverage
sys.path.insert(0, {:?})
import compare
from xtask_files import Hidden
file = os.path.abspath('.xtask/left/over.py')
data = coverage.CoverageData('polluted')
data.add_lines({{file: [1], os.path.abspath('acme/core/api.py'): [1]}})
data.write()
hidden = Hidden([], ['.'], os.getcwd())
sequential = [compare.Measured('polluted', hidden)] * 2
answer = compare.compare(sequential, compare.Measured('polluted'), os.getcwd())
print(*(place['file'] for place in answer['extra']), sep='\\n')",
        host.as_str()
    );
    project.python_says(&code, &[])
}

const STARTS: &str = "\
import os, subprocess, sys
from pathlib import Path

def saved(pattern):
    top = Path(os.environ['TOP'], '.xtask')
    return [Path(folder, name) for folder, _, names in os.walk(top)
            for name in names if Path(name).match(pattern)]

def test_starts():
    subprocess.run([sys.executable, '-c', 'import app; app.f(1)'], check=True, cwd=os.environ['TOP'])

def test_harms():
    fault, patterns = os.environ['FAULT'], os.environ['PATTERN'].split(' ')
    found = [file for pattern in patterns for file in saved(pattern)]
    assert found
    for file in found:
        if fault == 'gone':
            file.unlink()
        else:
            size = file.stat().st_size
            os.truncate(file, {'empty': 0, 'half': size // 2, 'whole': size}[fault])

def test_goes_on():
    import app
    app.f(0)
";

/// A run of a suite that does this to files of these names while it runs.
fn harmed(engine: &str, fault: &str, pattern: &str) -> Output {
    let project = Project::new(&[
        (".coveragerc", "[run]\npatch = subprocess\nsource = .\n"),
        ("pytest.ini", "[pytest]\npythonpath = .\n"),
        ("app.py", "def f(x):\n    if x:\n        return 1\n    return 2\n"),
        ("tests/test_app.py", STARTS),
    ]);
    let options = ["--splits", "1", "--workers-per-split", "1", "--report", "none"];
    let run = project.xtask(&coverage(engine, &options));
    let run = run.var("FAULT", fault).var("PATTERN", pattern).var("TOP", project.root.as_str());
    let output = run.output();
    output.says("Tests: 3 passed")
}

const OF_PROCESSES: &str = ".coverage.*.pid* data.*.pid*";

engines! {
    /// What a process of a test has measured was there, and is not any more.
    fn data_of_a_process_that_is_taken_away(engine) {
        harmed(engine, "gone", OF_PROCESSES).exits(3).says("is missing");
    }

    fn data_of_a_process_that_is_emptied(engine) {
        harmed(engine, "empty", OF_PROCESSES).exits(3).says("is empty");
    }

    fn data_of_a_process_that_is_cut_in_half(engine) {
        harmed(engine, "half", OF_PROCESSES).exits(3).says("malformed");
    }
}

#[test]
fn data_of_a_process_that_nobody_harms_is_fine() {
    for engine in ["stock", "fork", "spawn"] {
        harmed(engine, "whole", OF_PROCESSES).exits(0);
    }
}

/// What a unit appends later does not make its log whole again.
#[test]
fn a_log_that_is_harmed_while_its_unit_runs() {
    for engine in ["fork", "spawn"] {
        for fault in ["empty", "half"] {
            let output = harmed(engine, fault, "log").exits(3);
            output.says("✗ split 1 left damaged coverage data");
        }
        harmed(engine, "gone", "log").exits(3).says("✗ split 1 left no coverage data");
    }
}

/// What tells how to cut the suite is never passed over in silence.
#[test]
fn durations_that_are_no_text_or_no_file_are_refused() {
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("app.py", "")]);
    project.write("test_app.py", "def test_app():\n    pass\n");
    let file = project.root.join(".test_durations");
    let refused = |why: &str| {
        let output = project.run(&coverage("fork", &["--report", "none"])).exits(4);
        let output = output.tells("decides how the suite is cut, but it is broken");
        output.tells(why);
    };
    std::fs::write(&file, b"{\"test_app.py::test_app\": 1.0}\xff").expect("a file");
    refused("it is not UTF-8");
    std::fs::remove_file(&file).expect("a file");
    std::fs::create_dir(&file).expect("a folder");
    refused("it is no regular file");
}

/// A pipe in place of a file of ours: nobody writes to it, and nobody waits for that.
#[test]
fn no_pipe_in_the_state_folder_is_waited_for() {
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("app.py", "")]);
    project.write("test_app.py", "def test_app():\n    pass\n");
    let run = || project.run(&coverage("fork", &["--report", "none"])).exits(0);
    run();
    let names = [
        "facts.json",
        "run.json",
        "durations.json",
        "cpu.json",
        "last-failed.json",
        "host/fork/serve.py",
    ];
    for name in names {
        let path = project.root.join(".xtask").join(name);
        std::fs::remove_file(&path).expect(name);
        nix::unistd::mkfifo(path.as_std_path(), nix::sys::stat::Mode::S_IRWXU).expect(name);
    }
    run();
}

const PARTS: [&str; 6] = ["coverage", "--collect", "sharded", "--splits", "1", "--report=none"];

/// Two test files of one module name never meet where each is in a part of its own. It is an
/// error all the same, and none any more once one of them has another name.
#[test]
fn parts_of_a_collection_hide_no_clash_of_names() {
    let project = Project::new(&[
        ("pytest.ini", "[pytest]\n"),
        ("app.py", ""),
        ("tests/a/test_same.py", "def test_a():\n    pass\n"),
        ("tests/b/test_same.py", "def test_b():\n    pass\n"),
    ]);
    let output = project.run(&PARTS).exits(1);
    let output = output.tells(
        "collected again, in one process: `tests/a/test_same.py` and \
         `tests/b/test_same.py` are both imported as `test_same`",
    );
    output.says("import file mismatch").says("tests/b/test_same.py could not be collected");
    let file = |name: &str| project.root.join("tests/b").join(name);
    std::fs::rename(file("test_same.py"), file("test_other.py")).expect("a file");
    let output = project.run(&PARTS).exits(0).says("Tests: 2 passed");
    assert!(!output.stderr.contains("in one part"), "{output:#?}");
}

/// Of two helpers of one name a whole collection knows one.
#[test]
fn parts_of_a_collection_hide_no_clash_of_helpers() {
    let project = Project::new(&[
        ("pytest.ini", "[pytest]\n"),
        ("app.py", ""),
        ("tests/a/helper.py", "A = 1\n"),
        ("tests/a/test_a.py", "from helper import A\n\ndef test_a():\n    pass\n"),
        ("tests/b/helper.py", "B = 1\n"),
        ("tests/b/test_b.py", "from helper import B\n\ndef test_b():\n    pass\n"),
    ]);
    let output = project.run(&PARTS).exits(1);
    output.says("cannot import name 'B' from 'helper'");
}

/// Something that is in the interpreter keeps what is executed from coverage, without a word.
#[test]
fn a_coverage_that_measures_nothing_is_no_report_of_zero() {
    let project = Project::new(&[
        ("shop.py", "def price():\n    return 1\n"),
        ("tests/test_shop.py", "import shop\n\n\ndef test():\n    assert shop.price() == 1\n"),
        (
            "startup/sitecustomize.py",
            "from coverage.collector import Collector\n\nflush = Collector.flush_data\n\n\n\
             def nothing(self):\n    self.data.clear()\n    return flush(self)\n\n\n\
             Collector.flush_data = nothing\n",
        ),
    ]);
    for engine in ["fork", "spawn"] {
        let folder = project.root.join("startup");
        let run = project.xtask(&coverage(engine, &[])).var("PYTHONPATH", folder.as_str());
        run.output()
            .exits(3)
            .tells("error: nothing can be run or measured: a line that ran is not in the data");
        assert!(!project.has(".coverage"));
    }
}

/// The check before a run knows the ways in which coverage may be configured.
#[test]
fn no_configuration_is_taken_for_a_coverage_that_measures_nothing() {
    let configured = [
        "relative_files = true",
        "timid = true",
        "branch = true\ncontext = 'x'",
        "dynamic_context = 'test_function'\nparallel = true",
        "concurrency = ['thread', 'multiprocessing']\npatch = ['subprocess']",
    ];
    let project = Project::new(&[
        ("shop.py", "def price():\n    return 1\n"),
        ("tests/test_shop.py", "import shop\n\n\ndef test():\n    assert shop.price() == 1\n"),
    ]);
    for run in configured {
        project.write("pyproject.toml", &format!("[tool.coverage.run]\n{run}\n"));
        project.run(&coverage("fork", &[])).exits(0).says("Coverage: 100%");
    }
}
