//! The real binary on real projects: real Python, pytest, coverage and plugins.

#![allow(clippy::disallowed_methods)] // tests do as they like

/// The tests of `check` with the engines that have hosts of ours.
macro_rules! on_hosts {
    () => {
        #[test]
        fn fork() {
            check("fork");
        }

        #[test]
        #[ignore = "slow: the other engines"]
        fn spawn() {
            check("spawn");
        }
    };
}

/// Tests that hold for every engine: each becomes a module with one test for each. That of the
/// engine which runs where nothing is said is in the quick tier.
macro_rules! engines {
    ($($(#[doc = $doc:literal])* fn $name:ident($engine:ident) $body:block)*) => {$(
        $(#[doc = $doc])*
        mod $name {
            use super::*;

            fn check($engine: &str) $body

            #[test]
            #[ignore = "slow: the other engines"]
            fn stock() {
                check("stock");
            }

            on_hosts!();
        }
    )*};
}

/// The same for the engines with hosts of ours.
macro_rules! hosts {
    ($($(#[doc = $doc:literal])* fn $name:ident($engine:ident) $body:block)*) => {$(
        $(#[doc = $doc])*
        mod $name {
            use super::*;

            fn check($engine: &str) $body

            on_hosts!();
        }
    )*};
}

mod account;
mod addopts;
mod around;
mod budget;
mod ci;
mod collection;
mod completions;
mod confirm;
mod controller;
mod core;
mod doctor;
mod documents;
mod environments;
mod faults;
mod finding;
mod fork_safety;
mod identity;
mod init;
mod isolation;
mod joint;
mod joint_pool;
mod junit;
mod live;
mod machine;
mod measured;
mod memory;
mod order;
mod output;
mod page;
mod patch;
mod plugins;
mod progress;
mod reference;
mod rerun;
mod retries;
mod runs;
mod schema;
mod script;
mod settings;
mod setup;
mod shards;
mod shop;
mod signals;
mod simulate;
mod support;
mod tail;
mod test;
mod thresholds;
mod trace;
mod typed;
mod unread;
mod verdict;
mod verify;
mod voices;
