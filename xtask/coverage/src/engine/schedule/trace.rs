//! A trace: every input of the scheduler and every action, a line of JSON each, with the seconds
//! since the start of the run. What a scheduler did can be seen in it, and done again.

use std::io::{BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Input, Rules, Scheduler};

/// A line of a trace.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// The first one, and wherever the run begins anew.
    Rules { rules: Rules },
    Input {
        at: f64,
        #[serde(flatten)]
        input: Input,
    },
    Action {
        at: f64,
        #[serde(flatten)]
        action: Action,
    },
}

/// Writes a trace.
#[derive(Debug)]
pub struct Trace<W: Write> {
    to: W,
}

impl<W: Write> Trace<W> {
    /// A scheduler with these rules begins.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn begin(to: W, rules: &Rules) -> std::io::Result<Trace<W>> {
        let mut trace = Trace { to };
        trace.line(&Line::Rules { rules: rules.clone() })?;
        Ok(trace)
    }

    /// It was told this, and wants that done.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn note(
        &mut self,
        now: Duration,
        input: &Input,
        actions: &[Action],
    ) -> std::io::Result<()> {
        let at = now.as_secs_f64();
        self.line(&Line::Input { at, input: input.clone() })?;
        let mut actions = actions.iter().cloned();
        actions.try_for_each(|action| self.line(&Line::Action { at, action }))
    }

    /// Where it was written to.
    #[cfg(test)]
    pub(super) fn into_inner(self) -> W {
        self.to
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
    let mut wanted = std::collections::VecDeque::new();
    for (number, line) in (1..).zip(trace.lines()) {
        let at = |what: String| format!("line {number}: {what}");
        let line = line.map_err(|error| at(error.to_string()))?;
        match serde_json::from_str(&line).map_err(|error| at(error.to_string()))? {
            Line::Rules { rules } => scheduler = Some(Scheduler::new(rules)),
            Line::Input { at: now, input } => {
                let now = Duration::from_micros((now * 1e6).round() as u64);
                let scheduler = scheduler.as_mut().ok_or_else(|| at("no rules yet".to_owned()))?;
                if let Some(action) = wanted.front() {
                    return Err(at(format!("{action:?} is not in the trace")));
                }
                wanted.extend(scheduler.handle(input, now));
            }
            Line::Action { action, .. } => match wanted.pop_front() {
                Some(it) if it == action => {}
                other => return Err(at(format!("{action:?} was wanted, and now {other:?}"))),
            },
        }
    }
    wanted.front().map_or(Ok(()), |action| Err(format!("{action:?} is not in the trace")))
}
