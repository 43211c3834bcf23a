//! The installed program, for folders without a Cargo workspace of their own.

fn main() -> std::process::ExitCode {
    xtask_coverage::installed()
}
