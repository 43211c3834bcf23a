//! The real binary on real projects: real Python, pytest, coverage and plugins.

mod support;
mod test;
mod verify;
