//! A trace: every input of the scheduler and every action, a line of JSON each, with the seconds
//! since the start of the run. What a scheduler did can be seen in it, and done again.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Input, Rules, Scheduler};

/// A line of a trace.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    at: f64,
    /// On the first line, and wherever the run begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Rules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
}

/// Writes a trace.
#[derive(Debug)]
pub(crate) struct Trace<W: Write> {
    to: W,
}

impl<W: Write> Trace<W> {
    /// A scheduler with these rules begins.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn begin(to: W, rules: &Rules) -> std::io::Result<Trace<W>> {
        let mut trace = Trace { to };
        trace.begin_anew(rules)?;
        Ok(trace)
    }

    /// Another scheduler, with these rules, takes its place.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn begin_anew(&mut self, rules: &Rules) -> std::io::Result<()> {
        self.line(&Line { rules: Some(rules.clone()), ..Line::default() })
    }

    /// It was told this, and wants that done.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn note(
        &mut self,
        now: Duration,
        input: &Input,
        actions: &[Action],
    ) -> std::io::Result<()> {
        let at = now.as_secs_f64();
        self.line(&Line { at, input: Some(input.clone()), ..Line::default() })?;
        let mut actions = actions.iter().cloned().map(Some);
        actions.try_for_each(|action| self.line(&Line { at, action, ..Line::default() }))
    }

    /// Nothing more happens. Returns where it was written to.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn finish(mut self) -> std::io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }

    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.to, line)?;
        self.to.write_all(b"\n")
    }
}

/// Does again what a trace says: a scheduler with its rules is told its inputs, and has to want
/// the same.
///
/// # Errors
///
/// The number of the first line that cannot be read, or where it wants something else: what.
pub fn replay(trace: impl BufRead) -> Result<(), String> {
    let mut scheduler = None;
    let mut wanted = VecDeque::new();
    for (number, line) in (1..).zip(trace.lines()) {
        let at = |what: String| format!("line {number}: {what}");
        let line = line.map_err(|error| at(error.to_string()))?;
        let line: Line = serde_json::from_str(&line).map_err(|error| at(error.to_string()))?;
        if let Some(rules) = line.rules {
            scheduler = Some(Scheduler::new(rules));
        }
        if let Some(input) = line.input {
            let now = Duration::from_micros((line.at * 1e6).round() as u64);
            let scheduler = scheduler.as_mut().ok_or_else(|| at("no rules yet".to_owned()))?;
            missing(wanted.front()).map_err(at)?;
            wanted.extend(scheduler.handle(input, now));
        }
        if let Some(action) = line.action
            && wanted.pop_front().as_ref() != Some(&action)
        {
            return Err(at(format!("{action:?} is not what the scheduler does now")));
        }
    }
    missing(wanted.front())
}

/// Nothing should be left of what the scheduler wants.
fn missing(action: Option<&Action>) -> Result<(), String> {
    action.map_or(Ok(()), |action| Err(format!("{action:?} is not in the trace")))
}
