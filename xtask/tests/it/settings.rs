//! Which of several places decides, as the binary itself tells with `-v`.

use crate::shop::{pyproject, shop};
use crate::support::{Project, Run};

/// The row of a setting in `plan -v`.
fn row(run: Run, name: &str) -> String {
    let output = run.output().exits(0);
    let start = format!("    {name} = ");
    let rows: Vec<&str> =
        output.stderr.lines().filter_map(|line| line.strip_prefix(&start)).collect();
    assert_eq!(rows.len(), 1, "{output}");
    rows[0].to_owned()
}

/// Every place at once, and then one less each time.
#[test]
fn places_rank_as_documented() {
    let project = Project::at(
        "workspace",
        &[
            ("Cargo.toml", "[workspace]\n[workspace.metadata.xtask.coverage]\nmax-failures = 2\n"),
            ("shop/src/shop/__init__.py", crate::shop::SOURCE),
            ("shop/tests/test_label.py", crate::shop::LABEL_TESTS),
        ],
    );
    let run = |args: &[&str], vars: &[(&str, &str)]| {
        let args = [&["coverage", "-v", "--report", "none", "--splits", "1"], args].concat();
        let run = project.xtask(&args).cwd(&project.root.join("shop"));
        let run = vars.iter().fold(run, |run, (name, value)| run.var(name, value));
        row(run, "max-failures")
    };
    let table = "[tool.xtask.coverage]\nmax-failures = 4";
    let (new, old) = (("XTASK_MAX_FAILURES", "6"), ("MAX_FAILURES", "5"));
    project.write("shop/pyproject.toml", &pyproject("addopts = '--maxfail=3'", table));
    assert_eq!(run(&["--max-failures", "7"], &[new, old]), "7 (command line)");
    assert_eq!(run(&[], &[new, old]), "6 (XTASK_MAX_FAILURES)");
    assert_eq!(run(&[], &[old]), "5 (MAX_FAILURES)");
    assert_eq!(run(&[], &[]), "4 (pyproject.toml [tool.xtask.coverage])");
    project.write("shop/pyproject.toml", &pyproject("addopts = '--maxfail=3'", ""));
    assert_eq!(run(&[], &[]), "3 (addopts)");
    project.write("shop/pyproject.toml", &pyproject("", ""));
    assert_eq!(run(&[], &[]), "2 (Cargo.toml [workspace.metadata.xtask.coverage])");
    project.write("Cargo.toml", "[workspace]\n");
    assert_eq!(run(&[], &[]), "10 (default)");
}

/// The three variables of the script that this tool replaces.
#[test]
fn the_old_variables_still_hold() {
    let project = shop("", "");
    let run = project.xtask(&["coverage", "plan", "--splits", "4"]);
    let run = run.var("MAX_CONCURRENT_SPLITS", "2").var("WORKERS_PER_SPLIT", "1");
    let output = run.var("MAX_FAILURES", "33").output().exits(0);
    output
        .tells("  • Concurrent splits: 2\n")
        .tells("  • Workers per split: 1\n")
        .tells("  • Total concurrent workers: 2\n")
        .tells("  • Failures before abort: 33\n");
}

#[test]
fn profiles_set_both_numbers() {
    let project = shop("", "");
    for (profile, splits, workers) in
        [("conservative", 2, 3), ("balanced", 3, 4), ("aggressive", 4, 6)]
    {
        let output = project.run(&["coverage", "plan", "--profile", profile]).exits(0);
        // Memory may lower them, and then says so.
        let said = |name: &str, value: usize| {
            let lowered = output.stderr.contains(" of memory");
            assert!(lowered || output.stderr.contains(&format!("{name}: {value}\n")), "{output}");
        };
        said("Concurrent splits", splits);
        said("Workers per split", workers);
    }
}

/// The recommendation fits the machine: its product is at most the number of cores.
#[test]
fn too_many_workers_are_warned_about_with_numbers_that_fit() {
    let project = shop("", "");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let run = |workers: usize| {
        let workers = workers.to_string();
        let args = ["coverage", "plan", "--max-concurrent-splits", "1"];
        project.run(&[&args[..], &["--workers-per-split", &workers]].concat()).exits(0)
    };
    run(cores).never_says("slow the machine down");
    let output = run(2 * cores + 1).tells("warning: ");
    let numbers: Vec<usize> = output
        .stderr
        .split("; `--max-concurrent-splits ")
        .nth(1)
        .and_then(|rest| rest.split('`').next())
        .expect("a recommendation")
        .split(" --workers-per-split ")
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert!(numbers.len() == 2 && numbers[0] * numbers[1] <= cores, "{output}");
}

/// With paths pytest may take its settings from another file, and so do we; the banner says so.
#[test]
fn pytest_takes_the_ini_file_that_its_paths_lead_to() {
    let project = shop("", "[tool.coverage.report]\nfail_under = 95");
    let ini = "[pytest]\npythonpath = ../src\npython_functions = check_*\ntestpaths = sub\n";
    project.write("tests/pytest.ini", ini);
    project.write("tests/sub/test_more.py", "def check_more():\n    import shop\n");
    let output = project.run(&["coverage", "plan", "--splits", "1"]).exits(0);
    output.tells("  • Ini file: pyproject.toml, not tests/pytest.ini\n").says("4 tests in 1 split");
    let plan = |paths: &[&str]| {
        let args = ["coverage", "plan", "--splits", "1", "--"];
        project.run(&[&args[..], paths].concat()).exits(0)
    };
    let other = "  • Ini file: tests/pytest.ini, not pyproject.toml\n";
    plan(&["tests/"]).tells(other).says("1 test in 1 split");
    plan(&["tests", "src"]).tells("  • Ini file: pyproject.toml, not tests/pytest.ini\n");
    // It is the whole: the threshold holds, and the data is the project's.
    let output = project.run(&["coverage", "--report", "none", "--splits", "1", "--", "tests/"]);
    output.exits(2).tells(other).says("Tests: 1 passed\n");
    assert!(project.root.join(".coverage").exists());
}

#[test]
fn one_ini_file_needs_no_word() {
    let project = shop("", "");
    let output = project.run(&["coverage", "plan", "--splits", "1", "--", "tests"]).exits(0);
    output.never_says("Ini file");
}
