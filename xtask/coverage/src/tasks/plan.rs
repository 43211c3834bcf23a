//! `cargo xtask coverage plan`: which tests each split would run, and how long it should take; for
//! people, for other programs, and for shards that are to split alike.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::show;
use crate::engine::around::around;
use crate::engine::{Happening, Job, collect};
use crate::exit::{self, Exit};
use crate::files;
use crate::invocation::Invocation;
use crate::model::format::{count, seconds};
use crate::prepare::{self, Prepared, banner, shard};
use crate::project::{Project, runs};
use crate::screen::Screen;
use crate::shard::plan::PlanFile;
use crate::split::{Cut, Plan, Sum};

/// Collects the suite and shows the cut.
pub(super) fn run(invocation: &Invocation<'_>, project: &Project) -> Result<Exit> {
    let prepared = prepare::prepare(invocation, project)?;
    show::refuse(&prepared, "there is nothing to plan")?;
    let (_temporary, folder) = runs::temporary(&prepared.state, &prepared.lock)?;
    let job = prepare::job::job(project, &prepared, || Ok(folder))?;
    let engine = prepare::engine::choose(invocation.screen, &prepared)?;
    banner::say(invocation.screen, project, &prepared, engine);
    let plan = collect(invocation, &prepared, &job)?;
    let planning = &invocation.typed.planning;
    if planning.out.is_some() || planning.json {
        tell(invocation, project, &job, &plan)?;
    }
    if !planning.json {
        show(invocation.screen, &plan, &job);
    }
    Ok(Exit::Passed)
}

/// Prints the plan, and writes it down.
fn tell(invocation: &Invocation<'_>, project: &Project, job: &Job, plan: &Plan) -> Result<()> {
    let head = project.head()?;
    let name = shard::name(project, head);
    let file = PlanFile::of(&name, head.commit.clone(), plan, shard::durations(job), made());
    let text = serde_json::to_string_pretty(&file).context("failed to describe the plan")?;
    if invocation.typed.planning.json {
        invocation.screen.say(&text);
    }
    let Some(path) = &invocation.typed.planning.out else { return Ok(()) };
    let path = invocation.here.join(path);
    files::write_output(&path, &(text + "\n"))
        .with_context(|| exit::usage(format!("failed to write the plan to `{path}`")))?;
    invocation.screen.note(&format!("Plan: {path}"));
    Ok(())
}

/// A name that no other plan has.
fn made() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    // Keys that the standard library draws at random.
    let drawn = RandomState::new().hash_one(now);
    format!("{now:x}-{drawn:x}")
}

/// Collects the suite and cuts it.
pub(super) fn collect(invocation: &Invocation<'_>, prepared: &Prepared, job: &Job) -> Result<Plan> {
    let doing = invocation.screen.doing("Collecting the tests");
    let mut show = |happening: Happening<'_>| invocation.screen.show(&happening);
    let ended = around(job, 1, &mut show, |job, _| collect::suite(job))?;
    drop(doing);
    let Some(Cut { before: ids, marks, .. }) = ended.value.filter(|_| ended.signal.is_none())
    else {
        return Err(exit::interrupted(ended.signal.unwrap_or_default()).into());
    };
    ended.troubles.iter().for_each(|it| invocation.screen.warn(it));
    if ids.is_empty() {
        return Err(exit::no_tests("no tests were found").into());
    }
    let sum = Sum::of_python(&prepared.facts.python);
    let plan = Plan::new(ids, &job.times.committed, job.splits, sum);
    let mut plan = plan.with_whole_documents(&marks.documents);
    plan.predict(&job.times.recorded);
    Ok(plan)
}

fn show(screen: &Screen, plan: &Plan, job: &Job) {
    for split in &plan.splits {
        let tests = count(split.tests.len() as u64, "test");
        let longest =
            split.tests.iter().max_by(|a, b| plan.seconds[**a].total_cmp(&plan.seconds[**b]));
        let longest = longest
            .map(|&test| format!("; longest {} ({})", plan.ids[test], seconds(plan.seconds[test])));
        let line =
            format!("[Split {}/{}] {tests}, {}", split.number, job.splits, seconds(split.seconds));
        screen.say(&format!("{line}{}", longest.unwrap_or_default()));
    }
    let slots = job.concurrent * job.workers;
    let total = plan.total();
    screen.say(&format!(
        "{} in {}: {} one after the other, about {} with {}",
        count(plan.ids.len() as u64, "test"),
        count(u64::from(job.splits), "split"),
        seconds(total),
        seconds(total / f64::from(slots)),
        count(u64::from(slots), "worker"),
    ));
}
