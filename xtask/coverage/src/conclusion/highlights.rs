//! What is said at the end of a run besides failures, reports and the verdict.

use std::collections::BTreeMap;

use super::value::{Conclusion, Finished};
use crate::model::TestOutcome;
use crate::model::format::{one_line, seconds};
use crate::report::coverage::Rendered;
use crate::report::highlights;

impl Finished<'_> {
    /// Files that fell, if this was a complete run; slow tests, tests that are not to be relied
    /// on, and how to go on after an abort.
    pub(super) fn say_highlights(&self, conclusion: &Conclusion) {
        let screen = self.invocation.screen;
        let all = screen.is_verbose();
        let now = conclusion.complete().map(percentages).unwrap_or_default();
        let fallen = highlights::fallen(&self.prepared.history.files, &now);
        highlights::say_fallen(&fallen, all).iter().for_each(|line| screen.say(line));
        if !screen.is_quiet() && self.ran.interrupted.is_none() {
            self.say_slowest(all);
        }
        self.say_unreliable(all);
        if self.ran.withheld {
            screen
                .say("hint: `--heal` runs here what is missing, `--allow-missing` does without it");
        } else if self.ran.ledger.tally().not_run > 0 {
            let command = conclusion.again.last_failed();
            screen.say(&format!("What failed or did not run: {command}"));
        }
    }

    fn say_slowest(&self, all: bool) {
        let screen = self.invocation.screen;
        let durations = self.ran.ledger.durations();
        let slowest = highlights::slowest(&durations, all);
        if !slowest.is_empty() {
            screen.say("Slowest tests:");
        }
        for (id, took) in slowest {
            screen.say(&format!("{:>10}  {}", seconds(took), one_line(id)));
        }
    }

    fn say_unreliable(&self, all: bool) {
        let screen = self.invocation.screen;
        let outcomes = self.ran.ledger.outcomes();
        let ended = |wanted| -> Vec<String> {
            let them = outcomes.iter().filter(|(_, outcome)| **outcome == wanted);
            them.map(|(id, _)| one_line(id)).collect()
        };
        let flaky = self.ran.ledger.flaky().into_iter().map(one_line).collect();
        let named = |ids: &[String]| ids.iter().map(|id| one_line(id)).collect();
        let groups = [
            ("Crashed", ended(TestOutcome::Crashed)),
            ("Timed out", ended(TestOutcome::TimedOut)),
            ("Flaky, passed when repeated", flaky),
            ("Failed, but passed when repeated", named(&self.ran.flaky_in_confirmation)),
            ("Need a fresh process, as they fail in forks only", named(&self.ran.only_fresh)),
        ];
        for (title, ids) in groups {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let lines = highlights::named(title, &ids, all);
            lines.iter().for_each(|line| screen.say(&screen.paint().yellow(line)));
        }
    }
}

/// Percent of each file.
pub(super) fn percentages(rendered: &Rendered) -> BTreeMap<String, f64> {
    let files = rendered.files.iter();
    files.map(|file| (file.path.to_string(), file.percent)).collect()
}
