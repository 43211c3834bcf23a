//! `cargo xtask coverage`, as a library: read top to bottom, this is how a run goes.
//!
//! What was typed (`cli`) becomes what is meant (`settings`), for a `project` on a `machine`;
//! the tests are cut into splits (`split`) that an `engine` runs; what the splits leave is
//! combined strictly (`shard`) and reported (`report`, `conclusion`); the `exit` code says how it
//! ended. `tasks` are the recipes, and only the `screen` prints.

// Tests do as they like.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod bounds;
mod cargo;
mod cli;
mod conclusion;
mod digest;
mod engine;
mod env;
mod exit;
mod files;
mod history;
mod invocation;
mod layout;
mod machine;
mod model;
mod prepare;
mod project;
mod report;
mod rerun;
mod screen;
mod settings;
mod shard;
mod split;
mod tasks;
#[cfg(test)]
mod tests;
mod threads;

use std::process::ExitCode;

pub use cli::Tasks;
#[doc(hidden)] // for the tests of the package `xtask`
pub use engine::schedule::replay;

/// Runs the task named on the command line.
pub fn main() -> ExitCode {
    let env = env::env();
    cargo::shed(&env);
    run(cli::parse(std::env::args_os(), &env), &env)
}

/// The same for the program that is installed: without a command it is `coverage`.
pub fn installed() -> ExitCode {
    cli::program::set_installed();
    main()
}

impl Tasks {
    /// Runs the task, for an `xtask` that has others besides: see `cargo xtask init`.
    pub fn run(self) -> ExitCode {
        let env = env::env();
        cargo::shed(&env);
        run(self.typed(&env), &env)
    }
}

fn run(typed: anyhow::Result<cli::Typed>, env: &env::Env) -> ExitCode {
    let ended = match typed {
        Ok(typed) => run_typed(&typed, env),
        Err(error) => usage(&error, env),
    };
    ExitCode::from(ended.code())
}

fn run_typed(typed: &cli::Typed, env: &env::Env) -> exit::Exit {
    let client = engine::jobserver::Client::of_this_process();
    let known = client.as_ref().ok().and_then(Option::as_ref);
    let screen = screen::Screen::new(&typed.general.output, env, known);
    let ended = client.and_then(|client| tasks::run(typed, env, &screen, client.as_ref()));
    ended.unwrap_or_else(|error| {
        screen.error(&error);
        exit::of(&error)
    })
}

/// A command line that names no task: help, or an error.
fn usage(error: &anyhow::Error, env: &env::Env) -> exit::Exit {
    match cli::said(error) {
        Some((message, ending)) => {
            let _ = cli::program::print(message);
            ending
        }
        None => {
            screen::Screen::new(&cli::Output::default(), env, None).error(error);
            exit::of(error)
        }
    }
}
