//! The real binary on real projects: real Python, pytest, coverage and plugins.

mod faults;
mod signals;
mod support;
