//! What a run says to people, to GitHub Actions and to GitLab CI: whole outputs, kept as files in
//! `voices/`. `UPDATE_VOICES=1 cargo test -p xtask --test it voices` writes them anew.

use std::fs;

use crate::shop::{LABEL_TESTS, PRICE_TESTS, SOURCE, coverage, pyproject};
use crate::support::{Project, git, repository};

const NEVER: &str = "\n\ndef never(a):\n    if a:\n        return 1\n    return 2\n";

const FAILING: &str = "\
import pytest
from shop import label


@pytest.mark.parametrize('kind', ['c', 'd'])
def test_other(kind):
    print('::error file=x::a word of the test')
    print('50%\\r::set-output name=x::##[group]')
    assert label(kind) == 'second'


@pytest.fixture
def broken():
    raise RuntimeError('section_start:1:no')


def test_broken(broken):
    pass
";

/// The shop in a folder of a repository, with changes that are not committed.
fn changed_shop() -> Project {
    let project = Project::at("shop", &[]);
    project.write("pyproject.toml", &pyproject("", ""));
    project.write_all(&[
        (".gitignore", ".xtask\nhtmlcov\n.coverage\n__pycache__\n*.xml\n"),
        ("src/shop/__init__.py", SOURCE),
        ("tests/test_label.py", LABEL_TESTS),
        ("tests/test_price.py", PRICE_TESTS),
    ]);
    let top = project.root.parent().expect("a folder");
    for args in [&["init", "-q"][..], &["add", "shop"], &["commit", "-qm", "a step"]] {
        git(top, args);
    }
    project.write("src/shop/__init__.py", &(SOURCE.to_owned() + NEVER));
    project
}

/// Versions and engines differ, and are tested where they matter. What is not seen is shown.
fn comparable(project: &Project, text: &str) -> String {
    let varies = ["  • Core: ", "  • Python: "];
    let kept = |line: &&str| !varies.iter().any(|start| line.starts_with(start));
    let text: String =
        text.split_inclusive('\n').filter(|line| kept(&line.trim_end_matches('\n'))).collect();
    let parts = text.split("section_").map(|part| match part.split_once(':') {
        Some(("start" | "end", rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            let (word, rest) = part.split_once(':').expect("a colon");
            format!("{word}:[NOW]{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        _ => part.to_owned(),
    });
    let text = parts.collect::<Vec<_>>().join("section_");
    let text = text.replace('\x1b', "<ESC>").replace('\r', "<CR>").replace('\u{200b}', "<ZWSP>");
    project.normal(&text)
}

/// Runs the shop and compares all that is said with a file.
fn says(name: &str, variables: &[(&str, &str)], failing: bool) {
    let project = changed_shop();
    if failing {
        project.write("tests/test_label.py", FAILING);
    }
    let top = project.root.parent().expect("a folder").to_owned();
    let options = ["--report", "term,xml", "--diff", "HEAD"];
    let goals = ["--fail-uncovered-lines", "2", "--diff-fail-under", "80"];
    let options = if failing { options.to_vec() } else { [&options[..], &goals].concat() };
    let page = top.join("page.md");
    let run = project.xtask(&coverage("fork", &options)).var("GITHUB_STEP_SUMMARY", page.as_str());
    let run = run.var("GITHUB_WORKSPACE", top.as_str()).var("CI_PROJECT_DIR", top.as_str());
    let run = variables.iter().fold(run, |run, (name, value)| run.var(name, value));
    let output = run.output().exits(if failing { 1 } else { 2 });
    // The lines of the splits may come in any order.
    let (mut splits, mut others): (Vec<&str>, Vec<&str>) =
        output.stderr.split_inclusive('\n').partition(|line| line.starts_with("[Split"));
    splits.sort_unstable();
    others.extend(splits);
    let progress = others.concat();
    let xml = project.read("coverage.xml");
    let is_place = |line: &&str| line.contains("<source>") || line.contains("filename=");
    let xml: String =
        xml.lines().filter(is_place).map(|line| format!("{}\n", line.trim())).collect();
    let page = fs::read_to_string(page).unwrap_or_default();
    let streams = [
        ("stderr", progress.as_str()),
        ("stdout", output.stdout.as_str()),
        ("page", page.as_str()),
        ("coverage.xml", xml.as_str()),
    ];
    let all = streams.map(|(title, text)| format!("--- {title}\n{}", comparable(&project, text)));
    let file = repository().join("xtask/tests/it/voices").join(name);
    if std::env::var_os("UPDATE_VOICES").is_some() {
        fs::write(&file, all.concat()).expect("a file");
    }
    let wanted = fs::read_to_string(&file).expect("a file");
    assert_eq!(all.concat(), wanted, "UPDATE_VOICES=1 cargo test -p xtask --test it voices");
}

#[test]
fn people() {
    says("people-threshold.txt", &[], false);
    says("people-failure.txt", &[], true);
}

/// Annotations count paths from the top of the repository, and the page has all there is to know.
#[test]
fn github() {
    let variables = [("CI", "true"), ("GITHUB_ACTIONS", "true")];
    says("github-threshold.txt", &variables, false);
    says("github-failure.txt", &variables, true);
}

/// A later step may report again, and mark what was changed.
#[test]
fn github_again() {
    let project = changed_shop();
    project.run(&coverage("fork", &["--report", "none"])).exits(0);
    let report = ["coverage", "report", "--report", "none", "--diff", "HEAD"];
    let wanted = "::warning file=shop/src/shop/__init__.py,line=16,endLine=18,title=Not covered::\
                  Lines 16-18 were changed and did not run\n";
    project.xtask(&report).var("GITHUB_ACTIONS", "true").output().exits(0).says(wanted);
    project.run(&report).exits(0).never_says("::warning");
}

/// The XML report counts paths from the top of the repository too.
#[test]
fn gitlab() {
    let variables = [("CI", "true"), ("GITLAB_CI", "true")];
    says("gitlab-threshold.txt", &variables, false);
    says("gitlab-failure.txt", &variables, true);
}
