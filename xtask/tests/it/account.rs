//! The account of a run is exact for any suite: ids of every form, several tests with one id, ids
//! that change from run to run, tests that nobody reports.

use crate::shop::ONE_AT_A_TIME;
use crate::support::{Project, STOCK, env};

/// A check for each line of a file, with the line as its id: neither a path, nor unique.
const CHECKS: &str = "\
import pytest


class Check(pytest.Item):
    def runtest(self):
        with open(f'{self.path}.ran', 'a') as file:
            file.write('x')
        assert 'bad' not in self.name

    def reportinfo(self):
        return self.path, 0, self.name

    def repr_failure(self, excinfo):
        return 'it is bad'


class Checks(pytest.File):
    def collect(self):
        for line in self.path.read_text(encoding='utf-8').splitlines():
            name = line.encode().decode('unicode_escape')
            yield Check.from_parent(self, name=name, nodeid=name)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == '.checks':
        return Checks.from_parent(parent, path=file_path)
";

fn project(files: &[(&str, &str)]) -> Project {
    let project = Project::at("account", &[("pytest.ini", "[pytest]\n")]);
    project.write_all(files);
    project
}

fn test<'a>(engine: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["test", "--engine", engine], &ONE_AT_A_TIME[..], more].concat()
}

engines! {
    /// All characters, and ids that look like something else.
    fn tests_may_be_called_anything(engine) {
        let checks = project(&[("conftest.py", CHECKS)]);
        let lines = r#"two words
bad: \"quoted\" 'and' \\ \n\r\t\x00\x1b[31m <&> ]]>
::
--lf
/etc/passwd::x
a[b::c]::d
\U0001f600 \xe9
"#;
        checks.write("a.checks", &format!("{lines}{}\n", "long ".repeat(20_000)));
        checks.write("b.checks", "bad and alone\ngood\n");
        let output = checks.run(&test(engine, &["--junit", "j.xml"])).exits(1);
        output.says("Tests: 8 passed, 2 failed\n");
        let cases = "import sys, xml.etree.ElementTree as E; print(len(list(E.parse('j.xml').iter('testcase'))))";
        assert_eq!(checks.python_says(cases, &[]), "10\n");
        checks.write("b.checks", "good and alone\ngood\n");
        let again = test(engine, &["--last-failed"]);
        // What stands in one file may build on each other, so all of it runs.
        checks.run(&again).exits(1).tells("  • Again: 2 tests that failed\n")
            .tells("note: 1 test not found again, `bad and alone`: ")
            .says("Tests: 7 passed, 1 failed\n");
        checks.write("a.checks", "two words\n");
        checks.run(&again).exits(0).says("Tests: 3 passed\n");
        checks.run(&again).exits(0).says("✓ nothing to run again");
    }

    fn tests_with_one_id_all_run_and_count(engine) {
        let checks = project(&[("conftest.py", CHECKS)]);
        checks.write_all(&[("a.checks", "same\nsame bad\nother\n"), ("b.checks", "same\nsame bad\n")]);
        let output = checks.run(&test(engine, &["--junit", "j.xml", "--summary-json", "s.json"])).exits(1);
        let output = output.says("Tests: 3 passed, 2 failed\n").says("2 of 5 tests failed\n");
        // What fails runs once more, to be confirmed.
        assert!(checks.read("a.checks.ran").starts_with("xxx"));
        assert!(checks.read("b.checks.ran").starts_with("xx"));
        assert_eq!(checks.read("j.xml").matches("<failure").count(), 2, "{output}");
        assert_eq!(checks.json("s.json")["failed_tests"], serde_json::json!(["same bad"]));
    }

    /// The test in its place runs, and its file; it is never said that all is well.
    fn a_failed_test_that_has_another_id_is_looked_for_in_its_file(engine) {
        let random = "import uuid\nimport pytest\n\n\n\
                      @pytest.mark.parametrize('key', [uuid.uuid4().hex])\n\
                      def test_random(key):\n    assert 0\n";
        let project = project(&[
            ("test_random.py", random),
            ("test_stable.py", "def test_stable():\n    assert 0\n"),
        ]);
        project.run(&test(engine, &[])).exits(1).says("Tests: 2 failed\n");
        project.write("test_stable.py", "def test_stable():\n    pass\n");
        let again = test(engine, &["--last-failed"]);
        project.run(&again).exits(1).says("Tests: 1 passed, 1 failed\n")
            .tells("note: 1 test not found again, `test_random.py::test_random[")
            .tells("]`: all tests of `test_random.py` run in their place\n");
        project.run(&again).exits(1).says("Tests: 1 failed\n");
        project.write("test_random.py", &random.replace("assert 0", "pass"));
        project.run(&again).exits(0).says("Tests: 1 passed\n");
        project.run(&again).exits(0).says("✓ nothing to run again");
    }

    /// Sets have another order for each hash seed; two splits of the stock engine would not agree.
    fn parameters_from_sets_come_in_one_order(engine) {
        let set = "import pytest\n\nNAMES = {'ann', 'bob', 'cid', 'dan', 'eve', 'fay', 'gus'}\n\n\n\
                   @pytest.mark.parametrize('name', NAMES)\n\
                   def test_name(name):\n    assert name in NAMES\n";
        let project = project(&[("test_set.py", set)]);
        let options = ["--splits", "3", "--max-concurrent-splits", "2", "--workers-per-split", "1"];
        let args = [&["test", "--engine", engine, "-v", "--summary-json", "s.json"], &options[..]].concat();
        let run = |seed: &str| project.xtask(&args).var("PYTHONHASHSEED", seed).output().exits(0);
        let output = run("random").says("Tests: 7 passed\n");
        let seed = project.json("s.json")["hash_seed"].clone();
        output.tells(&format!("    hash-seed = {seed} (drawn for this run)\n"));
        run("42").tells("    hash-seed = 42 (PYTHONHASHSEED)\n");
        assert_eq!(project.json("s.json")["hash_seed"], 42);
    }
}

/// Its tests may have moved to any other file, so in the end all are looked at.
#[test]
fn a_file_that_has_gone_is_no_good_news() {
    let project = project(&[
        ("test_old.py", "def test_a():\n    assert 0\n"),
        ("test_two.py", "def test_b():\n    assert 0\n"),
    ]);
    project.run(&test("fork", &[])).exits(1);
    std::fs::rename(project.root.join("test_old.py"), project.root.join("test_new.py"))
        .expect("a file");
    let again = test("fork", &["--last-failed"]);
    project.run(&again).exits(1).says("Tests: 1 failed\n").tells(
        "note: 1 test not found again, `test_old.py::test_a`: \
         only a run of the whole suite can tell what became of them\n",
    );
    project.write("test_two.py", "def test_b():\n    pass\n");
    project.run(&again).exits(0).says("Tests: 1 passed\n");
    project
        .run(&again)
        .exits(1)
        .tells("  • Again: 1 test not found again, so all tests\n")
        .says("Tests: 1 passed, 1 failed\n");
    project.run(&again).exits(1).tells("  • Again: 1 test that failed\n");
}

/// Paths and `-k` leave the rest of the list as it is.
#[test]
fn only_what_was_asked_for_is_looked_for_again() {
    let test_file = "def test_a():\n    assert 0\n";
    let project = project(&[("one/test_one.py", test_file), ("two/test_two.py", test_file)]);
    project.run(&test("fork", &[])).exits(1);
    let again = test("fork", &["--last-failed", "--"]);
    for part in [&["one"][..], &["-k", "test_two"]] {
        let output = project.run(&[&again[..], part].concat()).exits(1);
        output.says("Tests: 1 failed\n").never_says("not found again");
    }
    project.run(&again).exits(1).says("Tests: 2 failed\n");
}

/// A hook that runs a test in its own way, and says nothing of it.
#[test]
fn tests_that_nobody_reports_are_no_success() {
    let conftest = "def pytest_runtest_protocol(item):\n    return item.name == 'test_b' or None\n";
    let project = project(&[
        ("conftest.py", conftest),
        ("test_a.py", "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n"),
    ]);
    let output = project.run(&test("stock", &["--splits", "1"])).exits(1);
    output.says("Tests: 1 passed, 1 not run\n").says("; 1 test did not run\n");
    project.run(&test("stock", &["--last-failed"])).exits(1).says("Tests: 1 not run\n");
    for engine in ["fork", "spawn"] {
        let output = project.run(&["coverage", "--engine", engine]).exits(3);
        output.says("Tests: 1 passed, 1 not run\n");
    }
}

/// Takes what there is but one of, for a while, and says so.
const DEVICE: &str = "\
import os, time


class Base:
    def setup_method(self):
        os.mkdir('the-only-device')

    def teardown_method(self):
        os.rmdir('the-only-device')

    def use(self, number):
        with open('order', 'a') as file:
            file.write(number)
        time.sleep(0.2)


class TestRead(Base):
    def test_1(self):
        self.use('1')

    def test_2(self):
        self.use('2')


class TestWrite(Base):
    def test_3(self):
        self.use('3')

    def test_4(self):
        self.use('4')
";

/// As many splits as tests, all at once: what is together is cut by each.
const ALL_AT_ONCE: [&str; 6] =
    ["--splits", "4", "--max-concurrent-splits", "4", "--workers-per-split", "1"];

engines! {
    /// Splits that cut the file take turns, in order.
    fn dist_loadfile_keeps_a_file_in_one_process_at_a_time(engine) {
        let project = project(&[("test_device.py", DEVICE)]);
        project.write("pytest.ini", "[pytest]\naddopts = --dist loadfile\n");
        let args = [&["test", "--engine", engine], &ALL_AT_ONCE[..]].concat();
        let note = "note: addopts has `--dist=loadfile`: a file is never in two processes at once\n";
        // Without, and with what a first run has taught.
        for order in ["1234", "12341234"] {
            let output = project.run(&args).exits(0).says("Tests: 4 passed\n");
            assert_eq!(output.stderr.matches(note).count(), 1, "{output}");
            assert_eq!(project.read("order"), order);
        }
    }

    /// A document is one process's, and in the split of its first example.
    fn examples_that_build_on_each_other_stay_together(engine) {
        let project = project(&[("conftest.py", EXAMPLES)]);
        let text: String = (1..=9).map(|n| format!("x{n} = {} + 1\n", if n == 1 { "0".to_owned() } else { format!("x{}", n - 1) })).collect();
        project.write_all(&[("a.steps", &text), ("b.steps", &text), ("test_c.py", "def test_c():\n    pass\n")]);
        for pool in [&ALL_AT_ONCE[..], &["--splits", "1", "--workers-per-split", "3"]] {
            project.run(&[&["test", "--engine", engine][..], pool].concat()).exits(0)
                .says("Tests: 19 passed\n");
        }
    }
}

/// The lines of a file, which share their names; each adds to the last.
const EXAMPLES: &str = "\
import pytest


class Step(pytest.Item):
    def runtest(self):
        exec(self.name, self.parent.names)

    def reportinfo(self):
        return self.path, 0, self.name


class Steps(pytest.File):
    def collect(self):
        self.names = {}
        for line in self.path.read_text().splitlines():
            yield Step.from_parent(self, name=line)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == '.steps':
        return Steps.from_parent(parent, path=file_path)
";

/// Classes are apart from each other, as with xdist; what is typed wins over addopts.
#[test]
fn dist_loadscope_keeps_a_class_in_one_process_at_a_time() {
    let project = project(&[(
        "test_device.py",
        &DEVICE
            .replace("mkdir('", "mkdir(type(self).__name__ + '")
            .replace("rmdir('", "rmdir(type(self).__name__ + '"),
    )]);
    project.write("pytest.ini", "[pytest]\naddopts = --dist load\n");
    let dist = ["--", "--dist=loadscope"];
    let args = [&["test", "--engine", "fork"], &ALL_AT_ONCE[..], &dist].concat();
    let output = project.run(&args).exits(0);
    output
        .tells("note: `-- PYTEST_ARGS` has `--dist=loadscope`: a class is never in two processes");
    let order = project.read("order");
    let place = |test: char| order.find(test).expect("a test that ran");
    assert!(place('1') < place('2') && place('3') < place('4'), "{order}");
}

/// Real examples in a document, with names that the next ones use.
#[test]
#[ignore = "slow: a plugin to install, and five runs"]
fn documents_of_sybil_stay_together() {
    let conftest = "from sybil import Sybil\nfrom sybil.parsers.rest import DocTestParser\n\
                    pytest_collect_file = Sybil(parsers=[DocTestParser()], pattern='*.rst').pytest()\n";
    let project = project(&[("conftest.py", conftest)]).with(env(&[STOCK, &["sybil"]].concat()));
    let step = |n: i32| {
        format!(
            "Step {n}\n\n>>> x{n} = {} + 1\n>>> x{n}\n{n}\n\n",
            if n == 1 { "0".to_owned() } else { format!("x{}", n - 1) }
        )
    };
    project.write("guide.rst", &(1..=6).map(step).collect::<String>());
    for engine in ["fork", "spawn", "stock"] {
        let args = ["test", "--engine", engine, "--splits", "3"];
        project.run(&args).exits(0).says("Tests: 12 passed\n");
    }
    project.run(&["test", "--engine", "stock", "--splits", "1"]).exits(0);
    project.run(&["coverage", "plan", "--splits", "3"]).exits(0).says("[Split 1/3] 12 tests, ");
}

const LEAVES_FILES: &str = "\
import pytest


@pytest.fixture(scope='session')
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp('shared', numbered=False)


@pytest.mark.parametrize('n', range(4))
def test_writes(tmp_path, shared, n):
    (tmp_path / 'file').write_text('')
    (shared / 'of all').write_text('')


def test_fails(tmp_path):
    (tmp_path / 'file of a failure').write_text('')
    assert __file__.endswith('good.py')
";

/// The names of all files in a folder of the project and below, sorted.
fn files_in(project: &Project, folder: &str) -> Vec<String> {
    let code = "import glob, os, sys\n\
                for path in glob.glob(f'{sys.argv[1]}/**', recursive=True):\n    \
                    if os.path.isfile(path): print(os.path.basename(path))\n";
    let said = project.python_says(code, &[folder]);
    let mut names: Vec<String> =
        said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

engines! {
    /// In pytest's folder, or in the one that `--basetemp` names, and as long as pytest keeps them.
    fn temporary_files_are_where_and_as_long_as_pytest_has_them(engine) {
        let project = project(&[("test_bad.py", LEAVES_FILES)]);
        let run = |more: &[&str], code: i32| {
            std::fs::create_dir_all(project.root.join("tmp")).expect("a folder");
            let args = test(engine, more);
            let run = project.xtask(&args).var("TMPDIR", project.root.join("tmp").as_str());
            run.output().exits(code)
        };
        let all = ["file", "file of a failure", "of all"];
        run(&[], 1);
        assert_eq!(files_in(&project, "tmp"), all);
        project.write("pytest.ini", "[pytest]\ntmp_path_retention_policy = failed\n");
        std::fs::remove_dir_all(project.root.join("tmp")).expect("a folder");
        run(&[], 1);
        assert_eq!(files_in(&project, "tmp"), all[1..]);
        std::fs::remove_dir_all(project.root.join("tmp")).expect("a folder");
        std::fs::rename(project.root.join("test_bad.py"), project.root.join("test_good.py")).expect("a file");
        run(&[], 0);
        assert_eq!(files_in(&project, "tmp"), [""; 0]);
        project.write_all(&[("pytest.ini", "[pytest]\naddopts = --basetemp mine\n"), ("mine/old", "")]);
        run(&[], 0);
        assert_eq!(files_in(&project, "mine"), all);
        project.write("pytest.ini", "[pytest]\n");
        run(&["--", "--basetemp=mine"], 0);
        assert_eq!(files_in(&project, "mine"), all);
        assert_eq!(files_in(&project, "tmp"), [""; 0]);
    }
}

/// What the stock engine needs is loaded by name then, once.
#[test]
fn plugins_need_not_be_loaded_by_themselves() {
    let project =
        project(&[("test_a.py", "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n")]);
    let pool = ["--splits", "2", "--workers-per-split", "2", "--max-concurrent-splits", "1"];
    let run = |more: &[&str], named: &str| {
        let args = [&["test", "--engine", "stock"], &pool[..], more].concat();
        let run = project.xtask(&args).var("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1");
        run.var("PYTEST_PLUGINS", named).output()
    };
    run(&[], "").exits(0).says("Tests: 2 passed\n");
    run(&["--", "-p", "xdist"], "pytest_split.plugin").exits(0).says("Tests: 2 passed\n");
    let output = run(&["--", "-p", "no:xdist"], "").exits(0).says("Tests: 2 passed\n");
    output.tells(
        "note: `-p no:xdist` switches off what gives a split of the stock engine its workers",
    );
    let output = run(&["--", "-p", "no:pytest-split"], "").exits(4);
    output.tells("`-p no:pytest-split` switches off what cuts the suite for the stock engine");
}

/// As sets do where one process has compiled a module and another has read its bytecode.
#[test]
fn splits_of_the_stock_engine_agree_on_the_order_of_parameters() {
    let rotated = "import os\nimport pytest\n\n\
                   SPLIT = int(os.environ['XTASK_SPLIT'].split('/')[0])\n\
                   NUMBERS = list(range(5))\n\n\n\
                   @pytest.mark.parametrize('n', NUMBERS[SPLIT:] + NUMBERS[:SPLIT])\n\
                   def test_n(n):\n    pass\n";
    let project = project(&[("test_n.py", rotated)]);
    project.run(&test("stock", &["--splits", "3"])).exits(0).says("Tests: 5 passed\n");
}
