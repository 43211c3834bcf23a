//! What will run, in the way of a banner.

use camino::Utf8PathBuf;

use super::prepared::Prepared;
use super::{engine, isolation};
use crate::cli::Engine;
use crate::engine::seed::HashSeed;
use crate::model::format::count;
use crate::project::{Facts, Project};
use crate::screen::Screen;
use crate::settings::{Origin, Setting, Settings, Workers};

/// Says what will run, in the way of a banner.
pub(crate) fn say(screen: &Screen, project: &Project, prepared: &Prepared, engine: Engine) {
    let Prepared { settings, facts, .. } = prepared;
    let splits = settings.splits.value;
    let what = if prepared.measures { "Coverage" } else { "Tests" };
    let in_splits = count(splits.into(), "split");
    screen.heading(&format!("{what} of {} in {in_splits}", project.name));
    if prepared.measures {
        screen.note(&format!("  • Source: {}", sources(prepared)));
        screen.note(&format!("  • Core: {}", core_words(prepared, engine)));
    }
    workers(settings, engine).iter().for_each(|line| screen.note(&format!("  • {line}")));
    let failures = match settings.max_failures.value {
        0 => "never".to_owned(),
        n => n.to_string(),
    };
    screen.note(&format!("  • Failures before abort: {failures}"));
    if let Some(settings) = ini_files(project, facts) {
        screen.note(&format!("  • Ini file: {settings}"));
    }
    screen.note(&format!("  • Python: {} ({})", versions(facts), prepared.interpreter.origin));
    let how = [in_one_process(prepared, engine), isolation::words(prepared, engine)].concat();
    screen.note(&format!("  • Engine: {}{how}", engine.name()));
    for row in if screen.is_verbose() { settings.rows() } else { Vec::new() } {
        screen.detail(&format!("    {} = {} ({})", row.name, row.value, row.origin));
    }
    let HashSeed { value, .. } = prepared.hash_seed;
    screen.detail(&format!("    hash-seed = {value} ({})", prepared.hash_seed.origin()));
    settings.notices.iter().for_each(|notice| screen.note(&format!("note: {notice}")));
    settings.warnings.iter().for_each(|warning| screen.warn(warning));
}

/// What is to measure.
fn core_words(prepared: &Prepared, engine: Engine) -> String {
    match &prepared.core {
        _ if engine == Engine::Stock => "coverage's".to_owned(),
        Ok(_) => "native".to_owned(),
        Err(why) => format!("coverage's ({why})"),
    }
}

/// How many processes run tests at once.
fn workers(settings: &Settings, engine: Engine) -> Vec<String> {
    let Workers { start, most, fixed } = settings.workers(engine);
    let (splits, each) = (settings.max_concurrent_splits.value, settings.workers_per_split.value);
    match fixed {
        true => vec![
            format!("Concurrent splits: {splits}"),
            format!("Workers per split: {each}"),
            format!("Total concurrent workers: {}", splits.saturating_mul(each)),
        ],
        false if start == most => vec![format!("Workers: up to {most}, as the machine allows")],
        false => vec![format!("Workers: {start} to {most}, as the machine allows")],
    }
}

/// Which file pytest takes its settings from, where it would take another in another way.
fn ini_files(project: &Project, facts: &Facts) -> Option<String> {
    let pytest = facts.pytest.as_ref()?;
    let name = |file: &Utf8PathBuf| file.strip_prefix(&project.root).unwrap_or(file).to_string();
    let other = name(pytest.shadowed_inifile.as_ref()?);
    Some(match &pytest.inifile {
        Some(file) => format!("{}, not {other}", name(file)),
        None => format!("none; pytest would take {other} with other paths"),
    })
}

/// What forbids to collect the suite in parts, where that would be faster. Whether parts are the
/// whole is known only when they have been collected.
fn in_one_process(prepared: &Prepared, engine: Engine) -> String {
    let why = engine::why_in_one_process(prepared, prepared.slots());
    let why = why.filter(|_| engine == Engine::Fork);
    why.map(|why| format!(", collected in one process ({why})")).unwrap_or_default()
}

fn sources(prepared: &Prepared) -> String {
    let decided = &prepared.settings.sources;
    if !decided.value.is_empty() {
        return format!("{} ({})", decided.value.join(", "), decided.origin);
    }
    let coverage = prepared.facts.coverage.as_ref();
    let lists = coverage.into_iter().flat_map(|coverage| [&coverage.source, &coverage.include]);
    match lists.into_iter().find(|list| !list.is_empty()) {
        Some(list) => format!("{} ({})", list.join(", "), who_decides(prepared)),
        None => format!("all that is executed, tests too ({})", decided.origin),
    }
}

/// Where coverage's own settings of what is measured come from.
fn who_decides(prepared: &Prepared) -> String {
    let Setting { origin, .. } = &prepared.settings.sources;
    if matches!(origin, Origin::File(_) | Origin::Plugin(_)) {
        return origin.to_string();
    }
    let coverage = prepared.facts.coverage.as_ref();
    let file = coverage.and_then(|coverage| coverage.config_file.as_ref()?.file_name());
    file.unwrap_or("coverage's configuration").to_owned()
}

fn versions(facts: &Facts) -> String {
    let version = |name: &str| {
        facts.packages.get(name).map(|version| format!(", {name} {version}")).unwrap_or_default()
    };
    format!("{}{}{}", facts.python, version("pytest"), version("coverage"))
}
