//! `--junit`: the same test cases as `pytest --junitxml` has, in a file that Jenkins and GitLab
//! read.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::shop::{coverage, shop};
use crate::support::{Project, env};

/// Every way in which a test can end without ending its process.
const ENDINGS: &str = "\
import sys
import unittest

import pytest


@pytest.mark.parametrize('word', ['a/b', 'c::d.py', 'é <&>\"', '\\x1b[31m'])
def test_words(word):
    pass


def test_fails():
    print('told \\x00\\x1b[31m]]> ü')
    print('cried', file=sys.stderr)
    assert '<a>' == 'b\\nc', 'it & that'


@pytest.fixture
def broken():
    raise RuntimeError('no <database>')


def test_setup(broken):
    pass


@pytest.fixture
def leaves():
    yield
    raise OSError('not put away')


def test_teardown(leaves):
    pass


def test_twice(leaves):
    assert 0


@pytest.mark.skip(reason='not today')
def test_skipped():
    pass


def test_skips_itself():
    pytest.skip('nor now')


@pytest.mark.xfail(reason='known')
def test_xfail():
    assert 0


@pytest.mark.xfail
def test_xfail_unsaid():
    pytest.xfail('told late')


@pytest.mark.xfail(reason='known')
def test_xpass():
    pass


@pytest.mark.xfail(strict=True, reason='known')
def test_strict():
    pass


def test_records(record_property):
    record_property('ticket', 'A-<1>')


class TestClass:
    class TestInner:
        def test_deep(self):
            pass


class TestUnit(unittest.TestCase):
    def test_unit(self):
        self.assertEqual(1, 1)

    @unittest.skip('an old one')
    def test_old(self):
        pass
";

const SKIPPED_FILE: &str = "import pytest\npytest.skip('no GPU', allow_module_level=True)\n";

/// Reads a file with a real parser, checks the rules that Jenkins' schema makes, and prints each
/// test case with what it holds, but for times.
const READ: &str = r#"
import json, re, sys
from xml.etree import ElementTree

RESULTS = {"skipped", "error", "failure"}
ATTEMPTS = {"rerunFailure", "rerunError", "flakyFailure", "flakyError"}
OUTPUT = {"system-out", "system-err"}
RULES = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase"} | OUTPUT,
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": (RESULTS | ATTEMPTS | OUTPUT, {"name"}, {"time", "classname"}),
    "stackTrace": (set(), set(), set()),
    **{tag: (set(), set(), {"type", "message"}) for tag in RESULTS},
    **{tag: ({"stackTrace"} | OUTPUT, {"type"}, {"message"}) for tag in ATTEMPTS},
    **{tag: (set(), set(), set()) for tag in OUTPUT},
}

def check(element):
    children, required, optional = RULES[element.tag]
    # As with pytest, `record_property` and the family xunit1 go beyond the schema.
    if element.tag == "testcase":
        children, optional = children | {"properties"}, optional | {"file", "line"}
    tags, names = {child.tag for child in element}, set(element.attrib)
    assert tags <= children, (element.tag, tags - children)
    assert required <= names, (element.tag, required - names)
    assert names <= required | optional, (element.tag, names)
    if "time" in names:
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time")), element.attrib
    if element.tag in ATTEMPTS:
        order = ["stackTrace", "system-out", "system-err"]
        assert [child.tag for child in element] == [tag for tag in order if tag in tags]
    for child in element:
        check(child)

root = ElementTree.parse(sys.argv[1]).getroot()
check(root)
suite, = root
cases = []
for case in suite.iter("testcase"):
    inner = [
        {"tag": it.tag, **it.attrib, "text": (it.findtext("stackTrace") or it.text or "").strip()}
        for it in case if it.tag != "properties"
    ]
    properties = {it.get("name"): it.get("value") for it in case.iter("property")}
    names = {name: case.get(name) for name in ("classname", "name", "file")}
    cases.append({**names, "inner": inner, "properties": properties})
cases.sort(key=lambda case: (case["classname"], case["name"]))
counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
properties = {it.get("name"): it.get("value") for it in suite.findall("properties/property")}
print(json.dumps({"name": suite.get("name"), **counts, "properties": properties, "cases": cases}))
"#;

fn read(project: &Project, file: &str) -> Value {
    serde_json::from_str(&project.python_says(READ, &[file])).expect("JSON")
}

/// The one test case of this name.
#[track_caller]
fn case<'a>(report: &'a Value, name: &str) -> &'a Value {
    let cases = report["cases"].as_array().expect("cases").iter();
    let found: Vec<&Value> = cases.filter(|case| case["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {report:#}");
    found[0]
}

/// pytest writes where a test was skipped before the reason, and by default no output.
fn comparable(mut report: Value) -> Value {
    for case in report["cases"].as_array_mut().expect("cases") {
        let inner = case["inner"].as_array_mut().expect("elements");
        inner.retain(|it| it["tag"] != "system-out" && it["tag"] != "system-err");
        inner.iter_mut().filter(|it| it["tag"] == "skipped").for_each(|it| it["text"] = json!(""));
    }
    report
}

engines! {
    fn has_the_test_cases_of_pytest(engine) {
        let project = shop("junit_suite_name = 'the shop'\nconsole_output_style = 'count'", "");
        project.write("tests/deep/test_endings.py", ENDINGS);
        project.write("tests/test_gpu.py", SKIPPED_FILE);
        let pytest = ["pytest", "-q", "-p", "no:xdist", "--junitxml=theirs.xml"];
        project.env().module(&project.root, &pytest).exits(1);
        let options = ["--max-failures", "0", "--report", "none", "--junit", "out/ours.xml"];
        let output = project.run(&coverage(engine, &options)).exits(1);
        output.says("JUnit report: ");
        let (ours, theirs) = (read(&project, "out/ours.xml"), read(&project, "theirs.xml"));
        assert_eq!(project.names("out"), ["ours.xml"]);
        let fails = case(&ours, "test_fails")["inner"].clone();
        assert!(fails[1]["text"].as_str().expect("text").contains("told #x00#x1B[31m]]> ü"));
        assert!(fails[2]["text"].as_str().expect("text").ends_with("cried"), "{fails:#}");
        let (ours, theirs) = (comparable(ours), comparable(theirs));
        let cases = |report: &Value| report["cases"].as_array().expect("cases").clone();
        for (ours, theirs) in cases(&ours).iter().zip(&cases(&theirs)) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours, theirs);
    }

    /// An attempt that is repeated is told of as Surefire does; one that passed in the end is
    /// flaky and no failure.
    fn attempts_are_kept(engine) {
        let packages = ["pytest", "coverage", "pytest-split", "pytest-xdist", "pytest-rerunfailures"];
        let project = shop("addopts = '--reruns 2 --junitxml=junit.xml'\njunit_family = 'xunit1'", "");
        let project = project.with(env(&packages));
        project.write("tests/test_flaky.py", "\
attempts = []


def test_flaky():
    attempts.append(1)
    print('attempt', len(attempts))
    assert len(attempts) == 2


def test_never():
    raise ValueError('never')
");
        project.run(&coverage(engine, &["--report", "none"])).exits(1);
        let report = read(&project, "junit.xml");
        let flaky = &case(&report, "test_flaky");
        assert_eq!(flaky["file"], "tests/test_flaky.py");
        assert_eq!(flaky["inner"].as_array().map(Vec::len), Some(1), "{flaky:#}");
        assert_eq!(flaky["inner"][0]["tag"], "flakyFailure");
        assert_eq!(flaky["inner"][0]["type"], "AssertionError");
        let never = &case(&report, "test_never")["inner"];
        let tags: Vec<_> = never.as_array().expect("elements").iter().map(|it| &it["tag"]).collect();
        assert_eq!(tags, ["failure", "rerunFailure", "rerunFailure"]);
        assert_eq!(never[1]["type"], "ValueError");
        assert_eq!(never[1]["message"], "ValueError: never");
        assert_eq!(report["failures"], 1);
    }

    /// What was said when the run was stopped is there, and what never ran is counted.
    fn aborted_runs_write_what_they_have(engine) {
        let project = shop("", "");
        project.write("tests/test_a.py", "\
import pytest


@pytest.mark.parametrize('n', range(30))
def test_fails(n):
    assert 0
");
        let options = ["--max-failures", "3", "--report", "none", "--junit", "junit.xml"];
        project.run(&coverage(engine, &options)).exits(1);
        let report = read(&project, "junit.xml");
        assert_eq!(report["properties"]["stopped"], "too many failures", "{report:#}");
        let not_run = report["properties"]["not-run"].as_str().expect("a number");
        let cases = report["cases"].as_array().expect("cases").len();
        assert_eq!(cases + not_run.parse::<usize>().expect("a number"), 34, "{report:#}");
        assert_eq!(report["failures"], 3);
    }

    fn interrupted_runs_write_what_they_have(engine) {
        let project = shop("", "");
        project.write("tests/test_a.py", "\
import time


def test_fails():
    assert 0


def test_hangs():
    time.sleep(1000)
");
        // Nothing else waits, which is when a failure is confirmed on a machine that is busy.
        let options = ["--report", "none", "--junit", "junit.xml", "--splits", "1"];
        let args = coverage(engine, &[&options[..], &["--", "tests/test_a.py"]].concat());
        let mut running = project.xtask(&args).start();
        running.until("test_fails failed");
        running.signal(Signal::SIGINT);
        running.output().exits(130);
        let report = read(&project, "junit.xml");
        assert_eq!(report["properties"]["stopped"], "signal 2", "{report:#}");
        assert_eq!(case(&report, "test_fails")["inner"][0]["tag"], "failure");
    }

    fn runs_without_coverage_write_it_too(engine) {
        let project = shop("", "");
        project.run(&["test", "--engine", engine, "--junit", "junit.xml"]).exits(0);
        let report = read(&project, "junit.xml");
        assert_eq!((&report["tests"], &report["failures"]), (&json!(4), &json!(0)));
    }

    fn broken_files_are_errors(engine) {
        let project = shop("", "");
        project.write("tests/test_broken.py", "import nowhere_to_be_found\n");
        project.run(&coverage(engine, &["--report", "none", "--junit", "junit.xml"])).exits(1);
        let report = read(&project, "junit.xml");
        let broken = case(&report, "tests.test_broken");
        assert_eq!(broken["classname"], "");
        assert_eq!(broken["inner"][0]["message"], "collection failure");
        assert_eq!((&report["tests"], &report["errors"]), (&json!(1), &json!(1)));
    }
}

/// A process that dies and a test that is stopped are errors with a kind of their own.
#[test]
fn crashes_and_time_outs_are_named() {
    let project = shop("", "");
    project.write(
        "tests/test_a.py",
        "import os\n\n\ndef test_dies():\n    os._exit(3)\n\n\n\
         def test_slow():\n    while True:\n        pass\n",
    );
    let options = ["--timeout", "1", "--junit", "junit.xml", "--report", "none"];
    project.run(&coverage("fork", &options)).exits(1);
    let report = read(&project, "junit.xml");
    assert_eq!(case(&report, "test_dies")["inner"][0]["type"], "crash");
    assert_eq!(case(&report, "test_slow")["inner"][0]["type"], "timeout");
    assert_eq!(report["errors"], 2);
}
