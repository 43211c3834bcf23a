//! JSON as coverage writes it: for each file its lines and a summary, and the totals.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::{FileAnalysis, Joint, Numbers};

pub(super) fn render(joint: &Joint, now: SystemTime) -> String {
    let has_branches = joint.files.iter().any(|file| !file.branches.is_empty());
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let files = joint.files.iter();
    let files: Map<String, Value> = files
        .map(|file| (file.path.to_string(), of_file(file, joint.precision, has_branches)))
        .collect();
    let whole = json!({
        "meta": {
            "format": 3,
            "version": env!("CARGO_PKG_VERSION"),
            "timestamp": time.trim_end_matches('Z'),
            "branch_coverage": has_branches,
            "show_contexts": false,
        },
        "files": files,
        "totals": summary(&joint.numbers(), joint.precision, has_branches),
    });
    format!("{whole}\n")
}

fn of_file(file: &FileAnalysis, precision: u32, has_branches: bool) -> Value {
    let executed: Vec<u32> = file.statements.iter().copied().filter(|it| file.ran(*it)).collect();
    let mut told = json!({
        "executed_lines": executed,
        "summary": summary(&file.numbers(), precision, has_branches),
        "missing_lines": file.missing,
        "excluded_lines": file.excluded,
    });
    if has_branches {
        let arcs = |taken: bool| -> Vec<(u32, i64)> {
            let branches = file.branches.iter();
            let ways = branches.flat_map(|(line, ways)| ways.iter().map(move |way| (*line, *way)));
            ways.filter(|(_, way)| way.1 == taken).map(|(line, way)| (line, way.0)).collect()
        };
        told["executed_branches"] = json!(arcs(true));
        told["missing_branches"] = json!(arcs(false));
    }
    told
}

fn summary(numbers: &Numbers, precision: u32, has_branches: bool) -> Value {
    let shown = numbers.percent_text(precision);
    let mut told = json!({
        "covered_lines": numbers.statements - numbers.missing,
        "num_statements": numbers.statements,
        "percent_covered": numbers.percent(),
        "percent_covered_display": shown.trim_end_matches('%'),
        "missing_lines": numbers.missing,
        "excluded_lines": numbers.excluded,
    });
    if has_branches {
        told["num_branches"] = json!(numbers.branches);
        told["num_partial_branches"] = json!(numbers.partial_branches);
        told["covered_branches"] = json!(numbers.branches - numbers.missing_branches);
        told["missing_branches"] = json!(numbers.missing_branches);
    }
    told
}
