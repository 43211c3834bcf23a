//! What hooks of the project make of the order of tests, and whether that can be trusted where
//! the suite is collected in parts. Pure: digests in, a decision out.

use serde::{Deserialize, Serialize};

/// What a process tells that has shown hooks all tests, its own and what stands for others'.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub(crate) struct Order {
    /// A digest of conftests, plugins and settings.
    pub code: String,
    /// A digest of what was asked for, and of the test files.
    pub inputs: String,
    /// A digest of the tests in their order, with their markers, and of those taken out.
    pub result: String,
    /// How many tests are left, of all processes.
    pub tests: u64,
    /// The files that have such hooks.
    pub owners: Vec<String>,
}

/// What is known from earlier runs; empty where nothing is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub(crate) struct Known {
    /// As in [`Order`], of the last collection.
    pub code: String,
    pub inputs: String,
    pub result: String,
    /// Under this code parts have once given what the whole had given.
    pub compared: bool,
}

impl Known {
    /// After one process has collected all.
    pub(crate) fn after_whole(&self, told: &Order) -> Known {
        Known { compared: self.compared && self.code == told.code, ..Known::of(told) }
    }

    /// After the parts of a collection have agreed, and nothing known contradicted them.
    pub(crate) fn after_parts(&self, told: &Order) -> Known {
        let compared = self.code == told.code && (self.compared || self.inputs == told.inputs);
        Known { compared, ..Known::of(told) }
    }

    fn of(told: &Order) -> Known {
        let Order { code, inputs, result, .. } = told.clone();
        Known { code, inputs, result, compared: false }
    }

    /// Why what a part tells is not what the whole would give; `first` is what another part has
    /// told.
    pub(crate) fn against(&self, first: Option<&Order>, told: &Order) -> Option<String> {
        let who = || Order::who(&told.owners);
        if first.is_some_and(|first| first.result != told.result) {
            return Some(format!("{} orders or marks tests otherwise each time", who()));
        }
        let same = self.code == told.code && self.inputs == told.inputs;
        let differs = same && self.result != told.result;
        differs.then(|| format!("{} orders or marks tests in parts otherwise", who()))
    }
}

impl Order {
    /// Why so many tests of all parts together are not the whole.
    pub(crate) fn against_sum(&self, tests: u64) -> Option<String> {
        let Order { tests: left, owners, .. } = self;
        let who = Order::who(owners);
        (tests != *left).then(|| format!("{who} leaves {left} tests, and parts have {tests}"))
    }

    fn who(owners: &[String]) -> String {
        let names: Vec<String> = owners.iter().map(|owner| format!("`{owner}`")).collect();
        if names.is_empty() { "a hook".to_owned() } else { names.join(" or ") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn order(code: &str, inputs: &str, result: &str) -> Order {
        let [code, inputs, result] = [code, inputs, result].map(str::to_owned);
        Order { code, inputs, result, owners: vec!["conftest.py".to_owned()], tests: 1 }
    }

    #[test]
    fn parts_must_agree() {
        let (known, one) = (Known::default(), order("c", "i", "r"));
        assert_eq!(known.against(None, &one), None);
        assert_eq!(known.against(Some(&one), &one), None);
        assert_eq!(
            known.against(Some(&order("c", "i", "s")), &one).as_deref(),
            Some("`conftest.py` orders or marks tests otherwise each time")
        );
    }

    #[test]
    fn parts_of_the_same_files_must_give_what_the_whole_gave() {
        let known = Known::default().after_whole(&order("c", "i", "r"));
        assert_eq!(known.against(None, &order("c", "i", "r")), None);
        assert_eq!(known.against(None, &order("c", "j", "s")), None);
        assert_eq!(known.against(None, &order("d", "i", "s")), None);
        assert_eq!(
            known.against(None, &order("c", "i", "s")).as_deref(),
            Some("`conftest.py` orders or marks tests in parts otherwise")
        );
    }

    #[test]
    fn parts_must_have_all_tests() {
        let told = Order { tests: 3, ..order("c", "i", "r") };
        assert_eq!(told.against_sum(3), None);
        let why = "`conftest.py` leaves 3 tests, and parts have 2";
        assert_eq!(told.against_sum(2).as_deref(), Some(why));
    }

    #[test]
    fn what_was_compared_once_stays_so_under_the_same_code() {
        let whole = Known::default().after_whole(&order("c", "i", "r"));
        assert!(!whole.compared);
        let parts = whole.after_parts(&order("c", "i", "r"));
        assert!(parts.compared);
        assert!(parts.after_parts(&order("c", "j", "s")).compared);
        assert!(parts.after_whole(&order("c", "j", "s")).compared);
        assert!(!parts.after_whole(&order("d", "j", "s")).compared);
        assert!(!whole.after_parts(&order("c", "j", "s")).compared);
    }

    proptest! {
        /// Whatever comes in whatever order: nothing counts as compared that was not.
        #[test]
        fn nothing_is_trusted_that_was_not_compared(
            runs in vec((any::<bool>(), 0..2u8, 0..3u8, 0..2u8), 0..10)
        ) {
            let (mut known, mut compared) = (Known::default(), false);
            for (whole, code, inputs, result) in runs {
                let told = order(&code.to_string(), &inputs.to_string(), &result.to_string());
                let (same, equal) = (known.code == told.code, known.inputs == told.inputs);
                if whole {
                    compared &= same;
                    known = known.after_whole(&told);
                } else if known.against(None, &told).is_none() {
                    prop_assert!(!(same && equal) || known.result == told.result);
                    compared = same && (compared || equal);
                    known = known.after_parts(&told);
                }
                prop_assert_eq!(known.compared, compared);
            }
        }
    }
}
