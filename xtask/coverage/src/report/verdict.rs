//! How the run ended: one exit code, one outcome, one sentence. Pure.

use anyhow::Result;

use crate::exit::{self, Exit};
use crate::model::format::count;
use crate::model::{Problem, Tally};
use crate::report::summary::Outcome;
use crate::report::thresholds::Missed;

/// All that the verdict depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// What became of the tests.
    pub tally: Tally,
    /// What is missing from the coverage data.
    pub problems: Vec<Problem>,
    /// What pytest or its plugins have against the run although no test failed.
    pub findings: Vec<String>,
    /// A test or a plugin of pytest ended the run before all tests had run.
    pub stopped: bool,
    /// A plugin of pytest takes a run without tests for a good one.
    pub no_tests_is_fine: bool,
    /// What of ours broke, and what was asked for and cannot be written.
    pub broken: Vec<Broken>,
    /// Coverage had no part in the run.
    pub unmeasured: bool,
    /// Only some of the tests were asked for: a shard, `-k`, paths, `--last-failed`.
    pub narrowed: bool,
    /// The failure budget was used up and the rest was stopped.
    pub aborted: bool,
    /// Files could not be collected, so that nothing ran.
    pub uncollectable: bool,
    /// The signal that ended the run.
    pub interrupted: Option<i32>,
    /// The thresholds that were missed.
    pub missed: Vec<Missed>,
    /// `--exit-zero-on-test-failure`. An aborted run still ends with 1: its data is not whole.
    pub failures_end_with_zero: bool,
}

/// Something of ours broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The exit code that it asks for.
    pub exit: Exit,
    /// What, with all its causes.
    pub what: String,
}

impl Broken {
    /// So much is not there that was asked for.
    pub(crate) fn incomplete(what: String) -> Broken {
        Broken { exit: Exit::Incomplete, what }
    }
}

impl Evidence {
    /// The value; where there is none, its error is evidence.
    pub(crate) fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        let broken = |error| Broken { exit: exit::of(&error), what: format!("{error:#}") };
        result.map_err(|error| self.broken.push(broken(error))).ok()
    }

    /// The missed thresholds that count: where the run is partial, those that were typed.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Missed> {
        let partial = self.partial();
        self.missed.iter().filter(move |missed| !partial || missed.even_partial)
    }

    /// True where the coverage is that of a part of the tests only.
    pub(crate) fn partial(&self) -> bool {
        let cut_short = self.aborted || self.stopped || self.interrupted.is_some();
        let lost = self.uncollectable || self.tally.not_run > 0;
        self.narrowed || cut_short || lost || !self.problems.is_empty()
    }

    /// True where tests did not run and nothing says why.
    fn loses_tests(&self) -> bool {
        let cut_short = self.aborted || self.stopped || self.interrupted.is_some();
        self.tally.not_run > 0 && !cut_short && !self.uncollectable
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The exit code.
    pub exit: Exit,
    /// The word in the summary. It says `tests-failed` even where failures end with zero.
    pub outcome: Outcome,
    /// True where thresholds were not judged, unless typed, and the report says "partial".
    pub partial: bool,
    /// One sentence, without a full stop at its end.
    pub sentence: String,
}

impl Outcome {
    /// In a word or two, with its mark.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Outcome::Passed => "✓ passed",
            Outcome::TestsFailed => "✗ tests failed",
            Outcome::BelowThreshold => "✗ below the threshold",
            Outcome::Aborted => "✗ aborted",
            Outcome::Interrupted => "✗ interrupted",
            Outcome::NoTests => "✗ no tests",
            Outcome::Incomplete => "✗ incomplete",
            Outcome::Error => "✗ error",
        }
    }
}

impl Verdict {
    /// The line that a run ends with.
    pub(crate) fn line(&self) -> String {
        format!("{}: {}", self.outcome.in_words(), self.sentence)
    }
}

/// Weighs all that happened: the worst by [`Exit::worse`] decides.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let worst = endings(evidence).into_iter().fold(Exit::Passed, Exit::worse);
    let forgiven =
        worst == Exit::TestsFailed && evidence.failures_end_with_zero && !evidence.aborted;
    let exit = if forgiven { without_failures(evidence) } else { worst };
    Verdict {
        exit,
        outcome: outcome(worst, evidence),
        partial: evidence.partial(),
        sentence: sentence(worst, evidence),
    }
}

/// Everything that holds, in no order.
fn endings(evidence: &Evidence) -> Vec<Exit> {
    let tally = &evidence.tally;
    [
        evidence.interrupted.map(Exit::Interrupted),
        (!evidence.problems.is_empty()).then_some(Exit::Incomplete),
        evidence.loses_tests().then_some(Exit::Incomplete),
        (evidence.aborted || tally.failures() > 0 || !evidence.findings.is_empty())
            .then_some(Exit::TestsFailed),
        (tally.collected == 0 && !evidence.no_tests_is_fine).then_some(Exit::NoTests),
        evidence.counted().next().map(|_| Exit::BelowThreshold),
    ]
    .into_iter()
    .flatten()
    .chain(evidence.broken.iter().map(|broken| broken.exit))
    .collect()
}

fn without_failures(evidence: &Evidence) -> Exit {
    let others = endings(evidence).into_iter().filter(|&exit| exit != Exit::TestsFailed);
    others.fold(Exit::Passed, Exit::worse)
}

fn outcome(worst: Exit, evidence: &Evidence) -> Outcome {
    match worst {
        Exit::Passed => Outcome::Passed,
        Exit::TestsFailed if evidence.aborted => Outcome::Aborted,
        Exit::TestsFailed | Exit::Pytest(_) => Outcome::TestsFailed,
        Exit::BelowThreshold => Outcome::BelowThreshold,
        Exit::Incomplete if !evidence.broken.is_empty() => Outcome::Error,
        Exit::Incomplete => Outcome::Incomplete,
        Exit::Usage | Exit::Outdated => Outcome::Error,
        Exit::NoTests => Outcome::NoTests,
        Exit::Interrupted(_) => Outcome::Interrupted,
    }
}

fn sentence(worst: Exit, evidence: &Evidence) -> String {
    let tally = &evidence.tally;
    match worst {
        Exit::Passed => {
            format!("{} passed", count(tally.passed + tally.xfailed + tally.xpassed, "test"))
        }
        Exit::TestsFailed if evidence.aborted && tally.failures() == 0 => {
            let why = "stopped: failures in other projects have used up the budget";
            format!("{why}{}", not_run(tally))
        }
        Exit::TestsFailed if evidence.aborted => {
            format!("stopped after {}{}", count(tally.failures(), "failure"), not_run(tally))
        }
        Exit::TestsFailed if tally.failures() == 0 => {
            format!("{}{}", evidence.findings.join("; "), not_run(tally))
        }
        Exit::TestsFailed | Exit::Pytest(_) => {
            format!("{} of {} failed", tally.failures(), count(tally.collected, "test"))
        }
        Exit::BelowThreshold => below(&evidence.counted().collect::<Vec<_>>()),
        Exit::Incomplete | Exit::Usage | Exit::Outdated => match evidence.broken.is_empty() {
            true => incomplete(evidence),
            false => broken(worst, evidence),
        },
        Exit::NoTests => "no tests were found".to_owned(),
        Exit::Interrupted(_) => format!("interrupted{}", not_run(tally)),
    }
}

/// The first of the missed thresholds, and how many more there are.
pub(crate) fn below(missed: &[&Missed]) -> String {
    let first = missed.first().map(|missed| missed.what.as_str()).unwrap_or_default();
    match missed.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} (and 1 more threshold)"),
        n => format!("{first} (and {} more thresholds)", n - 1),
    }
}

/// The first line of what broke and decides, and how much more there is.
fn broken(worst: Exit, evidence: &Evidence) -> String {
    let decides = evidence.broken.iter().find(|broken| broken.exit == worst);
    let first = decides.and_then(|broken| broken.what.lines().next()).unwrap_or_default();
    let others = evidence.broken.len() + evidence.problems.len() - 1;
    format!("{first}{}", more_problems(others))
}

fn incomplete(evidence: &Evidence) -> String {
    let problems = &evidence.problems;
    let what = if evidence.unmeasured { "the run" } else { "coverage data" };
    let Some(first) = problems.first() else {
        let lost = count(evidence.tally.not_run, "test");
        return format!("{what} is incomplete: {lost} did not run, and nothing says why");
    };
    format!("{what} is incomplete: {first}{}", more_problems(problems.len() - 1))
}

fn more_problems(others: usize) -> String {
    match others {
        0 => String::new(),
        n => format!(" (and {} more {})", n, if n == 1 { "problem" } else { "problems" }),
    }
}

fn not_run(tally: &Tally) -> String {
    match tally.not_run {
        0 => String::new(),
        n => format!("; {} did not run", count(n, "test")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGINT: i32 = nix::libc::SIGINT;
    const SIGTERM: i32 = nix::libc::SIGTERM;

    fn good() -> Evidence {
        let tally = Tally { collected: 10, passed: 8, skipped: 1, xfailed: 1, ..Tally::default() };
        Evidence { tally, ..Evidence::default() }
    }

    fn failing() -> Evidence {
        let tally = Tally { collected: 10, passed: 7, failed: 2, errors: 1, ..Tally::default() };
        Evidence { tally, ..Evidence::default() }
    }

    fn problems() -> Vec<Problem> {
        let what = "left no coverage data".to_owned();
        vec![Problem { split: Some(3), file: None, what }]
    }

    fn findings() -> Vec<String> {
        vec!["pytest's session ended with exit status 6".to_owned()]
    }

    fn broken(whats: &[&str]) -> Vec<Broken> {
        whats.iter().map(|&what| Broken::incomplete(what.to_owned())).collect()
    }

    fn below(typed: bool) -> Vec<Missed> {
        let missed = |what: &str| Missed { what: what.to_owned(), ..Missed::default() };
        let first = missed("coverage total of 89 is less than fail-under=90").typed(typed);
        vec![first, missed("coverage fell from 91% to 89%")]
    }

    #[test]
    fn every_ending_has_its_code_word_and_sentence() {
        let stopped = Tally { collected: 30, failed: 10, not_run: 1, ..Tally::default() };
        let table: Vec<(Evidence, u8, Outcome, &str)> = vec![
            (good(), 0, Outcome::Passed, "9 tests passed"),
            (failing(), 1, Outcome::TestsFailed, "3 of 10 tests failed"),
            (
                Evidence { tally: stopped, aborted: true, ..good() },
                1,
                Outcome::Aborted,
                "stopped after 10 failures; 1 test did not run",
            ),
            (
                Evidence { missed: below(false)[..1].to_vec(), ..good() },
                2,
                Outcome::BelowThreshold,
                "coverage total of 89 is less than fail-under=90",
            ),
            (
                Evidence { missed: below(false), ..good() },
                2,
                Outcome::BelowThreshold,
                "coverage total of 89 is less than fail-under=90 (and 1 more threshold)",
            ),
            (
                Evidence { missed: below(true), narrowed: true, ..good() },
                2,
                Outcome::BelowThreshold,
                "coverage total of 89 is less than fail-under=90",
            ),
            (
                Evidence { problems: problems(), ..good() },
                3,
                Outcome::Incomplete,
                "coverage data is incomplete: split 3 left no coverage data",
            ),
            (
                Evidence { tally: stopped, ..good() },
                3,
                Outcome::Incomplete,
                "coverage data is incomplete: 1 test did not run, and nothing says why",
            ),
            (
                Evidence { tally: stopped, unmeasured: true, ..good() },
                3,
                Outcome::Incomplete,
                "the run is incomplete: 1 test did not run, and nothing says why",
            ),
            (
                Evidence { tally: stopped, uncollectable: true, ..good() },
                1,
                Outcome::TestsFailed,
                "10 of 30 tests failed",
            ),
            (
                Evidence { broken: broken(&["no `a.xml`: denied\nat line 3"]), ..failing() },
                3,
                Outcome::Error,
                "no `a.xml`: denied",
            ),
            (
                Evidence { broken: broken(&["no `a`", "no `b`"]), problems: problems(), ..good() },
                3,
                Outcome::Error,
                "no `a` (and 2 more problems)",
            ),
            (
                Evidence {
                    broken: [
                        broken(&["no `a`"]),
                        vec![Broken { exit: Exit::Usage, what: "no `[run]`".to_owned() }],
                    ]
                    .concat(),
                    ..good()
                },
                4,
                Outcome::Error,
                "no `[run]` (and 1 more problem)",
            ),
            (
                Evidence { tally: Tally::default(), ..good() },
                5,
                Outcome::NoTests,
                "no tests were found",
            ),
            (
                Evidence { tally: Tally::default(), no_tests_is_fine: true, ..good() },
                0,
                Outcome::Passed,
                "0 tests passed",
            ),
            (
                Evidence { findings: findings(), ..good() },
                1,
                Outcome::TestsFailed,
                "pytest's session ended with exit status 6",
            ),
            (
                Evidence { findings: findings(), ..failing() },
                1,
                Outcome::TestsFailed,
                "3 of 10 tests failed",
            ),
            (
                Evidence { tally: stopped, interrupted: Some(SIGINT), ..good() },
                130,
                Outcome::Interrupted,
                "interrupted; 1 test did not run",
            ),
            (
                Evidence { interrupted: Some(SIGTERM), ..good() },
                143,
                Outcome::Interrupted,
                "interrupted",
            ),
        ];
        for (evidence, code, outcome, sentence) in table {
            let verdict = judge(&evidence);
            let said = (verdict.exit.code(), verdict.outcome, verdict.sentence.as_str());
            assert_eq!(said, (code, outcome, sentence), "{evidence:?}");
        }
    }

    /// From the best to the worst: each wins over all that come before it.
    #[test]
    fn the_worst_ending_decides() {
        let mut evidence = Evidence { missed: below(true), ..good() };
        assert_eq!(judge(&evidence).exit.code(), 2);
        evidence.tally = Tally::default();
        assert_eq!(judge(&evidence).exit.code(), 5);
        evidence.tally.errors = 1;
        assert_eq!(judge(&evidence).exit.code(), 1);
        evidence.problems = problems();
        assert_eq!(judge(&evidence).exit.code(), 3);
        evidence.interrupted = Some(SIGTERM);
        assert_eq!(judge(&evidence).exit.code(), 143);
    }

    #[test]
    fn a_threshold_of_a_partial_run_counts_only_if_typed() {
        let complete = Evidence { missed: below(false), ..good() };
        for partial in [
            Evidence { narrowed: true, ..complete.clone() },
            Evidence { narrowed: true, failures_end_with_zero: true, ..complete.clone() },
        ] {
            assert!(judge(&partial).partial);
            assert_eq!(judge(&partial).exit, Exit::Passed);
            let typed = Evidence { missed: below(true), ..partial };
            assert_eq!(judge(&typed).exit, Exit::BelowThreshold);
        }
        assert!(!judge(&complete).partial);
    }

    #[test]
    fn failures_can_be_left_to_a_later_step() {
        let forgiving = Evidence { failures_end_with_zero: true, ..failing() };
        assert_eq!(judge(&forgiving).exit, Exit::Passed);
        assert_eq!(judge(&forgiving).outcome, Outcome::TestsFailed);
        let missing = Evidence { missed: below(false), ..forgiving.clone() };
        assert_eq!(judge(&missing).exit, Exit::BelowThreshold);
        let incomplete = Evidence { problems: problems(), ..forgiving.clone() };
        assert_eq!(judge(&incomplete).exit, Exit::Incomplete);
        let aborted = Evidence { aborted: true, ..forgiving };
        assert_eq!(judge(&aborted).exit, Exit::TestsFailed);
    }

    #[test]
    fn every_kind_of_failure_counts() {
        for tally in [
            Tally { failed: 1, ..good().tally },
            Tally { errors: 1, ..good().tally },
            Tally { crashed: 1, ..good().tally },
            Tally { timed_out: 1, ..good().tally },
            Tally { errors: 1, ..Tally::default() },
        ] {
            let evidence = Evidence { tally, ..good() };
            assert_eq!(judge(&evidence).exit, Exit::TestsFailed, "{tally:?}");
        }
    }
}
