//! The workspace's tasks. All of them live in the `xtask-coverage` library.

fn main() -> std::process::ExitCode {
    xtask_coverage::main()
}
