//! The file, and what of one can be believed. Pure.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::model::Phase;
use crate::shard::manifest::{Versions, check_schema, plain};
use crate::split::{Recorded, RecordedPlace};

/// Rises when a field changes its meaning or goes away.
pub(crate) const SCHEMA: u32 = 1;

/// No file of ours is larger.
pub(crate) const MOST_BYTES: u64 = 64 << 20;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct RerunFile {
    pub schema: u32,
    pub project: String,
    /// The commit that was checked out; none without git.
    pub commit: Option<String>,
    /// Files differed from it.
    pub dirty: bool,
    /// Versions of what ran the tests.
    pub versions: Versions,
    /// `fork`, `spawn` or `stock`.
    pub engine: String,
    /// What measured; none where nothing did.
    pub core: Option<String>,
    /// Python's hash seed.
    pub hash_seed: u32,
    /// Into how many splits the suite was cut.
    pub splits: u32,
    /// What was typed for pytest, to be read.
    pub pytest_args: Vec<String>,
    /// pytest's addopts, to be read.
    pub addopts: Vec<String>,
    /// How many more failed than there is room for here.
    pub left_out: usize,
    /// What failed, in order of arrival.
    pub tests: Vec<FailedTest>,
    /// What ran in one process, up to the last test of it that failed.
    pub units: Vec<UnitOfRun>,
}

/// A test that failed, or a file that could not be collected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct FailedTest {
    pub id: String,
    /// From 1; none where it is in no split.
    pub split: Option<u32>,
    /// The number of its unit, from 0; none where that is not known, as with a crash.
    pub unit: Option<usize>,
    /// Where that is another than that of the whole file, as shards have one each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_seed: Option<u32>,
    /// What was told of it.
    pub failures: Vec<Told>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Told {
    /// Where it failed.
    pub phase: Phase,
    /// pytest's traceback, or what is known of a crash.
    pub text: String,
    /// Captured output and log: titles and texts.
    pub sections: Vec<(String, String)>,
}

/// The tests of a unit, in the order in which they ran.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct UnitOfRun {
    /// From 1.
    pub split: u32,
    /// Node ids.
    pub tests: Vec<String>,
    /// Some that came before are not here, for want of room.
    pub cut: bool,
}

impl RerunFile {
    /// Reads one that may be anything. The error is the end of a sentence that begins with its
    /// name.
    pub(crate) fn read(text: &str) -> Result<RerunFile, String> {
        let unlike = |error: serde_json::Error| {
            format!("is no file of `cargo xtask coverage export`: {}", plain(&error.to_string()))
        };
        check_schema(text, SCHEMA, unlike)?;
        let file: RerunFile = serde_json::from_str(text).map_err(unlike)?;
        match file.against() {
            Some(why) => Err(format!("is damaged: {why}")),
            None => Ok(file),
        }
    }

    /// What cannot be.
    fn against(&self) -> Option<String> {
        let splits = 1..=self.splits;
        let is_split = |split: &u32| splits.contains(split);
        if let Err(why) = bounds::splits(&self.splits.to_string()) {
            return Some(format!("`splits` {why}"));
        }
        let alien = |test: &&FailedTest| {
            let in_no_split = test.split.is_some_and(|split| !is_split(&split));
            in_no_split || test.unit.is_some_and(|unit| unit >= self.units.len())
        };
        if let Some(test) = self.tests.iter().find(alien) {
            return Some(format!("`{}` is in a split or unit that is not there", plain(&test.id)));
        }
        if self.units.iter().any(|unit| !is_split(&unit.split)) {
            return Some("a unit is in a split that is not there".to_owned());
        }
        let empty = self.tests.is_empty() || self.tests.iter().any(|test| test.id.is_empty());
        empty.then(|| "it names no tests".to_owned())
    }

    /// The tests to run: what failed and, if that is wanted, what came before it in its unit.
    pub(crate) fn ids(&self, with_preceding: bool) -> BTreeSet<&String> {
        let before = self.units.iter().filter(|_| with_preceding).flat_map(|unit| &unit.tests);
        self.tests.iter().map(|test| &test.id).chain(before).collect()
    }

    /// Where each test was.
    pub(crate) fn recorded(&self) -> Recorded {
        let mut places = HashMap::new();
        for (number, unit) in self.units.iter().enumerate() {
            let place = RecordedPlace { split: unit.split, unit: Some(number) };
            places.extend(unit.tests.iter().map(|id| (id.clone(), place)));
        }
        for test in &self.tests {
            if let Some(split) = test.split {
                places.insert(test.id.clone(), RecordedPlace { split, unit: test.unit });
            }
        }
        Recorded { places }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::rerun) fn file() -> RerunFile {
        let test = |id: &str, unit| FailedTest {
            id: id.to_owned(),
            split: Some(2),
            unit,
            hash_seed: None,
            failures: Vec::new(),
        };
        RerunFile {
            schema: SCHEMA,
            project: "shop".to_owned(),
            commit: None,
            dirty: false,
            versions: Versions::default(),
            engine: "fork".to_owned(),
            core: None,
            hash_seed: 7,
            splits: 3,
            pytest_args: Vec::new(),
            addopts: Vec::new(),
            left_out: 0,
            tests: vec![test("a.py::c", Some(0)), test("b.py::x", None)],
            units: vec![UnitOfRun {
                split: 2,
                tests: ["a.py::a", "a.py::c"].map(str::to_owned).to_vec(),
                cut: false,
            }],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let text = serde_json::to_string_pretty(&file()).expect("JSON");
        assert_eq!(RerunFile::read(&text), Ok(file()));
        let ids = |with| file().ids(with).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(ids(false), ["a.py::c", "b.py::x"]);
        assert_eq!(ids(true), ["a.py::a", "a.py::c", "b.py::x"]);
        let places = file().recorded().places;
        assert_eq!(places["a.py::a"], RecordedPlace { split: 2, unit: Some(0) });
        assert_eq!(places["b.py::x"], RecordedPlace { split: 2, unit: None });
    }

    #[test]
    fn what_cannot_be_is_named() {
        let changed = |change: fn(&mut RerunFile)| {
            let mut file = file();
            change(&mut file);
            RerunFile::read(&serde_json::to_string(&file).expect("JSON")).expect_err("a fault")
        };
        assert_eq!(changed(|it| it.schema = 9), "has schema 9, this version reads 1");
        assert_eq!(changed(|it| it.tests.clear()), "is damaged: it names no tests");
        assert_eq!(changed(|it| it.tests[0].id.clear()), "is damaged: it names no tests");
        assert!(changed(|it| it.splits = 0).starts_with("is damaged: `splits` must be"));
        let alien = "is damaged: `a.py::c` is in a split or unit that is not there";
        assert_eq!(changed(|it| it.tests[0].split = Some(4)), alien);
        assert_eq!(changed(|it| it.tests[0].unit = Some(1)), alien);
        let unit = "is damaged: a unit is in a split that is not there";
        assert_eq!(changed(|it| it.units[0].split = 0), unit);
        let nested = "[".repeat(100_000);
        for text in ["", "{}", "[]", "\u{1b}[31m", "{\"schema\": \"\\u001b[31m\"}", &nested] {
            let why = RerunFile::read(text).expect_err("nonsense");
            assert!(why.starts_with("is no file of `cargo xtask coverage export`: "), "{why}");
            assert!(!why.contains('\u{1b}') && why.len() < 300, "{why}");
        }
    }
}
