//! Which tests must not run in two processes at once, and run in the order of collection: those
//! of an `xdist_group`, of a document whose examples build on each other, and what `--dist`
//! promises. Pure.

use std::collections::{BTreeMap, HashMap};

use super::units::root;
use crate::model::NodeId;

/// A promise of pytest-xdist's `--dist`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dist {
    /// `loadscope`: the tests of a class are together, and the functions of a module.
    Scope,
    /// `loadfile`: those of a file are.
    File,
    /// `loadgroup`: those of an `xdist_group` are.
    Group,
}

impl Dist {
    /// The promise of this value of `--dist`, where it makes one.
    pub(crate) fn of(value: &str) -> Option<Dist> {
        match value {
            "loadscope" => Some(Dist::Scope),
            "loadfile" => Some(Dist::File),
            "loadgroup" => Some(Dist::Group),
            _ => None,
        }
    }

    /// The promise in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Dist::Scope => {
                "a class is never in two processes at once, nor are the functions of a module"
            }
            Dist::File => "a file is never in two processes at once",
            Dist::Group => "an `xdist_group` is never in two processes at once",
        }
    }

    /// By which part of its id a test belongs to others; as in xdist, parameters may mislead it.
    fn scope(self, id: &str) -> Option<&str> {
        match self {
            Dist::Scope => Some(NodeId(id).scope()),
            Dist::File => Some(NodeId(id).file()),
            Dist::Group => None,
        }
    }
}

/// What is known of tests beside their ids, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Marks {
    /// Their `xdist_group`.
    pub groups: BTreeMap<usize, String>,
    /// The document that they are an example of.
    pub documents: BTreeMap<usize, String>,
}

/// A reason to be together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Bond<'a> {
    Group(&'a str),
    Document(&'a str),
    Scope(&'a str),
}

/// The group of each test that is in one. Groups that share a test are one.
pub(crate) fn together(
    ids: &[String],
    marks: &Marks,
    dist: Option<Dist>,
) -> BTreeMap<usize, String> {
    if dist.and_then(|dist| dist.scope("")).is_none() && marks.documents.is_empty() {
        return marks.groups.clone();
    }
    let bonds = |test: usize| {
        let group = marks.groups.get(&test).map(|name| Bond::Group(name));
        let document = marks.documents.get(&test).map(|name| Bond::Document(name));
        let scope = dist.and_then(|dist| dist.scope(&ids[test])).map(Bond::Scope);
        [group, document, scope].into_iter().flatten()
    };
    let mut joined = HashMap::new();
    for test in 0..ids.len() {
        let mut bonds = bonds(test);
        let Some(first) = bonds.next().map(|bond| root(&joined, bond)) else { continue };
        for bond in bonds {
            let other = root(&joined, bond);
            if other != first {
                joined.insert(other, first);
            }
        }
    }
    let group = |test: usize| Some((test, root(&joined, bonds(test).next()?).name().to_owned()));
    (0..ids.len()).filter_map(group).collect()
}

impl<'a> Bond<'a> {
    fn name(self) -> &'a str {
        match self {
            Bond::Group(name) | Bond::Document(name) | Bond::Scope(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests of each group, for ids with `@group` or `#document` behind them.
    #[track_caller]
    fn check(dist: &str, tests: &[&str], expected: &[&[usize]]) {
        let (mut ids, mut marks) = (Vec::new(), Marks::default());
        for (test, text) in tests.iter().enumerate() {
            let (text, document) = text.split_once('#').unwrap_or((text, ""));
            let (id, group) = text.split_once('@').unwrap_or((text, ""));
            ids.push(id.to_owned());
            let names = [(&mut marks.groups, group), (&mut marks.documents, document)];
            for (map, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
                map.insert(test, name.to_owned());
            }
        }
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (test, group) in together(&ids, &marks, Dist::of(dist)) {
            groups.entry(group).or_default().push(test);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort();
        assert_eq!(groups, expected);
    }

    const TESTS: [&str; 6] = ["a.py::x", "a.py::C::y", "a.py::C::z", "b.py::x", "b.py::y", "alone"];

    #[test]
    fn what_is_together_is_what_dist_promises() {
        check("load", &TESTS, &[]);
        check("loadgroup", &TESTS, &[]);
        check("loadfile", &TESTS, &[&[0, 1, 2], &[3, 4], &[5]]);
        check("loadscope", &TESTS, &[&[0], &[1, 2], &[3, 4], &[5]]);
    }

    #[test]
    fn marks_and_documents_are_together_whatever_it_promises() {
        let tests = ["a.py::x@g", "b.rst::1#b.rst", "b.rst::2#b.rst", "c.py::x@g", "d.py::x"];
        for dist in ["load", "loadgroup"] {
            check(dist, &tests, &[&[0, 3], &[1, 2]]);
        }
        check("loadfile", &tests, &[&[0, 3], &[1, 2], &[4]]);
    }

    #[test]
    fn groups_that_share_a_test_are_one() {
        check("load", &["a@g", "a@g#d", "b#d", "c@h", "d"], &[&[0, 1, 2], &[3]]);
        let tests = ["a.py::x@g", "a.py::y@h", "b.py::x@h", "b.py::y@k", "c.py::x@k", "d.py::x"];
        check("loadfile", &tests, &[&[0, 1, 2, 3, 4], &[5]]);
    }
}
