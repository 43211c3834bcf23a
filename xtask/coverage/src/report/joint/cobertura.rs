//! Cobertura's XML, with the elements and attributes that coverage's own has: a package is a
//! folder, the top of the repository is the only source.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use camino::Utf8Path;

use super::{FileAnalysis, Joint, Numbers};
use crate::report::junit::attribute;

pub(super) fn render(joint: &Joint, now: SystemTime) -> String {
    let numbers = joint.numbers();
    let millis = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut out = "<?xml version=\"1.0\" ?>\n".to_owned();
    let Numbers { statements, missing, branches, missing_branches, .. } = numbers;
    let _ = writeln!(
        out,
        "<coverage version=\"{}\" timestamp=\"{millis}\" lines-valid=\"{statements}\" \
         lines-covered=\"{}\" line-rate=\"{}\" branches-covered=\"{}\" branches-valid=\"{branches}\" \
         branch-rate=\"{}\" complexity=\"0\">",
        env!("CARGO_PKG_VERSION"),
        statements - missing,
        rate(statements - missing, statements),
        branches - missing_branches,
        branch_rate(&numbers),
    );
    let top = attribute(joint.top.as_str());
    let _ = writeln!(out, "\t<sources>\n\t\t<source>{top}</source>\n\t</sources>\n\t<packages>");
    for (package, files) in packages(&joint.files) {
        let numbers: Numbers = files.iter().map(|file| file.numbers()).sum();
        let name = attribute(&package);
        let _ = writeln!(out, "\t\t<package name=\"{name}\" {}>\n\t\t\t<classes>", rates(&numbers));
        files.iter().for_each(|file| class(&mut out, file));
        out.push_str("\t\t\t</classes>\n\t\t</package>\n");
    }
    out.push_str("\t</packages>\n</coverage>\n");
    out
}

/// The files of each folder, which is written with dots.
fn packages(files: &[FileAnalysis]) -> BTreeMap<String, Vec<&FileAnalysis>> {
    let mut packages: BTreeMap<String, Vec<&FileAnalysis>> = BTreeMap::new();
    for file in files {
        let folder = file.path.parent().map(Utf8Path::as_str).unwrap_or_default();
        let name = if folder.is_empty() { ".".to_owned() } else { folder.replace('/', ".") };
        packages.entry(name).or_default().push(file);
    }
    packages
}

fn class(out: &mut String, file: &FileAnalysis) {
    let name = attribute(file.path.file_name().unwrap_or_default());
    let path = attribute(file.path.as_str());
    let _ = writeln!(
        out,
        "\t\t\t\t<class name=\"{name}\" filename=\"{path}\" {}>\n\t\t\t\t\t<methods/>\n\
         \t\t\t\t\t<lines>",
        rates(&file.numbers()),
    );
    for line in &file.statements {
        let hits = u8::from(file.ran(*line));
        let _ = writeln!(
            out,
            "\t\t\t\t\t\t<line number=\"{line}\" hits=\"{hits}\"{}/>",
            ways(file, *line)
        );
    }
    out.push_str("\t\t\t\t\t</lines>\n\t\t\t\t</class>\n");
}

/// The attributes of a line that can go more than one way.
fn ways(file: &FileAnalysis, line: u32) -> String {
    let ways = file.ways(line);
    if ways.is_empty() {
        return String::new();
    }
    let missing: Vec<String> = ways.iter().filter(|way| !way.1).map(|way| target(way.0)).collect();
    let (all, taken) = (ways.len(), ways.len() - missing.len());
    let mut out =
        format!(" branch=\"true\" condition-coverage=\"{}% ({taken}/{all})\"", 100 * taken / all);
    if !missing.is_empty() {
        let _ = write!(out, " missing-branches=\"{}\"", missing.join(","));
    }
    out
}

fn target(to: i64) -> String {
    if to < 0 { "exit".to_owned() } else { to.to_string() }
}

fn rates(numbers: &Numbers) -> String {
    let lines = rate(numbers.statements - numbers.missing, numbers.statements);
    format!("line-rate=\"{lines}\" branch-rate=\"{}\" complexity=\"0\"", branch_rate(numbers))
}

fn branch_rate(numbers: &Numbers) -> String {
    match numbers.branches {
        0 => "0".to_owned(),
        all => rate(all - numbers.missing_branches, all),
    }
}

/// A part of a whole: 0 and 1 only where it is, and else four digits.
fn rate(part: u64, whole: u64) -> String {
    match part {
        _ if part == whole => "1".to_owned(),
        0 => "0".to_owned(),
        _ => {
            let rate = (part as f64 / whole as f64).clamp(0.0001, 0.9999);
            format!("{rate:.4}").trim_end_matches('0').to_owned()
        }
    }
}
