//! The limits of a run, whichever engine runs it: how many tests may fail, and how much memory its
//! processes may take. Pure.

mod budget;
mod memory;

pub(crate) use self::budget::Budget;
pub(crate) use self::memory::{Headroom, Memory, out_of_memory, reserve, waits_for_memory};
