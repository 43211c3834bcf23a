//! Commands around the tests: what they set up, what they export, and that it is torn down
//! however the run ends.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use nix::sys::signal::Signal::SIGINT;

use crate::support::{Project, Run, wait_for};

/// Each test waits until tests run in two workers, notes what it sees, and passes.
const TEST: &str = "\
import os, time

def test_sees(request):
    worker = os.environ.get('PYTEST_XDIST_WORKER', 'gw0')
    open(f'seen-{worker}', 'a').write(f\"{os.environ['URL']} {os.environ.get('DB')}\\n\")
    until = time.monotonic() + 60
    while len([it for it in os.listdir() if it.startswith('seen-')]) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
";

/// A project with these settings and one test for each text.
fn project(settings: &str, tests: &[&str]) -> Project {
    let table = "[project]\nname = 'around'\nversion = '1'\n\n[tool.xtask.coverage]\nsplits = 2\n";
    let project = Project::new(&[("pyproject.toml", &format!("{table}{settings}"))]);
    project.write("around.py", "def one():\n    return 1\n");
    for (number, test) in tests.iter().enumerate() {
        project.write(&format!("tests/test_{number}.py"), test);
    }
    project
}

const PASSES: &str = "import around\n\ndef test_one():\n    assert around.one() == 1\n";
const EACH_ITS_OWN: &str = r#"
setup = ["echo URL=db://a,b >> $XTASK_ENV", "echo had $URL"]
teardown = "echo run $URL >> down"
worker-setup = "echo DB=$URL/$PYTEST_XDIST_WORKER >> $XTASK_ENV && mkdir db-$XTASK_WORKER"
worker-teardown = "rmdir db-$XTASK_WORKER && echo $DB >> down"
"#;

engines! {
    /// The variables of the run, and those of the worker, are there in each test; the workers are
    /// torn down before the run.
    fn each_worker_has_its_own(engine) {
        let project = project(EACH_ITS_OWN, &[TEST, TEST]);
        let more = ["--max-concurrent-splits", "2", "--workers-per-split", "1"];
        let args = ["coverage", "--report", "term", "--engine", engine];
        let output = project.run(&[&args[..], &more].concat()).exits(0);
        output.says("2 tests passed").tells("note: set up in ");
        for worker in [0, 1] {
            let seen = format!("db://a,b db://a,b/gw{worker}\n");
            assert_eq!(project.read(&format!("seen-gw{worker}")), seen);
            assert!(!project.has(&format!("db-{worker}")));
        }
        let down = project.read("down");
        let mut down: Vec<&str> = down.lines().collect();
        assert_eq!(down.pop(), Some("run db://a,b"));
        down.sort_unstable();
        assert_eq!(down, ["db://a,b/gw0", "db://a,b/gw1"]);
        assert_eq!(project.read(".xtask/runs/last/around/setup.log"), "had db://a,b\n");
    }
}

/// xdist's workers have theirs before anything of the project is imported.
#[test]
fn workers_of_xdist_have_their_own() {
    let project = project(EACH_ITS_OWN, &[TEST, TEST]);
    project.write("conftest.py", "import os\n\nAT_IMPORT = os.environ['DB']\n");
    let check = "\nfrom conftest import AT_IMPORT\n\ndef test_early():\n    assert AT_IMPORT == os.environ['DB']\n";
    project.write("tests/test_1.py", &format!("{TEST}{check}"));
    let more = ["--splits", "1", "--max-concurrent-splits", "1", "--workers-per-split", "2"];
    let args = ["test", "--engine", "stock"];
    project.run(&[&args[..], &more].concat()).exits(0).says("3 tests passed");
    assert_eq!(project.read("seen-gw1"), "db://a,b db://a,b/gw1\n");
}

/// A suite that is collected in parts is collected by forks of forks.
#[test]
fn collectors_hand_on_what_workers_have() {
    let project = project(EACH_ITS_OWN, &[TEST, TEST, PASSES]);
    let args = ["test", "--collect", "sharded", "--max-concurrent-splits", "2"];
    let output = project.run(&[&args[..], &["--workers-per-split", "1", "-v"]].concat());
    output.exits(0).says("3 tests passed").tells("collected in 2 parts");
    assert_eq!(project.read("seen-gw1"), "db://a,b db://a,b/gw1\n");
}

/// What is imported once has what the first worker has: forks would share it.
#[test]
fn what_is_read_while_importing_rules_out_forks() {
    let project = project(EACH_ITS_OWN, &[]);
    project.write("settings.py", "import os\n\nDB = os.environ['DB']\n");
    let test = format!("import settings\n{TEST}    assert settings.DB.endswith(worker)\n");
    project.write_all(&[("tests/test_a.py", &test), ("tests/test_b.py", &test)]);
    let args = ["test", "--max-concurrent-splits", "2", "--workers-per-split", "1"];
    let output = project.run(&args).exits(0);
    output.tells("is read while the project is imported: `DB` (`settings.py:3`)");
}

#[test]
fn no_test_runs_where_a_setup_fails() {
    let settings = r#"
setup = ["echo A=1 >> $XTASK_ENV", "echo what is wrong; exit 3", "touch never"]
teardown = "echo $A > down"
"#;
    let project = project(settings, &["def test_runs():\n    open('ran', 'w')\n"]);
    let output = project.run(&["test"]).exits(4);
    let output =
        output.tells("the setup failed: `echo what is wrong; exit 3` ended with exit code 3");
    output.tells("\nwhat is wrong\nso no test ran");
    assert_eq!(project.read("down"), "1\n");
    assert!(!project.has("ran") && !project.has("never"));
}

engines! {
    fn a_worker_that_cannot_be_set_up_stops_the_run(engine) {
        let settings = r#"
worker-setup = "echo worker $XTASK_WORKER; test $XTASK_WORKER = 0 && echo URL=1 >> $XTASK_ENV"
worker-teardown = "touch down-$XTASK_WORKER"
"#;
        let project = project(settings, &[TEST, TEST]);
        let more = ["--max-concurrent-splits", "2", "--workers-per-split", "1"];
        let output = project.run(&[&["test", "--engine", engine][..], &more].concat()).exits(4);
        output.tells("the setup of worker gw1 failed: ").tells("worker 1");
        assert!(project.has("down-0") && project.has("down-1"));
    }
}

#[test]
fn what_is_exported_must_be_variables() {
    let project = project("setup = 'echo export A=1 >> $XTASK_ENV'\n", &[PASSES]);
    let output = project.run(&["test"]).exits(4);
    output.tells("setup.env`: line 1, `export A=1`, does not begin with a name");
}

#[test]
fn a_setup_has_a_time_limit() {
    let settings = "setup = 'echo begun; sleep 1000'\nteardown = 'touch down'\n";
    let project = project(settings, &[PASSES]);
    let output = project.run(&["test", "--setup-timeout", "0.5"]).exits(4);
    output.tells("took longer than 0.5s, the limit of `setup-timeout`").tells("begun");
    assert!(project.has("down"));
}

/// The result of the tests stands, but nobody should miss what was left.
#[test]
fn a_teardown_that_fails_makes_the_run_red() {
    let settings = "teardown = ['echo still there; false', 'touch second']\n";
    let project = project(settings, &[PASSES]);
    let output = project.run(&["test"]).exits(1);
    output.says("the teardown failed: `echo still there; false` ended with exit code 1");
    assert!(project.has("second"));
}

/// What setup starts in the background, in its own session or not, lives as long as the run, with
/// what that starts; orphans of tests end before.
#[test]
fn servers_live_as_long_as_the_run() {
    const SERVER: &str = "\
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(open(sys.argv[1] + '.ended', 'w').close()))
os.fork() or (open(sys.argv[1] + '.child', 'w').write(str(os.getpid())), signal.pause())
open(sys.argv[1], 'w').write(str(os.getpid()))
while True:
    signal.pause()
";
    let settings = r#"
setup = """
python server.py one > /dev/null 2>&1 &
setsid python server.py two > /dev/null 2>&1 &
while ! [ -s one ] || ! [ -s two ] || ! [ -s one.child ]; do sleep 0.02; done"""
teardown = """
ps -o pid= -p $(cat one) -p $(cat two) -p $(cat one.child) | wc -l > alive
kill $(cat one)
while kill -0 $(cat one); do sleep 0.02; done"""
"#;
    let project = project(settings, &[PASSES]);
    project.write("server.py", SERVER);
    project.run(&["test"]).exits(0);
    assert_eq!(project.read("alive").trim(), "3");
    assert!(project.has("one.ended"));
    for name in ["one.child", "two"] {
        let pid = project.read(name);
        wait_for(|| !Utf8Path::new("/proc").join(&pid).exists());
    }
}

#[test]
fn a_signal_while_setting_up_ends_the_run_and_tears_down() {
    let settings =
        "setup = 'echo A=1 >> $XTASK_ENV; touch begun; sleep 1000'\nteardown = 'echo $A > down'\n";
    let project = project(settings, &[PASSES]);
    let running = project.xtask(&["test"]).start();
    wait_for(|| project.has("begun"));
    running.signal_group(SIGINT);
    running.output().exits(130);
    assert_eq!(project.read("down"), "1\n");
}

engines! {
    fn a_signal_while_tests_run_tears_down(engine) {
        let settings = "teardown = 'touch down'\nworker-setup = 'true'\nworker-teardown = 'touch down-gw'\n";
        let hangs = "import time\n\ndef test_hangs():\n    open('running', 'w').close()\n    time.sleep(1000)\n";
        let project = project(settings, &[hangs]);
        let running = project.xtask(&["test", "--splits", "1", "--engine", engine]).start();
        wait_for(|| project.has("running"));
        running.signal_group(SIGINT);
        running.output().exits(130);
        assert!(project.has("down") && project.has("down-gw"));
    }
}

/// One Ctrl-C does not cut a teardown off; another one does.
#[test]
fn a_signal_while_tearing_down_waits() {
    let down = "touch tearing; while ! [ -e go ]; do sleep 0.02; done; touch down";
    let project = project(&format!("teardown = '{down}'\n"), &[PASSES]);
    let mut running = project.xtask(&["test"]).start();
    wait_for(|| project.has("tearing"));
    running.signal_group(SIGINT);
    running.until("once more leaves what is not torn down yet");
    project.write("go", "");
    running.output().exits(130);
    assert!(project.has("down"));

    fs::remove_file(project.root.join("go")).expect("a file");
    fs::remove_file(project.root.join("tearing")).expect("a file");
    fs::remove_file(project.root.join("down")).expect("a file");
    let mut running = project.xtask(&["test"]).start();
    wait_for(|| project.has("tearing"));
    running.signal_group(SIGINT);
    running.until("once more leaves what is not torn down yet");
    running.signal_group(SIGINT);
    running.output().exits(130);
    assert!(!project.has("down"));
}

/// A worker whose process died goes on with what it had. What confirms the crash is a worker, too.
#[test]
fn a_crash_is_no_reason_to_leave_anything() {
    let dies = "import os\n\ndef test_dies():\n    os.kill(os.getpid(), 9)\n\ndef test_after():\n    assert os.environ['DB']\n";
    let project = project(EACH_ITS_OWN, &[dies]);
    let output = project.run(&["test", "--splits", "1"]).exits(1);
    output.says("Tests: 1 passed, 1 crashed");
    let down = project.read("down");
    assert!(down.contains("db://a,b/gw0\n") && down.ends_with("\nrun db://a,b\n"), "{down}");
}

/// A shard is a run of its own, and is told which.
#[test]
fn a_shard_sets_up_for_itself() {
    let settings = "setup = 'echo $XTASK_SHARD > shard'\nteardown = 'touch down'\n";
    let project = project(settings, &[PASSES, PASSES]);
    project.run(&["coverage", "--splits", "2", "--shard", "2/2", "--out", "out"]).exits(0);
    assert_eq!((project.read("shard").as_str(), project.has("down")), ("2/2\n", true));
}

/// What pytest imports to plan may need it, too.
#[test]
fn a_plan_sets_up() {
    let project = project(EACH_ITS_OWN, &[PASSES]);
    project.write("conftest.py", "import os\n\nURL = os.environ['URL']\n");
    project.run(&["coverage", "plan"]).exits(0).says("1 test in 2 splits");
    assert_eq!(project.read("down"), "db://a,b/gw0\nrun db://a,b\n");
}

#[test]
fn a_dry_run_shows_the_commands() {
    let project = project("setup = 'touch begun'\nteardown = 'touch down'\n", &[PASSES]);
    let output = project.run(&["coverage", "--dry-run"]).exits(0);
    let output = output.says("/bin/sh -c 'touch begun'").says("/bin/sh -c 'touch down'");
    assert!(output.stdout.find("begun") < output.stdout.find("down"));
    assert!(!project.has("begun") && !project.has("down"));
}

/// A server for the run, a template, and a database for each worker, cloned from it.
#[test]
#[ignore = "slow: a database server"]
fn a_database_for_each_worker() {
    let versions = Utf8Path::new("/usr/lib/postgresql").read_dir_utf8().into_iter().flatten();
    let programs = versions.flatten().map(|it| it.path().join("bin"));
    let Some(programs) = programs.into_iter().find(|it| it.join("initdb").is_file()) else {
        // Past the harness, which keeps what a test that passes prints to itself.
        let told = "SKIPPED: no PostgreSQL in /usr/lib/postgresql; install `postgresql`\n";
        std::io::stderr().write_all(told.as_bytes()).expect("stderr");
        return;
    };
    let settings = r#"
setup = """
set -e
initdb -D db -A trust -U tester > /dev/null
pg_ctl -D db -w -o "-k $PWD -c listen_addresses=''" -l db.log start
createdb -h $PWD -U tester template
psql -q -h $PWD -U tester template -c 'create table pets (name text)'
echo PGHOST=$PWD >> $XTASK_ENV
echo PGUSER=tester >> $XTASK_ENV"""
teardown = "psql -l -t -A > databases; pg_ctl -D db -m fast stop"
worker-setup = "createdb -T template app_$XTASK_WORKER && echo PGDATABASE=app_$XTASK_WORKER >> $XTASK_ENV"
worker-teardown = "dropdb --force app_$XTASK_WORKER"
"#;
    let test = "\
import subprocess

def sql(text):
    return subprocess.run(['psql', '-qtAc', text], check=True, capture_output=True, text=True).stdout

def test_first():
    sql(\"insert into pets values ('Rex')\")

def test_second():
    assert sql('select current_database(), count(*) from pets').startswith('app_')
";
    let project = project(settings, &[test, test, test, test]);
    let path = format!("{programs}:{}/bin:/usr/bin:/bin", project.env().root);
    let more = ["--max-concurrent-splits", "2", "--workers-per-split", "1", "--color", "never"];
    let args = [&["coverage", "--report", "term"][..], &more].concat();
    // The server refuses to run as root.
    let run = match nix::unistd::geteuid().is_root() {
        false => project.xtask(&args),
        true => {
            for folder in [project.root.parent().expect("a folder"), &project.root] {
                let open = fs::Permissions::from_mode(0o777);
                fs::set_permissions(folder, open).expect("a folder");
            }
            let user = ["-u", "nobody", "--", crate::support::BINARY];
            Run::of("/usr/sbin/runuser".into()).args(&user).args(&args).cwd(&project.root)
        }
    };
    let home = project.root.as_str();
    let run = run.var("PATH", &path).var("HOME", home);
    let output = run.var("VIRTUAL_ENV", project.env().root.as_str()).output().exits(0);
    output.says("8 tests passed");
    let left = project.read("databases");
    assert!(left.contains("template|") && !left.contains("app_"), "{left}");
    assert!(!project.has("db/postmaster.pid"));
}
