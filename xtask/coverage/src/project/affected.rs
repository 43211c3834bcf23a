//! Which projects changes concern, and why: `--affected BASE`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Project, depends};

/// Files of folders above a project that all below read.
const SHARED: [&str; 12] = [
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "uv.toml",
    "conftest.py",
    "pytest.ini",
    "pytest.toml",
    "tox.ini",
    "setup.cfg",
    ".coveragerc",
    ".python-version",
];

/// What depends on what by its path: the projects, and folders and files that are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies(BTreeMap<Utf8PathBuf, BTreeSet<Utf8PathBuf>>);

impl Dependencies {
    /// Of these projects, of what they depend on, and so on.
    pub(crate) fn of(projects: &[Project]) -> Dependencies {
        let mut known = BTreeMap::new();
        let mut left: Vec<Utf8PathBuf> = projects.iter().map(|it| it.root.clone()).collect();
        while let Some(path) = left.pop() {
            if known.contains_key(&path) {
                continue;
            }
            let paths = if path.is_dir() { depends::paths(&path) } else { BTreeSet::new() };
            left.extend(paths.iter().cloned());
            known.insert(path, paths);
        }
        Dependencies(known)
    }

    /// Why each of these roots is affected; those without a reason are not.
    pub(crate) fn affected<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a Utf8PathBuf>,
        changed: &[Utf8PathBuf],
    ) -> BTreeMap<Utf8PathBuf, Reason> {
        let own = self.own_changes(changed);
        let reason = |root: &Utf8PathBuf| Some((root.clone(), self.reason(root, &own)?));
        roots.into_iter().filter_map(reason).collect()
    }

    /// The first changed file of each of them that has one.
    fn own_changes(&self, changed: &[Utf8PathBuf]) -> BTreeMap<&Utf8Path, Utf8PathBuf> {
        let mut own = BTreeMap::new();
        for file in changed.iter().filter(|file| !is_left_behind(file)) {
            // A file is that of the innermost one around it.
            let owner = file.ancestors().find_map(|folder| self.0.get_key_value(folder));
            let owner = owner.map(|(owner, _)| owner.as_path());
            // A changed submodule is named by its folder.
            let within = |root: &Utf8Path| root.starts_with(file) && root != file;
            let shared = |root: &Utf8Path| {
                SHARED.contains(&file.file_name().unwrap_or_default())
                    && file.parent().is_some_and(|folder| root.starts_with(folder))
            };
            let touched = self.0.keys().map(Utf8PathBuf::as_path);
            for root in touched.filter(|root| Some(*root) == owner || within(root) || shared(root))
            {
                own.entry(root).or_insert_with(|| file.clone());
            }
        }
        own
    }

    /// By the fewest steps.
    fn reason(&self, root: &Utf8Path, own: &BTreeMap<&Utf8Path, Utf8PathBuf>) -> Option<Reason> {
        let mut seen = BTreeSet::from([root]);
        let mut left = VecDeque::from([(root, Vec::new())]);
        while let Some((path, through)) = left.pop_front() {
            if let Some(file) = own.get(path) {
                return Some(Reason { file: file.clone(), through });
            }
            for next in self.0.get(path).into_iter().flatten() {
                if seen.insert(next) {
                    let through = [through.clone(), vec![next.clone()]].concat();
                    left.push_back((next, through));
                }
            }
        }
        None
    }
}

/// Why a project is affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// A file that has changed.
    pub file: Utf8PathBuf,
    /// What the project depends on, one by the other, to that file; empty where it is its own.
    pub through: Vec<Utf8PathBuf>,
}

impl Reason {
    /// In words, with paths from `top`.
    pub(crate) fn words(&self, top: &Utf8Path) -> String {
        let short = |path: &Utf8PathBuf| path.strip_prefix(top).unwrap_or(path).to_string();
        let file = short(&self.file);
        match self.through.iter().map(short).collect::<Vec<_>>() {
            through if through.is_empty() => format!("{file} has changed"),
            through => format!("depends on {}, where {file} has changed", through.join(", on ")),
        }
    }
}

/// What runs leave in a folder, where nobody has git ignore it.
fn is_left_behind(file: &Utf8Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    let is_data = name == ".coverage" || name.starts_with(".coverage.");
    let folders = ["__pycache__", ".pytest_cache", "htmlcov", ".xtask"];
    is_data || file.components().any(|part| folders.contains(&part.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(graph: &[(&str, &[&str])]) -> Dependencies {
        let paths = |of: &[&str]| of.iter().map(|it| Utf8PathBuf::from(*it)).collect();
        Dependencies(graph.iter().map(|(path, on)| ((*path).into(), paths(on))).collect())
    }

    fn affected(graph: &[(&str, &[&str])], changed: &[&str]) -> Vec<String> {
        let graph = of(graph);
        let changed: Vec<Utf8PathBuf> = changed.iter().map(|it| (*it).into()).collect();
        let found = graph.affected(graph.0.keys(), &changed);
        let words =
            |(root, why): (Utf8PathBuf, Reason)| format!("{root}: {}", why.words("/r".into()));
        found.into_iter().map(words).collect()
    }

    #[test]
    fn a_change_reaches_all_that_depends_on_it() {
        let graph: [(&str, &[&str]); 4] =
            [("/r/app", &["/r/lib"]), ("/r/lib", &["/r/base"]), ("/r/base", &[]), ("/r/x", &[])];
        assert_eq!(
            affected(&graph, &["/r/base/b.py"]),
            [
                "/r/app: depends on lib, on base, where base/b.py has changed",
                "/r/base: base/b.py has changed",
                "/r/lib: depends on base, where base/b.py has changed",
            ]
        );
        assert_eq!(affected(&graph, &["/r/README.md", "/r/x/.coverage"]), [""; 0]);
        let circle: [(&str, &[&str]); 2] = [("/r/a", &["/r/b"]), ("/r/b", &["/r/a"])];
        assert_eq!(affected(&circle, &["/r/b/b.py"]).len(), 2);
        assert_eq!(affected(&circle, &[]), [""; 0]);
    }

    /// The root may be a project itself, a project may be a submodule.
    #[test]
    fn a_file_is_that_of_the_innermost_project() {
        let graph: [(&str, &[&str]); 3] = [("/r", &[]), ("/r/a", &[]), ("/r/sub/b", &[])];
        assert_eq!(affected(&graph, &["/r/a/a.py"]), ["/r/a: a/a.py has changed"]);
        assert_eq!(affected(&graph, &["/r/tests/test_a.py"]), ["/r: tests/test_a.py has changed"]);
        assert_eq!(affected(&graph, &["/r/conftest.py"]).len(), 3);
        let submodule = affected(&graph, &["/r/sub"]);
        assert!(submodule.contains(&"/r/sub/b: sub has changed".to_owned()), "{submodule:?}");
    }
}
