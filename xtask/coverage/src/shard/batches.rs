//! Cuts what each shard has into what it runs in any case, its head, and batches, which go to
//! whichever shard has time for them. It stands in the plan, so that all shards have the same.
//! Pure.

/// Which part of a shard's predicted time is its head. With one machine of half the speed of
/// three others, all four can end at once only if no more than 57 % of it is.
pub(crate) const HEAD: f64 = 0.5;

/// Seconds that a batch should take, one test after the other.
const LEAST: f64 = 10.0;
const MOST: f64 = 30.0;

/// Into how many batches a shard's tail is cut, where they do not become too long or too short.
const BATCHES: f64 = 12.0;

/// The file of a test, which is torn apart only where it takes longer than a batch.
fn file(id: &str) -> &str {
    id.split_once("::").map_or(id, |(file, _)| file)
}

/// The batch of each test of a shard, numbered from `first` on; none in the head.
pub(crate) fn cut(tests: &[(&str, f64)], first: u32) -> Vec<Option<u32>> {
    let total: f64 = tests.iter().map(|(_, seconds)| seconds).sum();
    let least = (total * (1.0 - HEAD) / BATCHES).clamp(LEAST, MOST);
    let of_file = seconds_of_files(tests);
    let (mut batch, mut sum) = (None::<u32>, 0.0);
    let mut batches: Vec<Option<u32>> = Vec::with_capacity(tests.len());
    for (at, (id, seconds)) in tests.iter().enumerate() {
        let enough = if batch.is_none() { total * HEAD } else { least };
        let may_cut = || file(tests[at - 1].0) != file(id) || may_tear(id, of_file[at]);
        if at > 0 && sum >= enough && may_cut() {
            batch = Some(batch.map_or(first, |batch| batch + 1));
            sum = 0.0;
        }
        sum += seconds;
        batches.push(batch);
    }
    join_short_end(&mut batches, sum, first);
    batches
}

/// What stands in other files than Python's is a document, whose examples build on each other.
fn may_tear(id: &str, seconds: f64) -> bool {
    file(id).ends_with(".py") && seconds > LEAST
}

/// For each test, what those of its file take that stand beside each other.
fn seconds_of_files(tests: &[(&str, f64)]) -> Vec<f64> {
    let mut all = Vec::with_capacity(tests.len());
    for together in tests.chunk_by(|a, b| file(a.0) == file(b.0)) {
        let seconds: f64 = together.iter().map(|(_, seconds)| seconds).sum();
        all.resize(all.len() + together.len(), seconds);
    }
    all
}

/// The last batch is not worth a claim of its own.
fn join_short_end(batches: &mut [Option<u32>], seconds: f64, first: u32) {
    let Some(Some(last)) = batches.last().copied() else { return };
    if last > first && seconds < LEAST {
        let short = batches.iter_mut().filter(|batch| **batch == Some(last));
        short.for_each(|batch| *batch = Some(last - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tests: &[(&str, f64)]) -> Vec<u32> {
        cut(tests, 1).into_iter().map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn the_tail_is_cut_between_files() {
        let tests: Vec<(String, f64)> = (0..12).map(|n| (format!("{n}.py::t"), 5.0)).collect();
        let tests: Vec<(&str, f64)> = tests.iter().map(|(id, s)| (id.as_str(), *s)).collect();
        assert_eq!(numbers(&tests), [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn a_long_file_is_torn_apart_and_a_document_is_not() {
        assert_eq!(numbers(&[("a.py::t", 8.0); 6]), [0, 0, 0, 1, 1, 1]);
        assert_eq!(numbers(&[("a.md::t", 8.0); 6]), [0; 6]);
    }

    #[test]
    fn there_is_a_head_wherever_there_is_a_test() {
        assert_eq!(numbers(&[("a.py::t", 99.0)]), [0]);
        assert_eq!(numbers(&[("a.py::t", 1.0), ("b.py::t", 1.0)]), [0, 1]);
        assert_eq!(numbers(&[("a.py::t", 0.0), ("b.py::t", 0.0)]), [0, 1]);
        assert!(numbers(&[]).is_empty());
    }
}
