//! Parts of a run: which ones there must be, and which there are; within one machine
//! ([`combine`]), and of shards, each of which ran on a machine of its own.
//!
//! A shard knows which it is ([`engines`]), cuts the suite as all others do ([`plan`]) and leaves
//! a folder ([`deliver`]) with a [`manifest`]. Where shards are combined all are read ([`read`])
//! and compared ([`check`]).

pub mod batches;
pub mod check;
pub mod combine;
pub mod deliver;
pub mod engines;
pub mod foresee;
pub mod manifest;
pub mod plan;
pub mod read;
mod servers;
pub mod stores;
pub mod tail;
