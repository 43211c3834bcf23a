//! `cargo xtask coverage verify --check-core PERCENT`: whether the native core measures what
//! coverage's own does, in a share of the tests.

use anyhow::Result;

use super::suite;
use super::verify::{Measured, Section, Verify, size};
use crate::cli::{Core, Engine};
use crate::digest;
use crate::engine::{Measure, collect};
use crate::exit::{self, Exit};
use crate::history::outstanding;
use crate::invocation::Invocation;
use crate::model::NodeId;
use crate::model::format::count;
use crate::prepare::{Prepared, banner};
use crate::project::Project;
use crate::report::identity::{Compared, Place};
use crate::split::Isolation;

/// Runs the share under both cores, and once more under coverage's own where they differ: what that
/// does not measure twice is the suite's noise. How tests end says nothing here.
pub(super) fn run(
    invocation: &Invocation<'_>,
    project: &Project,
    mut prepared: Prepared,
    percent: f64,
) -> Result<Exit> {
    let engine = suite::engine(invocation, project, &mut prepared)?;
    refuse(&prepared, engine)?;
    let prepared = &prepared;
    banner::say(invocation.screen, project, prepared, engine);
    let verify = Verify { screen: invocation.screen, project, prepared };
    let collecting = invocation.screen.doing("Collecting the tests");
    let ids = collect::suite(&verify.job("collected")?)?.before;
    drop(collecting);
    // Another share for each commit, so that all have been checked at some time.
    let seed = project.head()?.commit.clone().unwrap_or_default();
    let chosen = share(&ids, percent, &seed);
    if chosen.is_empty() {
        return Err(exit::no_tests("no tests were found").into());
    }
    let tests = count(ids.len() as u64, "test");
    verify.screen.note(&format!("Checked: {} of {tests}", chosen.len()));

    let measure = |name: &str, core: Core| {
        verify.screen.note(&format!("Run under the core {name}"));
        measured(&verify, engine, &chosen, name, core)
    };
    let native = measure("native", Core::Native)?;
    let mut own = vec![measure("coverage", Core::Coverage)?];
    let mut compared = verify.compare(&own, &native)?;
    if !compared.is_equal() {
        own.push(measure("coverage-again", Core::Coverage)?);
        compared = verify.compare(&own, &native)?;
    }
    Ok(conclude(&verify, &compared))
}

fn refuse(prepared: &Prepared, engine: Engine) -> Result<()> {
    if engine == Engine::Stock {
        let why = "`--check-core` checks the native core, and the stock engine goes without it; \
                   use `--engine fork` or `spawn`";
        return Err(exit::usage(why.to_owned()).into());
    }
    match &prepared.core {
        Ok(_) => Ok(()),
        Err(why) => {
            let why = format!("there is no native core that `--check-core` could check: {why}");
            Err(exit::usage(why).into())
        }
    }
}

/// A run of these tests, each file's in a process of its own: the same under each core.
fn measured(
    verify: &Verify<'_>,
    engine: Engine,
    ids: &[&String],
    name: &str,
    core: Core,
) -> Result<Measured> {
    let mut job = verify.job(name)?;
    job.confirms = false;
    job.retries = 0;
    job.isolation = Isolation::File;
    if let Some(measure) = job.measure.take() {
        job.measure = Some(match core {
            Core::Coverage => Measure { core: None, insist: false, ..measure },
            Core::Auto | Core::Native => measure,
        });
    }
    outstanding::narrow_to(&mut job, ids, &verify.prepared.rootdir(verify.project))?;
    verify.measure(engine, &job)
}

/// The tests of so many of a hundred files, of one at least. Which these are depends on the seed and
/// on their names alone.
fn share<'a>(ids: &'a [String], percent: f64, seed: &str) -> Vec<&'a String> {
    let place = |id: &str| {
        let digest = digest::of_texts([seed, NodeId(id).file()].into_iter());
        let first = digest.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        f64::from(first.unwrap_or_default()) / f64::from(u32::MAX) * 100.0
    };
    let least = ids.iter().map(|id| place(id)).fold(100.0, f64::min);
    ids.iter().filter(|id| place(id) <= percent.max(least)).collect()
}

fn conclude(verify: &Verify<'_>, compared: &Compared) -> Exit {
    let sections = sections(compared);
    sections.iter().for_each(|section| verify.say_section(section));
    let paint = verify.screen.paint();
    let faults: usize = sections.iter().filter(|it| it.fault).map(|it| it.rows.len()).sum();
    let (line, exit) = match (faults, sections.len()) {
        (0, 0) => (paint.green(&format!("✓ both cores agree: {}", size(compared))), Exit::Passed),
        (0, _) => {
            let line = format!("✓ both cores agree but for the suite's noise: {}", size(compared));
            (paint.green(&line), Exit::Passed)
        }
        _ => {
            let line = format!(
                "✗ the cores differ: {}; `--core coverage` measures with coverage's own",
                count(faults as u64, "difference")
            );
            (paint.red(&line), Exit::Incomplete)
        }
    };
    verify.screen.say(&line);
    exit
}

fn sections(compared: &Compared) -> Vec<Section> {
    let noise = "Noise of the suite: coverage's own core does not measure this twice";
    let sections = [
        (noise, false, &compared.noise),
        ("Fault: only coverage's own core has this", true, &compared.missing),
        ("Fault: only the native core has this", true, &compared.extra),
    ];
    let section = |(title, fault, places): (_, _, &Vec<Place>)| Section {
        title,
        fault,
        rows: places.iter().flat_map(Place::rows).collect(),
    };
    sections.into_iter().map(section).filter(|section| !section.rows.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<String> {
        let id = |number: u32| format!("tests/test_{}.py::test_{number}", number / 10);
        (0..1000).map(id).collect()
    }

    #[test]
    fn files_are_whole_and_so_many() {
        let ids = ids();
        let chosen = share(&ids, 20.0, "commit");
        assert!((100..400).contains(&chosen.len()), "{}", chosen.len());
        let files: std::collections::BTreeSet<_> =
            chosen.iter().map(|id| NodeId(id).file()).collect();
        assert_eq!(chosen.len(), files.len() * 10);
        assert_ne!(chosen, share(&ids, 20.0, "another"));
    }

    #[test]
    fn there_is_always_one() {
        let ids = ids();
        assert_eq!(share(&ids, 0.0, "").len(), 10);
        assert_eq!(share(&ids, 100.0, "").len(), 1000);
        assert!(share(&[], 5.0, "").is_empty());
    }
}
