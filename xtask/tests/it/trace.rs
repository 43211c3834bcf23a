//! `--trace`: a timeline that viewers open, or lines that can be replayed.

use std::io::Cursor;

use serde_json::Value;
use xtask_coverage::replay;

use crate::shop::shop;

#[test]
fn a_trace_is_a_timeline_of_the_tests_or_lines_to_replay() {
    let project = shop("", "");
    project.write("tests/test_bad.py", "def test_bad():\n    assert 0\n");
    project.run(&["test", "--trace", "t.json"]).exits(1);
    let events = project.json("t.json")["traceEvents"].as_array().expect("events").clone();
    let named = |phase: &str, name: &str| {
        let is_it = |event: &&Value| event["ph"] == phase && event["name"] == name;
        events.iter().filter(is_it).count()
    };
    for test in ["tests/test_label.py::test_first", "tests/test_price.py::test_price[a few]"] {
        assert_eq!(named("X", test), 1, "{test}: {events:#?}");
    }
    // In the run, and in two processes to confirm it.
    assert!(named("X", "tests/test_bad.py::test_bad") > 1, "{events:#?}");
    assert!(named("i", "failed") > 1, "{events:#?}");
    assert_eq!(named("i", "failure confirmed"), 1, "{events:#?}");

    project.run(&["test", "--engine", "spawn", "--trace", "t.jsonl"]).exits(1);
    assert_eq!(replay(Cursor::new(project.read("t.jsonl"))), Ok(()));
}

/// It fits into a buffer, so that only the last write can fail.
#[test]
fn a_trace_that_cannot_be_written_is_no_complete_run() {
    let run = shop("", "").run(&["test", "--trace", "/dev/full"]).exits(3);
    run.says("failed to write the trace to `/dev/full`: No space left on device");
}

#[test]
fn the_stock_engine_has_no_trace() {
    let project = shop("", "");
    let run = project.run(&["test", "--engine", "stock", "--trace", "t.json"]).exits(4);
    run.tells("`--trace` writes what our scheduler does");
    assert!(!project.has("t.json"));
}
