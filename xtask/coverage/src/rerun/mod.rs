//! What failed, packed into one file that another machine runs again: under the same split, in the
//! same units and with the same hash seed. The file says what was, and never what to do: no option
//! and no path of it is used.

mod file;
mod make;
mod mask;

pub(crate) use file::{MOST_BYTES, RerunFile};
pub(crate) use make::{Origin, make};
