//! Whether shards are those of one run, and which of them are there: what keeps a combined result
//! from being a guess. Pure.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::manifest::{MANIFEST, Manifest, plain};

/// A shard that was found, with what is wrong with its files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Its manifest.
    pub place: Utf8PathBuf,
    /// What that says.
    pub manifest: Manifest,
    /// Damage, as the ends of sentences.
    pub damage: Vec<String>,
}

/// A manifest that cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The file.
    pub place: Utf8PathBuf,
    /// What is wrong with it, as the end of a sentence.
    pub why: String,
}

/// What the combining machine knows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Here {
    pub project: String,
    /// What is checked out; none without git.
    pub commit: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Checked {
    /// Of each shard that can be used, its place among those that were found, in order.
    pub chosen: Vec<usize>,
    /// Of how many shards.
    pub total: u32,
    /// Why these are not of one run: sentences. Nothing can be combined then.
    pub disagreements: Vec<String>,
    /// The shards that are not there, or cannot be used, and why: ends of sentences.
    pub missing: BTreeMap<u32, String>,
    /// What is worth a line.
    pub notes: Vec<String>,
}

/// Compares shards with each other and with what is here.
pub(crate) fn check(found: &[Found], broken: &[Broken], here: &Here) -> Checked {
    let mut checked = Checked { disagreements: disagreements(found, here), ..Checked::default() };
    let named = broken.iter().filter_map(|broken| index_and_total(&broken.place));
    let totals = found.iter().map(|it| it.manifest.total).chain(named.clone().map(|(_, of)| of));
    checked.total = totals.max().unwrap_or_default();
    for index in 1..=checked.total {
        let attempts: Vec<usize> =
            (0..found.len()).filter(|&at| found[at].manifest.index == index).collect();
        let damaged = broken.iter().filter(|it| index_of(&it.place) == Some(index));
        checked.choose(index, found, &attempts, damaged.collect());
    }
    let stray = broken.iter().filter(|it| index_of(&it.place).is_none());
    checked
        .disagreements
        .extend(stray.map(|it| format!("`{}` {}", plain(it.place.as_str()), it.why)));
    checked.notes.extend(dirty(found, &checked.chosen));
    checked.notes.extend(cores(found, &checked.chosen));
    checked
}

impl Checked {
    fn choose(&mut self, index: u32, found: &[Found], attempts: &[usize], broken: Vec<&Broken>) {
        let usable =
            |at: &&usize| found[**at].damage.is_empty() && why_useless(found, **at).is_none();
        let newest = attempts.iter().filter(usable).copied().reduce(|best, at| {
            if found[at].manifest.newer_than(&found[best].manifest) { at } else { best }
        });
        let faults = broken.iter().map(|it| format!("`{}` {}", plain(it.place.as_str()), it.why));
        let damage = attempts.iter().flat_map(|&at| &found[at].damage).cloned();
        let useless = attempts.iter().filter_map(|&at| why_useless(found, at));
        let faults: Vec<String> = faults.chain(damage).chain(useless).collect();
        let Some(newest) = newest else {
            let why = match faults.is_empty() {
                true => "was not delivered".to_owned(),
                false => faults.join("; "),
            };
            self.missing.insert(index, why);
            return;
        };
        self.chosen.push(newest);
        if attempts.len() > 1 {
            let place = plain(found[newest].place.as_str());
            let several = attempts.len();
            self.notes.push(format!(
                "shard {index} was delivered {several} times; the newest complete attempt counts: \
                 `{place}`"
            ));
        }
        self.notes.extend(faults.iter().map(|fault| format!("shard {index}: {fault}")));
    }
}

/// Why a sound shard is of no use: it has no tests, where others have.
fn why_useless(found: &[Found], at: usize) -> Option<String> {
    let is_planned = found.iter().any(|it| it.manifest.plan.is_some());
    (is_planned && found[at].manifest.plan.is_none())
        .then(|| "could not collect the suite, as others could".to_owned())
}

/// What the name of a manifest says.
fn index_and_total(place: &Utf8Path) -> Option<(u32, u32)> {
    let name = place.file_name()?.strip_suffix(MANIFEST)?.strip_prefix("shard-")?;
    let (index, total) = name.split_once("-of-")?;
    let (index, total) = (index.parse().ok()?, total.parse().ok()?);
    (total <= 10_000 && (1..=total).contains(&index)).then_some((index, total))
}

fn index_of(place: &Utf8Path) -> Option<u32> {
    index_and_total(place).map(|(index, _)| index)
}

/// Something that shards have in common, as it is shown; none where one has nothing to say.
type Aspect = fn(&Manifest) -> Option<String>;

/// What all shards of a run have in common.
fn disagreements(found: &[Found], here: &Here) -> Vec<String> {
    let aspects: [(&str, Aspect); 8] = [
        ("projects", |it| Some(it.project.clone())),
        ("numbers of shards", |it| Some(it.total.to_string())),
        ("runs", |it| Some(it.run.clone().unwrap_or_else(|| "none".to_owned()))),
        ("commits", |it| Some(it.commit.clone().unwrap_or_else(|| "none".to_owned()))),
        ("plans", |it| it.plan.as_ref().map(|plan| plan.digest.chars().take(12).collect())),
        ("versions of Python", |it| Some(minor(&it.versions.python))),
        ("ways to measure", |it| Some(measured(it))),
        ("selections of tests", |it| {
            Some((if it.narrowed { "a part of the suite" } else { "the whole" }).to_owned())
        }),
    ];
    let differ = aspects.iter().filter_map(|(what, of)| differ(what, found, *of));
    let mut all: Vec<String> = differ.collect();
    if all.iter().any(|sentence| sentence.contains("different plans")) {
        all.push(why_plans_differ(found));
    }
    if let Some(first) = found.first() {
        all.extend(foreign(&first.manifest, here));
    }
    all
}

/// The shards are right among themselves, but not those of what is here.
fn foreign(manifest: &Manifest, here: &Here) -> Vec<String> {
    let mut all = Vec::new();
    if manifest.project != here.project {
        let (there, here) = (plain(&manifest.project), &here.project);
        all.push(format!("the shards are of the project `{there}`, and this is `{here}`"));
    }
    if let (Some(there), Some(here)) = (&manifest.commit, &here.commit)
        && there != here
    {
        let there = plain(there);
        all.push(format!(
            "the shards are of commit `{there}`, and here `{here}` is checked out: `git checkout \
             {there}`"
        ));
    }
    all
}

fn differ(what: &str, found: &[Found], of: Aspect) -> Option<String> {
    let mut values: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for found in found {
        if let Some(value) = of(&found.manifest) {
            values.entry(value).or_default().insert(found.manifest.index);
        }
    }
    let several = values.len() > 1;
    let shown: Vec<String> = values
        .iter()
        .map(|(value, shards)| format!("`{}` ({})", plain(value), listed(shards)))
        .collect();
    several.then(|| format!("the shards are of different {what}: {}", shown.join(", ")))
}

/// Where the durations are not the same, they are why.
fn why_plans_differ(found: &[Found]) -> String {
    let plans = found.iter().filter_map(|it| it.manifest.plan.as_ref());
    let durations: BTreeSet<&String> = plans.map(|plan| &plan.durations).collect();
    let why = match durations.len() {
        0 | 1 => "they have collected other tests, or in another order",
        _ => "they were cut by different durations",
    };
    format!(
        "{why}: make one plan for all, with `cargo xtask coverage plan --shards N --out plan.json`, \
         and give it to each with `--plan plan.json`"
    )
}

fn minor(version: &str) -> String {
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

fn measured(manifest: &Manifest) -> String {
    match &manifest.measured {
        None => "nothing".to_owned(),
        Some(measured) if measured.branches => "branches".to_owned(),
        Some(_) => "lines".to_owned(),
    }
}

/// Results of files that nobody has committed.
fn dirty(found: &[Found], chosen: &[usize]) -> Option<String> {
    let is_dirty = |at: &&usize| found[**at].manifest.dirty;
    let dirty: BTreeSet<u32> =
        chosen.iter().filter(is_dirty).map(|&at| found[at].manifest.index).collect();
    (!dirty.is_empty()).then(|| {
        format!("the files of {} differ from the commit; no one knows by what", listed(&dirty))
    })
}

/// The numbers are the same, but what they cost is not.
fn cores(found: &[Found], chosen: &[usize]) -> Option<String> {
    let mut by_core: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for Found { manifest, .. } in chosen.iter().map(|&at| &found[at]) {
        if let Some(core) = manifest.measured.as_ref().and_then(|it| it.core.as_deref()) {
            by_core.entry(core).or_default().insert(manifest.index);
        }
    }
    let shown: Vec<String> = by_core
        .iter()
        .map(|(core, shards)| format!("`{}` ({})", plain(core), listed(shards)))
        .collect();
    (shown.len() > 1).then(|| format!("different cores have measured: {}", shown.join(", ")))
}

/// `shard 3`, `shards 1, 2 and 4`.
pub(crate) fn listed(shards: &BTreeSet<u32>) -> String {
    let names: Vec<String> = shards.iter().map(u32::to_string).collect();
    match names.as_slice() {
        [] => "no shard".to_owned(),
        [one] => format!("shard {one}"),
        [most @ .., last] => format!("shards {} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::manifest::tests::manifest;

    fn found(index: u32) -> Found {
        let name = manifest(index, 4).shard().name();
        let place = format!("in/{name}/{name}{MANIFEST}").into();
        Found { place, manifest: manifest(index, 4), damage: Vec::new() }
    }

    fn four() -> Vec<Found> {
        (1..=4).map(found).collect()
    }

    fn here() -> Here {
        Here { project: "shop".to_owned(), commit: Some("c0ffee".to_owned()) }
    }

    fn missing(checked: &Checked) -> Vec<(u32, &str)> {
        checked.missing.iter().map(|(index, why)| (*index, why.as_str())).collect()
    }

    #[test]
    fn four_of_four_are_sound() {
        let checked = check(&four(), &[], &here());
        assert_eq!(checked, Checked { chosen: vec![0, 1, 2, 3], total: 4, ..Checked::default() });
    }

    #[test]
    fn gaps_are_named() {
        let mut some = four();
        some.remove(1);
        some[1].damage.push("`x.coverage` is missing".to_owned());
        let checked = check(&some, &[], &here());
        let wanted = [(2, "was not delivered"), (3, "`x.coverage` is missing")];
        assert_eq!(missing(&checked), wanted);
        assert_eq!(checked.chosen, [0, 2]);
        assert!(checked.disagreements.is_empty());
    }

    #[test]
    fn of_several_attempts_the_newest_complete_one_counts() {
        let mut some = four();
        let again = |attempt, ended| Found {
            manifest: Manifest { attempt, ended, ..manifest(2, 4) },
            ..found(2)
        };
        some.extend([again(1, 120.0), again(2, 90.0), again(3, 130.0)]);
        some[6].damage.push("is cut short".to_owned());
        let checked = check(&some, &[], &here());
        assert_eq!((checked.chosen.as_slice(), checked.missing.len()), (&[0, 5, 2, 3][..], 0));
        assert!(checked.notes[0].starts_with("shard 2 was delivered 4 times; the newest"));
        assert_eq!(checked.notes[1], "shard 2: is cut short");
    }

    #[test]
    fn whatever_is_not_of_one_run_is_refused() {
        type Change = fn(&mut Manifest);
        let table: [(Change, &str); 8] = [
            (|it| it.total = 5, "numbers of shards: `4` (shards 1, 2 and 4), `5` (shard 3)"),
            (|it| it.run = None, "runs: `7` (shards 1, 2 and 4), `none` (shard 3)"),
            (
                |it| it.commit = Some("bad".to_owned()),
                "commits: `bad` (shard 3), `c0ffee` (shards 1, 2 and 4)",
            ),
            (
                |it| it.plan.as_mut().expect("a plan").digest = "e".to_owned(),
                "plans: `d` (shards 1, 2 and 4), `e` (shard 3)",
            ),
            (
                |it| it.versions.python = "3.11.9".to_owned(),
                "versions of Python: `3.11` (shard 3), `3.12` (shards 1, 2 and 4)",
            ),
            (
                |it| it.measured.as_mut().expect("coverage").branches = false,
                "ways to measure: `branches` (shards 1, 2 and 4), `lines` (shard 3)",
            ),
            (
                |it| it.narrowed = true,
                "selections of tests: `a part of the suite` (shard 3), `the whole` (shards 1, 2 \
                 and 4)",
            ),
            (
                |it| it.project = "other".to_owned(),
                "projects: `other` (shard 3), `shop` (shards 1, 2 and 4)",
            ),
        ];
        for (change, sentence) in table {
            let mut some = four();
            change(&mut some[2].manifest);
            let said = check(&some, &[], &here()).disagreements;
            assert_eq!(said[0], format!("the shards are of different {sentence}"));
        }
    }

    /// A patch release of Python on one of the machines is no reason to refuse anything.
    #[test]
    fn what_makes_no_difference_is_let_pass() {
        let mut some = four();
        some[1].manifest.versions.python = "3.12.9".to_owned();
        some[1].manifest.places.root = "/elsewhere".into();
        some[2].manifest.dirty = true;
        let checked = check(&some, &[], &Here { commit: None, ..here() });
        assert!(checked.disagreements.is_empty());
        let note = "the files of shard 3 differ from the commit; no one knows by what";
        assert_eq!(checked.notes, [note]);
    }

    #[test]
    fn cores_that_differ_are_noted() {
        let mut some = four();
        for (found, core) in some.iter_mut().zip(["native", "ctrace", "native"]) {
            found.manifest.measured.as_mut().expect("coverage").core = Some(core.to_owned());
        }
        let checked = check(&some, &[], &here());
        assert_eq!((checked.disagreements.len(), checked.missing.len()), (0, 0));
        let note = "different cores have measured: `ctrace` (shard 2), `native` (shards 1 and 3)";
        assert_eq!(checked.notes, [note]);
    }

    #[test]
    fn shards_of_something_else_are_refused() {
        let here = Here { project: "shop".to_owned(), commit: Some("head".to_owned()) };
        let wanted = "the shards are of commit `c0ffee`, and here `head` is checked out: \
                      `git checkout c0ffee`";
        assert_eq!(check(&four(), &[], &here).disagreements, [wanted]);
    }

    #[test]
    fn plans_that_differ_have_a_reason() {
        let mut some = four();
        some[0].manifest.plan.as_mut().expect("a plan").digest = "e".to_owned();
        let said = check(&some, &[], &here()).disagreements;
        assert!(said[1].starts_with("they have collected other tests"), "{said:?}");
        some[0].manifest.plan.as_mut().expect("a plan").durations = "other".to_owned();
        let said = check(&some, &[], &here()).disagreements;
        assert!(said[1].starts_with("they were cut by different durations"), "{said:?}");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_that_of_its_name() {
        let mut some = four();
        some.remove(2);
        let place = Utf8PathBuf::from("in/shard-03-of-04.manifest.json");
        let broken = Broken { place, why: "is damaged: no manifest".to_owned() };
        let checked = check(&some, &[broken], &here());
        let why = "`in/shard-03-of-04.manifest.json` is damaged: no manifest";
        assert_eq!(missing(&checked), [(3, why)]);
        let stray = Broken { place: "in/x.manifest.json".into(), why: "is odd".to_owned() };
        assert_eq!(check(&some, &[stray], &here()).disagreements, ["`in/x.manifest.json` is odd"]);
    }

    #[test]
    fn one_shard_alone_cannot_collect() {
        let mut some = four();
        some[3].manifest.plan = None;
        let checked = check(&some, &[], &here());
        assert_eq!(missing(&checked), [(4, "could not collect the suite, as others could")]);
        some.iter_mut().for_each(|found| found.manifest.plan = None);
        let checked = check(&some, &[], &here());
        assert_eq!((checked.missing.len(), checked.chosen.len()), (0, 4), "all say the same");
    }
}
