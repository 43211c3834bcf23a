//! What the others talk about: tests, how they end, the data files of a run; and how numbers and
//! names are written. Knows no other room.

mod annotation;
mod case;
mod failure;
pub mod format;
mod node_id;
mod outcome;
mod part;
mod report_kind;
mod warnings;

pub use self::annotation::{Annotation, Level};
pub use self::case::{Case, Ending};
pub use self::failure::{Failure, Phase, PhaseFailure};
pub use self::node_id::NodeId;
pub use self::outcome::{Details, PhaseSeconds, Tally, TestOutcome};
pub use self::part::{Expected, Origin, Part, Problem};
pub use self::report_kind::ReportKind;
pub use self::warnings::Warnings;
