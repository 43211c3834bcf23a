//! Data files whose paths are those of another machine.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::program::{Code, ask};

const CODE: Code = Code { program: include_str!("../../host/xtask_moved.py"), modules: &[] };

/// A data file, and what became of folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// Absolute. It is changed.
    pub file: Utf8PathBuf,
    /// What paths begin with, and what that is here; the longest first.
    pub folders: Vec<(Utf8PathBuf, Utf8PathBuf)>,
}

/// Changes the paths in each file. Returns what is wrong with some of them, the end of a sentence;
/// those that cannot be read are left as they are.
pub(crate) fn move_paths(
    python: &Utf8Path,
    root: &Utf8Path,
    files: &[Moved],
) -> Result<Vec<(Utf8PathBuf, String)>> {
    #[derive(Deserialize)]
    struct Wrong {
        file: Utf8PathBuf,
        what: String,
    }
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let wrong: Vec<Wrong> = ask(python, root, &CODE, &json!({ "files": files }), None)?;
    Ok(wrong.into_iter().map(|wrong| (wrong.file, wrong.what)).collect())
}
