//! `cargo xtask coverage`, as a library.

/// Runs the task named on the command line.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
