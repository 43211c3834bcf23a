//! What the page holds, whatever is in the names and texts of a run.

use std::fs;
use std::io::{Seek, Write};
use std::process::Command;

use super::*;
use crate::model::{Failure, Phase, PhaseFailure, Tally};

const NASTY: &str = "tests/test_x.py::test_y[</script><b a=\"'>&\x07\x1b[31mé\u{202e}\n{{data}}]";

fn page<'a>(tests: Vec<Test<'a>>, failures: &'a [Failure]) -> Page<'a> {
    let units = tests.iter().map(|it| Unit {
        slot: it.slot,
        started: it.started,
        ended: it.started + it.seconds,
    });
    Page {
        folder: "/p/.xtask".into(),
        project: "shop & sons",
        facts: vec![("Engine", "fork".to_owned())],
        outcome: Outcome::TestsFailed,
        sentence: "1 of 2 tests failed",
        partial: true,
        problems: vec!["split 3 lost <data>".to_owned()],
        tally: Tally {
            collected: tests.len() as u64,
            failed: failures.len() as u64,
            ..Tally::default()
        },
        counts: "1 failed".to_owned(),
        seconds: Seconds {
            total: 9.0,
            environment: 1.0,
            collect: 2.0,
            run: 4.0,
            combine: 0.5,
            report: 1.0,
        },
        began: 1.0,
        slots: 2,
        lanes: &[],
        units: units.collect(),
        samples: Vec::new(),
        limit: None,
        tests,
        failures,
        again: Again {
            command: ["cargo", "xtask", "coverage"].map(str::to_owned).to_vec(),
            ..Again::default()
        },
        flaky: Vec::new(),
        coverage: None,
        reports: vec![("HTML".to_owned(), "/p/html cov/index.html".into())],
    }
}

fn test(id: &str, slot: usize, started: f64, seconds: f64) -> Test<'_> {
    Test { id, outcome: "passed", split: 1, slot, started, seconds }
}

fn failure(id: &str, text: &str) -> Failure {
    let sections = vec![("Captured stdout call".to_owned(), text.to_owned())];
    let phase_failure = PhaseFailure {
        phase: Phase::Call,
        text: text.to_owned(),
        message: text.to_owned(),
        sections,
    };
    Failure::new(id.to_owned(), Some(3), phase_failure, Some("/p/.xtask/logs/3.log".into()))
}

/// Parses a page as Python does: every element that begins ends, in order; nothing is fetched;
/// there are the two scripts and no third. Prints the JSON of the first.
const CHECK: &str = r#"
import json, re, sys
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br"}

class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.scripts, self.ids, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action"):
                assert re.match(r"data:,$|[^/:]+(/|$)", value), (name, value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] == "style":
            assert "url(" not in data and "@import" not in data
        else:
            self.text += data

text = sys.stdin.buffer.read().decode()
assert not [c for c in text if ord(c) < 32 and c not in "\n\t"]
assert "{{" not in text.replace(sys.argv[1], "")
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert len(page.ids) == len(set(page.ids)), page.ids
assert len(page.scripts) == 2, len(page.scripts)
assert not re.search(r"https?://|fetch\(|XMLHttpRequest|import\(", page.scripts[1])
print(json.dumps({"data": json.loads(page.scripts[0]), "text": page.text}))
"#;

/// What [`CHECK`] makes of a page.
fn checked(page: &Page<'_>) -> anyhow::Result<serde_json::Value> {
    let mut file = tempfile::tempfile()?;
    file.write_all(render(page).as_bytes())?;
    file.rewind()?;
    let output = Command::new("python3").args(["-c", CHECK, "{{data}}"]).stdin(file).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn nothing_in_a_run_breaks_the_page() -> anyhow::Result<()> {
    let failures =
        [failure(NASTY, "</pre></script><script>alert(1)</script> {{data}} \x1b[1mbold\x1b[0m\0")];
    let told =
        checked(&page(vec![test(NASTY, 0, 2.0, 1.5), test("t.py", 1, 2.0, 0.25)], &failures))?;
    let tests = &told["data"]["tests"];
    let shown = "test_y[</script><b a=\"'>&␇é\u{fffd}␊{{data}}]";
    assert_eq!(tests[0], serde_json::json!([0, shown, 0, 30_000, 15_000, 0, 1]));
    assert_eq!(tests[1], serde_json::json!([1, null, 1, 30_000, 2_500, 0, 1]));
    assert_eq!(told["data"]["files"], serde_json::json!(["tests/test_x.py", "t.py"]));
    let text = told["text"].as_str().unwrap_or_default();
    for wanted in [
        "shop & sons",
        "1 of 2 tests failed",
        "partial",
        "split 3 lost <data>",
        shown,
        "</pre></script><script>alert(1)</script> {{data}} bold␀",
        "Captured stdout call",
        "Again: cargo xtask coverage -- ",
        "In the last 1.2 s not every slot had a test to run",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    Ok(())
}

#[test]
fn a_run_without_tests_has_a_page() -> anyhow::Result<()> {
    let told = checked(&page(Vec::new(), &[]))?;
    assert_eq!(told["data"]["tests"], serde_json::json!([]));
    let text = told["text"].as_str().unwrap_or_default();
    assert!(!text.contains("Failures") && !text.contains("Coverage by folder"), "{text}");
    Ok(())
}

/// Of a second each: one busy, one idle, one with half of it busy, while memory grows.
fn watched() -> Vec<Sample> {
    let sample = |(at, busy, free): (f64, f64, u64)| Sample {
        at,
        busy,
        cores: 2.0,
        available: Some(free << 30),
        memory: Some(8 << 30),
        processes: at as u32,
    };
    [(1.0, 2.0, 6), (2.0, 0.0, 5), (3.0, 1.0, 4)].map(sample).to_vec()
}

#[test]
fn the_machine_is_drawn_under_the_timeline_and_told_in_words() -> anyhow::Result<()> {
    let limit = Some("<memory> limited this run".to_owned());
    let page = Page { samples: watched(), limit, ..page(Vec::new(), &[]) };
    let told = checked(&page)?;
    let text = told["text"].as_str().unwrap_or_default();
    for wanted in [
        "<memory> limited this run",
        "Processors 1.0 of 2 busy on average",
        "Memory 4.0 of 8.0 GiB in use at the most",
        "Processes that run tests 3 at the most",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let html = render(&page);
    let said = "role=\"img\" aria-label=\"Processors over time: 1.0 of 2 busy on average\"";
    assert!(html.contains(said), "{html}");
    // The engine began after a second, and the whole run took nine.
    let drawn = "viewBox=\"0 0 9.000 44\"";
    assert_eq!(html.matches(drawn).count(), 3);
    assert!(html.contains("<path d=\"M1.00 44V1.0H2.00V44.0H3.00V22.5H4.00V44Z\">"), "{html}");
    Ok(())
}

#[test]
fn what_nobody_has_measured_is_not_drawn() -> anyhow::Result<()> {
    let without_memory = watched().into_iter().map(|it| Sample { memory: None, ..it }).collect();
    let page = |samples| Page { samples, ..page(Vec::new(), &[]) };
    let text = checked(&page(without_memory))?["text"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("Processors 1.0 of 2") && !text.contains("Memory"), "{text}");
    let html = render(&page(Vec::new()));
    assert!(!html.contains("<figure>") && !html.contains("<svg"));
    Ok(())
}

#[test]
fn folders_count_as_coverage_does() -> anyhow::Result<()> {
    let file =
        |path: &str, [statements, missing, branches, missing_branches]: [u64; 4]| FileTotals {
            path: path.into(),
            percent: 0.0,
            statements,
            missing,
            branches,
            missing_branches,
        };
    let files = [
        file("src/shop/<a>.py", [10, 4, 2, 2]),
        file("src/shop/b/c.py", [2990, 0, 0, 0]),
        file("src/shop/b/empty.py", [0, 0, 0, 0]),
    ];
    let totals = Totals {
        percent: 99.8,
        percent_text: "99.80".to_owned(),
        statements: 3000,
        missing: 4,
        excluded: 0,
        branches: 2,
        partial_branches: 0,
        files: 3,
    };
    let coverage = Some(Coverage { totals: &totals, fail_under: 0.0, files: &files });
    let told = checked(&Page { coverage, ..page(Vec::new(), &[]) })?;
    let text = told["text"].as_str().unwrap_or_default();
    for wanted in [
        "99.80%4 of 3,000 statements missing",
        "src/shop/99.8%43,000\n",
        "b/100.0%02,990\n",
        "<a>.py50.0%410\n",
        "empty.py100.0%00\n",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    Ok(())
}

/// The ids of a large suite.
fn many_ids() -> Vec<String> {
    let id = |n: usize| {
        let file = format!("tests/unit/some_package/test_module_{}.py", n / 25);
        format!("{file}::TestSomething::test_that_it_does_what_it_says[case {n}]")
    };
    (0..12_000).map(id).collect()
}

fn many(ids: &[String]) -> Vec<Test<'_>> {
    let placed = ids.iter().enumerate();
    placed.map(|(n, id)| test(id, n % 8, (n / 8) as f64 * 0.1, 0.09)).collect()
}

#[test]
fn a_large_run_is_a_page_of_less_than_3_mb() -> anyhow::Result<()> {
    let (ids, long) = (many_ids(), "x".repeat(100_000));
    let failures: Vec<Failure> = ids.iter().take(500).map(|id| failure(id, &long)).collect();
    let page = page(many(&ids), &failures);
    let size = render(&page).len();
    assert!(size < 3_000_000, "{size}");
    let told = checked(&page)?;
    assert_eq!(told["data"]["tests"].as_array().map(Vec::len), Some(12_000));
    assert!(told["text"].as_str().unwrap_or_default().contains("no more room"));
    Ok(())
}

/// Where Chromium is on the PATH: its script runs to its end, and has filled the table.
#[test]
#[ignore = "slow tier: starts a browser"]
fn a_browser_draws_a_large_run() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("xtask-page-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("run.html");
    fs::write(&file, render(&page(many(&many_ids()), &[])))?;
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"];
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let url = format!("file://{}", file.display());
    let output = Command::new("chromium").args(flags).args([profile, url]).output();
    if let Ok(output) = output {
        let dom = String::from_utf8_lossy(&output.stdout);
        assert!(dom.contains(">12,000 of 12,000</output>"), "{dom:.2000}");
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

#[test]
fn links_are_relative_and_texts_are_cut() {
    let link = |file: &str| text::link("/p/target/x".into(), file.into());
    assert_eq!(link("/p/html cov/index.html"), "../../html%20cov/index.html");
    assert_eq!(link("/p/target/x/a#é.md"), "a%23%C3%A9.md");
    assert_eq!(text::cut("ééééé", 5), "é\n[6 bytes left out]\né");
    assert_eq!(text::cut("abc", 3), "abc");
    assert_eq!([99.97, 0.01, 100.0, 0.0].map(text::percent), ["99.9", "0.1", "100.0", "0.0"]);
}
