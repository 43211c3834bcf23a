//! How several projects ended, as one verdict.

use super::Answer;
use crate::exit::Exit;
use crate::model::Tally;
use crate::model::format::count;
use crate::report::summary::Outcome;
use crate::report::thresholds::Missed;
use crate::report::verdict::{Broken, Verdict, below};

/// The worst ending of a project decides, by [`Exit::worse`]; with it what was missed by all
/// together, and what could not be written.
pub(crate) fn judge(answers: &[Answer], missed: &[Missed], broken: &[Broken]) -> Verdict {
    let partial = answers.iter().any(|answer| answer.partial);
    let counted: Vec<&Missed> = missed.iter().filter(|it| !partial || it.even_partial).collect();
    let joint = broken.iter().map(|it| it.exit);
    let joint = joint.chain(counted.first().map(|_| Exit::BelowThreshold));
    let exit = answers.iter().map(|it| it.exit).chain(joint).fold(Exit::Passed, Exit::worse);
    // A failure that ends with zero is still what there is to say.
    let decides = |it: &&Answer| it.exit == exit && it.outcome != Outcome::Passed;
    let deciding: Vec<&Answer> = answers.iter().filter(decides).collect();
    let (outcome, sentence) = match deciding.as_slice() {
        [] => alone(answers, &counted, broken),
        [first, others @ ..] => (first.outcome, named(first, others.len())),
    };
    Verdict { exit, outcome, partial, sentence }
}

/// Where no project is to blame.
fn alone(answers: &[Answer], missed: &[&Missed], broken: &[Broken]) -> (Outcome, String) {
    if let Some(broken) = broken.first() {
        let first = broken.what.lines().next().unwrap_or_default();
        return (Outcome::Error, first.to_owned());
    }
    if !missed.is_empty() {
        return (Outcome::BelowThreshold, below(missed));
    }
    let tally: Tally = answers.iter().map(|it| it.tally).sum();
    let tests = count(tally.passed + tally.xfailed + tally.xpassed, "test");
    (Outcome::Passed, format!("{tests} passed in {}", count(answers.len() as u64, "project")))
}

fn named(first: &Answer, others: usize) -> String {
    let Answer { name, sentence, .. } = first;
    match others {
        0 => format!("{name}: {sentence}"),
        n => format!(
            "{name}: {sentence} (and {n} more {})",
            if n == 1 { "project" } else { "projects" }
        ),
    }
}
