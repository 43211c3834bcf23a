//! The hash seed that all processes of a run share: with one for each, parameters made from a set
//! would come in another order in each of them. Pure but for the random number.

use std::hash::{BuildHasher, RandomState};

/// The variable that Python reads it from.
pub(crate) const VARIABLE: &str = "PYTHONHASHSEED";

/// `PYTHONHASHSEED`, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashSeed {
    /// What Python is told.
    pub value: u32,
    /// The user has set it, and not to `random`.
    pub is_set: bool,
}

impl HashSeed {
    /// What the variable says, else a number of this run's own.
    pub(crate) fn of(variable: Option<&str>) -> HashSeed {
        HashSeed::choose(variable, RandomState::new().hash_one(VARIABLE))
    }

    fn choose(variable: Option<&str>, drawn: u64) -> HashSeed {
        match variable.and_then(|text| text.trim().parse().ok()) {
            Some(value) => HashSeed { value, is_set: true },
            // Not 0, which would switch the randomisation off.
            None => HashSeed { value: ((drawn >> 32) as u32).max(1), is_set: false },
        }
    }

    /// Where it comes from, in words.
    pub(crate) fn origin(&self) -> &'static str {
        if self.is_set { VARIABLE } else { "drawn for this run" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_users_is_kept_and_all_else_drawn() {
        let seed = |value, is_set| HashSeed { value, is_set };
        let choose = |variable| HashSeed::choose(variable, 7 << 32);
        assert_eq!(choose(Some("0")), seed(0, true));
        assert_eq!(choose(Some("4294967295")), seed(u32::MAX, true));
        for variable in [None, Some(""), Some("random")] {
            assert_eq!(choose(variable), seed(7, false));
        }
        assert_eq!(HashSeed::choose(None, 0).value, 1);
    }
}
