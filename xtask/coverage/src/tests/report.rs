//! Combining and reporting through the real interpreter, with real data files, against
//! coverage's own commands.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use super::{environment, succeed, temporary_folder};
use crate::exit::{self, Exit};
use crate::model::{Expected, Origin, Part, ReportKind};
use crate::report::coverage::{Config, Data, Hidden, Rendered, Report, Reporter, Request, render};
use crate::report::summary;
use crate::shard::combine::check;

fn python() -> &'static Utf8Path {
    static PYTHON: OnceLock<Utf8PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| environment("report-env", &["coverage", "pytest"]))
}

/// A project of its own for one test.
struct Project {
    root: Utf8PathBuf,
}

const FILES: [(&str, &str); 5] = [
    ("pkg/__init__.py", ""),
    ("pkg/a.py", "def f(x):\n    if x > 1:\n        return 1\n    return 2\n"),
    ("one.py", "from pkg.a import f\nf(1)\n"),
    ("two.py", "from pkg.a import f\nf(2)\n"),
    (".coveragerc", "[run]\nbranch = true\nsource = pkg\n[report]\nshow_missing = true\n"),
];

impl Project {
    fn new(test: &str) -> Project {
        let root = temporary_folder().join("report").join(test);
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("parts")).expect("a folder for the project");
        let project = Project { root };
        for (name, text) in FILES {
            project.write(name, text);
        }
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn coverage(&self, words: &[&str]) -> String {
        let mut command = Command::new(python());
        let output = succeed(command.args(["-m", "coverage"]).args(words).current_dir(&self.root));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a script and returns its data as the part of a split.
    fn part(&self, script: &str, split: u32) -> Part {
        let file = self.root.join(format!("parts/{script}.data"));
        self.coverage(&["run", &format!("--data-file={file}"), script]);
        Part { split: Some(split), file, origin: Origin::Tests }
    }

    fn found(&self) -> Vec<Utf8PathBuf> {
        let files = self.root.join("parts").read_dir_utf8().expect("the folder of parts");
        files.map(|file| file.expect("a part").into_path()).collect()
    }

    fn reporter(&self) -> Reporter {
        Reporter {
            python: python().to_owned(),
            root: self.root.clone(),
            config: Config::Search,
            source: None,
            options: BTreeMap::new(),
            hidden: Hidden::default(),
        }
    }

    fn request(&self, parts: &[Part]) -> Request {
        let splits = parts.iter().filter_map(|part| part.split).collect();
        let checked = check(&Expected { splits, parts: parts.to_vec() }, &self.found());
        Request {
            reporter: self.reporter(),
            data: Data::Combine {
                parts: checked.parts,
                problems: checked.problems,
                into: self.root.join(".coverage"),
                incomplete_into: Some(self.root.join("state/.coverage")),
            },
            guessed: Vec::new(),
            lines_of: Vec::new(),
            analyses: false,
            xml_top: None,
            reports: vec![Report { kind: ReportKind::Term, path: None }],
            fail_under: None,
            processes: 2,
        }
    }

    fn render(&self, parts: &[Part]) -> Rendered {
        render(&self.request(parts)).expect("an answer")
    }
}

/// So many files that the reports are made side by side.
#[test]
fn reports_on_many_files_as_coverage_does() {
    let project = Project::new("many");
    (0..60).for_each(|n| project.write(&format!("pkg/m{n}.py"), "def f(x):\n    return x\n"));
    let reports = [ReportKind::Term, ReportKind::Html, ReportKind::Xml]
        .map(|kind| Report { kind, path: None });
    let parts = [project.part("one.py", 1)];
    let rendered =
        render(&Request { reports: reports.into(), ..project.request(&parts) }).expect("an answer");
    assert_eq!(rendered.broken(), None);
    assert_eq!(rendered.term.as_deref(), Some(project.coverage(&["report"]).as_str()));
    project.coverage(&["html", "-d", "own"]);
    let pages = |folder: &str| {
        let files = project.root.join(folder).read_dir_utf8().expect("a folder of pages");
        let mut names: Vec<_> =
            files.map(|file| file.expect("a page").file_name().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(pages("htmlcov"), pages("own"));
    assert!(pages("own").len() > 60);
}

#[test]
fn combines_and_reports_as_coverage_does() {
    let project = Project::new("whole");
    let parts = [project.part("one.py", 1), project.part("two.py", 2)];
    let request = Request {
        reports: [ReportKind::Xml, ReportKind::Term, ReportKind::Html]
            .map(|kind| Report { kind, path: None })
            .to_vec(),
        fail_under: Some(100.0),
        ..project.request(&parts)
    };
    let rendered = render(&request).expect("an answer");

    project.coverage(&[
        "combine",
        "--keep",
        "--data-file=own",
        "parts/one.py.data",
        "parts/two.py.data",
    ]);
    assert_eq!(rendered.term, Some(project.coverage(&["report", "--data-file=own"])));
    assert_eq!((rendered.combined, rendered.problems.len()), (2, 0));
    assert_eq!(rendered.data_file, Some(project.root.join(".coverage")));
    assert_eq!(rendered.below, None);
    let totals = rendered.totals.as_ref().expect("totals");
    assert_eq!((totals.statements, totals.missing, totals.branches, totals.files), (4, 0, 2, 2));
    assert_eq!(totals.percent_text, "100");
    assert_eq!(rendered.files[1].path, "pkg/a.py");
    assert_eq!(rendered.reports[&ReportKind::Xml].path, Some(project.root.join("coverage.xml")));
    let written = ["htmlcov/index.html", "coverage.xml"].map(|name| project.root.join(name));
    assert_eq!(rendered.written().into_values().collect::<Vec<_>>(), written);
    assert!(written.iter().all(|path| path.exists()));
    assert_eq!(rendered.broken(), None);
    let summary = summary::Coverage::of(&rendered).expect("totals");
    assert_eq!((summary.percent, summary.fail_under), (100.0, Some(100.0)));
    assert!(rendered.seconds.contains_key("combine") && rendered.seconds.contains_key("report"));
}

#[test]
fn reports_again_without_combining() {
    let project = Project::new("again");
    let parts = [project.part("one.py", 1)];
    let first = project.render(&parts);
    let data = Data::Existing(project.root.join(".coverage"));
    let request = Request { data, fail_under: Some(90.0), ..project.request(&parts) };
    let again = render(&request).expect("an answer");
    assert_eq!((again.term, again.combined), (first.term, 0));
    assert_eq!(again.below.as_deref(), Some("total of 67 is less than fail-under=90"));
}

#[test]
fn what_could_not_be_reported_is_said() {
    let project = Project::new("unreported");
    let parts = [project.part("one.py", 1)];
    let reports = vec![
        Report { kind: ReportKind::Json, path: Some("c.json".into()) },
        Report { kind: ReportKind::Xml, path: Some("one.py/c.xml".into()) },
    ];
    let request = Request { reports, ..project.request(&parts) };
    let rendered = render(&request).expect("an answer");
    let broken = rendered.broken().expect("a failed report");
    assert!(broken.starts_with("failed to make the `xml` report: "), "{broken}");
    assert_eq!(rendered.written().into_keys().collect::<Vec<_>>(), ["json"]);

    std::fs::remove_file(project.root.join("pkg/a.py")).expect("the source");
    let broken = render(&request).expect("an answer").broken().expect("no totals");
    assert!(broken.starts_with("No source for code: "), "{broken}");
}

#[test]
fn a_missing_part_keeps_the_data_of_an_earlier_run() {
    let project = Project::new("missing");
    let parts = [project.part("one.py", 1), project.part("two.py", 2)];
    project.render(&parts);
    let before = std::fs::read(project.root.join(".coverage")).expect("data");
    std::fs::remove_file(&parts[1].file).expect("the part");

    let rendered = project.render(&parts);
    let problems: Vec<String> = rendered.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [format!("split 2: `{}` is missing", parts[1].file)]);
    assert_eq!(rendered.data_file, Some(project.root.join("state/.coverage")));
    assert_eq!(rendered.combined, 1);
    assert!(rendered.term.expect("a table").contains("67%"));
    assert_eq!(std::fs::read(project.root.join(".coverage")).expect("data"), before);
}

#[test]
fn a_damaged_part_is_named_and_one_of_a_subprocess_is_a_warning() {
    let project = Project::new("damaged");
    let parts = [project.part("one.py", 1), project.part("two.py", 2)];
    project.write("parts/two.py.data", "");
    project.write("parts/.coverage.host.1.XX", "garbage");
    let rendered = project.render(&parts);
    let problems: Vec<String> = rendered.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [format!("split 2: `{}` is empty", parts[1].file)]);
    let stray = project.root.join("parts/.coverage.host.1.XX");
    assert_eq!(rendered.warnings, [format!("`{stray}` is damaged: file is not a database")]);
}

/// Modules of the project that hide those of the standard library, and a coverage plugin in
/// the project's folder that prints what looks like an answer.
#[test]
fn neither_hidden_modules_nor_noise_disturb() {
    let project = Project::new("noise");
    let parts = [project.part("one.py", 1)];
    for module in ["json.py", "sqlite3.py", "coverage.py", "gc.py"] {
        project.write(module, "raise SystemExit('the wrong module')\n");
    }
    project.write(
        "noisy.py",
        "print('\\nxtask-report:{}')\ndef coverage_init(reg, options): print('hello', end='')\n",
    );
    project.write(".coveragerc", "[run]\nbranch = true\nplugins = noisy\n");
    let rendered = project.render(&parts);
    assert!(rendered.term.expect("a table").contains("67%"));
}

#[test]
fn a_breakdown_is_an_error_with_the_last_words() {
    let project = Project::new("breakdown");
    let parts = [project.part("one.py", 1)];
    project.write("fatal.py", "import os\nos.write(2, b'last words')\nos._exit(7)\n");
    project.write(".coveragerc", "[run]\nbranch = true\nplugins = fatal\n");
    let error = render(&project.request(&parts)).expect_err("no answer");
    assert_eq!(exit::of(&error), Exit::Incomplete);
    let text = error.to_string();
    assert!(text.contains("exit status: 7") && text.contains("last words"), "{text}");
}

#[test]
fn a_wrong_configuration_is_a_usage_error() {
    let project = Project::new("configuration");
    let parts = [project.part("one.py", 1)];
    project.write(".coveragerc", "[run]\nbranch = perhaps\n");
    let error = render(&project.request(&parts)).expect_err("a usage error");
    assert_eq!(exit::of(&error), Exit::Usage);
    assert!(error.to_string().contains("perhaps"), "{error}");
}

#[test]
fn an_interpreter_that_is_gone_is_named() {
    let project = Project::new("interpreter");
    let reporter = Reporter { python: "/no/python".into(), ..project.reporter() };
    let request = Request { reporter, ..project.request(&[]) };
    let error = render(&request).expect_err("no interpreter");
    assert_eq!(error.to_string(), "failed to start `/no/python` for the reports");
}

/// With a new one they are part of the host's suite.
#[test]
#[ignore = "slow: the program's own tests, with the oldest coverage that is promised"]
fn the_program_passes_its_own_tests_with_an_old_coverage() {
    let python = environment("report-env-old", &["coverage==7.6.0", "pytest"]);
    let host = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("host");
    let options =
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_coverage_reports.py"];
    succeed(Command::new(python).args(options).current_dir(host));
}
