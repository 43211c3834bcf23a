//! The packages and modules that a project consists of: what is measured where nothing says
//! otherwise.

use camino::{Utf8Path, Utf8PathBuf};

/// Import packages and modules in `src/`, else in the root, relative to the root, sorted.
pub(super) fn here(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let src = root.join("src");
    let mut found = match is_package(&src) {
        true => Vec::new(),
        false => with(&src, |path| holds_python(path) || is_module(path)),
    };
    if found.is_empty() {
        found = with(root, is_package);
    }
    if found.is_empty() {
        found = with(root, is_module);
    }
    let mut found: Vec<_> = found
        .iter()
        .filter_map(|path| path.strip_prefix(root).ok())
        .map(Utf8Path::to_owned)
        .collect();
    found.sort();
    found
}

fn with(folder: &Utf8Path, wanted: impl Fn(&Utf8Path) -> bool) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.into_path());
    paths.filter(|path| !is_other(path.file_name().unwrap_or_default()) && wanted(path)).collect()
}

fn is_package(path: &Utf8Path) -> bool {
    path.join("__init__.py").is_file()
}

fn is_module(path: &Utf8Path) -> bool {
    path.extension() == Some("py") && path.is_file()
}

/// A package without `__init__.py` anywhere (`src/google/cloud/storage.py`) counts in `src/`.
fn holds_python(path: &Utf8Path) -> bool {
    path.is_dir()
        && (!with(path, is_module).is_empty()
            || is_package(path)
            || !with(path, holds_python).is_empty())
}

/// Names that are no part of the product.
fn is_other(name: &str) -> bool {
    const NAMES: [&str; 31] = [
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "sample",
        "samples",
        "build",
        "dist",
        "venv",
        "env",
        "node_modules",
        "__pycache__",
        "benchmark",
        "benchmarks",
        "bench",
        "scripts",
        "tools",
        "tasks",
        "ci",
        "target",
        "site",
        "htmlcov",
        "setup.py",
        "conftest.py",
        "noxfile.py",
        "tasks.py",
        "fabfile.py",
        "dodo.py",
    ];
    NAMES.contains(&name)
        || name.starts_with('.')
        || name.ends_with(".egg-info")
        || (name.starts_with("test_") || name.ends_with("_test.py")) && name.ends_with(".py")
}
