//! Which arcs a file has executed: a set that remembers what is new in it.

/// No arc, for empty slots: lines have no more than 28 bits, in the C tracer's numbers too. -1 to -1
/// is one, where a module is left at an instruction without a line.
pub const EMPTY: u64 = 0x8000_0000_8000_0000;
const FIRST_SIZE: usize = 64;

/// From which line to which: a negative line is the entry to or the exit of a code object.
/// Without branches `from` is 0.
pub fn arc(from: i32, to: i32) -> u64 {
    (u64::from(from.cast_unsigned()) << 32) | u64::from(to.cast_unsigned())
}

/// The two lines of an arc.
pub fn lines(arc: u64) -> (i32, i32) {
    (((arc >> 32) as u32).cast_signed(), (arc as u32).cast_signed())
}

/// Spreads arcs of neighbouring lines over all bits; the upper ones are the best.
pub fn hash(arc: u64) -> u64 {
    arc.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// An open-addressing table, and what was put in since somebody last took the news.
#[derive(Default)]
pub struct ArcSet {
    table: Vec<u64>,
    length: usize,
    news: Vec<u64>,
}

/// There was no memory for another arc.
#[derive(Debug)]
pub struct OutOfMemory;

impl ArcSet {
    pub fn insert(&mut self, arc: u64) -> Result<(), OutOfMemory> {
        if (self.length + 1) * 2 > self.table.len() {
            self.grow()?;
        }
        if put(&mut self.table, arc) {
            self.news.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.news.push(arc);
            self.length += 1;
        }
        Ok(())
    }

    /// What is new since the last call.
    pub fn take_news(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.news)
    }

    /// Back among the news, because whoever took them could not keep them.
    pub fn give_back(&mut self, news: Vec<u64>) {
        if self.news.is_empty() {
            self.news = news;
        } else {
            self.news.extend(news);
        }
    }

    /// Forget everything: each arc is news again.
    pub fn clear(&mut self) {
        self.table.fill(EMPTY);
        self.news.clear();
        self.length = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let size = (self.table.len() * 2).max(FIRST_SIZE);
        let mut table = Vec::new();
        table.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
        table.resize(size, EMPTY);
        for arc in self.table.iter().copied().filter(|arc| *arc != EMPTY) {
            put(&mut table, arc);
        }
        self.table = table;
        Ok(())
    }
}

/// Whether it was not there yet. The size of the table is a power of two, and it is never full.
fn put(table: &mut [u64], arc: u64) -> bool {
    let mask = table.len().wrapping_sub(1);
    let mut at = (hash(arc) >> 20) as usize & mask;
    while let Some(slot) = table.get_mut(at) {
        if *slot == arc {
            return false;
        }
        if *slot == EMPTY {
            *slot = arc;
            return true;
        }
        at = (at + 1) & mask;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(seed), |last| {
            Some(last.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407))
        })
    }

    #[test]
    fn lines_come_back_as_they_were() {
        for from in [-70_000, -1, 0, 1, 12, 1 << 27] {
            for to in [-70_000, -1, 0, 1, 12, 1 << 27] {
                assert_eq!(lines(arc(from, to)), (from, to));
                assert_ne!(arc(from, to), EMPTY);
            }
        }
    }

    #[test]
    fn each_arc_is_news_once() {
        let mut set = ArcSet::default();
        let arcs: Vec<u64> = random(1)
            .take(5_000)
            .map(|number| arc((number >> 40) as i32 % 300 - 20, (number >> 20) as i32 % 300))
            .collect();
        let mut told = std::collections::BTreeSet::new();
        for chunk in arcs.chunks(97) {
            chunk.iter().for_each(|one| set.insert(*one).expect("memory"));
            for new in set.take_news() {
                assert!(told.insert(new), "told twice");
            }
        }
        assert_eq!(told, arcs.into_iter().collect());
    }

    #[test]
    fn all_is_news_again_after_clearing() {
        let mut set = ArcSet::default();
        set.insert(arc(1, 2)).expect("memory");
        assert_eq!(set.take_news(), [arc(1, 2)]);
        set.clear();
        assert!(set.is_empty());
        set.insert(arc(1, 2)).expect("memory");
        assert_eq!(set.take_news(), [arc(1, 2)]);
    }

    #[test]
    fn what_could_not_be_kept_is_news_again() {
        let mut set = ArcSet::default();
        set.insert(arc(1, 2)).expect("memory");
        let news = set.take_news();
        set.insert(arc(2, 3)).expect("memory");
        set.give_back(news);
        assert_eq!(set.take_news().len(), 2);
    }
}
