//! Options that were given in one place.

use super::origin::Origin;
use crate::cli::Options;

/// The first layer that has an option decides.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) origin: Origin,
    pub(super) options: Options,
    /// What is measured is left to coverage's own configuration.
    pub(super) coverage_decides: bool,
}

impl Layer {
    pub(super) fn new(origin: Origin, options: Options) -> Layer {
        Layer { origin, options, coverage_decides: false }
    }
}
