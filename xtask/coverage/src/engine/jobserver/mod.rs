//! Several runs share processes, memory and the failure budget: a server in the process that has
//! started them, and a client in each.
//!
//! Each run is a process of its own, this program once more: the engines have one place each for
//! signals, orphans and the end of all that descends from us. [`sharing`] decides, [`server`]
//! acts, [`client`] is the other end; they say [`message`]s to each other.

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod server;
pub(crate) mod sharing;

pub(crate) use self::client::Client;
