//! The parts of the native core that know nothing of CPython: their unit tests are in them.

#![allow(dead_code, unreachable_pub)] // they are of another crate

#[path = "../core/arcs.rs"]
mod arcs;
#[path = "../core/stack.rs"]
mod stack;
