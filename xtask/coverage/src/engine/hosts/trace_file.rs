//! `--trace`: what the scheduler is told and what it wants done, in a file. Its name decides how:
//! as lines that can be replayed, or as a timeline for a viewer.

use std::fs::File;
use std::io::{BufWriter, Result};
use std::time::Duration;

use anyhow::Context;
use camino::Utf8Path;

use crate::engine::schedule::{Action, Input, Rules, Timeline, Trace};

pub(super) enum TraceFile {
    /// JSON Lines.
    Lines(Trace<BufWriter<File>>),
    /// Trace Event Format.
    Timeline(Timeline<BufWriter<File>>),
}

impl TraceFile {
    /// A scheduler with these rules begins.
    pub(super) fn begin(path: &Utf8Path, rules: &Rules) -> anyhow::Result<TraceFile> {
        let begin = || -> Result<TraceFile> {
            let to = BufWriter::new(File::create(path)?);
            Ok(match path.extension() {
                Some("json") => TraceFile::Timeline(Timeline::begin(to)?),
                _ => TraceFile::Lines(Trace::begin(to, rules)?),
            })
        };
        begin().with_context(|| format!("failed to write the trace to `{path}`"))
    }

    /// Another scheduler takes its place.
    pub(super) fn begin_anew(&mut self, rules: &Rules) -> Result<()> {
        match self {
            TraceFile::Lines(trace) => trace.begin_anew(rules),
            TraceFile::Timeline(timeline) => timeline.begin_anew(),
        }
    }

    /// The scheduler was told this, and wants that done.
    pub(super) fn note(
        &mut self,
        now: Duration,
        input: &Input,
        actions: &[Action],
        ids: &[String],
    ) -> Result<()> {
        match self {
            TraceFile::Lines(trace) => trace.note(now, input, actions),
            TraceFile::Timeline(timeline) => timeline.note(now, input, actions, ids),
        }
    }

    /// Nothing more comes. A disk that is full may not be noticed before.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            TraceFile::Lines(trace) => trace.finish(),
            TraceFile::Timeline(timeline) => timeline.finish(),
        }
        .map(drop)
    }
}
