//! Failures that forks may have to do with: what a module notes while it is imported is the same
//! in all forks of the process that has imported it. Pure.

use std::collections::BTreeSet;

use super::failures::{Failure, Phase};

/// What the system says where a port is taken, by a server that another fork has started.
const IN_USE: [&str; 2] = ["Address already in use", "EADDRINUSE"];

/// A line for the user, where a failure looks like it: an address is in use, or the process that
/// all tests were forked from (`forked_from`) is named.
pub fn hint(failures: &[Failure], forked_from: &BTreeSet<i32>) -> Option<String> {
    let without = "; `--engine spawn` runs the tests without forks";
    let raised: Vec<&Failure> = failures.iter().filter(|it| it.phase != Phase::Collect).collect();
    let names = |failure: &&Failure| forked_from.iter().find(|&&pid| has_number(failure, pid));
    if forked_from.is_empty() {
        None
    } else if let Some(pid) = raised.iter().find_map(names) {
        Some(format!(
            "hint: process {pid}, which a failure names, is the one that has imported the tests: \
             what a module notes while it is imported is the same in all forks{without}"
        ))
    } else if raised.iter().any(|failure| IN_USE.iter().any(|it| failure.text.contains(it))) {
        Some(format!(
            "hint: a port that is chosen while a module is imported is the same in all \
             forks{without}"
        ))
    } else {
        None
    }
}

/// Whether the exception has this number in it, with no other digit beside it.
fn has_number(failure: &Failure, number: i32) -> bool {
    let lines = failure.text.lines().filter(|line| line.starts_with("E "));
    let mut lines = lines.chain([failure.message.as_str()]);
    let number = number.to_string();
    lines.any(|line| line.split(|c: char| !c.is_ascii_digit()).any(|digits| digits == number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::failures::Blow;

    fn hint_for(text: &str, forked_from: &[i32]) -> Option<String> {
        let blow = Blow::new(Phase::Call, text.to_owned());
        let failure = Failure::new("test_a.py::test".to_owned(), None, blow, None);
        hint(&[failure], &forked_from.iter().copied().collect())
    }

    #[test]
    fn only_telling_failures_of_forks_have_a_hint() {
        let pid = ">   assert id == 1\nE   AssertionError: 'client-4711' == 'client-5'\n";
        assert!(hint_for(pid, &[4711]).is_some_and(|hint| hint.contains("process 4711")));
        assert_eq!(hint_for(pid, &[471, 711, 47111]), None);
        assert_eq!(hint_for(pid, &[]), None);
        assert_eq!(hint_for("x = 4711\nE   assert 0\n", &[4711]), None);
        let port = "E   OSError: [Errno 98] Address already in use\n";
        assert!(hint_for(port, &[4711]).is_some_and(|hint| hint.contains("a port")));
        assert_eq!(hint_for(port, &[]), None);
    }
}
