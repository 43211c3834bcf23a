//! Tests that share a node id: ids that plugins or conftests give may name several, and a test
//! that was collected twice runs twice.

use std::collections::{BTreeMap, HashMap};

/// Which of the tests with its id each test is, from 0; only those are there that are not the
/// first.
pub(crate) fn copies(ids: &[String]) -> BTreeMap<usize, u32> {
    let mut seen: HashMap<&str, u32> = HashMap::with_capacity(ids.len());
    let mut copies = BTreeMap::new();
    for (test, id) in ids.iter().enumerate() {
        let count = seen.entry(id).or_default();
        if *count > 0 {
            copies.insert(test, *count);
        }
        *count += 1;
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_an_id_is_its_first_copy() {
        let ids = ["a", "b", "a", "c", "a", "b"].map(str::to_owned);
        assert_eq!(copies(&ids), [(2, 1), (4, 2), (5, 1)].into());
        assert_eq!(copies(&ids[3..4]), [].into());
    }
}
