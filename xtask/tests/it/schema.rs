//! The schemas in `docs/` against the program: what it writes, what it accepts, what the
//! documents show.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask_coverage::cli::Options;
use xtask_coverage::machine::Machine;
use xtask_coverage::project::{Facts, Pyproject};
use xtask_coverage::settings::{Configured, Inputs, Measured, Settings};

use crate::shop::{coverage, shop};
use crate::support::{Project, env, git, repository, wait_for};

fn schema(name: &str) -> Value {
    let text = fs::read_to_string(repository().join("docs").join(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// What Python's `jsonschema` has to say against each.
fn complaints(schema: &Value, instances: &[Value]) -> Vec<Option<String>> {
    const CODE: &str = "\
import json, sys
from jsonschema import Draft202012Validator
schema, instances = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
told = lambda it: next((f'{e.json_path}: {e.message}' for e in validator.iter_errors(it)), None)
print(json.dumps([told(it) for it in instances]))
";
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

/// The fenced blocks of a language in the documents.
fn blocks(language: &str) -> Vec<String> {
    let documents = ["README.md", "docs/reports.md", "docs/setup.md"].map(|name| {
        let text = fs::read_to_string(repository().join(name)).expect(name);
        let fence = format!("```{language}\n");
        let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
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
    all.extend(blocks("json").iter().map(|block| serde_json::from_str(block).expect(block)));
    for (instance, complaint) in
        all.iter().zip(complaints(&closed(&schema("summary.schema.json")), &all))
    {
        assert_eq!(complaint, None, "{instance:#}");
    }
}

/// Values of every kind, as JSON and TOML both write them.
const PROBES: [&str; 32] = [
    "0",
    "1",
    "-1",
    "7",
    "0.5",
    "2.0",
    "100",
    "100.5",
    "101",
    "-0.5",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"7\"",
    "\"fork\"",
    "\"Fork\"",
    "\"auto\"",
    "\"balanced\"",
    "\"none\"",
    "\"term\"",
    "\"term,html\"",
    "\"term,none\"",
    "\"a,,b\"",
    "[]",
    "[\"\"]",
    "[\"none\"]",
    "[\"term\", \"xml\"]",
    "[\"none\", \"term\"]",
    "[\"src\"]",
    "[1]",
    "{}",
];

/// What is wrong with a table of settings, if anything is.
fn refused(project: &Project, table: &str) -> Option<String> {
    project.write("pyproject.toml", &format!("[tool.xtask.coverage]\n{table}\n"));
    let facts = r#"{"executable": "/py", "python": "3.12.1", "implementation": "cpython",
        "packages": {}, "packages_here": [], "pytest": null, "coverage": null}"#;
    let facts: Facts = serde_json::from_str(facts).expect("facts");
    let pyproject = Pyproject::read(&project.root).expect("TOML");
    let inputs = Inputs {
        options: &Options::default(),
        pytest_args: &[],
        env: &BTreeMap::new(),
        project: Configured::from(&pyproject),
        workspace: Configured::default(),
        facts: &facts,
        root: &project.root,
        test_folder: None,
        machine: &Machine::here(),
        measured: Measured::default(),
    };
    Settings::read(&inputs).err().map(|error| format!("{error:#}"))
}

/// The same keys, and for each the same values are right.
#[test]
fn settings_are_as_their_schema_says() {
    let project = Project::new(&[]);
    let unknown = refused(&project, "nonsense = 1").expect("an error");
    let (_, keys) = unknown.split_once("(known: ").expect("the keys");
    let mut keys: Vec<&str> = keys.trim_end_matches(')').split(", ").collect();
    let schema = schema("config.schema.json");
    let described = schema["$defs"]["coverage"]["properties"].as_object().expect("properties");
    let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
    keys.sort_unstable();
    described.sort_unstable();
    assert_eq!(keys, described);

    let mut tables = vec![("nonsense = 1".to_owned(), json!({"nonsense": 1}))];
    for key in keys {
        let unknown = refused(&project, &format!("{key} = 'x'")).unwrap_or_default();
        if let Some((_, known)) = unknown.split_once("known are ") {
            let known: Vec<&str> = known.split(", ").collect();
            let described = &schema["$defs"]["coverage"]["properties"][key]["enum"];
            assert_eq!(described, &json!(known), "{key}");
        }
        for probe in PROBES {
            let value: Value = serde_json::from_str(probe).expect(probe);
            // What one key needs of another may come from elsewhere.
            tables.push(match key {
                "diff-fail-under" => {
                    let table = format!("diff = \"main\"\n{key} = {probe}");
                    (table, json!({"diff": "main", key: value}))
                }
                _ => (format!("{key} = {probe}"), json!({key: value})),
            });
        }
    }
    let wrapped = |(_, table): &(String, Value)| json!({"tool": {"xtask": {"coverage": table}}});
    let instances: Vec<Value> = tables.iter().map(wrapped).collect();
    for ((table, _), complaint) in tables.iter().zip(complaints(&schema, &instances)) {
        let refused = refused(&project, table);
        assert_eq!(refused.is_some(), complaint.is_some(), "{table}: {refused:?}, {complaint:?}");
    }
}

#[test]
fn settings_in_the_documents_are_right() {
    let project = Project::new(&[]);
    let mut tables = Vec::new();
    for block in blocks("toml") {
        project.write("pyproject.toml", &block);
        let pyproject = Pyproject::read(&project.root).expect(&block);
        tables.extend(pyproject.settings().map(|table| {
            json!({"tool": {"xtask": {"coverage": serde_json::to_value(table).expect("JSON")}}})
        }));
    }
    assert!(!tables.is_empty());
    for (table, complaint) in tables.iter().zip(complaints(&schema("config.schema.json"), &tables))
    {
        assert_eq!(complaint, None, "{table:#}");
    }
}
