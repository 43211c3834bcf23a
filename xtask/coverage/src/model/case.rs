//! What became of one test, as report files tell it.

use super::{Failure, PhaseSeconds};

/// One test.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    pub id: &'a str,
    /// How it ended, where it did not fail.
    pub ending: Ending<'a>,
    /// How it failed; several where a teardown, or a subtest, failed too.
    pub failures: Vec<&'a Failure>,
    /// Attempts before the last one.
    pub repeated: Vec<&'a Failure>,
    /// None where the run was stopped before it was known.
    pub seconds: Option<PhaseSeconds>,
    /// What it recorded: names and values.
    pub properties: &'a [(String, String)],
}

impl Case<'_> {
    /// A test of which nothing is known.
    pub(crate) fn new(id: &str) -> Case<'_> {
        Case {
            id,
            ending: Ending::Ran,
            failures: Vec::new(),
            repeated: Vec::new(),
            seconds: None,
            properties: &[],
        }
    }
}

/// How a test ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// It passed, or its failures say how it ended.
    Ran,
    /// It was skipped: why.
    Skipped(&'a str),
    /// It failed as expected: why that was expected.
    Xfailed(&'a str),
    /// A module or class was skipped as a whole: why.
    SkippedWhole(&'a str),
}
