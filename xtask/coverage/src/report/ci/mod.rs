//! What a service that runs jobs gets besides the log: annotations of places in the repository,
//! and a page for the job. Pure.

mod annotations;
mod page;

pub(crate) use self::annotations::{Places, of_failures, of_patch};
pub(crate) use self::page::{Page, plain, render};
