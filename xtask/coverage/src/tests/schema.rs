//! The schema of settings in `docs/` against the program: what it accepts, and what the documents
//! show.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::{environment, repository, succeed, temporary_folder};
use crate::cli::Options;
use crate::machine::Machine;
use crate::project::{Facts, Pyproject};
use crate::settings::{Configured, Inputs, Measured, Settings};

/// An empty one of a test's own.
fn folder(test: &str) -> Utf8PathBuf {
    let folder = temporary_folder().join("schema").join(test);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn schema() -> Value {
    let text = fs::read_to_string(repository().join("docs/config.schema.json"));
    serde_json::from_str(&text.expect("the schema")).expect("JSON")
}

/// What Python's `jsonschema` has to say against each.
fn complaints(test: &str, instances: &[Value]) -> Vec<Option<String>> {
    const CODE: &str = include_str!("complaints.py");
    let file = folder(test).join("all.json");
    fs::write(&file, json!([schema(), instances]).to_string()).expect("a file");
    let python = environment("schema-env", &["jsonschema"]);
    let output = succeed(Command::new(python).args(["-c", CODE, file.as_str()]));
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// The fenced blocks of TOML in the documents.
fn blocks() -> Vec<String> {
    let documents = ["README.md", "docs/reports.md", "docs/setup.md"].map(|name| {
        let text = fs::read_to_string(repository().join(name)).expect(name);
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.map(str::to_owned).collect::<Vec<_>>()
    });
    documents.concat()
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
fn refused(root: &Utf8Path, table: &str) -> Option<String> {
    let text = format!("[tool.xtask.coverage]\n{table}\n");
    fs::write(root.join("pyproject.toml"), text).expect("a file");
    let facts = r#"{"executable": "/py", "python": "3.12.1", "implementation": "cpython",
        "packages": {}, "packages_here": [], "pytest": null, "coverage": null}"#;
    let facts: Facts = serde_json::from_str(facts).expect("facts");
    let pyproject = Pyproject::read(root).expect("TOML");
    let inputs = Inputs {
        options: &Options::default(),
        pytest_args: &[],
        env: &BTreeMap::new(),
        project: Configured::from(&pyproject),
        workspace: Configured::default(),
        facts: &facts,
        root,
        test_folder: None,
        machine: &Machine::here(),
        measured: Measured::default(),
    };
    Settings::read(&inputs).err().map(|error| format!("{error:#}"))
}

/// The same keys, and for each the same values are right.
#[test]
fn settings_are_as_their_schema_says() {
    let root = folder("settings");
    let unknown = refused(&root, "nonsense = 1").expect("an error");
    let (_, keys) = unknown.split_once("(known: ").expect("the keys");
    let mut keys: Vec<&str> = keys.trim_end_matches(')').split(", ").collect();
    let schema = schema();
    let described = schema["$defs"]["coverage"]["properties"].as_object().expect("properties");
    let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
    keys.sort_unstable();
    described.sort_unstable();
    assert_eq!(keys, described);

    let mut tables = vec![("nonsense = 1".to_owned(), json!({"nonsense": 1}))];
    for key in keys {
        let unknown = refused(&root, &format!("{key} = 'x'")).unwrap_or_default();
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
    for ((table, _), complaint) in tables.iter().zip(complaints("settings", &instances)) {
        let refused = refused(&root, table);
        assert_eq!(refused.is_some(), complaint.is_some(), "{table}: {refused:?}, {complaint:?}");
    }
}

#[test]
fn settings_in_the_documents_are_right() {
    let root = folder("documents");
    let mut tables = Vec::new();
    for block in blocks() {
        fs::write(root.join("pyproject.toml"), &block).expect("a file");
        let pyproject = Pyproject::read(&root).expect(&block);
        tables.extend(pyproject.settings().map(|table| {
            json!({"tool": {"xtask": {"coverage": serde_json::to_value(table).expect("JSON")}}})
        }));
    }
    assert!(!tables.is_empty());
    for (table, complaint) in tables.iter().zip(complaints("documents", &tables)) {
        assert_eq!(complaint, None, "{table:#}");
    }
}
