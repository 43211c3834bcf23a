//! `cargo xtask coverage export` and `--rerun`: what failed on one machine runs on another, where it
//! was, and nothing that is missing passes for green.

use std::fs;

use serde_json::Value;

use crate::shop::coverage;
use crate::support::{Output, Project};

const TOKEN: (&str, &str) = ("SHOP_TOKEN", "s3cret-token-of-the-shop");

const FILES: [(&str, &str); 4] = [
    ("pytest.ini", "[pytest]\npythonpath = .\n"),
    ("app.py", "def f(n):\n    return n\n"),
    (
        "tests/test_a.py",
        "import os, app\nseen = []\n\n\
         def test_first():\n    seen.append(1)\n\n\
         def test_after():\n    assert not seen, 'came after'\n\n\
         def test_ok():\n    pass\n",
    ),
    (
        "tests/test_b.py",
        "import os, app\n\n\
         def test_fine():\n    pass\n\n\
         def test_mended():\n    print(os.environ.get('SHOP_TOKEN'))\n    \
         assert os.path.exists('mended'), os.environ.get('SHOP_TOKEN')\n",
    ),
];

fn project() -> Project {
    Project::new(&FILES)
}

/// What a run has failed with, as a file in another checkout.
fn exported(engine: &str) -> (Project, Value) {
    let (there, here) = (project(), project());
    let args = coverage(engine, &["--report", "none", "--splits", "3"]);
    let run = there.xtask(&args).var(TOKEN.0, TOKEN.1).var("CI", "true").output().exits(1);
    run.says("What failed, for another machine: ")
        .says("There: cargo xtask coverage --rerun rerun.json\n");
    let out = here.root.join("f.json");
    there.run(&["coverage", "export", "--out", out.as_str()]).exits(0).says("What failed, 2 tests");
    let file = here.json("f.json");
    (here, file)
}

fn rerun(project: &Project, engine: &str, more: &[&str]) -> Output {
    let typed = ["--report", "none", "--rerun", "f.json", "--max-concurrent-splits", "1"];
    project.run(&coverage(engine, &[&typed[..], more].concat()))
}

fn check(engine: &str) {
    let (here, file) = exported(engine);
    let text = file.to_string();
    assert!(text.contains("$SHOP_TOKEN") && !text.contains(TOKEN.1), "{text}");
    let output = rerun(&here, engine, &["--summary-json", "s.json"]).exits(1);
    let output = output.tells("  • Again: 2 tests that failed, of `f.json`\n");
    let output = output.says("Tests: 1 passed, 1 failed\n").says("(partial)\n");
    output.says("tests/test_b.py::test_mended");
    let summary = here.json("s.json");
    assert_eq!(summary["hash_seed"], file["hash_seed"]);
    assert_eq!(summary["splits"]["total"], file["splits"]);
    here.write("mended", "");
    rerun(&here, engine, &[]).exits(0).says("hint: what failed there passes here alone; `--with-");
    // What came before it makes it fail again.
    let output = rerun(&here, engine, &["--with-preceding"]);
    match engine {
        // It cuts splits anew.
        "stock" => output.says("Tests: 3 passed\n"),
        _ => output.exits(1).says("Tests: 2 passed, 1 failed\n").says("came after"),
    };
    // What the other tests of the suite were is left as it was.
    here.run(&coverage(engine, &["--report", "none", "--last-failed"])).exits(0);
}

#[test]
fn what_failed_runs_again_where_it_was() {
    check("fork");
}

#[test]
#[ignore = "slow: the other engines"]
fn what_failed_runs_again_with_other_engines() {
    ["spawn", "stock"].into_iter().for_each(check);
}

/// Those of a unit are together and in order, whatever the cut would be without the others.
#[test]
fn units_and_splits_are_those_of_the_file() {
    let (here, mut file) = exported("fork");
    let ids = ["tests/test_b.py::test_fine", "tests/test_a.py::test_ok"];
    for (test, id) in [0, 1].into_iter().zip(ids) {
        (file["tests"][test]["id"], file["tests"][test]["split"]) = (id.into(), 2.into());
        file["tests"][test]["unit"] = 0.into();
    }
    file["units"][0]["split"] = 2.into();
    here.write("f.json", &file.to_string());
    rerun(&here, "fork", &[]).exits(0);
    let units = here.read(".xtask/runs/last/parts/results.jsonl");
    let unit: Value = serde_json::from_str(&units).expect("one unit");
    let ran: Vec<&Value> =
        unit["tests"].as_array().expect("tests").iter().map(|t| &t["id"]).collect();
    assert_eq!((ran, &unit["split"]), (vec![&Value::from(ids[1]), &ids[0].into()], &2.into()));
}

#[test]
fn a_test_that_is_not_here_is_not_green() {
    let (here, _) = exported("fork");
    here.write("mended", "");
    let fewer = FILES[2].1.replace("test_after", "test_other");
    here.write("tests/test_a.py", &fewer);
    let output = rerun(&here, "fork", &[]).exits(3).says("Tests: 1 passed\n");
    output.says("1 test of `f.json` not here, or not chosen here, `tests/test_a.py::test_after`");
    // Nor is one that is there and deselected.
    here.write("tests/test_a.py", FILES[2].1);
    let output = rerun(&here, "fork", &["--", "-k", "mended"]).exits(3);
    output.says("not chosen here, `tests/test_a.py::test_after`");
    // Nothing at all is left of it.
    fs::remove_dir_all(here.root.join("tests")).expect("a folder");
    here.write("tests/test_c.py", "def test_c():\n    pass\n");
    rerun(&here, "fork", &[]).exits(3).says("2 tests of `f.json` not here");
}

#[test]
fn what_is_no_such_file_is_refused() {
    let (here, file) = exported("fork");
    let changed = |change: fn(&mut Value)| {
        let mut file = file.clone();
        change(&mut file);
        file.to_string()
    };
    let table = [
        ("not JSON".to_owned(), "is no file of `cargo xtask coverage export`"),
        (changed(|it| it["schema"] = 9.into()), "has schema 9, this version reads 1"),
        (changed(|it| it["project"] = "\u{1b}[31mx".into()), "of the project `\\u{1b}[31mx`"),
        (changed(|it| it["tests"][0]["unit"] = 77.into()), "is damaged: "),
    ];
    for (text, why) in table {
        here.write("f.json", &text);
        rerun(&here, "fork", &[]).exits(4).tells(why).never_says("\u{1b}");
    }
    here.write("f.json", &changed(|it| it["tests"][0]["id"] = "../../etc/x.py::\u{1b}t".into()));
    rerun(&here, "fork", &[]).exits(3).never_says("\u{1b}");
    let large = fs::File::create(here.root.join("f.json")).expect("a file");
    large.set_len(1 << 30).expect("a hole");
    rerun(&here, "fork", &[]).exits(4).tells("it is larger than 64 MiB");
    for other in [&["--last-failed"][..], &["--shard", "1/2"], &["--plan", "p.json"]] {
        rerun(&here, "fork", other).exits(4).tells("leave it or `--");
    }
    rerun(&here, "fork", &["--", "--collect-only"]).exits(4);
    here.run(&["coverage", "--with-preceding"]).exits(4);
}

#[test]
fn where_nothing_failed_there_is_nothing_to_hand_on() {
    let project = project();
    let export = ["coverage", "export", "--out", "f.json"];
    project.run(&export).exits(4).tells("no run has left anything");
    project.run(&coverage("fork", &["--report", "none", "--", "-k", "fine"])).exits(0);
    project.run(&export).exits(5).tells("nothing failed in the run of ");
    // The last one, whichever command it was.
    project.run(&["test", "--", "-k", "mended"]).exits(1).never_says("for another machine");
    project.run(&export).exits(0).says("What failed, 1 test: ");
    project.run(&["test", "--rerun", "f.json"]).exits(1).says("Tests: 1 failed\n");
}

/// One file for the tests of all, each in its split, and one for those of each shard.
#[test]
fn shards_hand_on_what_failed_alone_and_combined() {
    let project = project();
    for shard in ["1/2", "2/2"] {
        let seed = if shard == "1/2" { "11" } else { "22" };
        let run = project.xtask(&["coverage", "--shard", shard, "--out", "in"]);
        run.var("PYTHONHASHSEED", seed).output().exits(1).says("Shard: ");
    }
    let export =
        |from: &[&str]| project.run(&[&["coverage", "export", "--out", "f.json"], from].concat());
    export(&["in"]).exits(4).tells("is of several shards; combine what is in it");
    export(&["in/shard-02-of-02"]).exits(0).says("What failed, 1 test: ");
    let file = project.json("f.json");
    assert_eq!((&file["hash_seed"], &file["splits"]), (&22.into(), &2.into()));
    let options = ["--report", "none"];
    project.run(&[&["coverage", "combine", "in"], &options[..]].concat()).exits(1);
    export(&[]).exits(0).says("What failed, 2 tests: ");
    let file = project.json("f.json");
    let tests = file["tests"].as_array().expect("tests");
    let places: Vec<(&Value, &Value)> =
        tests.iter().map(|it| (&it["split"], &it["unit"])).collect();
    assert_eq!(places, [(&1.into(), &0.into()), (&2.into(), &1.into())]);
    assert_eq!((&file["hash_seed"], &tests[1]["hash_seed"]), (&11.into(), &22.into()));
    rerun(&project, "fork", &[]).exits(1).tells("note: 1 test had another hash seed there");
}
