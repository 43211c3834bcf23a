//! Parts of a run: which ones there must be, and which there are.

pub mod combine;
