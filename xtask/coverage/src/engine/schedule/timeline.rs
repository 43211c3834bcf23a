//! A trace as a timeline, in the Trace Event Format, which Perfetto and `chrome://tracing` open:
//! a track for each slot, with the units and the tests that ran there.

use std::collections::BTreeMap;
use std::io::{Result, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::io::{Action, Cause, Ended, Fate, Input, UnitOver, Verdict};
use crate::machine::meter::Reading;

/// The one process that all tracks belong to.
const PROCESS: u32 = 1;
/// The track of what is of no slot. Not 0: Perfetto takes that for an idle processor.
const RUN: usize = 1;

/// The track of a slot.
fn track(slot: usize) -> usize {
    RUN + 1 + slot
}

/// Writes a timeline.
#[derive(Debug)]
pub(crate) struct Timeline<W: Write> {
    to: W,
    events: u64,
    slots: BTreeMap<usize, Slot>,
    /// Microseconds since the run began, as all times here.
    now: u64,
}

/// What is open on a track.
#[derive(Debug, Default)]
struct Slot {
    unit: Option<Open>,
    /// The unit that its process was given to go on with.
    next: Option<Open>,
    goes_on: bool,
    pid: Option<i32>,
    /// The test that runs, and since when.
    test: Option<(usize, u64)>,
    failed: bool,
}

/// A unit that runs, or is to.
#[derive(Debug)]
struct Open {
    unit: u32,
    since: u64,
    about: Value,
    trial: bool,
}

impl<W: Write> Timeline<W> {
    /// Nothing has happened.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn begin(to: W) -> Result<Timeline<W>> {
        let mut timeline = Timeline { to, events: 0, slots: BTreeMap::new(), now: 0 };
        timeline.to.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        timeline.call("process_name", RUN, &json!({"name": "tests"}))?;
        timeline.call("thread_name", RUN, &json!({"name": "run"}))?;
        Ok(timeline)
    }

    /// Another scheduler begins, before anything runs.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn begin_anew(&mut self) -> Result<()> {
        self.instant(RUN, "run", "begins anew", &json!({}))
    }

    /// The scheduler was told this, and wants that done. `ids` are the node ids of the tests.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn note(
        &mut self,
        now: Duration,
        input: &Input,
        actions: &[Action],
        ids: &[String],
    ) -> Result<()> {
        self.now = self.now.max(u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        self.heard(input, ids)?;
        actions.iter().try_for_each(|action| self.wanted(action, ids))
    }

    /// Nothing more happens. What still runs ends here.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn finish(mut self) -> Result<W> {
        for (slot, open) in std::mem::take(&mut self.slots) {
            if let Some(unit) = open.unit {
                self.unit(slot, &unit, open.pid, false)?;
            }
        }
        self.to.write_all(b"\n]}\n")?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn heard(&mut self, input: &Input, ids: &[String]) -> Result<()> {
        match *input {
            Input::Collected(ref suite) => {
                let about = json!({"tests": ids.len(), "units": suite.units.len()});
                self.instant(RUN, "run", "collected", &about)
            }
            Input::HostReady { host, .. } => self.host("host is ready", host),
            Input::HostLost { host } => self.host("host is gone", host),
            Input::ProcessStarted { slot, pid, .. } => {
                self.slot(slot)?.pid = Some(pid);
                Ok(())
            }
            Input::TestStarted { slot, test } => {
                let now = self.now;
                let open = self.slot(slot)?;
                (open.test, open.failed) = (Some((test, now)), false);
                Ok(())
            }
            Input::TestFailed { slot, test } => {
                self.slot(slot)?.failed = true;
                self.instant(track(slot), "failure", "failed", &json!({"test": id(ids, test)}))
            }
            Input::UnitEnded { slot, goes_on, .. } => {
                self.slot(slot)?.goes_on = goes_on;
                Ok(())
            }
            Input::Machine(ref reading) => self.reading(reading),
            _ => Ok(()),
        }
    }

    fn wanted(&mut self, action: &Action, ids: &[String]) -> Result<()> {
        match *action {
            Action::Run { slot, host, unit, split, ref tests, after, trial, .. } => {
                let about = json!({"split": split, "tests": tests.len(), "host": host});
                let open = Open { unit, since: self.now, about, trial };
                let slot = self.slot(slot)?;
                match after {
                    Some(_) => slot.next = Some(open),
                    None => *slot = Slot { unit: Some(open), ..Slot::default() },
                }
                Ok(())
            }
            Action::Ended(ref ended) => self.test(ended, ids),
            Action::Over(ref over) => self.unit_over(over),
            Action::Stacks { slot, unit, .. } => self.press("stacks", slot, unit),
            Action::Kill { slot, unit, .. } => self.press("kill", slot, unit),
            Action::Quiet { slot, test, seconds, .. } => {
                let about = json!({"test": id(ids, test), "seconds": seconds});
                self.instant(track(slot), "kill", "does nothing", &about)
            }
            Action::Settled { unit, test, verdict } => {
                let about = json!({"test": id(ids, test), "unit": unit});
                self.instant(RUN, "confirmation", verdict_in_words(verdict), &about)
            }
            Action::LostBetweenTests { slot, split } => {
                let about = json!({"split": split});
                self.instant(track(slot), "failure", "process lost between tests", &about)
            }
            Action::Workers { allowed } => self.count("workers allowed", allowed.into()),
            Action::WaitsForMemory { needed, available } => {
                let about = json!({"needed": needed, "available": available});
                self.instant(RUN, "run", "waits for memory", &about)
            }
            Action::Abort { why } => self.instant(RUN, "run", "abort", &json!({"why": why})),
            Action::KillAll => self.instant(RUN, "kill", "kill all", &json!({})),
            Action::Finish { .. } => self.instant(RUN, "run", "finish", &json!({})),
            _ => Ok(()),
        }
    }

    /// A slot, of which the track has its name from the first time on.
    fn slot(&mut self, slot: usize) -> Result<&mut Slot> {
        if !self.slots.contains_key(&slot) {
            self.call("thread_name", track(slot), &json!({"name": format!("slot {slot}")}))?;
            self.call("thread_sort_index", track(slot), &json!({"sort_index": track(slot)}))?;
        }
        Ok(self.slots.entry(slot).or_default())
    }

    fn test(&mut self, ended: &Ended, ids: &[String]) -> Result<()> {
        let Ended { slot, unit, test, cause, fate } = *ended;
        let open = self.slot(slot)?;
        let failed = std::mem::take(&mut open.failed) || cause.is_some();
        let begun = open.test.take().filter(|(begun, _)| *begun == test);
        let since = begun.map_or(self.now, |(_, since)| since);
        let name = id(ids, test);
        if let Some(cause) = cause {
            let about = json!({"test": &name, "cause": cause});
            self.instant(track(slot), "failure", cause_in_words(cause), &about)?;
        }
        let fate = (fate != Fate::Counts).then_some(fate);
        let about = json!({"unit": unit, "failed": failed, "cause": cause, "fate": fate});
        self.slice(slot, "test", &name, since, &about)
    }

    fn unit_over(&mut self, over: &UnitOver) -> Result<()> {
        let now = self.now;
        let slot = self.slot(over.slot)?;
        let pid = slot.pid;
        let ended = slot.unit.take_if(|open| open.unit == over.unit);
        let next = slot.next.take().filter(|_| std::mem::take(&mut slot.goes_on));
        if ended.is_some() {
            slot.unit = next.map(|next| Open { since: now, ..next });
        }
        ended.map_or(Ok(()), |unit| self.unit(over.slot, &unit, pid, over.whole))
    }

    fn unit(&mut self, slot: usize, unit: &Open, pid: Option<i32>, whole: bool) -> Result<()> {
        let trial = if unit.trial { " (to confirm)" } else { "" };
        let mut about = unit.about.clone();
        about["pid"] = pid.into();
        about["whole"] = whole.into();
        self.slice(slot, "unit", &format!("unit {}{trial}", unit.unit), unit.since, &about)
    }

    fn reading(&mut self, reading: &Reading) -> Result<()> {
        self.count("processors busy", reading.busy.into())?;
        if let Some(available) = reading.available {
            self.count("memory available, MiB", (available >> 20).into())?;
        }
        let held = reading.processes.values().map(|usage| usage.memory).sum::<u64>();
        self.count("memory of workers, MiB", (held >> 20).into())?;
        self.count("workers", reading.processes.len().into())
    }

    fn host(&mut self, what: &str, host: usize) -> Result<()> {
        self.instant(RUN, "host", what, &json!({"host": host}))
    }

    fn press(&mut self, what: &str, slot: usize, unit: u32) -> Result<()> {
        self.instant(track(slot), "kill", what, &json!({"unit": unit}))
    }

    /// The metadata of a track.
    fn call(&mut self, what: &str, track: usize, args: &Value) -> Result<()> {
        self.event(&json!({"ph": "M", "name": what, "pid": PROCESS, "tid": track, "args": args}))
    }

    fn slice(
        &mut self,
        slot: usize,
        kind: &str,
        name: &str,
        since: u64,
        args: &Value,
    ) -> Result<()> {
        let (tid, dur) = (track(slot), self.now - since);
        self.event(&json!({
            "ph": "X", "cat": kind, "name": name, "pid": PROCESS, "tid": tid,
            "ts": since, "dur": dur, "args": args,
        }))
    }

    fn instant(&mut self, track: usize, kind: &str, name: &str, args: &Value) -> Result<()> {
        // On its track, or across all of them.
        let scope = if track == RUN { "p" } else { "t" };
        self.event(&json!({
            "ph": "i", "s": scope, "cat": kind, "name": name, "pid": PROCESS, "tid": track,
            "ts": self.now, "args": args,
        }))
    }

    fn count(&mut self, name: &str, value: Value) -> Result<()> {
        self.event(&json!({
            "ph": "C", "name": name, "pid": PROCESS, "tid": RUN, "ts": self.now,
            "args": {"value": value},
        }))
    }

    fn event(&mut self, event: &Value) -> Result<()> {
        self.to.write_all(if self.events > 0 { b",\n" } else { b"\n" })?;
        self.events += 1;
        Ok(serde_json::to_writer(&mut self.to, event)?)
    }
}

fn id(ids: &[String], test: usize) -> String {
    ids.get(test).cloned().unwrap_or_else(|| format!("test {test}"))
}

fn cause_in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Broken => "internal error",
        Cause::Died => "crashed",
        Cause::TimedOut => "timed out",
        Cause::OutOfMemory { .. } => "out of memory",
        Cause::Hung => "hung",
    }
}

fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "failure confirmed",
        Verdict::Flaky => "flaky",
        Verdict::Unconfirmed => "failure not confirmed",
        Verdict::Fresh(_) => "fails in forks only",
    }
}

/// The events of a timeline, which has to be one that viewers can open.
#[cfg(test)]
pub(super) fn check(text: &[u8]) -> Vec<Value> {
    let file: Value = serde_json::from_slice(text).expect("a JSON object");
    let events = file["traceEvents"].as_array().expect("events").clone();
    let mut open: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in &events {
        assert!(event["name"].is_string() && event["pid"] == PROCESS, "{event}");
        let tid = event["tid"].as_u64().expect("a track");
        let time = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key} of {event}"));
        match event["ph"].as_str() {
            Some("M") => {}
            Some("X") => {
                let slice = (time("ts"), time("ts") + time("dur"));
                open.entry(tid).or_default().push(slice);
            }
            Some("i") => assert!(time("ts") < u64::MAX && event["s"].is_string(), "{event}"),
            Some("C") => assert!(time("ts") < u64::MAX && event["args"]["value"].is_number()),
            _ => panic!("{event}"),
        }
    }
    // On a track, slices lie side by side or within each other.
    for slices in open.values() {
        for (at, a) in slices.iter().enumerate() {
            let crosses = |b: &(u64, u64)| a.0 < b.0 && b.0 < a.1 && a.1 < b.1;
            assert!(!slices.iter().any(crosses), "{a:?} ({at}) crosses another one: {slices:?}");
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::meter::Usage;

    const RUN_ONE: Action = Action::Run {
        slot: 1,
        host: 0,
        unit: 1,
        split: 2,
        tests: Vec::new(),
        after: None,
        asks: true,
        trial: false,
    };

    fn over(unit: u32) -> Action {
        let (split, slot, host, since) = (2, 1, 0, 0.0);
        let (whole, trial, told) = (true, false, 1);
        Action::Over(UnitOver { unit, split, slot, host, since, whole, trial, told })
    }

    /// What there is of a kind: name, track, beginning and length.
    fn of(events: &[Value], phase: &str) -> Vec<(String, u64, u64, u64)> {
        let number = |event: &Value, key: &str| event[key].as_u64().unwrap_or_default();
        let found = events.iter().filter(|event| event["ph"] == phase);
        let row = |it: &Value| {
            let name = it["name"].as_str().unwrap_or_default().to_owned();
            (name, number(it, "tid"), number(it, "ts"), number(it, "dur"))
        };
        found.map(row).collect()
    }

    /// The events of what happened at these milliseconds.
    fn timeline(happened: Vec<(u64, Input, Vec<Action>)>) -> Vec<Value> {
        let ids = ["t.py::a".to_owned(), "t.py::b".to_owned()];
        let mut timeline = Timeline::begin(Vec::new()).expect("in memory");
        for (ms, input, actions) in happened {
            let now = Duration::from_millis(ms);
            timeline.note(now, &input, &actions, &ids).expect("in memory");
        }
        check(&timeline.finish().expect("in memory"))
    }

    fn ended(test: usize, cause: Option<Cause>) -> Action {
        Action::Ended(Ended { slot: 1, unit: 1, test, cause, fate: Fate::Counts })
    }

    #[test]
    fn tests_lie_in_their_units_and_units_follow_each_other() {
        let mut second = RUN_ONE;
        if let Action::Run { unit, after, .. } = &mut second {
            (*unit, *after) = (2, Some(1));
        }
        let events = timeline(vec![
            (10, Input::Tick, vec![RUN_ONE]),
            (15, Input::ProcessStarted { slot: 1, pid: 77, memory: None }, vec![]),
            (20, Input::TestStarted { slot: 1, test: 0 }, vec![]),
            (25, Input::Asked { slot: 1 }, vec![second]),
            (30, Input::TestEnded { slot: 1, test: 0, failed: false }, vec![ended(0, None)]),
            (40, Input::UnitEnded { slot: 1, goes_on: true, fixtures: 0.0 }, vec![over(1)]),
            (45, Input::TestStarted { slot: 1, test: 1 }, vec![]),
            (50, Input::TestFailed { slot: 1, test: 1 }, vec![]),
            (60, Input::Tick, vec![Action::Kill { slot: 1, host: 0, unit: 2 }]),
            (70, Input::Tick, vec![ended(1, Some(Cause::TimedOut)), over(2)]),
        ]);
        let row = |name: &str, ts: u64, dur: u64| (name.to_owned(), 3, ts * 1000, dur * 1000);
        let slices = [
            row("t.py::a", 20, 10),
            row("unit 1", 10, 30),
            row("t.py::b", 45, 25),
            row("unit 2", 40, 30),
        ];
        assert_eq!(of(&events, "X"), slices);
        let instants = [row("failed", 50, 0), row("kill", 60, 0), row("timed out", 70, 0)];
        assert_eq!(of(&events, "i"), instants);
        let names: Vec<&Value> = events.iter().map(|it| &it["args"]["name"]).collect();
        assert!(names.contains(&&json!("slot 1")), "{names:?}");
        let unit = events.iter().find(|it| it["name"] == "unit 2").expect("the second unit");
        assert_eq!((&unit["args"]["pid"], &unit["args"]["split"]), (&json!(77), &json!(2)));
    }

    #[test]
    fn what_the_machine_does_is_counted() {
        let usage = Usage { memory: 3 << 20, ..Usage::default() };
        let processes = [(7, usage.clone()), (8, usage)].into();
        let available = Some(1 << 30);
        let reading = Reading { busy: 1.5, available, processes, ..Reading::default() };
        let workers = vec![Action::Workers { allowed: 4 }];
        let events = timeline(vec![(500, Input::Machine(reading), workers)]);
        let counters = events.iter().filter(|event| event["ph"] == "C");
        let counters: Vec<_> = counters.map(|it| (&it["name"], &it["args"]["value"])).collect();
        let wanted = [
            (json!("processors busy"), json!(1.5)),
            (json!("memory available, MiB"), json!(1024)),
            (json!("memory of workers, MiB"), json!(6)),
            (json!("workers"), json!(2)),
            (json!("workers allowed"), json!(4)),
        ];
        assert_eq!(counters, wanted.iter().map(|(name, value)| (name, value)).collect::<Vec<_>>());
    }

    #[test]
    fn what_still_runs_at_the_end_is_closed() {
        let events = timeline(vec![
            (10, Input::Tick, vec![RUN_ONE]),
            (30, Input::Stop(super::super::Why::Signal), vec![]),
        ]);
        assert_eq!(of(&events, "X"), [("unit 1".to_owned(), 3, 10_000, 20_000)]);
    }
}
