//! `cargo xtask coverage`, as a library: read top to bottom, this is how a run goes.
//!
//! What was typed ([`cli`]) becomes what is meant ([`settings`]), for a [`project`] on a
//! [`machine`]; the tests are cut into splits ([`split`]) that an [`engine`] runs; what the
//! splits leave is combined strictly ([`shard`]) and reported ([`report`]); the [`exit`] code
//! says how it ended. [`tasks`] are the recipes, and only the [`screen`] prints.

pub mod cli;
mod conclusion;
pub mod engine;
pub mod exit;
mod files;
mod history;
mod invocation;
pub mod layout;
pub mod machine;
mod prepare;
pub mod project;
pub mod report;
pub mod screen;
pub mod settings;
pub mod shard;
pub mod split;
pub mod tasks;
mod threads;

use std::process::ExitCode;

/// Runs the task named on the command line.
pub fn main() -> ExitCode {
    let env = cli::env();
    let ended = match cli::parse(std::env::args_os(), &env) {
        Ok(typed) => {
            let screen = screen::Screen::new(&typed.general.output, &env);
            tasks::run(&typed, &env, &screen).unwrap_or_else(|error| {
                screen.error(&error);
                exit::of(&error)
            })
        }
        Err(error) => usage(&error, &env),
    };
    ExitCode::from(ended.code())
}

/// A command line that names no task: help, or an error.
fn usage(error: &anyhow::Error, env: &cli::Env) -> exit::Exit {
    match cli::said(error) {
        Some((message, ending)) => {
            let _ = message.print();
            ending
        }
        None => {
            screen::Screen::new(&cli::Output::default(), env).error(error);
            exit::of(error)
        }
    }
}
