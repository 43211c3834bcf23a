//! The parts of a sharded collection: which files each collector has, and whether what they found
//! is what one process would find.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::host::Took;
use crate::engine::Job;
use crate::split::order::{Known, Order};
use crate::split::{Assignment, FileCost, assign};

/// What is known of the parts of a collection.
#[derive(Default)]
pub(super) struct Parts {
    /// The test files, in the order of collection.
    files: Vec<String>,
    /// What stands for the names in files that are parted, as the first collector told it.
    names: HashMap<usize, u32>,
    /// Files of the project that collectors have imported, by the names of their modules.
    modules: BTreeMap<String, String>,
    /// What a collector's test files have imported, until all have told it.
    imported: BTreeMap<usize, Vec<String>>,
    /// Tests that collectors have found.
    tests: u64,
    /// What hooks have made of all tests, as the first collector told it.
    order: Option<Order>,
}

impl Parts {
    /// The test files are known: what each of so many collectors is told to collect.
    pub(super) fn share(
        &mut self,
        files: Vec<(String, u64)>,
        collectors: usize,
        job: &Job,
    ) -> Vec<Value> {
        let mut costs = costs(&files, &job.collecting.files);
        // An error in one part would leave the tests of the others; and what is to be in one
        // process must be collected by one.
        if job.continue_on_collection_errors || job.dist.is_some() {
            costs.iter_mut().for_each(|cost| cost.apart = None);
        }
        self.files = files.into_iter().map(|(file, _)| file).collect();
        let Assignment { shares, parted, .. } = assign(&costs, collectors);
        let told = |(number, share)| {
            let parts: BTreeMap<String, [usize; 2]> =
                parted.iter().map(|file| (file.to_string(), [number, collectors])).collect();
            json!({"cmd": "collect", "files": share, "parts": parts})
        };
        shares.into_iter().enumerate().map(told).collect()
    }

    /// A collector has imported its test files, and waits to hear what others have. Why that
    /// could not be in one process, if so.
    pub(super) fn imported(
        &mut self,
        collector: usize,
        modules: Vec<String>,
        files: BTreeMap<String, String>,
    ) -> Option<String> {
        let clash = clash(&self.modules, &files);
        if clash.is_none() {
            self.modules.extend(files);
            self.imported.insert(collector, modules);
        }
        clash
    }

    /// A collector has told what it has imported, and was not told what others have.
    pub(super) fn has_imported(&self, collector: usize) -> bool {
        self.imported.contains_key(&collector)
    }

    /// For each collector that waits for it: what others have imported, and it has not.
    pub(super) fn imports_of_others(&mut self) -> Vec<(usize, Vec<String>)> {
        let told = std::mem::take(&mut self.imported);
        let others = |(collector, own): (&usize, &Vec<String>)| {
            let mut known: HashSet<&String> = own.iter().collect();
            let others = told.values().flatten().filter(|module| known.insert(module));
            (*collector, others.cloned().collect())
        };
        told.iter().map(others).collect()
    }

    /// A collector has found so many tests. How many there are by now; an error says why these
    /// are not the tests of the whole, given what is `known` of it.
    pub(super) fn collected(
        &mut self,
        tests: u64,
        order: Option<Order>,
        known: Option<&Known>,
    ) -> Result<u64, String> {
        if let Some(order) = order {
            let known = known.cloned().unwrap_or_default();
            if let Some(why) = known.against(self.order.as_ref(), &order) {
                return Err(why);
            }
            self.order = Some(order);
        }
        self.tests += tests;
        Ok(self.tests)
    }

    /// Adds what collecting the files of a collector has taken to what is known of `all`. An error
    /// says why a file cannot be parted.
    pub(super) fn took(
        &mut self,
        took: &[Took],
        all: &mut BTreeMap<String, FileCost>,
    ) -> Result<(), String> {
        for &(file, seconds, apart, names) in took {
            let Some(id) = self.files.get(file) else { continue };
            if names.is_some_and(|names| *self.names.entry(file).or_insert(names) != names) {
                // Each part has every n-th name: tests would be lost, or there twice.
                return Err(format!("`{id}` has other names each time it is imported"));
            }
            let cost = FileCost { seconds, apart };
            let known = all.entry(id.clone());
            known.and_modify(|known| *known = known.with_part(cost)).or_insert(cost);
        }
        Ok(())
    }

    /// What hooks have made of all tests, once all are there; an error says why these are not all.
    pub(super) fn take_order(&mut self) -> Result<Option<Order>, String> {
        let order = self.order.take();
        let against = order.as_ref().and_then(|order| order.against_sum(self.tests));
        against.map_or(Ok(order), Err)
    }
}

/// What would be one module for a collection of the whole, and an error as a rule.
fn clash(known: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<String> {
    let other = |(name, file): &(&String, &String)| known.get(*name).is_some_and(|it| it != *file);
    let (name, file) = new.iter().find(other)?;
    let (first, second) = (file.min(&known[name]), file.max(&known[name]));
    Some(format!("`{first}` and `{second}` are both imported as `{name}`"))
}

/// What collecting each file may take: as it did last time; where that is not known, by its size.
fn costs(files: &[(String, u64)], known: &BTreeMap<String, FileCost>) -> Vec<FileCost> {
    let measured: Vec<(u64, f64)> =
        files.iter().filter_map(|(file, size)| Some((*size, known.get(file)?.seconds))).collect();
    let (bytes, took) =
        measured.iter().fold((0, 0.0), |(bytes, took), (size, it)| (bytes + size, took + it));
    let per_byte = if bytes > 0 && took > 0.0 { took / bytes as f64 } else { 1e-6 };
    let by_size = |size: u64| FileCost { seconds: size as f64 * per_byte, apart: None };
    let cost =
        |(file, size): &(String, u64)| known.get(file).copied().unwrap_or_else(|| by_size(*size));
    files.iter().map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_module_name_clash() {
        let modules = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(name, file)| ((*name).to_owned(), (*file).to_owned())).collect()
        };
        let known = modules(&[("test_a", "a/test_a.py"), ("help", "help.py")]);
        assert_eq!(clash(&known, &modules(&[("help", "help.py"), ("test_b", "b.py")])), None);
        assert_eq!(
            clash(&known, &modules(&[("test_a", "b/test_a.py")])).as_deref(),
            Some("`a/test_a.py` and `b/test_a.py` are both imported as `test_a`")
        );
    }

    #[test]
    fn a_file_weighs_what_it_took_or_what_others_of_its_size_did() {
        let files = [("a".to_owned(), 10), ("b".to_owned(), 20), ("c".to_owned(), 40)];
        let weights = |known: &BTreeMap<String, FileCost>| {
            costs(&files, known).iter().map(|cost| cost.seconds).collect::<Vec<_>>()
        };
        let known = FileCost { seconds: 2.0, apart: Some(1.0) };
        assert_eq!(weights(&[("a".to_owned(), known)].into()), [2.0, 4.0, 8.0]);
        let unknown = weights(&BTreeMap::new());
        assert!(unknown.is_sorted() && unknown[0] > 0.0);
    }
}
