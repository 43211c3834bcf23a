//! The engines fork and spawn: hosts of ours, in Python, collect the suite and run units of it;
//! what is said to them and by them is written down in `host/PROTOCOL.md`.
//!
//! With `fork` one host collects and runs each unit in a fork of itself; where collecting takes
//! long, its collectors, forks too, do both for a part of the test files each. With `spawn` there is a
//! host for each slot; each collects, and runs its units itself, one after the other. What runs
//! when and what has to end is decided by the scheduler; here are the processes and their pipes.

mod account;
mod claims;
mod data;
mod driver;
mod exit;
mod host;
mod list;
mod parts;
mod session;
mod stacks;
mod trace_file;

use std::process::ExitStatus;
use std::sync::mpsc::channel;

use anyhow::Result;

use self::account::Account;
use self::claims::Claims;
use self::driver::Driver;
use self::host::{Mode, Source};
use self::list::Hosts;
use super::around::Variables;
use super::jobserver::client::News;
use super::journal::Journal;
use super::{Happening, Job, Ran, child, orphans, signals};
use crate::shard::tail::Answer;

/// Runs the suite in forks of one host, or without forks where its threads forbid them, and
/// tells `show` what happens.
pub(crate) fn fork(job: &Job, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    let mode = if job.collecting.collectors > 1 { Mode::Shards } else { Mode::Fork };
    run(job, mode, show)
}

/// Runs the suite in hosts that do not fork, and tells `show` what happens.
pub(crate) fn spawn(job: &Job, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    run(job, Mode::Spawn, show)
}

fn run(job: &Job, mode: Mode, show: &mut dyn FnMut(Happening<'_>)) -> Result<Ran> {
    let (tell, hear) = channel();
    let (to_signals, to_claims) = (tell.clone(), tell.clone());
    let _listening = signals::listen(move |signal| {
        let _ = to_signals.send(Message::Signal(signal));
    });
    let to_share = tell.clone();
    let hosts = Hosts::start(job, mode, job.pool, tell)?;
    let _reaping = orphans::reap()?;
    let journal = Journal::create(&job.folder.results())?;
    let account = Account::new(job, journal, show);
    let mut driver = Driver::new(job, hosts, account, Claims::start(job, to_claims)?)?;
    let sharing = job.jobserver.as_ref().map(|client| {
        client.begin(driver.terms(), move |news| drop(to_share.send(Message::News(news))))
    });
    driver.run(&hear);
    drop(sharing);
    child::end_descendants();
    Ok(driver.ran())
}

/// What hosts, and whoever waits for their ends, have to say. Hosts are numbered in the order of
/// their start.
enum Message {
    /// A line; none at the end of the pipe.
    Line { host: usize, source: Source, line: Option<String> },
    /// The process of a host has ended; what it said before may still be to come.
    Exited { host: usize, status: ExitStatus },
    /// What a worker has of its own is there, or cannot be had; the process that waits for it is
    /// that of a unit, or of a host.
    Variables { host: usize, unit: Option<u32>, set_up: Result<Variables, String> },
    /// What came of a claim, and what went wrong.
    Claimed(Answer, Option<String>),
    /// What the server wants, where several runs share processes.
    News(News),
    /// Ctrl-C and the like.
    Signal(signals::Arrived),
}
