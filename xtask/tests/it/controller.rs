//! The controller and its workers: plugins hear of tests, and are heard, as in a sequential run
//! or under pytest-xdist, whatever the engine.

use crate::support::{Env, Output, Project, STOCK, env};

/// Report plugins, and a plugin that keeps snapshots; no pytest-xdist, which plugins look for.
fn reporting_env() -> Env {
    let plugins = ["pytest-json-report", "pytest-html", "pytest-reportlog", "allure-pytest"];
    env(&[&["pytest", "coverage", "syrupy", "teamcity-messages"][..], &plugins].concat())
}

/// Three tests in two files, of which one fails.
fn three_tests(conftest: &str) -> Project {
    Project::new(&[
        ("pytest.ini", "[pytest]\n"),
        ("conftest.py", conftest),
        ("test_one.py", "def test_good(): pass\ndef test_bad(): assert 0\n"),
        ("test_two.py", "def test_other(): pass\n"),
    ])
}

fn run(project: &Project, engine: &str, more: &[&str]) -> Output {
    project.run(&[&["coverage", "--engine", engine, "--report", "none"], more].concat())
}

hosts! {
    /// What a conftest gathers in a hook, it has when the session ends: here with a look at what it
    /// is, and without.
    fn a_conftest_hears_each_report_once(engine) {
        let gathers = |guard: &str| {
            format!(
                "
import json, pathlib

heard = []

def pytest_runtest_logreport(report):
    if report.when == 'call':
        heard.append(report.nodeid + ' ' + report.outcome)
        with open('as-it-comes.txt', 'a') as file:
            file.write('x')

def pytest_sessionfinish(session):
    if {guard}:
        pathlib.Path('heard.json').write_text(json.dumps(sorted(heard)))
"
            )
        };
        let wanted = serde_json::json!([
            "test_one.py::test_bad failed",
            "test_one.py::test_good passed",
            "test_two.py::test_other passed"
        ]);
        let project = three_tests(&gathers("True"));
        run(&project, engine, &[]).exits(1);
        assert_eq!(project.json("heard.json"), wanted, "{engine}");
        assert_eq!(project.read("as-it-comes.txt"), "xxx", "{engine}");
        let project = three_tests(&gathers("not hasattr(session.config, 'workerinput')"));
        run(&project, engine, &[]).exits(1);
        assert_eq!(project.json("heard.json"), wanted, "{engine}, knowing workers");
    }
}

/// A conftest further down hears of the tests below it, and of no others.
#[test]
fn a_conftest_below_hears_of_its_own_tests() {
    let conftest = "def pytest_runtest_logstart(nodeid): open('heard', 'a').write(nodeid + ' ')\n";
    let project = three_tests("");
    project.write("below/conftest.py", conftest);
    project.write("below/test_three.py", "def test_it(): pass\n");
    run(&project, "fork", &[]).exits(1);
    assert_eq!(project.read("heard"), "below/test_three.py::test_it ");
}

/// Several sessions, one after the other: no plugin hears of all tests, and that is said first.
#[test]
fn stock_names_what_hears_of_one_split_at_a_time() {
    let project = three_tests("def pytest_runtest_logreport(report): pass\n");
    let output = run(&project, "stock", &["--splits", "2"]).exits(1);
    output.tells("note: `conftest.py` (pytest_runtest_logreport) hears of the tests of one split");
    let output = run(&project, "stock", &["--splits", "1"]).exits(1);
    assert!(!output.stderr.contains("hears of"), "{output}");
}

/// The same where a split has workers, of a plugin that was registered without a name: once.
#[test]
#[ignore = "slow: several sessions with workers"]
fn stock_names_what_hears_in_a_controller() {
    let listener = "
class Listener:
    def pytest_runtest_logreport(self, report): pass

def pytest_configure(config):
    config.pluginmanager.register(Listener())
";
    let project = three_tests("pytest_plugins = ['listening']\n");
    project.write("listening.py", listener);
    let run = project.run(&[
        "coverage",
        "--engine",
        "stock",
        "--report",
        "none",
        "--splits",
        "2",
        "--workers-per-split",
        "2",
    ]);
    let output = run.exits(1);
    assert_eq!(output.stderr.matches("hears of the tests of one split").count(), 1, "{output}");
    output.tells("note: `listening.py` (pytest_runtest_logreport) hears of");
}

hosts! {
    fn report_files_are_those_of_a_sequential_run(engine) {
        let facts = "
import collections, glob, html, json, re, sys
report = json.load(open('r.json'))
log = [json.loads(line) for line in open('r.log')]
page = json.loads(html.unescape(re.search('data-jsonblob=\"(.*?)\"', open('r.html').read(), re.S)[1]))
print(sorted(report['summary'].items()), report['exitcode'])
print(sorted((test['nodeid'], test['outcome']) for test in report['tests']))
print(sorted((one['nodeid'], one['when'], one['outcome']) for one in log if one.get('when') in ('setup', 'call', 'teardown')))
print(sorted((name, [test['result'] for test in tests]) for name, tests in page['tests'].items()))
print(sorted(json.load(open(file))['status'] for file in glob.glob('allure/*-result.json')))
";
        let options = "--json-report --json-report-file=r.json --html=r.html --report-log=r.log \
                       --alluredir=allure --teamcity";
        let project = || {
            let project = three_tests("").with(reporting_env());
            project.write("pytest.ini", &format!("[pytest]\naddopts = {options}\n"));
            project
        };
        let messages = |text: &str| text.matches("##teamcity[testStarted").count();
        let sequential = project();
        let said = sequential.env().module(&sequential.root, &["pytest"]).exits(1).stdout;
        let wanted = sequential.python_says(facts, &[]);
        assert_eq!(messages(&said), 3, "{said}");
        let project = project();
        let output = run(&project, engine, &[]).exits(1);
        assert_eq!(project.python_says(facts, &[]), wanted, "{engine}");
        assert_eq!(messages(&output.stdout), 3, "{output}");
    }
}

hosts! {
    fn snapshots_are_written_kept_and_missed(engine) {
        let env = reporting_env();
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            ("test_one.py", "def test_one(snapshot): assert {'a': 1} == snapshot\n"),
            ("test_two.py", "def test_two(snapshot): assert [1, 2] == snapshot\n"),
        ])
        .with(env.clone());
        project.env().module(&project.root, &["pytest", "--snapshot-update"]).exits(0);
        let other = project.read("__snapshots__/test_two.ambr");
        project.write("test_one.py", "def test_one(snapshot): assert {'a': 5} == snapshot\n");
        run(&project, engine, &["--", "--snapshot-update"])
            .exits(0)
            .says("1 snapshot passed. 1 snapshot updated.\n");
        assert!(project.read("__snapshots__/test_one.ambr").contains("'a': 5"), "{engine}");
        assert_eq!(project.read("__snapshots__/test_two.ambr"), other, "{engine}");
        assert_eq!(project.names("__snapshots__"), ["test_one.ambr", "test_two.ambr"]);
        run(&project, engine, &[]).exits(0);
        std::fs::remove_file(project.root.join("test_two.py")).expect("a file");
        run(&project, engine, &[])
            .exits(1)
            .says("✗ pytest's session ended with exit status 1, set by `syrupy`\n");
        assert_eq!(project.read("__snapshots__/test_two.ambr"), other, "{engine}");
    }
}

engines! {
    /// The limit is one for the whole run, however many processes count warnings.
    fn too_many_warnings_are_an_error(engine) {
        let warns = "import warnings\ndef test_it(): warnings.warn('old', UserWarning)\n";
        let limited = |most: u32| Project::new(&[
            ("pytest.ini", &format!("[pytest]\nmax_warnings = {most}\n")),
            ("test_one.py", warns),
            ("test_two.py", warns),
        ]);
        let output = run(&limited(1), engine, &["--splits", "2"]).exits(1);
        output.says("2 warnings are more than `max_warnings = 1` allows\n");
        let output = run(&limited(2), engine, &["--splits", "2"]).exits(0);
        output.says("---- 2 warnings\n").says("test_one.py:2\n  UserWarning: old\n");
    }

    /// Keys that only pytest-xdist's controller would put there.
    fn workers_get_what_the_controller_has_for_them(engine) {
        let project = three_tests("
import pytest

def pytest_configure(config):
    if not hasattr(config, 'workerinput'):
        config.shared = 'secret'

@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput['token'] = node.config.shared + node.gateway.id

@pytest.fixture(scope='session')
def token(request):
    if hasattr(request.config, 'workerinput'):
        given = request.config.workerinput
        assert given['token'] == 'secret' + given['workerid']
        return given['token']
    return request.config.shared
");
        project.write("test_one.py", "def test_it(token): assert token.startswith('secret')\n");
        run(&project, engine, &[]).exits(0);
    }

    /// pytest takes any object for a reason, the name of a property, or the text of a failure.
    fn reports_may_hold_any_object(engine) {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            ("test_any.py", "
import pytest

class Lazy:
    def __str__(self): return 'a lazy text'

class Broken:
    def __str__(self): raise ValueError('no text')

@pytest.mark.xfail(reason=4711)
def test_number(): assert 0

@pytest.mark.xfail(reason=Lazy())
def test_lazy(): assert 0

def test_properties(record_property):
    record_property('broken', Broken())
    record_property(7, float('nan'))
"),
        ]);
        run(&project, engine, &["--splits", "1", "--workers-per-split", "1", "--junit", "j.xml"])
            .exits(0)
            .says("Tests: 1 passed, 2 xfailed\n");
        let junit = project.read("j.xml");
        for text in ["4711", "a lazy text", "whose text cannot be had: ValueError"] {
            assert!(junit.contains(text), "{text}: {junit}");
        }
    }

    fn a_loop_of_its_own_needs_pytest_itself(engine) {
        let project = three_tests("
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    for at, item in enumerate(session.items):
        after = session.items[at + 1] if at + 1 < len(session.items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    return True
");
        let output = run(&project, engine, &["--splits", "2", "--workers-per-split", "1"]).exits(1);
        let output = output.says("Tests: 2 passed, 1 failed\n");
        if engine != "stock" {
            output.tells("the stock engine runs the tests: `pytest_runtestloop` in `conftest.py`");
        }
    }

    /// Whatever status it asks for: tests have not run.
    fn a_test_that_exits_pytest_ends_the_run_red(engine) {
        let project = three_tests("");
        project.write("test_one.py", "import pytest\ndef test_it(): pytest.exit('enough', 0)\n");
        let more = ["--splits", "1", "--workers-per-split", "1"];
        let output = run(&project, engine, &more).exits(1);
        let who = if engine == "stock" { "split 1" } else { "`test_one.py::test_it` stopped" };
        output.says(&format!("✗ {who}"));
    }

    /// A status of its own, as plugins set it that demand more than passing tests.
    fn a_plugin_may_end_the_session_red(engine) {
        let project = three_tests("
def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0:
        session.exitstatus = 17
");
        project.write("test_one.py", "def test_good(): pass\n");
        run(&project, engine, &["--splits", "1", "--workers-per-split", "1"])
            .exits(1)
            .says("exit status 17");
    }
}

/// Two workers must not share what is named after one: databases, ports, files.
#[test]
fn names_of_workers_are_there_when_the_project_is_imported() {
    let conftest = "import os\nNAME = os.environ.get('PYTEST_XDIST_WORKER')\n";
    let test = "from conftest import NAME\ndef test_it(): assert NAME in ('gw0', 'gw1'), NAME\n";
    for engine in ["auto", "spawn", "stock"] {
        let project = three_tests(conftest);
        project.write("test_one.py", test);
        project.write("test_two.py", test);
        let more = ["--max-concurrent-splits", "2", "--workers-per-split", "1", "--splits", "2"];
        let output = run(&project, engine, &more).exits(0);
        if engine == "auto" {
            output.tells("asked for while the project is imported (`conftest.py:2`), so forks");
        }
    }
}

hosts! {
    /// As a plugin does that forks itself and finds that the fork has died.
    fn a_report_of_a_crash_is_taken_as_it_is(engine) {
        let env = env(&[STOCK, &["pytest-forked"]].concat());
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            (
                "test_it.py",
                "import os, pytest\n@pytest.mark.forked\ndef test_dies(): os.kill(os.getpid(), 11)\n\
                 def test_lives(): pass\n",
            ),
        ])
        .with(env.clone());
        run(&project, engine, &[])
            .exits(1)
            .says("running the test CRASHED with signal 11 (SIGSEGV)\n")
            .says("Tests: 1 passed, 1 crashed\n");
    }
}

hosts! {
    /// A plugin that has heard enough, in the process that hears all.
    fn a_plugin_may_stop_the_session(engine) {
        let conftest = "
def pytest_runtest_logreport(report):
    if report.failed:
        SESSION.shouldstop = 'seen enough'

def pytest_sessionstart(session):
    global SESSION
    SESSION = session
";
        let output = run(&three_tests(conftest), engine, &["--workers-per-split", "1"]).exits(1);
        output.says("✗ a plugin stopped the session: seen enough\n");
    }
}

#[test]
fn a_suite_without_tests_may_be_a_good_one() {
    let conftest = "
def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 5:
        session.exitstatus = 0
";
    let project = Project::new(&[("pytest.ini", "[pytest]\n"), ("conftest.py", conftest)]);
    run(&project, "fork", &[]).exits(0);
}

#[test]
fn what_is_printed_is_shown_as_it_comes() {
    for engine in ["fork", "spawn"] {
        let project = Project::new(&[
            ("pytest.ini", "[pytest]\n"),
            ("test_one.py", "def test_it(): print('  hello from one')\n"),
            ("test_two.py", "def test_it(): print('::error::hello from two')\n"),
        ]);
        let output = run(&project, engine, &["--", "-s"]).exits(0);
        let line = |end: &str| output.stdout.lines().any(|line| line.ends_with(end));
        assert!(line("]   hello from one") && line("] ::error::hello from two"), "{output}");
        let run = project.xtask(&["coverage", "--engine", engine, "--", "-s"]);
        let output = run.var("GITHUB_ACTIONS", "true").output().exits(0);
        assert!(!output.stdout.lines().any(|line| line.starts_with("::error::")), "{output}");
    }
    let output = run(&three_tests(""), "stock", &["--", "-s"]).exits(1);
    output.tells("note: what tests print is in `");
}

hosts! {
    /// What pytest itself and plugins say at the end.
    fn summaries_are_shown(engine) {
        let conftest = "
def pytest_terminal_summary(terminalreporter):
    passed = len(terminalreporter.stats.get('passed', []))
    terminalreporter.write_line(f'{passed} heard by a plugin')
";
        let output = run(&three_tests(conftest), engine, &["--", "-rA", "--durations=1"]).exits(1);
        let output = output.says("2 heard by a plugin\n").says("slowest 1 durations");
        output.says("PASSED test_two.py::test_other\n");
    }
}
