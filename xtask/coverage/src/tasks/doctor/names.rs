//! Files that pytest would import by one name: tests and conftests, of those that it collects.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::Finding;
use super::Level::{Error, Warning};
use crate::files;
use crate::project::{Facts, Project, PytestConfig};

pub(super) fn look(project: &Project, facts: Option<&Facts>) -> Vec<Finding> {
    let pytest = facts.and_then(|facts| facts.pytest.as_ref());
    let addopts = pytest.map(|pytest| pytest.addopts.as_slice()).unwrap_or_default();
    if addopts.iter().any(|word| word.contains("importlib")) {
        return Vec::new();
    }
    let collected = Collected::find(&project.root, pytest);
    let mut findings = clashes(&project.root, &collected);
    findings.extend(imported_conftest(&project.root, &collected));
    findings
}

/// Test files of one name in folders without `__init__.py` are one module to pytest, and so are
/// two conftests in packages of one name.
fn clashes(root: &Utf8Path, collected: &Collected) -> Vec<Finding> {
    let mut modules = BTreeMap::<String, Vec<&Utf8Path>>::new();
    // pytest looks after conftests in folders that are no packages itself.
    let conftests = collected.conftests.iter().filter(|file| is_in_package(file));
    for file in collected.tests.iter().chain(conftests) {
        modules.entry(module(file)).or_default().push(file);
    }
    let clashing = modules.into_iter().filter(|(_, files)| files.len() > 1);
    clashing
        .map(|(name, files)| {
            let what = format!("{} are all imported as `{name}`", relative(root, &files));
            Finding::new("names", Error, what).fix(separating(root, &files))
        })
        .collect()
}

fn relative(root: &Utf8Path, files: &[&Utf8Path]) -> String {
    let names = files.iter().map(|file| file.strip_prefix(root).unwrap_or(file).as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// The line that gives each of them a name of its own.
fn separating(root: &Utf8Path, files: &[&Utf8Path]) -> String {
    let tops = files.iter().map(|file| top(file)).filter(|folder| *folder != root);
    let mut missing: Vec<String> = tops.map(|it| it.join("__init__.py").into_string()).collect();
    missing.sort();
    missing.dedup();
    shell_words::join(std::iter::once("touch").chain(missing.iter().map(String::as_str)))
}

/// What is called `conftest` is, to whoever imports it by that name, the one that was read last.
fn imported_conftest(root: &Utf8Path, collected: &Collected) -> Option<Finding> {
    let bare: Vec<&Utf8Path> =
        collected.conftests.iter().filter(|it| !is_in_package(it)).map(AsRef::as_ref).collect();
    if bare.len() < 2 {
        return None;
    }
    let imports = |file: &&Utf8PathBuf| {
        let text = files::read_text(file).unwrap_or_default();
        let starts = ["from conftest import ", "import conftest"];
        text.lines().any(|line| starts.iter().any(|start| line.trim_start().starts_with(start)))
    };
    let file = collected.tests.iter().find(imports)?;
    let what = format!(
        "{} imports `conftest`, and there are several: {}",
        relative(root, &[file]),
        relative(root, &bare)
    );
    Some(Finding::new("names", Warning, what).fix(separating(root, &bare)))
}

fn is_in_package(file: &Utf8Path) -> bool {
    file.with_file_name("__init__.py").is_file()
}

/// The name by which pytest imports a file: from the first folder above that is no package.
fn module(file: &Utf8Path) -> String {
    let name = file.strip_prefix(top(file)).unwrap_or(file).with_extension("");
    name.components().map(|part| part.as_str()).collect::<Vec<_>>().join(".")
}

/// The first folder above a file that is no package.
fn top(file: &Utf8Path) -> &Utf8Path {
    let mut folders = file.ancestors().skip(1);
    folders.find(|it| !it.join("__init__.py").is_file()).unwrap_or(file)
}

/// What pytest would look at if it was started without paths.
#[derive(Debug, Default)]
struct Collected {
    tests: Vec<Utf8PathBuf>,
    conftests: Vec<Utf8PathBuf>,
}

impl Collected {
    fn find(root: &Utf8Path, pytest: Option<&PytestConfig>) -> Collected {
        let rules = Rules::of(pytest);
        let mut found = Collected::default();
        for start in starts(root, pytest) {
            found.gather(&start, &rules);
        }
        for files in [&mut found.tests, &mut found.conftests] {
            files.sort();
            files.dedup();
        }
        found
    }

    fn gather(&mut self, folder: &Utf8Path, rules: &Rules) {
        for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if rules.ignored.iter().any(|it| path.starts_with(it)) {
                continue;
            }
            if kind.is_dir() {
                if !rules.are_passed_over(path) {
                    self.gather(path, rules);
                }
            } else if entry.file_name() == "conftest.py" {
                self.conftests.push(path.to_path_buf());
            } else if rules.tests.is_match(entry.file_name()) || rules.tests.is_match(path) {
                self.tests.push(path.to_path_buf());
            }
        }
    }
}

/// `testpaths`, as far as they are folders that are written out; else the whole project.
fn starts(root: &Utf8Path, pytest: Option<&PytestConfig>) -> Vec<Utf8PathBuf> {
    let paths = pytest.filter(|it| it.rootdir == root).map(|it| it.testpaths.as_slice());
    let folders: Vec<Utf8PathBuf> =
        paths.unwrap_or_default().iter().map(|it| root.join(it)).collect();
    match !folders.is_empty() && folders.iter().all(|folder| folder.exists()) {
        true => folders.into_iter().filter(|folder| folder.is_dir()).collect(),
        false => vec![root.to_path_buf()],
    }
}

/// What of the files is a test, and which folders are passed over.
struct Rules {
    tests: GlobSet,
    aside: GlobSet,
    ignored: Vec<Utf8PathBuf>,
}

impl Rules {
    fn of(pytest: Option<&PytestConfig>) -> Rules {
        const TESTS: [&str; 2] = ["test_*.py", "*_test.py"];
        const ASIDE: [&str; 7] = [".*", "*.egg", "_darcs", "build", "CVS", "dist", "venv"];
        let or = |said: Option<&Vec<String>>, usual: &[&str]| match said {
            Some(said) if !said.is_empty() => globs(said.iter().map(String::as_str)),
            _ => globs(usual.iter().copied()),
        };
        Rules {
            tests: or(pytest.map(|it| &it.python_files), &TESTS),
            aside: or(pytest.map(|it| &it.norecursedirs), &ASIDE),
            ignored: pytest.map(ignored).unwrap_or_default(),
        }
    }

    /// Also a folder that is a project of its own, or what nobody keeps tests in.
    fn are_passed_over(&self, folder: &Utf8Path) -> bool {
        const NEVER: [&str; 4] = ["node_modules", "__pycache__", "target", "site-packages"];
        const OTHERS: [&str; 4] = ["pyvenv.cfg", "pyproject.toml", "setup.py", "Cargo.lock"];
        let name = folder.file_name().unwrap_or_default();
        NEVER.contains(&name)
            || self.aside.is_match(name)
            || self.aside.is_match(folder)
            || OTHERS.iter().any(|file| folder.join(file).is_file())
    }
}

/// The paths of `--ignore` in addopts.
fn ignored(pytest: &PytestConfig) -> Vec<Utf8PathBuf> {
    let glued = pytest.addopts.iter().filter_map(|word| word.strip_prefix("--ignore="));
    let pairs = pytest.addopts.windows(2).filter(|pair| pair[0] == "--ignore");
    let paths = glued.chain(pairs.map(|pair| pair[1].as_str()));
    paths.map(|path| pytest.rootdir.join(path)).collect()
}

/// Patterns as `fnmatch` takes them; one that is none matches nothing.
fn globs<'a>(patterns: impl Iterator<Item = &'a str>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = if pattern.contains('/') { format!("**/{pattern}") } else { pattern.into() };
        if let Ok(glob) = GlobBuilder::new(&pattern).build() {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pytest(root: &Utf8Path) -> PytestConfig {
        let config = serde_json::json!({
            "rootdir": root, "inifile": null, "addopts": [], "testpaths": [],
            "has_timeout": false, "shadowed_inifile": null,
        });
        serde_json::from_value(config).expect("pytest's configuration")
    }

    fn write(root: &Utf8Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
    }

    fn said(root: &Utf8Path, pytest: &PytestConfig) -> Vec<String> {
        let collected = Collected::find(root, Some(pytest));
        let mut found = clashes(root, &collected);
        found.extend(imported_conftest(root, &collected));
        let lines = found.into_iter().map(|it| format!("{}; {}", it.what, it.fix.expect("a fix")));
        lines.map(|line| line.replace(&format!("{root}/"), "")).collect()
    }

    #[test]
    fn files_of_one_module_name_are_found() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        let names = ["a/test_x.py", "b/test_x.py", "c/__init__.py", "c/test_x.py", "d/test_y.py"];
        write(root, &names.map(|name| (name, "")));
        write(root, &[("e/pyproject.toml", ""), ("e/test_x.py", ""), (".venv/test_y.py", "")]);
        write(root, &[("a/conftest.py", ""), ("b/conftest.py", "")]);
        let mut config = pytest(root);
        let clash = "a/test_x.py, b/test_x.py are all imported as `test_x`; \
                     touch a/__init__.py b/__init__.py";
        assert_eq!(said(root, &config), [clash]);
        // Only what is collected counts.
        for (testpaths, norecursedirs, python_files, addopts) in [
            (vec!["a", "c"], vec![], vec![], vec![]),
            (vec![], vec!["a*", ".*"], vec![], vec![]),
            (vec![], vec![], vec!["check_*.py"], vec![]),
            (vec![], vec![], vec![], vec!["-q", "--ignore", "b"]),
            (vec![], vec![], vec![], vec!["--ignore=a/test_x.py"]),
        ] {
            let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
            config.testpaths = owned(testpaths);
            config.norecursedirs = owned(norecursedirs);
            config.python_files = owned(python_files);
            config.addopts = owned(addopts);
            assert!(said(root, &config).is_empty(), "{config:?}");
        }
    }

    #[test]
    fn conftests_of_one_name_are_found() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        for side in ["one", "two"] {
            let names = ["tests/__init__.py", "tests/conftest.py"];
            write(
                root,
                &names
                    .map(|name| (format!("{side}/{name}"), ""))
                    .each_ref()
                    .map(|(name, text)| (name.as_str(), *text)),
            );
        }
        let clash = "one/tests/conftest.py, two/tests/conftest.py are all imported as \
                     `tests.conftest`; touch one/__init__.py two/__init__.py";
        assert_eq!(said(root, &pytest(root)), [clash]);
        write(root, &[("one/__init__.py", ""), ("two/__init__.py", "")]);
        assert!(said(root, &pytest(root)).is_empty());
        write(root, &[("conftest.py", ""), ("x/conftest.py", "")]);
        write(root, &[("x/test_x.py", "if True:\n    from conftest import a\n")]);
        let several = "x/test_x.py imports `conftest`, and there are several: conftest.py, \
                       x/conftest.py; touch x/__init__.py";
        assert_eq!(said(root, &pytest(root)), [several]);
    }
}
