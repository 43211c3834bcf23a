//! What forks of one process have in common: it is looked for before the first of them, put back
//! where that can be done, and ended as often as in a sequential run.

use crate::support::{Output, Project, env};

const TWO_AT_ONCE: [&str; 4] = ["--splits", "1", "--workers-per-split", "2"];

/// A project with these files, and a test in a file of its own beside them.
fn project(files: &[(&str, &str)]) -> Project {
    let project =
        Project::new(&[("pytest.ini", "[pytest]\n"), ("test_z.py", "def test_z():\n    pass\n")]);
    project.write_all(files);
    project
}

fn test(project: &Project, more: &[&str]) -> Output {
    project.run(&[&["test"][..], &TWO_AT_ONCE, more].concat())
}

/// The process that forks is the parent of a test, whoever collects.
const FORKING: [[&str; 2]; 2] = [["--collect", "full"], ["--collect", "sharded"]];

#[test]
fn a_process_that_forks_and_ends_early_is_noticed_at_once() {
    let conftest = "\
import signal

def fail(*_):
    raise RuntimeError('not here')

signal.signal(signal.SIGUSR1, fail)
";
    let text = "\
import os
import signal
import time

def test_it():
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(600)
";
    let project = project(&[("conftest.py", conftest), ("test_a.py", text)]);
    for how in FORKING {
        let output = test(&project, &how).exits(3);
        output.says("RuntimeError: not here").says("ended its session early, with pytest's exit");
    }
}

#[test]
fn a_signal_for_the_parent_of_a_test_ends_no_run() {
    let text = "\
import os
import signal

def test_it():
    os.kill(os.getppid(), signal.SIGINT)

def test_next():
    pass
";
    let project = project(&[("test_a.py", text)]);
    for how in FORKING {
        let output = test(&project, &how).exits(0);
        output
            .says("Tests: 3 passed\n")
            .tells("warning: SIGINT was sent to the process that forks");
    }
}

/// Handlers that wait for any child, and functions that are no longer what they were.
#[test]
fn the_ends_of_tests_are_seen_whoever_else_waits_for_them() {
    let conftest = "\
import os
import signal

waitpid = os.waitpid

def reap(*_):
    try:
        while waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

signal.signal(signal.SIGCHLD, reap)
os.register_at_fork(before=reap, after_in_parent=reap)

def no(*_):
    raise RuntimeError('not here')

def pytest_collection_finish():
    os.wait4 = os.waitpid = os.wait = os.fork = no
";
    let project = project(&[("conftest.py", conftest), ("test_a.py", "def test_a(): pass\n")]);
    test(&project, &["--isolate", "file"]).exits(0).says("Tests: 2 passed\n");
}

#[test]
fn an_open_event_loop_rules_out_forks_until_it_is_gone() {
    let text = "\
import asyncio

LOOP = asyncio.new_event_loop()

def test_it():
    assert LOOP.run_until_complete(asyncio.sleep(0, 2)) == 2
";
    let project = project(&[("conftest.py", ""), ("test_a.py", text)]);
    let open = "an event loop is open (`LOOP` in `test_a.py`)";
    let found = format!("note: {open}, so forks are not safe: each worker collects and runs");
    test(&project, &[]).exits(0).says("Tests: 2 passed\n").tells(&found);
    let known = "note: the spawn engine runs the tests: forks were not safe when last looked at";
    test(&project, &[]).exits(0).tells(&format!("{known} ({open})")).tells("Engine: spawn");
    let forced = format!("warning: {open}, so forks are not safe; `--engine fork` forks all");
    let output = test(&project, &["--engine", "fork"]).exits(0).tells(&forced);
    output.tells("Engine: fork").never_says("each worker collects");
    project.write("test_a.py", "def test_it(): pass\n");
    test(&project, &[]).exits(0).tells("Engine: spawn");
    let output = test(&project, &["-v"]).exits(0).tells("Engine: fork");
    output.tells("child processes, shared memory): nothing\n");
}

/// As a plugin that starts a server for the tests has it.
#[test]
fn a_child_process_belongs_to_one_process_and_is_ended_by_it() {
    let conftest = "\
import pathlib
import subprocess
import sys

def pytest_configure(config):
    code = 'import time; time.sleep(600)'
    config.server = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)
    with pathlib.Path('started').open('a') as file:
        file.write(f'{config.server.pid}\\n')

def pytest_unconfigure(config):
    config.server.kill()
    config.server.wait()
";
    let text = "def test_it(request):\n    assert request.config.server.poll() is None\n";
    let project = project(&[("conftest.py", conftest), ("test_a.py", text), ("test_z.py", text)]);
    let found = "a child process runs (`python -c import time; time.sleep(600)`)";
    for _ in 0..2 {
        test(&project, &[]).exits(0).says("Tests: 2 passed\n").tells(found);
        let started = project.read("started");
        // One for each worker and one for the controller, as with pytest-xdist.
        assert!(started.lines().count() <= 3, "{started}");
        for pid in started.lines() {
            assert!(!std::path::Path::new("/proc").join(pid).exists(), "{pid} is alive");
        }
        std::fs::remove_file(project.root.join("started")).expect("a file");
    }
}

#[test]
fn seeded_draws_are_those_of_a_sequential_run_and_others_are_not_repeated() {
    let text = "\
import pathlib
import random

def test_it():
    if pathlib.Path('seeded').exists():
        assert random.random() == 0.13436424411240122
    with pathlib.Path('drawn').open('a') as file:
        file.write(f'{random.random()}\\n')
";
    let project =
        project(&[("conftest.py", "import random\n"), ("test_a.py", text), ("test_z.py", text)]);
    let apart = ["--isolate", "file"];
    test(&project, &apart).exits(0);
    let drawn = project.read("drawn");
    let [one, other] = drawn.lines().collect::<Vec<_>>()[..] else { panic!("{drawn}") };
    assert_ne!(one, other);
    project.write("seeded", "");
    project.write("conftest.py", "import random\nrandom.seed(1)\n");
    test(&project, &apart).exits(0).says("Tests: 2 passed\n");
}

/// What is made while importing is ended once, by who has made it, and what tests make with them.
#[test]
fn what_python_does_at_the_end_of_a_process_is_done() {
    let conftest = "\
import atexit
import logging.handlers
import os
import pathlib
import shutil
import tempfile

HERE = pathlib.Path(__file__).parent
OUT = open(HERE / 'out.txt', 'a')
OUT.write('imported\\n')
KEEP = [tempfile.TemporaryDirectory(dir=HERE, prefix='fin-')]
FOLDER = tempfile.mkdtemp(dir=HERE, prefix='fin-')
atexit.register(shutil.rmtree, FOLDER)
target = logging.FileHandler(HERE / 'app.log')
memory = logging.handlers.MemoryHandler(10_000, logging.CRITICAL, target)
log = logging.getLogger('app')
log.setLevel(logging.INFO)
log.addHandler(memory)
log.info('imported')

class Noted:
    def __init__(self, name):
        self.name, self.write = name, os.write
        self.to = os.open(HERE / 'deleted.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __del__(self):
        self.write(self.to, f'{self.name}\\n'.encode())

KEEP.append(Noted('imported'))

def check(name):
    assert os.path.isdir(KEEP[0].name) and os.path.isdir(FOLDER)
    KEEP.append(tempfile.TemporaryDirectory(dir=HERE, prefix='fin-'))
    KEEP.append(tempfile.NamedTemporaryFile(dir=HERE, prefix='fin-'))
    KEEP.append(Noted(name))
    held = open(HERE / f'{name}.txt', 'w')
    held.write('held back')
    KEEP.append(held)
    OUT.write(f'{name}\\n')
    log.info(name)
";
    let text = |name| format!("import conftest\n\ndef test_it():\n    conftest.check('{name}')\n");
    let project =
        project(&[("conftest.py", conftest), ("test_a.py", &text("a")), ("test_z.py", &text("z"))]);
    let ways: [&[&str]; 3] = [&[], &["--isolate", "file"], &["--collect", "sharded"]];
    for how in ways {
        test(&project, how).exits(0).says("Tests: 2 passed\n");
        for file in ["out.txt", "app.log", "deleted.txt"] {
            let mut lines: Vec<String> = project.read(file).lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(lines, ["a", "imported", "z"], "{file} {how:?}");
            std::fs::remove_file(project.root.join(file)).expect("a file");
        }
        for file in ["a.txt", "z.txt"] {
            assert_eq!(project.read(file), "held back", "{how:?}");
        }
        let left = project.names("");
        assert!(!left.iter().any(|name| name.starts_with("fin-")), "{how:?} {left:?}");
    }
}

/// pytest looks for such errors once more at its very end, where no test is to blame.
#[test]
fn an_error_in_a_finaliser_is_heard_though_the_tests_are_over() {
    let text = "\
class Bad:
    def __init__(self):
        self.me = self

    def __del__(self):
        raise ValueError('in a finaliser')

def test_it():
    Bad()
";
    let project = project(&[
        ("pytest.ini", "[pytest]\nfilterwarnings = error\n"),
        ("test_a.py", text),
        ("test_z.py", text),
    ]);
    for engine in ["fork", "spawn", "stock"] {
        let output = test(&project, &["--engine", engine]).exits(1);
        output
            .says("left an error behind")
            .says("PytestUnraisableExceptionWarning: Exception ignored in: <function Bad.__del__")
            .says("ValueError: in a finaliser");
    }
}

#[test]
fn what_was_collected_can_become_garbage_in_a_test() {
    let text = "\
import gc
import weakref
from gc import collect

import pytest

class Node:
    pass

def ring():
    one, other = Node(), Node()
    one.other, other.other = other, one
    return one

KEPT = ring()
RINGS = [ring()]
SEEN = weakref.ref(RINGS[0])

@pytest.fixture(autouse=True)
def collected():
    gc.collect()
    yield
    gc.collect()

def test_a_fixture_that_collects_for_every_test_leaves_the_suite_out():
    assert gc.get_freeze_count() > 1000

def test_it_is_found():
    RINGS.clear()
    collect()
    assert SEEN() is None

def test_referrers_are_found():
    assert any(vars(KEPT.other) is one or KEPT.other is one for one in gc.get_referrers(KEPT))
    assert any(one is KEPT for one in gc.get_objects())
";
    let project = project(&[("test_a.py", text)]);
    for engine in ["fork", "spawn"] {
        test(&project, &["--engine", engine]).exits(0).says("Tests: 4 passed\n");
    }
}

/// Real libraries: those that come through forks well, and those that do not.
#[test]
#[ignore = "slow: plugins to install, large ones"]
fn libraries_that_do_not_survive_forks_are_known() {
    let packages = ["pytest", "coverage", "gevent", "eventlet", "polars", "numpy", "uvloop"];
    let env = env(&packages);
    let numpy = "import numpy\nA = numpy.ones((400, 400))\nB = A @ A\n";
    let polars = "import polars\nF = polars.DataFrame({'k': [1, 2] * 1000}).lazy()\n\
                  F.group_by('k').agg(polars.len()).collect()\n";
    let gevent = "from gevent import monkey\nmonkey.patch_all()\n";
    let eventlet = "import eventlet\neventlet.monkey_patch()\n";
    let uvloop = "import uvloop\nLOOP = uvloop.new_event_loop()\n";
    let unsafe_here = "so forks are not safe";
    for (module, told) in [
        (polars, "native threads are alive of _polars"),
        (gevent, "gevent has patched the standard library"),
        (eventlet, "eventlet has patched the standard library"),
        (uvloop, "an `eventpoll` descriptor is open"),
    ] {
        let project = project(&[("conftest.py", module)]).with(env.clone());
        let output = test(&project, &["--timeout", "60"]).exits(0);
        output.says("Tests: 1 passed\n").tells(told).tells(unsafe_here);
    }
    let project = project(&[("conftest.py", numpy)]).with(env);
    test(&project, &["-v"]).exits(0).tells("of libscipy_openblas").never_says(unsafe_here);
}
