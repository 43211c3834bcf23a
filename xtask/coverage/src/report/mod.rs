//! What a run has to say at its end: coverage's reports, the failing tests, the verdict, the
//! summary. Nothing here prints, and nothing here knows an engine.

pub mod again;
pub mod ci;
pub mod coverage;
pub mod failures;
pub mod highlights;
mod html;
pub mod identity;
pub mod joint;
pub mod junit;
pub mod moved;
pub mod page;
pub mod patch;
mod program;

pub mod summary;
pub mod thresholds;
pub mod verdict;
