//! Merging, and what is made of it.

use std::time::SystemTime;

use super::*;
use crate::exit::Exit;
use crate::model::Tally;
use crate::report::summary::Outcome;
use crate::report::thresholds::Missed;
use crate::report::verdict::Broken;

fn file(path: &str, statements: &[u32], missing: &[u32]) -> FileAnalysis {
    FileAnalysis {
        path: "shop.py".into(),
        file: path.into(),
        statements: statements.to_vec(),
        missing: missing.to_vec(),
        ..FileAnalysis::default()
    }
}

fn joint(files: &[FileAnalysis]) -> Joint {
    Joint { top: "/r".into(), files: merged("/r".into(), files), precision: 1 }
}

#[test]
fn modules_of_one_name_stay_apart() {
    let joint =
        joint(&[file("/r/b/shop.py", &[1, 2], &[2]), file("/r/a/shop.py", &[1, 2, 3], &[])]);
    let paths: Vec<&str> = joint.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["a/shop.py", "b/shop.py"]);
    assert_eq!(joint.numbers().percent(), 80.0);
}

/// A library that lies beside two applications, which measure it.
#[test]
fn a_file_that_two_projects_measure_counts_once() {
    let mut first = file("/r/lib/x.py", &[1, 2, 4], &[2, 4]);
    let mut second = file("/r/lib/x.py", &[1, 2, 4], &[4]);
    first.branches = vec![(1, vec![(2, false), (4, true)]), (2, vec![(0, true), (0, false)])];
    second.branches = vec![(1, vec![(2, true), (-1, false)]), (2, vec![(0, false), (0, false)])];
    let joint = joint(&[first, second]);
    assert_eq!(joint.files.len(), 1);
    assert_eq!(joint.files[0].missing, [4]);
    let ways = &joint.files[0].branches;
    assert_eq!(ways[0], (1, vec![(2, true), (4, true), (-1, false)]));
    assert_eq!(ways[1].1.len(), 2);
}

#[test]
fn reports_have_paths_from_the_top() {
    let mut file = file("/r/a/src/<x>.py", &[1, 2, 3], &[3]);
    file.branches = vec![(1, vec![(2, true), (-1, false)]), (3, vec![(4, false), (-3, false)])];
    let function = |name: &str, first, statements: &[u32]| files::Function {
        name: name.to_owned(),
        first,
        last: 3,
        statements: statements.to_vec(),
    };
    file.functions = vec![function("a", 3, &[3]), function("a", 1, &[2, 3])];
    let joint = joint(&[file]);
    let text = |kind| joint.render(kind, SystemTime::UNIX_EPOCH).expect("a report");
    let xml = text(ReportKind::Xml);
    for part in [
        "lines-valid=\"3\" lines-covered=\"2\" line-rate=\"0.6667\" branches-covered=\"1\"",
        "<source>/r</source>",
        "<package name=\"a.src\" line-rate=\"0.6667\" branch-rate=\"0.25\" complexity=\"0\">",
        "<class name=\"&lt;x&gt;.py\" filename=\"a/src/&lt;x&gt;.py\"",
        "<line number=\"1\" hits=\"1\" branch=\"true\" condition-coverage=\"50% (1/2)\" \
         missing-branches=\"exit\"/>",
        "<line number=\"2\" hits=\"1\"/>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let lcov = "SF:a/src/<x>.py\nDA:1,1\nDA:2,1\nDA:3,0\nLF:3\nLH:2\n\
                FN:1,3,a\nFNDA:1,a\nFN:3,3,a@3\nFNDA:0,a@3\nFNF:2\nFNH:1\nBRDA:1,0,jump to line 2,1\n\
                BRDA:1,0,exit,0\nBRDA:3,0,jump to line 4,-\nBRDA:3,0,exit,-\nBRF:4\nBRH:1\n\
                end_of_record\n";
    assert_eq!(text(ReportKind::Lcov), lcov);
    let json: serde_json::Value = serde_json::from_str(&text(ReportKind::Json)).expect("JSON");
    assert_eq!(json["files"]["a/src/<x>.py"]["missing_branches"][0], serde_json::json!([1, -1]));
    assert_eq!(json["totals"]["percent_covered_display"], "42.9");
    assert_eq!(json["totals"]["num_partial_branches"], 1);
    assert!(text(ReportKind::Markdown).contains("| **TOTAL** | 3 | 1 | 4 | 1 | 42.9% |"));
}

#[test]
fn columns_without_anything_are_left_out() {
    let row = |name: &str| Row {
        name: name.to_owned(),
        tests: "1 passed".to_owned(),
        time: "1.0s".to_owned(),
        verdict: "✓ passed".to_owned(),
        ..Row::default()
    };
    let wanted = "\
Project  Tests     Time  Verdict
---------------------------------
a        1 passed  1.0s  ✓ passed
---------------------------------
TOTAL    1 passed  1.0s  ✓ passed";
    assert_eq!(table(&[row("a"), row("TOTAL")]), wanted);
    let measured = Row {
        covered: Some(["10", "2", "80%"].map(str::to_owned)),
        threshold: Some("90%".to_owned()),
        ..row("b|c")
    };
    let text = markdown(&[measured, row("TOTAL")]);
    assert!(text.contains("| b\\|c | 10 | 2 | 80% | 90% | 1 passed | 1.0s | ✓ passed |"), "{text}");
    assert!(text.contains("| TOTAL | - | - | - | - |"), "{text}");
}

fn ended(name: &str, exit: Exit, sentence: &str) -> Answer {
    let tally = Tally { collected: 2, passed: 2, ..Tally::default() };
    Answer { tally, ..Answer::without_run(name.to_owned(), exit, sentence.to_owned()) }
}

/// From the best to the worst: each wins over all that come before it.
#[test]
fn the_worst_project_decides() {
    let mut answers =
        vec![ended("a", Exit::Passed, "2 tests passed"), ended("b", Exit::Passed, "")];
    answers.iter_mut().for_each(|it| it.partial = false);
    let good = judge(&answers, &[], &[]);
    assert_eq!((good.exit, good.outcome, good.partial), (Exit::Passed, Outcome::Passed, false));
    assert_eq!(good.sentence, "4 tests passed in 2 projects");
    let patch = [Missed { what: "patch coverage is low".to_owned(), ..Missed::default() }];
    let verdict = judge(&answers, &patch, &[]);
    assert_eq!(
        (verdict.exit, verdict.sentence.as_str()),
        (Exit::BelowThreshold, "patch coverage is low")
    );
    let order = [
        (Exit::BelowThreshold, 2),
        (Exit::NoTests, 5),
        (Exit::TestsFailed, 1),
        (Exit::Incomplete, 3),
        (Exit::Usage, 4),
        (Exit::Interrupted(15), 143),
    ];
    for (exit, code) in order {
        answers.push(ended("c", exit, "a reason"));
        let verdict = judge(&answers, &patch, &[]);
        assert_eq!((verdict.exit.code(), verdict.sentence.as_str()), (code, "c: a reason"));
    }
    answers.push(ended("d", Exit::Interrupted(15), ""));
    assert_eq!(judge(&answers, &[], &[]).sentence, "c: a reason (and 1 more project)");
    let broken = [Broken::incomplete("no `j.xml`\nat all".to_owned())];
    assert_eq!(judge(&answers[..2], &[], &broken).sentence, "no `j.xml`");
}

/// `--exit-zero-on-test-failure`: the word is still there.
#[test]
fn a_failure_that_ends_with_zero_is_said() {
    let failed =
        Answer { outcome: Outcome::TestsFailed, ..ended("a", Exit::Passed, "1 of 2 failed") };
    let verdict = judge(&[failed], &[], &[]);
    assert_eq!((verdict.exit, verdict.outcome), (Exit::Passed, Outcome::TestsFailed));
    assert_eq!(verdict.sentence, "a: 1 of 2 failed");
}
