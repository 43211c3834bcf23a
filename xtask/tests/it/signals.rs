//! Ctrl-C, SIGTERM, SIGHUP and SIGKILL, at every stage of a run: the documented exit code, what
//! was finished kept, and no process left.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGTSTP};

use crate::support::{Output, Project, Run, Running, wait_for};

/// How long everything may take to be gone.
const GONE: Duration = Duration::from_secs(20);
/// The variable by which the processes of one run are found.
const MARK: &str = "XTASK_TEST_MARK";

const PYPROJECT: &str = "[project]\nname = 'slow'\nversion = '1'\n";
const QUICK: &str = "import slow\n\ndef test_quick():\n    assert slow.half(2) == 1\n";
/// Says that it runs, leaves processes behind in its group and outside, and never ends by itself.
const HANGS: &str = "\
import os, subprocess, time
import slow

def test_hangs():
    subprocess.Popen(['sleep', '1000'])
    subprocess.Popen(['sleep', '1000'], start_new_session=True)
    open('running', 'w').close()
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass
";

/// Two splits: one quick test, then one that never ends.
fn slow() -> Project {
    let project = Project::new(&[("pyproject.toml", PYPROJECT)]);
    project.write_all(&[
        ("slow.py", "def half(n):\n    return n // 2\n"),
        ("tests/test_a.py", QUICK),
        ("tests/test_b.py", HANGS),
        ("conftest.py", ""),
    ]);
    project
}

/// One test at a time, whatever the number of workers in a split of the stock engine.
fn engine(name: &str, workers: &str) -> Vec<String> {
    let workers = if name == "stock" { workers } else { "1" };
    let args = "coverage --report term --splits 2 --max-concurrent-splits 1 --engine";
    let args = args.split(' ').chain([name, "--workers-per-split", workers]);
    args.map(str::to_owned).collect()
}

/// The files that the data of a run's splits measured, and whether of each line 2 has run.
fn kept(project: &Project) -> String {
    let code = "import coverage, glob, os\nfor file in glob.glob('.xtask/runs/last/parts/*/*'):\n    \
                if 'data.' in file or file.endswith('.coverage'):\n        \
                d = coverage.CoverageData(file); d.read()\n        \
                for f in d.measured_files():\n            \
                print(os.path.basename(f), 2 in (d.lines(f) or ()))";
    project.python_says(code, &[])
}

/// Not where these tests were started with `nohup`: a signal that is ignored at the start of the
/// program stays so.
fn is_heard(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a mask");
    ignored & (1 << (signal as i32 - 1)) == 0
}

/// A run that can be found again by its mark.
pub(crate) struct Marked {
    pub(crate) running: Running,
    mark: String,
}

impl Marked {
    pub(crate) fn start(run: Run) -> Marked {
        let time = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos();
        let mark = format!("{MARK}={}-{time}", std::process::id());
        let (name, value) = mark.split_once('=').expect("a value");
        Marked { running: run.var(name, value).start(), mark }
    }

    fn of(project: &Project, args: &[String]) -> Marked {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Marked::start(project.xtask(&args))
    }

    /// The folders of all its processes.
    fn folders(&self) -> impl Iterator<Item = std::path::PathBuf> {
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let is_its = |folder: &std::path::PathBuf| {
            let environ = std::fs::read(folder.join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == self.mark.as_bytes())
        };
        entries.map(|entry| entry.path()).filter(is_its)
    }

    /// Whether all its processes stand still, and there are more than one.
    pub(crate) fn is_stopped(&self) -> bool {
        let state = |folder: std::path::PathBuf| {
            let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        };
        let states: Vec<char> = self.folders().filter_map(state).collect();
        states.len() > 1 && states.iter().all(|state| *state == 'T')
    }

    /// The command lines of all its processes.
    pub(crate) fn processes(&self) -> Vec<String> {
        let command = |folder: std::path::PathBuf| {
            let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        };
        self.folders().map(command).filter(|line| !line.is_empty()).collect()
    }

    /// Waits for the end; nothing of it may live much longer than `since`.
    pub(crate) fn ends(self, since: Instant) -> Output {
        while !self.processes().is_empty() {
            assert!(since.elapsed() < GONE, "left running: {:#?}", self.processes());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.running.output()
    }

    fn signalled(self, signal: Signal) -> Output {
        let since = Instant::now();
        self.running.signal(signal);
        self.ends(since)
    }
}

#[test]
fn a_signal_while_tests_run_ends_everything_and_keeps_what_is_finished() {
    let table = [(SIGINT, 130, "1"), (SIGTERM, 143, "2"), (SIGHUP, 130, "2")];
    for name in ["stock", "fork", "spawn"] {
        for (signal, code, workers) in table.into_iter().filter(|(signal, ..)| is_heard(*signal)) {
            let project = slow();
            let run = Marked::of(&project, &engine(name, workers));
            wait_for(|| project.has("running"));
            let ran = run.signalled(signal).exits(code);
            assert_eq!(ran.line("Tests: "), "1 passed, 1 not run", "{name} {signal}: {ran}");
            ran.says("✗ interrupted: interrupted; 1 test did not run\n")
                .says("The data of finished splits is in `");
            let kept = kept(&project);
            assert!(kept.contains("slow.py True"), "{name} {signal}: {kept:?}");
            assert!(!project.has(".coverage"), "{name} {signal}");
        }
    }
}

#[test]
fn ctrl_c_reaches_the_whole_group_and_is_told_once() {
    for name in ["stock", "fork", "spawn"] {
        let project = slow();
        let run = Marked::of(&project, &engine(name, "2"));
        wait_for(|| project.has("running"));
        let since = Instant::now();
        run.running.signal_group(SIGINT);
        let ran = run.ends(since).exits(130);
        assert_eq!(ran.stderr.matches("interrupted").count(), 1, "{name}: {ran}");
        ran.says("✗ interrupted: interrupted; 1 test did not run\n").never_says("Traceback");
    }
}

#[test]
fn a_signal_during_collection_ends_everything() {
    let conftest = "import os, time\nopen('running', 'w').close()\nwhile True:\n    \
                    try:\n        time.sleep(1000)\n    except BaseException:\n        pass\n";
    for name in ["stock", "fork", "spawn"] {
        for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
            let project = slow();
            project.write("tests/test_a.py", conftest);
            let run = Marked::of(&project, &engine(name, "1"));
            wait_for(|| project.has("running"));
            run.signalled(signal)
                .exits(code)
                .says("✗ interrupted: interrupted")
                .never_says("Traceback");
        }
    }
}

#[test]
fn a_signal_while_the_environment_is_asked_ends_everything() {
    // pytest-like tools that a project names are asked before anything runs: here its Python.
    let hangs = "import os, time\nopen('running', 'w').close()\nwhile True:\n    \
                 try:\n        time.sleep(1000)\n    except BaseException:\n        pass\n";
    let table = [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 130)];
    for (signal, code) in table.into_iter().filter(|(signal, _)| is_heard(*signal)) {
        let project = slow();
        project.write("sitecustomize.py", hangs);
        let args = ["coverage", "--engine", "fork"];
        let run = project.xtask(&args).var("PYTHONPATH", project.root.as_str());
        let run = Marked::start(run);
        wait_for(|| project.has("running"));
        run.signalled(signal).exits(code);
    }
}

#[test]
fn a_signal_while_data_is_combined_ends_everything_and_keeps_the_data() {
    // coverage loads its plugins wherever it starts: this one waits for the tests to be over.
    let plugin = "import os, time\n\ndef coverage_init(registry, options):\n    \
                  while os.path.exists('tests-ran'):\n        \
                  open('running', 'w').close()\n        time.sleep(1)\n";
    for name in ["stock", "fork", "spawn"] {
        let project = slow();
        project.write_all(&[
            ("waits.py", plugin),
            (".coveragerc", "[run]\nplugins = waits\n"),
            ("tests/test_b.py", "def test_ran():\n    open('tests-ran', 'w').close()\n"),
        ]);
        let args = ["coverage", "--engine", name, "--splits", "1", "--workers-per-split", "1"];
        let run = project.xtask(&args).var("PYTHONPATH", project.root.as_str());
        let run = Marked::start(run);
        wait_for(|| project.has("running"));
        run.signalled(SIGTERM).exits(143);
        let folder = if name == "stock" { "split-01" } else { "data" };
        let parts = project.names(&format!(".xtask/runs/last/parts/{folder}"));
        assert!(parts.iter().any(|part| part.contains("data.") || part.contains(".coverage")));
        assert!(!project.has(".coverage"));
    }
}

#[test]
fn a_signal_while_data_is_saved_does_not_cut_it_off() {
    // The worst moment: a data file of coverage has its tables, and not yet its version.
    let waits = "import os, sqlite3, time\n\n\n\
                 class Waits(sqlite3.Connection):\n    \
                 def execute(self, sql, *rest):\n        \
                 if 'INTO coverage_schema' in sql:\n            \
                 open('running', 'w').close()\n            \
                 while not os.path.exists('go'):\n                time.sleep(0.01)\n        \
                 return super().execute(sql, *rest)\n\n\n\
                 def pytest_sessionstart():\n    connect = sqlite3.connect\n    \
                 sqlite3.connect = lambda *args, **how: connect(*args, **how, factory=Waits)\n";
    // The fork engine makes such a file before its first test only.
    for name in ["stock", "spawn"] {
        let project = slow();
        project.write_all(&[("conftest.py", waits), ("tests/test_b.py", QUICK)]);
        let args = ["coverage", "--engine", name, "--splits", "1", "--workers-per-split", "1"];
        let mut run = Marked::start(project.xtask(&args));
        wait_for(|| project.has("running"));
        run.running.signal(SIGINT);
        run.running.until("Stopping: interrupted");
        project.write("go", "");
        run.ends(Instant::now()).exits(130).says("Tests: 2 passed\n");
        assert!(kept(&project).contains("slow.py True"), "{name}");
    }
}

#[test]
fn nothing_outlives_a_runner_that_is_killed() {
    for (name, workers) in [("stock", "1"), ("stock", "2"), ("fork", "1"), ("spawn", "1")] {
        let project = slow();
        // What a test itself has started, nobody can end but the runner that is gone.
        project.write("tests/test_b.py", &HANGS.replace("subprocess.Popen", "print"));
        project.write("conftest.py", "import builtins\nbuiltins.print = lambda *_, **__: None\n");
        let run = Marked::of(&project, &engine(name, workers));
        wait_for(|| project.has("running"));
        assert_eq!(run.signalled(SIGKILL).code, 128 + 9);
    }
}

#[test]
fn a_background_job_of_a_shell_can_be_interrupted() {
    for name in ["stock", "fork", "spawn"] {
        let project = slow();
        // Such a job starts with SIGINT ignored.
        let mut words = vec!["-c", "trap '' INT; exec \"$0\" \"$@\"", crate::support::BINARY];
        let args = engine(name, "1");
        words.extend(args.iter().map(String::as_str));
        let shell = Run::of("/bin/sh".into()).args(&words).cwd(&project.root);
        let run = Marked::start(shell.active(project.env()));
        wait_for(|| project.has("running"));
        run.signalled(SIGTERM).exits(143).says("✗ interrupted: interrupted; 1 test did not run\n");
    }
}

#[test]
fn what_tests_leave_running_is_gone_at_the_end() {
    let leaves = "import subprocess, sys\n\n\
                  def test_leaves():\n    subprocess.Popen(['sleep', '1000'])\n\n\
                  def test_leaves_a_session():\n    \
                  subprocess.Popen(['sleep', '1000'], start_new_session=True)\n\n\
                  def test_leaves_a_daemon():\n    \
                  subprocess.run('(setsid sleep 1000 &) &', shell=True, check=True)\n";
    for name in ["stock", "fork", "spawn"] {
        for workers in ["1", "2"] {
            let project = slow();
            project.write("tests/test_b.py", leaves);
            let mut run = Marked::of(&project, &engine(name, workers));
            run.running.until("✓ passed: 4 tests passed");
            run.ends(Instant::now()).exits(0);
        }
    }
}

/// Two projects side by side, of which the first has the tests of [`slow`].
fn two_projects() -> Project {
    let project = Project::new(&[]);
    for name in ["one", "two"] {
        let pyproject = format!("[project]\nname = '{name}'\nversion = '1'\n");
        project.write(&format!("{name}/pyproject.toml"), &pyproject);
        project.write(&format!("{name}/slow.py"), "def half(n):\n    return n // 2\n");
        project.write(&format!("{name}/tests/test_a.py"), QUICK);
    }
    project.write("one/tests/test_b.py", HANGS);
    project
}

#[test]
fn ctrl_c_is_meant_for_all_projects() {
    let project = two_projects();
    let args = ["coverage", "-p", "one", "-p", "two", "--report", "none", "--splits", "1"];
    let args = [&args[..], &["--max-concurrent-projects", "1"]].concat();
    let run = Marked::start(project.xtask(&args));
    wait_for(|| project.has("one/running"));
    let ran = run.signalled(SIGINT).exits(130);
    ran.says("✗ interrupted: interrupted; 1 test did not run\n")
        .says("✗ interrupted before these projects: two\n");
    assert!(!project.has("two/.xtask"), "the second one was begun");
}

/// One process forks another and ends, again and again, so that none is there for long. All of
/// them have one lock.
#[test]
fn what_forks_and_forks_is_caught() {
    let forks = "import fcntl, os, time\n\n\
                 def test_leaves_a_chain():\n    \
                 until, lock = time.monotonic() + 60, open('lock', 'w')\n    \
                 fcntl.flock(lock, fcntl.LOCK_EX)\n    \
                 if os.fork() == 0:\n        \
                 os.setsid()\n        \
                 while time.monotonic() < until and not os.fork():\n            pass\n        \
                 os._exit(0)\n    \
                 os.wait()\n";
    let project = slow();
    project.write("tests/test_b.py", forks);
    let mut run = Marked::of(&project, &engine("fork", "1"));
    run.running.until("✓ passed: 2 tests passed");
    let since = Instant::now();
    run.ends(since).exits(0);
    let lock = std::fs::File::open(project.root.join("lock")).expect("a lock");
    while lock.try_lock().is_err() {
        assert!(since.elapsed() < GONE, "left running");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a file, and takes half a second after that.
const WAITS: &str = "import os, time\n\n\
                     def test_waits():\n    open('running', 'w').close()\n    \
                     while not os.path.exists('go'):\n        time.sleep(0.01)\n    \
                     time.sleep(0.5)\n";

/// Stops and goes on as a whole, whichever process the tests run in. None may take longer than
/// they are stopped for.
fn check_ctrl_z(name: &str, text: &str) {
    let project = slow();
    project.write("tests/test_b.py", text);
    let run = Marked::of(&project, &[engine(name, "1"), vec!["--timeout=1.5".to_owned()]].concat());
    wait_for(|| project.has("running"));
    run.running.signal(SIGTSTP);
    // Whoever holds the keys down.
    run.running.signal(SIGTSTP);
    wait_for(|| run.is_stopped());
    std::thread::sleep(Duration::from_millis(1600));
    project.write("go", "");
    run.running.signal(SIGCONT);
    run.running.output().exits(0).says("✓ passed: 2 tests passed\n");
}

#[test]
fn ctrl_z_stops_the_tests_and_their_time_limits() {
    check_ctrl_z("fork", WAITS);
}

#[test]
#[ignore = "slow: the same with other engines, and at other times"]
fn ctrl_z_stops_all_at_any_time() {
    let collecting = WAITS.replace("def test_waits():", "if True:") + "\ndef test_a(): pass\n";
    check_ctrl_z("fork", &collecting);
    for name in ["spawn", "stock"] {
        [WAITS, &collecting].iter().for_each(|text| check_ctrl_z(name, text));
    }
}

#[test]
fn a_run_under_nohup_survives_its_terminal() {
    let project = slow();
    project.write("tests/test_b.py", WAITS);
    let args = engine("fork", "1");
    let mut words = vec!["-c", "trap '' HUP; exec \"$0\" \"$@\"", crate::support::BINARY];
    words.extend(args.iter().map(String::as_str));
    let shell = Run::of("/bin/sh".into()).args(&words).cwd(&project.root);
    let run = Marked::start(shell.active(project.env()));
    wait_for(|| project.has("running"));
    run.running.signal(SIGHUP);
    project.write("go", "");
    run.running.output().exits(0).says("✓ passed: 2 tests passed\n");
}
