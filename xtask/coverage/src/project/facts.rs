//! What the project's own interpreter says about itself and its configuration, read by
//! `host/probe.py` with pytest's and coverage's own code, so that it is what they will see.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Everything one start of the interpreter tells.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Facts {
    /// `sys.executable`, absolute.
    pub executable: Utf8PathBuf,
    /// `3.12.1`.
    pub python: String,
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// Installed distributions that matter here (pytest, coverage, pytest-cov, pytest-xdist,
    /// pytest-split, pytest-timeout, pytest-randomly, …), by normalised name, with versions.
    pub packages: BTreeMap<String, String>,
    /// None where pytest is not installed.
    pub pytest: Option<PytestConfig>,
    /// None where coverage is not installed.
    pub coverage: Option<CoverageConfig>,
    /// Import names of the packages and modules in `src/`, or in the root where there is no
    /// `src/`, as folders or files relative to the project; never tests, docs, build output.
    #[serde(default)]
    pub packages_here: Vec<Utf8PathBuf>,
    /// Where it looks for packages; empty where a name is not UTF-8.
    #[serde(default)]
    pub folders: Vec<Utf8PathBuf>,
    /// What is against the native core; without coverage nothing is said.
    #[serde(default)]
    pub native_core: NativeCore,
    /// `sys.prefix` and the like: the environment's own folders, without symbolic links.
    #[serde(default)]
    pub prefixes: Vec<Utf8PathBuf>,
}

/// What is against the native core.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct NativeCore {
    /// Why it cannot measure.
    pub why: Option<String>,
    /// Why another core is to measure, unless somebody insists.
    pub rather: Option<String>,
}

/// pytest's configuration, as `pytest` typed in the project's folder would read it, with the
/// paths and options of ours.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PytestConfig {
    /// pytest's rootdir: what node ids are relative to.
    pub rootdir: Utf8PathBuf,
    /// The file it takes its settings from.
    pub inifile: Option<Utf8PathBuf>,
    /// `PYTEST_ADDOPTS` first, then the ini file's `addopts`, split into words.
    pub addopts: Vec<String>,
    /// The ini file's `testpaths`.
    pub testpaths: Vec<String>,
    /// The ini file's `python_files`; empty where it says nothing.
    #[serde(default)]
    pub python_files: Vec<String>,
    /// The ini file's `norecursedirs`; empty where it says nothing.
    #[serde(default)]
    pub norecursedirs: Vec<String>,
    /// True where the project limits the time of a test with pytest-timeout itself (ini
    /// `timeout`, `--timeout` in addopts, `PYTEST_TIMEOUT`).
    pub has_timeout: bool,
    /// Another ini file, which pytest would take without paths, or if it were given the default
    /// test folder: a trap worth a word.
    pub shadowed_inifile: Option<Utf8PathBuf>,
    /// The ini file's `junit_family`.
    #[serde(default)]
    pub junit_family: Option<String>,
    /// The ini file's `junit_suite_name`.
    #[serde(default)]
    pub junit_suite_name: Option<String>,
}

/// coverage's configuration, as `coverage run` typed in the project's folder would read it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CoverageConfig {
    /// The file it was read from.
    pub config_file: Option<Utf8PathBuf>,
    /// `[run] source`, `source_pkgs`, `source_dirs` together; empty where not set.
    pub source: Vec<String>,
    /// `[run] include`.
    pub include: Vec<String>,
    /// `[run] branch`.
    pub branch: bool,
    /// `[run] data_file`, absolute.
    pub data_file: Utf8PathBuf,
    /// `[report] fail_under`, percent; 0 where not set.
    pub fail_under: f64,
    /// `[report] precision`, digits.
    pub precision: u32,
    /// `[html] directory`, absolute.
    pub html_dir: Utf8PathBuf,
    /// `[xml] output`, absolute.
    pub xml_output: Utf8PathBuf,
    /// `[json] output`, absolute.
    pub json_output: Utf8PathBuf,
    /// `[lcov] output`, absolute.
    pub lcov_output: Utf8PathBuf,
    /// `[run] dynamic_context`.
    pub dynamic_context: Option<String>,
    /// `[run] patch`.
    pub patch: Vec<String>,
    /// `[run] relative_files`.
    #[serde(default)]
    pub relative_files: bool,
    /// `[run] parallel`.
    #[serde(default)]
    pub parallel: bool,
    /// `[run] concurrency`.
    #[serde(default)]
    pub concurrency: Vec<String>,
    /// The names under `[paths]`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Plugins that configure coverage when it starts; what they have said is in all of this.
    #[serde(default)]
    pub configurers: Vec<String>,
    /// The fields that they have changed, by name.
    #[serde(default)]
    pub changed: Vec<String>,
}
