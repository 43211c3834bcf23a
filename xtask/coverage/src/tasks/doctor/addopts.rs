//! Words of addopts that contradict each other, or that no installed plugin knows. Pure.

use std::collections::BTreeMap;

use super::Finding;
use super::Level::{Error, Warning};

/// Options by how they begin, the package that knows them, and the name by which `-p no:` blocks it.
const PLUGINS: [(&str, &str, &str); 12] = [
    ("--asyncio-mode", "pytest-asyncio", "asyncio"),
    ("--benchmark-", "pytest-benchmark", "benchmark"),
    ("--cov", "pytest-cov", "pytest_cov"),
    ("--dist", "pytest-xdist", "xdist"),
    ("--ds", "pytest-django", "django"),
    ("--reruns", "pytest-rerunfailures", "rerunfailures"),
    ("--reuse-db", "pytest-django", "django"),
    ("--randomly-", "pytest-randomly", "randomly"),
    ("--snapshot-", "syrupy", "syrupy"),
    ("--splits", "pytest-split", "pytest-split"),
    ("--timeout", "pytest-timeout", "timeout"),
    ("-n", "pytest-xdist", "xdist"),
];

/// Those whose last value is the one that counts.
const LAST_COUNTS: [&str; 17] = [
    "--asyncio-mode",
    "--capture",
    "--cov-config",
    "--cov-fail-under",
    "--dist",
    "--ds",
    "--durations",
    "--durations-path",
    "--import-mode",
    "--junitxml",
    "--maxfail",
    "--numprocesses",
    "--reruns",
    "--splitting-algorithm",
    "--tb",
    "--timeout",
    "--timeout-method",
];

/// Options with which a run is one of a part of the suite.
const NARROWING: [&str; 6] = ["--lf", "--last-failed", "--sw", "--stepwise", "-k", "--deselect"];

/// What is wrong with these words; `is_there` knows the installed packages, and `install` the line
/// that installs one.
pub(super) fn look(
    words: &[String],
    is_there: impl Fn(&str) -> bool,
    install: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let options = options(words);
    let mut findings = without_plugin(&options, is_there, install);
    findings.extend(blocked(&options));
    findings.extend(twice(&options));
    findings.extend(no_cov(&options));
    findings.extend(narrowing(&options));
    findings
}

type Typed<'a> = (&'a str, &'a str);

/// Names and values; short options by the long name where both mean the same.
fn options(words: &[String]) -> Vec<Typed<'_>> {
    let mut found = Vec::new();
    let mut left = words.iter().map(String::as_str).take_while(|word| *word != "--").peekable();
    while let Some(word) = left.next() {
        let (name, glued) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => short(word),
        };
        let takes = LAST_COUNTS.contains(&name) || ["-p", "-k", "--deselect"].contains(&name);
        let value = match glued {
            None if takes => left.next_if(|next| !next.starts_with('-')),
            glued => glued,
        };
        if name.starts_with('-') {
            found.push((name, value.unwrap_or_default()));
        }
    }
    found
}

fn short(word: &str) -> (&str, Option<&str>) {
    match word {
        "-x" | "--exitfirst" => return ("--maxfail", Some("1")),
        "-s" => return ("--capture", Some("no")),
        "--junit-xml" => return ("--junitxml", None),
        _ => {}
    }
    let glued = |name, rest: &'static str| {
        let value = word.strip_prefix(rest)?;
        Some((name, Some(value.trim_start_matches('=')).filter(|value| !value.is_empty())))
    };
    let found = glued("--numprocesses", "-n").filter(|(_, value)| value.is_none_or(is_workers));
    found.or_else(|| glued("-p", "-p")).or_else(|| glued("-k", "-k")).unwrap_or((word, None))
}

fn is_workers(value: &str) -> bool {
    ["auto", "logical"].contains(&value) || value.parse::<u32>().is_ok()
}

/// Whether an option is one of a plugin's.
fn is_of(name: &str, start: &str) -> bool {
    let name = if name == "--numprocesses" { "-n" } else { name };
    name.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || start.ends_with('-'))
}

/// What the tool reads itself it takes out of pytest's way.
fn is_ours(start: &str) -> bool {
    ["--cov", "--dist", "-n"].contains(&start)
}

fn level(start: &str) -> super::Level {
    if is_ours(start) { Warning } else { Error }
}

fn without_plugin(
    options: &[Typed<'_>],
    is_there: impl Fn(&str) -> bool,
    install: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let missing = PLUGINS.into_iter().filter(|(_, package, _)| !is_there(package));
    let asked = missing.filter(|(start, ..)| options.iter().any(|(name, _)| is_of(name, start)));
    asked
        .map(|(start, package, _)| {
            let option = start.trim_end_matches('-');
            let what = format!("addopts have `{option}`, and {package} is not there");
            Finding::new("plugins", level(start), what).fix(install(package))
        })
        .collect()
}

/// A plugin that is kept out, and one of its options.
fn blocked(options: &[Typed<'_>]) -> Vec<Finding> {
    let blocked: Vec<&str> = options
        .iter()
        .filter_map(|(name, value)| value.strip_prefix("no:").filter(|_| *name == "-p"))
        .collect();
    let is_blocked = |plugin: &str| {
        blocked.iter().any(|name| *name == plugin || format!("pytest_{name}") == plugin)
    };
    let clashing = PLUGINS.into_iter().filter(|(start, _, plugin)| {
        is_blocked(plugin) && options.iter().any(|(name, _)| is_of(name, start))
    });
    clashing
        .map(|(start, _, plugin)| {
            let option = start.trim_end_matches('-');
            let name = plugin.trim_start_matches("pytest_");
            let what = format!("addopts have `{option}`, and `-p no:{name}`, which knows it");
            Finding::new("addopts", level(start), what).fix("remove one of the two from addopts")
        })
        .collect()
}

/// One option with two values.
fn twice(options: &[Typed<'_>]) -> Vec<Finding> {
    let mut values = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in options.iter().filter(|(name, _)| LAST_COUNTS.contains(name)) {
        values.entry(name).or_default().push(value);
    }
    let differ = values.into_iter().filter(|(_, all)| all.iter().any(|it| *it != all[0]));
    differ
        .map(|(name, all)| {
            let words: Vec<String> = all.iter().map(|it| format!("`{name}={it}`")).collect();
            let last = all.last().copied().unwrap_or_default();
            let what = format!("addopts have {}: the last one counts", words.join(" and "));
            let fix = format!("leave only `{name}={last}` in addopts");
            Finding::new("addopts", Warning, what).fix(fix)
        })
        .collect()
}

fn no_cov(options: &[Typed<'_>]) -> Option<Finding> {
    let has = |wanted: &str| options.iter().any(|(name, _)| *name == wanted);
    (has("--cov") && has("--no-cov")).then(|| {
        let what = "addopts have `--cov` and `--no-cov`: pytest-cov measures nothing, and \
                    `cargo xtask coverage` measures all the same";
        Finding::new("addopts", Warning, what).fix("remove one of the two from addopts")
    })
}

fn narrowing(options: &[Typed<'_>]) -> Option<Finding> {
    let (name, _) = options.iter().find(|(name, _)| NARROWING.contains(name))?;
    let what = format!("addopts have `{name}`: every run is one of a part of the tests");
    Some(Finding::new("addopts", Warning, what).fix(format!("remove `{name}` from addopts")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &str, packages: &[&str]) -> Vec<(super::super::Level, String)> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let found = look(&words, |name| packages.contains(&name), str::to_owned);
        found.into_iter().map(|it| (it.level, it.what)).collect()
    }

    #[test]
    fn options_that_no_plugin_knows() {
        let what = |option: &str, plugin: &str| {
            format!("addopts have `{option}`, and {plugin} is not there")
        };
        assert_eq!(
            found("--timeout=60 -ra --cov-report=term -n4", &[]),
            [
                (Warning, what("--cov", "pytest-cov")),
                (Error, what("--timeout", "pytest-timeout")),
                (Warning, what("-n", "pytest-xdist")),
            ]
        );
        assert!(found("--timeout=60", &["pytest-timeout"]).is_empty());
        assert!(found("--no-header --dstx --covers -nx", &[]).is_empty());
    }

    #[test]
    fn options_that_contradict_each_other() {
        let all = ["pytest-xdist", "pytest-timeout", "pytest-cov"];
        let words = |words: &str| -> Vec<String> {
            found(words, &all).into_iter().map(|(_, what)| what).collect()
        };
        assert_eq!(
            words("-x --maxfail 3 --tb=short --tb short"),
            ["addopts have `--maxfail=1` and `--maxfail=3`: the last one counts"]
        );
        assert_eq!(
            words("-n4 --dist=loadscope -n auto --dist loadgroup"),
            [
                "addopts have `--dist=loadscope` and `--dist=loadgroup`: the last one counts",
                "addopts have `--numprocesses=4` and `--numprocesses=auto`: the last one counts",
            ]
        );
        assert_eq!(
            words("-p no:timeout --timeout=5"),
            ["addopts have `--timeout`, and `-p no:timeout`, which knows it"]
        );
        assert_eq!(
            words("-pno:cov --cov=a"),
            ["addopts have `--cov`, and `-p no:cov`, which knows it"]
        );
        assert_eq!(words("--cov=a --no-cov").len(), 1);
        assert_eq!(
            words("-q --lf"),
            ["addopts have `--lf`: every run is one of a part of the tests"]
        );
        assert!(words("-p no:cacheprovider -q -- --lf -k a").is_empty());
    }
}
