//! What wins over what, and how wrong values are refused.

use std::collections::BTreeMap;

use super::*;
use crate::cli::{self, Typed};

/// All that settings are made from, as text.
#[derive(Clone)]
struct Case {
    typed: String,
    env: Vec<(String, String)>,
    project: String,
    addopts: String,
    workspace: String,
    facts: Facts,
    test_folder: Option<&'static str>,
}

fn case() -> Case {
    Case {
        typed: String::new(),
        env: Vec::new(),
        project: String::new(),
        addopts: String::new(),
        workspace: String::new(),
        facts: facts(),
        test_folder: Some("tests"),
    }
}

fn facts() -> Facts {
    let text = r#"{
        "executable": "/py", "python": "3.12.1", "implementation": "cpython", "packages": {},
        "packages_here": ["src/a", "src/b.py"],
        "pytest": {"rootdir": "/p", "inifile": "/p/pytest.ini", "addopts": [], "testpaths": [],
            "has_timeout": false, "shadowed_inifile": null},
        "coverage": {"config_file": "/p/.coveragerc", "source": [], "include": [], "branch": false,
            "data_file": "/p/.coverage", "fail_under": 0.0, "precision": 0, "html_dir": "/p/htmlcov",
            "xml_output": "/p/coverage.xml", "json_output": "/p/c.json", "lcov_output": "/p/c.lcov",
            "dynamic_context": null, "patch": []}
    }"#;
    serde_json::from_str(text).expect("facts")
}

fn parse(typed: &str) -> Typed {
    let words = shell_words::split(&format!("xtask coverage {typed}")).expect("words");
    cli::parse(words.into_iter().map(Into::into), &BTreeMap::new()).expect(typed)
}

impl Case {
    fn with(mut self, place: &str, text: &str) -> Case {
        match place {
            "typed" => self.typed = text.to_owned(),
            "project" => self.project = text.to_owned(),
            "addopts" => self.addopts = text.to_owned(),
            "workspace" => self.workspace = text.to_owned(),
            name => self.env.push((name.to_owned(), text.to_owned())),
        }
        self
    }

    fn coverage(mut self, change: impl FnOnce(&mut CoverageConfig)) -> Case {
        change(self.facts.coverage.as_mut().expect("coverage"));
        self
    }

    fn read(&self) -> Result<Settings> {
        let mut facts = self.facts.clone();
        let pytest = facts.pytest.as_mut().expect("pytest");
        pytest.addopts = shell_words::split(&self.addopts).expect("words");
        let typed = parse(&self.typed);
        let (project, workspace): (Table, Table) =
            (self.project.parse().expect("TOML"), self.workspace.parse().expect("TOML"));
        Settings::read(&Inputs {
            options: &typed.options,
            pytest_args: &typed.pytest_args,
            env: &self.env.iter().cloned().collect(),
            project: Configured { table: Some((Utf8Path::new("/p"), &project)) },
            workspace: Configured { table: Some((Utf8Path::new("/w"), &workspace)) },
            facts: &facts,
            root: Utf8Path::new("/p"),
            test_folder: self.test_folder,
            machine: &Machine { cores: 2, memory: None, available: None },
            measured: Measured::default(),
        })
    }

    fn settings(&self) -> Settings {
        self.read().expect("settings")
    }

    /// The `-v` row of a setting.
    fn row(&self, name: &str) -> String {
        let rows = self.settings().rows();
        let row = rows.into_iter().find(|row| row.name == name).expect("a row");
        format!("{} ({})", row.value, row.origin)
    }

    fn error(&self) -> String {
        let error = self.read().expect_err("an error");
        assert_eq!(exit::of(&error), exit::Exit::Usage);
        error.to_string()
    }
}

const PROJECT: &str = "pyproject.toml [tool.xtask.coverage]";
const WORKSPACE: &str = "Cargo.toml [workspace.metadata.xtask.coverage]";

/// Each place with its value, the strongest first: of every two the first wins.
fn ranked(name: &str, places: &[(&str, &str, &str)]) {
    for (at, (place, text, wanted)) in places.iter().enumerate() {
        let alone = case().with(place, text);
        assert_eq!(alone.row(name), *wanted, "{place}");
        for (weaker, other, _) in &places[at + 1..] {
            assert_eq!(alone.clone().with(weaker, other).row(name), *wanted, "{place}, {weaker}");
        }
    }
}

#[test]
fn places_rank_for_max_failures() {
    ranked(
        "max-failures",
        &[
            ("typed", "--max-failures 1", "1 (command line)"),
            ("XTASK_MAX_FAILURES", "2", "2 (XTASK_MAX_FAILURES)"),
            ("MAX_FAILURES", "3", "3 (MAX_FAILURES)"),
            ("project", "max-failures = 4", &format!("4 ({PROJECT})")),
            ("addopts", "--maxfail=5", "5 (addopts)"),
            ("workspace", "max-failures = 6", &format!("6 ({WORKSPACE})")),
            ("UNKNOWN", "7", "10 (default)"),
        ],
    );
}

#[test]
fn places_rank_for_the_number_of_workers() {
    ranked(
        "workers-per-split",
        &[
            ("typed", "--workers-per-split 1", "1 (command line)"),
            ("XTASK_WORKERS_PER_SPLIT", "2", "2 (XTASK_WORKERS_PER_SPLIT)"),
            ("WORKERS_PER_SPLIT", "3", "3 (WORKERS_PER_SPLIT)"),
            ("XTASK_PROFILE", "balanced", "4 (profile balanced)"),
            ("project", "workers-per-split = 5", &format!("5 ({PROJECT})")),
            ("workspace", "profile = 'aggressive'", "6 (profile aggressive)"),
            ("addopts", "-n4", "2 (2 cores)"),
        ],
    );
}

#[test]
fn places_rank_for_splits_at_once() {
    ranked(
        "max-concurrent-splits",
        &[
            ("typed", "--max-concurrent-splits 2", "2 (command line)"),
            ("XTASK_MAX_CONCURRENT_SPLITS", "3", "3 (XTASK_MAX_CONCURRENT_SPLITS)"),
            ("MAX_CONCURRENT_SPLITS", "4", "4 (MAX_CONCURRENT_SPLITS)"),
            ("project", "max-concurrent-splits = 5", &format!("5 ({PROJECT})")),
            ("UNKNOWN", "7", "1 (2 cores)"),
        ],
    );
}

#[test]
fn places_rank_for_the_threshold() {
    let fails_under = |case: Case| case.coverage(|it| it.fail_under = 50.0);
    let table = [
        ("typed", "--fail-under 1", "1 (command line)"),
        ("typed", "-- --cov-fail-under=2", "2 (command line)"),
        ("XTASK_FAIL_UNDER", "3.5", "3.5 (XTASK_FAIL_UNDER)"),
        ("project", "fail-under = 4.5", &format!("4.5 ({PROJECT})")),
        ("addopts", "--cov-fail-under=5", "5 (addopts)"),
        ("workspace", "fail-under = 6", &format!("6 ({WORKSPACE})")),
        ("UNKNOWN", "", "none (default)"),
    ];
    for (at, (place, text, wanted)) in table.iter().enumerate() {
        let alone = case().with(place, text);
        assert_eq!(alone.row("fail-under"), *wanted);
        assert_eq!(alone.settings().fail_under_on_command_line, at < 2);
        let configured = if at < 5 { wanted } else { "50 (.coveragerc)" };
        assert_eq!(fails_under(alone).row("fail-under"), configured);
    }
}

/// Their origins decide whether they judge runs of a part of the suite.
#[test]
fn goals_may_stand_anywhere() {
    let table = [
        ("typed", "--no-decrease", "no-decrease", "0 (command line)".to_owned()),
        ("typed", "--no-decrease=0.5", "no-decrease", "0.5 (command line)".to_owned()),
        ("project", "no-decrease = 1", "no-decrease", format!("1 ({PROJECT})")),
        ("XTASK_NO_DECREASE", "2", "no-decrease", "2 (XTASK_NO_DECREASE)".to_owned()),
        ("project", "fail-under-file = 50", "fail-under-file", format!("50 ({PROJECT})")),
        (
            "workspace",
            "fail-uncovered-lines = 3",
            "fail-uncovered-lines",
            format!("3 ({WORKSPACE})"),
        ),
        ("XTASK_UPDATE_BASELINE", "1", "update-baseline", "yes (XTASK_UPDATE_BASELINE)".to_owned()),
        ("project", "diff = 'main'", "diff", format!("main ({PROJECT})")),
    ];
    for (place, text, name, wanted) in table {
        assert_eq!(case().with(place, text).row(name), wanted);
    }
    let alone = case().with("project", "diff-fail-under = 80");
    assert_eq!(alone.error(), format!("`--diff-fail-under` ({PROJECT}) needs `--diff`"));
    let both = alone.with("typed", "--diff main");
    assert_eq!(both.row("diff-fail-under"), format!("80 ({PROJECT})"));
}

#[test]
fn what_is_measured() {
    let own = "as coverage is configured";
    let table = [
        (case(), "src/a, b (the project's folders)".to_owned()),
        (case().with("typed", "--source x,y --source z"), "x, y, z (command line)".to_owned()),
        (case().with("XTASK_SOURCE", "x,y"), "x, y (XTASK_SOURCE)".to_owned()),
        (case().with("project", "source = ['x', 'y']"), format!("x, y ({PROJECT})")),
        (case().with("project", "source = 'x'"), format!("x ({PROJECT})")),
        (case().with("addopts", "--cov=x --cov=y"), "x, y (addopts)".to_owned()),
        (case().with("addopts", "--cov"), format!("{own} (addopts)")),
        (
            case().with("addopts", "--cov=x").with("typed", "--source y"),
            "y (command line)".to_owned(),
        ),
        (case().coverage(|it| it.source = vec!["x".into()]), format!("{own} (.coveragerc)")),
        (case().coverage(|it| it.include = vec!["x".into()]), format!("{own} (.coveragerc)")),
        (
            case().coverage(|it| it.source = vec!["x".into()]).with("addopts", "--cov=y"),
            "y (addopts)".to_owned(),
        ),
        (
            case().coverage(|it| it.source = vec!["x".into()]).with("workspace", "source = 'y'"),
            format!("{own} (.coveragerc)"),
        ),
    ];
    for (case, wanted) in table {
        assert_eq!(case.row("source"), wanted);
    }
}

#[test]
fn branches_and_other_pairs() {
    let branch = |case: Case| case.row("branch");
    assert_eq!(branch(case()), "as coverage is configured (default)");
    assert_eq!(
        branch(case().coverage(|it| it.branch = true)),
        "as coverage is configured (default)"
    );
    assert_eq!(branch(case().with("typed", "--no-branch --branch")), "yes (command line)");
    assert_eq!(branch(case().with("typed", "--branch --no-branch")), "no (command line)");
    assert_eq!(branch(case().with("XTASK_BRANCH", "0")), "no (XTASK_BRANCH)");
    assert_eq!(branch(case().with("XTASK_NO_BRANCH", "yes")), "no (XTASK_NO_BRANCH)");
    assert_eq!(branch(case().with("XTASK_NO_BRANCH", "no")), "yes (XTASK_NO_BRANCH)");
    assert_eq!(branch(case().with("project", "branch = false")), format!("no ({PROJECT})"));
    assert_eq!(branch(case().with("addopts", "--cov-branch")), "yes (addopts)");
    let durations = case().with("workspace", "store-durations = true");
    assert_eq!(durations.row("store-durations"), format!("yes ({WORKSPACE})"));
    let durations = durations.with("project", "store-durations = false");
    assert_eq!(durations.row("store-durations"), format!("no ({PROJECT})"));
}

#[test]
fn reports_in_every_form() {
    let table = [
        (case(), "term, html (default)".to_owned()),
        (case().with("typed", "--report xml,json"), "xml, json (command line)".to_owned()),
        (case().with("typed", "--report xml --report lcov"), "xml, lcov (command line)".to_owned()),
        (case().with("typed", "--report none"), "none (command line)".to_owned()),
        (case().with("XTASK_REPORT", "markdown"), "markdown (XTASK_REPORT)".to_owned()),
        (case().with("project", "report = ['term', 'xml']"), format!("term, xml ({PROJECT})")),
        (case().with("project", "report = 'term,xml'"), format!("term, xml ({PROJECT})")),
    ];
    for (case, wanted) in table {
        assert_eq!(case.row("report"), wanted);
    }
    let both = case().with("typed", "--report none,xml");
    assert_eq!(both.error(), "`--report` (command line): `none` stands alone");
}

#[test]
fn an_empty_variable_is_not_set() {
    let empty = case().with("XTASK_SPLITS", "").with("MAX_FAILURES", "").with("XTASK_BRANCH", "");
    assert_eq!(empty.settings(), case().settings());
}

#[test]
fn the_projects_own_time_limit_wins() {
    let asked = case().with("typed", "--timeout 1.5");
    assert_eq!(asked.row("timeout"), "1.5 (command line)");
    let mut configured = asked.clone();
    configured.facts.pytest.as_mut().expect("pytest").has_timeout = true;
    let typed = case().with("XTASK_TIMEOUT", "1.5").with("typed", "-- --timeout=3");
    let table = [(configured, "command line"), (typed, "XTASK_TIMEOUT")];
    for (case, origin) in table {
        let settings = case.settings();
        assert_eq!(settings.timeout, None);
        let notice = format!(
            "pytest-timeout is configured to limit each test; `--timeout 1.5` ({origin}) is not used"
        );
        assert_eq!(settings.notices, [notice]);
    }
}

#[test]
fn paths_for_pytest() {
    let configured = |mut case: Case, rootdir: &str| {
        let pytest = case.facts.pytest.as_mut().expect("pytest");
        pytest.testpaths = vec!["checks".into()];
        pytest.rootdir = rootdir.into();
        case
    };
    let none: [&str; 0] = [];
    assert_eq!(case().settings().test_paths, ["tests"]);
    assert_eq!(Case { test_folder: None, ..case() }.settings().test_paths, none);
    assert_eq!(configured(case(), "/p").settings().test_paths, none);
    assert_eq!(configured(case(), "/").settings().test_paths, ["tests"]);
    assert_eq!(case().with("addopts", "a").settings().test_paths, none);
    let typed = configured(case(), "/p").with("typed", "-- a -q b::c").settings();
    assert_eq!(
        (typed.test_paths, typed.pytest_args),
        (vec!["a".into(), "b::c".into()], vec!["-q".into()])
    );
    assert!(typed.narrowed);
    for part in ["tests/a.py", "tests/unit", "-q tests/unit"] {
        assert!(case().with("typed", &format!("-- {part}")).settings().narrowed, "{part}");
    }
    for all in [".", "./", "/p", "tests/", "./tests", "a .", "tests"] {
        let typed = case().with("typed", &format!("-- {all}"));
        assert!(!typed.settings().narrowed, "{all}");
    }
    assert!(configured(case(), "/p").with("typed", "-- tests").settings().narrowed);
    assert!(!configured(case(), "/p").with("typed", "-- checks").settings().narrowed);
    assert!(!case().with("addopts", "-m fast").settings().narrowed);
}

/// A whole run is one that runs what would run without paths, under the ini file in effect.
#[test]
fn paths_may_be_the_whole() {
    let narrowed = |rootdir: &str, testpaths: &[&str], addopts: &str, typed: &str| {
        let mut case = case().with("addopts", addopts).with("typed", &format!("-- {typed}"));
        let pytest = case.facts.pytest.as_mut().expect("pytest");
        pytest.testpaths = testpaths.iter().map(|path| path.to_string()).collect();
        pytest.rootdir = rootdir.into();
        case.settings().narrowed
    };
    let two = ["tests/unit/", "./tests/slow"];
    for all in ["tests", "tests/slow tests/unit", "/p/tests", "tests/../tests/.", "."] {
        assert!(!narrowed("/p", &two, "", all), "{all}");
    }
    for part in ["tests/unit", "tests/slow/a.py tests/unit", "src", "tests/unit::a"] {
        assert!(narrowed("/p", &two, "", part), "{part}");
    }
    // pytest passes over `testpaths` that are not those of its folder.
    assert!(!narrowed("/p/tests", &["unit"], "", "tests/"));
    assert!(narrowed("/p/tests", &["unit"], "", "tests/unit"));
    // With what addopts have it cannot be less.
    assert!(!narrowed("/p", &[], "tests", "tests/a.py"));
}

#[test]
fn options_of_pytest_cov() {
    let settings = case().with("addopts", "--cov-config=a --cov-context=test").settings();
    assert_eq!(settings.cov_config, Some(Setting::new("a".into(), Origin::Addopts)));
    assert_eq!(settings.cov_context, Some(Setting::new("test".into(), Origin::Addopts)));
    let typed = case().with("addopts", "--cov-config=a").with("typed", "-- --cov-config=b");
    let wanted = Some(Setting::new("b".into(), Origin::CommandLine));
    assert_eq!(typed.settings().cov_config, wanted);
}

#[test]
fn wrong_values_name_their_place() {
    let known = "splits, max-concurrent-splits, workers-per-split, profile, engine, collect, \
                 isolate, max-failures, retries, memory-per-test, timeout, slow, store-durations, \
                 setup, teardown, worker-setup, worker-teardown, setup-timeout, source, branch, core, fail-under, \
                 fail-under-file, fail-uncovered-lines, no-decrease, update-baseline, diff, \
                 diff-fail-under, report";
    let at = |key: &str| format!("`{key}` in `[tool.xtask.coverage]` of /p/pyproject.toml");
    let reports = "(known: term, html, xml, json, lcov, markdown, none)";
    let table = [
        (case().with("XTASK_SPLITS", "0"), "`XTASK_SPLITS` is `0`: must be at least 1".to_owned()),
        (case().with("XTASK_SPLITS", "-1"), "`XTASK_SPLITS` is `-1`: must be at least 1".to_owned()),
        (case().with("MAX_FAILURES", "x"), "`MAX_FAILURES` is `x`: must be a whole number".to_owned()),
        (case().with("XTASK_BRANCH", "x"), "`XTASK_BRANCH` is `x`: must be true or false".to_owned()),
        (
            case().with("XTASK_PROFILE", "x"),
            "`XTASK_PROFILE` is `x`: known are conservative, balanced, aggressive".to_owned(),
        ),
        (case().with("project", "splits = 0"), format!("{} is `0`: must be at least 1", at("splits"))),
        (
            case().with("project", "splits = 1.5"),
            format!("{} is `1.5`: must be a whole number", at("splits")),
        ),
        (
            case().with("project", "splits = '4'"),
            format!("{} must be a number, not a string", at("splits")),
        ),
        (
            case().with("project", "splits = {}"),
            format!("{} must be a number, not a table", at("splits")),
        ),
        (
            case().with("project", "branch = 1"),
            format!("{} must be true or false, not a number", at("branch")),
        ),
        (
            case().with("project", "source = [1]"),
            format!("{} must be a string or a list of strings, not such a list", at("source")),
        ),
        (
            case().with("project", "report = ['term', 'htm']"),
            format!("{} is `term,htm`: unknown report `htm` {reports}", at("report")),
        ),
        (
            case().with("project", "fail-under = 101"),
            format!("{} is `101`: must be between 0 and 100", at("fail-under")),
        ),
        (
            case().with("project", "split = 3"),
            format!("unknown key {}; did you mean `splits`? (known: {known})", at("split")),
        ),
        (
            case().with("project", "no-branch = true"),
            format!("unknown key {}; did you mean `branch`? (known: {known})", at("no-branch")),
        ),
        (
            case().with("workspace", "timeout = 0"),
            "`timeout` in `[workspace.metadata.xtask.coverage]` of /w/Cargo.toml is `0`: must be more than 0"
                .to_owned(),
        ),
        (
            case().with("addopts", "--splits=3"),
            "addopts has `--splits`; use `--splits N` of `cargo xtask coverage`, which cuts the suite itself"
                .to_owned(),
        ),
    ];
    for (case, message) in table {
        assert_eq!(case.error(), message);
    }
}

#[test]
fn every_setting_has_a_row() {
    let names: Vec<_> = case().settings().rows().iter().map(|row| row.name).collect();
    assert_eq!(
        names.join(" "),
        "splits max-concurrent-splits workers-per-split engine collect isolate max-failures retries memory-per-test \
         timeout slow store-durations setup teardown worker-setup worker-teardown \
         setup-timeout source branch core fail-under fail-under-file fail-uncovered-lines \
         no-decrease update-baseline diff diff-fail-under report"
    );
    assert_eq!(case().row("splits"), "12 (default)");
    assert_eq!(case().with("typed", "--engine stock").row("engine"), "stock (command line)");
}

#[test]
fn too_many_workers_are_warned_about() {
    let settings =
        case().with("MAX_CONCURRENT_SPLITS", "3").with("WORKERS_PER_SPLIT", "4").settings();
    assert_eq!(
        settings.warnings,
        [
            "12 workers at once on 2 cores slow the machine down; `--max-concurrent-splits 1 --workers-per-split 2` fits this machine"
        ]
    );
}
