//! Parts of a run: which ones there must be, and which there are; within one machine
//! ([`combine`]), and of shards, each of which ran on a machine of its own.
//!
//! A shard knows which it is ([`engines`]), cuts the suite as all others do ([`plan`]) and leaves
//! a folder ([`deliver`]) with a [`manifest`]. Where shards are combined all are read ([`read`])
//! and compared ([`check`]).

pub(crate) mod batches;
pub(crate) mod check;
pub(crate) mod combine;
pub(crate) mod deliver;
pub(crate) mod engines;
pub(crate) mod foresee;
pub(crate) mod manifest;
pub(crate) mod plan;
pub(crate) mod read;
mod servers;
pub(crate) mod stores;
pub(crate) mod tail;
