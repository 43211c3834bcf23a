//! An `xtask` with tasks of its own has ours in the same enum: what `cargo xtask init` says.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Check the style
    Lint { fix: Option<String> },
    #[command(flatten)]
    Python(xtask_coverage::Tasks),
}

/// `main` of such an xtask.
fn run(task: Task) -> ExitCode {
    match task {
        Task::Lint { fix } => ExitCode::from(u8::from(fix.is_some())),
        Task::Python(tasks) => tasks.run(),
    }
}

#[test]
fn both_are_understood() {
    let parse =
        |words: &[&str]| Cli::try_parse_from([&["xtask"], words].concat()).map(|it| it.task);
    let lint = parse(&["lint"]).expect("a task");
    assert_eq!(format!("{:?}", run(lint)), format!("{:?}", ExitCode::SUCCESS));
    let words = ["coverage", "--splits", "3", "--", "-k", "x"];
    assert!(matches!(parse(&words), Ok(Task::Python(_))));
    assert!(parse(&["coverage", "--no-such"]).is_err());
}
