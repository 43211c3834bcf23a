//! The packages and modules that a project consists of: what is measured where nothing says
//! otherwise.

use camino::{Utf8Path, Utf8PathBuf};

/// Import packages and modules in `src/`, else in the root, else in folders of it (`python/`,
/// `lib/`, `backend/app/`), relative to the root, sorted. Never tests.
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
        found.extend(with(root, holds_python).iter().flat_map(|folder| tops(folder)));
    }
    let mut found: Vec<_> = found
        .iter()
        .filter_map(|path| path.strip_prefix(root).ok())
        .map(Utf8Path::to_owned)
        .collect();
    found.sort();
    found
}

/// Every file of such packages and modules, absolute, sorted; folders too from which nothing can
/// be imported but as a namespace. Coverage finds those of regular packages alone.
pub(crate) fn files(root: &Utf8Path, here: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
    let mut files = Vec::new();
    for path in here.iter().map(|path| root.join(path)) {
        match path.is_dir() {
            true => gather(&path, &tests(root, here), &mut files),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

fn gather(folder: &Utf8Path, tests: &[Utf8PathBuf], files: &mut Vec<Utf8PathBuf>) {
    for path in entries(folder).filter(|path| !tests.contains(path)) {
        if path.is_dir() && is_importable(&path) && !is_aside(&path) {
            gather(&path, tests, files);
        } else if is_module(&path) && is_importable(&path) {
            files.push(path);
        }
    }
}

/// The tests in such folders, absolute: files and whole folders. Those within a regular package
/// are shipped with it, and belong to it.
pub(crate) fn tests(root: &Utf8Path, here: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for path in here.iter().map(|path| root.join(path)) {
        gather_tests(&path, &mut found);
    }
    found
}

fn gather_tests(folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    if is_package(folder) {
        return;
    }
    for path in entries(folder) {
        let name = path.file_name().unwrap_or_default();
        match path.is_dir() {
            true if is_aside(&path) => {}
            true if is_tests(&path) => found.push(path),
            true => gather_tests(&path, found),
            false if is_test_file(name) || name == "conftest.py" => found.push(path),
            false => {}
        }
    }
}

fn with(folder: &Utf8Path, wanted: impl Fn(&Utf8Path) -> bool) -> Vec<Utf8PathBuf> {
    let others = |path: &Utf8PathBuf| is_other(path.file_name().unwrap_or_default());
    let paths = entries(folder).filter(|path| !others(path) && !is_aside(path));
    paths.filter(|path| wanted(path) && !is_tests(path)).collect()
}

fn entries(folder: &Utf8Path) -> impl Iterator<Item = Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    entries.map(|entry| entry.into_path())
}

/// Within a folder that holds Python, the folders in which it begins.
fn tops(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    if is_package(folder) || !with(folder, is_module).is_empty() {
        return vec![folder.to_owned()];
    }
    with(folder, holds_python).iter().flat_map(|folder| tops(folder)).collect()
}

fn is_package(path: &Utf8Path) -> bool {
    path.join("__init__.py").is_file()
}

fn is_module(path: &Utf8Path) -> bool {
    path.extension() == Some("py") && path.is_file()
}

/// A package without `__init__.py` anywhere (`src/google/cloud/storage.py`) counts too.
fn holds_python(path: &Utf8Path) -> bool {
    path.is_dir()
        && !path.is_symlink()
        && (!with(path, is_module).is_empty()
            || is_package(path)
            || !with(path, holds_python).is_empty())
}

/// Environments, caches and what tools keep: no part of anything.
fn is_aside(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.starts_with('.')
        || ["__pycache__", "node_modules"].contains(&name)
        || path.join("pyvenv.cfg").exists()
        || path.join("CACHEDIR.TAG").exists()
}

/// A name that can be imported; templates of projects have others.
fn is_importable(path: &Utf8Path) -> bool {
    let name = path.file_stem().unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    name.chars().all(plain) && !path.is_symlink()
}

/// A folder of tests, by its name or by what is in it.
fn is_tests(path: &Utf8Path) -> bool {
    const NAMES: [&str; 6] = ["test", "tests", "testing", "testsuite", "unittests", "e2e"];
    let name = path.file_name().unwrap_or_default();
    let likely = ["test_", "tests_", "test-", "tests-"].iter().any(|start| name.starts_with(start))
        || ["_test", "_tests", "-test", "-tests"].iter().any(|end| name.ends_with(end));
    path.is_dir()
        && (NAMES.contains(&name) || (likely && holds_tests(path)) || holds_tests_alone(path))
}

fn holds_tests(folder: &Utf8Path) -> bool {
    entries(folder).any(|path| match path.is_dir() {
        true => !is_aside(&path) && holds_tests(&path),
        false => is_test_file(path.file_name().unwrap_or_default()),
    })
}

fn holds_tests_alone(folder: &Utf8Path) -> bool {
    // Of a package the first module answers.
    !holds_others(folder) && holds_tests(folder)
}

/// Whether there is Python that is neither a test nor there for tests.
fn holds_others(folder: &Utf8Path) -> bool {
    entries(folder).any(|path| {
        let name = path.file_name().unwrap_or_default();
        match path.is_dir() {
            true => !is_aside(&path) && holds_others(&path),
            false => {
                let harmless = ["__init__.py", "conftest.py"].contains(&name);
                is_module(&path) && !is_test_file(name) && !harmless
            }
        }
    })
}

fn is_test_file(name: &str) -> bool {
    name.ends_with(".py")
        && (name.starts_with("test_") || name.ends_with("_test.py") || name == "tests.py")
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
        || is_test_file(name)
}
