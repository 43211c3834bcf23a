//! Splits and durations against the real thing: pytest-split and Python's `json`, in every
//! Python on `PATH` whose `sum()` may differ.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Command, Output};
use std::sync::OnceLock;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::temporary_folder;
use crate::split::{Durations, Sum, chunks};

/// Answers each line of JSON with a line of JSON.
const PEER: &str = r#"
import json, struct, sys
from types import SimpleNamespace
from pytest_split import algorithms

def rest_to_the_last(splits, items, durations):
    known = algorithms._get_items_with_durations(items, durations)
    share = sum(seconds for _, seconds in known) / splits
    groups, filled = [[]], 0
    for item, seconds in known:
        if filled >= share and len(groups) < splits:
            groups.append([])
            filled = 0
        groups[-1].append(item)
        filled += seconds
    return groups + [[] for _ in range(splits - len(groups))]

def split(ids, durations, splits):
    items = [SimpleNamespace(nodeid=id, index=index) for index, id in enumerate(ids)]
    durations = json.loads(durations)
    try:
        plugin = algorithms.Algorithms.duration_based_chunks.value
        groups, crashed = [group.selected for group in plugin(splits, items, durations)], False
    except IndexError:
        groups, crashed = rest_to_the_last(splits, items, durations), True
    return {"groups": [[item.index for item in group] for group in groups], "crashed": crashed}

def dump(pairs):
    pairs = [(id, struct.unpack("<d", struct.pack("<Q", bits))[0]) for id, bits in pairs]
    return [json.dumps(dict(pairs), sort_keys=True, indent=4), json.dumps(pairs)]

for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(globals()[request.pop("ask")](**request)))
"#;

struct Python {
    exe: Utf8PathBuf,
    version: String,
}

impl Python {
    /// The answers to all requests, from one process.
    fn ask(&self, name: &str, requests: &[Value]) -> Vec<Value> {
        let file = self.exe.with_file_name(format!("{name}.jsonl"));
        let lines: Vec<String> = requests.iter().map(Value::to_string).collect();
        fs::write(&file, lines.join("\n")).expect("a file of requests");
        let stdin = File::open(&file).expect("the file of requests");
        let output = succeed(Command::new(&self.exe).args(["-c", PEER]).stdin(stdin));
        let answers = String::from_utf8(output.stdout).expect("text");
        let answers: Vec<Value> =
            answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), requests.len());
        answers
    }
}

/// An environment with pytest-split for each Python found, made once and kept under `target/`.
fn pythons() -> &'static [Python] {
    static PYTHONS: OnceLock<Vec<Python>> = OnceLock::new();
    PYTHONS.get_or_init(|| {
        let names = ["python3", "python3.11", "python3.12", "python3.13"];
        let found: BTreeMap<String, &str> =
            names.into_iter().rev().filter_map(|name| Some((version(name)?, name))).collect();
        assert!(!found.is_empty(), "no `python3` on PATH");
        found.into_iter().map(|(version, name)| environment(name, version)).collect()
    })
}

/// A name that is not on `PATH`, or that a version switcher does not lead anywhere, has none.
fn version(name: &str) -> Option<String> {
    let ask = "import platform; print(platform.python_version())";
    let output = Command::new(name).args(["-c", ask]).output().ok()?;
    let version = String::from_utf8(output.stdout).expect("a version");
    output.status.success().then(|| version.trim().to_owned())
}

fn environment(name: &str, version: String) -> Python {
    let folder = temporary_folder().join("split").join(&version);
    let (exe, done) = (folder.join("bin/python"), folder.join("done"));
    if !done.exists() {
        succeed(Command::new(name).args(["-m", "venv", "--clear", folder.as_str()]));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        succeed(Command::new(&exe).args(pip).arg("pytest-split"));
        fs::write(done, "").expect("a file in the new environment");
    }
    Python { exe, version }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The same numbers in every run, so that what failed once fails again.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// From 0 to 1, with all the digits a measured duration has.
    fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The ids of a suite, its durations, and how many splits to make of it.
struct Case {
    ids: Vec<String>,
    durations: Durations,
    splits: u32,
}

/// Suites of four kinds: tenths, thousandths, measured, and mostly zero. In some, durations
/// are missing, tests are collected twice, or there are more splits than tests.
fn case(random: &mut Random) -> Case {
    let (kind, known, twice) = (random.below(4), random.below(4), random.below(4) == 0);
    let (tests, splits) = (random.below(40), 1 + random.below(12) as u32);
    let mut case = Case { ids: Vec::new(), durations: Durations::default(), splits };
    for test in 0..tests {
        let name = if twice { random.below(tests) } else { test };
        let id = format!("tests/test_{}.py::test[{name}-é]", name % 5);
        let seconds = match kind {
            0 => random.below(5) as f64 / 10.0,
            1 => random.below(3000) as f64 / 1000.0,
            2 => random.fraction() * 3.0,
            _ => random.below(4).saturating_sub(2) as f64,
        };
        if known == 0 || random.below(4) < known {
            case.durations.insert(id.clone(), seconds);
        }
        case.ids.push(id);
    }
    case.durations.insert("tests/test_gone.py::test", 1000.0);
    case
}

fn cases() -> Vec<Case> {
    let mut random = Random(42);
    (0..6000).map(|_| case(&mut random)).collect()
}

#[test]
fn splits_are_those_of_the_plugin() {
    let cases = cases();
    let ask = |case: &Case| json!({"ask": "split", "ids": case.ids, "splits": case.splits, "durations": case.durations.to_string()});
    let requests: Vec<Value> = cases.iter().map(ask).collect();
    for python in pythons() {
        let answers = python.ask("splits", &requests);
        let sum = Sum::of_python(&python.version);
        for (case, answer) in cases.iter().zip(&answers) {
            let groups = chunks(&case.ids, &case.durations, case.splits, sum);
            assert_eq!(json!(groups), answer["groups"], "{} {:?}", python.version, case.durations);
        }
        let crashed = answers.iter().filter(|answer| answer["crashed"] == true).count();
        assert!(crashed > 10 && crashed < cases.len() / 2, "{crashed} crashed");
    }
}

/// Else the test above would say nothing about the sums.
#[test]
fn some_splits_depend_on_the_sum() {
    let cut = |case: &Case, sum| chunks(&case.ids, &case.durations, case.splits, sum);
    let depends = |case: &&Case| cut(case, Sum::Naive) != cut(case, Sum::Compensated);
    assert!(cases().iter().filter(depends).count() > 10);
}

/// A character of any plane, or one that JSON treats in a way of its own.
fn character(random: &mut Random) -> char {
    let code = match random.below(4) {
        0 => random.below(0x100),
        1 => random.below(0x1_0000),
        2 => random.below(0x11_0000),
        _ => u64::from(b"\"\\/\n\r\t\x08\x0c\x7f~ e-1"[random.below(14) as usize]),
    };
    char::from_u32(code as u32).unwrap_or('\u{fffd}')
}

/// A finite float: any, a measured one, one halfway between two shortest texts, a power of two,
/// or a round one around the ends of plain notation.
fn float(random: &mut Random) -> f64 {
    let float = match random.below(5) {
        0 => f64::from_bits(random.bits()),
        1 => (random.bits() >> 11) as f64 / 8.0,
        2 => 2_f64.powi(random.below(2098) as i32 - 1074),
        3 => random.fraction() * 10_f64.powi(random.below(12) as i32 - 8),
        _ => random.below(1000) as f64 * 10_f64.powi(random.below(28) as i32 - 9),
    };
    if float.is_finite() { float } else { 1.0 }
}

#[test]
fn durations_are_written_and_read_as_python_does() {
    let mut random = Random(7);
    let id = |random: &mut Random| (0..random.below(8)).map(|_| character(random)).collect();
    let entry = |random: &mut Random| -> (String, f64) { (id(random), float(random)) };
    let file = |_| (0..random.below(40)).map(|_| entry(&mut random)).collect();
    let files: Vec<Vec<(String, f64)>> = (0..1000).map(file).collect();
    let bits = |file: &Vec<(String, f64)>| -> Vec<(String, u64)> {
        file.iter().map(|(id, seconds)| (id.clone(), seconds.to_bits())).collect()
    };
    let ask = |file| json!({"ask": "dump", "pairs": bits(file)});
    let requests: Vec<Value> = files.iter().map(ask).collect();
    for python in pythons() {
        for (file, answer) in files.iter().zip(python.ask("durations", &requests)) {
            let durations: Durations = file.iter().cloned().collect();
            assert_eq!(json!(durations.to_string()), answer[0]);
            for text in [&answer[0], &answer[1]].map(|text| text.as_str().expect("a text")) {
                assert_eq!(Durations::parse(text).expect("durations"), durations, "{text}");
            }
        }
    }
}
