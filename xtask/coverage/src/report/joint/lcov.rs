//! LCOV: one record for each file, named from the top of the repository.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::files::Function;
use super::{FileAnalysis, Joint};

pub(super) fn render(joint: &Joint) -> String {
    joint.files.iter().map(record).collect()
}

fn record(file: &FileAnalysis) -> String {
    // The format has no escapes, and a line break would begin another record.
    let path = file.path.as_str().replace(char::is_control, "?");
    let mut out = format!("SF:{path}\n");
    for line in &file.statements {
        let _ = writeln!(out, "DA:{line},{}", u8::from(file.ran(*line)));
    }
    let numbers = file.numbers();
    if numbers.statements > 0 {
        let _ =
            writeln!(out, "LF:{}\nLH:{}", numbers.statements, numbers.statements - numbers.missing);
    }
    write_functions(&mut out, file);
    for (line, ways) in &file.branches {
        let is_reached = ways.iter().any(|way| way.1);
        for (at, (to, taken)) in ways.iter().enumerate() {
            let hits = match (is_reached, taken) {
                // A line from which nothing was reached may always have raised.
                (false, _) => "-",
                (true, true) => "1",
                (true, false) => "0",
            };
            let _ = writeln!(out, "BRDA:{line},0,{},{hits}", name(*to, at));
        }
    }
    if numbers.branches > 0 {
        let taken = numbers.branches - numbers.missing_branches;
        let _ = writeln!(out, "BRF:{}\nBRH:{taken}", numbers.branches);
    }
    out.push_str("end_of_record\n");
    out
}

/// A function counts as run if any of it has run. Names are those of one record.
fn write_functions(out: &mut String, file: &FileAnalysis) {
    let mut functions: Vec<_> = file.functions.iter().collect();
    functions.sort_by_key(|it| (it.first, it.last, &it.name));
    let mut names = BTreeSet::new();
    let mut run = 0;
    for Function { name, first, last, statements } in &functions {
        let hit = u8::from(statements.iter().any(|line| file.ran(*line)));
        run += u32::from(hit);
        let mut name = name.replace(char::is_control, "?");
        if !names.insert(name.clone()) {
            name = format!("{name}@{first}");
        }
        let _ = writeln!(out, "FN:{first},{last},{name}\nFNDA:{hit},{name}");
    }
    if !functions.is_empty() {
        let _ = writeln!(out, "FNF:{}\nFNH:{run}", functions.len());
    }
}

fn name(to: i64, at: usize) -> String {
    match to {
        ..0 => "exit".to_owned(),
        0 => format!("way {at}"),
        _ => format!("jump to line {to}"),
    }
}
