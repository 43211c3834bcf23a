//! The units that wait, and which of them a process begins with or goes on with. Pure.
//!
//! There may be thousands, and one is looked for whenever a process asks for more: so they are
//! kept in every order in which they are looked for, and what they take is kept up.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::rows::{Isolation, LEAST};
use super::units::Unit;

/// Where a unit waits. What is further in front has a smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(i64);

/// The first test of a unit: its place in the order of collection.
type First = Option<usize>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    units: BTreeMap<Place, Unit>,
    in_order: BTreeSet<(First, Place)>,
    /// The one that is looked for last.
    by_length: BTreeSet<(Length, Reverse<First>, Place)>,
    seconds: f64,
}

/// Seconds that have an order.
#[derive(Clone, Copy, Debug)]
struct Length(f64);

impl Ord for Length {
    fn cmp(&self, other: &Length) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Length {
    fn partial_cmp(&self, other: &Length) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Length {
    fn eq(&self, other: &Length) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Length {}

impl FromIterator<Unit> for Waiting {
    fn from_iter<T: IntoIterator<Item = Unit>>(units: T) -> Waiting {
        let mut waiting = Waiting::default();
        units.into_iter().for_each(|unit| waiting.push_back(unit));
        waiting
    }
}

impl Waiting {
    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// Seconds that all of it is expected to take, one after the other.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.max(0.0)
    }

    /// The unit at a place.
    pub(crate) fn get(&self, place: Place) -> Option<&Unit> {
        self.units.get(&place)
    }

    /// Takes the unit at a place.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Unit> {
        let unit = self.units.remove(&place)?;
        self.in_order.remove(&(first(&unit), place));
        self.by_length.remove(&(Length(unit.seconds), Reverse(first(&unit)), place));
        self.seconds -= unit.seconds;
        if self.units.is_empty() {
            // What rounding has left.
            self.seconds = 0.0;
        }
        Some(unit)
    }

    /// Where the first unit is that is to run these tests.
    pub(crate) fn find(&self, tests: &[usize]) -> Option<Place> {
        let first = tests.first().copied();
        let alike = self.in_order.range((first, Place(i64::MIN))..=(first, Place(i64::MAX)));
        let is_it = |place: &Place| self.units.get(place).is_some_and(|it| it.tests == tests);
        alike.map(|(_, place)| *place).find(is_it)
    }

    /// In front of all others.
    pub(crate) fn push_front(&mut self, unit: Unit) {
        let place = self.units.first_key_value().map_or(0, |(place, _)| place.0 - 1);
        self.insert(Place(place), unit);
    }

    /// Behind all others.
    pub(crate) fn push_back(&mut self, unit: Unit) {
        let place = self.units.last_key_value().map_or(0, |(place, _)| place.0 + 1);
        self.insert(Place(place), unit);
    }

    fn insert(&mut self, place: Place, unit: Unit) {
        self.in_order.insert((first(&unit), place));
        self.by_length.insert((Length(unit.seconds), Reverse(first(&unit)), place));
        self.seconds += unit.seconds;
        self.units.insert(place, unit);
    }

    /// The unit that a new process begins with, if one may run.
    ///
    /// If no other unit follows it, that is the one in front. Else it is one early in the order of
    /// collection, so that much may follow.
    pub(crate) fn pick_first(
        &self,
        slots: usize,
        isolation: Isolation,
        may_run: impl Fn(&Unit) -> bool,
    ) -> Option<Place> {
        match isolation {
            Isolation::File => {
                self.units.iter().find(|(_, unit)| may_run(unit)).map(|(place, _)| *place)
            }
            Isolation::Row(_) | Isolation::Worker => self.pick(slots, Bound::Unbounded, may_run),
        }
    }

    /// The unit that follows another one in its process, if one may.
    ///
    /// It comes later in the order of collection, so that whatever a process runs has the order of
    /// a sequential run. Suites count on that: pytest-django puts the tests that empty the
    /// database last.
    pub(crate) fn pick_next(
        &self,
        slots: usize,
        after: &Unit,
        may_follow: impl Fn(&Unit) -> bool,
    ) -> Option<Place> {
        let last = after.tests.last().copied();
        let later = |unit: &Unit| first(unit) > last;
        let from = Bound::Excluded((last, Place(i64::MAX)));
        self.pick(slots, from, |unit| later(unit) && may_follow(unit))
    }

    /// The next one in the order of collection, unless another would be the tail of the run. Not
    /// earlier, as what it skips in its process may have to run in a new one.
    fn pick(
        &self,
        slots: usize,
        from: Bound<(First, Place)>,
        may: impl Fn(&Unit) -> bool,
    ) -> Option<Place> {
        let may = |place: &Place| self.units.get(place).is_some_and(&may);
        let next = || self.in_order.range((from, Bound::Unbounded)).map(|(_, place)| *place);
        self.tails(slots).find(may).or_else(|| next().find(may))
    }

    /// Units that each take longer than the other slots need for the rest, and are worth a
    /// process: no more than there are slots, the longest first.
    fn tails(&self, slots: usize) -> impl Iterator<Item = Place> {
        let others = (slots.max(1) - 1) as f64;
        let is_tail = move |seconds: f64| {
            seconds >= LEAST && seconds * others > (self.seconds - seconds).max(0.0)
        };
        let longest = self.by_length.iter().rev();
        longest.take_while(move |(length, ..)| is_tail(length.0)).map(|(.., place)| *place)
    }
}

fn first(unit: &Unit) -> First {
    unit.tests.first().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn unit(tests: Vec<usize>, seconds: f64) -> Unit {
        Unit { split: 1, tests, seconds, groups: [].into() }
    }

    /// Which test follows test 2, of units of one test each.
    #[track_caller]
    fn check_next(queue: &[(usize, f64)], slots: usize, expected: Option<usize>) {
        let waiting: Waiting =
            queue.iter().map(|&(test, seconds)| unit(vec![test], seconds)).collect();
        let may_follow = |unit: &Unit| unit.tests != [9];
        let next = waiting.pick_next(slots, &unit(vec![2], 1.0), may_follow);
        let test = next.and_then(|place| waiting.get(place)).and_then(first);
        assert_eq!(test, expected);
    }

    #[test]
    fn what_follows_is_next_in_collection_unless_it_would_be_the_tail() {
        let small = [(4, 1.0), (0, 1.0), (3, 1.0), (1, 1.0), (5, 1.0)];
        check_next(&small, 1, Some(3));
        check_next(&small, 2, Some(3));
        check_next(&[(3, 1.0), (4, 3.0), (0, 3.0)], 1, Some(3));
        check_next(&[(3, 1.0), (4, 3.0), (0, 3.0)], 2, Some(3));
        check_next(&[(3, 1.0), (4, 5.0), (0, 3.0)], 2, Some(4));
        check_next(&[(3, 1.0), (4, 3.0), (5, 9.0)], 2, Some(5));
        check_next(&[(9, 8.0), (3, 1.0)], 2, Some(3));
        check_next(&[(9, 8.0)], 2, None);
        check_next(&[], 2, None);
    }

    #[test]
    fn what_follows_comes_later_in_collection() {
        check_next(&[(1, 1.0), (0, 1.0)], 2, None);
        check_next(&[(1, 9.0), (3, 1.0)], 2, Some(3));
    }

    #[test]
    fn a_new_process_begins_early_if_others_follow() {
        let waiting: Waiting = [3, 0, 2, 1].map(|test| unit(vec![test], 1.0)).into_iter().collect();
        let first_test = |isolation| {
            let place = waiting.pick_first(2, isolation, |unit| unit.tests != [0])?;
            waiting.get(place).and_then(first)
        };
        assert_eq!(first_test(Isolation::File), Some(3));
        assert_eq!(first_test(Isolation::Worker), Some(1));
        assert_eq!(waiting.pick_first(2, Isolation::Worker, |_| false), None);
    }

    /// The same as in [`Waiting::pick`], by looking at all of them.
    fn plainly(
        queue: &VecDeque<Unit>,
        slots: usize,
        may: impl Fn(&Unit) -> bool,
    ) -> Option<Vec<usize>> {
        let candidates = || queue.iter().filter(|unit| may(unit));
        let by_length = |a: &&Unit, b: &&Unit| {
            a.seconds.total_cmp(&b.seconds).then_with(|| first(b).cmp(&first(a)))
        };
        let longest = candidates().max_by(by_length)?;
        let rest = queue.iter().map(|unit| unit.seconds).sum::<f64>() - longest.seconds;
        let is_tail =
            longest.seconds >= LEAST && longest.seconds * (slots.max(1) - 1) as f64 > rest;
        let chosen = if is_tail { longest } else { candidates().min_by_key(|unit| first(unit))? };
        Some(chosen.tests.clone())
    }

    proptest! {
        /// Whatever came, went and came back.
        #[test]
        fn what_is_picked_is_what_a_look_at_all_would_pick(
            lengths in prop::collection::vec(0_u8..12, 1..24),
            steps in prop::collection::vec((0_u8..8, 1_usize..5, 0_usize..48, any::<u8>()), 1..40),
        ) {
            let units = lengths.iter().enumerate();
            // Two tests each, in no order (29 is a prime). Quarters add up exactly.
            let units = units.map(|(at, &it)| {
                let test = at * 29 % lengths.len() * 2;
                unit(vec![test, test + 1], f64::from(it) * 0.75)
            });
            let mut queue: VecDeque<Unit> = units.collect();
            let mut waiting: Waiting = queue.iter().cloned().collect();
            let mut taken: Vec<Unit> = Vec::new();
            for (what, slots, after, mask) in steps {
                let may = |unit: &Unit| unit.tests[0] / 2 % 8 != usize::from(mask % 8);
                let after = unit(vec![after, after + 1], 1.0);
                let place = match what {
                    0..5 => waiting.pick_first(slots, Isolation::Worker, may),
                    _ => waiting.pick_next(slots, &after, may),
                };
                let later = |unit: &Unit| what < 5 || first(unit) > after.tests.last().copied();
                let plain = plainly(&queue, slots, |unit| later(unit) && may(unit));
                let picked = place.and_then(|place| waiting.get(place)).cloned();
                prop_assert_eq!(picked.as_ref().map(|unit| unit.tests.clone()), plain);
                prop_assert_eq!(waiting.seconds(), queue.iter().map(|it| it.seconds).sum::<f64>());
                if let Some(picked) = picked {
                    prop_assert_eq!(waiting.find(&picked.tests), place);
                    queue.retain(|unit| *unit != picked);
                    taken.extend(place.and_then(|place| waiting.remove(place)));
                }
                if what % 3 == 0 && let Some(unit) = taken.pop() {
                    queue.push_front(unit.clone());
                    waiting.push_front(unit);
                }
            }
        }
    }
}
