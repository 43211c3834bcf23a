//! What a run has to say at its end: coverage's reports, the failing tests, the verdict, the
//! summary. Nothing here prints, and nothing here knows an engine.

pub(crate) mod again;
pub(crate) mod ci;
pub(crate) mod coverage;
pub(crate) mod failures;
pub(crate) mod highlights;
mod html;
pub(crate) mod identity;
pub(crate) mod joint;
pub(crate) mod junit;
pub(crate) mod moved;
pub(crate) mod page;
pub(crate) mod patch;
mod program;

pub(crate) mod summary;
pub(crate) mod thresholds;
pub(crate) mod verdict;
