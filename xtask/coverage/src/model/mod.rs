//! What the others talk about: tests, how they end, the data files of a run; and how numbers and
//! names are written. Knows no other room.

mod annotation;
mod case;
mod failure;
pub(crate) mod format;
mod node_id;
mod outcome;
mod part;
mod report_kind;
mod warnings;

pub(crate) use self::annotation::{Annotation, Level};
pub(crate) use self::case::{Case, Ending};
pub(crate) use self::failure::{Failure, Phase, PhaseFailure};
pub(crate) use self::node_id::NodeId;
pub(crate) use self::outcome::{Details, PhaseSeconds, Tally, TestOutcome};
pub(crate) use self::part::{Expected, Origin, Part, Problem};
pub(crate) use self::report_kind::ReportKind;
pub(crate) use self::warnings::Warnings;
