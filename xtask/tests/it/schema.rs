//! The schema of summaries in `docs/` against what the program writes and the documents show.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::shop::{coverage, shop};
use crate::support::{Project, env, git, repository, wait_for};

fn schema() -> Value {
    let text = fs::read_to_string(repository().join("docs/summary.schema.json"));
    serde_json::from_str(&text.expect("the schema")).expect("JSON")
}

/// What Python's `jsonschema` has to say against each.
fn complaints(schema: &Value, instances: &[Value]) -> Vec<Option<String>> {
    const CODE: &str = include_str!("../../coverage/src/tests/complaints.py");
    let project = Project::new(&[("all.json", &json!([schema, instances]).to_string())]);
    let told = env(&["jsonschema"]).python_says(&project.root, CODE, &["all.json"]);
    serde_json::from_str(&told).expect("a list")
}

/// Like a schema, but what it does not name is wrong: nothing may be forgotten in it.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), closed(value)));
            let mut fields: serde_json::Map<_, _> = fields.collect();
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.into()
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// The fenced blocks of JSON in the documents.
fn blocks() -> Vec<String> {
    let documents = ["README.md", "docs/reports.md", "docs/setup.md"].map(|name| {
        let text = fs::read_to_string(repository().join(name)).expect(name);
        let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.map(str::to_owned).collect::<Vec<_>>()
    });
    documents.concat()
}

#[test]
fn summaries_are_as_their_schema_says() {
    let project = shop("", "");
    project.write(".gitignore", ".xtask\nhtmlcov\n.coverage\n__pycache__\n*.json\n*.xml\n");
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "a step"]] {
        git(&project.root, args);
    }
    project.write("src/shop/late.py", "def late():\n    return 1\n");
    let summary = ["--report", "none", "--summary-json", "s.json"];
    let mut all = Vec::new();
    let mut ended = |outcome: &str| {
        let summary = project.json("s.json");
        assert_eq!(summary["outcome"], outcome);
        all.push(summary);
    };
    let run = |more: &[&str], code| drop(project.run(&coverage("fork", more)).exits(code));
    let files = ["--report", "html,xml,json,lcov,markdown", "--junit", "j.xml"];
    let goals = ["--fail-under", "50", "--diff", "HEAD", "--summary-json", "s.json"];
    run(&[&files[..], &goals].concat(), 0);
    ended("passed");
    run(&[&summary[..], &["--diff", "HEAD", "--diff-fail-under", "99"]].concat(), 2);
    ended("below-threshold");
    run(&[&summary[..], &["--", "-k", "nothing"]].concat(), 5);
    ended("no-tests");
    project.run(&[&["test", "--splits", "1"], &summary[2..]].concat()).exits(0);
    ended("passed");
    let failing = "def test_a():\n    assert 0\n\n\ndef test_b(nothing):\n    pass\n";
    project.write("tests/test_fails.py", failing);
    run(&summary, 1);
    ended("tests-failed");
    run(&[&summary[..], &["--max-failures", "1"]].concat(), 1);
    ended("aborted");
    let waiting = "import time\n\n\ndef test_a():\n    open('running', 'w')\n    time.sleep(99)\n";
    project.write("tests/test_fails.py", waiting);
    let running = project.xtask(&coverage("fork", &summary)).start();
    wait_for(|| project.has("running"));
    running.signal(Signal::SIGINT);
    running.output().exits(130);
    ended("interrupted");
    all.extend(blocks().iter().map(|block| serde_json::from_str(block).expect(block)));
    for (instance, complaint) in all.iter().zip(complaints(&closed(&schema()), &all)) {
        assert_eq!(complaint, None, "{instance:#}");
    }
}
